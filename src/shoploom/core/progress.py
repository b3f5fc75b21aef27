"""What a person sees while waiting: one line per step, bars on long work, nothing when quiet.

Low floors take a ``Progress`` argument and never print; the command line decides what is shown.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Where long work reports to."""

    def step(self, message: str) -> AbstractContextManager[None]:
        """A context that announces a step and says how long it took."""
        ...

    def track(self, items: Iterable[T], message: str, total: int | None = None) -> Iterator[T]:
        """The same items, with a bar and an ETA while they are consumed."""
        ...

    def note(self, message: str) -> None:
        """One line worth reading: a repaired value, a choice made, a fallback taken."""
        ...


class Quiet:
    """A Progress that shows nothing."""

    @contextmanager
    def step(self, message: str) -> Iterator[None]:
        yield

    def track(self, items: Iterable[T], message: str, total: int | None = None) -> Iterator[T]:
        yield from items

    def note(self, message: str) -> None:
        return None


class Terminal:
    """A Progress drawn with rich on standard error."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False)

    @contextmanager
    def step(self, message: str) -> Iterator[None]:
        start = time.perf_counter()
        if self.console.is_terminal:
            with self.console.status(f"{message} …"):
                yield
        else:
            yield
        seconds = time.perf_counter() - start
        self.console.print(f"[green]✓[/] {message} [dim]{seconds:.1f} s[/]")

    def track(self, items: Iterable[T], message: str, total: int | None = None) -> Iterator[T]:
        if not self.console.is_terminal:  # a log has no place for a bar
            yield from items
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=self.console, transient=True) as bars:
            yield from bars.track(items, total=total, description=message)

    def note(self, message: str) -> None:
        self.console.print(f"  [dim]{message}[/]", markup=True)


def terminal(quiet: bool = False) -> Progress:
    """The Progress for a command line."""
    return Quiet() if quiet or sys.stderr is None else Terminal()
