"""Promises that every registered encoder keeps."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.encoders.tiny_models import tiny_bert

from shoploom.core.errors import DataError
from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US, HOUR_US, to_us
from shoploom.encoders import ENCODERS, Encoded, FittedEncoder
from shoploom.encoders.saving import Learned, load_encoder, save_encoder
from shoploom.encoders.series import Series

#: What must be equal up to the rounding of half precision, in which some networks compute.
SAME_COSINE = 0.9999
UNTIL = to_us("2024-06-01")

TEXTS = [
    "质量很好，穿着舒服",
    None,
    "The zipper broke after two days; I want my money back.",
    "Red cotton dress, size M",
    "",
    "不喜欢，颜色和图片不一样！",
    "A very long description. " * 12,
    "shoes",
    "Red cotton dress, size M",
]


# --- examples of every modality ---------------------------------------------------------------


def _images() -> list[Any]:
    image = pytest.importorskip("PIL.Image", reason="Pillow is missing: extra 'image'")

    def photo(number: int) -> bytes:
        pixels = rng(number, "photo").integers(0, 256, (6, 6, 3), dtype=np.uint8)
        file = io.BytesIO()
        image.fromarray(pixels).resize((80 + number, 60)).save(file, "PNG")
        return file.getvalue()

    return [photo(1), None, photo(2), photo(3), b"this is no photo", photo(4), photo(1)]


def _films() -> list[Any]:
    av = pytest.importorskip("av", reason="PyAV is missing: extra 'video'")

    def film(number: int) -> bytes:
        file = io.BytesIO()
        with av.open(file, "w", format="mp4") as container:
            stream = container.add_stream("mpeg4", rate=5)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            for frame in range(6):
                grain = rng(number, "film", frame // 3).integers(0, 256, (4, 4, 3), dtype=np.uint8)
                pixels = np.ascontiguousarray(grain.repeat(16, 0).repeat(16, 1))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode(None))
        return file.getvalue()

    return [film(1), None, film(2), b"this is no film"]


def _series() -> Series:
    random = rng(0, "series")
    lengths = np.array([0, 1, 2, 40, 200, 3])
    times = UNTIL - random.integers(1, 500 * DAY_US, lengths.sum())
    times[-3:] = UNTIL + HOUR_US  # nothing of the last one is known yet
    amounts = random.normal(20, 10, len(times))
    return Series(np.concatenate([[0], np.cumsum(lengths)]), times, UNTIL, amounts)


EXAMPLES: dict[str, Callable[[], Any]] = {
    "text": lambda: TEXTS,
    "image": _images,
    "video": _films,
    "series": _series,
    "number": lambda: [3.0, None, -1.5, float("nan"), 1e9, float("inf"), 0.0, 3.0],
    "category": lambda: ["home > lamps", None, "home", "", "家居 > 灯", "home > lamps", "toys"],
}

#: Settings without which an encoder is no encoder, or takes too long for a test.
SETTINGS: dict[str, dict[str, Any]] = {
    "huggingface": {"download": False},
    "tfidf": {"min_texts": 1},
    "video": {"frames": 3},
}
#: A setting that changes vectors.
OTHER: dict[str, dict[str, Any]] = {
    "category": {"dim": 32},
    "e5": {"prefix": "passage: "},
    "efficientnet": {"size": 96},
    "huggingface": {"prefix": "query: "},
    "series": {"days": 56},
    "tfidf": {"dim": 8},
    "use": {"window": 16},
    "video": {"frames": 2},
}


@dataclass(frozen=True)
class Case:
    """An encoder and what it gives for the examples of its modality."""

    name: str
    settings: dict[str, Any]
    column: Any
    fitted: FittedEncoder
    encoded: Encoded

    def take(self, rows: np.ndarray) -> Any:
        """Some rows of the column."""
        if isinstance(self.column, Series):
            return self.column.take(rows)
        return [self.column[row] for row in rows.tolist()]


@pytest.fixture(scope="module", params=ENCODERS.names())
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Every encoder whose packages are on this machine."""
    name = request.param
    kind = ENCODERS.get(name)
    settings = SETTINGS.get(name, {})
    if name == "huggingface":
        settings = {**settings, "model": str(tiny_bert(tmp_path_factory.mktemp("bert")))}
    column = EXAMPLES[kind.modality]()
    try:
        fitted = kind(**settings).fit(column)
        return Case(name, settings, column, fitted, fitted.encode(column))
    except DataError as error:
        pytest.skip(str(error))


def assert_same(one: np.ndarray, other: np.ndarray) -> None:
    """Rows are alike in direction and in length."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    sizes = np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1)
    np.testing.assert_allclose(sizes[0], sizes[1], rtol=1e-2, atol=1e-6)
    there = sizes[0] > 1e-6
    cosine = (one * other).sum(axis=1)[there] / (sizes[0] * sizes[1])[there]
    assert (cosine >= SAME_COSINE).all(), cosine.min()


# --- promises ---------------------------------------------------------------------------------


def test_there_is_one_finite_row_per_row(case: Case) -> None:
    vectors = case.encoded.vectors
    assert vectors.shape == (len(case.column), case.fitted.dim)
    assert vectors.dtype in (np.float16, np.float32)
    assert np.isfinite(vectors).all()
    assert (np.abs(vectors) < 60_000).all()  # the store keeps float16
    assert case.encoded.present.dtype == bool
    assert len(case.encoded) == len(case.column)
    assert case.fitted.modality == ENCODERS.get(case.name).modality


def test_missing_rows_are_masked(case: Case) -> None:
    present, reasons = case.encoded.present, case.encoded.reasons
    assert not case.encoded.vectors[~present].any()
    assert all(not present[row] and reason for row, reason in reasons.items())
    if not isinstance(case.column, Series):
        empty = [row for row, x in enumerate(case.column) if x is None or x == "" or x != x]
        assert empty
        assert not present[empty].any()
        assert not set(empty) & set(reasons)
        assert present.sum() + len(empty) + len(reasons) == len(case.column)
    else:
        assert present.tolist() == [False, True, True, True, True, False]


def test_unlike_content_has_unlike_vectors(case: Case) -> None:
    there = np.flatnonzero(case.encoded.present)
    vectors = case.encoded.vectors[there].astype(np.float64)
    assert len(np.unique(vectors.round(2), axis=0)) >= min(3, len(there))


def test_the_order_of_rows_changes_nothing(case: Case) -> None:
    order = rng(0, "order").permutation(len(case.column))
    shuffled = case.fitted.encode(case.take(order))
    assert np.array_equal(shuffled.present, case.encoded.present[order])
    assert_same(shuffled.vectors, case.encoded.vectors[order])


def test_the_size_of_a_batch_changes_nothing(case: Case) -> None:
    rows = np.arange(len(case.column))
    alone = [case.fitted.encode(case.take(rows[row : row + 1])) for row in rows]
    assert np.array_equal(np.concatenate([x.present for x in alone]), case.encoded.present)
    assert_same(np.concatenate([x.vectors for x in alone]), case.encoded.vectors)
    nothing = case.fitted.encode(case.take(rows[:0]))
    assert nothing.vectors.shape == (0, case.fitted.dim)
    assert nothing.present.shape == (0,)


def test_training_rows_alone_decide_the_fit(case: Case) -> None:
    """What is encoded afterwards leaves no trace."""
    kind = ENCODERS.get(case.name)
    rows = np.arange(len(case.column))
    again = kind(**case.settings).fit(case.column)
    again.encode(case.take(rows[:1]))
    assert again.identity == case.fitted.identity
    assert_same(again.encode(case.column).vectors, case.encoded.vectors)
    half = kind(**case.settings).fit(case.take(rows[: len(rows) // 2]))
    if isinstance(case.fitted, Learned):
        assert half.identity != case.fitted.identity
    else:
        assert half.identity == case.fitted.identity


def test_settings_are_part_of_the_identity(case: Case) -> None:
    if case.name not in OTHER:
        pytest.skip(f"{case.name} has no setting that changes vectors")
    other = ENCODERS.get(case.name)(**{**case.settings, **OTHER[case.name]})
    assert other.fit(case.column).identity != case.fitted.identity


def test_saving_loses_nothing(case: Case, tmp_path: Path) -> None:
    save_encoder(tmp_path / "saved", ENCODERS.get(case.name)(**case.settings), case.fitted)
    loaded = load_encoder(tmp_path / "saved")
    assert loaded.identity == case.fitted.identity
    assert_same(loaded.encode(case.column).vectors, case.encoded.vectors)
    assert {path.suffix for path in (tmp_path / "saved").iterdir()} <= {".json", ".safetensors"}


def test_a_saved_encoder_that_would_give_other_vectors_is_refused(
    case: Case, tmp_path: Path
) -> None:
    save_encoder(tmp_path / "saved", ENCODERS.get(case.name)(**case.settings), case.fitted)
    path = tmp_path / "saved" / "encoder.json"
    head = json.loads(path.read_text())
    path.write_text(json.dumps({**head, "identity": "of another version"}))
    with pytest.raises(DataError, match="expected the encoder 'of another version'"):
        load_encoder(tmp_path / "saved")


def test_every_encoder_has_a_modality_with_examples() -> None:
    assert {ENCODERS.get(name).modality for name in ENCODERS.names()} <= set(EXAMPLES)
