"""How relevant is a product to what somebody searched for?

    python benchmarks/search.py --data pairs.parquet [--most 8000]

Rows of ``search_term``, ``product_title``, ``relevance`` (1 to 3). Queries are parted 80/20 by
their hash, so that a test query was never seen. Every single score (shared words, BM25, cosine of
vectors) is laid on the scale of relevance by a straight line fitted on training rows; ``default``
is boosted trees on all scores. RMSE over pairs, NDCG over test queries with two rated products
or more, intervals over queries.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness import Benchmark, parser
from loaders_text import read_frame, training_side
from shoploom.core.progress import terminal
from shoploom.core.seeds import rng
from shoploom.encoders import make_encoder
from shoploom.encoders.store import VectorStore, encode_column
from shoploom.evaluation import Estimate, mean_interval

QUERY, TITLE, RELEVANCE = "search_term", "product_title", "relevance"
_K1, _B = 1.2, 0.75  # of BM25, the usual ones


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--most", type=int, help="at most so many pairs, whole queries")
    options.add_argument("--vectors", type=Path, help="keep vectors of texts in this folder")
    given = options.parse_args()
    pairs = read_frame(given.data).dropna(subset=[QUERY, TITLE, RELEVANCE])
    pairs = fewer(pairs, given.most, given.seed).reset_index(drop=True)
    train = training_side(pairs[QUERY].tolist())
    settings = {"train": int(train.sum()), "test": int((~train).sum()), "seed": given.seed}
    bench = Benchmark("search", str(given.data), settings)
    with bench.time("words"):
        scores = word_scores(pairs)
    with bench.time("vectors"):
        scores["e5"] = cosines(pairs, given.vectors)
    truth = pairs[RELEVANCE].to_numpy(np.float64)
    test, queries = ~train, pairs[QUERY].to_numpy(object)[~train]
    answers = {"mean": np.full(test.sum(), truth[train].mean())}
    for name in ("overlap", "bm25", "e5"):
        slope, base = np.polyfit(scores[name][train], truth[train], 1)
        answers[name] = slope * scores[name][test] + base
    words = np.stack([scores[name] for name in scores if name != "e5"], axis=1)
    everything = np.column_stack([words, scores["e5"]])
    for name, features in {"words": words, "default": everything}.items():
        with bench.time(f"fit {name}"):
            answers[name] = boosted(features[train], truth[train], features[test], given.seed)
    for name, said in answers.items():
        bench.add(name, judged(said, truth[test], queries))
    bench.finish(as_json=given.json)


def fewer(pairs: pd.DataFrame, most: int | None, seed: int) -> pd.DataFrame:
    """Queries drawn at random until they hold about so many pairs."""
    if most is None or len(pairs) <= most:
        return pairs
    names = np.sort(pairs[QUERY].unique())
    order = rng(seed, "fewer queries").permutation(len(names))
    counts = pairs[QUERY].value_counts().reindex(names[order]).to_numpy()
    kept = names[order][: int(np.searchsorted(np.cumsum(counts), most)) + 1]
    return pairs[pairs[QUERY].isin(kept)]


def word_scores(pairs: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Shared words, BM25, shared stretches of letters, and lengths, each ``(n,)``."""
    queries = [terms(text) for text in pairs[QUERY]]
    titles = [terms(text) for text in pairs[TITLE]]
    rarity = idf(titles)
    mean = np.mean([len(title) for title in titles])
    overlap, bm25, letters, first = [], [], [], []
    for query, title, asked, named in zip(queries, titles, pairs[QUERY], pairs[TITLE], strict=True):
        known = set(title)
        overlap.append(sum(word in known for word in query) / max(len(query), 1))
        bm25.append(
            sum(
                rarity.get(word, 0)
                * title.count(word)
                * (_K1 + 1)
                / (title.count(word) + _K1 * (1 - _B + _B * len(title) / mean))
                for word in query
            )
        )
        asked_3, named_3 = trigrams(asked), trigrams(named)
        letters.append(len(asked_3 & named_3) / max(len(asked_3), 1))
        first.append(max((1 - title.index(w) / len(title) for w in query if w in known), default=0))
    columns = {"overlap": overlap, "bm25": bm25, "letters": letters, "first": first}
    columns |= {"query_words": list(map(len, queries)), "title_words": list(map(len, titles))}
    return {name: np.array(column, dtype=np.float64) for name, column in columns.items()}


def terms(text: str) -> list[str]:
    """Words in lower case, a plural s taken off."""
    return [
        w[:-1] if len(w) > 3 and w.endswith("s") else w for w in re.findall(r"\w+", text.lower())
    ]


def trigrams(text: str) -> set[str]:
    """Stretches of three letters."""
    text = f" {text.lower()} "
    return {text[i : i + 3] for i in range(len(text) - 2)}


def idf(titles: list[list[str]]) -> dict[str, float]:
    """How rare each word is among titles."""
    counts: dict[str, int] = {}
    for title in titles:
        for word in set(title):
            counts[word] = counts.get(word, 0) + 1
    n = len(titles)
    return {word: float(np.log(1 + (n - c + 0.5) / (c + 0.5))) for word, c in counts.items()}


def cosines(pairs: pd.DataFrame, folder: Path | None) -> NDArray[np.float64]:
    """``(n,)`` cosine of query and title, asked and answered as E5 was trained to."""
    sides = []
    for column, prefix in ((QUERY, "query: "), (TITLE, "passage: ")):
        distinct, place = np.unique(pairs[column].to_numpy(str), return_inverse=True)
        encoder = make_encoder("e5", prefix=prefix).fit([])
        texts = distinct.tolist()
        if folder:
            vectors = encode_column(
                encoder, texts, VectorStore(folder), progress=terminal()
            ).vectors
        else:
            vectors = encoder.encode(texts, progress=terminal()).vectors
        sides.append(vectors.astype(np.float64)[place])
    return (sides[0] * sides[1]).sum(axis=1)


def boosted(train: NDArray, truth: NDArray, test: NDArray, seed: int) -> NDArray[np.float64]:
    """Relevance of test rows by boosted trees; plain settings, none tuned."""
    import lightgbm as lgb

    settings = {"objective": "l2", "learning_rate": 0.05, "num_leaves": 15, "verbose": -1}
    settings |= {"min_data_in_leaf": 50, "seed": seed, "deterministic": True, "num_threads": 1}
    model = lgb.train(settings, lgb.Dataset(train, truth), num_boost_round=200)
    return np.asarray(model.predict(test), dtype=np.float64)


def judged(said: NDArray, truth: NDArray, queries: NDArray) -> dict[str, Estimate]:
    """RMSE over pairs and NDCG over queries."""
    square = mean_interval((said - truth) ** 2, queries)
    rmse = Estimate(*(float(np.sqrt(x)) for x in (square.value, square.low, square.high)), square.n)
    values, owners = [], []
    order = np.argsort(queries.astype(str), kind="stable")
    bounds = np.flatnonzero(np.diff(np.unique(queries.astype(str), return_inverse=True)[1][order]))
    for rows in np.split(order, bounds + 1):
        if len(rows) > 1:
            values.append(ndcg(said[rows], truth[rows]))
            owners.append(queries[rows[0]])
    found = mean_interval(np.array(values), np.array(owners, dtype=object))
    return {"rmse": rmse, "ndcg": found}


def ndcg(said: NDArray, truth: NDArray) -> float:
    """NDCG over all products of a query; gain 2^relevance - 1, equal scores share their places."""
    gain = 2.0**truth - 1
    discount = 1 / np.log2(np.arange(len(truth)) + 2)
    _, place, count = np.unique(-said, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    shared = np.array([discount[end - n : end].mean() for end, n in zip(ends, count, strict=True)])
    return float((gain * shared[place]).sum() / (np.sort(gain)[::-1] * discount).sum())


if __name__ == "__main__":
    main()
