"""Live streams: what is on screen, what is said, who watches."""

from __future__ import annotations

from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest

from shoploom.core import columns as c
from shoploom.core.ids import Vocabulary
from shoploom.encoders.images import Unreadable
from shoploom.encoders.video import Moment
from shoploom.engines import ItemContent
from shoploom.tables import Tables
from shoploom.workflows import streams
from shoploom.workflows.streams import spoken, stream_moments, stream_watching

BEGAN = 1_700_000_000_000_000
SHOWN = pd.DataFrame(
    {
        c.STREAM_ID: ["s", "s"],
        "start_s": [0.0, 10.0],
        "end_s": [10.0, 20.0],
        c.ITEM_ID: ["tea", "jam"],
    }
)


def shop(watches: list[tuple[str, float, float | None]]) -> Tables:
    """A shop with one stream and its watchers: user, second of coming, seconds of staying."""
    users, at, stay = zip(*watches, strict=True)
    events = pd.DataFrame(
        {
            c.USER_ID: users,
            c.TIME: [BEGAN + int(second * 1e6) for second in at],
            c.ACTION: c.WATCH,
            c.ITEM_ID: None,
            c.STREAM_ID: "s",
            c.DWELL_S: pd.array(stay, dtype="Float64"),
        }
    )
    lives = pd.DataFrame(
        {
            c.STREAM_ID: ["s", "lost"],
            c.TIME: [BEGAN, BEGAN],
            c.VIDEO: ["s.mp4", "lost.mp4"],
            c.ITEMS_SHOWN: [["tea", "jam"], ["tea"]],
            c.TRANSCRIPT: ["[0:01] A tea.\n[0:12] A jam.", None],
        }
    )
    return Tables(events=ibis.memtable(events), streams=ibis.memtable(lives))


def test_watching_is_told_by_moment_and_second():
    watched = stream_watching(shop([("a", 4, 10), ("b", 12, None), ("c", 30, 5)]), SHOWN)
    rows = watched[[c.USER_ID, c.ITEM_ID, "watched_s"]].to_numpy().tolist()
    assert rows == [["a", "tea", 6.0], ["a", "jam", 4.0], ["b", "jam", 0.0]]
    assert watched[c.TIME].tolist() == [BEGAN + s * 1_000_000 for s in (4, 10, 12)]


def test_words_have_the_time_at_which_they_begin():
    assert spoken("[0:02] Hello.\nno time\n[1:01:05.5] Still here.") == [
        (2.0, "Hello."),
        (3665.5, "Still here."),
    ]
    assert spoken(None) == []


def test_a_stream_is_compared_with_the_photos_of_what_it_shows(tmp_path: Path, monkeypatch):
    asked = []

    def found(place, items, photos, **_):
        if place.name == "lost.mp4":
            return Unreadable("no such file")
        asked.append((items, photos.shape))
        return [Moment(0.0, 10.0, "tea", 0.9), Moment(10.0, 20.0, "jam", 0.8)]

    (tmp_path / "s.mp4").write_bytes(b"film")
    monkeypatch.setattr(streams, "moments", found)
    content = ItemContent(
        Vocabulary.of(["jam", "oil", "tea"]),
        {"image": np.ones((3, 4), np.float16)},
        {"image": np.ones(3, bool)},
    )
    shown = stream_moments(shop([("a", 0, 1)]), content, tmp_path)
    assert asked == [(["jam", "tea"], (2, 4))]
    assert shown[c.ITEM_ID].tolist() == ["tea", "jam"]
    assert shown["words"].tolist() == ["A tea.", "A jam."]


def test_a_film_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch):
    said: list[str] = []

    class Notes(streams.Quiet):
        def note(self, message: str) -> None:
            said.append(message)

    (tmp_path / "s.mp4").write_bytes(b"film")
    monkeypatch.setattr(streams, "moments", lambda *_, **__: Unreadable("damaged"))
    content = ItemContent(
        Vocabulary.of(["tea"]), {"image": np.ones((1, 4), np.float16)}, {"image": np.ones(1, bool)}
    )
    shown = stream_moments(shop([("a", 0, 1)]), content, tmp_path, progress=Notes())
    assert not len(shown)
    assert any("stream s is left out: damaged" in line for line in said)
    assert any("stream lost is left out" in line for line in said)
    assert stream_watching(shop([("a", 0, 1)]), shown).empty


@pytest.mark.parametrize("line", ["[0:5] too short", "0:05 no brackets"])
def test_what_is_no_time_is_no_sentence(line: str):
    assert spoken(line) == []
