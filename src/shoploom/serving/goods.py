"""The catalogue as answers show it: titles, categories, prices and photos by item."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.ids import Vocabulary

_SHOWN = (c.TITLE, c.CATEGORY, c.BRAND, c.PRICE, c.IMAGE, c.DESCRIPTION)


@dataclass(frozen=True)
class Goods:
    """What is known of ``n`` items.

    Attributes:
        items: vocabulary.
        columns: by name of the data contract ``(n,)``, None where unknown.
    """

    items: Vocabulary
    columns: dict[str, NDArray[np.object_]]

    @classmethod
    def of(cls, prepared: Path, sold: Vocabulary) -> Goods:
        """Those of the catalogue and those of the log."""
        path = prepared / "items.parquet"
        if not path.exists():
            return cls(sold, {})
        names = [name for name in _SHOWN if name in pq.read_schema(path).names]
        table = pq.read_table(path, columns=[c.ITEM_ID, *names])
        ids = table[c.ITEM_ID].to_pylist()
        items = Vocabulary.of([*ids, *sold.ids])
        place = items.encode(ids)
        columns = {}
        for name in names:
            column = np.full(len(items), None, dtype=object)
            column[place] = _shared(table[name])
            columns[name] = column
        return cls(items, columns)

    def get(self, item: str, name: str) -> Any:
        """One thing that is known of an item; None where it is not."""
        column, code = self.columns.get(name), self.code(item)
        return None if column is None or code < 0 else column[code]

    def code(self, item: str) -> int:
        """The place of an item; -1 where it is not known."""
        return int(self.items.encode([item])[0])

    def brief(self, item: str) -> dict[str, Any]:
        """What lists show of an item."""
        code = self.code(item)
        title, category, price, image = (
            None if code < 0 or column is None else column[code] for column in self._brief
        )
        return {
            c.ITEM_ID: item,
            c.TITLE: title,
            c.CATEGORY: category,
            c.PRICE: price,
            c.IMAGE: bool(image),
        }

    @cached_property
    def _brief(self) -> tuple[NDArray[np.object_] | None, ...]:
        return tuple(self.columns.get(name) for name in (c.TITLE, c.CATEGORY, c.PRICE, c.IMAGE))

    def categories(self, level: int) -> dict[str, str]:
        """Category by item, cut to so many parts."""
        column = self.columns.get(c.CATEGORY)
        if column is None:
            return {}
        cut = {
            path: c.CATEGORY_SEPARATOR.join(path.split(c.CATEGORY_SEPARATOR)[:level])
            for path in set(column.tolist())
            if path
        }
        pairs = zip(self.items.ids.tolist(), column.tolist(), strict=True)
        return {item: cut[path] for item, path in pairs if path}


def _shared(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """A column's values, each kept once however often it occurs."""
    coded = column.combine_chunks().dictionary_encode()
    values = np.array([*coded.dictionary.to_pylist(), None], dtype=object)
    return values[coded.indices.fill_null(-1).to_numpy()]
