from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError
from shoploom.encoders import Encoded
from shoploom.sequences.interests import LIFT, TAG
from shoploom.tables import Tables
from shoploom.workflows.picture_map import grid_layout, picture_map, sprite
from shoploom.workflows.tagging import (
    INSTEAD,
    KIND,
    PROBABILITY,
    SOURCE,
    TAG_ZH,
    interest_profiles,
    read_items,
    read_labels,
    tag_items,
)

DIM = 64


class Words:
    """An encoder of texts: the sum of a random vector per word."""

    modality: ClassVar = "text"
    identity, dim = "words", DIM

    def fit(self, column: Any, *, seed: int = 0) -> Words:
        return self

    def encode(self, column: Any, *, progress: Any = None) -> Encoded:
        rows = [sum((self._word(word) for word in (text or "").lower().split()), np.zeros(DIM))
                for text in column]  # fmt: skip
        vectors = np.array(rows, np.float32)
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return Encoded(vectors / lengths, np.array([bool(text) for text in column]))

    def _word(self, word: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "big")
        return np.random.default_rng(seed).normal(size=DIM)


class MeanColours:
    """An encoder of photos: their mean colour, squared."""

    modality: ClassVar = "image"
    identity, dim = "mean colours", 3

    def fit(self, column: Any, *, seed: int = 0) -> MeanColours:
        return self

    def encode(self, column: Any, *, progress: Any = None) -> Encoded:
        from shoploom.encoders.images import Unreadable, read_image

        pixels = [None if path is None else read_image(path) for path in column]
        there = np.array([not isinstance(p, Unreadable) and p is not None for p in pixels])
        vectors = np.zeros((len(column), 3), np.float32)
        for row in np.flatnonzero(there):
            vectors[row] = (pixels[row].mean(axis=(0, 1)) / 255) ** 2
        return Encoded(vectors, there)


NOUNS = {"Fashion > Hats": "hat", "Pantry > Tea": "tea", "Home > Lamps": "lamp"}


@pytest.fixture
def items() -> pd.DataFrame:
    """Ninety items; i00 to i02 lack a category, i03 has a wrong one."""
    paths = list(NOUNS)
    category: list[str | None] = [paths[num % 3] for num in range(90)]
    titles = [f"{NOUNS[path]} model{num}" for num, path in enumerate(category) if path]
    titles[5] = "red silk lamp model5"
    titles[6] = "hat 羊绒 红色 model6"
    category[:3] = [None, "", None]
    category[3] = "Pantry > Tea"
    ids = [f"i{num:02d}" for num in range(90)]
    return pd.DataFrame({c.ITEM_ID: ids, c.TITLE: titles, c.CATEGORY: category})


def test_missing_categories_are_filled_in_and_wrong_ones_doubted(items: pd.DataFrame):
    tags = tag_items(items, text=Words())
    rows = tags[tags[KIND] == "category"].set_index(c.ITEM_ID)
    assert list(rows.index) == list(items[c.ITEM_ID])
    assert list(rows.loc[["i00", "i01", "i02"], TAG]) == list(NOUNS)
    assert list(rows.loc[["i00", "i01", "i02"], SOURCE]) == ["title"] * 3
    assert rows.loc["i03", TAG] == "Pantry > Tea"
    assert rows.loc["i03", INSTEAD] == "Fashion > Hats"
    assert rows.loc["i03", PROBABILITY] < 0.1
    assert rows[INSTEAD].notna().sum() == 1


def test_titles_give_attributes_without_any_model(items: pd.DataFrame):
    tags = tag_items(items.drop(columns=c.CATEGORY))
    said = tags.set_index(c.ITEM_ID)
    assert list(said.loc["i05", TAG]) == ["red", "silk"]
    assert list(said.loc["i06", TAG_ZH]) == ["红色", "羊绒"]
    assert (tags[PROBABILITY] == 1).all()


def test_labels_need_no_example(items: pd.DataFrame):
    tags = tag_items(items, text=Words(), labels=["hat", "lamp", "tea"])
    best = tags[tags[KIND] == "label"].drop_duplicates(c.ITEM_ID).set_index(c.ITEM_ID)[TAG]
    expected = [NOUNS[list(NOUNS)[num % 3]] for num in range(90)]
    assert (best.reindex(items[c.ITEM_ID]).to_numpy() == expected).mean() > 0.95


def test_photos_tell_their_colour_and_unreadable_ones_nothing(items: pd.DataFrame, tmp_path: Path):
    image = pytest.importorskip("PIL.Image")
    for name, colour in {"red.png": (200, 20, 30), "blue.png": (20, 40, 200)}.items():
        picture = image.new("RGB", (60, 60), "white")
        picture.paste(colour, (12, 12, 48, 48))
        picture.save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"no image")
    names = ["red.png", "blue.png", "broken.png", "../secret.png", None]
    items = items.head(5).drop(columns=c.CATEGORY).assign(**{c.IMAGE: names})
    tags = tag_items(items, image=MeanColours(), text=Words(), photos=tmp_path)
    photo = tags[tags[SOURCE] == "photo"].set_index(c.ITEM_ID)
    assert photo[TAG].to_dict() == {"i00": "red", "i01": "blue"}
    assert list(photo[TAG_ZH]) == ["红色", "蓝色"]


def test_photos_help_where_titles_are_silent(
    items: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of every third item only the photo tells what it is; the others teach what photos mean."""
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("torch")
    monkeypatch.setattr("shoploom.workflows.tagging._FEWEST_PAIRS", 60)
    rng = np.random.default_rng(0)
    nouns = [NOUNS[list(NOUNS)[num % 3]] for num in range(90)]
    colours = {"hat": (220, 40, 40), "tea": (40, 220, 40), "lamp": (40, 40, 220)}
    for num, noun in enumerate(nouns):
        colour = np.clip(rng.normal(colours[noun], 20), 0, 255).astype(int)
        image.new("RGB", (16, 16), tuple(colour.tolist())).save(tmp_path / f"{num}.png")
    titles = [
        f"thing model{num}" if num % 5 == 0 else f"{n} model{num}" for num, n in enumerate(nouns)
    ]
    items = pd.DataFrame(
        {
            c.ITEM_ID: items[c.ITEM_ID],
            c.TITLE: titles,
            c.IMAGE: [f"{num}.png" for num in range(90)],
        }
    )
    silent = np.arange(0, 90, 5)

    def right(photos: Path | None) -> float:
        tags = tag_items(
            items, text=Words(), image=MeanColours(), labels=["hat", "lamp", "tea"], photos=photos
        )
        best = tags[tags[KIND] == "label"].drop_duplicates(c.ITEM_ID).set_index(c.ITEM_ID)[TAG]
        return float((best.reindex(items[c.ITEM_ID]).to_numpy() == nouns)[silent].mean())

    assert right(tmp_path) > max(0.7, right(None))


def test_a_shop_of_one_category_keeps_it(items: pd.DataFrame):
    few = items.iloc[4:7].assign(**{c.CATEGORY: "Home > Lamps"})
    tags = tag_items(few, text=Words())
    rows = tags[tags[KIND] == "category"]
    assert list(rows[TAG]) == ["Home > Lamps"] * 3
    assert list(rows[SOURCE]) == ["given"] * 3


def test_files_of_items_and_labels_are_read(items: pd.DataFrame, tmp_path: Path):
    items.to_csv(tmp_path / "items.csv", index=False)
    assert list(read_items(tmp_path / "items.csv")[c.ITEM_ID]) == list(items[c.ITEM_ID])
    (tmp_path / "labels.txt").write_text("casual\n\n复古\ncasual\n", encoding="utf-8")
    assert read_labels(tmp_path / "labels.txt") == ["casual", "复古"]
    (tmp_path / "one.txt").write_text("casual\n")
    with pytest.raises(ConfigError, match="expected at least two labels"):
        read_labels(tmp_path / "one.txt")
    with pytest.raises(ConfigError, match="expected a UTF-8 text file"):
        read_labels(tmp_path / "none.txt")
    items[[c.ITEM_ID]].to_csv(tmp_path / "bare.csv", index=False)
    with pytest.raises(DataError, match="no column 'title'"):
        read_items(tmp_path / "bare.csv")


def test_the_command_writes_tags(items: pd.DataFrame, tmp_path: Path, capsys):
    from cyclopts import App

    from shoploom.cli.tag import add_to

    path, out = tmp_path / "items.csv", tmp_path / "tags.parquet"
    items.drop(columns=c.CATEGORY).to_csv(path, index=False)
    app = App(result_action="return_value")
    add_to(app)
    app(["tag", str(path), "--quiet", "--out", str(out)])
    assert "rows in" in capsys.readouterr().out
    assert set(pd.read_parquet(out)[TAG]) == {"red", "silk", "cashmere"}


def test_users_have_interests_in_tags(shop: Tables, shop_at: int):
    tags = pd.DataFrame(
        {
            c.ITEM_ID: ["i00", "i00", "i05", "i01"],
            TAG: ["red", "red", "red", "blue"],
            PROBABILITY: [0.4, 1.0, 1.0, 1.0],
        }
    )
    profiles = interest_profiles(shop, shop_at, tags)
    assert set(profiles[TAG]) == {"red", "blue"}
    keen = profiles[profiles[c.USER_ID] == "u05"].set_index(TAG)[LIFT]
    assert keen["red"] > 1


def test_without_tags_interests_are_in_the_shop_s_categories(shop: Tables, shop_at: int):
    assert "food > tea" in set(interest_profiles(shop, shop_at)[TAG])


# --- the picture map --------------------------------------------------------------------------


def clusters(n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    member = np.arange(n) % 4
    return rng.normal(size=(4, 20))[member] * 3 + 0.3 * rng.normal(size=(n, 20)), member


def test_like_stands_beside_like_and_the_map_never_changes():
    pytest.importorskip("sklearn")
    vectors, member = clusters()
    xy = picture_map(vectors)
    assert xy.min() >= 0
    assert xy.max() <= 1
    np.testing.assert_array_equal(xy, picture_map(vectors))
    apart = ((xy[:, None] - xy[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert (member[apart.argmin(axis=1)] == member).mean() > 0.98


@pytest.mark.parametrize("n", [1, 2, 3, 5, 3_500])
def test_a_map_of_any_size_lies_in_the_unit_square(n: int):
    pytest.importorskip("sklearn")
    xy = picture_map(np.random.default_rng(0).normal(size=(n, 6)))
    assert xy.shape == (n, 2)
    assert np.isfinite(xy).all()
    assert xy.min() >= 0
    assert xy.max() <= 1


def test_equal_photos_are_no_trouble():
    pytest.importorskip("sklearn")
    assert np.isfinite(picture_map(np.ones((20, 5)))).all()


@pytest.mark.parametrize("n", [0, 1, 7, 100, 2_500])
def test_no_two_photos_share_a_cell(n: int):
    xy = np.random.default_rng(0).random((n, 2))
    cells = grid_layout(xy)
    assert cells.shape == (n, 2)
    assert len({tuple(cell) for cell in cells.tolist()}) == n
    if n > 50:
        assert np.corrcoef(xy[:, 0], cells[:, 0])[0, 1] > 0.95
        assert np.corrcoef(xy[:, 1], cells[:, 1])[0, 1] > 0.95


def test_a_grid_needs_a_column():
    with pytest.raises(ConfigError, match="at least one column"):
        grid_layout(np.zeros((2, 2)), columns=0)


def test_vectors_that_are_none_are_refused():
    with pytest.raises(DataError, match="expected finite vectors"):
        picture_map(np.full((5, 3), np.nan))


def test_a_sheet_holds_every_thumbnail_in_its_place(tmp_path: Path):
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (100, 100), (250, 10, 10)).save(tmp_path / "red.png")
    sheet = image.open(io.BytesIO(sprite([tmp_path / "red.png", None, b"junk"], size=20)))
    assert sheet.size == (40, 40)
    near = [np.round(np.array(sheet.getpixel(at)), -1).tolist() for at in ((10, 10), (30, 10))]
    assert near[0][0] > 230
    assert near[0][1] < 40
    assert min(near[1]) == max(near[1]) == 220
