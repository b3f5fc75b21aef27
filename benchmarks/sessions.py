"""Next item of a session under way, among all items (targets, section 2).

``--data`` is a folder with train.parquet (session_id, items), sessions in order of time, and
test.parquet (items, target), one row per prefix. Items of the session may come again. Engines are
tuned on the last tenth of the training sessions, each cut at a random place, and then learn from
all training sessions whole; test prefixes are never learned from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import Benchmark, parser
from knn import ItemKNN
from loaders import CUT, Sessions, read_sessions
from shoploom.core.progress import terminal
from shoploom.engines import ENGINES, Fitted, fit_once, tune_once
from shoploom.evaluation import score
from shoploom.tasks import make_task

ENGINE_NAMES = (
    "popularity",
    "personal",
    "itemknn",
    "itemknn_recent",
    "cooccurrence",
    "neural",
    "blend",
    "default",
)
#: In a session nothing tells days apart, and what was just looked at comes again.
_COOCCURRENCE = {"repeat": 0.1, "repeat_half_life_days": None}
TASKS = {"next_item": make_task("next_item")}
METRICS = ("hr@5", "hr@10", "hr@20", "mrr@10", "mrr@20", "ndcg@20")
DEFAULT = "blend"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--max-epochs", type=int, default=50, help="of neural and of blend's")
    chosen = options.parse_args()
    names = chosen.engines.split(",") if chosen.engines else list(ENGINE_NAMES)
    data = read_sessions(chosen.data, seed=chosen.seed)
    trained = data.inputs.sequences(data.inputs.until)
    run = Benchmark(
        "sessions",
        Path(chosen.data).name,
        {
            "seed": chosen.seed,
            "sessions": len(trained),
            "items": len(trained.items),
            "events": len(trained.item),
            "prefixes": len(data.test),
            "default": DEFAULT,
        },
    )
    data.asking.sequences(CUT)
    fitted: dict[str, Fitted] = {}
    for name in names:
        own = name if name != "default" else DEFAULT
        if own not in fitted:
            fitted[own] = _fit(own, data, run, chosen.seed, chosen.max_epochs)
        label = f"{name} answer"
        with run.time(label):
            answers = fitted[own].answer(
                make_task("next_item"), data.test.unanswered(), data.asking, k=20
            )
        run.timing[label]["sessions_per_s"] = round(len(data.test) / run.timing[label]["wall_s"])
        found = score("ranking", data.test, answers, seed=chosen.seed, ks=(5, 10, 20))
        run.add(name, {metric: found[metric] for metric in METRICS})
    run.finish(as_json=chosen.json)


def _settings(max_epochs: int) -> dict[str, dict[str, Any]]:
    neural = {"length": 20, "batch": 4096, "max_epochs": max_epochs}
    parts = {"cooccurrence": _COOCCURRENCE, "neural": neural}
    return {"cooccurrence": _COOCCURRENCE, "neural": neural, "blend": {"parts": parts}}


def _fit(name: str, data: Sessions, run: Benchmark, seed: int, max_epochs: int) -> Fitted:
    if name.startswith("itemknn"):
        engine = ItemKNN("cosine", query_decay=0.7 if name == "itemknn_recent" else 1.0)
    else:
        engine = ENGINES.make(name, **_settings(max_epochs).get(name, {}))
        past, validation = data.inputs.upto(CUT), {"next_item": data.validation}
        with run.time(f"{name} tune"):
            # The network that neural and blend have in common is trained once.
            engine = tune_once(engine, past, TASKS, {}, validation, seed=seed, progress=terminal())
    run.settings[name] = engine
    with run.time(f"{name} fit"):
        return fit_once(engine, data.inputs, TASKS, {}, seed=seed, progress=terminal())


if __name__ == "__main__":
    main()
