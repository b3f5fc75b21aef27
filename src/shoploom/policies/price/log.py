"""What the log says of prices: the price test where the shop ran one, weekly offers where not.

A price test (exposures ``price:RATIO`` with propensities) says what each visitor was shown and what
came of it. Offers say what the tag said; then units are counted by item, week and group of users,
and whatever may have moved price and demand together stands beside them: season, competitor,
promotion, display, what sold before and what everything else sold.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import DataError, UnknownName
from shoploom.core.time import DAY_US, WEEK_US
from shoploom.policies.price.demand import Offered
from shoploom.policies.price.hierarchy import Codes, Floats
from shoploom.policies.target import KIND_SEPARATOR, Shown, shown
from shoploom.tables import Tables

KIND = "price"
EVERYBODY = "everybody"
OTHERS = "others"

_GROUPS = 12  # values of an attribute that users are grouped by, at most
_CATEGORIES = 100  # categories that elasticities are drawn towards; deeper ones are cut off
_CARRIED = 4  # weeks that an offer holds where no newer one is dated
_PER_WEEK = 1.0  # units of an item in a week, below which it is left out
_WEEKS = 8  # that an item has to be on offer
_TIMES = 3.0  # that a price may be off the usual one; beyond, it is taken for a mistake
_FOREIGN = 2.0  # times that prices may be off the catalogue's
_BLOCK = 4  # weeks that are compared with each other
_YEAR_WEEKS = 365.25 / 7
_MONDAY = 3 * DAY_US  # 1970 began on a Thursday; weeks begin on Mondays


@dataclass(frozen=True)
class Catalogue:
    """What the shop says of its items, in the order of ``ids``.

    Attributes:
        ids: ``(n,)``. category: ``(n,)`` codes into ``categories``.
        price: ``(n,)`` that is not a promotion's. cost: NaN where it is not known.
        competitor: the latest of a competitor, NaN where none is known.
    """

    ids: NDArray[np.object_]
    categories: tuple[str, ...]
    category: Codes
    price: Floats
    cost: Floats
    competitor: Floats

    def codes(self, ids: NDArray[np.object_]) -> NDArray[np.int64]:
        """``(n,)`` places of ids, -1 where unknown."""
        place = {str(item): code for code, item in enumerate(self.ids)}
        return np.array([place.get(str(item), -1) for item in ids], dtype=np.int64)


@dataclass(frozen=True)
class Groups:
    """Groups of users by one of their attributes.

    Attributes:
        names: of the groups. of: group of a user, the last for those who are not known.
    """

    names: tuple[str, ...]
    of: dict[str, int]

    def codes(self, users: NDArray[np.object_]) -> NDArray[np.int64]:
        """``(n,)`` group of each user."""
        last = len(self.names) - 1
        return np.array([self.of.get(str(user), last) for user in users], dtype=np.int64)


def has_test(tables: Tables) -> bool:
    """Whether prices were drawn, with the chances logged."""
    if tables.exposures is None or c.PROPENSITY not in tables.exposures.columns:
        return False
    table = tables.exposures
    mine = table.filter(table[c.ARM].startswith(KIND + KIND_SEPARATOR))
    return int(mine[c.PROPENSITY].count().to_pyarrow().as_py()) > 0


def catalogue(tables: Tables) -> Catalogue:
    """The items that have a price, from the catalogue and from offers.

    Raises:
        DataError: no price is known, or offers and catalogue are in different currencies.
    """
    listed = _listed(tables)
    tags, rivals = _tags(tables)
    ids = sorted({*listed, *tags})
    price = np.array([listed.get(i, {}).get(c.PRICE) or np.nan for i in ids], dtype=np.float64)
    tag = np.array([tags.get(i, np.nan) for i in ids], dtype=np.float64)
    both = np.isfinite(price) & np.isfinite(tag)
    if both.any():
        _same_currency(float(np.median(tag[both] / price[both])), "offers")
    price = np.where(np.isfinite(price), price, tag)
    known = np.isfinite(price) & (price > 0)
    if not known.any():
        raise DataError(
            "prices: expected a price in items or offers, found none; add a column `price`."
        )
    ids = [item for item, has in zip(ids, known.tolist(), strict=True) if has]
    names, codes = _categories([listed.get(i, {}).get(c.CATEGORY) or "" for i in ids])
    cost = [listed.get(i, {}).get(c.COST) for i in ids]
    return Catalogue(
        np.array(ids, dtype=object),
        names,
        codes,
        price[known],
        np.array([np.nan if x is None else x for x in cost], dtype=np.float64),
        np.array([rivals.get(i, np.nan) for i in ids], dtype=np.float64),
    )


def groups_of(tables: Tables, by: str | None) -> Groups:
    """Users by an attribute of theirs; everybody together without one.

    Raises:
        DataError: the attribute has too many values, or the shop knows nothing of its users.
        UnknownName: there is no such attribute.
    """
    if by is None:
        return Groups((EVERYBODY,), {})
    if tables.users is None:
        raise DataError(f"prices by {by!r}: expected a table of users, the shop has none.")
    known = sorted(set(tables.users.columns) - {c.USER_ID, c.CONSENT})
    if by not in known:
        raise UnknownName("attribute", by, known, where="the table of users")
    frame = tables.users.select(c.USER_ID, by).to_pyarrow().to_pydict()
    values = sorted({str(value) for value in frame[by] if value is not None})
    if not 1 < len(values) <= _GROUPS:
        raise DataError(
            f"prices by {by!r}: expected 2 to {_GROUPS} different values, got {len(values):,}."
        )
    place = {value: code for code, value in enumerate(values)}
    of = {
        str(user): place[str(value)]
        for user, value in zip(frame[c.USER_ID], frame[by], strict=True)
        if value is not None
    }
    names = tuple(values)
    whole = len(of) == len(frame[by])
    return Groups(names if whole else (*names, OTHERS), of)


def tested(tables: Tables, goods: Catalogue, groups: Groups) -> tuple[Offered, Shown]:
    """The price test, one row per price that somebody saw, and the exposures themselves.

    Raises:
        DataError: one price only was tried, an arm is no number, or the exposures do not say which
            item they are of.
    """
    assert tables.exposures is not None
    names = _arm_names(tables)
    log = shown(tables, kind=KIND, control=min(names, key=lambda name: abs(float(name) - 1)))
    said = [json.loads(text) if text else {} for text in log.context]
    item = goods.codes(np.array([each.get(c.ITEM_ID) for each in said], dtype=object))
    if (item < 0).all():
        raise DataError(
            "exposures of 'price': expected a context such as "
            '{"item_id": "i1", "price": 9.90}, found no known item in any.'
        )
    arms = np.array([float(name) for name in log.arms])
    listed = goods.price[np.maximum(item, 0)]
    paid = np.array([each.get(c.PRICE) or np.nan for each in said], dtype=np.float64)
    paid = np.where(np.isfinite(paid), paid, listed * arms[log.arm])
    tag = paid / arms[log.arm]
    met = item >= 0
    _same_currency(float(np.median(tag[met] / listed[met])), "exposures of 'price'")
    rows = np.flatnonzero(met)
    group = groups.codes(log.users)
    start = int(log.times.min(initial=0))
    weeks = (log.times - start) / WEEK_US
    before = _sold_before(tables, goods, start)
    context = np.stack(
        [
            goods.category[item],
            np.log(listed),
            # To a hundredth: below it, how a price was rounded would tell the arm.
            np.round(np.log(tag / listed), 2),
            np.log1p(before)[item],
            group,
            weeks,
        ],
        axis=1,
    )
    offered = Offered(
        items=goods.ids,
        category=goods.category,
        groups=groups.names,
        item=item[rows],
        group=group[rows],
        ratio=np.log(arms)[log.arm[rows]],
        units=(log.outcome / paid)[rows],
        context=context[rows],
        owners=log.users[rows],
        time=log.times[rows],
        expected=(log.chance @ np.log(arms))[rows],
    )
    return offered, log.take(rows)


def offered(tables: Tables, goods: Catalogue, groups: Groups) -> Offered:
    """Offers by item, week and group, with what may have moved price and demand together.

    Raises:
        DataError: the shop has no offers, or no purchases of what it offered.
    """
    if tables.offers is None:
        raise DataError(
            "prices: expected a table of offers (item_id, time, price) or exposures "
            "`price:RATIO` with propensities, the shop has neither."
        )
    panel = _Panel.of(tables, goods, groups)
    item, week = np.nonzero(panel.on_offer)
    if not len(item):
        raise DataError(
            "prices: expected items on offer that sell in most weeks, found none: too little to "
            "learn how demand answers."
        )
    whole = panel.units.sum(axis=2)
    # What sold in the weeks before, and what everything else sold: both tell of demand.
    last = np.log1p(_before(whole, 1))
    month = np.log1p(sum(_before(whole, back) for back in range(1, 5)) / 4)
    others = np.log1p(np.maximum(whole.sum(axis=0) - whole, 0))
    columns = [
        panel.competitor[item, week],
        panel.promotion[item, week],
        panel.display[item, week],
        last[item, week],
        month[item, week],
        others[item, week],
        _before(panel.ratio, 1)[item, week],
        goods.category[item],
        np.log(goods.price[item]),
        week,
        np.sin(2 * np.pi * (week + panel.first_week) / _YEAR_WEEKS),
        np.cos(2 * np.pi * (week + panel.first_week) / _YEAR_WEEKS),
    ]
    context = np.stack(columns, axis=1).astype(np.float64)
    n_groups = len(groups.names)
    group = np.tile(np.arange(n_groups), len(item))
    item, week = np.repeat(item, n_groups), np.repeat(week, n_groups)
    # How an item is doing lasts for weeks: only differences within a few of them are compared.
    owners = np.array([f"{i}/{w // _BLOCK}" for i, w in zip(item, week, strict=True)], dtype=object)
    return Offered(
        items=goods.ids,
        category=goods.category,
        groups=groups.names,
        item=item,
        group=group,
        ratio=panel.ratio[item, week],
        units=panel.units[item, week, group],
        context=np.column_stack([np.repeat(context, n_groups, axis=0), group]),
        owners=owners,
        time=(week + panel.first_week) * WEEK_US - _MONDAY,
    )


def sales(
    tables: Tables, goods: Catalogue, groups: Groups, *, weeks: int
) -> tuple[Floats, Floats, int]:
    """Units and their mean price over the last weeks, ``(n_items, n_groups)`` each, and the end.

    The price is NaN where nothing was sold.
    """
    end = int(tables.events[c.TIME].max().to_pyarrow().as_py()) + 1
    units, spent = _sold(tables, goods, groups, end - weeks * WEEK_US)
    return units, np.where(units > 0, spent / np.maximum(units, 1e-9), np.nan), end


@dataclass(frozen=True)
class _Panel:
    """By item and week, ``(n_items, n_weeks)``; units by group too."""

    first_week: int
    on_offer: NDArray[np.bool_]
    ratio: Floats
    competitor: Floats
    promotion: Floats
    display: Floats
    units: Floats

    @classmethod
    def of(cls, tables: Tables, goods: Catalogue, groups: Groups) -> _Panel:
        assert tables.offers is not None
        frame = tables.offers.to_pyarrow()
        item = goods.codes(frame[c.ITEM_ID].to_numpy(zero_copy_only=False))
        week = (frame[c.TIME].to_numpy().astype(np.int64) + _MONDAY) // WEEK_US
        low, high = _weeks_of(tables)
        kept = (item >= 0) & (week <= high) & (week >= low - _CARRIED)
        item, week = item[kept], week[kept] - (low - _CARRIED)
        shape = (len(goods.ids), high - low + 1 + _CARRIED)

        def filled(values: Floats) -> Floats:
            """Means by week, carried on for a few weeks; NaN beyond."""
            known = np.isfinite(values)
            flat = item[known] * shape[1] + week[known]
            size = shape[0] * shape[1]
            count = np.bincount(flat, minlength=size)
            total = np.bincount(flat, values[known], size)
            mean = np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(shape)
            for back in range(1, _CARRIED):
                older = np.full(shape, np.nan)
                older[:, back:] = np.where(count > 0, total, np.nan).reshape(shape)[:, :-back]
                n = np.ones(shape)
                n[:, back:] = np.maximum(count, 1).reshape(shape)[:, :-back]
                mean = np.where(np.isfinite(mean), mean, older / n)
            return mean[:, _CARRIED:]

        def numbers(name: str) -> Floats:
            if name not in frame.column_names:
                return np.full(int(kept.sum()), np.nan)
            column = frame[name].cast("double").to_numpy(zero_copy_only=False)
            return column.astype(np.float64)[kept]

        def said(name: str) -> Floats:
            """1 where something is named, 0 where not."""
            if name not in frame.column_names:
                return np.zeros(int(kept.sum()))
            return frame[name].is_valid().to_numpy(zero_copy_only=False).astype(float)[kept]

        price = filled(numbers(c.PRICE))
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.log(price / goods.price[:, None])
            rival = np.log(filled(numbers(c.COMPETITOR_PRICE)) / goods.price[:, None])
        units = _weekly(tables, goods, groups, low, high)
        on_offer = np.isfinite(ratio) & (np.abs(ratio) < np.log(_TIMES))
        weeks = on_offer.sum(axis=1)
        sold = (units.sum(axis=2) * on_offer).sum(axis=1)
        enough = (weeks >= _WEEKS) & (sold >= _PER_WEEK * weeks)
        return cls(
            first_week=low,
            on_offer=on_offer & enough[:, None],
            ratio=np.where(np.isfinite(ratio), ratio, 0.0),
            competitor=rival,
            promotion=np.nan_to_num(filled(said(c.PROMOTION))),
            display=np.nan_to_num(filled(said(c.DISPLAY))),
            units=units,
        )


def _before(weekly: Floats, weeks: int) -> Floats:
    """The same some weeks earlier; NaN before the log."""
    out = np.full(weekly.shape, np.nan)
    out[:, weeks:] = weekly[:, :-weeks]
    return out


def _weeks_of(tables: Tables) -> tuple[int, int]:
    """The first and the last week that purchases fill but for a day."""
    bought = tables.events.filter(tables.events[c.ACTION] == c.PURCHASE)
    times = bought[c.TIME]
    first, last = (x.to_pyarrow().as_py() for x in (times.min(), times.max()))
    if first is None:
        raise DataError("prices: expected purchases, the log has none.")
    low, high = (
        -(-(int(first) + _MONDAY - DAY_US) // WEEK_US),
        (int(last) + _MONDAY + DAY_US) // WEEK_US - 1,
    )
    return low, max(high, low)


def _weekly(tables: Tables, goods: Catalogue, groups: Groups, low: int, high: int) -> Floats:
    """``(n_items, n_weeks, n_groups)`` units sold."""
    bought = _bought(tables, low * WEEK_US - _MONDAY)
    week = ((bought[c.TIME] + _MONDAY) // WEEK_US).cast("int64")
    frame = (
        bought.mutate(week=week)
        .filter(week <= high)
        .group_by(c.ITEM_ID, c.USER_ID, "week")
        .aggregate(units=bought["units"].sum())
        .to_pyarrow()
    )
    item = goods.codes(frame[c.ITEM_ID].to_numpy(zero_copy_only=False))
    group = groups.codes(frame[c.USER_ID].to_numpy(zero_copy_only=False))
    place = frame["week"].to_numpy().astype(np.int64) - low
    units = np.zeros((len(goods.ids), high - low + 1, len(groups.names)))
    met = item >= 0
    np.add.at(units, (item[met], place[met], group[met]), frame["units"].to_numpy()[met])
    return units


def _sold(tables: Tables, goods: Catalogue, groups: Groups, since: int) -> tuple[Floats, Floats]:
    """``(n_items, n_groups)`` units and money since a moment."""
    bought = _bought(tables, since)
    frame = (
        bought.group_by(c.ITEM_ID, c.USER_ID)
        .aggregate(units=bought["units"].sum(), spent=(bought["units"] * bought[c.PRICE]).sum())
        .to_pyarrow()
    )
    item = goods.codes(frame[c.ITEM_ID].to_numpy(zero_copy_only=False))
    group = groups.codes(frame[c.USER_ID].to_numpy(zero_copy_only=False))
    met = item >= 0
    shape = (len(goods.ids), len(groups.names))
    units, spent = np.zeros(shape), np.zeros(shape)
    np.add.at(units, (item[met], group[met]), _column(frame, "units")[met])
    np.add.at(spent, (item[met], group[met]), _column(frame, "spent")[met])
    return units, spent


def _column(frame: pa.Table, name: str) -> Floats:
    return np.nan_to_num(frame[name].cast("double").to_numpy(zero_copy_only=False))


def _bought(tables: Tables, since: int):
    """Purchases since a moment, with ``units``; a purchase without a quantity is one unit."""
    events = tables.events
    bought = events.filter(events[c.ACTION] == c.PURCHASE, events[c.TIME] >= since)
    units = bought[c.QUANTITY].fill_null(1.0) if c.QUANTITY in events.columns else 1.0
    return bought.mutate(units=units)


def _sold_before(tables: Tables, goods: Catalogue, at: int) -> Floats:
    """``(n_items,)`` units sold before a moment."""
    units, _ = _sold(tables.as_of(at), goods, Groups((EVERYBODY,), {}), 0)
    return units.sum(axis=1)


def _listed(tables: Tables) -> dict[str, dict[str, object]]:
    if tables.items is None:
        return {}
    wanted = [n for n in (c.PRICE, c.COST, c.CATEGORY) if n in tables.items.columns]
    rows = tables.items.select(c.ITEM_ID, *wanted).to_pyarrow().to_pylist()
    return {str(row.pop(c.ITEM_ID)): row for row in rows}


def _tags(tables: Tables) -> tuple[dict[str, float], dict[str, float]]:
    """By item, the median price on offer without promotion, and the competitor's latest."""
    if tables.offers is None:
        return {}, {}
    table = tables.offers
    plain = table.filter(table[c.PROMOTION].isnull()) if c.PROMOTION in table.columns else table
    medians = plain.group_by(c.ITEM_ID).aggregate(tag=plain[c.PRICE].median()).to_pyarrow()
    tags = dict(zip(*(medians[n].to_pylist() for n in (c.ITEM_ID, "tag")), strict=True))
    if c.COMPETITOR_PRICE not in table.columns:
        return tags, {}
    known = table.filter(table[c.COMPETITOR_PRICE].notnull())
    latest = known.group_by(c.ITEM_ID).aggregate(
        rival=known[c.COMPETITOR_PRICE].argmax(known[c.TIME])
    )
    frame = latest.to_pyarrow()
    return tags, dict(zip(*(frame[n].to_pylist() for n in (c.ITEM_ID, "rival")), strict=True))


def _categories(paths: list[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names and codes of categories, as deep as there are not too many of them."""
    parts = [path.split(c.CATEGORY_SEPARATOR) for path in paths]
    deepest = max((len(path) for path in parts), default=1)
    cut = [c.CATEGORY_SEPARATOR.join(path[:1]) for path in parts]
    for depth in range(2, deepest + 1):
        deeper = [c.CATEGORY_SEPARATOR.join(path[:depth]) for path in parts]
        if len(set(deeper)) > _CATEGORIES:
            break
        cut = deeper
    names, codes = np.unique(np.array(cut, dtype=str), return_inverse=True)
    return tuple(names.tolist()), codes.astype(np.int64)


def _arm_names(tables: Tables) -> list[str]:
    begins = KIND + KIND_SEPARATOR
    table = tables.exposures
    assert table is not None
    arms = table.filter(table[c.ARM].startswith(begins)).select(c.ARM).distinct().to_pyarrow()
    names = sorted(str(name).removeprefix(begins) for name in arms[c.ARM].to_pylist())
    for name in names:
        try:
            fine = float(name) > 0
        except ValueError:
            fine = False
        if not fine:
            raise DataError(
                f"exposures of 'price': expected arms such as price:0.9, the price over the list "
                f"price, got {begins + name!r}."
            )
    if len(names) < 2:
        raise DataError(
            f"exposures of 'price': expected several prices, found only {', '.join(names)}: how "
            "demand answers to another one cannot be told. Draw prices at random for a while."
        )
    return names


def _same_currency(times: float, where: str) -> None:
    if not 1 / _FOREIGN < times < _FOREIGN:
        raise DataError(
            f"{where}: expected prices in the currency of the catalogue, they stand {times:.2g} "
            "times as high as there at the median. Convert one of both."
        )
