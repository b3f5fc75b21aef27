"""Learn anew from the shop's files and the live store, compare with the run in charge, promote.

The comparison is a shadow: both answer the questions of the newest days from the same tables, each
with an engine that had seen nothing of those days. The new run takes over only where it is worse
at nothing, or where somebody says so; either is on record.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shoploom.core import columns as c
from shoploom.core.errors import DataError, ShoploomError
from shoploom.core.files import atomic_path, one_at_a_time, read_json, write_json
from shoploom.core.progress import Progress
from shoploom.core.time import iso
from shoploom.engines import Inputs, load_state
from shoploom.evaluation import evaluate_task
from shoploom.evaluation.metrics import describe
from shoploom.sequences import views
from shoploom.serving.runs import COMPARED, IN_CHARGE, SHADOW, note, promote
from shoploom.serving.store import Deed, Store, Text
from shoploom.serving.texts import MESSAGE, REVIEW
from shoploom.tables import Source
from shoploom.workflows import run_all
from shoploom.workflows.archive import read_answers, read_questions
from shoploom.workflows.audience import audience, load_deciders
from shoploom.workflows.config import ShopConfig
from shoploom.workflows.item_content import item_contents
from shoploom.workflows.model import Model
from shoploom.workflows.price import repeated_prices
from shoploom.workflows.reply import repeated_replies
from shoploom.workflows.run import Run
from shoploom.workflows.segments import segment, segments_json

_READ = 50_000  # events at once
_FRESH_S = 12 * 3600  # a nightly one that failed shall not go on with the events of the day before
NEW, OLD = "new", "old"

_EVENTS = pa.schema(
    [
        (c.USER_ID, pa.string()),
        (c.TIME, pa.int64()),
        (c.ACTION, pa.string()),
        (c.ITEM_ID, pa.string()),
        (c.PRICE, pa.float64()),
        (c.QUANTITY, pa.float64()),
        (c.SESSION_ID, pa.string()),
        (c.QUERY, pa.string()),
        (c.DWELL_S, pa.float64()),
        (c.STREAM_ID, pa.string()),
        (c.SOURCE, pa.string()),
    ]
)


@dataclass(frozen=True)
class Shadow:
    """The new run beside the one in charge, on the newest days.

    Attributes:
        since: the moment from which both were asked.
        tasks: by task, ``metric``, ``new``, ``old`` and ``difference`` as value, low, high.
        worse: tasks at which the new one is clearly worse.
        why_not: why nothing could be compared; None where it was.
        left_out: by task that could not be compared, why.
    """

    since: str
    tasks: Mapping[str, Mapping[str, Any]]
    worse: Sequence[str]
    why_not: str | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Retrained:
    """A new run, and what is known of it.

    Attributes:
        run: its folder.
        events: live events that it learned from.
        shadow: beside the run in charge.
        promoted: whether it is in charge now.
        lost: what the run in charge knew beside engines and the new one could not learn, and why.
    """

    run: Path
    events: int
    shadow: Shadow
    promoted: bool
    lost: Mapping[str, str]


def retrain(
    config: ShopConfig,
    store: Store,
    current: Path,
    progress: Progress,
    *,
    promotes: str = "better",
    policies: bool = True,
    anew: bool = False,
    by: str = "command line",
) -> Retrained:
    """Train a new run on the shop's files and all live events, compare it, perhaps promote it.

    One that was stopped within the last twelve hours goes on, with the events that it began with.
    Where another is under way beside the same runs, it is waited for.

    Args:
        config: of the shop.
        store: with live events.
        current: the run in charge where none was ever promoted.
        progress: where to report to.
        promotes: ``better`` where the new run is clearly worse at nothing, ``always``, ``never``.
        policies: whether what the old run knew of segments, prices, campaigns and replies is
            learned anew.
        anew: begin anew even where an earlier one was stopped.
        by: who asks, for the record.
    """
    runs = current.absolute().parent
    with one_at_a_time(runs / "retrain"):
        begun = None if anew else _stopped(runs, store)
        if begun is not None:
            progress.note(f"{begun.folder} was stopped and goes on with the events it began with")
        begun = _written_out(begun or _Begun(_free(runs), store.last_seq()), store, progress)
        in_charge, folder = Run(Path(store.get(IN_CHARGE) or current)), begun.folder
        sources = _sources(folder / "live")
        tables = {
            name: (*config.tables.get(name, ()), *sources.get(name, ()))
            for name in {*config.tables, *sources}
        }
        config = replace(config, tables=tables, run=folder)
        run_all(config, progress)
        _sign(folder, begun.until)
        lost = _policies(config, in_charge, Run(folder), progress) if policies else {}
        with progress.step("Compare with the run in charge"):
            shadow = compare(Run(folder), in_charge, seed=config.seed)
        store.put(SHADOW, json.dumps(asdict(shadow)))
        said = shadow.why_not or (f"worse at {', '.join(shadow.worse)}" if shadow.worse else "fit")
        note(store, COMPARED, str(folder), by, said)
        promoted = promotes == "always" or (promotes == "better" and said == "fit")
        if promoted:
            promote(store, folder, current=current, by=by)
        begun.note(ended=True)
        return Retrained(folder, begun.events or 0, shadow, promoted, lost)


@dataclass(frozen=True)
class _Begun:
    """A retraining that is under way; its folder says so until it has ended.

    Attributes:
        folder: of the new run.
        until: the number of the last live event that it learns from.
        events: how many those are; None until they are written out.
    """

    folder: Path
    until: int
    events: int | None = None

    def note(self, *, ended: bool = False) -> None:
        """Write down how far it is."""
        found = {"until": self.until, "events": self.events, "ended": ended}
        write_json(self.folder / "retrain.json", found)


def _stopped(runs: Path, store: Store) -> _Begun | None:
    """The newest retraining that was stopped on its way; None without a recent one."""
    for path in sorted(runs.glob("*/retrain.json"), reverse=True):
        found = read_json(path)
        recent = time.time() - path.stat().st_mtime < _FRESH_S
        took_over = store.get(IN_CHARGE) == str(path.parent)
        if not (found["ended"] or took_over) and recent and found["until"] <= store.last_seq():
            return _Begun(path.parent, found["until"], found["events"])
    return None


def _written_out(begun: _Begun, store: Store, progress: Progress) -> _Begun:
    """The same with its live events in files, which is done once."""
    if begun.events is None:
        begun.note()
        with progress.step("Write live events out"):
            begun = replace(begun, events=export(store, begun.folder / "live", begun.until))
        begun.note()
    progress.note(f"{begun.events:,} live events")
    return begun


def export(store: Store, folder: Path, until: int) -> int:
    """Write live events and texts as tables of the data contract; how many events.

    Args:
        store: to read.
        folder: to write ``events.parquet``, ``reviews.parquet`` and ``dialogues.parquet`` into.
        until: the number of the last event that is written.
    """
    n = 0
    path = folder / "events.parquet"
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, _EVENTS) as writer:
        for deeds in _pages(store, until):
            rows = [_row(deed) for deed in deeds]
            writer.write_table(pa.Table.from_pylist(rows, _EVENTS))
            n += len(rows)
    texts = store.texts(0, 10_000_000)
    for name, kind, row in (("reviews", REVIEW, _review), ("dialogues", MESSAGE, _message)):
        mine = [row(text) for text in reversed(texts) if text.kind == kind]
        if mine:
            path = folder / f"{name}.parquet"
            with atomic_path(path) as temporary:
                pq.write_table(pa.Table.from_pylist(mine), temporary)
    return n


def _sources(folder: Path) -> dict[str, tuple[Source, ...]]:
    """What was exported, by table; tables without rows are left out."""
    return {
        path.stem: (Source(path=str(path), time_unit="us"),)
        for path in sorted(folder.glob("*.parquet"))
        if pq.read_metadata(path).num_rows
    }


def compare(new: Run, old: Run, *, seed: int = 0) -> Shadow:
    """Both runs on the test questions of the new one, every engine blind to those days."""
    split = read_json(new.folder / "split.json")
    at = int(Model(new).card["judged_until"])
    model_new, model_old = Model(new), Model(old)
    trained, judged = model_old.card["trained_until"], model_old.card["judged_until"]
    if judged > at:
        why = (
            f"the old run has seen days after {iso(at)}, from where the newest days begin; wait "
            "for more of them."
        )
        return Shadow(str(split["test"]), {}, (), why)
    blind = old.engine if trained <= at else old.judged_engine
    tables = model_new.tables
    content = item_contents(new, model_new.card.get("encoders", ()))
    inputs = Inputs(until=at, tables=tables, content=content, **views(tables))
    told: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    worse = []
    for name, task in model_new.tasks.items():
        if name not in model_old.tasks or model_old.tasks[name] != task:
            continue
        asked = read_questions(new.questions(name, "test"))
        chosen = model_new.card["chosen"][name]
        answers = {NEW: read_answers(new.answers(name, chosen, "test"))}
        try:
            fitted = load_state(blind(model_old.card["chosen"][name]))
            answers[OLD] = fitted.answer(task, asked.unanswered(), inputs, k=20)
        except ShoploomError as error:  # statistics that have changed since
            left_out[name] = str(error)
            continue
        found = evaluate_task(task, asked, answers, NEW, seed=seed)
        difference = found["versus"][OLD][task.metric]
        higher = describe(task.metric).higher_is_better
        if (difference[2] < 0) if higher else (difference[1] > 0):
            worse.append(name)
        told[name] = {
            "metric": task.metric,
            NEW: found["results"][NEW][task.metric],
            OLD: found["results"][OLD][task.metric],
            "difference": difference,
        }
    why = None if told else "the two runs answer no task alike."
    return Shadow(iso(at), told, tuple(worse), why, left_out)


def _policies(config: ShopConfig, old: Run, new: Run, progress: Progress) -> dict[str, str]:
    """What the old run knew beside engines, learned anew as it was asked for then; what could not
    be, and why.
    """
    lost = {}
    if segments_json(old).exists():
        segment(config, new, progress)
    for what, work in (
        ("prices", lambda: repeated_prices(config, old, new, progress)),
        ("replies", lambda: repeated_replies(config, old, new, progress)),
        *(
            (f"campaign {kind}", lambda d=decider: audience(config, new, progress, d.campaign))
            for kind, decider in load_deciders(old).items()
        ),
    ):
        try:
            work()
        except ShoploomError as error:
            lost[what] = str(error)
    return lost


def _sign(folder: Path, until: int) -> None:
    """Note in the card which live events a run holds, so that they do not count twice."""
    card = read_json(folder / "model.json")
    write_json(folder / "model.json", card | {"live_seq": until})


def _pages(store: Store, until: int) -> Iterator[list[Deed]]:
    seq = 0
    while seq < until:
        deeds = [deed for deed in store.since(seq, _READ) if deed.seq <= until]
        if not deeds:
            return
        yield deeds
        seq = deeds[-1].seq


def _free(folder: Path) -> Path:
    """A folder for a new run, named by the time of day."""
    name = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    found = folder / name
    if found.exists():
        raise DataError(f"expected no run at {found} yet; wait a second and try again.")
    return found


def _row(deed: Deed) -> dict[str, Any]:
    return {
        c.USER_ID: deed.user_id,
        c.TIME: deed.time,
        c.ACTION: c.ACTIONS[deed.action],
        c.ITEM_ID: deed.item_id,
        c.PRICE: deed.price,
        c.QUANTITY: deed.quantity,
        c.SESSION_ID: deed.session_id,
        c.QUERY: deed.query,
        c.DWELL_S: deed.dwell_s,
        c.STREAM_ID: deed.stream_id,
        c.SOURCE: deed.source,
    }


def _review(text: Text) -> dict[str, Any]:
    return {
        c.USER_ID: text.user_id,
        c.ITEM_ID: text.item_id,
        c.TIME: text.time,
        c.RATING: text.rating,
        c.TITLE: text.title,
        c.TEXT: text.text,
    }


def _message(text: Text) -> dict[str, Any]:
    return {
        c.DIALOGUE_ID: text.dialogue_id,
        c.USER_ID: text.user_id,
        c.TIME: text.time,
        c.ROLE: text.role,
        c.TEXT: text.text,
    }
