"""The rhythm of each user's events as a vector: how activity runs in time, and at which periods.

Two views of one series. In time: how much, how lately, in which weeks, how bursty, on which days
and hours, rising or fading. In frequency: the power spectrum of daily activity, its dominant
periods, and how much of it one period explains.

``sequences.statistics`` has statistics of similar meaning. Take those where each number must have a
name that people know, where money, orders and items count too, or where the log lies in a database
or on Spark: they are one SQL expression, and undefined values stay undefined. Take this encoder
where a rhythm is one input among others of a network or of a nearest-neighbour search: it takes any
dated series (the views of a user, the sales of an item, the viewers of a stream) as arrays that are
in memory already, always gives finite numbers of similar size, and sees the whole spectrum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError, DataError
from shoploom.core.progress import Progress, Quiet
from shoploom.core.time import DAY_US, HOUR_US, MINUTE_US, WEEK_US
from shoploom.encoders.encoder import ENCODERS, Encoded, Modality

_BLOCK = 4096  # users at once: their days fit into the cache of a core
_THURSDAY_US = 3 * DAY_US  # 1970 began on a Thursday, three days into the week
_WEEKDAYS, _QUARTERS = 7, 4
_WEEKS = 8
_LAGS_DAYS = (1, 2, 3, 7, 14, 28)
_MONTH_DAYS = 28
#: Periods of their own interest: half a week, a week, a fortnight, a month, a quarter.
_PERIODS_DAYS = (3.5, 7.0, 14.0, 30.4, 91.0)
_BANDS_DAYS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_DOMINANT = 3

Columns = dict[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Series:
    """Dated events by row, as a moment knows them; row ``u`` owns ``offsets[u]:offsets[u + 1]``.

    Attributes:
        offsets: ``(n + 1,)`` int64, from 0 to the number of events.
        times_us: ``(n_events,)`` int64 microseconds UTC, in any order within a row.
        until: the moment, microseconds UTC; events at or after it are not looked at.
        amounts: ``(n_events,)`` money or quantity of each event; NaN where unknown; None without.
    """

    offsets: NDArray[np.int64]
    times_us: NDArray[np.int64]
    until: int
    amounts: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        n = len(self.times_us)
        if not len(self.offsets) or self.offsets[0] != 0 or self.offsets[-1] != n:
            raise DataError(f"series: expected offsets from 0 to {n:,}, the number of events.")
        if (np.diff(self.offsets) < 0).any():
            raise DataError("series: expected offsets that never fall.")
        if self.amounts is not None and len(self.amounts) != n:
            raise DataError(f"series: expected {n:,} amounts, got {len(self.amounts):,}.")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: NDArray[np.integer]) -> Series:
        """The series of these rows, in that order."""
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        at = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths)
        amounts = None if self.amounts is None else self.amounts[at]
        return Series(offsets, self.times_us[at], self.until, amounts)


@ENCODERS.register("series")
@dataclass(frozen=True)
class SeriesEncoder:
    """Settings of rhythms. Counts and durations enter as logarithms, the rest lies in [-1, 1] or
    near it.

    Attributes:
        days: the daily series ends at the moment and is so long, in whole weeks. Older events
            count in totals and in gaps only.
    """

    days: int = 364

    modality: ClassVar[Modality] = "series"

    def __post_init__(self) -> None:
        if self.days < 56 or self.days % 7:
            raise ConfigError(
                f"encoder 'series': expected days of at least 56 in whole weeks, got {self.days}."
            )

    def fit(self, column: Sequence[Any] | Series, *, seed: int = 0) -> SeriesEncoder:
        """Itself: nothing is learned."""
        return self

    @property
    def identity(self) -> str:
        return f"series/1 days={self.days}"

    @property
    def dim(self) -> int:
        return len(self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """What each dimension is."""
        nobody = Series(np.zeros(1, np.int64), np.zeros(0, np.int64), 0)
        return tuple(_features(nobody, self.days))

    def encode(
        self, column: Sequence[Any] | Series, *, progress: Progress | None = None
    ) -> Encoded:
        """Vectors ``(n, dim)`` float32; zeros for rows without an event before the moment.

        Raises:
            DataError: the column is no ``Series``.
        """
        if not isinstance(column, Series):
            raise DataError(
                f"encoder 'series': expected a Series (offsets, times_us, until), "
                f"got {type(column).__name__}; see shoploom.encoders.series.Series."
            )
        vectors = np.zeros((len(column), self.dim), np.float32)
        present = np.zeros(len(column), bool)
        starts = range(0, len(column), _BLOCK)
        for start in (progress or Quiet()).track(starts, "series", total=len(starts)):
            block = _past(column, start, min(start + _BLOCK, len(column)))
            rows = np.flatnonzero(np.diff(block.offsets))
            if len(rows):
                features = _features(block.take(rows), self.days)
                vectors[start + rows] = np.stack(list(features.values()), axis=1)
                present[start + rows] = True
        return Encoded(vectors, present)


def _past(column: Series, start: int, end: int) -> Series:
    """Some rows with their events before the moment, in order of time."""
    low, high = column.offsets[start], column.offsets[end]
    lengths = np.diff(column.offsets[start : end + 1])
    times, row = column.times_us[low:high], np.repeat(np.arange(end - start), lengths)
    order = np.lexsort((times, row))
    order = order[times[order] < column.until]
    counts = np.bincount(row[order], minlength=end - start)
    amounts = None if column.amounts is None else column.amounts[low:high][order]
    return Series(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        times[order],
        column.until,
        amounts,
    )


@dataclass(frozen=True)
class _Events:
    """Events in order, with the row of each; every row has one at least."""

    n: int
    row: NDArray[np.int64]
    times: NDArray[np.int64]

    def total(self, values: Any = None, where: Any = slice(None)) -> NDArray[np.float64]:
        """``(n,)`` sums of a value of events by row; counts when None."""
        weights = None if values is None else values[where]
        return np.bincount(self.row[where], weights, minlength=self.n).astype(np.float64)


def _features(series: Series, days: int) -> Columns:
    n = len(series)
    row = np.repeat(np.arange(n), np.diff(series.offsets))
    events = _Events(n, row, series.times_us)
    age = (series.until - 1 - series.times_us) // DAY_US
    daily = np.zeros((n, days), np.float32)  # the last column is the day that ends at the moment
    near = age < days
    np.add.at(daily, (row[near], days - 1 - age[near]), 1.0)
    # Of the days before the first event nothing is known: they are no zeros.
    first = series.times_us[series.offsets[:-1]] if n else np.zeros(0, np.int64)
    tenure = (series.until - 1 - first) // DAY_US + 1
    alive = np.arange(days)[None, :] >= days - tenure[:, None]
    return {
        **_volume(series, events, daily, tenure),
        **_gaps(events),
        **_weeks(daily, tenure),
        **_lags(daily, alive),
        **_calendar(events),
        **_money(series, events, age),
        **_spectrum(daily, alive),
    }


# --- time -------------------------------------------------------------------------------------


def _volume(
    series: Series, events: _Events, daily: NDArray[np.float32], tenure: NDArray[np.int64]
) -> Columns:
    last = series.times_us[series.offsets[1:] - 1] if events.n else np.zeros(0, np.int64)
    active = (daily > 0).sum(axis=1)
    return {
        "events": np.log1p(events.total()),
        "active_days": np.log1p(active),
        "active_share": active / np.minimum(np.maximum(tenure, 1), daily.shape[1]),
        "recency_days": np.log1p((series.until - last) / DAY_US),
        "tenure_days": np.log1p(tenure),
    }


def _gaps(events: _Events) -> Columns:
    """Times between one event and the next.

    Burstiness is (std - mean) / (std + mean): -1 for a clock, 0 for a Poisson process, towards 1
    for bursts; memory is the correlation of a gap with the next (Goh and Barabasi, EPL 2008,
    equations 1 and 2).
    """
    inner = np.flatnonzero(np.diff(events.row) == 0)
    gaps = _Events(events.n, events.row[inner], events.times[inner])
    length = (events.times[inner + 1] - events.times[inner]) / MINUTE_US
    mean, std = _mean_std(gaps, length)
    log_mean, log_std = _mean_std(gaps, np.log1p(length))
    longest = np.zeros(events.n)
    np.maximum.at(longest, gaps.row, length)
    both = np.flatnonzero(np.diff(gaps.row) == 0)
    pairs = _Events(events.n, gaps.row[both], gaps.times[both])
    mean_a, std_a = _mean_std(pairs, length[both])
    mean_b, std_b = _mean_std(pairs, length[both + 1])
    of = pairs.row
    covariance = _ratio(
        pairs.total((length[both] - mean_a[of]) * (length[both + 1] - mean_b[of])), pairs.total()
    )
    return {
        "gap_mean": log_mean,
        "gap_std": log_std,
        "gap_longest": np.log1p(longest),
        "burstiness": _ratio(std - mean, std + mean),
        "memory": np.clip(_ratio(covariance, std_a * std_b), -1, 1),
    }


def _weeks(daily: NDArray[np.float32], tenure: NDArray[np.int64]) -> Columns:
    """The latest weeks, and where activity is heading."""
    n, days = daily.shape
    weekly = daily.reshape(n, days // 7, 7).sum(axis=2)
    weeks = weekly.shape[1]
    columns: Columns = {f"week_{k}": np.log1p(weekly[:, -1 - k]) for k in range(_WEEKS)}
    life = np.clip(-(-tenure // 7), 1, weeks)[:, None]
    age = np.arange(weeks)[::-1][None, :]
    level = np.log1p(weekly)
    own = age < life
    ages = np.where(own, age - (life - 1) / 2, 0)  # centred: ages of a life run from 0 to life - 1
    slope = -_ratio((level * ages).sum(axis=1), (ages * ages).sum(axis=1))
    recent = np.where(age < life / 2, weekly, 0).sum(axis=1)
    earlier = np.where(own & (age >= life / 2), weekly, 0).sum(axis=1)
    columns["trend_per_week"] = slope
    columns["second_half"] = _ratio(recent - earlier, recent + earlier)
    return columns


def _lags(daily: NDArray[np.float32], alive: NDArray[np.bool_]) -> Columns:
    """Autocorrelation of the daily series (Box and Jenkins, equation 2.1.5)."""
    centred = _centred(daily, alive)
    variance = (centred * centred).sum(axis=1)
    return {
        f"lag_{lag}d": _ratio((centred[:, lag:] * centred[:, :-lag]).sum(axis=1), variance)
        for lag in _LAGS_DAYS
    }


def _calendar(events: _Events) -> Columns:
    """Days of the week and hours of the day, UTC.

    Strength is the resultant length on the circle: 0 for any day alike, 1 for always the same
    (Mardia and Jupp, Directional Statistics, 2000, section 2.3). Night is midnight to six.
    """
    total = events.total()
    in_week, in_day = (events.times + _THURSDAY_US) % WEEK_US, events.times % DAY_US
    columns: Columns = {}
    weekday, quarter = in_week // DAY_US, in_day // (6 * HOUR_US)
    for day in range(_WEEKDAYS):
        columns[f"weekday_{day}"] = _ratio(events.total(None, weekday == day), total)
    for part, name in enumerate(("night", "morning", "afternoon", "evening")[:_QUARTERS]):
        columns[name] = _ratio(events.total(None, quarter == part), total)
    for name, place, period in (("weekly", in_week, WEEK_US), ("daily", in_day, DAY_US)):
        angle = place * (2 * math.pi / period)
        cos = _ratio(events.total(np.cos(angle)), total)
        sin = _ratio(events.total(np.sin(angle)), total)
        columns |= {f"{name}_cos": cos, f"{name}_sin": sin, f"{name}_strength": np.hypot(cos, sin)}
    return columns


def _money(series: Series, events: _Events, age: NDArray[np.int64]) -> Columns:
    names = ("amount_total", "amount_mean", "amount_std", "amount_lately")
    if series.amounts is None:
        return {name: np.zeros(events.n) for name in names}
    known = np.flatnonzero(np.isfinite(series.amounts))
    amounts = series.amounts[known].astype(np.float64)
    part = _Events(events.n, events.row[known], events.times[known])
    mean, std = _mean_std(part, _log(amounts))
    size = np.abs(amounts)
    lately = part.total(size, age[known] < _MONTH_DAYS)
    values = (_log(part.total(amounts)), mean, std, _ratio(lately, part.total(size)))
    return dict(zip(names, values, strict=True))


# --- frequency --------------------------------------------------------------------------------


def _spectrum(daily: NDArray[np.float32], alive: NDArray[np.bool_]) -> Columns:
    """The periodogram of daily activity, as shares of its whole.

    Square roots of counts have one variance whatever their mean (Bartlett 1936), so that one busy
    day does not fill the spectrum. Entropy is 1 for noise and falls as few periods explain all.
    """
    days = daily.shape[1]
    power = np.abs(np.fft.rfft(_centred(np.sqrt(daily), alive), axis=1)[:, 1:]) ** 2
    share = _ratio(power, power.sum(axis=1, keepdims=True))
    period = days / np.arange(1, share.shape[1] + 1)
    columns: Columns = {}
    for wanted in _PERIODS_DAYS:
        k = round(days / wanted) - 1
        columns[f"period_{wanted:g}d"] = share[:, max(k - 1, 0) : k + 2].sum(axis=1)
    for low, high in pairwise((*_BANDS_DAYS, math.inf)):
        columns[f"band_{low}d"] = share[:, (period >= low) & (period < high)].sum(axis=1)
    columns |= _dominant(share, period)
    known = share > 0
    logs = np.log(share, out=np.zeros_like(share), where=known)
    columns["spectral_entropy"] = -(share * logs).sum(axis=1) / math.log(share.shape[1])
    columns["spectral_centroid"] = (share * np.log2(period)).sum(axis=1) / math.log2(days)
    return columns


def _dominant(share: NDArray[np.float32], period: NDArray[np.float64]) -> Columns:
    """The highest peaks: their power, and their periods, as logarithms to the base of the days."""
    padded = np.pad(share, ((0, 0), (1, 1)))
    peaks = np.where((share >= padded[:, :-2]) & (share > padded[:, 2:]), share, 0)
    columns: Columns = {}
    rows = np.arange(len(share))
    for rank in range(_DOMINANT):
        at = peaks.argmax(axis=1)
        height = peaks[rows, at]
        columns[f"peak_{rank}_period"] = np.where(
            height > 0, np.log(period[at]) / math.log(period[0]), 0
        )
        columns[f"peak_{rank}_power"] = height
        peaks[rows, at] = 0
    return columns


# --- arithmetic -------------------------------------------------------------------------------


def _centred(daily: NDArray[np.float32], alive: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Deviations from the mean of a life; zeros before it began."""
    mean = _ratio(daily.sum(axis=1, keepdims=True), alive.sum(axis=1, keepdims=True))
    return np.where(alive, daily - mean, 0).astype(np.float32)


def _mean_std(
    events: _Events, values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    count = events.total()
    mean = _ratio(events.total(values), count)
    off = values - mean[events.row]
    return mean, np.sqrt(_ratio(events.total(off * off), count))


def _log(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of sizes that keep the sign."""
    return np.sign(amounts) * np.log1p(np.abs(amounts))


def _ratio(part: Any, whole: Any) -> Any:
    """The quotient; zero where the whole is zero."""
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole != 0)
