"""What each user did in each category, as of a moment: the numbers behind category propensity."""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.ids import Vocabulary
from shoploom.core.time import DAY_US
from shoploom.sequences.sequences import encode
from shoploom.tables import Tables, measures

if TYPE_CHECKING:
    import ibis.expr.types as ir

_RECENCIES = ("category_recency_days", "category_purchase_recency_days")
_BY_PAIR = (
    *_RECENCIES,
    "category_events",
    "category_events_28d",
    "category_purchases",
    "category_purchases_28d",
    "category_purchases_112d",
    "category_spend",
    "category_events_share",
    "category_purchases_share",
)
_BY_CATEGORY = ("category_buyers_share", "category_buyers_28d_share")


@dataclass(frozen=True)
class CategoryStatistics:
    """Numbers per user and category, computed from what was known before ``at``.

    Only pairs with an event are stored; ``take`` also answers for all others.

    Attributes:
        at: the moment, microseconds UTC; nothing at or after it was looked at.
        users: vocabulary of users with an event in any category.
        categories: vocabulary of the categories with the most buyers.
        names: the ``dim`` names of what ``take`` gives; ``docs/features.md`` describes them.
        pairs: ``(n_pairs,)`` int64, ``user * n_categories + category`` in codes, ascending.
        by_pair: ``(n_pairs, dim_pair)`` float32, the first ``dim_pair`` columns of ``names``.
        by_category: ``(n_categories, dim - dim_pair)`` float32, the others.
    """

    at: int
    users: Vocabulary
    categories: Vocabulary
    names: tuple[str, ...]
    pairs: NDArray[np.int64]
    by_pair: NDArray[np.float32]
    by_category: NDArray[np.float32]

    def take(
        self, users: NDArray[np.object_], categories: NDArray[np.object_]
    ) -> NDArray[np.float32]:
        """``(n, dim)`` rows for ``n`` users and ``n`` categories, in the order asked.

        Where the user has no event in the category, counts are zero and recencies NaN; in an
        unknown category everything else is NaN too.
        """
        user, category = self.users.encode(users), self.categories.encode(categories)
        known = category >= 0
        out = np.full((len(user), len(self.names)), np.nan, dtype=np.float32)
        width = self.by_pair.shape[1]
        out[known, len(_RECENCIES) : width] = 0
        out[known, width:] = self.by_category[category[known]]
        pair = user.astype(np.int64) * len(self.categories) + category
        place = np.searchsorted(self.pairs, pair)
        place[place == len(self.pairs)] = 0
        seen = known & (user >= 0)
        if len(self.pairs):
            seen &= self.pairs[place] == pair
            out[seen, :width] = self.by_pair[place[seen]]
        return out


def category_statistics(
    tables: Tables, at: int, *, level: int = 1, top: int = 20
) -> CategoryStatistics:
    """Statistics per user and category from events before ``at``.

    Args:
        tables: the shop's tables; items need a category.
        at: the moment, microseconds UTC.
        level: how many parts of the category path make a category.
        top: how many categories are kept, by buyers before ``at``; ties by name.

    Raises:
        DataError: the shop's items have no categories.
    """
    rows = _pair_table(tables.as_of(at), at, level).to_pyarrow()
    users, user = encode(rows[c.USER_ID])
    every, category = encode(rows[c.CATEGORY])
    columns = {
        name: rows[name].cast("float64").to_numpy()
        for name in _BY_PAIR
        if not name.endswith("_share")
    }
    by_pair = category_columns(columns, user, len(users))
    buyers, shares = [], []
    for name in ("category_purchases", "category_purchases_28d"):
        bought = columns[name] > 0
        buyers.append(np.bincount(category[bought], minlength=len(every)))
        n_buyers = np.count_nonzero(np.bincount(user[bought]))
        shares.append(buyers[-1] / max(n_buyers, 1))
    by_category = np.column_stack(shares)

    # Stable on names, which are sorted: ties go to the first name.
    kept = np.sort(np.argsort(-buyers[0], kind="stable")[:top])
    code = np.full(len(every), -1, dtype=np.int64)
    code[kept] = np.arange(len(kept))
    pair = user.astype(np.int64) * len(kept) + code[category]
    chosen = np.flatnonzero(code[category] >= 0)
    chosen = chosen[np.argsort(pair[chosen])]
    return CategoryStatistics(
        at=at,
        users=users,
        categories=Vocabulary(every.ids[kept]),
        names=_BY_PAIR + _BY_CATEGORY,
        pairs=pair[chosen],
        by_pair=by_pair[chosen],
        by_category=by_category[kept].astype(np.float32),
    )


def category_columns(
    columns: Mapping[str, NDArray[np.float64]], user: NDArray[np.integer], n_users: int
) -> NDArray[np.float32]:
    """``(n_pairs, dim_pair)`` what is counted by pair, with the pair's shares of its user's counts.

    Args:
        columns: ``(n_pairs,)`` by name.
        user: ``(n_pairs,)`` codes.
        n_users: how many there are.
    """
    whole = dict(columns)
    for what in ("events", "purchases"):
        count = columns[f"category_{what}"]
        total = np.bincount(user, count, minlength=n_users)[user]
        share = np.divide(count, total, out=np.zeros(len(count)), where=total > 0)
        whole[f"category_{what}_share"] = share
    stacked = [whole[name] for name in _BY_PAIR]
    return np.stack(stacked, axis=1).astype(np.float32)


def _pair_table(tables: Tables, at: int, level: int) -> ir.Table:
    """One row per user and category with an event."""
    events = tables.events.inner_join(measures.item_categories(tables, level=level), c.ITEM_ID)
    time, bought = events[c.TIME], events[c.ACTION] == c.PURCHASE
    cents = measures.cents(events).sum(where=bought).fill_null(0).cast("float64")

    def since(days: int) -> ir.BooleanValue:
        return time >= at - days * DAY_US

    return events.group_by(c.USER_ID, c.CATEGORY).aggregate(
        category_recency_days=(at - time.max()) / DAY_US,
        category_purchase_recency_days=(at - time.max(where=bought)) / DAY_US,
        category_events=events.count(),
        category_events_28d=events.count(where=since(28)),
        category_purchases=events.count(where=bought),
        category_purchases_28d=events.count(where=bought & since(28)),
        category_purchases_112d=events.count(where=bought & since(112)),
        category_spend=cents / 100,
    )
