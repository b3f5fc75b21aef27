"""Olist: 100,000 orders of a Brazilian marketplace, with reviews."""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoploom.core import columns as c
from shoploom.core.progress import Progress
from shoploom.tables.layouts import LAYOUTS
from shoploom.tables.layouts._shop import ShopWriter
from shoploom.tables.source import Source

if TYPE_CHECKING:
    import ibis.expr.types as ir

_NOT_BOUGHT = ("canceled", "unavailable")
_TIMEZONE = "America/Sao_Paulo"


@dataclass(frozen=True)
class Olist:
    """The olist_*_dataset.csv files, as published on Kaggle.

    ``customer_id`` is new for every order; the user is ``customer_unique_id``.
    """

    description: str = "Olist: 100 k orders of a Brazilian marketplace, 2016 to 2018, with reviews"
    files: tuple[str, ...] = (
        "olist_orders_dataset.csv",
        "olist_order_items_dataset.csv",
        "olist_customers_dataset.csv",
        "olist_products_dataset.csv",
        "product_category_name_translation.csv",
        "olist_order_reviews_dataset.csv",
        "olist_order_payments_dataset.csv",
    )
    licence: str = "CC BY-NC-SA 4.0"
    caveat: str = (
        "Olist data: 97 % of customers buy once. Cancelled and unavailable orders are left out. "
        "A review is of an order and stands at each of its items; products have no names. "
        "Payment instalments, sellers and geolocation are not used."
    )

    def convert(self, folder: Path, out: Path, progress: Progress) -> Path:
        shop = ShopWriter(folder, out, progress)
        customers = _rows(shop, "olist_customers_dataset.csv", "customers.csv")
        orders = _rows(shop, "olist_orders_dataset.csv", "orders.csv").join(
            customers.drop(c.FILE, c.ROW), "customer_id"
        )
        lines = _rows(shop, "olist_order_items_dataset.csv", "order_items.csv")
        bought = orders.filter(~orders["order_status"].isin(_NOT_BOUGHT))
        cancelled = orders["order_status"].isin(_NOT_BOUGHT).sum().to_pyarrow().as_py() or 0
        progress.note(f"left out {cancelled:,} orders that were cancelled or unavailable")
        sources = {
            "events": _events(lines, bought),
            "items": _items(shop),
            "users": Source(
                # A customer who moved has several rows; the latest order's stands.
                data=_last(orders, "customer_unique_id", "order_purchase_timestamp").select(
                    **{c.USER_ID: "customer_unique_id"},
                    city="customer_city",
                    state="customer_state",
                    postcode="customer_zip_code_prefix",
                )
            ),
        }
        if shop.has("*order_reviews*.csv"):
            sources["reviews"] = _reviews(shop, lines, orders)
        shop.write_typed(sources, timezone=_TIMEZONE)
        return shop.finish("Olist", caveat=self.caveat, currency="BRL", timezone=_TIMEZONE)


def _rows(shop: ShopWriter, *names: str) -> ir.Table:
    return shop.rows(Source(shop.find(*names)))


def _last(table: ir.Table, key: str, time: str) -> ir.Table:
    """The row with the greatest time of every key."""
    import ibis

    place = ibis.row_number().over(group_by=key, order_by=[ibis.desc(time), c.ROW])
    return table.mutate(place=place).filter(lambda t: t["place"] == 0).drop("place")


def _events(lines: ir.Table, orders: ir.Table) -> Source:
    """One purchase per order and item; a line in Olist's files is one piece."""
    pieces = lines.group_by("order_id", "product_id", "price").aggregate(
        **{c.QUANTITY: lines.count(), c.FILE: lines[c.FILE].min(), c.ROW: lines[c.ROW].min()}
    )
    return Source(
        data=pieces.join(orders.drop(c.FILE, c.ROW), "order_id").select(
            "order_id",
            "customer_unique_id",
            "order_purchase_timestamp",
            "product_id",
            c.PRICE,
            c.QUANTITY,
            c.FILE,
            c.ROW,
        ),
        columns={
            c.USER_ID: "customer_unique_id",
            c.TIME: "order_purchase_timestamp",
            c.ITEM_ID: "product_id",
            c.SESSION_ID: "order_id",
        },
        constants={c.ACTION: c.PURCHASE},
    )


def _items(shop: ShopWriter) -> Source:
    """Products with their category, in English where the translation is there."""
    products = _rows(shop, "olist_products_dataset.csv", "products.csv")
    category = products["product_category_name"]
    if shop.has("product_category_name_translation.csv"):
        names = _rows(shop, "product_category_name_translation.csv").drop(c.FILE, c.ROW)
        products = products.left_join(names, "product_category_name")
        category = products["product_category_name_english"].fill_null(
            products["product_category_name"]
        )
    return Source(
        data=products.select(
            c.FILE, c.ROW, **{c.ITEM_ID: products["product_id"], c.CATEGORY: category}
        )
    )


def _reviews(shop: ShopWriter, lines: ir.Table, orders: ir.Table) -> Source:
    reviews = _rows(shop, "olist_order_reviews_dataset.csv", "order_reviews.csv")
    reviewed = (
        reviews.join(lines.select("order_id", "product_id").distinct(), "order_id")
        .join(orders.select("order_id", "customer_unique_id"), "order_id")
        .select(
            c.FILE,
            c.ROW,
            "customer_unique_id",
            "product_id",
            "review_creation_date",
            "review_score",
            "review_comment_title",
            "review_comment_message",
        )
    )
    return Source(
        data=reviewed,
        columns={
            c.USER_ID: "customer_unique_id",
            c.ITEM_ID: "product_id",
            c.TIME: "review_creation_date",
            c.RATING: "review_score",
            c.TITLE: "review_comment_title",
            c.TEXT: "review_comment_message",
        },
    )


LAYOUTS.register("olist")(Olist())
