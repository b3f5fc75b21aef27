"""Published benchmark files as the library's own inputs and questions.

The files of these benchmarks hold orders rather than times, so a position gets a time that is
aligned at the end: a user's last event is at -1, the one before at -2. Asking at -1 then shows
everything but the last event, which is what the protocols want. Ids are renamed by a seeded
shuffle, because such files number items by first appearance, and that order tells the future.
"""

# Pyarrow registers its compute functions when it is imported:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shoploom.core.columns import ACTIONS, PURCHASE, VIEW
from shoploom.core.errors import DataError
from shoploom.core.ids import Vocabulary
from shoploom.core.seeds import rng
from shoploom.engines import Inputs
from shoploom.sequences import UserSequences, UserStatistics
from shoploom.sequences.sequences import encode
from shoploom.tasks import Questions, Ragged

if TYPE_CHECKING:
    import pyarrow as pa

LAST = -1  # the moment of every user's last event
SECOND_LAST = -2


@dataclass(frozen=True)
class LeaveOneOut:
    """The protocol of next_item: last event = test, second last = validation.

    Attributes:
        inputs: histories; as of ``LAST`` all but the last event, as of ``SECOND_LAST`` the
            training part.
        validation, test: one question per user, seen items excluded.
        item_names: ``(n_items,)`` the file's own id of each catalogue code.
        everything: every event of the file, test included.
    """

    inputs: Inputs
    validation: Questions
    test: Questions
    item_names: NDArray[np.object_]
    everything: UserSequences


def read_leave_one_out(path: Path | str, *, seed: int = 0) -> LeaveOneOut:
    """The protocol of a file with lines of ``user item item ...`` in time order.

    A JSON file holds an object of such lists by user.

    Users with fewer than three events have nothing to train on and are left out.

    Raises:
        DataError: a line has no item, or no user has three.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    text = Path(path).read_text(encoding="utf-8")
    if Path(path).suffix == ".json":
        text = "\n".join(
            f"{user} {' '.join(map(str, own))}" for user, own in json.loads(text).items()
        )
    lines = [line for line in text.splitlines() if line.strip()]
    words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pa.array(lines, pa.string())))
    offsets = words.offsets.to_numpy().astype(np.int64)
    lengths = np.diff(offsets)
    if not len(lines) or (lengths < 2).any():
        raise DataError(
            f"{path}: expected lines of a user and its items, got "
            f"{'none' if not len(lines) else 'a line without an item'}."
        )
    is_item = np.ones(offsets[-1], dtype=bool)
    is_item[offsets[:-1]] = False
    is_item &= np.repeat(lengths >= 4, lengths)
    encoded = words.values.filter(pa.array(is_item)).dictionary_encode()
    names = encoded.dictionary.to_numpy(zero_copy_only=False)
    kept = lengths[lengths >= 4] - 1
    if not len(kept):
        raise DataError(f"{path}: expected users with at least three items, got none.")
    item = encoded.indices.to_numpy().astype(np.int32)
    sequences, item_names = from_end(item, kept, names, action=PURCHASE, seed=seed)
    return LeaveOneOut(
        inputs=sequence_inputs(sequences, until=LAST),
        validation=_nth_last(sequences, SECOND_LAST),
        test=_nth_last(sequences, LAST),
        item_names=item_names,
        everything=sequences,
    )


def from_end(
    item: NDArray[np.int32],
    lengths: NDArray[np.int64],
    names: NDArray[np.object_],
    *,
    action: str,
    seed: int,
) -> tuple[UserSequences, NDArray[np.object_]]:
    """Sequences whose times count back from the end, items renamed by a shuffle.

    Args:
        item: ``(n_events,)`` codes into ``names``, users one after the other.
        lengths: ``(n_users,)`` events per user.
        names: ``(n_items,)`` the file's ids.
        action: what every event is.
        seed: of the shuffle.

    Returns:
        The sequences, and ``(n_items,)`` the file's id of each new code.
    """
    code = rng(seed, "item names").permutation(len(names)).astype(np.int32)
    item_names = np.empty(len(names), dtype=object)
    item_names[code] = names
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    events = int(offsets[-1])
    return UserSequences(
        users=numbered(len(lengths)),
        items=numbered(len(names)),
        item=code[item],
        action=np.full(events, ACTIONS.index(action), dtype=np.int8),
        time=np.arange(events) - np.repeat(offsets[1:], lengths),
        price=np.full(events, np.nan, dtype=np.float32),
        offsets=offsets,
    ), item_names


def numbered(n: int) -> Vocabulary:
    """``n`` ids whose alphabetic order is their number."""
    return Vocabulary(np.char.zfill(np.arange(n).astype(str), len(str(n))).astype(object))


def before(sequences: UserSequences, at: int) -> UserSequences:
    """The same users with the events strictly before ``at``."""
    kept = sequences.time < at
    offsets = np.concatenate(([0], np.cumsum(kept)))[sequences.offsets]
    return UserSequences(
        sequences.users,
        sequences.items,
        sequences.item[kept],
        sequences.action[kept],
        sequences.time[kept],
        sequences.price[kept],
        offsets,
    )


def sequence_inputs(sequences: UserSequences, *, until: int) -> Inputs:
    """Inputs over sequences alone; nothing at or after ``until`` can be asked for."""
    return Inputs(
        until=until, sequences=lambda at: before(sequences, at), statistics=_no_statistics
    )


def _no_statistics(at: int) -> UserStatistics:
    raise DataError("expected an engine that needs only sequences; these files hold no statistics.")


def _nth_last(sequences: UserSequences, at: int) -> Questions:
    """To every user: what comes at ``at``?"""
    n = len(sequences)
    answers = sequences.items.ids[sequences.item[sequences.offsets[1:] + at]]
    return Questions(
        task="next_item",
        users=sequences.users.ids,
        times=np.full(n, at, dtype=np.int64),
        answers=_one_each(answers),
        exclude_seen=True,
    )


def one_user(sequences: UserSequences, row: int) -> UserSequences:
    """The history of one user alone, as a live server holds it."""
    events = slice(sequences.offsets[row], sequences.offsets[row + 1])
    return UserSequences(
        Vocabulary(sequences.users.ids[row : row + 1]),
        sequences.items,
        sequences.item[events],
        sequences.action[events],
        sequences.time[events],
        sequences.price[events],
        np.array([0, events.stop - events.start]),
    )


@dataclass(frozen=True)
class Sessions:
    """The protocol of sessions: what comes next in a session that is under way.

    Attributes:
        inputs: training sessions. Before ``CUT`` the last tenth of them are cut at a random
            place, with the next item as validation; at ``WHOLE`` all are whole.
        validation: one question per cut session.
        asking: inputs that hold the test prefixes alone; none of them can be learned from.
        test: one question per prefix. Seen items may come again.
    """

    inputs: Inputs
    validation: Questions
    asking: Inputs
    test: Questions


CUT = 0  # the moment at which validation sessions are interrupted
WHOLE = 1_000_000  # a moment after everything


def read_sessions(folder: Path | str, *, seed: int = 0) -> Sessions:
    """The protocol of a folder with train.parquet (items) and test.parquet (items, target).

    Sessions are expected in order of time; the last tenth is for validation.
    """
    import pyarrow.parquet as pq

    folder = Path(folder)
    item, offsets, names = _lists(pq.read_table(folder / "train.parquet", columns=["items"]))
    lengths = np.diff(offsets)
    trained, item_names = from_end(item, lengths, names, action=VIEW, seed=seed)
    # Where a validation session stops: after 1 .. length - 1 items. Its next item is at CUT.
    n = len(trained)
    first = n - n // 10
    cut = 1 + (rng(seed, "cut").random(n) * (lengths - 1)).astype(np.int64)
    validated = (np.arange(n) >= first) & (lengths > 1)
    shift = np.where(validated, lengths - cut, 0)
    trained = replace(trained, time=trained.time + np.repeat(shift, lengths))
    rows = np.flatnonzero(validated)
    validation = Questions(
        task="next_item",
        users=trained.users.ids[rows],
        times=np.full(len(rows), CUT, dtype=np.int64),
        answers=_one_each(trained.items.ids[trained.item[trained.offsets[rows] + cut[rows]]]),
    )
    table = pq.read_table(folder / "test.parquet", columns=["items", "target"])
    asked_item, asked_offsets, asked_names = _lists(table)
    code = Vocabulary(np.sort(item_names.astype(str)).astype(object))
    by_name = np.argsort(item_names.astype(str), kind="stable").astype(np.int32)
    # Codes of the training vocabulary; -1 where training never saw the item.
    translate = np.append(by_name, np.int32(-1))[code.encode(asked_names.astype(str))]
    lengths = np.diff(asked_offsets)
    events = len(asked_item)
    prefixes = UserSequences(
        users=numbered(len(lengths)),
        items=trained.items,
        item=translate[asked_item],
        action=np.full(events, ACTIONS.index(VIEW), dtype=np.int8),
        time=np.arange(events) - np.repeat(asked_offsets[1:], lengths),
        price=np.full(events, np.nan, dtype=np.float32),
        offsets=asked_offsets,
    )
    target = code.encode(table["target"].to_numpy().astype(str))
    ids = np.where(target >= 0, trained.items.ids[by_name[target]], "never trained on")
    test = Questions(
        task="next_item",
        users=prefixes.users.ids,
        times=np.full(len(lengths), CUT, dtype=np.int64),
        answers=_one_each(ids.astype(object)),
    )
    return Sessions(
        inputs=sequence_inputs(trained, until=WHOLE),
        validation=validation,
        asking=sequence_inputs(prefixes, until=CUT),
        test=test,
    )


def _lists(table: pa.Table) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.object_]]:
    """Codes, ``(n_rows + 1,)`` offsets and names of the column ``items``."""
    column = table["items"].combine_chunks()
    offsets = column.offsets.to_numpy().astype(np.int64)
    encoded = column.values.dictionary_encode()
    names = encoded.dictionary.to_numpy(zero_copy_only=False).astype(str).astype(object)
    return encoded.indices.to_numpy().astype(np.int32), offsets, names


def _one_each(ids: NDArray[np.object_]) -> Ragged:
    return Ragged(ids, np.arange(len(ids) + 1))


@dataclass(frozen=True)
class TimeSplitRatings:
    """The protocol of next_item_time: ratings with real times, split at one moment.

    Attributes:
        inputs: ratings before ``moment`` as purchases.
        moment: microseconds UTC of the split; nothing at or after it is learned from.
        validation: asked inside the training part, as long before its end as the test is long.
        earlier: the same questions, asked one, two, ... such lengths before ``validation``; for
            engines that learn from answers. Every window ends where the next begins.
        test: every user with a positive item in the test part that they had not rated before.
        dropped: positives of the test that were rated before and so cannot be listed.
    """

    inputs: Inputs
    moment: int
    validation: Questions
    earlier: tuple[Questions, ...]
    test: Questions
    dropped: int


def read_time_split(
    train: list[str], test: str, items: str | None, *, positive: float = 4.0, earlier: int = 8
) -> TimeSplitRatings:
    """The protocol of Parquet or CSV files with user_id, item_id, timestamp and rating.

    Timestamps are seconds, milliseconds or microseconds by their size. The catalogue holds every
    item of the training and of the items file. ``earlier`` is how many windows before validation
    are asked about, fewer where the log is shorter.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pa.concat_tables([_ratings(path) for path in train]).sort_by(
        [("user_id", "ascending"), ("time", "ascending"), ("item_id", "ascending")]
    )
    coming = _ratings(test).sort_by([("time", "ascending"), ("item_id", "ascending")])
    moment = int(pc.min(coming["time"]).as_py())
    last = int(pc.max(known["time"]).as_py())
    if last >= moment:
        raise DataError(
            f"expected every training row before the first test row, got {last} in "
            f"{', '.join(train)} and {moment} in {test} (microseconds UTC)."
        )
    catalogue = _read(items)["item_id"].unique().to_pylist() if items else []
    vocabulary = Vocabulary.of([*catalogue, *known["item_id"].unique().to_pylist()])
    users, user = encode(known["user_id"])
    n = len(known)
    sequences = UserSequences(
        users=users,
        items=vocabulary,
        item=vocabulary.encode(known["item_id"].to_pylist()),
        action=np.full(n, ACTIONS.index(PURCHASE), dtype=np.int8),
        time=known["time"].to_numpy(),
        price=np.full(n, np.nan, dtype=np.float32),
        offsets=np.searchsorted(user, np.arange(len(users) + 1)),
    )
    length = int(pc.max(coming["time"]).as_py()) - moment
    inside = [
        _asked_inside(known, moment - n * length, length, positive) for n in range(1, earlier + 2)
    ]
    validation, *before_it = inside
    test_questions, dropped = _positives(known, coming, moment, positive)
    return TimeSplitRatings(
        inputs=sequence_inputs(sequences, until=moment),
        moment=moment,
        validation=validation,
        earlier=tuple(asked for asked in before_it if len(asked)),
        test=test_questions,
        dropped=dropped,
    )


def _asked_inside(known: pa.Table, at: int, length: int, positive: float) -> Questions:
    """Questions at a moment of the training part, about the ``length`` microseconds from there."""
    import pyarrow.compute as pc

    past = pc.less(known["time"], at)
    coming = pc.and_(pc.invert(past), pc.less(known["time"], at + length))
    return _positives(known.filter(past), known.filter(coming), at, positive)[0]


def _positives(
    known: pa.Table, coming: pa.Table, at: int, positive: float
) -> tuple[Questions, int]:
    """Questions to every user with a new positive item, and how many positives were not new."""
    import pyarrow.compute as pc

    liked = coming.filter(pc.greater_equal(coming["rating"], positive))
    liked = liked.group_by(["user_id", "item_id"], use_threads=False).aggregate([("time", "min")])
    old = known.select(["user_id", "item_id"])
    new = liked.join(old, ["user_id", "item_id"], join_type="left anti")
    new = new.sort_by(
        [("user_id", "ascending"), ("time_min", "ascending"), ("item_id", "ascending")]
    )
    users, user = encode(new["user_id"])
    questions = Questions(
        task="next_item",
        users=users.ids,
        times=np.full(len(users), at, dtype=np.int64),
        answers=Ragged(
            np.array(new["item_id"].to_pylist(), dtype=object),
            np.searchsorted(user, np.arange(len(users) + 1)),
        ),
        exclude_seen=True,
    )
    return questions, len(liked) - len(new)


def _ratings(path: str) -> pa.Table:
    """user_id, item_id, time (microseconds UTC) and rating of one file."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = _read(path)
    if missing := {"user_id", "item_id", "timestamp", "rating"} - set(table.column_names):
        raise DataError(
            f"{path}: expected columns user_id, item_id, timestamp and rating, got "
            f"{', '.join(table.column_names)}; missing: {', '.join(sorted(missing))}."
        )
    stamp = pc.cast(table["timestamp"], pa.int64())
    largest = int(pc.max(stamp).as_py())
    to_us = 1_000_000 if largest < 10**11 else 1_000 if largest < 10**14 else 1
    return pa.table(
        {
            "user_id": pc.cast(table["user_id"], pa.string()),
            "item_id": pc.cast(table["item_id"], pa.string()),
            "time": pc.multiply(stamp, to_us),
            "rating": pc.cast(table["rating"], pa.float64()),
        }
    )


def _read(path: str) -> pa.Table:
    import pyarrow.csv
    import pyarrow.parquet

    return pyarrow.csv.read_csv(path) if path.endswith(".csv") else pyarrow.parquet.read_table(path)
