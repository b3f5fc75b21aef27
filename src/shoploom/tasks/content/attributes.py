"""Which kind of product is an item, by its words?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError
from shoploom.tables import Tables
from shoploom.tasks.content.readings import READINGS, Examples, arranged, coded, columns_of, joined
from shoploom.tasks.questions import Kind


@READINGS.register("attributes")
@dataclass(frozen=True)
class Attributes:
    """The probability of each value that items have in a column: their category, their brand.

    An item that the shop has not filled in gets an answer from its title and description.

    Attributes:
        column: the column of items that is asked about.
        level: of a category path, so many parts; None for all.
    """

    column: str = c.CATEGORY
    level: int | None = None

    name: ClassVar[str] = "attributes"
    kind: ClassVar[Kind] = "multiclass"
    labels: ClassVar[tuple[str, ...]] = ()
    metric: ClassVar[str] = "accuracy"

    def __post_init__(self) -> None:
        if self.level is not None and self.level < 1:
            raise ConfigError(
                f"reading {self.name!r}: expected a level of at least 1, got {self.level}."
            )

    def examples(self, tables: Tables) -> Examples:
        """Every item with words; items have no author, and are dated by their creation."""
        table = columns_of(tables, "items", [c.ITEM_ID, c.TITLE, self.column], self.name)
        told = [name for name in (c.TITLE, c.DESCRIPTION) if name in table.columns]
        created = [c.CREATED] if c.CREATED in table.columns else []
        names = list(dict.fromkeys([c.ITEM_ID, *told, self.column, *created]))
        rows = table.select(*names).to_pandas()
        labels, names = coded(self._values(rows[self.column].to_numpy(object)))
        times = rows[c.CREATED].fillna(0) if created else np.zeros(len(rows))
        keys = rows[c.ITEM_ID].to_numpy(object)
        return arranged(
            Examples(
                texts=joined([rows[name].to_numpy(object) for name in told]),
                labels=labels,
                times=np.asarray(times, dtype=np.int64),
                users=keys,
                keys=keys,
                names=names,
            )
        )

    def _values(self, column: np.ndarray) -> np.ndarray:
        if self.level is None:
            return column
        cut = [
            c.CATEGORY_SEPARATOR.join(value.split(c.CATEGORY_SEPARATOR)[: self.level])
            if isinstance(value, str)
            else None
            for value in column.tolist()
        ]
        return np.array(cut, dtype=object)
