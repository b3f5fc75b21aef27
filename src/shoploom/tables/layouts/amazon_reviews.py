"""Amazon Reviews, the 2018 and 2023 editions: reviews and product pages as JSON lines."""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.core.progress import Progress
from shoploom.tables.layouts import LAYOUTS
from shoploom.tables.layouts._shop import ShopWriter, path_of
from shoploom.tables.source import Source

if TYPE_CHECKING:
    import ibis.expr.types as ir

#: What the two editions call the same thing, the later one first. In 2023 ``parent_asin`` joins
#: reviews to products; ``asin`` is one colour or size.
_REVIEW = {
    c.USER_ID: ("user_id", "reviewerID"),
    c.ITEM_ID: ("parent_asin", "asin"),
    c.TIME: ("timestamp", "unixReviewTime"),
    c.RATING: ("rating", "overall"),
    c.TITLE: ("summary", "title"),
    c.TEXT: ("text", "reviewText"),
}
_PRODUCT = {
    c.ITEM_ID: ("parent_asin", "asin"),
    c.TITLE: ("title",),
    c.DESCRIPTION: ("description",),
    c.CATEGORY: ("categories", "category"),
    c.BRAND: ("store", "brand"),
    c.PRICE: ("price",),
    c.IMAGE: ("images", "imageURLHighRes", "imageURL"),
}


@dataclass(frozen=True)
class AmazonReviews:
    """A category's reviews and its ``meta_*`` products, ``.jsonl`` or ``.json``, ``.gz`` or not."""

    description: str = "Amazon Reviews 2018 or 2023: one category's reviews and products"
    files: tuple[str, ...] = ("CATEGORY.jsonl", "meta_CATEGORY.jsonl")
    licence: str = "not stated; for research"
    caveat: str = (
        "Amazon Reviews data: a purchase is inferred from its review and dated by it, which may "
        "be long after, and purchases without a review are not there. Product pages are of the "
        "day they were fetched, later than most events."
    )

    def convert(self, folder: Path, out: Path, progress: Progress) -> Path:
        shop = ShopWriter(folder, out, progress)
        found = shop.find("*.json*")
        products = [path for path in found if path.name.startswith("meta")]
        reviews = [path for path in found if path not in products]
        if not reviews:
            raise DataError(
                f"expected a file of reviews beside {products[0].name} in {folder}, found none. "
                "Put CATEGORY.jsonl there too."
            )
        log = shop.rows(Source(reviews, format="jsonl"))
        shown = log.select(c.FILE, c.ROW, **_renamed(log, _REVIEW))
        bought = shown.select(c.FILE, c.ROW, c.USER_ID, c.ITEM_ID, c.TIME)
        constants = {c.ACTION: c.PURCHASE, c.SOURCE: "review"}
        sources = {
            "events": Source(data=bought, constants=constants),
            "reviews": Source(data=shown),
        }
        if products:
            sources["items"] = _items(shop.rows(Source(products, format="jsonl")))
        shop.write_typed(sources)
        return shop.finish("Amazon Reviews", caveat=self.caveat, currency="USD")


def _renamed(table: ir.Table, names: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    found = {new: next((n for n in old if n in table.columns), None) for new, old in names.items()}
    return {new: table[name] for new, name in found.items() if name is not None}


def _items(pages: ir.Table) -> Source:
    columns = _renamed(pages, _PRODUCT)
    if c.PRICE in columns:
        # The 2018 pages hold ranges and scraps of markup where a price should be.
        price = columns[c.PRICE].cast("string")
        columns[c.PRICE] = price.re_search(r"^\$?[\d,]*\.?\d+$").ifelse(price, None)
    if c.IMAGE in columns:
        columns[c.IMAGE] = columns[c.IMAGE].cast("string").re_extract(r"(https?://[^\s\"',\]]+)", 1)
    if c.DESCRIPTION in columns and columns[c.DESCRIPTION].type().is_array():
        columns[c.DESCRIPTION] = columns[c.DESCRIPTION].join(" ")
    if c.CATEGORY in columns and not columns[c.CATEGORY].type().is_array():
        columns[c.CATEGORY] = path_of(columns[c.CATEGORY])
    return Source(data=pages.select(c.FILE, c.ROW, **columns))


LAYOUTS.register("amazon_reviews")(AmazonReviews())
