from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable]:
    """A function that puts an Arrow table into a local Spark and gives its Ibis table."""
    pyspark_sql = pytest.importorskip("pyspark.sql", reason="needs pyspark and Java")
    import ibis

    folder = tmp_path_factory.mktemp("spark")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = (
            pyspark_sql.SparkSession.builder.master("local[1]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.warehouse.dir", str(folder))
            .config("spark.driver.host", "127.0.0.1")
            .getOrCreate()
        )
        con = ibis.pyspark.connect(session)

        def load(table):
            import pyarrow.parquet as pq

            path = folder / "events.parquet"
            pq.write_table(table, path)
            return con.read_parquet(path)

        yield load
        session.stop()
