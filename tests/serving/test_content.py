"""Texts and photos, live: search by words, meaning and photo, likeness, sentiment, pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from shoploom.cli import run as cli_run
from tests.serving.conftest import Served

pytestmark = pytest.mark.slow
pytest.importorskip("onnxruntime", reason="the extras text and image are not installed")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up shop of 60 products with photos, titles in two languages and reviews."""
    folder = tmp_path_factory.mktemp("made") / "shop"
    made = ["simulate", str(folder), "--users", "150", "--items", "60", "--days", "42", "--quiet"]
    assert cli_run(made) == 0
    told = yaml.safe_load((folder / "shop.yaml").read_text())
    told |= {
        "engines": {"popularity": {}, "cooccurrence": {}, "rfm": {}},
        "tasks": {"next_item": {"window_days": 7}, "churn": {"window_days": 7}},
        "encoders": {"text": "e5", "image": "efficientnet"},
    }
    (folder / "shop.yaml").write_text(yaml.safe_dump(told, allow_unicode=True))
    assert cli_run(["run", str(folder / "shop.yaml"), "--quiet"]) == 0
    return folder


@pytest.fixture
def served(shop: Path, serve: Callable[..., Served]) -> Served:
    """A server of it."""
    return serve(run=shop / "runs" / "latest")


@pytest.fixture
def items(shop: Path) -> pd.DataFrame:
    """Its products that have a photo, by id."""
    found = pd.read_parquet(shop / "items.parquet").set_index("item_id")
    return found[[Path(shop / str(path)).is_file() for path in found["image"]]]


def test_a_photo_finds_its_product_and_others_of_its_kind(
    shop: Path, served: Served, items: pd.DataFrame
):
    first, kind, shares = 0, items["category"], []
    for item, row in items.head(20).iterrows():
        photo = (shop / row["image"]).read_bytes()
        told = served.client.post("/v1/search/image?k=4", content=photo).json()
        assert told["by"] == "photo"
        found = [each["item_id"] for each in told["items"]]
        first += found[0] == item
        shares += [kind.get(other) == kind[item] for other in found if other != item]
    assert first >= 18  # some products share a photo
    chance = (kind.value_counts(normalize=True) ** 2).sum()
    assert sum(shares) / len(shares) > 3 * chance


def test_search_knows_words_and_meaning_in_both_languages(served: Served, items: pd.DataFrame):
    item = items.index[items["title"].str.isascii()][0]
    told = served.get("/v1/search", q=items.loc[item, "title"], k=3)
    assert told["items"][0]["item_id"] == item
    for query in ("a mug for tea", "喝茶的杯子"):
        found = served.get("/v1/search", q=query, k=5)
        assert "meaning" in found["by"]
        kinds = {each["category"] for each in found["items"]}
        assert any("Mugs" in kind or "Tea" in kind for kind in kinds), (query, kinds)


def test_likeness_is_by_content_where_there_is_any(served: Served, items: pd.DataFrame):
    item = items.index[0]
    told = served.get(f"/v1/items/{item}/similar", k=5)
    assert told["by"] == "content"
    assert item not in [each["item_id"] for each in told["items"]]
    assert served.get(f"/v1/items/{item}/similar", by="together")["by"] == "together"


def test_pictures_are_shown_and_nothing_else_is_read(served: Served, items: pd.DataFrame):
    photo = served.client.get(f"/v1/items/{items.index[0]}/image")
    assert photo.status_code == 200
    assert photo.headers["content-type"].startswith("image/")
    small = served.client.get(f"/dashboard/photo?item={items.index[0]}&size=96")
    assert 0 < len(small.content) < len(photo.content)
    other = served.client.get("/dashboard/photo?item=../../shop.yaml&size=96")
    assert other.headers["content-type"].startswith("image/")
    assert b"events" not in other.content
    drawn = served.client.get("/dashboard/products").text.count("background-position")
    assert 0.9 * len(items) < drawn <= len(items)  # some photos are broken on purpose


def test_moods_are_read_in_both_languages(served: Served):
    texts = [
        "Lovely quality, will buy again!",
        "Broken, very disappointed.",
        "质量很好，很喜欢",
        "太差了，退货",
    ]
    told = served.client.post("/v1/sentiment", json={"texts": texts}).json()["texts"]
    assert [each["label"] for each in told] == ["positive", "negative", "positive", "negative"]
