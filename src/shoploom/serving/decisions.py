"""What policies have decided about prices, campaigns, groups and replies, ready for one user.

Everything here was learned and judged by ``shoploom price``, ``audience``, ``segments`` and
``reply``; a server only applies it. What a policy refused stays refused.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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
class Rows:
    """A table of which single rows are read, by id; Python objects would take five times as much.

    Attributes:
        table: in the order of its file.
        key: the column of the id; a text, distinct.
        order: ``(n,)`` places of the rows, sorted by id.
    """

    table: pa.Table
    key: str
    order: NDArray[np.int64]

    @classmethod
    def of(cls, path: Path, key: str) -> Rows:
        """Of a file."""
        table = pq.read_table(path).combine_chunks()
        order = pc.sort_indices(table[key])  # pyright: ignore[reportAttributeAccessIssue]
        return cls(table, key, order.to_numpy().astype(np.int64))

    def get(self, name: str) -> dict[str, Any] | None:
        """The row of an id; None where there is none."""
        ids, order = self.table[self.key], self.order
        place = bisect_left(order, name, key=lambda row: ids[int(row)].as_py())
        if place == len(order) or ids[int(order[place])].as_py() != name:
            return None
        return self.table.slice(int(order[place]), 1).to_pylist()[0]


@dataclass(frozen=True)
class People:
    """The users' table."""

    _rows: Rows | None

    @classmethod
    def of(cls, run: Run) -> People:
        """Of a run; empty where the shop has none."""
        path = run.prepared / "users.parquet"
        return cls(Rows.of(path, c.USER_ID) if path.exists() else None)

    def said(self, user: str) -> dict[str, Any]:
        """What the table says of a user; None in every column where it does not know them."""
        if self._rows is None:
            return {}
        row = self._rows.get(user) or dict.fromkeys(self._rows.table.column_names)
        return {name: value for name, value in row.items() if name != c.USER_ID}


@dataclass(frozen=True)
class Prices:
    """Proposed prices.

    Attributes:
        about: ``price.json``.
        items: the table of proposals, by item.
        groups: the group of each user; those who are not there are in the last one.
    """

    about: Mapping[str, Any]
    items: Rows
    groups: Rows

    @classmethod
    def of(cls, run: Run) -> Prices | None:
        """Of a run; None where nobody asked for prices."""
        folder = price_folder(run)
        if not (folder / "table.parquet").exists() or not price_json(run).exists():
            return None
        return cls(
            read_json(price_json(run)),
            Rows.of(folder / "table.parquet", c.ITEM_ID),
            Rows.of(folder / "groups.parquet", c.USER_ID),
        )

    def changes(self, most: int) -> list[dict[str, Any]]:
        """The first proposals that differ from today's price."""
        table = self.items.table
        return table.filter(pc.field("action") != "keep").slice(0, most).to_pylist()

    def of_user(self, user: str, item: str) -> dict[str, Any] | None:
        """The price of an item for a user; None where the item has none."""
        row = self.items.get(item)
        if row is None:
            return None
        refused = self.about["refused"]
        shares = {
            name.removeprefix(_DISCOUNT): value
            for name, value in row.items()
            if name.startswith(_DISCOUNT)
        }
        discount = 0.0 if refused or not shares else float(self._share(user, shares))
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

    def _share(self, user: str, shares: dict[str, float]) -> float:
        """The discount of a user's group."""
        found = self.groups.get(user)
        group = next(reversed(shares)) if found is None else found["group"]
        return shares.get(group, 0.0)


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
