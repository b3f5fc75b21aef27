"""The one tiny shop that tests share: 60 users, 200 days, habits planted by name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from shoploom.core import columns as c
from shoploom.core.time import DAY_US, HOUR_US, MINUTE_US, to_us
from shoploom.tables import Tables

#: The shop's first day, its length, and a moment well inside it.
SHOP_START = to_us("2024-01-01")
SHOP_DAYS = 200
SHOP_AT = SHOP_START + 150 * DAY_US

#: Who does what: ``regular`` users buy weekly to the end, ``fading`` ones stop around day 110,
#: ``newcomer`` ones come after day 115, ``browser`` ones look and never buy.
HABITS = {"regular": range(20), "fading": range(20, 40), "newcomer": range(40, 52)}
HABITS["browser"] = range(52, 60)

CATEGORIES = (
    "clothing > coats",
    "clothing > shoes",
    "food > tea",
    "home > lamps",
    "toys > puzzles",
)
N_ITEMS = 40


def shop_items() -> pa.Table:
    """Forty items in five categories (four on the first level); ten appear later."""
    nums = np.arange(N_ITEMS)
    category = [CATEGORIES[num % 5] for num in nums]
    return pa.table(
        {
            c.ITEM_ID: [f"i{num:02d}" for num in nums],
            c.TITLE: [f"{path.split(' > ')[1]} number {num}" for num, path in enumerate(category)],
            c.CATEGORY: category,
            c.BRAND: [f"brand{num % 3}" for num in nums],
            c.PRICE: np.round(5.0 + 1.37 * nums, 2),
            c.CREATED: np.where(nums < 30, SHOP_START, SHOP_START + 60 * DAY_US),
        }
    )


def shop_events(seed: int = 0) -> pa.Table:
    """The events of the shop, sorted by (user, time, item, action).

    A visit is a few views, sometimes a cart, and for buyers a purchase of one or two items.
    """
    rng = np.random.default_rng(seed)
    prices = np.round(5.0 + 1.37 * np.arange(N_ITEMS), 2)
    rows: list[tuple] = []
    for habit, users in HABITS.items():
        for user in users:
            first = rng.integers(0, 25) if habit != "newcomer" else rng.integers(115, 140)
            last = SHOP_DAYS if habit != "fading" else 110 + rng.integers(-10, 10)
            for day in np.arange(first, last, 7):
                day = min(int(day + rng.integers(0, 3)), SHOP_DAYS - 1)
                start = SHOP_START + day * DAY_US + int(rng.integers(8, 20)) * HOUR_US
                session = f"s{user:02d}-{day:03d}"
                open_items = 30 if day < 60 else N_ITEMS
                taste = np.arange(user % 5, open_items, 5)  # one favourite category per user
                items = rng.choice(taste if rng.random() < 0.7 else open_items, size=3)
                buys = 0 if habit == "browser" else int(rng.integers(0, 3))
                visit = [(c.VIEW, item) for item in items] + [(c.CART, items[0])] * (buys > 0)
                visit += [(c.PURCHASE, item) for item in dict.fromkeys(items[:buys].tolist())]
                for step, (action, item) in enumerate(visit):
                    quantity = float(rng.integers(1, 3)) if action == c.PURCHASE else None
                    time = start + step * MINUTE_US
                    what = (action, f"i{item:02d}", prices[item], quantity)
                    rows.append((f"u{user:02d}", time, *what, session))
    names = (c.USER_ID, c.TIME, c.ACTION, c.ITEM_ID, c.PRICE, c.QUANTITY, c.SESSION_ID)
    table = pa.table(dict(zip(names, map(list, zip(*sorted(rows), strict=True)), strict=True)))
    n = len(table)
    empty = {c.QUERY: pa.string(), c.DWELL_S: pa.float64(), c.STREAM_ID: pa.string()}
    for name, kind in {**empty, c.SOURCE: pa.string()}.items():
        table = table.append_column(name, pa.nulls(n, kind))
    table = table.append_column(c.PRICE_PRESENT, pa.array(np.ones(n, dtype=bool)))
    bought = np.asarray(table[c.ACTION].to_pylist()) == c.PURCHASE
    table = table.append_column(c.QUANTITY_PRESENT, pa.array(bought))
    order = [(c.USER_ID, "ascending"), (c.TIME, "ascending")]
    return table.sort_by([*order, (c.ITEM_ID, "ascending"), (c.ACTION, "ascending")])


@pytest.fixture(scope="session")
def shop() -> Iterator[Tables]:
    """The tiny shop as clean tables on an in-memory DuckDB."""
    import ibis

    con = ibis.duckdb.connect()
    users = pa.table(
        {
            c.USER_ID: [f"u{user:02d}" for users in HABITS.values() for user in users],
            "habit": [habit for habit, users in HABITS.items() for _ in users],
        }
    )
    tables = {"events": shop_events(), "items": shop_items(), "users": users}
    yield Tables(
        **{name: con.create_table(name, ibis.memtable(table)) for name, table in tables.items()}
    )
    con.disconnect()


@pytest.fixture(scope="session")
def shop_at() -> int:
    """A moment inside the shop's life: 150 days of past, 50 of future."""
    return SHOP_AT
