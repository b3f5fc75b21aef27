"""Content of items in files, as vectors: texts, and what stands beside them in a catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.core.ids import Vocabulary
from shoploom.core.progress import terminal
from shoploom.encoders import Encoded, make_encoder
from shoploom.engines import Inputs, ItemContent

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns that are no texts, with the encoders that read them.
FIELDS = {c.BRAND: "category", c.CATEGORY: "category", c.PRICE: "number"}


def read_content(
    path: str, names: NDArray[np.object_], items: Vocabulary, encoder: str, *, fields: bool = False
) -> ItemContent:
    """What a file says of items.

    Args:
        path: Parquet, or JSON by item, with item_id and text, or title and description.
        names: ``(n,)`` the file's ids of the items.
        items: their ``n`` ids in the protocol.
        encoder: of the texts.
        fields: whether brand, category and price are read too, where the file has them.

    Raises:
        DataError: the file lacks ids or texts.
    """
    table = _read(path)
    columns = [name for name in (c.TEXT, c.TITLE, c.DESCRIPTION) if name in table.column_names]
    if c.ITEM_ID not in table.column_names or not columns:
        raise DataError(
            f"{path}: expected columns item_id and text, or title and description, got "
            f"{', '.join(table.column_names)}."
        )
    parts = [table[name].to_pylist() for name in columns]
    texts = [
        " ".join(str(part) for part in row if part) or None for row in zip(*parts, strict=True)
    ]
    encoded = {c.TEXT: make_encoder(encoder).fit(texts).encode(texts, progress=terminal())}
    for name in FIELDS.keys() & set(table.column_names) if fields else ():
        values = table[name].to_pylist()
        encoded[name] = make_encoder(FIELDS[name]).fit(values).encode(values)
    rows = {str(id_): row for row, id_ in enumerate(table[c.ITEM_ID].to_pylist())}
    place = np.array([rows.get(str(name), -1) for name in names])
    return ItemContent(
        items,
        {name: _taken(each, place) for name, each in sorted(encoded.items())},
        {name: each.present[place] & (place >= 0) for name, each in sorted(encoded.items())},
    )


def with_content(inputs: Inputs, content: ItemContent) -> Inputs:
    """The same histories, with content."""
    return Inputs(
        until=inputs.until,
        sequences=inputs.sequences,
        statistics=inputs.statistics,
        content=content.always,
    )


def _taken(encoded: Encoded, place: NDArray[np.intp]) -> NDArray[np.float16]:
    return np.where((place >= 0)[:, None], encoded.vectors[place], 0).astype(np.float16)


def _read(path: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if Path(path).suffix != ".json":
        return pq.read_table(path)
    about = json.loads(Path(path).read_text(encoding="utf-8"))
    names = [c.TITLE, c.DESCRIPTION]
    rows = {name: [item.get(name) for item in about.values()] for name in names}
    return pa.table({c.ITEM_ID: list(about), **rows})
