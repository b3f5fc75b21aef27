"""Files of reviews as shops have them: any column names, stars or labels or neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError, UnknownName, nearest
from shoploom.tasks.content.readings import UNKNOWN, joined
from shoploom.tasks.content.sentiment import Sentiment

if TYPE_CHECKING:
    import pandas as pd

#: What columns of review files are called, in the order of preference.
_TEXT_NAMES = (
    *("text", "review_text", "review", "content", "comment", "body", "review_body", "reviewtext"),
    *("评论", "评价", "内容", "评论内容", "评价内容"),
)
_TITLE_NAMES = ("title", "summary", "headline", "review_title", "标题")
_RATING_NAMES = ("rating", "stars", "star_rating", "score", "overall", "评分", "星级")
_LABEL_NAMES = ("label", "sentiment", "polarity", "recommended", "recommended_ind", "标签", "情感")
_POSITIVE = frozenset({"1", "1.0", "positive", "pos", "good", "true", "yes", "正面", "好评", "正"})
_NEGATIVE = frozenset(
    {"0", "0.0", "-1", "negative", "neg", "bad", "false", "no", "负面", "差评", "负"}
)


@dataclass(frozen=True)
class Reviews:
    """Reviews of a file.

    Attributes:
        frame: every row and column of the file, as text where it is CSV.
        texts: ``(n,)`` what each says, title first; "" where it says nothing.
        labels: ``(n,)`` 1 positive, 0 negative, UNKNOWN.
        told: how the columns were understood, for a person.
    """

    frame: pd.DataFrame
    texts: NDArray[np.object_]
    labels: NDArray[np.int64]
    told: str


def read_reviews(
    path: Path,
    *,
    text: str | None = None,
    rating: str | None = None,
    label: str | None = None,
) -> Reviews:
    """The reviews of a CSV, Parquet or JSON-lines file, its columns guessed where not given.

    Raises:
        DataError: the file is missing, unreadable, or has no column of texts.
        UnknownName: a named column is not there.
    """
    frame = _frame(path)
    text = _column(frame, text, _TEXT_NAMES, path)
    if text is None:
        raise DataError(
            f"{path}: expected a column of reviews (such as {', '.join(_TEXT_NAMES[:4])}), found "
            f"{', '.join(map(str, frame.columns))}; name it with --text."
        )
    title = _column(frame, None, _TITLE_NAMES, path)
    label = _column(frame, label, () if rating else _LABEL_NAMES, path)
    rating = None if label else _column(frame, rating, _RATING_NAMES, path)
    told = f"texts from {text!r}" + (f" and {title!r}" if title else "")
    labels = np.full(len(frame), UNKNOWN, dtype=np.int64)
    if label:
        labels = _labels(frame[label].to_numpy(object))
        told += f", labels from {label!r}"
    elif rating:
        labels = Sentiment().label(_numbers(frame[rating].to_numpy(object)))
        told += f", stars from {rating!r}"
    parts = [frame[name].to_numpy(object) for name in (title, text) if name]
    return Reviews(frame, joined(parts), labels, told)


def _frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = nearest(path.name, beside)
        raise DataError(
            f"expected a file of reviews at {path}, found nothing there."
            + (f" Did you mean {near}?" if near else "")
        )
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        if path.suffix in (".jsonl", ".ndjson"):
            return pd.read_json(path, lines=True, dtype=False)  # pyright: ignore[reportArgumentType]
        if path.suffix in (".csv", ".tsv", ".txt"):
            return _csv(path)
    except (ValueError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise DataError(f"{path}: expected whole {path.suffix[1:]}, got {first}.") from None
    raise DataError(
        f"{path}: expected a file ending in .csv, .tsv, .parquet or .jsonl, got {path.suffix!r}."
    )


def _csv(path: Path) -> pd.DataFrame:
    """Every cell as text; UTF-8, or else the encoding that Chinese spreadsheets write."""
    import pandas as pd

    how: dict[str, Any] = {"sep": "\t" if path.suffix == ".tsv" else ","}
    # A blank line may be a review that says nothing: rows must stay those of the file.
    how |= {"dtype": str, "keep_default_na": False, "skip_blank_lines": False}
    try:
        return pd.read_csv(path, encoding="utf-8-sig", **how)
    except UnicodeDecodeError:
        return pd.read_csv(path, encoding="gb18030", **how)


def _column(frame: pd.DataFrame, given: str | None, names: Sequence[str], path: Path) -> str | None:
    """The column that was asked for, or the first that is called like one of the names."""
    if given is not None:
        if given not in frame.columns:
            raise UnknownName("column", given, map(str, frame.columns), where=str(path))
        return given
    called = {str(name).strip().lower().replace(" ", "_"): name for name in frame.columns}
    return next((called[name] for name in names if name in called), None)


def _labels(column: NDArray[np.object_]) -> NDArray[np.int64]:
    """``(n,)`` 1, 0 or UNKNOWN.

    Raises:
        DataError: no cell is a word for positive or negative.
    """
    words = [str(value).strip().lower() for value in column.tolist()]
    labels = np.array([1 if w in _POSITIVE else 0 if w in _NEGATIVE else UNKNOWN for w in words])
    if (labels == UNKNOWN).all():
        raise DataError(
            "expected labels such as 1 and 0, positive and negative, 正面 and 负面, got "
            f"{', '.join(map(repr, list(dict.fromkeys(words))[:5]))}; name another with --label."
        )
    return labels


def _numbers(column: NDArray[np.object_]) -> NDArray[np.float64]:
    """``(n,)`` NaN where a cell is no number."""
    import pandas as pd

    return np.asarray(pd.to_numeric(pd.Series(column), errors="coerce"), dtype=np.float64)
