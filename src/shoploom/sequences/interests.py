"""What users care for: how much they touched each tag of the catalogue, as of a moment.

A tag is anything that items have: a category, a style word, the answer of a zero-shot tagger. What
a user did with an item counts for its tags, deeds more than looks and yesterday more than last
year. A user of few events is taken to be like everybody else until events say otherwise.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, UnknownName
from shoploom.core.time import DAY_US
from shoploom.tables import Tables, measures

if TYPE_CHECKING:
    import ibis.expr.types as ir

#: What an action says of the wish for an item; actions that are not named say nothing.
ACTION_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {c.VIEW: 1.0, c.CLICK: 1.0, c.WATCH: 1.0, c.FAVOURITE: 2.0, c.CART: 3.0, c.PURCHASE: 5.0}
)

#: Columns of a table of tags and of interests.
TAG, WEIGHT, SHARE, LIFT = "tag", "weight", "share", "lift"

_MILLION = 1_000_000


def category_tags(tables: Tables, *, level: int = 2) -> ir.Table:
    """The shop's own categories as tags: ``item_id``, ``tag`` and ``weight`` 1.

    Args:
        tables: the shop's tables; items need a category.
        level: how many parts of the category path make a tag.

    Raises:
        DataError: the shop's items have no categories.
    """
    import ibis

    categories = measures.item_categories(tables, level=level)
    return categories.select(
        categories[c.ITEM_ID],
        categories[c.CATEGORY].name(TAG),
        ibis.literal(1.0).cast("float64").name(WEIGHT),
    )


def interests(
    tables: Tables,
    at: int,
    tags: ir.Table | None = None,
    *,
    action_weights: Mapping[str, float] = ACTION_WEIGHTS,
    half_life_days: float = 30.0,
    prior_weight: float = 5.0,
) -> ir.Table:
    """Users' interests from what they did before ``at``, one row per user and tag touched.

    The share is ``(weight + prior_weight * p) / (total + prior_weight)`` with ``p`` the tag's
    share in the whole shop, which is the posterior mean of a multinomial under a Dirichlet prior
    around the shop. A tag that a user never touched has no row; its share is the same formula
    with weight 0.

    Args:
        tables: the shop's tables.
        at: the moment, microseconds UTC; nothing at or after it is looked at.
        tags: ``item_id``, ``tag``, ``weight`` in [0, 1], several rows per item where it has several
            tags; the shop's categories when None. It must be of the tables' backend, or in memory.
        action_weights: what each action counts; a missing one counts nothing.
        half_life_days: after so many days a deed counts half.
        prior_weight: how much weight of own deeds counts as much as the shop's average; with the
            default, one purchase of today.

    Returns:
        ``user_id``, ``tag``, ``weight`` (decayed sum of own deeds), ``share`` (between 0 and 1),
        ``lift`` (share over the shop's share: 2 = twice as keen as the average).

    Raises:
        UnknownName: a key of ``action_weights`` is no action.
        ConfigError: a number is not positive.
        DataError: no tags were given and the shop has no categories.
    """
    import ibis

    for action in action_weights:
        if action not in c.ACTIONS:
            raise UnknownName("action", action, c.ACTIONS, where="action_weights")
    for name, value in (("half_life_days", half_life_days), ("prior_weight", prior_weight)):
        if not value > 0:
            raise ConfigError(f"expected {name} above 0, got {value}.")
    seen = tables.as_of(at)
    tags = tags if tags is not None else category_tags(seen)
    weights = ((action, ibis.literal(w, "float64")) for action, w in action_weights.items())
    events = seen.events.filter(seen.events[c.ACTION].isin(list(action_weights)))
    age_days = (at - events[c.TIME]) / DAY_US
    deeds = events.select(
        events[c.USER_ID],
        events[c.ITEM_ID],
        deed=events[c.ACTION].cases(*weights) * (age_days * (-math.log(2) / half_life_days)).exp(),
    )
    deeds = deeds.inner_join(tags, c.ITEM_ID)
    # Whole millionths: their sums are exact, so that the order of the rows changes nothing.
    millionths = (deeds.deed * deeds[WEIGHT] * _MILLION).round().cast("float64")
    own = deeds.group_by(c.USER_ID, TAG).aggregate(millionths=millionths.sum())
    own = own.filter(own.millionths > 0)
    by_user, by_tag = ibis.window(group_by=own[c.USER_ID]), ibis.window(group_by=own[TAG])
    prior = own.millionths.sum().over(by_tag) / own.millionths.sum().over(ibis.window())
    weight, total = own.millionths / _MILLION, own.millionths.sum().over(by_user) / _MILLION
    share = (weight + prior_weight * prior) / (total + prior_weight)
    found = own.select(
        own[c.USER_ID],
        own[TAG],
        weight.name(WEIGHT),
        share.name(SHARE),
        (share / prior).name(LIFT),
    )
    return found.order_by(c.USER_ID, ibis.desc(SHARE), TAG)
