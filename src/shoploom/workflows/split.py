"""How a shop's time is cut, by its settings."""

from __future__ import annotations

from shoploom.core.errors import DataError
from shoploom.core.time import to_us
from shoploom.evaluation import TimeSplit, check_split, time_split
from shoploom.tables import Tables
from shoploom.workflows.config import ShopConfig


def split_of(config: ShopConfig, tables: Tables) -> TimeSplit:
    """The global time split of a shop's events by its settings.

    Raises:
        DataError: the log is too short for the windows asked.
        LeakageError: the settings would let a window reach over a later moment.
    """
    first, last = _first_last(tables)
    settings = config.split
    split = time_split(
        first,
        last,
        window_days=config.window_days,
        n_train=settings.train_moments,
        step_days=settings.step_days,
        test=None if settings.test is None else to_us(settings.test),
        valid=None if settings.valid is None else to_us(settings.valid),
    )
    check_split(split, {name: task.window_days for name, task in config.tasks.items()})
    return split


def _first_last(tables: Tables) -> tuple[int, int]:
    events = tables.events
    first, last = (
        events.aggregate([events.time.min(), events.time.max()])
        .to_pyarrow()
        .to_pylist()[0]
        .values()
    )
    if first is None:
        raise DataError("expected at least one event in the prepared tables, got none.")
    return int(first), int(last)
