"""Speed of the tables floor: a log through cleaning, sessions, statistics and last-50 histories.

    python benchmarks/tables.py --rows 1000000 [--backend duckdb] [--json]

The log is generated (by a child process, outside all figures): about 50 events a user, skewed
items, string ids, copies, double clicks, bots, negative and absurd prices. Wall and CPU seconds
and the peak memory so far are printed per stage. ``checksum`` covers the clean events, the
statistics and the histories; it is the same on every machine and for any number of threads.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis

from harness import Benchmark, parser, peak_rss_mb
from shoploom.core.files import fingerprint
from shoploom.core.time import DAY_US, to_us
from shoploom.sequences.sequences import sequence_table
from shoploom.sequences.statistics import statistics_table
from shoploom.tables.prepare import prepare_tables
from shoploom.tables.raw import RawTables
from shoploom.tables.readers import connect
from shoploom.tables.storage import open_tables, write_table

START, DAYS = to_us("2024-01-01"), 90
NOW = START + DAYS * DAY_US
CHUNK = 1_000_000


class Stages:
    """A Progress that times the steps of ``prepare_tables`` in a benchmark."""

    def __init__(self, benchmark: Benchmark):
        self.benchmark = benchmark

    @contextmanager
    def step(self, message: str) -> Iterator[None]:
        with self.benchmark.time(message):
            yield
        self.benchmark.timing[message]["peak_rss_mb"] = round(peak_rss_mb())

    def track(self, items: Any, message: str, total: int | None = None) -> Iterator[Any]:
        yield from items

    def note(self, message: str) -> None:
        return None


def generate(rows: int, seed: int, folder: Path) -> None:
    """Write ``events-N.parquet`` parts with about ``rows`` rows in all to ``folder``."""
    import duckdb

    users, items = max(rows // 50, 1), max(min(rows // 100, 50_000), 1)
    con = duckdb.connect()
    con.execute("SET threads = 1")
    con.execute("SET memory_limit = '500MB'")
    for number, first in enumerate(range(0, rows, CHUNK)):
        # A random number of one row and purpose is a hash, so that parts and threads cannot
        # change the log. Every 500th row is a copy, every 400th a double click of its neighbour,
        # and one user in 20,000 is a bot.
        part = f"""
            WITH ids AS (
                SELECT CASE WHEN r % 500 = 1 OR r % 400 = 1 THEN r - 1 ELSE r END AS id,
                    r % 400 = 1 AS double
                FROM range({first}, {min(first + CHUNK, rows)}) AS t(r)
            ), dice AS (
                SELECT id, double,
                    list_transform(range(5), p -> hash(id * 8 + p + {seed} * 1000003)
                        / 18446744073709551616.0) AS u
                FROM ids
            ), drawn AS (
                SELECT *, floor(u[1] * {users})::BIGINT AS user_num,
                    floor({items} * u[2] ** 3)::BIGINT AS item_num
                FROM dice
            )
            SELECT
                'u' || CASE WHEN user_num % 20000 < 60 THEN user_num - user_num % 20000
                            ELSE user_num END AS user_id,
                {START} + CASE WHEN user_num % 20000 < 60 THEN floor(u[3] * 3600)
                               ELSE floor(u[3] * {DAYS * 86_400}) END::BIGINT * 1000000
                    + CASE WHEN double THEN 500000 ELSE 0 END AS time,
                CASE WHEN u[4] < .8 THEN 'view' WHEN u[4] < .92 THEN 'cart' ELSE 'purchase' END
                    AS action,
                'i' || item_num AS item_id,
                CASE WHEN id % 1000 = 7 THEN -1.0 WHEN id % 10000 = 77 THEN 1e9
                     ELSE 1 + item_num * 7919 % 20000 / 100 END AS price,
                CASE WHEN u[4] >= .92 THEN 1 + floor(u[5] * 2) END::DOUBLE AS quantity
            FROM drawn
        """
        path = folder / f"events-{number:03d}.parquet"
        con.execute(f"COPY ({part}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


def checksum(table: ibis.Table) -> int:
    """A number that depends on the table's rows and not on their order."""
    text = ibis.literal("")
    for name in table.columns:
        value = table[name]
        if value.type().is_floating():
            value = value.round(6)
        text = text + "|" + value.cast("string").fill_null("-")
    return int((text.hash() % 1_000_003).abs().sum().to_pyarrow().as_py())


def run(rows: int, seed: int, memory: str, folder: Path) -> Benchmark:
    """Time every stage over the generated log in ``folder``."""
    con = connect(memory_limit=memory, temp_dir=folder / "spill", keep_order=False)
    raw = RawTables({"events": con.read_parquet(str(folder / "events-*.parquet"))})
    settings = {"rows": rows, "memory_limit": memory, "seed": seed}
    benchmark = Benchmark("tables", f"generated log, {rows:,} rows", settings)
    stages = Stages(benchmark)
    quality = prepare_tables(raw, folder / "prepared", now=NOW, progress=stages)
    events = open_tables(folder / "prepared", con).events
    with stages.step("statistics"):
        write_table(statistics_table(events, NOW), folder / "statistics.parquet")
    with stages.step("last-50 sequences"):
        write_table(sequence_table(events, last=50), folder / "sequences.parquet")
    whole = {
        key: round(sum(stage[key] for stage in benchmark.timing.values()), 2)
        for key in ("wall_s", "cpu_s")
    }
    counts = quality["tables"]["events"]
    benchmark.timing["all stages"] = {**whole, "peak_rss_mb": round(peak_rss_mb())}
    benchmark.settings |= {"reasons": counts["reasons"], "users": quality["users"]}
    benchmark.add(
        "default",
        {
            "rows_kept": counts["rows_kept"],
            "rows_quarantined": counts["rows_quarantined"],
            "million_rows_per_s": rows / whole["wall_s"] / 1e6,
            "cpu_s": whole["cpu_s"],
            "peak_rss_mb": benchmark.timing["all stages"]["peak_rss_mb"],
        },
    )
    return benchmark


def checksums(folder: Path) -> str:
    """One fingerprint of the three results, computed after the clock has stopped."""
    con = connect(memory_limit="1GB", temp_dir=folder / "spill")
    parts = [folder / "prepared/events.parquet"]
    parts += [folder / "statistics.parquet", folder / "sequences.parquet"]
    return fingerprint([checksum(con.read_parquet(str(path))) for path in parts])


def main() -> None:
    """Generate, run and print."""
    options = parser(__doc__ or "", data=False)
    options.formatter_class = argparse.RawDescriptionHelpFormatter
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--memory", default="1200MB", help="DuckDB's memory limit")
    options.add_argument("--folder", help="where to work; a temporary folder by default")
    options.add_argument("--generate-only", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.generate_only:
        generate(given.rows, given.seed, Path(given.folder))
        return
    with tempfile.TemporaryDirectory(prefix="tables-", dir=given.folder) as folder:
        arguments = ["--rows", str(given.rows), "--seed", str(given.seed), "--folder", folder]
        subprocess.run([sys.executable, __file__, *arguments, "--generate-only"], check=True)
        benchmark = run(given.rows, given.seed, given.memory, Path(folder))
        benchmark.settings["checksum"] = checksums(Path(folder))
        benchmark.finish(as_json=given.json)


if __name__ == "__main__":
    main()
