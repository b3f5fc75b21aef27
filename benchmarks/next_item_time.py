"""Next item with real times and one global split (targets, section 1b).

Files hold rows of user_id, item_id, timestamp, rating. Everything before the test part is
learned from, items that a user rated before are masked, all items are ranked, and the truth is
what the user then rated 4 or more. Engines are tuned on the end of the training part, as long as
the test part. Slices: users without a training row, items by their number of training rows.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from harness import Benchmark, parser
from knn import ItemKNN
from loaders import TimeSplitRatings, read_time_split
from shoploom.core.ids import Vocabulary
from shoploom.engines import ENGINES, Fitted
from shoploom.engines.popularity import Popularity
from shoploom.evaluation import Estimate, score
from shoploom.tasks import Answers, Questions, Ragged, make_task

ENGINE_NAMES = (
    "popularity",
    "popularity_30d",
    "popularity_7d",
    "bm25",
    "cooccurrence",
    "default",
)
METRICS = ("recall@10", "recall@20", "recall@50", "ndcg@10")
DEFAULT = "cooccurrence"
RARE = 5  # training rows up to which an item counts as rare


def main() -> None:
    options = parser(__doc__, data=False)
    options.add_argument("--train", required=True, nargs="+", metavar="FILE")
    options.add_argument("--test", required=True, metavar="FILE")
    options.add_argument("--items", metavar="FILE", help="item_id, title, ...: the catalogue")
    chosen = options.parse_args()
    names = chosen.engines.split(",") if chosen.engines else list(ENGINE_NAMES)
    data = read_time_split(chosen.train, chosen.test, chosen.items)
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
    fitted: dict[str, Fitted] = {}
    for name in names:
        own = name if name != "default" else DEFAULT
        if own not in fitted:
            fitted[own] = _fit(own, data, run, chosen.seed)
        with run.time(f"{name} answer"):
            answers = fitted[own].answer(
                make_task("next_item"), data.test.unanswered(), data.inputs, k=50
            )
        run.add(name, _scores(data.test, answers, chosen.seed))
        for part, questions in parts.items():
            found = _scores(questions, answers, chosen.seed)
            run.add(name, {f"{metric} {part}": found[metric] for metric in METRICS[:1]})
    run.finish(as_json=chosen.json)


def _fit(name: str, data: TimeSplitRatings, run: Benchmark, seed: int) -> Fitted:
    if name == "bm25":
        engine = ItemKNN("bm25")
    elif name == "popularity_30d":
        engine = Popularity(window_days=30)
    else:
        engine = ENGINES.get(name)()
        tasks, validation = {"next_item": make_task("next_item")}, {"next_item": data.validation}
        with run.time(f"{name} tune"):
            engine = engine.tune(data.inputs, tasks, {}, validation, seed=seed)
    run.settings[name] = engine
    with run.time(f"{name} fit"):
        return engine.fit(data.inputs, {}, {}, seed=seed)


def _scores(questions: Questions, answers: Answers, seed: int) -> dict[str, Estimate]:
    found = score("ranking", questions, answers, seed=seed, ks=(10, 20, 50))
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
