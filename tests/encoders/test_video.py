"""Films: cuts at known times are found, what is damaged has a reason, items are seen on screen."""

from __future__ import annotations

import io
import os
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from shoploom.core.errors import ConfigError, DataError
from shoploom.encoders import make_encoder
from shoploom.encoders.images import Unreadable
from shoploom.encoders.ocr import read_film_writing, read_writing
from shoploom.encoders.speech import Said, transcribe
from shoploom.encoders.video import Film, FilmLimits, Moment, frames_at, moments, read_film, spread
from shoploom.simulate.content.films import write_product_film, write_stream_film
from shoploom.simulate.content.photos import write_photos

av = pytest.importorskip("av", reason="needs the extra video")
Image = pytest.importorskip("PIL.Image", reason="needs the extra image")

SHAPES = ["dress", "mug", "lamp", "shoe", "hat"]


def _needs_efficientnet() -> None:
    for package in ("torch", "onnx", "onnxruntime", "efficientnet_lite_pytorch"):
        pytest.importorskip(package, reason="needs the extra image")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    names = [f"{shape}.jpg" for shape in SHAPES]
    styles = np.random.default_rng(3).uniform(-1, 1, (len(names), 4))
    write_photos(folder, names, SHAPES, styles, seed=3, processes=1)
    return [folder / name for name in names]


@pytest.fixture(scope="module")
def stream(photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    """A live stream that shows four of the photos, and when."""
    path = tmp_path_factory.mktemp("films") / "stream.mp4"
    return path, write_stream_film(photos[:4], 2.5, path, seed=1)


@pytest.fixture(scope="module")
def product(photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "product.mp4"
    write_product_film(photos[0], path, 3.0, seed=2)
    return path


def _read(source: Path | bytes, **settings: object) -> Film:
    film = read_film(source, **settings)
    assert isinstance(film, Film), film
    return film


def _film(frames: list[np.ndarray], *, fps: int = 10, kind: str = "mp4", codec: str = "") -> bytes:
    """The bytes of a film of these frames."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        made = container.add_stream(codec or "mpeg4", rate=fps)
        made.height, made.width = frames[0].shape[:2]
        made.pix_fmt = "yuv420p" if codec != "gif" else "rgb8"
        for frame in frames:
            container.mux(made.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(made.encode(None))
    return file.getvalue()


def _flat(level: int, side: int = 32) -> np.ndarray:
    return np.full((side, side, 3), level, np.uint8)


def test_hard_cuts_are_found_to_the_frame(stream: tuple[Path, list]) -> None:
    path, shown = stream
    film = _read(path)
    np.testing.assert_allclose(film.cuts, [start for start, _ in shown[1:]], atol=0.17)
    assert film.seconds == pytest.approx(shown[-1][1], abs=0.01)
    assert film.ended == ""
    assert sorted(set(film.shots)) == [0, 1, 2, 3]


def test_a_moving_camera_is_no_cut(product: Path) -> None:
    film = _read(product)
    assert len(film.cuts) == 0
    assert film.images.dtype == np.uint8
    assert film.images.shape[1:] == (256, 256, 3)


def test_a_fade_is_no_cut() -> None:
    fade = [_flat(level) for level in np.linspace(20, 230, 40).astype(int)]
    assert len(_read(_film(fade)).cuts) == 0
    still = _film([_flat(90)] * 20)
    assert len(_read(still).cuts) == 0
    one = _read(_film([_flat(90)] * 20 + [_flat(200)] * 20))
    np.testing.assert_allclose(one.cuts, [2.0], atol=0.11)


def test_frames_are_evenly_spread_and_no_more_than_wished(stream: tuple[Path, list]) -> None:
    film = _read(stream[0], limits=FilmLimits(frames=10))
    assert 5 <= len(film) <= 10
    steps = np.diff(film.times)
    np.testing.assert_allclose(steps, steps[0], atol=1e-6)
    # Cuts are looked for among all frames, whatever is kept.
    assert len(film.cuts) == 3


@pytest.mark.parametrize(
    ("kind", "codec"), [("matroska", ""), ("avi", ""), ("mpegts", "mpeg2video"), ("mov", "")]
)
def test_common_containers_are_read(kind: str, codec: str) -> None:
    content = _film([_flat(50)] * 15 + [_flat(200)] * 15, kind=kind, codec=codec, fps=25)
    film = _read(content)
    np.testing.assert_allclose(film.cuts, [0.6], atol=0.15)


def test_frames_at_given_times_say_when_they_came_up(stream: tuple[Path, list]) -> None:
    path, _ = stream
    film = frames_at(path, [9.0, 0.0, 3.1, 500.0])
    assert isinstance(film, Film)
    np.testing.assert_allclose(film.times, [0.0, 3.0, 9.0, 9.83], atol=0.01)
    scanned = _read(path, rate=100)
    for at, image in zip(film.times, film.images, strict=True):
        same = scanned.images[np.argmin(np.abs(scanned.times - at))]
        assert np.abs(image.astype(int) - same).mean() < 2
    assert isinstance(frames_at(path, []), Unreadable)


# What is no film


def test_what_is_no_film_has_a_reason(tmp_path: Path, stream: tuple[Path, list]) -> None:
    whole = stream[0].read_bytes()
    (tmp_path / "link.mp4").symlink_to(stream[0])
    os.mkfifo(tmp_path / "pipe.mp4")
    cases: list[tuple[Path | bytes, str]] = [
        (b"", "empty"),
        (b"a letter", "no film that we know"),
        (whole[: len(whole) // 2], "damaged"),  # its index stood at the end
        (tmp_path / "none.mp4", "no such file"),
        (tmp_path, "a folder"),
        (tmp_path / "link.mp4", "a symbolic link"),
        (tmp_path / "pipe.mp4", "no regular file"),
    ]
    for source, reason in cases:
        for seen in (read_film(source), frames_at(source, [0.0])):
            assert isinstance(seen, Unreadable)
            assert reason in seen.reason


def test_playlists_open_nothing(tmp_path: Path, stream: tuple[Path, list]) -> None:
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{stream[0]}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{stream[0]}'\n",
    ):
        path = tmp_path / "list.mp4"
        path.write_text(text)
        seen = read_film(path)
        assert isinstance(seen, Unreadable)
        assert "no film that we know" in seen.reason


def test_sound_alone_holds_no_pictures() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        sound = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    assert read_film(file.getvalue()) == Unreadable("holds no pictures")


def test_a_film_cut_short_is_read_as_far_as_it_goes() -> None:
    noisy = list(np.random.default_rng(0).integers(0, 256, (60, 64, 64, 3), dtype=np.uint8))
    content = _film(noisy, kind="avi")
    film = _read(content[: len(content) // 2])
    assert 0 < film.seconds < 4


def test_limits_end_the_work(stream: tuple[Path, list]) -> None:
    path, _ = stream
    seen = read_film(path, limits=FilmLimits(seconds=0.0))
    assert isinstance(seen, Unreadable)
    assert "more than 0 s of work" in seen.reason
    seen = read_film(path, limits=FilmLimits(pixels=1000))
    assert isinstance(seen, Unreadable)
    assert "640 x 360 pixels, more than the limit" in seen.reason
    seen = read_film(path, limits=FilmLimits(bytes=100))
    assert isinstance(seen, Unreadable)
    assert "more than the limit" in seen.reason


def test_no_damage_raises_or_hangs(product: Path) -> None:
    whole, random = product.read_bytes(), np.random.default_rng(0)
    index = whole.find(b"moov")
    for turn in range(40):
        damaged = bytearray(whole)
        low, high = (index, len(whole)) if turn % 2 else (0, len(whole))
        for place in random.integers(low, high, 20):
            damaged[place] = random.integers(0, 256)
        content = bytes(damaged[: random.integers(1, len(whole) + 1)] if turn % 3 else damaged)
        start = time.monotonic()
        seen = read_film(content, size=32, limits=FilmLimits(seconds=5))
        assert isinstance(seen, (Film, Unreadable))
        assert time.monotonic() - start < 60
        assert isinstance(frames_at(content, [1.0]), (Film, Unreadable))


# Vectors


def test_frames_are_spread_over_shots() -> None:
    shots = np.repeat([0, 1, 2], [10, 2, 6])
    chosen = spread(shots, 6)
    assert np.bincount(shots[chosen]).tolist() == [2, 2, 2]
    assert np.bincount(shots[spread(shots, 2)], minlength=3).tolist() == [1, 0, 1]
    assert spread(np.zeros(5, np.int64), 12).tolist() == [0, 1, 2, 3, 4]
    assert spread(np.zeros(5, np.int64), 1).tolist() == [2]


def test_a_film_becomes_one_vector(product: Path, stream: tuple[Path, list]) -> None:
    _needs_efficientnet()
    encoder = make_encoder("video", frames=4).fit([])
    column = [product, None, b"no film", stream[0].read_bytes()]
    encoded = encoder.encode(column)
    assert encoded.vectors.shape == (4, encoder.dim) == (4, 3840)
    assert encoded.present.tolist() == [True, False, False, True]
    assert set(encoded.reasons) == {2}
    mean, largest, deviation = np.split(encoded.vectors, 3, axis=1)
    assert (mean <= largest + 1e-6).all()
    assert not deviation[0].any()  # one shot
    assert deviation[3].any()
    backwards = encoder.encode(column[::-1]).vectors[::-1]
    np.testing.assert_array_equal(backwards, encoded.vectors)


def test_a_film_that_takes_too_long_has_no_vector(product: Path) -> None:
    _needs_efficientnet()
    encoded = make_encoder("video", seconds=0.0).fit([]).encode([product])
    assert not encoded.present.any()
    assert "more than 0 s of work" in encoded.reasons[0]


def test_identity_and_settings_of_films() -> None:
    _needs_efficientnet()
    settings = ({}, {"by": "time"}, {"frames": 3})
    assert len({make_encoder("video", **each).identity for each in settings}) == 3
    with pytest.raises(ConfigError, match="by shots or time"):
        make_encoder("video", by="mood")
    with pytest.raises(ConfigError, match="expected an image encoder that takes frames"):
        make_encoder("video", image="video").encode([])


def test_items_on_screen_are_named(photos: list[Path], stream: tuple[Path, list]) -> None:
    _needs_efficientnet()
    path, shown = stream
    vectors = make_encoder("efficientnet").fit([]).encode(photos).vectors
    found = moments(path, SHAPES, vectors)
    assert isinstance(found, list)
    seconds = np.arange(0.25, shown[-1][1], 0.5)
    right = 0
    for second in seconds:
        named = next((m.item_id for m in found if m.start_s <= second < m.end_s), None)
        truth = next(i for i, (start, end) in enumerate(shown) if start <= second < end)
        right += named == SHAPES[truth]
    assert right / len(seconds) >= 0.9
    assert all(one.end_s <= other.start_s for one, other in pairwise(found))
    assert moments(b"no film", SHAPES, vectors) == read_film(b"no film")
    assert moments(path, [], vectors[:0]) == []
    with pytest.raises(DataError, match=r"expected vectors of shape \(5, 1280\)"):
        moments(path, SHAPES, vectors[:3])


def test_nothing_is_named_where_nothing_fits(photos: list[Path]) -> None:
    _needs_efficientnet()
    vectors = make_encoder("efficientnet").fit([]).encode(photos).vectors
    assert moments(_film([_flat(120, 64)] * 30), SHAPES, vectors) == []
    assert Moment(0.0, 1.0, "a", 0.5).item_id == "a"


# Speech and writing


def _stub(name: str, monkeypatch: pytest.MonkeyPatch, **parts: object) -> None:
    module = ModuleType(name)
    for part, value in parts.items():
        setattr(module, part, value)
    monkeypatch.setitem(sys.modules, name, module)


def test_speech_without_its_package_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(DataError, match=r"faster-whisper, found none; run: pip install"):
        transcribe(b"sound", model="missing")


def test_speech_has_timestamps(monkeypatch: pytest.MonkeyPatch) -> None:
    class Whisper:
        def __init__(self, model: str, **settings: str):
            if model == "unreachable":
                raise OSError("no route to the hub")

        def transcribe(self, file: io.BytesIO, *, language: str | None, vad_filter: bool) -> tuple:
            if file.read(3) == b"bad":
                raise ValueError("not a sound")
            parts = [SimpleNamespace(start=0.5, end=2.0, text=" hello ", avg_logprob=0.0)]
            return iter(parts), SimpleNamespace(language=language or "en")

    _stub("faster_whisper", monkeypatch, WhisperModel=Whisper)
    assert transcribe(b"good", model="stub") == [Said(0.5, 2.0, "hello", "en", 1.0)]
    heard = transcribe(b"good", model="stub", language="zh")
    assert isinstance(heard, list)
    assert heard[0].language == "zh"
    refused = transcribe(b"bad", model="stub")
    assert refused == Unreadable("no sound that can be heard: not a sound")
    assert transcribe(b"", model="stub") == Unreadable("empty")
    with pytest.raises(DataError, match=r"no route to the hub. Is the hub reachable"):
        transcribe(b"good", model="unreachable")


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that sees SALE where a picture is bright, and noise in it."""
    from shoploom.encoders import ocr

    def read(image: np.ndarray) -> tuple:
        height, width = image.shape[:2]
        if image.mean() < 128:
            return None, None
        low = [[0, height / 2], [width, height / 2], [width, height], [0, height]]
        top = [[0, 0], [width, 0], [width, height / 4], [0, height / 4]]
        return [[low, "50%", 0.8], [top, "SALE", 0.9], [top, "??", 0.1]], [0.1]

    ocr._load.cache_clear()
    _stub("rapidocr_onnxruntime", monkeypatch, RapidOCR=lambda: read)
    yield
    ocr._load.cache_clear()


def test_writing_in_a_photo(reader: None) -> None:
    sheet = io.BytesIO()
    Image.fromarray(_flat(250)).save(sheet, "PNG")
    lines = read_writing(sheet.getvalue())
    assert isinstance(lines, list)
    assert [(line.text, line.box) for line in lines] == [
        ("SALE", (0.0, 0.0, 1.0, 0.25)),
        ("50%", (0.0, 0.5, 1.0, 1.0)),
    ]
    assert read_writing(b"") == Unreadable("empty")


def test_writing_in_a_film_has_timestamps(reader: None) -> None:
    film = _film([_flat(20)] * 20 + [_flat(240)] * 20 + [_flat(20)] * 20)
    lines = read_film_writing(film, every_s=1.0)
    assert isinstance(lines, list)
    assert [line.text for line in lines] == ["SALE", "50%"]
    for line in lines:
        assert (line.start_s, line.end_s) == pytest.approx((2.0, 4.0), abs=0.11)
    assert isinstance(read_film_writing(b"no film"), Unreadable)


def test_writing_without_its_package_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from shoploom.encoders import ocr

    ocr._load.cache_clear()
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    with pytest.raises(DataError, match=r"rapidocr-onnxruntime, found none; run: pip install"):
        read_writing(b"")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_real_writing_is_read(stream: tuple[Path, list]) -> None:
    pytest.importorskip("rapidocr_onnxruntime", reason="needs rapidocr-onnxruntime")
    lines = read_film_writing(stream[0], every_s=1.0)
    assert isinstance(lines, list)
    seen = {line.text.replace(" ", ""): line for line in lines}
    assert (seen["LIVE"].start_s, seen["LIVE"].end_s) == pytest.approx((0.0, 10.0), abs=0.2)
    for number, (start, end) in enumerate(stream[1], start=1):
        line = seen[f"ITEM{number}OF4"]
        assert (line.start_s, line.end_s) == pytest.approx((start, end), abs=1.0)
