"""The store of vectors: each content once, whatever happens between."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoploom.core.errors import DataError
from shoploom.core.progress import Quiet
from shoploom.encoders import ENCODERS, _shards, store
from shoploom.encoders._shards import Shelf, distinct, using
from shoploom.encoders.store import VectorStore, encode_column, encode_missing
from tests.encoders.fakes import DIM, UNREADABLE, Fake, FakeImages, text, vector

ROOT = Path(__file__).parents[2]


class Notes(Quiet):
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "vectors"


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.arrow"))


def expected(texts: list[str]) -> np.ndarray:
    return np.stack([vector(text) for text in texts])


# --- what it promises -------------------------------------------------------------------------


def test_each_distinct_content_is_encoded_once(folder):
    fake, column = Fake(), ["a", "b", "a", None, "b", "c", "a"]
    first = encode_column(fake, column, VectorStore(folder), chunk=2)
    assert fake.asked == ["a", "b", "c"]
    again = encode_column(fake, [*column, "d"], VectorStore(folder))
    assert fake.asked == ["a", "b", "c", "d"]
    assert np.array_equal(first.vectors, again.vectors[:-1])
    assert np.array_equal(first.vectors[[0, 1, 5]], expected(["a", "b", "c"]))


def test_missing_content_is_masked_and_never_asked_again(folder):
    fake = Fake()
    for _ in range(2):
        encoded = encode_column(fake, [None, "", float("nan"), "  ", "x"], VectorStore(folder))
        assert encoded.present.tolist() == [False, False, False, False, True]
        assert not encoded.vectors[:4].any()
        assert encoded.reasons == {}
    assert fake.asked == ["  ", "x"]


def test_unreadable_content_keeps_its_reason_and_is_not_tried_again(folder):
    fake = Fake()
    for _ in range(2):
        encoded = encode_column(fake, ["x", UNREADABLE], VectorStore(folder))
        assert encoded.present.tolist() == [True, False]
        assert encoded.reasons == {1: "cannot be read"}
    assert fake.asked == ["x", UNREADABLE]


def test_a_column_without_anything_has_zeros(folder):
    assert encode_column(Fake(), [], VectorStore(folder)).vectors.shape == (0, DIM)
    encoded = encode_column(Fake(), [None], VectorStore(folder))
    assert encoded.vectors.tolist() == [[0.0] * DIM]
    assert not shards(folder)


def test_encoders_do_not_meet_each_others_vectors(folder):
    one, two = Fake(), Fake(identity="fake/2", scale=2.0)
    shared = VectorStore(folder)
    a = encode_column(one, ["x"], shared).vectors
    b = encode_column(two, ["x"], shared).vectors
    assert np.array_equal(2 * a, b)
    assert {name: size.contents for name, size in shared.size().items()} == {
        "fake/1": 1,
        "fake/2": 1,
    }


def test_what_is_cheap_passes_the_store_by(folder):
    number = ENCODERS.get("number")().fit([1.0, 2.0])
    encoded = encode_column(number, [1.0, None], VectorStore(folder))
    assert encoded.present.tolist() == [True, False]
    assert not folder.exists()


def test_texts_that_no_file_could_hold_are_told_apart(folder):
    assert encode_missing(
        Fake(), ["a"], VectorStore(folder).contents(["a"], "text"), VectorStore(folder)
    )
    keys = VectorStore(folder).contents(["\ud800", "\ud801", "?"], "text").keys
    assert len(distinct(keys)[0]) == 3


def test_content_of_another_modality_is_refused(folder):
    with pytest.raises(DataError, match=r"expected text or None, got 7 in row 1"):
        encode_column(Fake(), ["x", 7], VectorStore(folder))
    with pytest.raises(DataError, match=r"expected a path or bytes or None, got 7 in row 0"):
        encode_column(FakeImages(), [7], VectorStore(folder))


def test_numbers_beyond_float16_are_refused(folder):
    with pytest.raises(DataError, match=r"within 65,504.*'fake/1'"):
        encode_column(Fake(scale=1e6), ["x"], VectorStore(folder))


def test_what_was_not_encoded_is_not_read(folder):
    kept = VectorStore(folder)
    with pytest.raises(DataError, match=r"2 of them are not; encode the column again"):
        kept.read("fake/1", DIM, kept.contents(["x", "y", None], "text"))


# --- files ------------------------------------------------------------------------------------


def test_a_file_is_known_by_its_bytes(folder, tmp_path, monkeypatch):
    fake, one, two = FakeImages(), tmp_path / "one.jpg", tmp_path / "two.jpg"
    one.write_bytes(b"photo")
    os.utime(one, (1e9, 1e9))
    first = encode_column(fake, [one, str(one), b"photo", None], VectorStore(folder))
    assert first.present.tolist() == [True, True, True, False]
    one.rename(two)
    moved = encode_column(fake, [two], VectorStore(folder))
    assert np.array_equal(moved.vectors[0], first.vectors[0])
    assert len(fake.asked) == 1

    def not_again(path):
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(store, "_file_digest", not_again)
    assert encode_column(fake, [two], VectorStore(folder)).present.all()


def test_a_file_that_changed_is_encoded_again(folder, tmp_path):
    fake, path = FakeImages(), tmp_path / "one.jpg"
    path.write_bytes(b"photo")
    before = encode_column(fake, [path], VectorStore(folder))
    path.write_bytes(b"other")  # of the same size, within a tick of the clock
    after = encode_column(fake, [path], VectorStore(folder))
    assert np.array_equal(after.vectors[0], vector(b"other"))
    assert not np.array_equal(before.vectors, after.vectors)


def test_files_that_cannot_be_opened_have_a_reason(folder, tmp_path):
    link, there = tmp_path / "link", tmp_path / "there"
    there.write_bytes(b"x")
    link.symlink_to(there)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    column = [tmp_path / "gone", link, tmp_path, tmp_path / "pipe", tmp_path / "empty", there]
    encoded = encode_column(FakeImages(), column, VectorStore(folder))
    assert encoded.present.tolist() == [False] * 5 + [True]
    assert encoded.reasons == {
        0: "no such file",
        1: "a symbolic link",
        2: "a folder",
        3: "no regular file",
        4: "empty",
    }
    (tmp_path / "gone").write_bytes(b"here now")
    assert encode_column(FakeImages(), column[:1], VectorStore(folder)).present.all()


# --- accidents --------------------------------------------------------------------------------


def start(folder: Path, first: int, last: int, chunk: int, seconds: float) -> subprocess.Popen:
    arguments = [str(folder), *map(str, (first, last, chunk, seconds))]
    return subprocess.Popen([sys.executable, "-m", "tests.encoders.fakes", *arguments], cwd=ROOT)


def test_a_killed_process_loses_at_most_a_chunk(folder):
    """Killed while encoding, and at whatever moment of writing that happens to hit."""
    for after in (1, 4):
        process = start(folder, 0, 1000, 20, 0.01)
        have = len(shards(folder))
        deadline = time.monotonic() + 60
        while len(shards(folder)) < have + after and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    texts, fake = [text(number) for number in range(1000)], Fake()
    done = 20 * len(shards(folder))
    assert 0 < done < 1000
    encoded = encode_column(fake, texts, VectorStore(folder))
    assert len(fake.asked) == 1000 - done
    assert np.array_equal(encoded.vectors, expected(texts))


def test_two_processes_fill_one_store(folder):
    both = [start(folder, 0, 600, 20, 0.01), start(folder, 799, 199, 20, 0.01)]
    assert [process.wait(60) for process in both] == [0, 0]
    texts, fake = [text(number) for number in range(800)], Fake()
    encoded = encode_column(fake, texts, VectorStore(folder))
    assert fake.asked == []
    assert np.array_equal(encoded.vectors, expected(texts))


def test_a_process_takes_what_another_has_made_meanwhile(folder):
    class Racing(Fake):
        def encode(self, column, *, progress=None):
            if not self.asked:
                encode_column(Fake(), ["c", "d"], VectorStore(folder))
            return super().encode(column, progress=progress)

    racing = Racing()
    encode_column(racing, ["a", "b", "c", "d"], VectorStore(folder), chunk=2)
    assert racing.asked == ["a", "b"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "harm", [cut, flip, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"no")]
)
@pytest.mark.parametrize("open_already", [True, False])
def test_a_damaged_shard_is_set_aside_and_encoded_again(folder, harm, open_already):
    texts, kept = [text(number) for number in range(200)], VectorStore(folder)
    encode_missing(Fake(), texts, kept.contents(texts, "text"), kept, chunk=50)
    if open_already:
        kept.missing("fake/1", DIM, kept.contents(texts[:1], "text").keys, Quiet())
        kept._shelves["fake/1"]._sound.clear()
    else:
        kept = VectorStore(folder)
    harmed = shards(folder)[1]
    harm(harmed)
    fake, notes = Fake(), Notes()
    encoded = encode_column(fake, texts, kept, progress=notes)
    assert len(fake.asked) == 50
    assert np.array_equal(encoded.vectors, expected(texts))
    assert harmed.with_suffix(".damaged").exists()
    assert len(notes.said) == 1
    assert "is damaged" in notes.said[0]
    assert "encoded again" in notes.said[0]


def test_leftovers_of_killed_processes_go_when_they_are_old(folder):
    encode_column(Fake(), ["a"], VectorStore(folder))
    shelf = shards(folder)[0].parent
    old, young = shelf / ".a.arrow.77.tmp", shelf / ".b.arrow.77.tmp"
    old.touch()
    young.touch()
    os.utime(old, (1e9, 1e9))
    encode_column(Fake(), ["b"], VectorStore(folder))
    assert not old.exists()
    assert young.exists()


# --- pruning ----------------------------------------------------------------------------------


def test_pruning_keeps_what_is_named_in_few_files(folder):
    texts, kept = [text(number) for number in range(100)], VectorStore(folder)
    for encoder in (Fake(), Fake(identity="fake/2")):
        encode_column(encoder, [*texts, UNREADABLE], kept, chunk=10)
    kept.prune({"fake/1": None})
    assert {name: (s.contents, s.shards) for name, s in kept.size().items()} == {"fake/1": (101, 1)}
    fake = Fake()
    encoded = encode_column(fake, [*texts, UNREADABLE], kept)
    assert fake.asked == []
    assert np.array_equal(encoded.vectors[:-1], expected(texts))
    assert encoded.reasons == {100: "cannot be read"}


def test_pruning_forgets_contents_that_are_not_named(folder):
    kept = VectorStore(folder)
    encode_column(Fake(), ["a", "b", UNREADABLE], kept)
    kept.prune({"fake/1": kept.contents(["a", UNREADABLE, "unknown", None], "text").keys})
    assert kept.size()["fake/1"].contents == 2
    fake = Fake()
    encode_column(fake, ["a", "b", UNREADABLE], kept)
    assert fake.asked == ["b"]


def test_nobody_prunes_under_a_reader(folder):
    encode_column(Fake(), ["a"], VectorStore(folder))
    with using(folder), pytest.raises(DataError, match="another process does"):
        VectorStore(folder).prune({})
    assert len(shards(folder)) == 1
    VectorStore(folder).prune({})
    assert not shards(folder)


# --- shelves ----------------------------------------------------------------------------------

#: Few first halves, so that many keys share one.
KEYS = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 40)), min_size=1, max_size=30)


@given(parts=st.lists(KEYS, max_size=8), asked=KEYS)
def test_a_shelf_finds_what_a_dictionary_finds(tmp_path_factory, parts, asked):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"), "test", np.float16, 1)
    known: dict[tuple[int, int], float] = {}
    for part in parts:
        new = [key for key in dict.fromkeys(part) if key not in known]
        known |= {key: float(len(known) + n) for n, key in enumerate(new)}
        if new:
            shelf.add(np.array(new, np.uint64), np.array([[known[key]] for key in new]), {})
    places = shelf.find(np.array(asked, np.uint64), Quiet())
    assert (places >= 0).tolist() == [key in known for key in asked]
    assert shelf.take(places).rows[:, 0].tolist() == [known.get(key, 0.0) for key in asked]


def test_a_shelf_stays_shallow(tmp_path):
    shelf = Shelf(tmp_path, "test", np.float16, 1)
    for number in range(40):
        keys = np.array([[number + 1, 1], [number + 1, 2]], np.uint64)
        shelf.add(keys, np.ones((2, 1)), {})
    assert (shelf.find(keys, Quiet()) >= 0).all()
    assert len(shelf._runs) <= 6


def test_what_is_no_shard_is_set_aside(tmp_path):
    Shelf(tmp_path, "test", np.float16, 2).add(np.ones((1, 2), np.uint64), np.ones((1, 2)), {})
    notes = Notes()
    other = Shelf(tmp_path, "test", np.float16, 3)
    assert other.find(np.ones((1, 2), np.uint64), notes).tolist() == [-1]
    assert "not a shard of 3 columns" in notes.said[0]


@pytest.mark.slow
def test_a_million_texts_fit_in_little_memory(folder):
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc to read a peak that is the process's own")
    # ru_maxrss would count the memory of the process that started this one.
    code = (
        "import re, sys; from pathlib import Path; from tests.encoders.fakes import main; "
        f"main({str(folder)!r}, '0', '1000000', '4096', '0'); "
        "status = Path('/proc/self/status').read_text(); "
        "sys.exit(int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) > 600 * 1024)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_hash_of_a_shard_is_its_name(folder):
    encode_column(Fake(), ["a"], VectorStore(folder))
    (shard,) = shards(folder)
    assert hashlib.blake2b(shard.read_bytes(), digest_size=_shards._BYTES).hexdigest() == shard.stem
