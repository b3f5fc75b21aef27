"""Global time splits: every moment of training lies before validation, and that before the test.

One split in time for all users is the honest setting: an engine never learns from what happened,
to anybody, after the moments at which it is judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shoploom.core.errors import ConfigError, DataError, LeakageError
from shoploom.core.time import DAY_US, HOUR_US, iso

_LONGEST_TASK = "longest task"


@dataclass(frozen=True)
class TimeSplit:
    """The moments at which questions are asked.

    Attributes:
        train: moments whose windows engines learn from, ascending.
        valid: the moment on which settings and engines are chosen.
        test: the moment on which they are judged.
        window_us: the longest window of the tasks.
        data_end: the moment at which the log ends; windows reach at most up to it.
    """

    train: tuple[int, ...]
    valid: int
    test: int
    window_us: int
    data_end: int

    def as_dict(self) -> dict[str, Any]:
        """The split for JSON, moments in ISO 8601."""
        return {
            "train": [iso(at) for at in self.train],
            "valid": iso(self.valid),
            "test": iso(self.test),
            "window_days": self.window_us // DAY_US,
            "data_end": iso(self.data_end),
        }


def time_split(
    first: int,
    last: int,
    *,
    window_days: int,
    n_train: int = 4,
    step_days: int | None = None,
    history_days: int | None = None,
    test: int | None = None,
    valid: int | None = None,
) -> TimeSplit:
    """The latest split that fits the log, at midnights UTC.

    The test window is the last whole one, the validation window ends where it starts, and the
    training windows end where that starts, one ``step_days`` earlier each.

    Args:
        first: moment of the first event.
        last: moment of the last event; in the final hour of a day it makes that day whole.
        window_days: the longest window of the tasks.
        n_train: training moments at most; fewer where the log does not reach back.
        step_days: between training moments; a window when not given.
        history_days: days of log before each training moment at least; when not given half a
            window, at least one day.
        test: this moment instead of the latest.
        valid: this moment instead of one window before the test.

    Raises:
        ConfigError: a number of days or moments is below 1.
        DataError: the log is too short.
        LeakageError: the given moments let windows overlap or reach past the log's end.

    >>> split = time_split(0, 40 * DAY_US, window_days=7, n_train=2)
    >>> split.as_dict()["train"], split.as_dict()["valid"], split.as_dict()["test"]
    (['1970-01-13', '1970-01-20'], '1970-01-27', '1970-02-03')
    """
    step_days = window_days if step_days is None else step_days
    for name, given in {
        "window_days": window_days,
        "n_train": n_train,
        "step_days": step_days,
    }.items():
        if given < 1:
            raise ConfigError(f"time split: expected {name} of at least 1, got {given}.")
    window, step = window_days * DAY_US, step_days * DAY_US
    history = _default_history(window_days) if history_days is None else history_days
    data_end = _end(last)
    # What must hold all that is not given: for the message where it does not.
    until, n_windows = (test, 2) if test is not None else (_midnight(data_end), 3)
    until, n_windows = (valid, 1) if valid is not None else (until, n_windows)
    test = _midnight(data_end - window) if test is None else test
    valid = test - window if valid is None else valid
    latest = valid - window
    reach = (latest - history * DAY_US - first) // step
    if reach < 0:
        raise DataError(_too_short(first, until, n_windows, window_days, history))
    train = tuple(latest - i * step for i in range(min(n_train - 1, reach), -1, -1))
    split = TimeSplit(train, valid, test, window, data_end)
    check_split(split)
    return split


def check_split(split: TimeSplit, window_days: Mapping[str, int] | None = None) -> None:
    """Nothing, where the split is sound.

    Args:
        split: the moments.
        window_days: each task's window; the split's own window when not given.

    Raises:
        LeakageError: a training window reaches past the validation moment, the validation window
            past the test moment, the test window past the data's end, or the moments are out of
            order. The message names every one of them.
    """
    windows = {_LONGEST_TASK: split.window_us}
    if window_days is not None:
        windows = {task: days * DAY_US for task, days in window_days.items()}
    problems = [p for task, window in windows.items() for p in _problems(split, task, window)]
    if problems:
        raise LeakageError(
            "time split: expected windows that end before the next part begins, got "
            + "; ".join(problems)
            + ". Move the moments apart or shorten the windows."
        )


def _problems(split: TimeSplit, task: str, window: int) -> Iterator[str]:
    parts = [("training", at, "validation moment", split.valid) for at in split.train]
    parts += [
        ("validation", split.valid, "test moment", split.test),
        ("test", split.test, "data's end", split.data_end),
    ]
    for part, at, bound, limit in parts:
        if at + window > limit:
            yield (
                f"a {part} window of {task} from {iso(at)} to {iso(at + window)}, "
                f"past the {bound} {iso(limit)}"
            )


def _default_history(window_days: int) -> int:
    return max(window_days // 2, 1)


def _end(last: int) -> int:
    """The end of a log whose last event is at ``last``: the midnight after it, if that is near."""
    midnight = _midnight(last) + DAY_US
    return midnight if midnight - last <= HOUR_US else last + 1


def _midnight(moment: int) -> int:
    return moment // DAY_US * DAY_US


def _too_short(first: int, until: int, n_windows: int, window_days: int, history_days: int) -> str:
    """What to say when ``n_windows`` windows and the history do not fit before ``until``."""
    days = max(until - first, 0) // DAY_US
    needed = n_windows * window_days + history_days
    fitting = min((days - history_days) // n_windows, window_days - 1)
    advice = f"set window_days to {fitting} or less" if fitting > 0 else "bring a longer log"
    return (
        f"time split: expected at least {needed} whole days of log ({n_windows} x "
        f"{window_days} for the windows, {history_days} of history before them), got {days} from "
        f"{iso(first)} to {iso(until)}; {advice}."
    )
