"""Make the sentiment head that ships: a logistic layer on vectors of the default text encoder.

It learns from texts whose licence lets the result be given away: women's clothing reviews (CC0,
English; the training side of the split of ``sentiment.py`` only), and texts of the simulated shop
in English and Chinese, whole reviews and single clauses that praise or blame one aspect; and short
verdicts made of ``verdicts.yaml``. Both labels weigh the same, so that .5 favours neither.

    python benchmarks/make_sentiment_head.py --data women_clothing.parquet
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness import parser
from loaders_text import read_texts, training_side
from shoploom.core.progress import terminal
from shoploom.core.seeds import rng
from shoploom.engines.readers import make_reader, save_reader
from shoploom.simulate.catalogue import ASPECTS, CATEGORIES, LANGUAGES
from shoploom.simulate.content.reviews import write_reviews
from shoploom.workflows.reading import keep_vectors

VERDICTS = Path(__file__).parent / "verdicts.yaml"
OUT = Path(__file__).parents[1] / "src/shoploom/engines/readers/data/sentiment"

Labelled = tuple[list[str], NDArray[np.int64]]


def simulated_reviews(n: int, seed: int) -> Labelled:
    """Whole reviews: their stars lean as their aspects do."""
    random = rng(seed, "head reviews")
    polarity = random.choice([-1, 0, 1], p=[0.2, 0.6, 0.2], size=(n, len(ASPECTS)))
    mood = polarity.sum(axis=1) + random.normal(0, 0.7, n)
    rating = np.where(mood > 0, np.where(mood > 1, 5, 4), np.where(mood < -1, 1, 2))
    return _written(rating, polarity, seed), (rating > 3).astype(np.int64)


def simulated_clauses(n: int, seed: int) -> Labelled:
    """Reviews of one aspect."""
    random = rng(seed, "head clauses")
    polarity = np.zeros((n, len(ASPECTS)), dtype=np.int64)
    sign = random.choice([-1, 1], size=n)
    polarity[np.arange(n), random.integers(0, len(ASPECTS), n)] = sign
    rating = np.where(sign > 0, random.integers(4, 6, n), random.integers(1, 3, n))
    return _written(rating, polarity, seed + 1), (sign > 0).astype(np.int64)


def verdicts(n: int, seed: int) -> Labelled:
    """Short ones, half of them turning from praise to blame or back: the second half decides."""
    import yaml

    words = yaml.safe_load(VERDICTS.read_text(encoding="utf-8"))
    random = rng(seed, "head verdicts")
    texts, labels = [], []
    for i in range(n):
        of = words[("zh", "en")[int(random.random() < 0.4)]]
        good = bool(random.random() < 0.5)
        said, other = (of["good"], of["bad"]) if good else (of["bad"], of["good"])
        if i % 2:
            frame = str(random.choice(of["turns"][0]))
            text = frame.format(a=random.choice(other), b=random.choice(said))
        else:
            text = str(random.choice(of["frames"])).format(v=random.choice(said))
        texts.append(text)
        labels.append(int(good))
    distinct = dict(zip(texts, labels, strict=True))
    return list(distinct), np.array(list(distinct.values()), dtype=np.int64)


def _written(rating: NDArray, polarity: NDArray, seed: int) -> list[str]:
    random = rng(seed, "head texts")
    category = random.integers(0, len(CATEGORIES), len(rating))
    language = random.integers(0, len(LANGUAGES), len(rating))
    return write_reviews(category, language, rating, polarity, seed).texts


def balanced(texts: list[str], labels: NDArray[np.int64], seed: int) -> Labelled:
    """As many rows of either label as the rarer has."""
    random = rng(seed, "balance")
    n = np.bincount(labels, minlength=2).min()
    rows = np.concatenate(
        [random.permutation(np.flatnonzero(labels == label))[:n] for label in (0, 1)]
    )
    return [texts[row] for row in rows], labels[rows]


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--out", type=Path, default=OUT)
    options.add_argument("--simulated", type=int, default=5000, help="reviews, and clauses")
    options.add_argument("--verdicts", type=int, default=3000)
    options.add_argument("--vectors", type=Path, help="keep vectors of texts in this folder")
    given = options.parse_args()
    real = read_texts(given.data, text="Title,Review Text", rating="Rating")
    rows = np.flatnonzero(training_side(real.texts) & (real.labels >= 0))
    parts = [
        balanced([real.texts[row] for row in rows], real.labels[rows], given.seed),
        simulated_reviews(given.simulated, 1000 + given.seed),
        simulated_clauses(given.simulated, 2000 + given.seed),
        verdicts(given.verdicts, given.seed),
    ]
    texts = [text for part in parts for text in part[0]]
    labels = np.concatenate([part[1] for part in parts])
    reader = make_reader("linear", most=0, strengths=(1.0, 4.0, 16.0, 64.0), scales=(1.0,))
    encode = keep_vectors("e5", given.vectors, terminal()) if given.vectors else None
    fitted = reader.fit(
        texts, labels, n_labels=2, seed=given.seed, encode=encode, progress=terminal()
    )
    save_reader(given.out, fitted)
    size = sum(path.stat().st_size for path in given.out.iterdir())
    print(f"learned from {len(texts):,} texts; {size / 1000:.0f} kB in {given.out}")


if __name__ == "__main__":
    main()
