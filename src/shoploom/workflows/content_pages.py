"""What a shop's texts say, for the report: sentiment of reviews, intents of messages.

The shapes of the pages are in ``docs/report.md``. A page shows what was written in the last fifth
and answered by readers of what was written before, so that nothing answers what it learned from.
Texts are quoted with personal data covered.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.progress import Progress, Quiet
from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US, WEEK_US, iso
from shoploom.engines.readers import SHIPPED_SENTIMENT, Encode, load_reader, make_reader
from shoploom.evaluation.labelled import confusion
from shoploom.privacy import scrub
from shoploom.tables import Tables
from shoploom.tasks.content import Examples, make_reading
from shoploom.workflows.reading import (
    ENCODER,
    FEWEST,
    judged,
    keep_vectors,
    read_aspects,
    summarised,
)

MOST = 20_000  # texts that are learned from, and that are shown; more of them are drawn at random


def sentiment_page(
    tables: Tables,
    *,
    reader: str = "linear",
    vectors: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What a shop's reviews say, for the report (``content.json``, ``sentiment``).

    A reader is judged on the last fifth of the rated reviews, having learned from what was written
    before; all figures and examples are of that last fifth, so that nothing answers a review that
    it learned from. Where the ratings are too few the reader that ships answers, for all.

    Args:
        tables: the shop's tables, with reviews.
        reader: what learns.
        vectors: the folder of a store that keeps vectors of texts.
        seed: of all randomness.
        progress: told how it goes.
    """
    progress = progress or Quiet()
    examples = make_reading("sentiment").examples(tables)
    if not len(examples):
        return {}
    encode = keep_vectors(ENCODER, vectors, progress)
    shipped = load_reader(SHIPPED_SENTIMENT)
    past, later = _parted(examples)
    enough = np.bincount(past.labels[past.labelled], minlength=2).min() >= FEWEST
    shown = _some(later if enough else examples, seed)
    answers = {"shipped": shipped.predict(shown.texts.tolist(), encode=encode)}
    name = "shipped"
    if enough:
        known = _some(past.take(past.labelled), seed)
        for each in dict.fromkeys((reader, "tfidf")):
            fitted = make_reader(each).fit(
                known.texts.tolist(), known.labels, n_labels=2, seed=seed, encode=encode
            )
            answers[each] = fitted.predict(shown.texts.tolist(), encode=encode)
        name = reader
    page: dict[str, Any] = {}
    if len(np.unique(shown.labels[shown.labelled])) == 2:
        metrics = judged({**answers, "reader": answers[name]}, shown.labels, shown.users)
        page["judged"] = {
            "n": int(shown.labelled.sum()),
            "from": iso(int(shown.times.min())),
            "reader": name,
            "accuracy": {
                key: metrics[key]["accuracy"].as_list()
                for key in ("reader", "tfidf", "shipped", "majority")
                if key in metrics
            },
        }
    praise = answers[name][:, 1]
    stars = _stars(tables, shown)
    mentions, signs = read_aspects(shown.texts.tolist(), shipped, encode, progress)
    titles = _titles(tables)
    page["weeks"] = _weeks(shown.times, praise, stars)
    page["aspects"] = [
        {
            "aspect": aspect.name,
            "n": aspect.n,
            "positive": aspect.positive,
            "examples": {
                sign: [_example(shown, row, clause, titles) for row, clause in some]
                for sign, some in (("positive", aspect.best), ("negative", aspect.worst))
            },
        }
        for aspect in summarised(mentions, signs, np.arange(len(shown)))
    ]
    page["disagree"] = _disagreeing(shown, praise, stars, titles)
    return page


def service_page(
    tables: Tables,
    *,
    reader: str = "linear",
    vectors: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What customers want and how they feel, for the report (``content.json``, ``service``).

    Confusion is that of messages in the last fifth, by a reader of those before. The mood of a
    conversation is that of its customer's last message.
    """
    assert tables.dialogues is not None
    encode = keep_vectors(ENCODER, vectors, progress or Quiet())
    page: dict[str, Any] = {"confusion": {}}
    if weeks := _conversations(tables, encode, seed):
        page["weeks"] = weeks
    for name, counts in (("intent", "intents"), ("emotion", "emotions")):
        if name not in tables.dialogues.columns:
            continue
        examples = make_reading(name).examples(tables)
        examples = examples.take(examples.labelled)
        n = np.bincount(examples.labels, minlength=len(examples.names))
        page[counts] = dict(zip(examples.names, n.tolist(), strict=True))
        past, later = (_some(part, seed) for part in _parted(examples))
        if len(np.unique(past.labels)) < 2 or not len(later):
            continue
        fitted = make_reader(reader).fit(
            past.texts.tolist(), past.labels, n_labels=len(n), seed=seed, encode=encode
        )
        probabilities = fitted.predict(later.texts.tolist(), encode=encode)
        metrics = judged({"reader": probabilities}, later.labels, later.users)
        page["confusion"][name] = {
            "labels": list(examples.names),
            "rows": confusion(probabilities.argmax(axis=1), later.labels, len(n)).tolist(),
            "accuracy": {key: metrics[key]["accuracy"].as_list() for key in metrics},
            "f1": {key: metrics[key]["f1"].as_list() for key in metrics},
        }
    return page


def _conversations(tables: Tables, encode: Encode, seed: int) -> dict[str, list]:
    """By week: the share of conversations that end in a good mood, and their satisfaction."""
    assert tables.dialogues is not None
    columns = [c.DIALOGUE_ID, c.TIME, c.TEXT, c.ROLE, c.SATISFACTION]
    there = [name for name in columns if name in tables.dialogues.columns]
    turns = tables.dialogues.select(*there).to_pandas().sort_values([c.DIALOGUE_ID, c.TIME])
    said = turns[turns[c.TEXT].notna() & (turns[c.ROLE] == c.CUSTOMER)]
    last = said.groupby(c.DIALOGUE_ID).last()
    if not len(last):
        return {}
    if len(last) > MOST:
        last = last.sample(MOST, random_state=seed)
    mood = load_reader(SHIPPED_SENTIMENT).predict(last[c.TEXT].tolist(), encode=encode)[:, 1]
    stars = np.full(len(last), np.nan)
    if c.SATISFACTION in turns:
        score = turns.groupby(c.DIALOGUE_ID)[c.SATISFACTION].last()
        stars = np.asarray(score.reindex(last.index), dtype=np.float64)
    return _weeks(np.asarray(last[c.TIME], dtype=np.int64), mood, stars)


def _some(examples: Examples, seed: int) -> Examples:
    """At most MOST of the examples, in their order."""
    if len(examples) <= MOST:
        return examples
    drawn = rng(seed, "texts for the report").choice(len(examples), MOST, replace=False)
    return examples.take(np.sort(drawn))


def _parted(examples: Examples) -> tuple[Examples, Examples]:
    """What was written before a moment, and from it on: about the last fifth of labelled rows."""
    times = examples.times[examples.labelled]
    if not len(times):
        return examples.take(np.arange(0)), examples
    at = np.quantile(times, 0.8, method="higher")
    return examples.take(examples.times < at), examples.take(examples.times >= at)


def _stars(tables: Tables, examples: Examples) -> NDArray[np.float64]:
    """``(n,)`` the stars of reviews, NaN where they have none; a review is its user, item, time."""
    assert tables.reviews is not None
    key = [c.USER_ID, c.ITEM_ID, c.TIME]
    if c.RATING not in tables.reviews.columns:
        return np.full(len(examples), np.nan)
    rows = tables.reviews.select(*key, c.RATING).to_pandas().drop_duplicates(key)
    rated = rows.set_index(key)[c.RATING]
    import pandas as pd

    asked = pd.MultiIndex.from_arrays([examples.users, examples.keys, examples.times], names=key)
    return rated.reindex(asked).to_numpy(np.float64)


def _titles(tables: Tables) -> Mapping[str, str]:
    if tables.items is None or c.TITLE not in tables.items.columns:
        return {}
    rows = tables.items.select(c.ITEM_ID, c.TITLE).to_pandas().dropna()
    return dict(zip(rows[c.ITEM_ID], rows[c.TITLE], strict=True))


def _example(examples: Examples, row: int, text: str, titles: Mapping[str, str]) -> dict[str, str]:
    item = examples.keys[row]
    return {
        "text": scrub(text),
        "item_id": item,
        "title": titles.get(item, ""),
        "time": iso(int(examples.times[row]) // DAY_US * DAY_US),
    }


def _weeks(
    times: NDArray[np.int64], praise: NDArray[np.float64], stars: NDArray[np.float64]
) -> dict[str, list]:
    """Share of positive reviews, mean stars and number of reviews, by week; None where none."""
    week = times // WEEK_US - times.min() // WEEK_US
    n_weeks = int(week.max()) + 1
    n = np.bincount(week, minlength=n_weeks)
    positive = np.bincount(week, weights=praise >= 0.5, minlength=n_weeks)
    rated = np.isfinite(stars)
    n_rated = np.bincount(week[rated], minlength=n_weeks)
    total = np.bincount(week[rated], weights=stars[rated], minlength=n_weeks)
    first = times.min() // WEEK_US * WEEK_US
    return {
        "time": [iso(int(first + i * WEEK_US)) for i in range(n_weeks)],
        "positive": [p / k if k else None for p, k in zip(positive, n.tolist(), strict=True)],
        "stars": [s / k if k else None for s, k in zip(total, n_rated.tolist(), strict=True)],
        "n": n.tolist(),
    }


def _disagreeing(
    examples: Examples,
    praise: NDArray[np.float64],
    stars: NDArray[np.float64],
    titles: Mapping[str, str],
    *,
    fewest: int = 3,
    most: int = 10,
) -> list[dict[str, Any]]:
    """Items whose words sound better or worse than their stars, the widest gap first.

    The gap is between the mean probability of praise and the mean of stars laid on 0 to 1; an item
    needs three rated reviews.
    """
    rated = np.flatnonzero(np.isfinite(stars))
    if not len(rated):
        return []
    items, place, n = np.unique(
        examples.keys[rated].astype(str), return_inverse=True, return_counts=True
    )
    words = np.bincount(place, weights=praise[rated]) / n
    mean = np.bincount(place, weights=stars[rated]) / n
    gap = np.where(n >= fewest, np.abs(words - (mean - 1) / 4), 0)
    found = []
    for item in np.argsort(-gap, kind="stable")[:most].tolist():
        if gap[item] < 0.25:
            break
        own = rated[place == item]
        apart = own[np.argmax(np.abs(praise[own] - (stars[own] - 1) / 4))]
        found.append(
            {
                "item_id": str(items[item]),
                "title": titles.get(str(items[item]), ""),
                "stars": float(mean[item]),
                "words": float(words[item]),
                "n": int(n[item]),
                "example": scrub(str(examples.texts[apart])),
            }
        )
    return found
