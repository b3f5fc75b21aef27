"""What a shop's catalogue looks like and who likes what, for the report.

The shapes of the pages are in ``docs/report.md``.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.encoders.images import Unreadable, locate
from shoploom.sequences.interests import LIFT, SHARE, TAG, WEIGHT, category_tags, interests
from shoploom.tables import Tables
from shoploom.workflows.picture_map import grid_layout, picture_map, sprite

if TYPE_CHECKING:
    import pandas as pd

_MOST_SHOWN = 1_500  # photos of the map; those that are bought most, of more
_THUMBNAIL = 40  # pixels of a side
_FAVOURITES = 3  # tags that count as a user's own
_MOST_TAGS, _MOST_PROFILES, _MOST_PAIRS = 24, 12, 30
_RARE = 0.01  # share of texts below which a language is told among others
_FEWEST_TOGETHER = 10  # users who share two favourites; fewer are chance

#: What the report calls a column of content, where it is not as quality.json does.
_NAMES = {"items.image": "items.photo", "reviews.image": "reviews.photo"}


def coverage_page(content: Mapping[str, Any]) -> dict[str, Any]:
    """How much of each content could be read, from ``content`` of quality.json."""
    columns = content["columns"]
    modalities = [
        {
            "name": _NAMES.get(name, name),
            "n": counted["given"],
            "present": counted["present"],
            "unreadable": counted["unreadable"]["rows"],
            "reasons": {
                reason: told["rows"] for reason, told in counted["unreadable"]["reasons"].items()
            },
            "duplicates": counted["duplicates"]["same"] + counted["duplicates"]["near"],
        }
        for name, counted in columns.items()
    ]
    counts: Counter[str] = Counter()
    for counted in columns.values():
        counts.update(counted.get("languages", {}))
    shares: dict[str, float] = defaultdict(float)
    for language, n in counts.items():
        share = n / counts.total()
        shares[language if share >= _RARE else "other"] += share
    return {"modalities": modalities, "languages": dict(shares)}


def map_page(
    tables: Tables,
    items: NDArray[np.object_],
    vectors: NDArray[np.floating],
    *,
    photos: Path,
    at: int,
    seed: int = 0,
) -> dict[str, Any]:
    """The catalogue as pictures, like beside like; of a large one, what was bought most.

    Args:
        tables: the shop's tables.
        items: ``(n,)`` ids of items whose photo was read.
        vectors: ``(n, d)`` of their photos.
        photos: the folder that the photos' paths start from.
        at: purchases before this moment count, microseconds UTC.
        seed: of the map.
    """
    if len(items) < 2:
        return {}
    assert tables.items is not None
    wanted = [c.ITEM_ID, c.TITLE, c.CATEGORY, c.PRICE, c.IMAGE]
    there = [name for name in wanted if name in tables.items.columns]
    about = tables.items.select(*there).to_pandas().drop_duplicates(c.ITEM_ID)
    about = about.set_index(c.ITEM_ID).reindex(items)
    kept = np.arange(len(items))
    if len(items) > _MOST_SHOWN:
        bought = _purchases(tables, at).reindex(items, fill_value=0).to_numpy()
        kept = np.sort(np.argsort(-bought, kind="stable")[:_MOST_SHOWN])
    about, vectors = about.iloc[kept], vectors[kept]
    cells = grid_layout(picture_map(vectors, seed=seed))
    columns, rows = (cells.max(axis=0) + 1).tolist()
    places = [locate(photos, name) for name in about[c.IMAGE]]
    sheet = sprite(
        [None if isinstance(place, Unreadable) else place for place in places],
        size=_THUMBNAIL,
        columns=columns,
    )

    def told(name: str, row: int) -> Any:
        value = about[name].iloc[row] if name in about else None
        return None if value is None or value != value else value

    return {
        "columns": columns,
        "rows": rows,
        "cells": [
            {
                "item_id": item,
                "title": told(c.TITLE, row) or "",
                "category": (told(c.CATEGORY, row) or "").split(c.CATEGORY_SEPARATOR)[-1].strip(),
                "x": x,
                "y": y,
                "price": told(c.PRICE, row),
                "sprite": row,
            }
            for row, (item, (x, y)) in enumerate(zip(about.index, cells.tolist(), strict=True))
        ],
        "sprite": {
            "data": "data:image/jpeg;base64," + base64.b64encode(sheet).decode("ascii"),
            "size": _THUMBNAIL,
            "columns": columns,
        },
    }


def interests_page(tables: Tables, at: int) -> dict[str, Any]:
    """What users care for before ``at``, among the shop's own categories.

    A user's favourites are the three tags with the largest shares; two tags go together by how
    much more often both are favourites of one user than chance would have it.
    """
    found = interests(tables, at, category_tags(tables)).to_pandas()
    if not len(found):
        return {}
    found[TAG] = found[TAG].str.split(c.CATEGORY_SEPARATOR).str[-1].str.strip()
    own = found.groupby(c.USER_ID, sort=False).head(_FAVOURITES)
    users = own[c.USER_ID].nunique()
    share = (own[TAG].value_counts() / users).head(_MOST_TAGS)
    return {
        "tags": list(share.index),
        "users": int(users),
        "share": {tag: float(value) for tag, value in share.items()},
        "profiles": _profiles(found),
        "together": _together(own, users),
    }


def _profiles(found: pd.DataFrame) -> list[dict[str, Any]]:
    """The users whose interests are told apart best: the strongest lift, one for each tag."""
    first = found.groupby(c.USER_ID, sort=False).head(1)
    weight = found.groupby(c.USER_ID, sort=False)[WEIGHT].sum()
    known = first[first[c.USER_ID].map(weight) >= weight.quantile(0.5)]
    known = known.sort_values([LIFT, c.USER_ID], ascending=[False, True]).drop_duplicates(TAG)
    profiles = []
    for user in known[c.USER_ID].head(_MOST_PROFILES):
        rows = found[found[c.USER_ID] == user].head(_FAVOURITES + 1)
        tags = zip(rows[TAG], rows[SHARE], rows[LIFT], strict=True)
        profiles.append({"user_id": user, "tags": [[t, float(s), float(x)] for t, s, x in tags]})
    return profiles


def _together(own: pd.DataFrame, users: int) -> list[list[Any]]:
    """Pairs of favourites with their lift, the strongest first."""
    import pandas as pd

    table = pd.crosstab(own[c.USER_ID], own[TAG]).clip(upper=1)
    tags, has = list(table.columns), table.to_numpy(np.float64)
    both = has.T @ has
    n = np.diag(both)
    left, right = np.triu_indices(len(tags), 1)
    lift = both[left, right] * users / np.maximum(n[left] * n[right], 1)
    enough = np.flatnonzero((both[left, right] >= _FEWEST_TOGETHER) & (lift > 1))
    best = enough[np.argsort(-lift[enough], kind="stable")][:_MOST_PAIRS]
    return [[tags[left[i]], tags[right[i]], float(lift[i])] for i in best.tolist()]


def _purchases(tables: Tables, at: int) -> pd.Series:
    """How often each item was bought before ``at``."""
    events = tables.as_of(at).events
    bought = events.filter(events[c.ACTION] == c.PURCHASE)
    counted = bought.group_by(c.ITEM_ID).aggregate(n=bought.count()).to_pandas()
    return counted.set_index(c.ITEM_ID)["n"]
