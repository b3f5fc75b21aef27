"""A shop: where its tables come from and what is asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shoploom.workflows.config import ShopConfig, load_config, make_config


class Shop:
    """A shop's tables and settings, not yet read.

    Args:
        events: what users did: a pandas or polars frame, an Arrow table, a DuckDB relation, an
            Ibis table, a path, or a ``tables.Source`` that also maps columns and actions.
        items, users, reviews, dialogues, offers, exposures, streams: further tables, all optional.
        **settings: anything else that shop.yaml may hold (``name``, ``currency``, ``timezone``,
            ``cleaning``, ``tasks``, ``engines``, ``split``, ``run``, ``seed``).

    Attributes:
        config: the parsed configuration.

    Raises:
        ConfigError, UnknownName: a setting is wrong; the message says which.

    Example:
        >>> import pandas as pd
        >>> log = pd.DataFrame({"user_id": ["7"], "time": ["2024-05-01"], "action": ["purchase"]})
        >>> Shop(events=log, name="corner shop").config.name
        'corner shop'
    """

    config: ShopConfig

    def __init__(
        self,
        *,
        events: Any,
        items: Any = None,
        users: Any = None,
        reviews: Any = None,
        dialogues: Any = None,
        offers: Any = None,
        exposures: Any = None,
        streams: Any = None,
        **settings: Any,
    ):
        tables = {
            "events": events,
            "items": items,
            "users": users,
            "reviews": reviews,
            "dialogues": dialogues,
            "offers": offers,
            "exposures": exposures,
            "streams": streams,
        }
        given = {name: table for name, table in tables.items() if table is not None}
        settings.setdefault("name", "shop")
        self.config = make_config({"tables": given, **settings}, where="Shop", folder=Path())


def open(path: Path | str) -> Shop:
    """The shop that a shop.yaml (or the folder that holds one) describes.

    Raises:
        ConfigError, UnknownName: the file is missing or a setting is wrong.
    """
    shop = Shop.__new__(Shop)
    shop.config = load_config(path)
    return shop
