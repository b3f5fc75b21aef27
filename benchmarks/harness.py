"""What every benchmark shares: options, timing, the table that is printed, the JSON line."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


def parser(description: str, *, data: bool = True) -> argparse.ArgumentParser:
    """An argument parser with the options that all benchmarks have."""
    options = argparse.ArgumentParser(description=description)
    if data:
        options.add_argument("--data", required=True, metavar="PATH", help="the data to use")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--engines", help="comma-separated names; all when not given")
    options.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    return options


def peak_rss_mb() -> float:
    """The largest resident memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> str:
    """The processor, its cores and the Python that ran."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123
            names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, Python {platform.python_version()}"


#: With more metrics than this, engines stand side by side and metrics one below the other.
_WIDEST = 9


class Benchmark:
    """Collects results and timings of one run and prints them.

    Args:
        name: the script's name without its ending.
        data: what it ran on, as a short text.
        settings: JSON-able settings worth repeating beside the numbers.
    """

    def __init__(self, name: str, data: str, settings: Mapping[str, Any]):
        self.name, self.data, self.settings = name, data, dict(settings)
        self.results: dict[str, dict[str, list[float]]] = {}
        self.timing: dict[str, Any] = {}
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def add(self, engine: str, metrics: Mapping[str, Any]) -> None:
        """Record an engine's metrics: floats, (value, low, high), or objects with those names."""
        row = self.results.setdefault(engine, {})
        for name, value in metrics.items():
            if hasattr(value, "low"):
                value = (value.value, value.low, value.high)
            elif not isinstance(value, (tuple, list)):
                value = (value, value, value)
            row[name] = [float(x) for x in value]

    @contextmanager
    def time(self, label: str) -> Iterator[None]:
        """Record wall and CPU seconds of the block under ``label``."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.timing[label] = {
            "wall_s": round(time.perf_counter() - wall, 3),
            "cpu_s": round(time.process_time() - cpu, 3),
        }

    def finish(self, *, as_json: bool) -> None:
        """Print the table of results, timings and machine; then the JSON line if asked."""
        from rich import box
        from rich.console import Console
        from rich.table import Column, Table

        wall = round(time.perf_counter() - self._wall, 2)
        cpu = round(time.process_time() - self._cpu, 2)
        console = Console(width=160)
        console.print(f"[bold]{self.name}[/] on {self.data}", highlight=False)
        for name, value in self.settings.items():
            if value is not None:
                console.print(f"  {name}: {value}", highlight=False, markup=False)
        metrics = list(dict.fromkeys(m for row in self.results.values() for m in row))
        cells = {
            (engine, metric): "–" if metric not in row else _show(*row[metric])
            for engine, row in self.results.items()
            for metric in metrics
        }
        if len(metrics) <= _WIDEST:
            table = Table("engine", *metrics, box=box.SIMPLE_HEAD)
            for engine in self.results:
                table.add_row(engine, *(cells[engine, metric] for metric in metrics))
        elif len(self.results) > _WIDEST:
            table = Table("engine", "metric", "", box=box.SIMPLE_HEAD)
            for (engine, metric), cell in cells.items():
                if metric in self.results[engine]:
                    table.add_row(engine, metric, cell)
        else:
            table = Table(Column("metric", no_wrap=True), *self.results, box=box.SIMPLE_HEAD)
            for metric in metrics:
                table.add_row(metric, *(cells[engine, metric] for engine in self.results))
        console.print(table)
        for label, seconds in self.timing.items():
            console.print(f"  {label}: {seconds}", highlight=False)
        rss = round(peak_rss_mb())
        console.print(
            f"wall {wall} s, CPU {cpu} s, peak RSS {rss} MB, {machine()}", highlight=False
        )
        if as_json:
            document = {
                "benchmark": self.name,
                "data": self.data,
                "settings": self.settings,
                "results": self.results,
                "timing": self.timing,
                "cpu_s": cpu,
                "wall_s": wall,
                "peak_rss_mb": rss,
                "machine": machine(),
            }
            print(json.dumps(document, default=str))


def _show(value: float, low: float, high: float) -> str:
    """The value with the wider side of its interval; the JSON line has both sides."""
    digits = 4 if abs(value) < 10 else 2
    if low == high:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ±{max(high - value, value - low):.{digits}f}"
