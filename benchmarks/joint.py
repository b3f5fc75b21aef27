"""Title finds photo and photo finds title, among the test part's own (targets, section 8).

One in five pairs is set aside by a hash of the title. Beside chance stand the strongest plain ways
that we know: predicted attributes, predicted words, and what the neighbours' partners look like.
With --labels COLUMN the values of a column are also tagged without any labelled example.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness import Benchmark, parser
from shoploom.core import columns as c
from shoploom.encoders import make_encoder
from shoploom.encoders.joint import METHODS, JointSpace, fit_joint, tag
from shoploom.encoders.labels import fit_labels
from shoploom.evaluation import mean_interval

KS = (1, 5, 10)
NEIGHBOURS = 10
TWIN = 0.97  # photos this alike show one product (other sizes, other sellers)
ATTRIBUTES = ("color", "product_type", "brand")
MOST_VALUES, FEWEST_ROWS = 40, 20
COUNTED = 0.5  # weight of counted words beside e5, as in workflows/tagging.py
REDUCED = 384  # dimensions of counted words

Floats = NDArray[np.float32]
#: Similarities of test titles (rows) and test photos (columns).
Match = Callable[["Pairs", "Pairs"], Floats]


@dataclass(frozen=True)
class Pairs:
    """Titles and photos: their vectors and, for baselines, words and attributes."""

    text: Floats
    image: Floats
    words: Any
    attributes: NDArray[np.object_]

    def take(self, rows: NDArray[np.bool_]) -> Pairs:
        return Pairs(self.text[rows], self.image[rows], self.words[rows], self.attributes[rows])


def test_rows(titles: list[str]) -> NDArray[np.bool_]:
    """One in five, by a hash of the title, so that equal titles stay together."""
    digests = (hashlib.blake2b(title.encode(), digest_size=8).digest() for title in titles)
    return np.array([int.from_bytes(digest, "big") % 5 == 0 for digest in digests])


def unit(x: Floats) -> Floats:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)


def ridge(x: Floats, y: Floats, strength: float) -> Callable[[Floats], Floats]:
    """Least squares from x to y, shrunk by ``strength`` times the mean variance of x."""
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    gram = (x - x_mean).T @ (x - x_mean)
    gram[np.diag_indices_from(gram)] += strength * np.trace(gram) / len(gram)
    weight = np.linalg.solve(gram, (x - x_mean).T @ (y - y_mean))
    return lambda new: (new - x_mean) @ weight + y_mean


def neighbours(train: Pairs, test: Pairs) -> Floats:
    """A title looks for photos like those of its ten nearest titles, and the reverse."""

    def partners(own: Floats, others: Floats, theirs: Floats) -> Floats:
        mean = others.mean(axis=0)
        near = unit(own - mean) @ unit(others - mean).T
        nearest = np.argpartition(-near, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        weight = np.maximum(np.take_along_axis(near, nearest, axis=1), 0)[..., None]
        return (theirs[nearest] * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9)

    centre = unit(train.image).mean(axis=0)
    photos = partners(test.text, train.text, unit(train.image)) - centre
    by_title = unit(photos) @ unit(unit(test.image) - centre).T
    centre = train.text.mean(axis=0)
    titles = partners(unit(test.image), unit(train.image), train.text) - centre
    return by_title + (unit(titles) @ unit(test.text - centre).T).T


def attributes(train: Pairs, test: Pairs) -> Floats:
    """Colour, type and brand, predicted from the title and from the photo, agree."""
    said, shown = _words(train, test), _photos(train, test)
    total = np.zeros((len(test.text), len(test.image)), np.float32)
    for value in train.attributes.T:
        names, counts = np.unique(value, return_counts=True)
        common = names[np.argsort(-counts, kind="stable")][:MOST_VALUES]
        common = [name for name in common if name and (value == name).sum() >= FEWEST_ROWS]
        if len(common) < 2:
            continue
        rows = np.isin(value, common)
        by_title, by_photo = (
            fit_labels(learn[rows], value[rows].tolist()).head(new) for learn, new in (said, shown)
        )
        # Which pairs agree more than their values' frequencies would have it.
        agreement = (by_title / by_photo.mean(axis=0)) @ by_photo.T
        total += np.log(np.maximum(agreement, 1e-9))
    return total


def words(train: Pairs, test: Pairs) -> Floats:
    """The title's words against the words that a regression reads from the photo."""
    (learn, said), (shown, new) = _words(train, test), _photos(train, test)
    read, usual = ridge(shown, learn, 1.0), learn.mean(axis=0)
    return unit(said - usual) @ unit(read(new) - usual).T


def _words(train: Pairs, test: Pairs) -> tuple[Floats, Floats]:
    """Weighted counts of words and pairs of words, reduced."""
    from sklearn.decomposition import TruncatedSVD

    reduced = TruncatedSVD(REDUCED, random_state=0).fit(train.words)
    return reduced.transform(train.words), reduced.transform(test.words)


def _photos(train: Pairs, test: Pairs) -> tuple[Floats, Floats]:
    """Photos as the joint space sees them: roots of the encoder's features, of length one."""
    return unit(np.sqrt(train.image)), unit(np.sqrt(test.image))


def joint(methods: Sequence[str], seed: int, kept: list[JointSpace]) -> Match:
    """A joint space; it is also put into ``kept``."""

    def match(train: Pairs, test: Pairs) -> Floats:
        space = fit_joint(train.text, train.image, methods=methods, seed=seed)
        kept.append(space)
        return space.text(test.text) @ space.image(test.image).T

    return match


def ranks(similarity: Floats) -> tuple[NDArray, NDArray]:
    """The place of each title's photo, and of each photo's title, from 0; ties count against."""
    own = np.diag(similarity)
    return (
        (similarity >= own[:, None]).sum(axis=1) - 1,
        (similarity >= own[None]).sum(axis=0) - 1,
    )


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--labels", help="a column whose values are tagged zero-shot")
    options.add_argument("--rows", type=int, help="only so many rows")
    args = options.parse_args()
    from sklearn.feature_extraction.text import TfidfVectorizer

    table = pq.read_table(args.data).slice(0, args.rows)
    titles = [str(title) for title in table[c.TITLE].to_pylist()]
    test = test_rows(titles)
    bench = Benchmark("joint", args.data, {"pairs": len(titles), "test": int(test.sum())})
    with bench.time("encode titles (e5)"):
        e5 = make_encoder("e5").fit(titles)
        text = e5.encode(titles).vectors.astype(np.float32)
    with bench.time("encode photos (efficientnet)"):
        photos = make_encoder("efficientnet").fit([]).encode(table[c.IMAGE].to_pylist())
        image = photos.vectors.astype(np.float32)
    there = photos.present
    counted = TfidfVectorizer(sublinear_tf=True, min_df=2, ngram_range=(1, 2))
    known = [name for name in ATTRIBUTES if name in table.column_names]
    values = [[str(v or "") for v in table[name].to_pylist()] for name in known]
    pairs = Pairs(
        text,
        image,
        counted.fit([titles[i] for i in np.flatnonzero(~test)]).transform(titles),
        np.array(values, dtype=object).T.reshape(len(titles), len(known)),
    )
    light = make_encoder("tfidf").fit([titles[i] for i in np.flatnonzero(~test)])

    def with_words(vectors: Floats, texts: list[str]) -> Floats:
        return np.hstack([vectors, COUNTED * light.encode(texts).vectors]).astype(np.float32)

    both = with_words(text, titles)
    train, asked = pairs.take(~test & there), pairs.take(test & there)
    kept: list[JointSpace] = []
    ways: dict[str, tuple[Match, Pairs, Pairs]] = {
        "neighbours' partners": (neighbours, train, asked),
        "predicted words": (words, train, asked),
        "joint space, e5 alone": (joint(METHODS, args.seed, []), train, asked),
        "default": (
            joint(METHODS, args.seed, kept),
            replace(train, text=both[~test & there]),
            replace(asked, text=both[test & there]),
        ),
    }
    if known:
        ways = {"predicted attributes": (attributes, train, asked), **ways}
    n = len(asked.text)
    bench.add("chance", {f"{way} recall@{k}": k / n for way in ("photo", "title") for k in KS})
    alike = (unit(asked.image) @ unit(train.image).T).max(axis=1) >= TWIN
    users = np.array([str(row) for row in range(n)], dtype=object)
    for name in args.engines.split(",") if args.engines else ways:
        match, learn, ask = ways[name]
        with bench.time(name):
            by_title, by_photo = ranks(match(learn, ask))
        result = {}
        for way, rank in (("photo", by_title), ("title", by_photo)):
            for k in KS:
                result[f"{way} recall@{k}"] = mean_interval(rank < k, users, seed=args.seed)
        own = ~alike
        result["photo recall@10, no twin learned"] = mean_interval(by_title[own] < 10, users[own])
        bench.add(name, result)
    bench.settings["test photos with a twin among those learned from"] = f"{alike.mean():.1%}"
    if kept:
        recalls = {name: round(value, 3) for name, value in kept[0].recall_at_10.items()}
        bench.settings["held-out recall@10 by method"] = recalls
        bench.settings["kept"] = kept[0].method
    if kept and args.labels:
        truth = np.array([str(v) for v in table[args.labels].to_pylist()])[test & there]
        names, counts = np.unique(truth, return_counts=True)
        labels = [str(name) for name in names[counts >= FEWEST_ROWS]]
        lower = [label.lower() for label in labels]
        said = e5.encode(lower).vectors.astype(np.float32)
        shown = kept[0].text(with_words(said, lower))
        tag_all(bench, kept[0], asked, truth, labels, said, shown)
    bench.finish(as_json=args.json)


def tag_all(
    bench: Benchmark,
    space: JointSpace,
    asked: Pairs,
    truth: NDArray,
    labels: list[str],
    said: Floats,
    shown: Floats,
) -> None:
    """Accuracy of tags without any labelled example, among the values with enough rows."""
    rows = np.isin(truth, labels)
    by_title = tag(asked.text[rows], said)
    by_photo = tag(space.image(asked.image[rows]), shown, temperature=space.temperature)
    users = np.array([str(row) for row in range(rows.sum())], dtype=object)
    most = max((truth[rows] == label).mean() for label in labels)
    bench.add(f"tags: always the most frequent of {len(labels)}", {"accuracy": most})
    for name, chance in (("title", by_title), ("photo", by_photo), ("both", by_title * by_photo)):
        right = np.array(labels)[chance.argmax(axis=1)] == truth[rows]
        bench.add(f"tags from the {name}", {"accuracy": mean_interval(right, users)})


if __name__ == "__main__":
    main()
