"""Sentiment of files and pages about content: nobody answers what they learned from."""

from __future__ import annotations

from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from shoploom.core import columns as c
from shoploom.core.errors import DataError, UnknownName
from shoploom.core.time import DAY_US, to_us
from shoploom.encoders.encoder import Encoded
from shoploom.engines.readers import make_reader
from shoploom.tables import Tables
from shoploom.tasks.content.aspects import ASPECTS
from shoploom.workflows import reading
from shoploom.workflows.content_pages import sentiment_page, service_page
from shoploom.workflows.reading import cross_fitted, keep_vectors, read_sentiment
from shoploom.workflows.review_file import read_reviews

GOOD = ("lovely colour", "great quality", "很好", "fast delivery")
BAD = ("ugly colour", "poor quality", "很差", "late delivery")


class Vectors:
    """Stands for the real encoder: 384 numbers of a text alone, one of them its tone."""

    identity, dim, modality, encoded = "fake", 384, "text", 0

    def fit(self, column):
        return self

    def encode(self, column, *, progress=None):
        vectors = np.zeros((len(column), 384), dtype=np.float32)
        for row, text in enumerate(column):
            vectors[row, 0] = sum(w in text for w in GOOD) - sum(w in text for w in BAD)
            vectors[row, 1 + len(text) % 300] = 1
        Vectors.encoded += len(column)
        return Encoded(vectors, np.ones(len(column), dtype=bool))


@pytest.fixture(autouse=True)
def fake_encoder(monkeypatch):
    Vectors.encoded = 0
    monkeypatch.setattr(reading, "make_encoder", lambda name: Vectors())


def reviews(n: int = 240) -> pd.DataFrame:
    random = np.random.default_rng(0)
    good = np.arange(n) % 2 == 0
    texts = [f"{random.choice(GOOD if g else BAD)}, number {i}" for i, g in enumerate(good)]
    return pd.DataFrame({"Review": texts, "Stars": np.where(good, 5, 1), "sku": "007"})


def written(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path, index=False)
    return path


def test_columns_are_found_by_their_names(tmp_path):
    found = read_reviews(written(reviews(4), tmp_path / "r.csv"))
    assert found.labels.tolist() == [1, 0, 1, 0]
    assert found.told == "texts from 'Review', stars from 'Stars'"
    assert found.frame["sku"].tolist() == ["007"] * 4  # as it was written


@pytest.mark.parametrize("words", [("1", "0"), ("Positive", "negative"), ("好评", "差评")])
def test_labels_are_words_for_good_and_bad(tmp_path, words):
    frame = pd.DataFrame({"text": ["a", "b", "c"], "label": [*words, "?"]})
    assert read_reviews(written(frame, tmp_path / "r.csv")).labels.tolist() == [1, 0, -1]


def test_chinese_spreadsheets_are_read(tmp_path):
    path = tmp_path / "r.csv"
    path.write_bytes("评论,评分\n质量很好,5\n".encode("gb18030"))
    found = read_reviews(path)
    assert found.texts.tolist() == ["质量很好"]
    assert found.labels.tolist() == [1]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".tsv"])
def test_other_formats_are_read(tmp_path, suffix):
    path, frame = tmp_path / f"r{suffix}", reviews(3)
    if suffix == ".parquet":
        frame.to_parquet(path)
    elif suffix == ".tsv":
        frame.to_csv(path, sep="\t", index=False)
    else:
        frame.to_json(path, orient="records", lines=True)
    assert read_reviews(path).texts.tolist() == frame["Review"].tolist()


def test_a_file_without_reviews_is_told(tmp_path):
    path = written(pd.DataFrame({"sku": ["1"]}), tmp_path / "reviews.csv")
    with pytest.raises(DataError, match=r"expected a column of reviews .* found sku; .*--text"):
        read_reviews(path)
    with pytest.raises(UnknownName, match=r"no column is named 'skuu'.*Did you mean 'sku'"):
        read_reviews(path, text="skuu")
    with pytest.raises(DataError, match=r"found nothing there\. Did you mean reviews\.csv"):
        read_reviews(tmp_path / "review.csv")
    with pytest.raises(DataError, match=r"ending in \.csv"):
        read_reviews(written(reviews(2), tmp_path / "r.xlsx"))


def test_labels_that_mean_nothing_are_told(tmp_path):
    path = written(pd.DataFrame({"text": ["a"], "label": ["blue"]}), tmp_path / "r.csv")
    with pytest.raises(DataError, match=r"expected labels such as 1 and 0.*got 'blue'"):
        read_reviews(path)


def test_a_file_with_stars_is_learned_from_and_judged(tmp_path):
    read = read_sentiment(read_reviews(written(reviews(), tmp_path / "r.csv")))
    assert read.reader == "linear"
    assert read.judged["reader"]["accuracy"].value > 0.95
    assert read.judged["majority"]["accuracy"].value == pytest.approx(0.5, abs=0.01)
    assert read.frame["sentiment"].tolist()[:2] == ["positive", "negative"]
    assert list(read.frame.columns[-3:]) == ["sentiment", "probability", "aspects"]


def test_a_file_without_labels_is_answered_by_the_reader_that_ships(tmp_path):
    frame = reviews(6).drop(columns="Stars")
    read = read_sentiment(read_reviews(written(frame, tmp_path / "r.csv")))
    assert read.reader == "shipped"
    assert read.judged == {}
    assert read.frame["probability"].between(0, 1).all()


def test_empty_reviews_keep_their_row(tmp_path):
    frame = pd.DataFrame({"text": ["lovely colour", " ", "late delivery"]})
    read = read_sentiment(read_reviews(written(frame, tmp_path / "r.csv")))
    assert len(read.frame) == 3
    assert read.frame.loc[1, ["sentiment", "probability", "aspects"]].isna().all()
    with pytest.raises(DataError, match="got empty texts only"):
        read_sentiment(read_reviews(written(frame[1:2], tmp_path / "r.csv")))


def test_the_summary_names_aspects_and_accuracy(tmp_path):
    read = read_sentiment(read_reviews(written(reviews(), tmp_path / "r.csv")))
    lines = read.summary()
    assert lines[0].startswith("240 reviews, 50% positive")
    assert lines[1].startswith("accuracy on 240 labelled reviews: ")
    assert {line.split()[0] for line in lines[2:]} == {"looks", "quality", "delivery"}


def test_nobody_answers_what_they_learned_from():
    # Labels are noise: whoever remembers them looks good, whoever has not seen them cannot.
    random = np.random.default_rng(0)
    texts = [f"word{i} thing{i}" for i in range(200)]
    labels = random.integers(0, 2, 200)
    reader = make_reader("tfidf", strengths=(16.0,))
    own = reader.fit(texts, labels, n_labels=2).predict(texts)
    crossed = cross_fitted(reader, texts, labels, n_labels=2)
    assert (own.argmax(axis=1) == labels).mean() > 0.9
    assert (crossed.argmax(axis=1) == labels).mean() < 0.65


def test_copies_of_a_text_stand_in_one_fold():
    random = np.random.default_rng(0)
    texts = [f"word{i} thing{i}" for i in range(100)] * 2
    labels = np.tile(random.integers(0, 2, 100), 2)
    reader = make_reader("tfidf", strengths=(16.0,))
    crossed = cross_fitted(reader, texts, labels, n_labels=2)
    assert (crossed.argmax(axis=1) == labels).mean() < 0.65


@pytest.mark.parametrize("stored", [False, True])
def test_each_text_is_encoded_once(tmp_path, stored):
    from shoploom.core.progress import Quiet

    encode = keep_vectors("e5", tmp_path / "store" if stored else None, Quiet())
    first = encode(["b", "a", "b"])
    again = encode(["a", "b"])
    assert Vectors.encoded == 2
    assert np.array_equal(first[[1, 0]], again)


@pytest.fixture
def tables():
    """Half a year of reviews and messages; ``i9`` is praised in words and gets one star."""
    con = ibis.duckdb.connect()
    frame, n = reviews(), 240
    times = to_us("2024-01-01") + np.arange(n) * DAY_US
    stars = frame["Stars"].to_numpy(float)
    items = np.array([f"i{k % 7}" for k in range(n)], dtype=object)
    odd = np.arange(n - 9, n, 2) - (n - 9) % 2  # even rows praise
    items[odd], stars[odd] = "i9", 1.0
    who = [f"u{k}" for k in range(n)]
    made = {
        "events": {c.USER_ID: who, c.TIME: times},
        "reviews": {
            **{c.USER_ID: who, c.ITEM_ID: items, c.TIME: times},
            **{c.RATING: stars, c.TEXT: frame["Review"].to_numpy(object)},
        },
        "items": {c.ITEM_ID: ["i0", "i9"], c.TITLE: ["Lamp", "<b>Tea</b>"]},
        "dialogues": {
            **{c.DIALOGUE_ID: who, c.USER_ID: who, c.TIME: times, c.ROLE: ["customer"] * n},
            c.TEXT: frame["Review"].to_numpy(object),
            c.INTENT: np.where(np.arange(n) % 2 == 0, "praise", "complaint").astype(object),
            c.EMOTION: np.where(np.arange(n) % 2 == 0, "happy", "angry").astype(object),
        },
    }
    yield Tables(**{name: con.create_table(name, pa.table(t)) for name, t in made.items()})
    con.disconnect()


def test_the_page_judges_on_what_was_written_later(tables):
    page = sentiment_page(tables)
    judged = page["judged"]
    assert judged["n"] == 48
    assert judged["from"] == "2024-07-11"
    assert set(judged["accuracy"]) == {"reader", "tfidf", "shipped", "majority"}
    assert judged["accuracy"]["reader"][0] > judged["accuracy"]["majority"][0]
    assert sum(page["weeks"]["n"]) == 48


def test_the_page_has_examples_of_each_aspect(tables):
    aspects = {aspect["aspect"]: aspect for aspect in sentiment_page(tables)["aspects"]}
    assert set(aspects) <= set(ASPECTS)
    assert {"looks", "quality", "delivery"} <= set(aspects)
    example = aspects["looks"]["examples"]["positive"][0]
    assert set(example) == {"text", "item_id", "title", "time"}


def test_the_page_finds_items_whose_words_and_stars_disagree(tables):
    apart = sentiment_page(tables)["disagree"]
    assert [item["item_id"] for item in apart] == ["i9"]
    assert apart[0]["stars"] == 1
    assert apart[0]["words"] > 0.5


def test_the_service_page_counts_and_confuses(tables):
    page = service_page(tables)
    assert page["intents"] == {"complaint": 120, "praise": 120}
    rows = np.array(page["confusion"]["emotion"]["rows"])
    assert rows.sum() == 48
    assert np.trace(rows) > 44
