"""Intents of customers' messages: readers beside the TF-IDF floor, and what belongs to none.

    python benchmarks/intent.py --train train.csv --test test.csv --text sentence --label label
        [--out-of-scope NO_NODES_DETECTED]

Accuracy and F1 are over test messages of intents that training shows. A message is taken for out
of scope when its likeliest intent is less likely than a threshold, which is chosen so that
``--reject`` (5 %) of cross-fitted training messages fall below it; ``oos_recall`` is the share of
out-of-scope test messages that do, ``oos_rejected`` the share of in-scope ones that wrongly do.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness import Benchmark, parser
from loaders_text import named_reader, read_texts
from shoploom.core.progress import terminal
from shoploom.evaluation import mean_interval
from shoploom.evaluation.labelled import score_labels
from shoploom.workflows.reading import cross_fitted, keep_vectors

READERS = ("tfidf", "linear")


def main() -> None:
    options = parser(__doc__ or "", data=False)
    options.add_argument("--train", type=Path, required=True)
    options.add_argument("--test", type=Path, required=True)
    options.add_argument("--text", default="text")
    options.add_argument("--label", default="label")
    options.add_argument("--out-of-scope", help="the label of messages that belong to no intent")
    options.add_argument("--reject", type=float, default=0.05)
    options.add_argument("--folds", type=int, default=5, help="of the cross-fitting")
    options.add_argument("--vectors", type=Path, help="keep vectors of texts in this folder")
    options.add_argument("--finetuned", help="settings of that reader, such as epochs=2,layers=4")
    given = options.parse_args()
    columns = {"text": given.text, "label": given.label}
    train = read_texts(given.train, **columns)
    names = tuple(name for name in train.names if name != given.out_of_scope)
    train = read_texts(given.train, **columns, names=names)
    train = train.take(train.labels >= 0)
    everything = read_texts(given.test, **columns, names=(*names, given.out_of_scope or ""))
    scope = everything.labels == len(names)
    test = everything.take((everything.labels >= 0) & ~scope)
    outside = everything.take(scope)
    progress = terminal()
    settings = {"train": len(train.texts), "test": len(test.texts), "intents": len(names)}
    settings |= {"out_of_scope": len(outside.texts), "reject": given.reject, "seed": given.seed}
    bench = Benchmark("intent", str(given.test), settings)
    encode = keep_vectors("e5", given.vectors, progress)
    who = np.arange(len(test.texts)).astype(str).astype(object)
    apart = np.arange(len(outside.texts)).astype(str).astype(object)
    for name in given.engines.split(",") if given.engines else READERS:
        reader, how = (
            named_reader(name, given.finetuned),
            {"n_labels": len(names), "seed": given.seed},
        )
        with bench.time(f"fit {name}"):
            fitted = reader.fit(train.texts, train.labels, **how, encode=encode)
        probabilities = fitted.predict(test.texts, encode=encode)
        metrics = score_labels(probabilities, test.labels, who, seed=given.seed)
        metrics.pop("mae")
        if len(apart):
            own = cross_fitted(
                reader, train.texts, train.labels, **how, folds=given.folds, encode=encode
            )
            threshold = np.quantile(own.max(axis=1), given.reject)
            below = fitted.predict(outside.texts, encode=encode).max(axis=1) < threshold
            metrics["oos_recall"] = mean_interval(below.astype(float), apart)
            wrongly = probabilities.max(axis=1) < threshold
            metrics["oos_rejected"] = mean_interval(wrongly.astype(float), who)
        bench.add("default" if name == "linear" else name, metrics)
    bench.finish(as_json=given.json)


if __name__ == "__main__":
    main()
