from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from shoploom.core.columns import IMAGE
from shoploom.core.errors import ConfigError, DataError, UnknownName
from shoploom.core.progress import Quiet
from shoploom.simulate.catalogue import CATEGORIES, STYLE_AXES
from shoploom.simulate.content import films, photos

STYLE = np.array([0.8, 0.6, 0.5, -0.4])


class Notes(Quiet):
    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)


def a_photo(colour=(120, 90, 60)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 60), colour).save(file, "JPEG")
    return file.getvalue()


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as film:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)])


# Photos that are drawn


def test_every_shape_of_the_catalogue_is_drawn_and_no_other():
    assert set(photos.SHAPES) == {category.shape for category in CATEGORIES}
    for shape in photos.SHAPES:
        photo = photos.draw_photo(shape, STYLE, seed=3, size=48)
        assert (photo.size, photo.mode) == ((48, 48), "RGB")
        assert np.asarray(photo).std() > 12  # something stands out from its background


def test_a_shape_nobody_draws_is_an_error():
    with pytest.raises(UnknownName, match=r"no shape is named 'mugg'.*Did you mean 'mug'"):
        photos.draw_photo("mugg", STYLE, seed=0)


def test_photos_depend_on_seed_and_name_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "WORTH_A_POOL", 4)
    names, shapes = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"], ["mug", "dress", "hat", "tin"]
    styles = np.tile(STYLE, (4, 1))
    photos.write_photos(tmp_path / "two", names, shapes, styles, 5, 48, processes=2)
    photos.write_photos(tmp_path / "one", names, shapes, styles, 5, 48, processes=1)
    photos.write_photos(tmp_path / "few", names[2:], shapes[2:], styles[2:], 5, 48)
    photos.write_photos(tmp_path / "other", names, shapes, styles, 6, 48, processes=1)
    two = written(tmp_path / "two")
    assert two == written(tmp_path / "one")
    assert {name: two[name] for name in names[2:]} == written(tmp_path / "few")
    assert not set(two.values()) & set(written(tmp_path / "other").values())
    assert len(set(two.values())) == 4


def test_a_product_without_a_style_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="got 2 names, 2 shapes and styles of shape \\(1, 4\\)"):
        photos.write_photos(tmp_path, ["a.jpg", "b.jpg"], ["mug", "mug"], STYLE[None], 0)


# What photos show, and what they do not


def smoothed(field):
    for axis in (0, 1):
        field = (np.roll(field, 1, axis) + 2.0 * field + np.roll(field, -1, axis)) / 4
    return field


def features(photo: np.ndarray) -> tuple[list[float], list[float]]:
    """Simple statistics of the colours and of the edges in a photo (n, n, 3) in [0, 1]."""
    edge = len(photo) // 8
    ground = np.median(np.concatenate([photo[:edge], photo[-edge:]]).reshape(-1, 3), axis=0)
    unlike = np.abs(photo - ground).max(axis=-1)
    weight = (unlike > 0.12) + 0.01
    weight /= weight.sum()
    red, green, blue = (weight[..., None] * photo).sum(axis=(0, 1))
    vivid = (weight * np.ptp(photo, axis=-1)).sum()
    colour = [red - blue, (red - blue) / (vivid + 0.02), vivid, vivid**2]
    colour += [(2 * green - red - blue) / (vivid + 0.02)]

    grey = photo.mean(axis=-1)
    slope = np.hypot(*np.gradient(smoothed(grey)))
    busy = np.log((slope * weight).sum())
    spread = np.sqrt((weight * (grey - (weight * grey).sum()) ** 2).sum())

    # Edges of angular things have few directions, those of round things have all.
    down, across = np.gradient(smoothed(unlike))
    slope = np.hypot(down, across)
    strong = slope * (slope > 0.02) * np.minimum(3 * smoothed(smoothed(unlike > 0.12)), 1)
    strong /= strong.sum()
    normal = (across + 1j * down) / (slope + 1e-6)
    bins = (np.angle(normal) % np.pi / np.pi * 24).astype(int) % 24
    share = np.sort(np.bincount(bins.ravel(), strong.ravel(), 24))
    fourth = normal * normal * normal * normal
    powers = fourth, fourth * fourth, fourth * fourth * fourth
    harmonics = [abs((strong * power).sum()) for power in powers]
    directions = [share[:8].sum(), share[-3:].sum(), -(share * np.log(share + 1e-6)).sum()]
    bend = np.abs(np.gradient(normal.real, axis=1) + np.gradient(normal.imag, axis=0))
    bends = [(strong * (bend < 0.04)).sum(), (strong * ((bend > 0.12) & (bend < 0.3))).sum()]
    return [*colour, spread], [busy, busy**2, *directions, *harmonics, *bends]


def explained(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """R2 of each column of ``y`` by linear regression on ``x``, each row judged by other rows."""
    x = np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / x.std(axis=0)])
    fold, predicted = np.arange(len(x)) % 5, np.empty_like(y)
    for k in range(5):
        weights = np.linalg.lstsq(x[fold != k], y[fold != k], rcond=None)[0]
        predicted[fold == k] = x[fold == k] @ weights
    return 1 - (y - predicted).var(axis=0) / y.var(axis=0)


@pytest.fixture(scope="module")
def gallery():
    styles = np.random.default_rng(8).uniform(-1, 1, (312, 4))
    shapes = [list(photos.SHAPES)[row % len(photos.SHAPES)] for row in range(len(styles))]
    drawn = [
        np.asarray(photos.draw_photo(shape, style, seed, size=112), np.float32) / 255
        for seed, (shape, style) in enumerate(zip(shapes, styles, strict=True))
    ]
    return np.stack(drawn), styles


def test_photos_tell_their_style(gallery):
    drawn, styles = gallery
    colours, edges = (np.array(x) for x in zip(*map(features, drawn), strict=True))
    shares = *explained(colours, styles[:, :2]), *explained(edges, styles[:, 2:])
    told = dict(zip(STYLE_AXES, shares, strict=True))
    assert told["warmth"] > 0.5
    assert told["vividness"] > 0.5
    assert told["pattern"] > 0.3
    assert told["roundness"] > 0.15
    assert max(told.values()) < 0.97  # estimated, never read off


def test_backgrounds_tell_nothing(gallery):
    drawn, styles = gallery
    corners = np.concatenate([drawn[:, :6, :6], drawn[:, :6, -6:]], axis=1)
    x = np.concatenate([corners.mean(axis=(1, 2)), corners.std(axis=(1, 2))], axis=1)
    assert explained(x, styles).max() < 0.05


# Photos made from real ones


def test_real_photos_are_toned_by_style(tmp_path):
    (tmp_path / "real" / "below").mkdir(parents=True)
    (tmp_path / "real" / "below" / "one.JPG").write_bytes(a_photo())
    styles = np.array([[1, 0.9, -1, 0], [-1, 0.9, -1, 0]])
    photos.write_photos(
        tmp_path / "out", ["warm.jpg", "cool.jpg"], ["mug", "mug"], styles, 0, 64, tmp_path / "real"
    )
    warm, cool = (
        np.asarray(Image.open(tmp_path / "out" / name), float).mean(axis=(0, 1))
        for name in ("warm.jpg", "cool.jpg")
    )
    assert warm[0] > warm[2] + 30
    assert cool[2] > cool[0] + 30


def test_labels_say_which_shape_a_real_photo_shows(tmp_path):
    source = tmp_path / "photos.parquet"
    shots = {IMAGE: [a_photo((250, 250, 250)), a_photo((5, 5, 5))], "label": ["pants", "Skirt"]}
    pq.write_table(pa.table(shots), source)
    progress = Notes()
    photos.write_photos(
        tmp_path / "out", ["t.jpg", "d.jpg", "m.jpg"], ["trousers", "dress", "mug"],
        np.zeros((3, 4)), 0, 64, source, progress,
    )  # fmt: skip
    light, dark = (
        np.asarray(Image.open(tmp_path / "out" / name).convert("L"), float)[24:40, 24:40].mean()
        for name in ("t.jpg", "d.jpg")
    )
    assert light > dark + 100
    assert progress.notes == ["no real photo shows mug: these are drawn"]


def test_an_empty_folder_of_real_photos_is_an_error(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "notes.txt").write_text("no photo")
    with pytest.raises(DataError, match=r"real: expected files ending in \.jpg.*got none"):
        photos.write_photos(tmp_path, ["a.jpg"], ["mug"], STYLE[None], 0, 48, tmp_path / "real")


def test_an_unreadable_real_photo_is_an_error(tmp_path):
    broken = tmp_path / "real" / "broken.png"
    broken.parent.mkdir()
    broken.write_bytes(b"not a photo")
    with pytest.raises(DataError, match=r"broken\.png: expected a JPEG or PNG photo"):
        photos.write_photos(tmp_path, ["a.jpg"], ["mug"], STYLE[None], 0, 48, broken.parent)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent", None, "which does not exist"),
        ("text.csv", b"a,b\n1,2\n", "expected a folder of photos or a Parquet file, got neither"),
    ],
)
def test_a_source_of_another_kind_is_an_error(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        photos.write_photos(tmp_path, ["a.jpg"], ["mug"], STYLE[None], 0, 48, tmp_path / name)


def test_a_parquet_file_without_photos_is_an_error(tmp_path):
    pq.write_table(pa.table({"picture": [a_photo()]}), tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"expected a column 'image'.*got the columns picture"):
        photos.write_photos(
            tmp_path, ["a.jpg"], ["mug"], STYLE[None], 0, 48, tmp_path / "p.parquet"
        )
    pq.write_table(pa.table({IMAGE: [None, b"junk"]}), tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"p\.parquet, row [01]: expected a JPEG or PNG"):
        photos.write_photos(
            tmp_path, ["a.jpg"], ["mug"], STYLE[None], 0, 48, tmp_path / "p.parquet"
        )


# Films


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shots")
    names, shapes = ["a.jpg", "b.jpg", "c.jpg"], ["mug", "dress", "shoe"]
    photos.write_photos(folder, names, shapes, np.tile(STYLE, (3, 1)), 4, 96)
    return [folder / name for name in names]


def test_a_product_film_moves_over_its_photo(tmp_path, shots):
    seen = films.write_product_film(shots[0], tmp_path / "a.mp4", 1.5, seed=2)
    frames = decoded(tmp_path / "a.mp4")
    assert seen == [(0.0, 1.5)]
    assert frames.shape == (18, 320, 320, 3)
    with av.open(str(tmp_path / "a.mp4")) as film:
        video = film.streams.video[0]
        assert (video.codec_context.name, video.pix_fmt, video.average_rate) == (
            "h264",
            "yuv420p",
            films.PRODUCT_FPS,
        )
    assert np.abs(frames[0].astype(float) - frames[-1]).mean() > 2
    colours = np.asarray(Image.open(shots[0]), float).mean(axis=(0, 1))
    assert np.abs(frames.mean(axis=(0, 1, 2)) - colours).max() < 25


def test_a_stream_shows_each_item_when_it_says(tmp_path, shots):
    path = tmp_path / "stream.mp4"
    seen = films.write_stream_film(shots, 2, path, seed=1)
    frames = decoded(path).astype(np.int16)
    assert seen == [(0, 2), (2, 4), (4, 6)]
    assert frames.shape == (36, 360, 640, 3)

    # The cuts are by far the largest changes, where one item gives way to the next.
    change = np.abs(np.diff(frames[:, ::4, ::4], axis=0)).mean(axis=(1, 2, 3))
    cuts = np.sort(np.argsort(change)[-2:]) + 1
    assert (cuts / films.STREAM_FPS).tolist() == [start for start, _ in seen[1:]]
    assert np.sort(change)[-2] > 5 * np.sort(change)[-3]

    for number, (start, end) in enumerate(seen):
        frame = frames[int((start + end) / 2 * films.STREAM_FPS)]
        left = 44 if number % 2 == 0 else 364
        panel = frame[films.PANEL_TOP : films.PANEL_TOP + films.PANEL, left : left + films.PANEL]
        distance = [
            np.abs(panel - films._square(shot, films.PANEL)).mean()  # pyright: ignore
            for shot in shots
        ]
        assert np.argmin(distance) == number


def test_films_are_the_same_bytes_again(tmp_path, shots):
    for name in ("one.mp4", "two.mp4"):
        films.write_product_film(shots[1], tmp_path / name, 0.5, seed=7)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    films.write_product_film(shots[1], tmp_path / "other.mp4", 0.5, seed=8)
    assert (tmp_path / "one.mp4").read_bytes() != (tmp_path / "other.mp4").read_bytes()
    for name in ("s1.mp4", "s2.mp4"):
        films.write_stream_film(shots[:2], 0.5, tmp_path / name, seed=7)
    assert (tmp_path / "s1.mp4").read_bytes() == (tmp_path / "s2.mp4").read_bytes()


def test_films_of_nothing_are_errors(tmp_path, shots):
    with pytest.raises(ConfigError, match="at least one photo"):
        films.write_stream_film([], 2, tmp_path / "s.mp4", seed=0)
    with pytest.raises(ConfigError, match=r"expected at least 0.083 s.*got 0.01"):
        films.write_product_film(shots[0], tmp_path / "p.mp4", 0.01, seed=0)
