"""Live streams tied to items and people: what was on screen when, what was said, who watched.

What is on screen is found by comparing frames with the photos of the items that the stream shows.
What was said is read from the transcript where its lines begin with a time, such as ``[1:05] Next
up: ...``; ``encoders.speech.transcribe`` makes such lines of a film.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shoploom.core import columns as c
from shoploom.core.ids import Vocabulary
from shoploom.core.progress import Progress, Quiet
from shoploom.encoders.images import Unreadable, locate
from shoploom.encoders.video import moments
from shoploom.engines import ItemContent
from shoploom.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

#: Columns of the answers, beside contract columns.
START_S, END_S, WORDS, WATCHED_S = "start_s", "end_s", "words", "watched_s"

_LINE = re.compile(r"^\[(?:(\d+):)?(\d{1,3}):(\d{2}(?:\.\d+)?)\]\s*(.*)$", re.MULTILINE)
_MICROSECONDS = 1_000_000


def stream_moments(
    tables: Tables,
    photos: ItemContent,
    folder: Path,
    *,
    image: str = "efficientnet",
    rate: float = 0.1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """When each stream shows which item, and what is said meanwhile.

    Args:
        tables: the shop's tables, with streams that have films.
        photos: vectors of the items' photos by the encoder ``image``.
        folder: that the films' paths start from.
        image: the encoder of frames.
        rate: frames of a shot that are compared per second; one of each shot at least.
        progress: told which films cannot be read.

    Returns:
        ``stream_id``, ``start_s`` and ``end_s`` (seconds of the film), ``item_id``, ``score`` (mean
        cosine of frames and photo), ``words`` (sentences that begin meanwhile; empty where the
        transcript tells no times).
    """
    import pandas as pd

    progress = progress or Quiet()
    assert tables.streams is not None
    streams = tables.streams.to_pandas().sort_values(c.STREAM_ID)
    everything = photos.items.ids[photos.present[c.IMAGE]]
    rows = []
    for stream in progress.track(list(streams.itertuples()), "streams", total=len(streams)):
        film = getattr(stream, c.VIDEO, None)
        if not isinstance(film, str) or not film:
            continue
        shown = getattr(stream, c.ITEMS_SHOWN, None)
        items = Vocabulary.of(everything if shown is None or not len(shown) else shown)
        place = locate(folder, film)
        found = place
        if not isinstance(place, Unreadable):
            vectors = photos.take(items).vectors[c.IMAGE].astype(np.float32)
            found = moments(place, items.ids.tolist(), vectors, image=image, rate=rate)
        if isinstance(found, Unreadable):
            progress.note(f"stream {getattr(stream, c.STREAM_ID)} is left out: {found.reason}")
            continue
        assert isinstance(found, list)
        said = spoken(getattr(stream, c.TRANSCRIPT, None))
        for moment in found:
            words = (text for at, text in said if moment.start_s <= at < moment.end_s)
            rows.append(
                {
                    c.STREAM_ID: getattr(stream, c.STREAM_ID),
                    START_S: moment.start_s,
                    END_S: moment.end_s,
                    c.ITEM_ID: moment.item_id,
                    "score": moment.score,
                    WORDS: " ".join(words),
                }
            )
    names = [c.STREAM_ID, START_S, END_S, c.ITEM_ID, "score", WORDS]
    return pd.DataFrame(rows, columns=pd.Index(names))


def stream_watching(tables: Tables, shown: pd.DataFrame) -> pd.DataFrame:
    """Who watched which moment of a stream, and for how long.

    A ``watch`` event with a ``stream_id`` begins at its time, relative to the beginning of its
    stream, and lasts for ``dwell_s`` seconds; one without a duration counts the moment it falls in.

    Args:
        tables: the shop's tables.
        shown: what ``stream_moments`` gave.

    Returns:
        ``user_id``, ``stream_id``, ``item_id``, ``start_s`` of the moment, ``time`` (microseconds
        UTC at which watching it began), ``watched_s`` (seconds).
    """
    import pandas as pd

    assert tables.streams is not None
    events = tables.events
    began = tables.streams.select(c.STREAM_ID, began=tables.streams[c.TIME]).to_pandas()
    wanted = [c.USER_ID, c.STREAM_ID, c.TIME]
    wanted += [c.DWELL_S] if c.DWELL_S in events.columns else []
    watch = (
        events.filter((events[c.ACTION] == c.WATCH) & events[c.STREAM_ID].notnull())
        .select(*wanted)
        .to_pandas()
        .merge(began, on=c.STREAM_ID)
    )
    watch["from_s"] = (watch[c.TIME] - watch["began"]) / _MICROSECONDS
    dwell = watch[c.DWELL_S] if c.DWELL_S in watch else pd.Series(np.nan, index=watch.index)
    watch["to_s"] = watch["from_s"] + dwell.fillna(0.0).clip(lower=0)
    both = watch.merge(shown, on=c.STREAM_ID)
    begin, end, start, stop = (
        both[name].to_numpy(np.float64) for name in ("from_s", "to_s", START_S, END_S)
    )
    low = np.maximum(begin, start)
    seconds = np.minimum(end, stop) - low
    both[WATCHED_S] = np.maximum(seconds, 0.0)
    both[c.TIME] = both["began"].to_numpy(np.int64) + (low * _MICROSECONDS).astype(np.int64)
    names = [c.USER_ID, c.STREAM_ID, c.ITEM_ID, START_S, c.TIME, WATCHED_S]
    watched = both.loc[(seconds > 0) | ((begin >= start) & (begin < stop)), names]
    return watched.sort_values(by=[c.STREAM_ID, c.TIME, c.USER_ID], ignore_index=True)


def spoken(transcript: object) -> list[tuple[float, str]]:
    r"""The sentences of a transcript with the second at which each begins; none without times.

    >>> spoken("[0:02] Hello.\n[1:01:05] Still here.")
    [(2.0, 'Hello.'), (3665.0, 'Still here.')]
    """
    if not isinstance(transcript, str):
        return []
    return [
        (int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds), text.strip())
        for hours, minutes, seconds, text in _LINE.findall(transcript)
    ]
