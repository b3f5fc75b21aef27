"""Segments: groups of users with a name, a size, a value, a risk and favourite products.

What is known of users is three blocks: habits (statistics), tastes (which categories their events
are of) and what the trained engines know (z), where there are some. The cut is compared with plain
k-means on recency, frequency and money by how much of what users did afterwards the groups explain.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import DataError, NotFitted
from shoploom.core.files import write_json
from shoploom.core.progress import Progress
from shoploom.core.time import WEEK_US, iso
from shoploom.engines import Inputs, State, read_state, save_state
from shoploom.engines.scale import QuantileScale
from shoploom.policies import segments as grouping
from shoploom.policies.segments import (
    Segments,
    Space,
    distinguishing,
    explained,
    explained_difference,
    find_segments,
)
from shoploom.sequences import UserSequences, UserStatistics, views
from shoploom.tables import open_tables
from shoploom.workflows.config import ShopConfig
from shoploom.workflows.model import Model, load
from shoploom.workflows.run import Run
from shoploom.workflows.split import split_of

if TYPE_CHECKING:
    import pandas as pd

HABITS, TASTES, KNOWN = "habits", "tastes", "z"
RFM = ("purchase_recency_days", "orders", "spend")
SEGMENT = "segment"

_WEEKS = 4  # that membership is followed over
_FAVOURITES = 5  # products of a group
_WORTH = 0.25  # places that a group must stand apart to be called by it
_TASTE = "taste"


@dataclass(frozen=True)
class Segmented:
    """Who belongs where, and what is known of the groups.

    Attributes:
        users: ``user_id``, ``segment`` (from 1, the largest first) and ``name``.
        about: JSON-able; ``docs/policies/segments.md`` describes it.
    """

    users: pd.DataFrame
    about: dict[str, Any]


@dataclass(frozen=True)
class _Known:
    """What is known of ``n`` users at a moment."""

    users: NDArray[np.object_]
    describing: Describing
    blocks: Mapping[str, NDArray[np.floating]]
    raw: NDArray[np.float32]  # the habits in their own units

    @property
    def habits(self) -> tuple[str, ...]:
        return self.describing.habits

    @property
    def categories(self) -> tuple[str, ...]:
        return self.describing.categories


def segments_json(run: Run) -> Path:
    """Where what was found lies."""
    return run.folder / "segments.json"


def segment(
    config: ShopConfig,
    run: Run,
    progress: Progress,
    *,
    k: int | None = None,
    language: str = "en",
) -> Segmented:
    """Find the groups as of the end of the data; ``RUN/segments.json`` keeps what was found.

    Args:
        config: of the shop.
        run: prepared, and trained where z is to be compared.
        progress: where to report to.
        k: how many groups; None lets stability say.
        language: of the names in ``users``, ``en`` or ``zh``.

    Raises:
        NotFitted: the shop has not been prepared.
        DataError: there are too few users.
    """
    run.fingerprint_of("prepare")
    tables = open_tables(run.prepared)
    inputs = Inputs(until=split_of(config, tables).data_end, tables=tables, **views(tables))
    try:
        model = load(run.folder)
    except NotFitted:
        model = None
        progress.note("nothing was trained: users are compared by habits and tastes alone.")
    with progress.step("Find groups of users"):
        now = _known(inputs, model, inputs.until)
        found = find_segments(now.blocks, k=k, seed=config.seed)
        groups = found.assign(now.blocks)
    with progress.step("Follow them over four weeks, and compare with recency, frequency, money"):
        about = {
            "at": iso(inputs.until),
            "users": len(groups),
            "k": len(found),
            "merged": found.merged,
            "stability": {str(size): list(pair) for size, pair in found.stability.items()},
            "blocks": list(now.blocks),
            "segments": _described(config, inputs, model, now, groups),
            "weeks": _weeks(inputs, model, found),
            "versus_rfm": _versus_rfm(config, inputs, model, len(found)),
        }
    write_json(segments_json(run), about)
    called = [each["name"] for each in about["segments"]]
    save_membership(run, Membership(now.describing, found, called))
    import pandas as pd

    names = [name[language] for name in called]
    users = pd.DataFrame(
        {c.USER_ID: now.users, SEGMENT: groups + 1, "name": [names[g] for g in groups.tolist()]}
    )
    return Segmented(users, about)


@dataclass(frozen=True)
class Describing:
    """How users become the blocks of numbers that groups are cut from.

    Attributes:
        habits: names of statistics.
        scale: of them.
        categories: first parts of category paths.
        of_item: the code of each item's category.
    """

    habits: tuple[str, ...]
    scale: QuantileScale
    categories: tuple[str, ...]
    of_item: Mapping[str, int]

    @classmethod
    def of(cls, inputs: Inputs, at: int) -> Describing:
        """With the scale of everybody at a moment."""
        statistics = inputs.statistics(at)
        habits = tuple(name for name in _words() if name in statistics.names)
        raw = np.stack([statistics.column(name) for name in habits], axis=1)
        return cls(habits, QuantileScale.of(raw), *_categories(inputs))

    def raw(self, statistics: UserStatistics, users: NDArray[np.object_]) -> NDArray[np.float32]:
        """``(n, n_habits)`` in their own units."""
        columns = [statistics.names.index(name) for name in self.habits]
        return statistics.take(users)[:, columns]

    def blocks(
        self,
        raw: NDArray[np.float32],
        sequences: UserSequences,
        users: NDArray[np.object_],
        z: NDArray[np.floating] | None,
    ) -> dict[str, NDArray[np.floating]]:
        """What is known of users, by what it is about.

        Args:
            raw: habits in their own units.
            sequences: with the users' events.
            users: ids.
            z: what engines know, where they are looked at.
        """
        found: dict[str, NDArray[np.floating]] = {HABITS: self.scale.apply(raw)}
        if len(self.categories) > 1:
            found[TASTES] = self.tastes(sequences, users)
        if z is not None:
            found[KNOWN] = z
        return found

    def tastes(self, sequences: UserSequences, users: NDArray[np.object_]) -> NDArray[np.float64]:
        """``(n_users, n_categories)`` square roots of categories' shares of each user's events;
        distances between these are Hellinger's.
        """
        ids = sequences.items.ids
        of_item = np.array([self.of_item.get(str(item), -1) for item in ids], dtype=np.int64)
        known = sequences.item >= 0
        row = np.repeat(np.arange(len(sequences)), sequences.lengths)[known]
        category = of_item[sequences.item[known]]
        counts = np.zeros((len(sequences), len(self.categories)))
        has = category >= 0
        np.add.at(counts, (row[has], category[has]), 1)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        place = sequences.users.encode(users)
        out = np.zeros((len(users), len(self.categories)))
        out[place >= 0] = np.sqrt(shares[place[place >= 0]])
        return out


@dataclass(frozen=True)
class Membership:
    """Groups, and how a user is found to belong to one: what a server needs of ``segment``.

    Attributes:
        describing: how users become numbers.
        segments: the groups.
        names: of the groups, by language.
    """

    describing: Describing
    segments: Segments
    names: Sequence[Mapping[str, str]]

    @property
    def reads_z(self) -> bool:
        """Whether what engines know is looked at."""
        return KNOWN in self.segments.space.means

    def of(
        self,
        statistics: UserStatistics,
        sequences: UserSequences,
        users: NDArray[np.object_],
        z: NDArray[np.floating] | None,
    ) -> NDArray[np.int64]:
        """``(n,)`` the group of each user, from 0."""
        raw = self.describing.raw(statistics, users)
        return self.segments.assign(self.describing.blocks(raw, sequences, users, z))


def save_membership(run: Run, found: Membership) -> None:
    """Keep the groups in the run folder."""
    space, how = found.segments.space, found.describing
    arrays: dict[str, NDArray[Any]] = {
        "scale": how.scale.quantiles,
        "centres": found.segments.centres,
    }
    for name, mean in space.means.items():
        arrays |= {f"mean.{name}": mean, f"axes.{name}": space.axes[name]}
    config = {
        "habits": list(how.habits),
        "categories": list(how.categories),
        "of_item": dict(how.of_item),
        "names": [dict(name) for name in found.names],
        "blocks": list(space.means),
    }
    save_state(_membership(run), SEGMENT, State(config, arrays))


def load_membership(run: Run) -> Membership | None:
    """The groups of a run; None where nobody asked for any.

    Raises:
        DataError: a file is cut short.
    """
    if not _membership(run).exists():
        return None
    _, state = read_state(_membership(run))
    config, arrays = state.config, state.arrays
    space = Space(
        {name: arrays[f"mean.{name}"] for name in config["blocks"]},
        {name: arrays[f"axes.{name}"] for name in config["blocks"]},
    )
    describing = Describing(
        tuple(config["habits"]),
        QuantileScale(arrays["scale"]),
        tuple(config["categories"]),
        config["of_item"],
    )
    return Membership(describing, Segments(space, arrays["centres"], {}), config["names"])


def _membership(run: Run) -> Path:
    return run.folder / "segments"


def _known(inputs: Inputs, model: Model | None, at: int, *, latest: bool = False) -> _Known:
    """Everybody with an event before; ``latest`` as in ``Model.represent``."""
    describing = Describing.of(inputs, at)
    users = inputs.statistics(at).users.ids
    raw = describing.raw(inputs.statistics(at), users)
    z = None
    if model is not None:
        z = model.represent(users.tolist(), at=iso(at), latest=latest)
    blocks = describing.blocks(raw, inputs.sequences(at), users, z)
    return _Known(users, describing, blocks, raw)


def _categories(inputs: Inputs) -> tuple[tuple[str, ...], dict[str, int]]:
    """Names of first parts of category paths, and the code of each item's; nothing without any."""
    table = inputs.tables(inputs.until).items
    if table is None or c.CATEGORY not in table.columns:
        return (), {}
    rows = table.select(c.ITEM_ID, c.CATEGORY).to_pyarrow().to_pydict()
    first = {
        str(item): str(path).split(c.CATEGORY_SEPARATOR)[0]
        for item, path in zip(rows[c.ITEM_ID], rows[c.CATEGORY], strict=True)
        if path
    }
    names = tuple(sorted(set(first.values())))
    code = {name: number for number, name in enumerate(names)}
    return names, {item: code[name] for item, name in first.items()}


def _described(
    config: ShopConfig,
    inputs: Inputs,
    model: Model | None,
    now: _Known,
    groups: NDArray[np.int64],
) -> list[dict[str, Any]]:
    """Each group with its name, numbers and favourite products."""
    names = _names(now, groups)
    risk = _risk(model, now.users)
    value = now.raw[:, now.habits.index("spend_28d")] if "spend_28d" in now.habits else None
    favourites = _favourites(inputs, now.users, groups)
    described = []
    for group in range(int(groups.max(initial=0)) + 1):
        inside = groups == group
        habits = {
            name: float(np.nanmedian(now.raw[inside, column]))
            for column, name in enumerate(now.habits)
            if np.isfinite(now.raw[inside, column]).any()
        }
        described.append(
            {
                "name": names[group],
                "users": int(inside.sum()),
                "share": float(inside.mean()),
                "spend_28d": None if value is None else float(np.nansum(value[inside])),
                "churn_risk": None if risk is None else _mean(risk[inside]),
                "habits": habits,
                "favourites": favourites[group],
            }
        )
    return described


def _risk(model: Model | None, users: NDArray[np.object_]) -> NDArray[np.float64] | None:
    """Chance of churn, where it was learned; NaN for users whom the task does not ask about."""
    if model is None or "churn" not in model.tasks:
        return None
    frame = model.predict("churn")
    chance = frame[model.tasks["churn"].unit]
    told = dict(zip(frame[c.USER_ID].astype(str), chance, strict=True))
    return np.array([told.get(str(user), np.nan) for user in users])


def _mean(values: NDArray[np.float64]) -> float | None:
    """The mean of what is known; None where nothing is: who never bought cannot leave."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _names(now: _Known, groups: NDArray[np.int64]) -> list[dict[str, str]]:
    """What each group is called, in both languages; no two alike."""
    tastes = now.blocks.get(TASTES)
    numbers, labels = now.blocks[HABITS], list(now.habits)
    if tastes is not None:
        numbers = np.hstack([numbers, tastes])
        labels += [f"{_TASTE}:{name}" for name in now.categories]
    apart = distinguishing(numbers, groups, labels, most=len(labels))
    overall = numbers.mean(axis=0)
    middle = dict(zip(labels, overall.tolist(), strict=True))
    called: list[dict[str, str]] = []
    taken: set[str] = set()
    for standing in apart:
        name = {"en": "", "zh": ""}
        phrases = [found for of, mean in standing if (found := _phrase(of, mean, middle[of]))]
        for length in range(2, max(len(phrases), 2) + 1):
            name = {lang: ", ".join(p[lang] for p in phrases[:length]) for lang in ("en", "zh")}
            if name["en"] and name["en"] not in taken:
                break
        else:
            # Nothing sets it apart, or nothing that is not another's name already.
            number = len(called) + 1
            name = {
                "en": f"{name['en'] or 'like most'} ({number})",
                "zh": f"{name['zh'] or '与多数人相近'}（{number}）",
            }
        taken.add(name["en"])
        english = name["en"][0].upper() + name["en"][1:]
        called.append({"en": english, "zh": name["zh"].replace(", ", "，")})
    return called


def _phrase(name: str, mean: float, overall: float) -> dict[str, str] | None:
    """In words, that a group has less or more of something; None where it hardly has."""
    if name.startswith(f"{_TASTE}:"):
        if mean < overall + _WORTH / 2:
            return None
        category = name.removeprefix(f"{_TASTE}:")
        words = _words()[_TASTE]["high"]
        return {lang: text.replace("{category}", category) for lang, text in words.items()}
    if abs(mean - overall) < _WORTH:
        return None
    return _words()[name]["high" if mean > overall else "low"]


def _favourites(
    inputs: Inputs, users: NDArray[np.object_], groups: NDArray[np.int64]
) -> list[list[dict[str, Any]]]:
    """By group, the items that more of its users bought than chance would have it.

    Ordered by the lower end of the interval of the lift, so that rare items need a reason
    (Wilson 1927).
    """
    sequences = inputs.sequences(inputs.until)
    place = sequences.users.encode(users)
    of_user = np.full(len(sequences), -1)
    of_user[place[place >= 0]] = groups[place >= 0]
    bought = (sequences.item >= 0) & (sequences.action == c.ACTIONS.index(c.PURCHASE))
    row = np.repeat(np.arange(len(sequences)), sequences.lengths)[bought]
    pairs = np.unique(np.stack([row, sequences.item[bought]], axis=1), axis=0)
    n_items, k = len(sequences.items), int(groups.max(initial=0)) + 1
    counts = np.zeros((k, n_items))
    mine = of_user[pairs[:, 0]]
    np.add.at(counts, (mine[mine >= 0], pairs[mine >= 0, 1]), 1)
    size = np.bincount(groups, minlength=k)[:, None]
    overall = counts.sum(axis=0) / max(len(groups), 1)
    share = counts / np.maximum(size, 1)
    low = _wilson_low(share, np.maximum(size, 1))
    titles = _titles(inputs)
    found = []
    for group in range(k):
        lift = np.where(overall > 0, low[group] / np.maximum(overall, 1e-12), 0)
        best = [i for i in np.argsort(-lift, kind="stable")[:_FAVOURITES].tolist() if lift[i] > 1]
        found.append(
            [
                {
                    "item_id": str(sequences.items.ids[i]),
                    "title": titles.get(str(sequences.items.ids[i]), ("", ""))[0],
                    "image": titles.get(str(sequences.items.ids[i]), ("", ""))[1],
                    "share": float(share[group, i]),
                    "times": float(share[group, i] / overall[i]),
                }
                for i in best
            ]
        )
    return found


def _wilson_low(share: NDArray[np.float64], n: NDArray[np.integer]) -> NDArray[np.float64]:
    z = 1.96
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return (share + z**2 / (2 * n) - half) / (1 + z**2 / n)


def _titles(inputs: Inputs) -> dict[str, tuple[str, str]]:
    """Title and photo of each item, where the shop gives them."""
    table = inputs.tables(inputs.until).items
    if table is None:
        return {}
    names = [name for name in (c.TITLE, c.IMAGE) if name in table.columns]
    rows = table.select(c.ITEM_ID, *names).to_pyarrow().to_pydict()
    empty = [None] * len(rows[c.ITEM_ID])
    both = zip(rows.get(c.TITLE, empty), rows.get(c.IMAGE, empty), strict=True)
    return {
        str(item): (title or "", image or "")
        for item, (title, image) in zip(rows[c.ITEM_ID], both, strict=True)
    }


def _weeks(inputs: Inputs, model: Model | None, found: Segments) -> list[dict[str, float]]:
    """Shares of users who stay in their group from week to week, with and without the margin."""
    before: dict[str, tuple[int, int]] = {}
    told = []
    for back in range(_WEEKS, -1, -1):
        known = _known(inputs, model, inputs.until - back * WEEK_US, latest=True)
        names = [str(user) for user in known.users]
        held = np.array([before.get(name, (-1, -1))[0] for name in names])
        plain = np.array([before.get(name, (-1, -1))[1] for name in names])
        now, nearest = found.assign(known.blocks, held), found.assign(known.blocks)
        met = held >= 0
        if met.any():
            told.append(
                {
                    "weeks_ago": back,
                    "stay": float((now == held)[met].mean()),
                    "stay_without_margin": float((nearest == plain)[met].mean()),
                }
            )
        pairs = zip(now.tolist(), nearest.tolist(), strict=True)
        before = dict(zip(names, pairs, strict=True))
    return told


def _versus_rfm(config: ShopConfig, inputs: Inputs, model: Model | None, k: int) -> dict[str, Any]:
    """How much of what users did in the test window their groups at its beginning explain."""
    split = split_of(config, inputs.tables(inputs.until))
    at, end = split.test, split.test + split.window_us
    known = _known(inputs, model, at)
    columns = [known.habits.index(name) for name in RFM if name in known.habits]
    if not columns:
        raise DataError("segments: expected statistics of purchases, the shop has none.")
    ours = find_segments(known.blocks, k=k, seed=config.seed)
    rfm_blocks = {"rfm": known.blocks[HABITS][:, columns]}
    rfm = find_segments(rfm_blocks, k=k, seed=config.seed)
    mine, theirs = ours.assign(known.blocks), rfm.assign(rfm_blocks)
    found = {}
    for name, outcome in _later(inputs, known.users, at, end).items():
        difference = explained_difference(mine, theirs, outcome, known.users, seed=config.seed)
        found[name] = {
            "segments": explained(mine, outcome, known.users, seed=config.seed).as_list(),
            "rfm": explained(theirs, outcome, known.users, seed=config.seed).as_list(),
            "difference": difference.as_list(),
        }
    return {"from": iso(at), "until": iso(end), "k": [len(ours), len(rfm)], "explained": found}


def _later(
    inputs: Inputs, users: NDArray[np.object_], at: int, end: int
) -> dict[str, NDArray[np.float64]]:
    """What users did in a window: events, spend and orders (logarithms), categories looked at."""
    before, after = inputs.statistics(at), inputs.statistics(end)
    out = {}
    for name in ("events", "spend", "orders"):
        less = np.nan_to_num(before.take(users)[:, before.names.index(name)])
        more = np.nan_to_num(after.take(users)[:, after.names.index(name)])
        out[name] = np.log1p(np.maximum(more - less, 0))[:, None].astype(np.float64)
    sequences = inputs.sequences(end)
    late = _since(sequences, at)
    describing = Describing.of(inputs, end)
    if len(describing.categories) > 1:
        out["categories"] = describing.tastes(late, users)
    return out


def _since(sequences: UserSequences, at: int) -> UserSequences:
    """Only the events from a moment on."""
    kept = sequences.time >= at
    offsets = np.concatenate(([0], np.cumsum(kept)))[sequences.offsets]
    return UserSequences(
        users=sequences.users,
        items=sequences.items,
        item=sequences.item[kept],
        action=sequences.action[kept],
        time=sequences.time[kept],
        price=sequences.price[kept],
        offsets=offsets,
    )


@cache
def _words() -> dict[str, dict[str, dict[str, str]]]:
    path = Path(grouping.__file__).with_suffix(".yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))
