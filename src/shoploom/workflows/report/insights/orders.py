"""The orders of a shop: the one table that most insights are made from.

The backend sums rows of purchases to orders; everything after that is numpy on columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.time import DAY_US

if TYPE_CHECKING:
    import ibis.expr.types as ir

# Columns of purchase rows beside those of the contract.
ORDER, CENTS, UNITS = "_order", "_cents", "_units"


@dataclass(frozen=True)
class Orders:
    """Every order of the shop as ``(n_orders,)`` columns, sorted by user and time.

    Attributes:
        user: int64 codes into ``user_ids``.
        time: int64 microseconds UTC of the order's first line.
        cents: int64 money.
        units: float64 pieces.
        user_ids: ``(n_buyers,)`` object array of str.
    """

    user: NDArray[np.int64]
    time: NDArray[np.int64]
    cents: NDArray[np.int64]
    units: NDArray[np.float64]
    user_ids: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.time)

    @property
    def day(self) -> NDArray[np.int64]:
        """Days since 1970."""
        return self.time // DAY_US

    @cached_property
    def per_user(self) -> dict[str, NDArray[Any]]:
        """``(n_buyers,)`` orders, cents, first and last order time of each buyer."""
        starts = np.flatnonzero(np.diff(self.user, prepend=-1))
        ends = np.flatnonzero(np.diff(self.user, append=-1))
        return {
            "orders": ends - starts + 1,
            "cents": np.add.reduceat(self.cents, starts),
            "first": self.time[starts],
            "last": self.time[ends],
        }


def purchase_rows(events: ir.Table) -> ir.Table:
    """Rows of purchases with their order, cents and units."""
    import ibis

    row = ibis._
    units = row[c.QUANTITY].fill_null(1.0)
    return events.filter(row[c.ACTION] == c.PURCHASE).select(
        c.USER_ID,
        c.ITEM_ID,
        c.TIME,
        **{
            ORDER: ibis.coalesce(row[c.SESSION_ID], (row[c.TIME] // DAY_US).cast("string")),
            CENTS: (row[c.PRICE].fill_null(0.0) * units * 100).round().cast("int64"),
            UNITS: units,
        },
    )


def read_orders(purchases: ir.Table) -> Orders:
    """The orders among rows of purchases; summed by the backend, one row each comes back."""
    import ibis

    rows = (
        purchases.group_by([c.USER_ID, ORDER])
        .aggregate(
            **{
                c.TIME: ibis._[c.TIME].min(),
                CENTS: ibis._[CENTS].sum(),
                UNITS: ibis._[UNITS].sum(),
            }
        )
        .to_pyarrow()
        .sort_by([(c.USER_ID, "ascending"), (c.TIME, "ascending"), (ORDER, "ascending")])
    )
    encoded = rows[c.USER_ID].combine_chunks().dictionary_encode()
    return Orders(
        user=encoded.indices.to_numpy().astype(np.int64),
        time=rows[c.TIME].to_numpy(),
        cents=rows[CENTS].to_numpy(),
        units=rows[UNITS].to_numpy(),
        user_ids=np.array(encoded.dictionary.to_pylist(), dtype=object),
    )
