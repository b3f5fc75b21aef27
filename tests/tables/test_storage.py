"""What storage promises: a table is whole or absent, and comes back as it was written."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.tables import connect, open_tables, write_table

EVENTS = pa.table({"user_id": ["a", "b"], "time": [1, 2], "action": ["view", "cart"]})


@pytest.fixture
def connection():
    backend = connect(threads=1)
    backend.con.register("given", EVENTS)
    return backend


def test_a_written_table_comes_back_row_for_row(tmp_path, connection):
    path = write_table(connection.table("given"), tmp_path / "shop" / "events.parquet")
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"
    tables = open_tables(path.parent)
    assert tables.events.to_pyarrow().to_pylist() == EVENTS.to_pylist()
    assert tables.items is None


def test_writing_over_a_table_while_reading_it_is_safe(tmp_path, connection):
    path = write_table(connection.table("given"), tmp_path / "events.parquet")
    events = open_tables(tmp_path, connection).events
    write_table(events.filter(events[c.ACTION] == "cart"), path)
    assert pq.read_table(path)["user_id"].to_pylist() == ["b"]


def test_a_failed_write_leaves_what_was_there(tmp_path, connection):
    path = write_table(connection.table("given"), tmp_path / "events.parquet")
    given = connection.table("given")
    broken = given.mutate(x=given[c.USER_ID].cast("int64"))
    with pytest.raises(Exception, match="Could not convert"):
        write_table(broken, path)
    assert pq.read_table(path).num_rows == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["events.parquet"]


def test_a_folder_without_events_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="shoploom prepare"):
        open_tables(tmp_path)


def test_parquet_cut_short_says_what_to_do(tmp_path):
    (tmp_path / "events.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(DataError, match=r"events\.parquet, could not read it"):
        open_tables(tmp_path)


def test_a_folder_of_parts_is_one_table(tmp_path):
    for part in ("part-0", "part-1"):
        (tmp_path / "events.parquet").mkdir(exist_ok=True)
        pq.write_table(EVENTS, tmp_path / "events.parquet" / f"{part}.parquet")
    assert open_tables(tmp_path).events.count().to_pyarrow().as_py() == 4


# PySpark warns of the pandas it finds, and leaves sockets open when its session stops.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_spark_writes_a_folder_that_duckdb_reads(tmp_path):
    pyspark = pytest.importorskip("pyspark.sql")
    import ibis

    session = pyspark.SparkSession.builder.master("local[1]").getOrCreate()
    spark = ibis.pyspark.connect(session)
    pq.write_table(EVENTS, tmp_path / "given.parquet")
    path = write_table(
        spark.read_parquet(str(tmp_path / "given.parquet")), tmp_path / "events.parquet"
    )
    assert path.is_dir()
    for backend in (None, spark):
        events = open_tables(tmp_path, backend).events
        assert sorted(events.to_pyarrow()["user_id"].to_pylist()) == ["a", "b"]
    session.stop()
