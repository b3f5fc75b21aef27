"""What policies have decided about prices, campaigns, groups and replies, ready for one user.

Everything here was learned and judged by ``shoploom price``, ``audience``, ``segments`` and
``reply``; a server only applies it. What a policy refused stays refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.files import read_json
from shoploom.workflows.audience import Decider, audience_folder, load_deciders
from shoploom.workflows.price import price_folder, price_json
from shoploom.workflows.run import Run
from shoploom.workflows.segments import Membership, load_membership

_DISCOUNT = "discount of "


@dataclass(frozen=True)
class People:
    """The users' table, one row readable at a time."""

    _table: pa.Table | None

    @classmethod
    def of(cls, run: Run) -> People:
        """Of a run; empty where the shop has none."""
        path = run.prepared / "users.parquet"
        if not path.exists():
            return cls(None)
        return cls(pq.read_table(path).sort_by(c.USER_ID).combine_chunks())

    def said(self, user: str) -> dict[str, Any]:
        """What the table says of a user; None in every column where it does not know them."""
        if self._table is None:
            return {}
        ids = self._table[c.USER_ID]
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high) // 2
            if ids[middle].as_py() < user:
                low = middle + 1
            else:
                high = middle
        if low == len(ids) or ids[low].as_py() != user:
            return {name: None for name in self._table.column_names if name != c.USER_ID}
        row = self._table.slice(low, 1).to_pylist()[0]
        return {name: value for name, value in row.items() if name != c.USER_ID}


@dataclass(frozen=True)
class Prices:
    """Proposed prices.

    Attributes:
        about: ``price.json``.
        rows: by item, its row of the table of proposals.
        groups: by user, the group; those who are not there are in the last one.
    """

    about: Mapping[str, Any]
    rows: Mapping[str, Mapping[str, Any]]
    groups: Mapping[str, str]

    @classmethod
    def of(cls, run: Run) -> Prices | None:
        """Of a run; None where nobody asked for prices."""
        folder = price_folder(run)
        if not (folder / "table.parquet").exists() or not price_json(run).exists():
            return None
        rows = pq.read_table(folder / "table.parquet").to_pylist()
        groups = pq.read_table(folder / "groups.parquet").to_pydict()
        return cls(
            read_json(price_json(run)),
            {str(row[c.ITEM_ID]): row for row in rows},
            dict(zip(groups[c.USER_ID], groups["group"], strict=True)),
        )

    def of_user(self, user: str, item: str) -> dict[str, Any] | None:
        """The price of an item for a user; None where the item has none."""
        row = self.rows.get(item)
        if row is None:
            return None
        refused = self.about["refused"]
        shares = {
            name.removeprefix(_DISCOUNT): value
            for name, value in row.items()
            if name.startswith(_DISCOUNT)
        }
        group = self.groups.get(user, next(reversed(shares), None)) if shares else None
        discount = 0.0 if refused or group is None else float(shares.get(group, 0.0))
        proposed = float(row[c.PRICE] if refused else row["proposed"])
        return {
            c.USER_ID: user,
            c.ITEM_ID: item,
            c.PRICE: _number(row[c.PRICE]),
            "proposed": _number(row["proposed"]),
            "discount": discount,
            "to_pay": _number(round(proposed * (1 - discount), 2)),
            "action": row["action"],
            "reason": row["reason"],
            "gain": [_number(row[name]) for name in ("gain", "gain_low", "gain_high")],
            "elasticity": [_number(row[name]) for name in ("elasticity", "elasticity_sd")],
            "refused": refused,
        }


@dataclass(frozen=True)
class Decisions:
    """All policies of a run.

    Attributes:
        people: the users' table.
        membership: of groups; None where nobody asked for any.
        prices: proposed ones; None where nobody asked.
        deciders: campaigns by kind of exposure.
        campaigns: what was found of each, refused ones too.
    """

    people: People
    membership: Membership | None
    prices: Prices | None
    deciders: Mapping[str, Decider]
    campaigns: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, run: Run) -> Decisions:
        """Of a run."""
        return cls(
            People.of(run),
            load_membership(run),
            Prices.of(run),
            load_deciders(run),
            {path.stem: read_json(path) for path in sorted(audience_folder(run).glob("*.json"))},
        )


def _number(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def in_order(row: NDArray[np.float32], names: tuple[str, ...], wanted: tuple[str, ...]):
    """Statistics in the order that was learned from."""
    if names == wanted:
        return row
    place = {name: number for number, name in enumerate(names)}
    return row[[place[name] for name in wanted]]
