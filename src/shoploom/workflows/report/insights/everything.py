"""Every insight of a shop in one JSON-able value."""

from __future__ import annotations

from typing import Any

from shoploom.core.time import iso
from shoploom.tables import Tables
from shoploom.workflows.report.insights.history import (
    cohorts,
    concentration,
    funnel,
    recent,
    repeat,
    revenue,
    rhythm,
    totals,
)
from shoploom.workflows.report.insights.orders import purchase_rows, read_orders
from shoploom.workflows.report.insights.segments import rfm
from shoploom.workflows.report.insights.selling import (
    best_sellers,
    categories,
    category_pairs,
    pairs,
)


def insights(
    tables: Tables,
    at: int,
    *,
    top: int = 20,
    recent_days: int = 28,
    timezone: str = "UTC",
) -> dict[str, Any]:
    """Aggregates of everything strictly before ``at``, JSON-able, for the report.

    An order is one session with purchases (one day where a row has no session). Money is price
    times quantity, rounded to cents per row and summed exactly; a row without a price adds none.

    Args:
        tables: clean tables.
        at: the moment, microseconds UTC, that the report is written for.
        top: how many best sellers and categories to list.
        recent_days: length of the latest period that is compared with the one before it.
        timezone: IANA name of the shop's clock, used for hours and weekdays only.

    Raises:
        ConfigError: there is no time zone of that name.

    Returns:
        A dict with ``at``, ``timezone``, ``totals`` and, where the shop has what they
        need (else None), ``funnel``, ``recent``, ``revenue``, ``repeat``, ``cohorts``,
        ``rhythm``, ``rfm``, ``concentration``, ``best_sellers``, ``categories``, ``pairs`` and
        ``category_pairs``, each described at the function of that name.
    """
    past = tables.as_of(at)
    purchases = purchase_rows(past.events)
    orders = read_orders(purchases)
    result: dict[str, Any] = {
        "at": iso(at),
        "timezone": timezone,
        "totals": totals(past.events, purchases, orders),
        "funnel": funnel(past.events),
    }
    sold = len(orders) > 0
    return result | {
        "recent": recent(orders, at, recent_days) if sold else None,
        "revenue": revenue(orders) if sold else None,
        "repeat": repeat(orders) if sold else None,
        "cohorts": cohorts(orders) if sold else None,
        "rhythm": rhythm(orders, timezone) if sold else None,
        "rfm": rfm(orders, at) if sold else None,
        "concentration": concentration(orders) if sold else None,
        "best_sellers": best_sellers(purchases, past.items, top) if sold else None,
        "categories": categories(purchases, past.items, top) if sold else None,
        "pairs": pairs(tables, at) if sold else None,
        "category_pairs": category_pairs(tables, at) if sold else None,
    }
