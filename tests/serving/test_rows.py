"""Single rows of tables."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shoploom.serving.decisions import Rows

IDS = ["b", "Ä", "10", "9", "用户", "a", "\U0001f600", "\ufffd"]


@pytest.mark.parametrize("ids", [IDS, IDS[:1], []])
def test_each_row_is_found_by_its_id_and_nothing_else(tmp_path: Path, ids: list[str]):
    table = pa.table({"n": pa.array(range(len(ids)), pa.int64()), "id": pa.array(ids, pa.string())})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=3)
    rows = Rows.of(tmp_path / "t.parquet", "id")
    assert [rows.get(id_) for id_ in ids] == [{"n": n, "id": id_} for n, id_ in enumerate(ids)]
    for other in ("", "aa", "A", "zz", "\U0010ffff"):
        assert rows.get(other) is None
