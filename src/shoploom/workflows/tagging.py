"""Tags of items, from their titles and photos, and what users care for among them.

Where the shop has categories, a head learns them: it fills in those that are missing and doubts
those that look wrong. A list of labels needs no example at all. Colours, materials, sizes and the
like are read from the title's words, and the colour also from the photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError
from shoploom.core.progress import Progress, Quiet
from shoploom.encoders import Encoder, FittedEncoder, make_encoder
from shoploom.encoders.attributes import mentions
from shoploom.encoders.images import Unreadable, dominant_colours, locate, read_image
from shoploom.encoders.joint import fit_joint, tag
from shoploom.encoders.labels import fit_labels
from shoploom.sequences.interests import TAG, WEIGHT, interests
from shoploom.tables import Source, Tables, read_tables

if TYPE_CHECKING:
    import pandas as pd

#: Columns of the answer, beside ``item_id`` and ``tag``.
KIND, TAG_ZH, PROBABILITY, SOURCE, INSTEAD = ("kind", "tag_zh", "probability", "source", "instead")

#: Tags from a given list are of this kind; others are ``category`` or an attribute's name.
LABEL = "label"

_FEWEST_OF_A_CATEGORY = 3  # items; a rarer category is kept as it is and never predicted
_FEWEST_PAIRS = 500  # of title and photo; fewer teach no joint space worth asking
_COUNTED = 0.5  # weight of counted words beside the encoder's vectors in the joint space
_MOST_LABELS = 3  # per item
_LIKELY = 0.2  # a label less likely is no tag
_COLOUR_PIXELS = 96  # longer side of the photo that colours are taken from


def read_items(path: Path) -> pd.DataFrame:
    """The items of a file in any format that tables come in, columns named by the contract.

    Raises:
        DataError: the file is missing or holds no items with a title.
    """
    raw = read_tables({"items": Source(path)})
    items = raw.tables["items"].to_pandas() if "items" in raw.tables else None
    if items is None or not len(items) or c.TITLE not in items:
        found = "no rows" if items is None or not len(items) else f"no column {c.TITLE!r}"
        raise DataError(
            f"{path}: expected items with an {c.ITEM_ID} and a {c.TITLE}, found {found}; "
            "rename the columns of the file."
        )
    return items


def read_labels(path: Path) -> list[str]:
    """The labels of a text file, one a line; empty lines and repeated ones are passed over.

    Raises:
        ConfigError: the file is missing or names fewer than two.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"--labels: expected a UTF-8 text file at {path}, one label a line ({error})."
        ) from None
    labels = list(dict.fromkeys(line for line in lines if line))
    if len(labels) < 2:
        raise ConfigError(f"{path}: expected at least two labels, one a line, got {len(labels)}.")
    return labels


def tag_items(
    items: pd.DataFrame,
    *,
    text: str | Encoder = "e5",
    image: str | Encoder | None = "efficientnet",
    labels: Sequence[str] = (),
    photos: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Tags of items, one row each.

    Args:
        items: ``item_id`` and ``title``; ``brand``, ``category`` and ``image`` where the shop has
            them, as paths below ``photos``.
        text: the encoder of titles, or its name.
        image: the encoder of photos, or its name; None = photos tell their colours only.
        labels: words to tag with, in any language that the text encoder knows.
        photos: the folder of the photos; None = no photos are looked at.
        seed: decides everything random.
        progress: told what is done and what was found.

    Returns:
        ``item_id``; ``kind`` (``category``, ``label``, ``colour``, ``material``, ``pattern``,
        ``size``, ``gender``); ``tag``, and ``tag_zh`` where it has a Chinese name;
        ``probability`` (1 where the title says it in words, a share of the photo for its colours);
        ``source`` (``given``, ``title``, ``photo``, ``title and photo``); ``instead``, the category
        that an item seems to belong to where the given one is doubtful.

    Raises:
        DataError: an extra is missing; the message says how to install it.
        UnknownName: no such encoder.
    """
    import pandas as pd

    progress = progress or Quiet()
    titles = _texts(items, c.TITLE)
    found = [_said(items, titles)]
    content = None
    if labels or _texts(items, c.CATEGORY).count(None) < len(items):
        content = _encode(items, titles, text, image, photos, progress)
        found.append(_categories(items, content, progress))
    if labels and content is not None:
        found.append(_labelled(items, content, labels, seed, progress))
    if photos is not None and c.IMAGE in items:
        with progress.step("Read the colours of photos"):
            found.append(_photo_colours(items, photos, progress))
    tags = pd.concat(found, ignore_index=True)
    place = {item: row for row, item in enumerate(items[c.ITEM_ID])}
    order = np.argsort([place[item] for item in tags[c.ITEM_ID]], kind="stable")
    return tags.iloc[order].reset_index(drop=True)


def interest_profiles(
    tables: Tables, at: int, tags: pd.DataFrame | None = None, *, half_life_days: float = 30.0
) -> pd.DataFrame:
    """What each user cared for before ``at``: ``user_id, tag, weight, share, lift``.

    Args:
        tables: the shop's tables.
        at: the moment, microseconds UTC.
        tags: what ``tag_items`` gave; the shop's own categories when None.
        half_life_days: after so many days a deed counts half.
    """
    import ibis

    weighted = None
    if tags is not None:
        given = ibis.memtable(tags[[c.ITEM_ID, TAG, PROBABILITY]])
        # A colour that both the title and the photo tell is still one colour.
        weighted = given.group_by(c.ITEM_ID, TAG).aggregate(**{WEIGHT: given[PROBABILITY].max()})
    return interests(tables, at, weighted, half_life_days=half_life_days).to_pandas()


# --- what titles and photos say ---------------------------------------------------------------


@dataclass(frozen=True)
class _Content:
    """Vectors of titles and photos, row by row.

    Attributes:
        encoder: that of the titles.
        text: ``(n, dt)``.
        image: ``(n, di)``, or None where no photo was looked at.
        seen: ``(n,)`` whether there is a readable photo.
    """

    encoder: FittedEncoder
    text: NDArray[np.float32]
    image: NDArray[np.float32] | None
    seen: NDArray[np.bool_]

    def features(self) -> NDArray[np.float32]:
        """``(n, d)`` of both sides, equally spread; zeros where a photo is missing."""
        sides = [self.text - self.text.mean(axis=0)]
        if self.image is not None and self.seen.any():
            photo = np.sqrt(np.maximum(self.image, 0)) if (self.image >= 0).all() else self.image
            photo = photo / np.maximum(np.linalg.norm(photo, axis=1, keepdims=True), 1e-9)
            sides.append(np.where(self.seen[:, None], photo - photo[self.seen].mean(axis=0), 0))
        spread = [max(float(np.linalg.norm(side, axis=1).mean()), 1e-9) for side in sides]
        return np.hstack([side / s for side, s in zip(sides, spread, strict=True)])

    @property
    def sources(self) -> NDArray[np.object_]:
        """``(n,)`` what was looked at."""
        return np.where(self.seen, "title and photo", "title").astype(object)


def _encode(
    items: pd.DataFrame,
    titles: list[str | None],
    text: str | Encoder,
    image: str | Encoder | None,
    photos: Path | None,
    progress: Progress,
) -> _Content:
    text = make_encoder(text) if isinstance(text, str) else text
    with progress.step("Encode titles"):
        encoder = text.fit(titles)
        vectors = encoder.encode(titles, progress=progress).vectors.astype(np.float32)
    if photos is None or image is None or c.IMAGE not in items:
        return _Content(encoder, vectors, None, np.zeros(len(items), dtype=bool))
    image = make_encoder(image) if isinstance(image, str) else image
    paths = [_photo(photos, name) for name in _texts(items, c.IMAGE)]
    with progress.step("Encode photos"):
        given = [None if isinstance(path, Unreadable) else path for path in paths]
        encoded = image.fit(given).encode(given, progress=progress)
    named = sum(name is not None for name in _texts(items, c.IMAGE))
    if named > encoded.present.sum():
        progress.note(f"{named - encoded.present.sum():,} of {named:,} photos could not be read")
    return _Content(encoder, vectors, encoded.vectors.astype(np.float32), encoded.present)


def _categories(items: pd.DataFrame, content: _Content, progress: Progress) -> pd.DataFrame:
    """Each item's category: given, filled in, or in doubt."""
    given = np.array(_texts(items, c.CATEGORY), dtype=object)
    there = np.array([value is not None for value in given], dtype=bool)
    names, counts = np.unique(given[there].astype(str), return_counts=True)
    learnt = np.isin(given, names[counts >= _FEWEST_OF_A_CATEGORY])
    if len(np.unique(given[learnt].astype(str))) < 2:
        return _rows(items, np.flatnonzero(there), "category", given[there], 1.0, "given")
    features = content.features()
    with progress.step("Learn the shop's categories"):
        learned = fit_labels(features[learnt], given[learnt].tolist())
    known = np.array(learned.head.names, dtype=object)
    probability = np.ones(len(given))
    probability[learnt] = learned.left_out[np.arange(learnt.sum()), learned.codes]
    doubtful = learned.doubtful()
    instead = np.full(len(given), None, dtype=object)
    instead[np.flatnonzero(learnt)[doubtful >= 0]] = known[doubtful[doubtful >= 0]]
    source = np.where(there, "given", content.sources)
    missing = np.flatnonzero(~there)
    if len(missing):
        chance = learned.head(features[missing])
        given[missing] = known[chance.argmax(axis=1)]
        probability[missing] = chance.max(axis=1)
    progress.note(
        f"categories: {learned.accuracy:.1%} of items left out are put where the shop put them; "
        f"{len(missing):,} filled in, {(doubtful >= 0).sum():,} look wrong"
    )
    rows = _rows(items, np.arange(len(items)), "category", given, probability, source)
    return rows.assign(**{INSTEAD: instead})


def _labelled(
    items: pd.DataFrame, content: _Content, labels: Sequence[str], seed: int, progress: Progress
) -> pd.DataFrame:
    """The likeliest of the given labels, from the title and, in the joint space, the photo."""
    words = content.encoder.encode(labels).vectors.astype(np.float32)
    chance = tag(content.text, words)
    source = np.full(len(items), "title", dtype=object)
    if content.image is not None and content.seen.sum() >= _FEWEST_PAIRS:
        titles = _texts(items, c.TITLE)
        counted = make_encoder("tfidf").fit(titles, seed=seed)

        def both(vectors: NDArray[np.float32], texts: Sequence[str | None]) -> NDArray[np.float32]:
            return np.hstack([vectors, _COUNTED * counted.encode(texts).vectors]).astype(np.float32)

        seen, image = content.seen, content.image[content.seen]
        with progress.step("Learn the joint space of titles and photos"):
            space = fit_joint(both(content.text, titles)[seen], image, seed=seed, progress=progress)
        shown = space.text(both(words, labels))
        chance[seen] *= tag(space.image(image), shown, temperature=space.temperature)
        chance /= chance.sum(axis=1, keepdims=True)
        source = content.sources
    best = np.argsort(-chance, axis=1, kind="stable")[:, :_MOST_LABELS]
    row = np.repeat(np.arange(len(items)), best.shape[1])
    label, likely = best.ravel(), np.take_along_axis(chance, best, axis=1).ravel()
    kept = likely >= min(_LIKELY, 1 / len(labels) * 2)
    tags = np.array(labels, dtype=object)[label[kept]]
    return _rows(items, row[kept], LABEL, tags, likely[kept], source[row[kept]])


def _said(items: pd.DataFrame, titles: list[str | None]) -> pd.DataFrame:
    """The attributes that titles name."""
    said = mentions(titles, ignore=_texts(items, c.BRAND))
    rows = np.array([each.row for each in said], dtype=np.int64)
    kinds, tags, chinese = (
        np.array([getattr(each, name) for each in said], dtype=object)
        for name in ("attribute", "value", "value_zh")
    )
    return _rows(items, rows, kinds, tags, 1.0, "title").assign(**{TAG_ZH: chinese})


def _photo_colours(items: pd.DataFrame, photos: Path, progress: Progress) -> pd.DataFrame:
    """The colour that fills most of each photo, its backdrop aside."""
    rows, tags, chinese, shares = [], [], [], []
    names = _texts(items, c.IMAGE)
    for row, name in enumerate(progress.track(names, "photos", total=len(names))):
        path = _photo(photos, name)
        if isinstance(path, Unreadable):
            continue
        pixels = read_image(path, _COLOUR_PIXELS)
        if isinstance(pixels, Unreadable):
            continue
        if colours := dominant_colours(pixels, background=False):
            rows.append(row)
            tags.append(colours[0].name)
            chinese.append(colours[0].name_zh)
            shares.append(colours[0].share)
    found = _rows(items, np.array(rows, dtype=np.int64), "colour", tags, shares, "photo")
    return found.assign(**{TAG_ZH: np.array(chinese, dtype=object)})


def _photo(folder: Path, name: str | None) -> Path | Unreadable:
    return Unreadable("no photo") if name is None else locate(folder, name)


def _texts(items: pd.DataFrame, column: str) -> list[str | None]:
    """The texts of a column, None where there is none or the column is missing."""
    if column not in items:
        return [None] * len(items)
    values = items[column].astype(object).where(items[column].notna(), None)
    return [str(value).strip() or None if value is not None else None for value in values]


def _rows(
    items: pd.DataFrame,
    rows: NDArray[np.integer],
    kind: str | NDArray,
    tags: Sequence[str] | NDArray,
    probability: float | Sequence[float] | NDArray,
    source: str | NDArray,
) -> pd.DataFrame:
    """The answer's columns for the given rows of items."""
    import pandas as pd

    frame = pd.DataFrame(
        {
            c.ITEM_ID: items[c.ITEM_ID].to_numpy(dtype=object)[rows],
            KIND: kind,
            TAG: np.asarray(tags, dtype=object),
            TAG_ZH: None,
            PROBABILITY: probability,
            SOURCE: source,
            INSTEAD: None,
        }
    )
    return frame.astype({PROBABILITY: np.float64})
