"""The same expressions on Spark and on DuckDB give the same tables, row by row."""

from __future__ import annotations

import math
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shoploom.core import columns as c
from shoploom.core.time import DAY_US, SECOND_US, to_us
from shoploom.sequences.sequences import sequence_table
from shoploom.sequences.statistics import statistics_table
from shoploom.tables.cleaning import clean
from shoploom.tables.raw import RawTables
from shoploom.tables.rules import CleaningRules

START, NOW = to_us("2024-01-01"), to_us("2024-06-01")
RULES = CleaningRules(max_events_per_hour=60, unknown_items="quarantine")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning"),
]


def dirty_log(n: int = 2_000) -> dict[str, pa.Table]:
    """A log with every kind of dirt: copies, double clicks, a bot, odd prices, gaps.

    Item ``boat`` is so dear that it has a range of prices of its own, with two outliers.
    """
    rng = np.random.default_rng(5)
    item = (60 * rng.random(n) ** 2).astype(int)
    time = START + rng.integers(0, 90 * DAY_US // SECOND_US, n) * SECOND_US
    price = np.round(3.0 + 1.7 * item, 2)
    price[:10], price[10:14], price[14:16] = -1.0, 1e7, np.nan
    time[20:30], time[30:35] = 0, NOW + 1
    events = {
        c.USER_ID: [f"u{u}" for u in rng.integers(0, 40, n)],
        c.TIME: time,
        c.ACTION: rng.choice([c.VIEW, c.VIEW, c.CART, c.PURCHASE], n),
        c.ITEM_ID: [f"i{i}" for i in item],
        c.PRICE: pa.array(price, mask=rng.random(n) < 0.2),
        c.QUANTITY: pa.array(rng.integers(1, 4, n).astype(float), mask=rng.random(n) < 0.3),
        c.SESSION_ID: pa.array([f"s{i}" for i in range(n)], mask=rng.random(n) < 0.9),
    }
    log = pa.table(events)
    clicks = log.slice(100, 60).set_column(1, c.TIME, pa.array(time[100:160] + SECOND_US // 2))
    bot = log.slice(0, 100)
    bot = bot.set_column(0, c.USER_ID, pa.array(["bot"] * 100))
    bot = bot.set_column(1, c.TIME, pa.array(START + np.arange(100) * 3 * SECOND_US))
    bot = bot.set_column(2, c.ACTION, pa.array([c.VIEW] * 100))
    boats = log.slice(1_000, 10)
    boats = boats.set_column(3, c.ITEM_ID, pa.array(["boat"] * 10))
    boats = boats.set_column(4, c.PRICE, pa.array([2e5 + 1e3 * i for i in range(8)] + [5.0, 1e8]))
    boats = boats.set_column(5, c.QUANTITY, pa.nulls(10, pa.float64()))
    log = pa.concat_tables([log, log.slice(50, 40), clicks, bot, boats])
    log = log.append_column(c.FILE, pa.array(["log.csv"] * len(log)))
    log = log.append_column(c.ROW, pa.array(np.arange(1, len(log) + 1)))
    items = {
        c.ITEM_ID: [*(f"i{i}" for i in [*range(58), 3, 4, 4]), "boat"],
        c.TITLE: pa.array([*(f"item {i}" for i in range(58)), None, "new", "new", "a boat"]),
        c.PRICE: [*(3.0 + i for i in range(58)), 1.0, 2.0, 2.0, 2e5],
    }
    return {"events": log, "items": pa.table(items)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    for name, table in dirty_log().items():
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pyspark_sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java, and there is none")
    builder = pyspark_sql.SparkSession.builder.master("local[2]").appName("shoploom")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.driver.memory": "1g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.log.level": "ERROR",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        connection = ibis.pyspark.connect(session)
    yield connection
    session.stop()


def outcome(con: Any, folder: Path, scratch: Path) -> dict[str, pa.Table]:
    """Everything that a backend makes of the log."""
    raw = {
        name: con.read_parquet(str(folder / f"{name}.parquet"), table_name=f"raw_{name}")
        for name in ("events", "items")
    }

    def stage(table: ibis.Table, name: str) -> ibis.Table:
        path = scratch / f"{name}.parquet"
        pq.write_table(table.to_pyarrow(), path)
        return con.read_parquet(str(path), table_name=name.replace("-", "_"))

    cleaned = clean(RawTables(raw), RULES, now=NOW, stage=stage)
    events = stage(cleaned.tables.events, "clean_events")
    assert cleaned.tables.items is not None
    return {
        "events": events.to_pyarrow(),
        "items": cleaned.tables.items.to_pyarrow(),
        "set_aside": cleaned.quarantine["events"].to_pyarrow(),
        "items_set_aside": cleaned.quarantine["items"].to_pyarrow(),
        "bots": cleaned.bots.to_pyarrow(),
        "bounds": pa.Table.from_pylist(
            [{"column": name, **bound} for name, bound in cleaned.bounds.to_json().items()]
        ),
        "statistics": statistics_table(events, START + 80 * DAY_US).to_pyarrow(),
        "sequences": sequence_table(events, last=20).to_pyarrow(),
    }


@pytest.fixture(scope="module")
def outcomes(
    spark: Any, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, pa.Table], dict[str, pa.Table]]]:
    duck = ibis.duckdb.connect(threads=2)
    yield tuple(  # type: ignore[misc]
        outcome(con, folder, tmp_path_factory.mktemp("stage")) for con in (spark, duck)
    )
    duck.disconnect()


def in_order(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: [str(row[name]) for name in sorted(row)])


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal, numbers to one part in a thousand million."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    # Spark's way into Arrow leads through pandas, which turns NaN inside a list into null.
    a, b = (None if isinstance(x, float) and math.isnan(x) else x for x in (a, b))
    if isinstance(a, float) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return a == b


@pytest.mark.parametrize(
    "name",
    [
        "events",
        "items",
        "set_aside",
        "items_set_aside",
        "bots",
        "bounds",
        "statistics",
        "sequences",
    ],
)
def test_spark_and_duckdb_give_the_same_rows(outcomes, name):
    on_spark, on_duckdb = (in_order(outcome[name]) for outcome in outcomes)
    assert len(on_duckdb) > 0
    assert len(on_spark) == len(on_duckdb)
    for row, twin in zip(on_spark, on_duckdb, strict=True):
        assert same(row, twin), f"{row} on Spark, {twin} on DuckDB"


def test_every_kind_of_dirt_was_met(outcomes):
    reasons = set(outcomes[1]["set_aside"][c.REASON].to_pylist())
    assert reasons == {
        "bot",
        "exact duplicate",
        "near duplicate",
        "negative price",
        "price outlier",
        "time before 1990",
        "time in the future",
        "unknown item",
    }


def test_an_item_has_its_own_range_of_prices_on_both(outcomes):
    for outcome in outcomes:
        bounds = {row["column"]: row for row in outcome["bounds"].to_pylist()}
        own = dict(bounds[c.PRICE]["items"])
        assert list(own) == ["boat"]
        low, high = own["boat"]
        assert 5.0 < low < 2e5 < high < 1e8
        kept = [row for row in outcome["events"].to_pylist() if row[c.ITEM_ID] == "boat"]
        lost = [row for row in outcome["set_aside"].to_pylist() if row[c.ITEM_ID] == "boat"]
        assert len(kept) == 8
        assert sorted(row[c.PRICE] for row in lost) == [5.0, 1e8]
        assert {row[c.REASON] for row in lost} == {"price outlier"}
