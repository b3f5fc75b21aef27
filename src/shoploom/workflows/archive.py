"""Questions and answers as Parquet, so that a run can be judged again, by us or by others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shoploom.core import columns as c
from shoploom.core.files import atomic_path
from shoploom.core.ids import Vocabulary
from shoploom.tasks import Answers, Questions, Ragged

_SUBJECT, _ANSWER, _SCORE = "subject", "answer", "score"


def write_questions(path: Path, questions: Questions) -> None:
    """Write questions with their answers, one row each."""
    columns: dict[str, pa.Array] = {
        c.USER_ID: pa.array(questions.users, pa.string()),
        c.TIME: pa.array(questions.times),
    }
    if questions.subjects is not None:
        columns[_SUBJECT] = pa.array(questions.subjects, pa.string())
    if isinstance(questions.answers, Ragged):
        columns[_ANSWER] = pa.LargeListArray.from_arrays(
            questions.answers.offsets, pa.array(questions.answers.values, pa.string())
        )
    elif questions.answers is not None:
        columns[_ANSWER] = pa.array(questions.answers)
    head = {"task": questions.task, "exclude_seen": str(questions.exclude_seen)}
    _write(path, pa.table(columns).replace_schema_metadata(head))


def read_questions(path: Path) -> Questions:
    """The questions that ``write_questions`` wrote."""
    table = pq.read_table(path)
    head = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    answers = None
    if _ANSWER in table.column_names:
        column = table[_ANSWER].combine_chunks()
        if pa.types.is_large_list(column.type):
            answers = Ragged(
                column.flatten().to_numpy(zero_copy_only=False), column.offsets.to_numpy()
            )
        else:
            answers = column.to_numpy(zero_copy_only=False)
    return Questions(
        task=head["task"],
        users=_text(table[c.USER_ID]),
        times=table[c.TIME].to_numpy(),
        subjects=_text(table[_SUBJECT]) if _SUBJECT in table.column_names else None,
        answers=answers,
        exclude_seen=head["exclude_seen"] == "True",
    )


def count_questions(path: Path) -> int:
    """How many questions a file holds; 0 where there is none."""
    return pq.read_metadata(path).num_rows if path.exists() else 0


def write_answers(path: Path, questions: Questions, answers: Answers) -> None:
    """Write answers beside the user, time and subject that they answer.

    A ranking is a list of item ids per row, best first; its whole catalogue lies in
    ``NAME.catalogue.parquet`` beside it.
    """
    columns: dict[str, pa.Array] = {
        c.USER_ID: pa.array(questions.users, pa.string()),
        c.TIME: pa.array(questions.times),
    }
    if questions.subjects is not None:
        columns[_SUBJECT] = pa.array(questions.subjects, pa.string())
    if answers.values is not None:
        columns[_ANSWER] = pa.array(answers.values)
    else:
        assert answers.items is not None
        assert answers.scores is not None
        assert answers.catalogue is not None
        _n, k = answers.items.shape
        ids = pa.array(answers.catalogue.ids, pa.string()).take(
            pa.array(answers.items.ravel(), mask=answers.items.ravel() < 0)
        )
        columns[c.ITEM_ID] = pa.FixedSizeListArray.from_arrays(ids, k)
        columns[_SCORE] = pa.FixedSizeListArray.from_arrays(pa.array(answers.scores.ravel()), k)
        catalogue = pa.table({c.ITEM_ID: pa.array(answers.catalogue.ids, pa.string())})
        _write(_catalogue_path(path), catalogue)
    _write(path, pa.table(columns).replace_schema_metadata({"task": answers.task}))


def read_answers(path: Path) -> Answers:
    """The answers that ``write_answers`` wrote."""
    table = pq.read_table(path)
    task = (table.schema.metadata or {})[b"task"].decode()
    if _ANSWER in table.column_names:
        return Answers(task, values=table[_ANSWER].to_numpy())
    catalogue = Vocabulary(_text(pq.read_table(_catalogue_path(path))[c.ITEM_ID]))
    lists = table[c.ITEM_ID].combine_chunks()
    k = lists.type.list_size
    known = pa.array(catalogue.ids, pa.string())
    codes = pc.index_in(lists.flatten(), known)  # pyright: ignore[reportAttributeAccessIssue]
    items = pc.fill_null(codes, -1).to_numpy().astype(np.int32).reshape(-1, k)
    scores = table[_SCORE].combine_chunks().flatten().to_numpy().reshape(-1, k)
    return Answers(task, items=items, scores=scores, catalogue=catalogue)


def _catalogue_path(path: Path) -> Path:
    return path.with_suffix(".catalogue.parquet")


def _text(column: pa.ChunkedArray) -> np.ndarray:
    return column.to_numpy(zero_copy_only=False)


def _write(path: Path, table: pa.Table) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
