"""Taobao UserBehavior: views, carts, favourites and purchases of nine days."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shoploom.core import columns as c
from shoploom.core.progress import Progress
from shoploom.tables.layouts import LAYOUTS
from shoploom.tables.layouts._shop import ShopWriter
from shoploom.tables.source import Source


@dataclass(frozen=True)
class Taobao:
    """UserBehavior.csv (or other .csv files of its layout), as published on Tianchi."""

    description: str = "Taobao UserBehavior: 100 M actions of 988 k users, 25 Nov to 3 Dec 2017"
    files: tuple[str, ...] = ("UserBehavior.csv",)
    licence: str = "CC BY-NC-SA 4.0"
    caveat: str = (
        "Taobao UserBehavior data has no prices, and most items are seen once. The promotion of "
        "12 December is near, so the last days are no ordinary ones."
    )

    def convert(self, folder: Path, out: Path, progress: Progress) -> Path:
        shop = ShopWriter(folder, out, progress)
        log = shop.rows(
            Source(
                shop.find("UserBehavior*.csv", "*.csv"),
                header=False,
                names=["user", "item", "category", "behaviour", "timestamp"],
            )
        )
        events = Source(
            data=log,
            columns={
                c.USER_ID: "user",
                c.TIME: "timestamp",
                c.ACTION: "behaviour",
                c.ITEM_ID: "item",
            },
            actions={"pv": c.VIEW, "cart": c.CART, "fav": c.FAVOURITE, "buy": c.PURCHASE},
            time_unit="s",
        )
        shop.write_typed({"events": events})
        # An item has one category; of the few with two, the smaller number is taken.
        items = log.group_by(**{c.ITEM_ID: log["item"]}).aggregate(
            **{c.CATEGORY: log["category"].min()}
        )
        shop.write("items", items)
        return shop.finish("Taobao", caveat=self.caveat, currency="CNY", timezone="Asia/Shanghai")


LAYOUTS.register("taobao")(Taobao())
