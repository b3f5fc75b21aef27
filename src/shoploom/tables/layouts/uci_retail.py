"""UCI Online Retail (I and II): invoices of a British gift wholesaler, returns among them."""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.core.progress import Progress
from shoploom.tables.layouts import LAYOUTS
from shoploom.tables.layouts._shop import ShopWriter
from shoploom.tables.source import Source

if TYPE_CHECKING:
    import ibis.expr.types as ir

_TIMEZONE = "Europe/London"
#: The second edition renamed some columns of the first.
_NAMES = {
    "InvoiceNo": ("InvoiceNo", "Invoice"),
    "UnitPrice": ("UnitPrice", "Price"),
    "CustomerID": ("CustomerID", "Customer ID"),
}


@dataclass(frozen=True)
class UciRetail:
    """Online Retail.xlsx or online_retail_II.xlsx, or the same as CSV.

    An invoice whose number starts with C is a return; its quantities are negative there and
    positive here.
    """

    description: str = "UCI Online Retail: invoices of a British gift wholesaler, 2009 to 2011"
    files: tuple[str, ...] = ("Online Retail.xlsx or .csv", "online_retail_II.xlsx or .csv")
    licence: str = "CC BY 4.0"
    caveat: str = (
        "UCI Online Retail data: many customers are wholesalers; rows without a customer are in "
        "quarantine; some stock codes (POST, BANK CHARGES, M) are no products."
    )

    def convert(self, folder: Path, out: Path, progress: Progress) -> Path:
        shop = ShopWriter(folder, out, progress)
        log = _named(_open(shop))
        returned = log["InvoiceNo"].cast("string").upper().startswith("C")
        quantity = log["Quantity"].cast("string").re_replace(r"^\s*-", "")
        events = Source(
            data=log.mutate(
                **{
                    c.ACTION: returned.ifelse(c.RETURN, c.PURCHASE),
                    "Quantity": returned.ifelse(quantity, log["Quantity"].cast("string")),
                }
            ),
            columns={
                c.USER_ID: "CustomerID",
                c.TIME: "InvoiceDate",
                c.ITEM_ID: "StockCode",
                c.PRICE: "UnitPrice",
                c.QUANTITY: "Quantity",
                c.SESSION_ID: "InvoiceNo",
            },
            time_format=_time_format(log),
        )
        users = log.filter(log["CustomerID"].notnull()).group_by("CustomerID")
        shop.write_typed(
            {
                "events": events,
                "items": Source(data=_items(log)),
                "users": Source(
                    data=users.aggregate(country=log["Country"].max()),
                    columns={c.USER_ID: "CustomerID"},
                ),
            },
            timezone=_TIMEZONE,
        )
        return shop.finish(
            "UCI Online Retail", caveat=self.caveat, currency="GBP", timezone=_TIMEZONE
        )


def _open(shop: ShopWriter) -> ir.Table:
    patterns = ("[Oo]nline*[Rr]etail*.csv", "*.csv")
    if any(shop.has(pattern) for pattern in patterns):
        paths = shop.find(*patterns)
        encoding = "utf-8" if all(_is_utf8(path) for path in paths) else "latin-1"
        if encoding != "utf-8":
            shop.progress.note("the file is not UTF-8; it is read as latin-1")
        return shop.rows(Source(paths, encoding=encoding))
    frames = [_read_workbook(path) for path in shop.find("*.xlsx")]
    return shop.rows(Source(data=_stacked(frames)))


def _is_utf8(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as stream:
            while stream.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _read_workbook(path: Path) -> Any:
    """All sheets of a workbook as one frame."""
    if find_spec("openpyxl") is None:
        raise DataError(
            f"{path.name}: expected a CSV file or the package openpyxl to read a workbook, found "
            "neither. Save each sheet as CSV in that folder, or run: pip install openpyxl"
        )
    import pandas as pd

    return _stacked(list(pd.read_excel(path, sheet_name=None, dtype="object").values()))


def _stacked(frames: list[Any]) -> Any:
    import pandas as pd

    return pd.concat(frames, ignore_index=True)


def _named(log: ir.Table) -> ir.Table:
    """The log with the first edition's column names."""
    found = {new: next((n for n in old if n in log.columns), None) for new, old in _NAMES.items()}
    missing = [new for new, name in found.items() if name is None]
    missing += [n for n in ("StockCode", "Quantity", "InvoiceDate") if n not in log.columns]
    if missing:
        raise DataError(
            f"expected the columns {', '.join(missing)} of UCI Online Retail, found "
            f"{', '.join(n for n in log.columns if n not in (c.FILE, c.ROW))}. "
            "Is this another data set?"
        )
    return log.rename({new: name for new, name in found.items() if name != new})


def _time_format(log: ir.Table) -> str | None:
    """American dates in the first edition's CSV; ISO 8601 in the second's."""
    dates = log["InvoiceDate"]
    if not dates.type().is_string():
        return None
    slashes = dates.contains("/").any().to_pyarrow().as_py()
    return "%m/%d/%Y %H:%M" if slashes else None


def _items(log: ir.Table) -> ir.Table:
    """Every stock code with the description that it has most often."""
    import ibis

    title = log["Description"].cast("string").strip().nullif("")
    named = log.filter(log["StockCode"].notnull()).group_by(
        **{c.ITEM_ID: log["StockCode"].cast("string"), c.TITLE: title}
    )
    counts = named.aggregate(n=log[c.ROW].count())
    place = ibis.row_number().over(
        group_by=c.ITEM_ID,
        order_by=[counts[c.TITLE].isnull(), ibis.desc("n"), c.TITLE],
    )
    return counts.mutate(place=place).filter(lambda t: t["place"] == 0).select(c.ITEM_ID, c.TITLE)


LAYOUTS.register("uci_retail")(UciRetail())
