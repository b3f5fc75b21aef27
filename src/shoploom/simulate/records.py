"""Codes to rows: each table of the data contract and of the truth, from arrays of codes."""

# pyarrow.compute makes its functions at run time:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shoploom.core import columns as c
from shoploom.core.time import DAY_US
from shoploom.simulate.behaviour import AD_PROPENSITIES
from shoploom.simulate.catalogue import (
    ASPECTS,
    BRANDS,
    CATEGORIES,
    EMOTIONS,
    INTENTS,
    ITEM_GROUPS,
    LANGUAGES,
    REPLIES,
    STYLE_AXES,
    USER_GROUPS,
)
from shoploom.simulate.choice import REASONS
from shoploom.simulate.content.dialogues import DialogueTexts
from shoploom.simulate.content.reviews import ReviewTexts
from shoploom.simulate.content.titles import ItemTexts
from shoploom.simulate.market import PHASES, PRICE_ARMS, Market
from shoploom.simulate.state import Rows
from shoploom.simulate.streams import SECONDS_EACH, Stream
from shoploom.simulate.visits import ORIGINS, RECOMMENDED, SLOTS, STREAMED
from shoploom.simulate.world import ADS, AGES, CITIES, GENDERS, RHYTHMS, TIERS, World
from shoploom.simulate.writing import coded, labelled, number, numbered, to_json

SOURCES = ("page", "search", "recommendation", "stream", *(f"ad:{name}" for name in ADS[1:]))


@dataclass(frozen=True)
class Names:
    """The shop's own ids, by code."""

    users: pa.Array
    items: pa.Array
    streams: pa.Array

    @classmethod
    def of(cls, world: World, n_streams: int) -> Names:
        """Ids for everything in a world."""
        return cls(
            numbered("u", len(world.users)),
            numbered("i", len(world.items)),
            numbered("live", n_streams),
        )


def items_table(world: World, names: Names, texts: ItemTexts, content: bool) -> pa.Table:
    """The contract's ``items``."""
    spec, items = world.spec, world.items
    paths = [category.path for category in CATEGORIES]
    table: dict[str, pa.Array] = {
        c.ITEM_ID: names.items,
        c.TITLE: pa.array(texts.titles),
        c.DESCRIPTION: pa.array(texts.descriptions),
        c.CATEGORY: coded(items.category, paths).cast(pa.string()),
        c.BRAND: coded(items.brand, BRANDS).cast(pa.string()),
        c.PRICE: pa.array(items.price),
        c.COST: pa.array(items.cost),
        c.CREATED: pa.array(spec.start_us + items.first_day.astype(np.int64) * DAY_US),
    }
    if content:
        table[c.IMAGE] = pc.binary_join_element_wise("photos/", names.items, ".jpg", "")
        films = pc.binary_join_element_wise("videos/", names.items, ".mp4", "")
        filmed = pa.array(np.arange(len(items)) < spec.films)
        table[c.VIDEO] = pc.if_else(filmed, films, None)
    return pa.table(table)


def users_table(world: World, names: Names) -> pa.Table:
    """The contract's ``users``: what the shop may know of them."""
    users = world.users
    return pa.table(
        {
            c.USER_ID: names.users,
            "age": coded(users.age, AGES).cast(pa.string()),
            "gender": coded(users.gender, GENDERS).cast(pa.string()),
            "tier": coded(users.tier, TIERS).cast(pa.string()),
            "city": coded(users.city, CITIES).cast(pa.string()),
            "language": coded(users.language, LANGUAGES).cast(pa.string()),
            "joined": pa.array(world.spec.start_us + users.first_day.astype(np.int64) * DAY_US),
            c.CONSENT: coded(
                # Every seventh user has agreed to less.
                (np.arange(len(users)) % 7 == 6).astype(np.int32),
                ("all", "service only"),
            ).cast(pa.string()),
        }
    )


def offers_table(world: World, market: Market, names: Names) -> pa.Table:
    """The contract's ``offers``: a row a week and item that is there."""
    week, item = np.nonzero(world.items.first_day < (np.arange(len(market.phase))[:, None] + 1) * 7)
    at = (week, item)
    return pa.table(
        {
            c.ITEM_ID: coded(item, names.items),
            c.TIME: pa.array(world.spec.start_us + week * 7 * DAY_US),
            c.PRICE: pa.array(market.price[at]),
            c.COMPETITOR_PRICE: pa.array(market.competitor[at]),
            c.PROMOTION: coded(np.where(market.promoted[at], 0, -1), ["discount"]),
            c.DISPLAY: coded(np.where(market.displayed[at], 0, -1), ["front"]),
            c.MARKET: coded(market.phase[week], PHASES),
        }
    )


def events_table(
    events: Rows, names: Names, queries: pa.Array, query: npt.NDArray[np.integer]
) -> pa.Table:
    """The contract's ``events``.

    Args:
        events: as ``timeline.order_in_time`` gives them.
        names: the ids.
        queries: all texts of searches.
        query: code into them, one per event, -1 = no search.
    """
    source = np.zeros(len(events["time"]), np.int32)
    source[events["searched"]] = SOURCES.index("search")
    source[events["slot"] == RECOMMENDED] = SOURCES.index("recommendation")
    source[events["slot"] == STREAMED] = SOURCES.index("stream")
    source = np.where(events["ad"] > 0, SOURCES.index("stream") + events["ad"], source)
    source[(events["number"] < 0) & (events["ad"] <= 0)] = -1
    return pa.table(
        {
            c.USER_ID: coded(events["users"], names.users),
            c.TIME: pa.array(events["time"]),
            c.ACTION: coded(events["action"], c.ACTIONS),
            c.ITEM_ID: coded(events["items"], names.items),
            c.PRICE: number(events["price"]),
            c.QUANTITY: number(events["quantity"]),
            c.SESSION_ID: labelled("s", events["number"]),
            c.QUERY: coded(query, queries),
            c.DWELL_S: number(np.round(events["dwell"], 1)),
            c.STREAM_ID: coded(events["stream"], names.streams),
            c.SOURCE: coded(source, SOURCES),
        }
    )


def causes_table(events: Rows, names: Names) -> pa.Table:
    """Why each event happened, under the event's keys.

    The visit's origin, how the item came up, the earlier item that caused it, and for carts and
    purchases what each reason added to the log of the units demanded, with the one that added most.
    """
    reasons = events["reasons"]
    told = ~np.isnan(reasons[:, 0])
    # The main reason is the one that added most; the price counts when it was lowered.
    main = np.where(told, np.argmax(np.where(np.isnan(reasons), -np.inf, reasons), axis=1), -1)
    columns = {
        c.USER_ID: coded(events["users"], names.users),
        c.TIME: pa.array(events["time"]),
        c.ACTION: coded(events["action"], c.ACTIONS),
        c.ITEM_ID: coded(events["items"], names.items),
        "origin": coded(events["origin"], ORIGINS),
        "slot": coded(events["slot"], SLOTS),
        "cause_item": coded(events["cause_item"], names.items),
        "reason": coded(main, REASONS),
    }
    for place, name in enumerate(REASONS):
        columns[f"from_{name}"] = number(np.ascontiguousarray(reasons[:, place]))
    return pa.table(columns)


def _exposures(
    rows: Rows, names: Names, arm: pa.Array, context: pa.Array, propensity: npt.NDArray
) -> pa.Table:
    n = len(rows["users"])

    def known(name: str, kind: pa.DataType) -> pa.Array:
        return pa.array(rows[name], kind) if name in rows else pa.nulls(n, kind)

    return pa.table(
        {
            c.USER_ID: coded(rows["users"], names.users),
            c.TIME: pa.array(rows["time"]),
            c.ARM: arm.cast(pa.string()),
            c.PROPENSITY: pa.array(propensity.astype(np.float64)),
            c.CONTEXT: context,
            c.CLICKED: known("clicked", pa.bool_()),
            c.CONVERTED: known("converted", pa.bool_()),
            c.SPEND: known("spend", pa.float64()),
            c.COST: known("cost", pa.float64()),
        }
    )


def price_exposures(rows: Rows, world: World, names: Names) -> pa.Table:
    """A row a look under the price test; the arm is the multiplier of the tag's price."""
    item = coded(rows["items"], names.items).cast(pa.string())
    listed = pa.array(world.items.price[rows["items"]])
    context = to_json(item_id=item, list_price=listed, price=pa.array(rows["price"]))
    arms = [f"price:{arm:g}" for arm in PRICE_ARMS]
    even = np.full(len(rows["users"]), 1 / len(PRICE_ARMS))
    return _exposures(rows, names, coded(rows["arm"], arms), context, even)


def recommendation_exposures(rows: Rows, names: Names) -> pa.Table:
    """A row a recommended item; places of a slate are drawn independently of each other."""
    item = pc.binary_join_element_wise(
        "item:", coded(rows["items"], names.items).cast(pa.string()), ""
    )
    context = to_json(
        session_id=labelled("s", rows["session"]),
        place=pa.array(rows["place"]),
        category=coded(rows["category"], [row.path for row in CATEGORIES]).cast(pa.string()),
    )
    return _exposures(rows, names, item, context, rows["propensity"])


def ad_exposures(rows: Rows, names: Names) -> pa.Table:
    """A row a user and week; spend is what the user spent in the seven days after."""
    arm = coded(rows["arm"], [f"ad:{name}" for name in ADS])
    context = pa.array(['{"days":7}'] * len(rows["users"]), pa.string())
    return _exposures(rows, names, arm, context, rows["propensity"])


def reply_exposures(rows: Rows, names: Names) -> pa.Table:
    """A row a dialogue; ``converted`` says whether the customer was satisfied (4 or 5 of 5)."""
    arm = coded(rows["reply"], [f"reply:{name}" for name in REPLIES])
    context = to_json(
        dialogue_id=labelled("d", rows["number"]),
        intent=coded(rows["intent"], INTENTS).cast(pa.string()),
        emotion=coded(rows["emotion"], EMOTIONS).cast(pa.string()),
    )
    satisfied = {**rows, "converted": rows["satisfaction"] >= 4}
    return _exposures(satisfied, names, arm, context, rows["propensity"])


def reviews_table(rows: Rows, names: Names, texts: ReviewTexts) -> pa.Table:
    """The contract's ``reviews``."""
    return pa.table(
        {
            c.USER_ID: coded(rows["users"], names.users).cast(pa.string()),
            c.ITEM_ID: coded(rows["items"], names.items).cast(pa.string()),
            c.TIME: pa.array(rows["time"]),
            c.RATING: pa.array(rows["rating"].astype(np.float64)),
            c.TITLE: pa.array([title or None for title in texts.titles], pa.string()),
            c.TEXT: pa.array(texts.texts, pa.string()),
        }
    )


def reviews_truth(rows: Rows, names: Names, texts: ReviewTexts) -> pa.Table:
    """What each review says: keys, satisfaction, polarity by aspect, and traits of its text."""
    table = pa.table(
        {
            c.USER_ID: coded(rows["users"], names.users).cast(pa.string()),
            c.ITEM_ID: coded(rows["items"], names.items).cast(pa.string()),
            c.TIME: pa.array(rows["time"]),
            "satisfaction": pa.array(rows["satisfaction"]),
            **{
                f"says_{aspect}": pa.array(rows["polarity"][:, place])
                for place, aspect in enumerate(ASPECTS)
            },
        }
    )
    for name in texts.traits.column_names:
        table = table.append_column(name, texts.traits[name])
    return table


def dialogues_table(rows: Rows, names: Names, texts: DialogueTexts) -> pa.Table:
    """The contract's ``dialogues``: one row a turn, a minute or so apart."""
    turns = texts.turns
    dialogue = turns["dialogue"].to_numpy()
    turn = turns["turn"].to_numpy().astype(np.int64)
    last = np.append(dialogue[1:] != dialogue[:-1], True) if len(dialogue) else dialogue == 0
    first = turn == 0

    def at(name: str) -> npt.NDArray:
        return rows[name][dialogue]

    return pa.table(
        {
            c.DIALOGUE_ID: labelled("d", at("number")),
            c.USER_ID: coded(at("users"), names.users).cast(pa.string()),
            c.TIME: pa.array(at("time") + turn * 55_000_000),
            c.ROLE: turns["role"].combine_chunks(),
            c.TEXT: turns["text"].combine_chunks(),
            c.INTENT: coded(np.where(first, at("intent"), -1), INTENTS).cast(pa.string()),
            c.EMOTION: coded(np.where(first, at("emotion"), -1), EMOTIONS).cast(pa.string()),
            c.SATISFACTION: number(np.where(last, at("satisfaction"), np.nan)),
        }
    )


def dialogues_truth(rows: Rows, names: Names) -> pa.Table:
    """Whether each reply suited, and how probable that was."""
    return pa.table(
        {
            c.DIALOGUE_ID: labelled("d", rows["number"]),
            c.USER_ID: coded(rows["users"], names.users).cast(pa.string()),
            c.ITEM_ID: coded(rows["items"], names.items).cast(pa.string()),
            c.INTENT: coded(rows["intent"], INTENTS).cast(pa.string()),
            c.EMOTION: coded(rows["emotion"], EMOTIONS).cast(pa.string()),
            "reply": coded(rows["reply"], REPLIES).cast(pa.string()),
            c.PROPENSITY: pa.array(rows["propensity"]),
            "suited": pa.array(rows["suited"]),
            "suit_probability": pa.array(rows["suit_probability"]),
        }
    )


def streams_table(
    streams: list[Stream], names: Names, scripts: list[str], content: bool
) -> pa.Table:
    """The contract's ``streams``."""
    table: dict[str, pa.Array] = {
        c.STREAM_ID: names.streams,
        c.TIME: pa.array([stream.time for stream in streams], pa.int64()),
        c.ITEMS_SHOWN: pa.array(
            [names.items.take(pa.array(stream.items)).to_pylist() for stream in streams],
            pa.list_(pa.string()),
        ),
    }
    if content:
        table[c.VIDEO] = pc.binary_join_element_wise("videos/", names.streams, ".mp4", "")
        table[c.TRANSCRIPT] = pa.array(scripts, pa.string())
    return pa.table(table)


def streams_truth(streams: list[Stream], names: Names) -> pa.Table:
    """Which item each stream shows from which second to which."""
    shown = [(stream, place) for stream in streams for place in range(len(stream.items))]
    start = np.array([place * SECONDS_EACH for _, place in shown], np.float64)
    return pa.table(
        {
            c.STREAM_ID: coded(np.array([s.number for s, _ in shown], int), names.streams),
            c.ITEM_ID: coded(np.array([s.items[k] for s, k in shown], int), names.items),
            "start_s": pa.array(start),
            "end_s": pa.array(start + SECONDS_EACH),
        }
    )


def users_truth(world: World, names: Names) -> pa.Table:
    """Users' latent tastes, group, hazard, rhythm and mood."""
    users = world.users
    columns: dict[str, pa.Array] = {
        c.USER_ID: names.users,
        "language": coded(users.language, LANGUAGES),
        "group": coded(users.group, USER_GROUPS),
        "sessions_per_day": pa.array(users.rate),
        "rhythm": coded(users.rhythm, list(RHYTHMS)),
        "churn_hazard": pa.array(users.hazard),
        "mood": pa.array(users.mood),
        "quality_weight": pa.array(users.quality_weight),
    }
    for place, axis in enumerate(STYLE_AXES):
        columns[f"likes_{axis}"] = pa.array(users.taste_style[:, place])
    for place, category in enumerate(CATEGORIES):
        columns[f"taste_{category.noun}"] = pa.array(users.taste_category[:, place])
    for place in range(users.taste_brand.shape[1]):
        columns[f"brand_{place}"] = coded(users.taste_brand[:, place], BRANDS)
    for place, ad in enumerate(ADS[1:], start=1):
        columns[f"uplift_{ad}"] = pa.array(users.ad_uplift[:, place])
    return pa.table(columns)


def items_truth(world: World, names: Names) -> pa.Table:
    """Items' latent style, quality, appeal and partners."""
    items = world.items
    columns: dict[str, pa.Array] = {
        c.ITEM_ID: names.items,
        "category_zh": coded(items.category, [category.path_zh for category in CATEGORIES]),
        "group": coded(items.group, ITEM_GROUPS),
        "language": coded(items.language, LANGUAGES),
        "quality": pa.array(items.quality),
        "appeal": pa.array(items.appeal),
        c.COST: pa.array(items.cost),
    }
    for place, axis in enumerate(STYLE_AXES):
        columns[f"style_{axis}"] = pa.array(items.style[:, place])
    for place, aspect in enumerate(ASPECTS):
        columns[f"good_{aspect}"] = pa.array(items.aspects[:, place])
    for place in range(items.partners.shape[1]):
        columns[f"partner_{place}"] = coded(items.partners[:, place], names.items)
    return pa.table(columns)


def market_truth(world: World, market: Market, names: Names) -> pa.Table:
    """By week and item: the shock that the shop's tables do not show."""
    weeks, n = market.shock.shape
    week, item = np.repeat(np.arange(weeks), n), np.tile(np.arange(n), weeks)
    return pa.table(
        {
            "week": pa.array(week.astype(np.int32)),
            c.ITEM_ID: coded(item, names.items),
            "phase": coded(market.phase[week], PHASES),
            "shock": pa.array(market.shock.ravel()),
            "promoted": pa.array(market.promoted.ravel()),
        }
    )


def ad_propensities() -> dict[str, float]:
    """Probability of each advertisement for a user who is drawn an arm."""
    return dict(zip(ADS, AD_PROPENSITIES, strict=True))


def departures(rows: Rows, names: Names) -> pa.Table:
    """Who left for good on which day, and how unhappy they were."""
    return pa.table(
        {
            c.USER_ID: coded(rows["users"], names.users),
            "day": pa.array(rows["day"].astype(np.int32)),
            "unhappiness": pa.array(rows["unhappiness"]),
        }
    )


def _personal(table: str, row: pa.Array, turn: pa.Array, found: pa.Table) -> pa.Table:
    """Where personal data stands: code points [start, end) of the text of a row."""
    return pa.table(
        {
            "table": pa.array([table] * found.num_rows, pa.string()),
            "row": row.cast(pa.string()),
            "turn": turn.cast(pa.int16()),
            **{
                name: found[name].combine_chunks().cast(kind)
                for name, kind in (
                    ("kind", pa.string()),
                    ("start", pa.int32()),
                    ("end", pa.int32()),
                    ("value", pa.string()),
                )
            },
        }
    )


def personal_in_reviews(texts: ReviewTexts) -> pa.Table:
    """The personal data in reviews; ``row`` is the review's place in ``reviews.parquet``."""
    found = texts.personal
    review = found["review"].combine_chunks().cast(pa.int64())
    return _personal("reviews", review, pa.nulls(found.num_rows, pa.int16()), found)


def personal_in_dialogues(rows: Rows, texts: DialogueTexts) -> pa.Table:
    """The personal data in dialogues; ``row`` is the dialogue's id, ``turn`` counts from 0."""
    found = texts.personal
    number = rows["number"][found["dialogue"].to_numpy()]
    return _personal("dialogues", labelled("d", number), found["turn"].combine_chunks(), found)
