"""Next item, leave-one-out: the last item of every user, among all items (targets, section 1).

``--data`` is a file with lines of ``user item item ...`` in time order. The last item is the test,
the one before it validation; engines are tuned on validation, learn from the rest, and at the
test see all but the last. ``cooccurrence_refit`` also learns from the validation items once its
settings are chosen, as a shop would; ``popularity_all`` counts the test items too, which no shop
can, to compare with published rows that do. With ``--items``, ``neural`` also reads the texts, and
``neural_ids`` is the same without them. ``--peers rectools,replay`` trains other libraries' models
in environments of their own (``benchmarks/peers``).
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import Benchmark, parser
from knn import ItemKNN
from loaders import LAST, SECOND_LAST, LeaveOneOut, one_user, read_leave_one_out, sequence_inputs
from loaders_content import read_content, with_content
from shoploom.core.progress import terminal
from shoploom.engines import ENGINES, Fitted, fit_once, tune_once
from shoploom.evaluation import score
from shoploom.tasks import Answers, make_task

ENGINE_NAMES = (
    "popularity",
    "popularity_all",
    "itemknn",
    "bm25",
    "cooccurrence",
    "cooccurrence_refit",
    "neural",
    "blend",
    "default",
)
SETTINGS = {"blend": {"parts": {"cooccurrence": {}, "neural": {}}}}
TASKS = {"next_item": make_task("next_item")}
METRICS = ("hr@1", "hr@5", "hr@10", "hr@20", "ndcg@5", "ndcg@10", "ndcg@20")
_RARE = 5  # training events up to which an item is rare
DEFAULT = "blend"  # what the product does when nobody says otherwise


def main() -> None:
    options = parser(__doc__)
    options.add_argument(
        "--items",
        metavar="FILE",
        help="Parquet with item_id and text, or title and description; or JSON by item",
    )
    options.add_argument("--encoder", default="e5", help="of the texts: e5, use, tfidf, ...")
    options.add_argument("--neighbours", type=int, default=200, help="of item-kNN and BM25")
    options.add_argument("--peers", default="", help="rectools, replay, or both by commas")
    chosen = options.parse_args()
    if chosen.peers:
        from peers.run import add_peers, check

        peers = check(chosen.peers.split(","))
    names = chosen.engines.split(",") if chosen.engines else list(ENGINE_NAMES)
    data = read_leave_one_out(chosen.data, seed=chosen.seed)
    if chosen.items and not chosen.engines:
        names.insert(names.index("neural"), "neural_ids")
    events = data.everything
    run = Benchmark(
        "next_item",
        Path(chosen.data).name,
        {
            "seed": chosen.seed,
            "users": len(events),
            "items": len(events.items),
            "events": len(events.item),
            "default": DEFAULT,
            "items_file": Path(chosen.items).name if chosen.items else None,
            "encoder": chosen.encoder if chosen.items else None,
        },
    )
    if chosen.items:
        with run.time("encode items"):
            items = data.everything.items
            content = read_content(chosen.items, data.item_names, items, chosen.encoder)
        data = replace(data, inputs=with_content(data.inputs, content))
    # The views are the protocol, not the engines' work: make them before any clock runs.
    for at in (SECOND_LAST, LAST):
        data.inputs.sequences(at)
    fitted: dict[str, Fitted] = {}
    for name in names:
        own = name if name != "default" else DEFAULT
        if own not in fitted:
            fitted[own] = _fit(own, data, run, chosen)
        label = f"{name} answer"
        with run.time(label):
            answers = fitted[own].answer(
                make_task("next_item"), data.test.unanswered(), data.inputs, k=20
            )
        run.timing[label]["users_per_s"] = round(len(data.test) / run.timing[label]["wall_s"])
        found = score("ranking", data.test, answers, seed=chosen.seed)
        run.add(name, {metric: found[metric] for metric in METRICS})
        rare = _rare(data)
        if len(rare):
            of_rare = score("ranking", data.test.take(rare), _rows(answers, rare), seed=chosen.seed)
            run.add(name, {f"{metric} rare": of_rare[metric] for metric in ("hr@10", "ndcg@10")})
        run.timing[f"{name} one user"] = _latency(fitted[own], data, chosen.seed)
    if chosen.peers:
        add_peers(run, peers, chosen.data, data, seed=chosen.seed)
    run.finish(as_json=chosen.json)


def _fit(name: str, data: LeaveOneOut, run: Benchmark, chosen: Any) -> Fitted:
    """The engine fitted under the protocol; tuning and fitting are timed apart."""
    past, seed = data.inputs.upto(SECOND_LAST), chosen.seed
    if name == "popularity_all":
        past = sequence_inputs(data.everything, until=LAST + 1)
        engine = ENGINES.get("popularity")()
    elif name in ("itemknn", "bm25"):
        weighting = "bm25" if name == "bm25" else "cosine"
        engine = ItemKNN(weighting, neighbours=chosen.neighbours)
    else:
        engine = ENGINES.get(name.removesuffix("_refit").removesuffix("_ids"))(
            **SETTINGS.get(name, {})
        )
        if name == "neural_ids":
            engine = replace(engine, content=False)
        if name.removesuffix("_refit") in run.settings:
            engine = run.settings[name.removesuffix("_refit")]
        else:
            validation = {"next_item": data.validation}
            with run.time(f"{name} tune"):
                engine = tune_once(
                    engine, past, TASKS, {}, validation, seed=seed, progress=terminal()
                )
            run.settings[name.removesuffix("_refit")] = engine
        if name.endswith("_refit"):
            past = data.inputs.upto(LAST)
    with run.time(f"{name} fit"):
        return fit_once(engine, past, TASKS, {}, seed=seed, progress=terminal())


def _rare(data: LeaveOneOut) -> NDArray[np.intp]:
    """Test questions whose item has at most five training events."""
    trained = data.inputs.sequences(SECOND_LAST)
    counts = np.bincount(trained.item, minlength=len(trained.items))
    target = trained.items.encode(data.test.answers.values)
    return np.flatnonzero(np.where(target >= 0, counts[target], 0) <= _RARE)


def _rows(answers: Answers, rows: NDArray[np.intp]) -> Answers:
    assert answers.items is not None
    assert answers.scores is not None
    return replace(answers, items=answers.items[rows], scores=answers.scores[rows])


def _latency(fitted: Fitted, data: LeaveOneOut, seed: int) -> dict[str, float]:
    """Milliseconds for one user whose history has just arrived, from history to ten items."""
    task = make_task("next_item")
    history = data.inputs.sequences(LAST)
    rows = np.random.default_rng(seed).choice(len(data.test), min(500, len(data.test)), False)
    took = []
    for row in np.concatenate((rows[:20], rows)):
        question = data.test.take(np.array([row])).unanswered()
        live = one_user(history, int(row))
        start = time.perf_counter()
        fitted.answer(task, question, sequence_inputs(live, until=LAST), k=10)
        took.append((time.perf_counter() - start) * 1e3)
    took = np.array(took[20:])
    return {f"p{p}_ms": round(float(np.percentile(took, p)), 2) for p in (50, 99)}


if __name__ == "__main__":
    main()
