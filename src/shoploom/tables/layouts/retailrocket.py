"""RetailRocket: views, carts and transactions of 4.5 months, with hashed item properties."""

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

_DEPTH = 8  # the published tree is 6 deep


@dataclass(frozen=True)
class RetailRocket:
    """events.csv, item_properties_part*.csv and category_tree.csv, as published on Kaggle."""

    description: str = "RetailRocket: 2.7 M views, carts and transactions, May to September 2015"
    files: tuple[str, ...] = (
        "events.csv",
        "item_properties_part1.csv",
        "item_properties_part2.csv",
        "category_tree.csv",
    )
    licence: str = "CC BY-NC-SA 4.0"
    caveat: str = (
        "RetailRocket data hides names: item properties are hashed, category names are numbers, "
        "and there is no price. An item's category is the last one published, which may be later "
        "than an event."
    )

    def convert(self, folder: Path, out: Path, progress: Progress) -> Path:
        shop = ShopWriter(folder, out, progress)
        events = Source(
            shop.find("events.csv"),
            columns={
                c.USER_ID: "visitorid",
                c.TIME: "timestamp",
                c.ACTION: "event",
                c.ITEM_ID: "itemid",
            },
            actions={"addtocart": c.CART, "transaction": c.PURCHASE},
            time_unit="ms",
        )
        shop.write_typed({"events": events})
        if shop.has("item_properties*.csv"):
            shop.write("items", self._items(shop))
        return shop.finish("RetailRocket", caveat=self.caveat, currency="unknown")

    def _items(self, shop: ShopWriter) -> ir.Table:
        """Every item's last known category, as a path of category numbers from the root."""
        import ibis

        properties = shop.rows(Source(shop.find("item_properties*.csv")))
        of_category = properties.filter(properties["property"] == "categoryid")
        items = of_category.group_by(**{c.ITEM_ID: "itemid"}).aggregate(
            leaf=of_category["value"].argmax(of_category["timestamp"].cast("int64"))
        )
        if not shop.has("category_tree.csv"):
            return items.select(c.ITEM_ID, **{c.CATEGORY: items["leaf"]})
        tree = shop.rows(Source(shop.find("category_tree.csv")))
        parents = tree.select(child=tree["categoryid"], parent=tree["parentid"].nullif(""))
        paths = parents.select(leaf="child", path="child", top="parent")
        for _ in range(_DEPTH):
            above = parents.view()
            joined = paths.left_join(above, paths["top"] == above["child"])
            paths = joined.select(
                leaf=paths["leaf"],
                path=paths["top"]
                .isnull()
                .ifelse(
                    paths["path"],
                    ibis.literal(c.CATEGORY_SEPARATOR).join([paths["top"], paths["path"]]),
                ),
                top=above["parent"],
            )
        named = items.left_join(paths, items["leaf"] == paths["leaf"])
        return named.select(
            items[c.ITEM_ID], **{c.CATEGORY: paths["path"].fill_null(items["leaf"])}
        )


LAYOUTS.register("retailrocket")(RetailRocket())
