"""Reviews as examples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.tables import Tables
from shoploom.tasks.content.readings import UNKNOWN, Examples, arranged, columns_of, joined


def reviews(
    tables: Tables,
    reading: str,
    names: tuple[str, ...],
    label: Callable[[NDArray[np.float64]], NDArray[np.int64]],
) -> Examples:
    """Every review that says something in its title or text, labelled by its rating."""
    table = columns_of(tables, "reviews", [c.USER_ID, c.ITEM_ID, c.TIME], reading)
    told = [name for name in (c.TITLE, c.TEXT) if name in table.columns]
    if not told:
        raise DataError(
            f"reading {reading!r}: expected a column {c.TEXT} or {c.TITLE} in reviews, got "
            f"{', '.join(table.columns)}; map it in shop.yaml."
        )
    rated = [c.RATING] if c.RATING in table.columns else []
    rows = table.select(c.USER_ID, c.ITEM_ID, c.TIME, *told, *rated).to_pandas()
    labels = np.full(len(rows), UNKNOWN, dtype=np.int64)
    if rated:
        labels = label(rows[c.RATING].to_numpy(np.float64)).astype(np.int64)
    return arranged(
        Examples(
            texts=joined([rows[name].to_numpy(object) for name in told]),
            labels=labels,
            times=rows[c.TIME].to_numpy(np.int64),
            users=rows[c.USER_ID].to_numpy(object),
            keys=rows[c.ITEM_ID].to_numpy(object),
            names=names,
        )
    )
