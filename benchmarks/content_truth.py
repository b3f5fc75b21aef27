"""What content tells of a simulated shop's planted truth, beside what ids tell.

    shoploom simulate toy-shop/
    python benchmarks/content_truth.py --data toy-shop/

- **style** of items (four axes that only photos show) from photos, from titles and descriptions,
  and from ids: category, brand and price.
- **quality** of items from the texts of their reviews, from the stars, and from ids and sales.
- **intent** and **emotion** of customers' messages, with confusion matrices.

Style and quality are held out by five folds over items, ridge regression, its strength chosen
inside each training part; R2 with 95 % intervals over items. Messages are held out by five folds
over texts: copies of a text are in one fold.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness import Benchmark, parser
from shoploom.core import columns as c
from shoploom.core.progress import terminal
from shoploom.engines.readers import make_reader
from shoploom.evaluation.labelled import confusion, score_labels
from shoploom.tables import Tables, open_tables
from shoploom.tasks.content import make_reading
from shoploom.workflows import load_config
from shoploom.workflows.encode import encode, read_encoded
from shoploom.workflows.prepare import prepare
from shoploom.workflows.reading import cross_fitted, keep_vectors
from shoploom.workflows.run import Run

AXES = ("warmth", "vividness", "pattern", "roundness")
FOLDS = 5
PSEUDO_REVIEWS = 2.0  # an item's mean review is drawn to the shop's as if it had so many more


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--reader", default="linear", help="of messages")
    chosen = options.parse_args()
    folder, progress = Path(chosen.data), terminal()
    config = load_config(folder)
    run = Run(config.run)
    prepare(config, run, progress)
    encode(config, run, progress)
    truth = pd.read_parquet(folder / "truth" / "items.parquet").set_index(c.ITEM_ID)
    tables = open_tables(run.prepared)
    assert tables.items is not None
    items = tables.items.to_pandas().set_index(c.ITEM_ID)
    items = items.loc[items.index.isin(truth.index)]
    bench = Benchmark("content_truth", folder.name, {"items": len(items), "seed": chosen.seed})
    with bench.time("style"):
        style(bench, run, items, truth, chosen.seed)
    with bench.time("quality"):
        quality(bench, run, tables, items, truth, chosen.seed)
    for name in ("intent", "emotion"):
        with bench.time(name):
            messages(bench, run, tables, name, chosen.reader, chosen.seed)
    bench.finish(as_json=chosen.json)


def style(bench: Benchmark, run: Run, items: pd.DataFrame, truth: pd.DataFrame, seed: int) -> None:
    """R2 of each axis from photos, texts and ids, on items whose photo was read."""
    photos, texts = (read_encoded(run, f"items.{name}") for name in ("image", "text"))
    seen = photos.encoded.present & np.isin(photos.ids, items.index.to_numpy())
    ids = photos.ids[seen]
    order = pd.Index(texts.ids).get_indexer(ids)
    sources = {
        "photos": np.sqrt(np.maximum(photos.encoded.vectors[seen].astype(np.float64), 0)),
        "titles and descriptions": texts.encoded.vectors[order].astype(np.float64),
        "ids": id_features(items.loc[ids]),
    }
    for name, features in sources.items():
        found = {}
        for axis in AXES:
            y = truth.loc[ids, f"style_{axis}"].to_numpy(np.float64)
            found[f"style {axis} r2"] = r2(held_out(features, y, seed), y, seed)
        bench.add(name, found)


def quality(
    bench: Benchmark,
    run: Run,
    tables: Tables,
    items: pd.DataFrame,
    truth: pd.DataFrame,
    seed: int,
) -> None:
    """R2 of quality from reviews, stars and ids, on items that were reviewed."""
    reviews = pd.read_parquet(run.prepared / "reviews.parquet")
    texts = read_encoded(run, "reviews.text").encoded
    known = texts.present & reviews[c.ITEM_ID].isin(items.index).to_numpy()
    ids, place = np.unique(reviews[c.ITEM_ID].to_numpy(str)[known], return_inverse=True)
    n = np.bincount(place)
    vectors = texts.vectors[known].astype(np.float64)
    vectors -= vectors.mean(axis=0)
    said = np.zeros((len(ids), vectors.shape[1]))
    np.add.at(said, place, vectors)
    said /= (n + PSEUDO_REVIEWS)[:, None]
    rating = reviews[c.RATING].to_numpy(np.float64)[known]
    rating = rating - np.nanmean(rating)
    stars = np.bincount(place, weights=np.nan_to_num(rating)) / (n + PSEUDO_REVIEWS)
    events = tables.events
    sold = events.filter(events[c.ACTION] == c.PURCHASE).group_by(c.ITEM_ID)
    sold = sold.aggregate(n=lambda t: t.count()).to_pandas().set_index(c.ITEM_ID)["n"]
    sales = np.log1p(sold.reindex(ids, fill_value=0).to_numpy(np.float64))[:, None]
    y = truth.loc[ids, "quality"].to_numpy(np.float64)
    sources = {
        "review texts": said,
        "stars": stars[:, None],
        "ids": np.hstack([id_features(items.loc[ids]), sales]),
    }
    for name, features in sources.items():
        bench.add(name, {"quality r2": r2(held_out(features, y, seed), y, seed)})
    bench.settings["reviewed items"] = len(ids)
    bench.settings["reviews"] = int(known.sum())


def messages(bench: Benchmark, run: Run, tables: Tables, name: str, reader: str, seed: int) -> None:
    """Accuracy and F1 of a reading by cross-fitting, and its confusion matrix on the screen."""
    examples = make_reading(name).examples(tables)
    examples = examples.take(examples.labelled)
    encode_texts = keep_vectors("e5", run.folder / "vectors", terminal())
    n = len(examples.names)
    shares = np.bincount(examples.labels, minlength=n) / len(examples)
    answers = {"always the commonest": np.tile(shares, (len(examples), 1))}
    for each in dict.fromkeys(("tfidf", reader)):
        answers[each] = cross_fitted(
            make_reader(each),
            examples.texts.tolist(),
            examples.labels,
            n_labels=n,
            seed=seed,
            encode=encode_texts,
        )
    for each, probabilities in answers.items():
        found = score_labels(probabilities, examples.labels, examples.users)
        bench.add(each, {f"{name} accuracy": found["accuracy"], f"{name} f1": found["f1"]})
    counts = confusion(answers[reader].argmax(axis=1), examples.labels, n)
    print(f"\n{name}: rows are the truth, columns what {reader!r} read")
    print(
        pd.DataFrame(counts, index=list(examples.names), columns=list(examples.names)).to_string()
    )


def id_features(items: pd.DataFrame) -> NDArray[np.float64]:
    """Category, brand and log price, as a table knows an item without its content."""
    coded = pd.get_dummies(items[[c.CATEGORY, c.BRAND]].fillna("none"), dtype=np.float64)
    price = np.log(items[c.PRICE].astype(np.float64).fillna(items[c.PRICE].median()))
    return np.hstack([coded.to_numpy(), ((price - price.mean()) / price.std()).to_numpy()[:, None]])


def held_out(x: NDArray[np.float64], y: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """``(n,)`` each row predicted by a regression that has not seen it."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict

    scaled = (x - x.mean(axis=0)) / max(float(x.std()), 1e-9)
    return cross_val_predict(
        RidgeCV(alphas=np.logspace(-2, 4, 13)),
        scaled,
        y,
        cv=KFold(FOLDS, shuffle=True, random_state=seed),
    )


def r2(predicted: NDArray[np.float64], y: NDArray[np.float64], seed: int) -> list[float]:
    """R2 against the mean, with its 95 % bootstrap interval over rows."""
    errors, spread = (y - predicted) ** 2, (y - y.mean()) ** 2
    rows = np.random.default_rng(seed).integers(0, len(y), (2_000, len(y)))
    draws = 1 - errors[rows].sum(axis=1) / spread[rows].sum(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return [float(1 - errors.sum() / spread.sum()), float(low), float(high)]


if __name__ == "__main__":
    main()
