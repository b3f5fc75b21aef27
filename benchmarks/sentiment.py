"""Sentiment of reviews, or any label of texts: readers beside the TF-IDF floor.

    python benchmarks/sentiment.py --data reviews.parquet                    80/20 by hash
    python benchmarks/sentiment.py --train a.csv --test b.csv
    python benchmarks/sentiment.py --data shop10.parquet --group category --hold-out 酒店,书籍

With ``--hold-out`` the readers learn from all other groups and are tested on these (cross-domain).
Settings are chosen on a validation part of the training side. ``shipped`` is the head that comes
with the package and learns nothing here; it answers where labels are negative and positive.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness import Benchmark, parser
from loaders_text import Texts, named_reader, read_texts, training_side
from shoploom.core.errors import ConfigError
from shoploom.core.progress import terminal
from shoploom.core.seeds import rng
from shoploom.engines.readers import SHIPPED_SENTIMENT, load_reader
from shoploom.evaluation.labelled import score_labels
from shoploom.workflows.reading import keep_vectors

READERS = ("tfidf", "linear", "shipped")


def main() -> None:
    options = parser(__doc__ or "", data=False)
    options.add_argument("--data", type=Path)
    options.add_argument("--train", type=Path)
    options.add_argument("--test", type=Path)
    options.add_argument("--text", default="text", help="columns of text, comma-separated")
    options.add_argument("--label", default="label")
    options.add_argument("--rating", help="a column of stars instead of labels")
    options.add_argument("--group", help="a column of domains")
    options.add_argument("--hold-out", help="test on these groups, learn from the others")
    options.add_argument("--most", type=int, help="learn from at most so many texts")
    options.add_argument("--most-test", type=int, help="be tested on at most so many texts")
    options.add_argument("--vectors", type=Path, help="keep vectors of texts in this folder")
    options.add_argument("--finetuned", help="settings of that reader, such as epochs=2,layers=4")
    given = options.parse_args()
    train, test = sides(given)
    train = fewer(train, given.most, given.seed)
    test = fewer(test, given.most_test, given.seed)
    progress = terminal()
    settings = {"train": len(train.texts), "test": len(test.texts), "seed": given.seed}
    settings |= {"hold_out": given.hold_out, "labels": ", ".join(train.names[:5])}
    bench = Benchmark("sentiment", str(given.data or given.test), settings)
    encode = keep_vectors("e5", given.vectors, progress)
    n = len(train.names)
    who = np.arange(len(test.texts)).astype(str).astype(object)
    shares = np.bincount(train.labels, minlength=n) / len(train.labels)
    bench.add("majority", score_labels(np.tile(shares, (len(who), 1)), test.labels, who))
    for name in given.engines.split(",") if given.engines else READERS:
        if name == "shipped":
            if n != 2:
                continue
            reader = load_reader(SHIPPED_SENTIMENT)
        else:
            with bench.time(f"fit {name}"):
                reader = named_reader(name, given.finetuned).fit(
                    train.texts, train.labels, n_labels=n, seed=given.seed, encode=encode,
                    progress=progress,
                )  # fmt: skip
        with bench.time(f"predict {name}"):
            probabilities = reader.predict(test.texts, encode=encode, progress=progress)
        label = "default" if name == "linear" else name
        bench.add(label, score_labels(probabilities, test.labels, who, seed=given.seed))
    bench.finish(as_json=given.json)


def fewer(texts: Texts, most: int | None, seed: int) -> Texts:
    """At most so many of the texts, drawn at random; the first of a larger draw are a smaller."""
    rows = rng(seed, "fewer").permutation(len(texts.texts))
    return texts.take(rows[:most])


def sides(given) -> tuple[Texts, Texts]:
    """What may be learned from, and what is tested on; texts without a label are left out."""
    columns = {"text": given.text, "label": given.label, "rating": given.rating}
    if given.train and given.test:
        train = read_texts(given.train, **columns)
        test = read_texts(given.test, **columns, names=train.names)
        return train.take(train.labels >= 0), test.take(test.labels >= 0)
    if not given.data:
        raise ConfigError("expected --data FILE, or --train FILE and --test FILE, got neither.")
    everything = read_texts(given.data, **columns, group=given.group)
    everything = everything.take(everything.labels >= 0)
    if given.hold_out:
        held = np.isin(everything.groups, given.hold_out.split(","))
        return everything.take(~held), everything.take(held)
    train = training_side(everything.texts)
    return everything.take(train), everything.take(~train)


if __name__ == "__main__":
    main()
