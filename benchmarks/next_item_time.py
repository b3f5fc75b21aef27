"""Next item with real times and one global split (targets, section 1b).

Files hold rows of user_id, item_id, timestamp, rating. Everything before the test part is
learned from, items that a user rated before are masked, all items are ranked, and the truth is
what the user then rated 4 or more. Engines are tuned on the end of the training part, as long as
the test part. ``reranking`` is LightGBM over the candidates of the other engines, learned from
earlier windows of the training part (``reranking.py``). With ``--items``, ``neural`` reads titles,
brands, categories and prices, and ``neural_ids`` is the same without them. Slices: users without a
training row, items by their number of training rows.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness import Benchmark, parser
from knn import ItemKNN
from loaders import TimeSplitRatings, read_time_split
from loaders_content import read_content, with_content
from reranking import FittedReranking, Reranking
from shoploom.core.ids import Vocabulary
from shoploom.engines import ENGINES, Fitted, fit_once, tune_once
from shoploom.engines.popularity import Popularity
from shoploom.evaluation import Estimate, compare, score
from shoploom.tasks import Answers, Questions, Ragged, make_task

RERANKING = "reranking"
ENGINE_NAMES = (
    "popularity",
    "popularity_30d",
    "popularity_7d",
    "bm25",
    "cooccurrence",
    RERANKING,
    "neural",
    "blend",
    "default",
)
SETTINGS = {"blend": {"parts": {"cooccurrence": {}, "neural": {}, "popularity": {}}}}
SOURCES = ("popularity_30d", "popularity_7d", "cooccurrence", "bm25")  # of what is re-ranked
TASKS = {"next_item": make_task("next_item")}
KS = (10, 20, 50)
METRICS = ("recall@10", "recall@20", "recall@50", "ndcg@10")
DEFAULT = "cooccurrence"
RARE = 5  # training rows up to which an item counts as rare


def main() -> None:
    options = parser(__doc__ or "", data=False)
    options.add_argument("--train", required=True, nargs="+", metavar="FILE")
    options.add_argument("--test", required=True, metavar="FILE")
    options.add_argument("--items", metavar="FILE", help="item_id, title, ...: the catalogue")
    options.add_argument("--encoder", default="e5", help="of the titles: e5, use, tfidf, ...")
    chosen = options.parse_args()
    names = chosen.engines.split(",") if chosen.engines else list(ENGINE_NAMES)
    data = read_time_split(chosen.train, chosen.test, chosen.items)
    if chosen.items and not chosen.engines:
        names.insert(names.index("neural"), "neural_ids")
    known = data.inputs.sequences(data.moment)
    counts = np.bincount(known.item, minlength=len(known.items))
    parts = _slices(data.test, known.users, known.items, counts)
    run = Benchmark(
        "next_item_time",
        str(Path(chosen.test).parent.name),
        {
            "seed": chosen.seed,
            "training_rows": len(known.item),
            "users": len(known),
            "items": len(known.items),
            "test_users": len(data.test),
            "test_positives": len(_truth(data.test).values),
            "positives_rated_before": data.dropped,
            "slices": {name: int((_truth(part).lengths > 0).sum()) for name, part in parts.items()},
            "default": DEFAULT,
        },
    )
    if chosen.items and {"neural", "blend"} & set(names):
        with run.time("encode items"):
            content = read_content(
                chosen.items, known.items.ids, known.items, chosen.encoder, fields=True
            )
        data = replace(data, inputs=with_content(data.inputs, content))
    engines: dict[str, Any] = {}
    fitted: dict[str, Fitted | FittedReranking] = {}
    said: dict[str, Answers] = {}
    for name in names:
        own = name if name != "default" else DEFAULT
        if own not in fitted:
            fitted[own] = _fit(own, data, engines, run, chosen.seed)
        with run.time(f"{name} answer"):
            answers = fitted[own].answer(
                make_task("next_item"), data.test.unanswered(), data.inputs, k=50
            )
        said[own] = answers
        run.add(name, _scores(data.test, answers, chosen.seed))
        for part, questions in parts.items():
            found = _scores(questions, answers, chosen.seed)
            run.add(name, {f"{metric} {part}": found[metric] for metric in METRICS[:1]})
    if RERANKING in said:
        versus = compare("ranking", data.test, said, RERANKING, seed=chosen.seed, ks=KS)
        for other, found in versus.items():
            run.add(f"{RERANKING} - {other}", {metric: found[metric] for metric in METRICS})
    run.finish(as_json=chosen.json)


def _fit(
    name: str, data: TimeSplitRatings, engines: dict[str, Any], run: Benchmark, seed: int
) -> Fitted | FittedReranking:
    """The engine fitted on the training part; its settings come from ``engines`` or go there."""
    if name == RERANKING:
        return _fit_reranking(data, engines, run, seed)
    engine = _tuned(name, data, engines, run, seed)
    with run.time(f"{name} fit"):
        return fit_once(engine, data.inputs, TASKS, {}, seed=seed)


def _tuned(
    name: str, data: TimeSplitRatings, engines: dict[str, Any], run: Benchmark, seed: int
) -> Any:
    """The engine with its settings chosen on validation, once for all who ask."""
    if name not in engines:
        if name == "bm25":
            engine = ItemKNN("bm25")
        elif name == "popularity_30d":
            engine = Popularity(window_days=30)
        else:
            engine = ENGINES.get(name.removesuffix("_ids"))(**SETTINGS.get(name, {}))
            if name == "neural_ids":
                engine = replace(engine, content=False)
            # Everything before the validation window is learned from, then chosen by it.
            past, validation = data.inputs.upto(int(data.validation.times[0])), data.validation
            with run.time(f"{name} tune"):
                engine = tune_once(engine, past, TASKS, {}, {"next_item": validation}, seed=seed)
        engines[name] = run.settings[name] = engine
    return engines[name]


def _fit_reranking(
    data: TimeSplitRatings, engines: dict[str, Any], run: Benchmark, seed: int
) -> FittedReranking:
    """Trees tuned on validation from what precedes it, then grown with validation as well."""
    sources = {name: _tuned(name, data, engines, run, seed) for name in SOURCES}
    with run.time(f"{RERANKING} tune"):
        engine = Reranking(sources).tune(data.inputs, data.earlier, data.validation, seed=seed)
    run.settings[RERANKING] = (
        f"{len(data.earlier) + 1} windows of {', '.join(SOURCES)}; {engine.trees}"
    )
    with run.time(f"{RERANKING} fit"):
        return engine.fit(data.inputs, [*data.earlier, data.validation], seed=seed)


def _scores(questions: Questions, answers: Answers, seed: int) -> dict[str, Estimate]:
    found = score("ranking", questions, answers, seed=seed, ks=KS)
    return {metric: found[metric] for metric in METRICS}


def _slices(
    test: Questions, users: Vocabulary, items: Vocabulary, counts: np.ndarray
) -> dict[str, Questions]:
    """The test with only some of its truth; rows left without any are not judged."""
    truth = _truth(test)
    code = items.encode(truth.values)
    rows = np.where(code >= 0, counts[code], 0)
    strangers = np.repeat(users.encode(test.users) < 0, truth.lengths)
    chosen = {
        "cold users": strangers,
        "warm users": ~strangers,
        "cold items": rows == 0,
        f"items 1-{RARE}": (rows > 0) & (rows <= RARE),
        f"items >{RARE}": rows > RARE,
    }
    parts = {}
    for name, kept in chosen.items():
        offsets = np.concatenate(([0], np.cumsum(kept)))[truth.offsets]
        parts[name] = replace(test, answers=Ragged(truth.values[kept], offsets))
    return parts


def _truth(questions: Questions) -> Ragged:
    assert isinstance(questions.answers, Ragged)
    return questions.answers


if __name__ == "__main__":
    main()
