"""REES46: monthly logs of a multi-category shop, views to purchases with prices."""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shoploom.core import columns as c
from shoploom.core.progress import Progress
from shoploom.tables.layouts import LAYOUTS
from shoploom.tables.layouts._shop import ShopWriter
from shoploom.tables.source import Source


@dataclass(frozen=True)
class Rees46:
    """2019-Oct.csv and other months, as published on Kaggle and by REES46."""

    description: str = "REES46: 285 M events of a multi-category shop, October 2019 to April 2020"
    files: tuple[str, ...] = ("2019-Oct.csv", "2019-Nov.csv", "...")
    licence: str = "free with attribution to REES46 Marketing Platform"
    caveat: str = (
        "REES46 data: an item's category and brand are the last ones seen in the log, and the "
        "currency is not stated by the publisher (taken to be USD)."
    )

    def convert(self, folder: Path, out: Path, progress: Progress) -> Path:
        shop = ShopWriter(folder, out, progress)
        log = shop.rows(Source(shop.find("20[0-9][0-9]-*.csv")))
        events = Source(
            data=log,
            columns={
                c.TIME: "event_time",
                c.ACTION: "event_type",
                c.ITEM_ID: "product_id",
                c.SESSION_ID: "user_session",
            },
            actions={"remove_from_cart": c.REMOVE},
        )
        shop.write_typed({"events": events})
        code = log["category_code"].nullif("").replace(".", c.CATEGORY_SEPARATOR)
        brand = log["brand"].nullif("")
        last = log["event_time"]
        known = log["product_id"].nullif("").notnull()
        items = (
            log.filter(known)
            .group_by(**{c.ITEM_ID: log["product_id"]})
            .aggregate(
                **{
                    c.CATEGORY: code.argmax(last, where=code.notnull()).coalesce(
                        log["category_id"].argmax(last)
                    ),
                    c.BRAND: brand.argmax(last, where=brand.notnull()),
                }
            )
        )
        shop.write("items", items)
        return shop.finish("REES46", caveat=self.caveat, currency="USD")


LAYOUTS.register("rees46")(Rees46())
