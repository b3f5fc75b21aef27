"""Slates for users: re-ranked by the shop's rules, drawn with chances that are logged, judged.

The engine that validation chose ranks; rules re-rank; with a temperature slates are drawn, so that
tomorrow another policy can be judged by what came of them. Where items were shown with logged
chances (exposures ``item:ID``) the policy is judged by that log: by what was shown in the test
window, with the engine as it was fitted before.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError
from shoploom.core.files import write_json
from shoploom.core.progress import Progress
from shoploom.core.seeds import rng
from shoploom.core.time import iso
from shoploom.evaluation.off_policy import Decisions, judge, weights
from shoploom.policies.slate import Floats, Shelf, SlateRules, chance_of, draw_slates, rerank
from shoploom.policies.target import KIND_SEPARATOR
from shoploom.tables import Tables
from shoploom.workflows.config import ShopConfig
from shoploom.workflows.item_content import item_contents
from shoploom.workflows.model import Model, load
from shoploom.workflows.run import Run
from shoploom.workflows.stock import read_stock

if TYPE_CHECKING:
    import pandas as pd

KIND = "item"
TASK = "next_item"
_CANDIDATES = 100  # of the engine's list that slates are made of
_JUDGED_CANDIDATES = 1_000  # beyond, the policy is taken never to show an item
_CHUNK = 1_000  # users at once; the first ones come first where stock is short


@dataclass(frozen=True)
class Recommending:
    """What is asked for.

    Attributes:
        k: places of a slate.
        rules: of the slates.
        outcome: of exposures, that judges: ``clicked``, ``converted`` or ``spend``.
        engine: that ranks; the one that validation chose where None.
        stock: a CSV file (item_id, stock): to how many users each may be shown.
        without: ids of items that are not to be shown.
    """

    k: int = 10
    rules: SlateRules = field(default_factory=SlateRules)
    outcome: str = c.CONVERTED
    engine: str | None = None
    stock: Path | None = None
    without: Sequence[str] = ()


@dataclass(frozen=True)
class Recommended:
    """Slates, and what is known of the policy.

    Attributes:
        table: ``user_id``, ``rank``, ``item_id``, ``propensity``, ``slate_id``, ``title``.
        about: JSON-able; ``docs/policies/recommend.md`` describes it.
    """

    table: pd.DataFrame
    about: dict[str, Any]

    @property
    def refused(self) -> str | None:
        """Why there is no verdict."""
        return self.about["refused"]


def slates_json(run: Run) -> Path:
    """Where what was found lies."""
    return run.folder / "slates.json"


def slates(
    config: ShopConfig,
    run: Run,
    progress: Progress,
    asked: Recommending | None = None,
    users: Sequence[str] | None = None,
) -> Recommended:
    """Judge the policy by the log where there is one, then make slates for the users of today.

    Raises:
        NotFitted: the shop has not been trained.
    """
    asked = asked or Recommending()
    model = load(run.folder)
    shelf, ids = _shelf(config, run, model, asked)
    about: dict[str, Any] = {
        "k": asked.k,
        "rules": {name: getattr(asked.rules, name) for name in vars(asked.rules)},
        "outcome": asked.outcome,
    }
    with progress.step("Judge the policy by what was shown"):
        about |= _judged(config, model, shelf, ids, asked)
    with progress.step("Make slates for users"):
        table = _slates(config, model, shelf, ids, asked, users)
    about |= _looks(table, shelf, ids)
    write_json(slates_json(run), about)
    return Recommended(table, about)


def _shelf(
    config: ShopConfig, run: Run, model: Model, asked: Recommending
) -> tuple[Shelf, NDArray[np.object_]]:
    """What is known of the items, in the order of ``ids``."""
    table = model.tables.items
    sequences = model.inputs.sequences(model.inputs.until)
    ids = np.array([str(item) for item in sequences.items.ids], dtype=object)
    place = {str(item): code for code, item in enumerate(ids)}
    n = len(ids)
    category, margin = np.full(n, -1), np.zeros(n)
    if table is not None:
        names = [name for name in (c.CATEGORY, c.PRICE, c.COST) if name in table.columns]
        codes: dict[str, int] = {}
        for row in table.select(c.ITEM_ID, *names).to_pyarrow().to_pylist():
            code = place.get(str(row[c.ITEM_ID]))
            if code is None:
                continue
            if row.get(c.CATEGORY):
                category[code] = codes.setdefault(row[c.CATEGORY], len(codes))
            if row.get(c.PRICE) and row.get(c.COST) is not None:
                margin[code] = np.clip(1 - row[c.COST] / row[c.PRICE], 0, 1)
    novelty = _novelty(model, ids, model.inputs.until)
    unknown = sorted(set(map(str, asked.without)) - set(place))
    if unknown:
        raise ConfigError(f"--without: expected known items, got {', '.join(unknown)}.")
    allowed = np.ones(n, dtype=bool)
    allowed[[place[str(item)] for item in asked.without]] = False
    stock = np.full(n, -1, dtype=np.int64)
    if asked.stock is not None:
        for item, units in read_stock(asked.stock):
            if item in place:
                stock[place[item]] = units
    vectors = _vectors(config, run, ids) if asked.rules.diversity else None
    return Shelf(vectors, category, novelty, margin, allowed, stock), ids


def _novelty(model: Model, ids: NDArray[np.object_], at: int) -> Floats:
    """``(n_items,)`` −log2 of the share of purchases before a moment, from 0 to 1."""
    sequences = model.inputs.sequences(at)
    bought = sequences.action == c.ACTIONS.index(c.PURCHASE)
    counts = np.bincount(sequences.item[bought & (sequences.item >= 0)], minlength=1)
    known = dict(zip(map(str, sequences.items.ids), counts.tolist(), strict=False))
    sold = np.array([known.get(str(item), 0) for item in ids])
    bits = -np.log2((sold + 1) / (sold.sum() + len(ids)))
    return (bits - bits.min()) / max(float(np.ptp(bits)), 1e-12)


def _vectors(config: ShopConfig, run: Run, ids: NDArray[np.object_]) -> NDArray[np.float32] | None:
    """Content vectors of length 1; None where nothing was encoded: then categories tell."""
    content = item_contents(run, config.encoders)
    if content is None or content.catalogue is None:
        return None
    known = content.catalogue
    row = {str(item): n for n, item in enumerate(known.items.ids)}
    rows = np.array([row.get(str(item), -1) for item in ids])
    parts = []
    for name, vectors in known.vectors.items():
        there = (rows >= 0) & known.present[name][np.maximum(rows, 0)]
        some = np.where(there[:, None], vectors[np.maximum(rows, 0)].astype(np.float32), 0.0)
        parts.append(some / np.maximum(np.linalg.norm(some, axis=1, keepdims=True), 1e-12))
    whole = np.hstack(parts)
    length = np.linalg.norm(whole, axis=1, keepdims=True)
    return (whole / np.maximum(length, 1e-12)).astype(np.float32)


def _listed(
    model: Model,
    ids: NDArray[np.object_],
    users: Sequence[str] | None,
    at: int | None,
    engine: str | None,
    k: int,
) -> tuple[NDArray[np.object_], NDArray[np.int64], Floats]:
    """Users, codes of their candidates in ``ids`` and the scores."""
    frame = model.recommend(users, k=k, at=None if at is None else iso(at), engine=engine)
    names, first = np.unique(frame[c.USER_ID].to_numpy(dtype=object), return_index=True)
    order = np.argsort(first)
    names = names[order]
    row = {str(name): n for n, name in enumerate(names)}
    width = int(np.max(frame["rank"].to_numpy(), initial=1))
    candidates = np.full((len(names), width), -1, dtype=np.int64)
    scores = np.full((len(names), width), -np.inf)
    place = {str(item): code for code, item in enumerate(ids)}
    rows = np.array([row[str(user)] for user in frame[c.USER_ID]], dtype=np.int64)
    ranks = frame["rank"].to_numpy() - 1
    codes = np.array([place.get(str(item), -1) for item in frame[c.ITEM_ID]], dtype=np.int64)
    candidates[rows, ranks] = codes
    scores[rows, ranks] = frame["score"].to_numpy(dtype=np.float64)
    return names, candidates, scores


def _slates(
    config: ShopConfig,
    model: Model,
    shelf: Shelf,
    ids: NDArray[np.object_],
    asked: Recommending,
    users: Sequence[str] | None,
) -> pd.DataFrame:
    import pandas as pd

    if users is None:
        users = [str(user) for user in model.inputs.sequences(model.inputs.until).users.ids]
    draw = rng(config.seed, "slates")
    parts = []
    for start in range(0, len(users), _CHUNK):
        some = users[start : start + _CHUNK]
        part, shelf = _some_slates(model, shelf, ids, asked, some, draw, start)
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _some_slates(
    model: Model,
    shelf: Shelf,
    ids: NDArray[np.object_],
    asked: Recommending,
    users: Sequence[str],
    draw: np.random.Generator,
    first: int,
) -> tuple[pd.DataFrame, Shelf]:
    """Slates of some users, and the shelf with what is left for the next."""
    import pandas as pd

    k = max(_CANDIDATES, asked.k)
    names, candidates, scores = _listed(model, ids, users, None, asked.engine, k)
    rules = asked.rules
    if rules.temperature > 0:
        taken, chances = draw_slates(candidates, scores, shelf, rules, asked.k, draw)
    else:
        taken = rerank(candidates, scores, shelf, rules, asked.k)
        chances = np.ones(taken.shape)
    row, rank = np.nonzero(taken >= 0)
    code = candidates[row, taken[row, rank]]
    item = ids[code]
    used = np.bincount(code, minlength=len(ids))
    stock = np.where(shelf.stock >= 0, np.maximum(shelf.stock - used, 0), -1)
    titles = model.titles(np.unique(item.astype(str)))
    frame = pd.DataFrame(
        {
            c.USER_ID: names[row],
            "rank": rank + 1,
            c.ITEM_ID: item,
            c.PROPENSITY: chances[row, rank],
            "slate_id": [f"slate {first + n}" for n in row],
        }
    )
    if titles:
        frame[c.TITLE] = [titles.get(str(one)) for one in item]
    return frame, replace(shelf, stock=stock)


def _judged(
    config: ShopConfig,
    model: Model,
    shelf: Shelf,
    ids: NDArray[np.object_],
    asked: Recommending,
) -> dict[str, Any]:
    """What the policy would have brought in the test window, told from what was shown there."""
    start = int(model.card["judged_until"])
    log = _shown(model.tables, start, asked.outcome)
    if log is None:
        return {
            "estimates": None,
            "refused": "nothing was shown with logged chances (exposures item:ID) in the test "
            "window: draw slates with --temperature, and log them.",
        }
    shelf = replace(shelf, novelty=_novelty(model, ids, start))
    users, items, propensity, reward, category = log
    place = {str(item): code for code, item in enumerate(ids)}
    code = np.array([place.get(str(item), -1) for item in items])
    met = code >= 0
    users, code, propensity = users[met], code[met], propensity[met]
    reward, category = reward[met], category[met]
    chance = np.zeros(len(users))
    known, of = np.unique(users.astype(str), return_inverse=True)
    k = min(len(ids), _JUDGED_CANDIDATES)
    for begin in range(0, len(known), _CHUNK):
        some = known[begin : begin + _CHUNK].tolist()
        names, candidates, scores = _listed(model, ids, some, start, asked.engine, k)
        row_of = {str(name): n for n, name in enumerate(names)}
        rows = np.flatnonzero((of >= begin) & (of < begin + _CHUNK))
        mine = np.array([row_of.get(str(user), -1) for user in users[rows]])
        rows, mine = rows[mine >= 0], mine[mine >= 0]
        chance[rows] = _first_choice(
            candidates[mine], scores[mine], code[rows], category[rows], shelf, asked.rules
        )
    decisions = Decisions(users, reward, weights(propensity, np.minimum(chance, 1.0)))
    found = judge(decisions, seed=config.seed)
    return {
        "from": iso(start),
        "judged_on": len(decisions.reward),
        "logged": found.logged.as_list(),
        "worse": found.refused is None and (found.minus_logged[found.best].high or 0) < 0,
        **found.as_dict(),
    }


def _first_choice(
    candidates: NDArray[np.int64],
    scores: Floats,
    shown: NDArray[np.int64],
    bound: NDArray[np.bool_],
    shelf: Shelf,
    rules: SlateRules,
) -> Floats:
    """``(n,)`` the chance that the policy would have put first what was shown.

    A place that showed items of one category alone would do so under the policy as well.
    """
    mine = shelf.category[shown][:, None]
    of = np.where(candidates >= 0, shelf.category[np.maximum(candidates, 0)], -1)
    same = (of == mine) | ~(bound[:, None] & (mine >= 0))
    there = np.where(same, candidates, -1)
    found = there == shown[:, None]
    place = np.where(found.any(axis=1), found.argmax(axis=1), -1)
    return chance_of(there, scores, shelf, rules, place)


def _shown(
    tables: Tables, start: int, outcome: str
) -> tuple[NDArray, NDArray, Floats, Floats, NDArray[np.bool_]] | None:
    """Users, items, chances, outcomes, and whether the place was bound to the item's category."""
    table = tables.exposures
    if table is None or c.PROPENSITY not in table.columns:
        return None
    begins = KIND + KIND_SEPARATOR
    mine = table.filter(
        table[c.ARM].startswith(begins), table[c.TIME] >= start, table[c.PROPENSITY].notnull()
    )
    frame = mine.order_by([c.TIME, c.USER_ID, c.ARM]).to_pyarrow()
    if not len(frame):
        return None
    if outcome not in frame.column_names or frame[outcome].null_count == len(frame):
        raise DataError(
            f"exposures of 'item': expected the outcome {outcome!r}, it was not logged."
        )
    said = frame[c.CONTEXT].to_pylist() if c.CONTEXT in frame.column_names else [None] * len(frame)
    bound = np.array([bool(text) and c.CATEGORY in json.loads(text) for text in said])
    reward = frame[outcome].cast("double").to_numpy(zero_copy_only=False)
    return (
        frame[c.USER_ID].to_numpy(zero_copy_only=False),
        np.array([str(arm).removeprefix(begins) for arm in frame[c.ARM].to_pylist()], dtype=object),
        frame[c.PROPENSITY].cast("double").to_numpy(zero_copy_only=False),
        np.nan_to_num(reward),
        bound,
    )


def _looks(table: pd.DataFrame, shelf: Shelf, ids: NDArray[np.object_]) -> dict[str, Any]:
    """What slates are like: users, variety, news, margin."""
    place = {str(item): code for code, item in enumerate(ids)}
    code = np.array([place[str(item)] for item in table[c.ITEM_ID]], dtype=np.int64)
    if not len(code):
        return {"slates": 0}
    by = table.assign(category=shelf.category[code]).groupby("slate_id")["category"]
    return {
        "slates": len(np.unique(table["slate_id"].to_numpy().astype(str))),
        "items": len(np.unique(code)),
        "categories": float(np.mean(by.nunique().to_numpy())),
        "novelty": float(shelf.novelty[code].mean()),
        "margin": float(shelf.margin[code].mean()),
    }
