"""Items that nobody has met: what do texts, photos, films and reviews say about who likes them?

``--shop PATH`` is a shop.yaml (or its folder) with ``encoders:``. A share of the items is hidden:
none of their events is learned from, as if they came into the shop at the test moment, with what
is said and shown of them. Asked is which of them each user looks at in the test window, among all
hidden items. The network is trained on each source alone, and on more and more of them together.
``alike`` orders by the cosine of an item to the mean of what the user looked at, without learning;
``chance`` by chance. A line such as ``+ image`` is the paired difference that a source makes to
those before it.

    shoploom simulate toy-shop/
    python benchmarks/cold_items.py --shop toy-shop/ --json
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness import Benchmark, parser
from shoploom.core import columns as c
from shoploom.core.ids import Vocabulary
from shoploom.core.progress import terminal
from shoploom.engines import ENGINES, Contents, Inputs, ItemContent
from shoploom.engines._ranking import histories
from shoploom.engines.neural.content import whitenings
from shoploom.evaluation import compare, score
from shoploom.sequences import views
from shoploom.tables import Tables, open_tables
from shoploom.tasks import Answers, Questions, Ragged, make_task
from shoploom.workflows import load_config
from shoploom.workflows.encode import encode
from shoploom.workflows.item_content import ItemContents, item_contents
from shoploom.workflows.prepare import prepare
from shoploom.workflows.run import Run
from shoploom.workflows.split import split_of

METRICS = ("ndcg@10", "recall@10")
TASK = make_task("next_item")
SEPARATOR = " + "
AXES = 128  # of each modality that ``alike`` compares


def main() -> None:
    options = parser(__doc__ or "", data=False)
    options.add_argument("--shop", required=True, metavar="PATH", help="a shop.yaml")
    options.add_argument("--hidden", type=float, default=1 / 3, help="share of items hidden")
    options.add_argument("--action", default=c.VIEW, help="what users do to the items asked about")
    options.add_argument("--epochs", type=int, help="of the network; found by itself if not given")
    chosen = options.parse_args()
    config, progress = load_config(Path(chosen.shop)), terminal()
    run = Run(config.run)
    prepare(config, run, progress)
    encode(config, run, progress)
    tables = open_tables(run.prepared)
    split = split_of(config, tables)
    contents = item_contents(run, config.encoders)
    if contents is None:
        options.error("the shop has no encoded content: name `encoders:` in its shop.yaml")
    items = [str(id_) for id_ in tables.items[c.ITEM_ID].to_pyarrow().to_pylist()]
    cold = {x for x in items if zlib.crc32(f"{chosen.seed}/{x}".encode()) < chosen.hidden * 2**32}
    asked = _asked(tables, cold, chosen.action, split.test, split.test + split.window_us)
    known = replace(tables, events=tables.events.filter(~tables.events[c.ITEM_ID].isin(cold)))
    bench = Benchmark(
        "cold_items",
        Path(chosen.shop).name,
        {
            "seed": chosen.seed,
            "hidden items": len(cold),
            "users asked about": len(asked),
            "items that they take": len(asked.answers.values),
            "sources": ", ".join(contents.names),
        },
    )
    answers = {"chance": _chance(asked, cold, chosen.seed)}
    for name, content in _variants(contents).items():
        inputs = _inputs(known, split.test, content)
        with bench.time(f"{name}: fit and answer"):
            engine = ENGINES.make("neural", epochs=chosen.epochs)
            fitted = engine.fit(inputs, {TASK.name: TASK}, {}, seed=chosen.seed, progress=progress)
            listed = fitted.answer(TASK, asked.unanswered(), inputs, k=len(items))
        answers[name] = _among(listed, cold)
    inputs = _inputs(known, split.test, contents)
    everything = inputs.content(split.test)
    assert everything is not None
    for name in contents.names:
        answers[f"alike: {name}"] = _alike(asked, inputs, everything, name, cold, chosen.seed)
    for name, given in answers.items():
        found = score("ranking", asked, given, seed=chosen.seed)
        bench.add(name, {metric: found[metric] for metric in METRICS})
    for i, added in enumerate(contents.names[1:], 1):
        before, after = (SEPARATOR.join(contents.names[:n]) for n in (i, i + 1))
        pair = {name: answers[name] for name in (before, after)}
        by = compare("ranking", asked, pair, after, seed=chosen.seed)[before]
        bench.add(f"+ {added}", {metric: by[metric] for metric in METRICS})
    bench.finish(as_json=chosen.json)


def _variants(contents: ItemContents) -> dict[str, ItemContents]:
    """Each source alone, then the first ones together, one more each time."""
    names = contents.names
    made = {name: contents.only({name}) for name in names}
    made |= {
        SEPARATOR.join(names[:n]): contents.only(set(names[:n])) for n in range(2, len(names) + 1)
    }
    return made


def _asked(tables: Tables, cold: set[str], action: str, start: int, end: int) -> Questions:
    """Which hidden items each user takes in the window."""
    events = tables.events
    inside = (events[c.TIME] >= start) & (events[c.TIME] < end) & (events[c.ACTION] == action)
    taken = events.filter(inside & events[c.ITEM_ID].isin(cold))
    rows = taken.select(c.USER_ID, c.ITEM_ID).distinct().to_pyarrow().to_pydict()
    pairs = sorted(zip(rows[c.USER_ID], rows[c.ITEM_ID], strict=True))
    users, first = np.unique([str(user) for user, _ in pairs], return_index=True)
    values = np.array([str(item) for _, item in pairs], dtype=object)
    return Questions(
        TASK.name,
        users.astype(object),
        np.full(len(users), start, dtype=np.int64),
        answers=Ragged(values, np.append(first, len(pairs)).astype(np.int64)),
    )


def _inputs(tables: Tables, until: int, content: Contents | None) -> Inputs:
    return Inputs(until=until, tables=tables, content=content, **views(tables))


def _chance(asked: Questions, cold: set[str], seed: int) -> Answers:
    """Hidden items in an order drawn anew for each user."""
    catalogue = Vocabulary.of(cold)
    drawn = np.random.default_rng(seed).random((len(asked), len(catalogue))).astype(np.float32)
    items = np.argsort(-drawn, axis=1).astype(np.int32)
    scores = np.take_along_axis(drawn, items, 1)
    return Answers(TASK.name, items=items, scores=scores, catalogue=catalogue)


def _among(answers: Answers, cold: set[str]) -> Answers:
    """The answers without items that are not hidden, in their order."""
    assert answers.catalogue is not None
    assert answers.items is not None
    assert answers.scores is not None
    wanted = np.append(np.isin(answers.catalogue.ids.astype(str), list(cold)), False)
    kept = wanted[answers.items]
    order = np.argsort(~kept, axis=1, kind="stable")[:, : len(cold)]
    items = np.take_along_axis(np.where(kept, answers.items, -1), order, 1)
    scores = np.take_along_axis(answers.scores, order, 1)
    return replace(answers, items=items, scores=scores)


def _alike(
    asked: Questions, inputs: Inputs, content: ItemContent, name: str, cold: set[str], seed: int
) -> Answers:
    """Hidden items by their likeness to the mean of what each user met."""
    one = replace(
        content, vectors={name: content.vectors[name]}, present={name: content.present[name]}
    )
    whitening = whitenings(one, AXES, {})[name]
    vectors = whitening.apply(content.vectors[name]) * content.present[name][:, None]
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.maximum(length, 1e-9)
    at = int(asked.times[0])
    met = histories(inputs.sequences(at), asked.users, content.items)
    row = np.repeat(np.arange(len(met)), np.diff(met.offsets))
    mean: NDArray[np.float64] = np.zeros((len(met), vectors.shape[1]))
    np.add.at(mean, row, vectors[met.item])
    hidden = np.flatnonzero(np.isin(content.items.ids.astype(str), list(cold)))
    likeness = mean @ vectors[hidden].T
    # What is equal, such as items without content, comes in an order drawn by chance.
    draw = np.random.default_rng(seed).permutation(len(hidden))
    best = draw[np.argsort(-likeness[:, draw], axis=1, kind="stable")]
    scores = np.take_along_axis(likeness, best, 1)
    return Answers(
        TASK.name,
        items=hidden[best].astype(np.int32),
        scores=(scores - scores.min(1, keepdims=True)).astype(np.float32),
        catalogue=Vocabulary(content.items.ids),
    )


if __name__ == "__main__":
    main()
