"""Moments and durations: int64 microseconds since 1970, always UTC.

One integer type keeps DuckDB, Spark and numpy in exact agreement, which no timestamp type does.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from shoploom.core.errors import ConfigError

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
WEEK_US = 7 * DAY_US


def to_us(moment: str | date | datetime | int) -> int:
    """The moment as microseconds since 1970 UTC.

    Text is ISO 8601; without an offset it is read as UTC, and a bare date means its midnight.
    An int is taken to be microseconds already.

    Raises:
        ConfigError: the text is no ISO 8601 moment.

    >>> to_us("1970-01-02")
    86400000000
    """
    if isinstance(moment, int):
        return moment
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise ConfigError(
                f"expected a moment such as 2017-12-01 or 2017-12-01T08:30:00+08:00, "
                f"got {moment!r}."
            ) from None
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * SECOND_US + delta.microseconds


def from_us(us: int) -> datetime:
    """The aware UTC datetime of a microsecond count."""
    return datetime.fromtimestamp(int(us) // SECOND_US, tz=UTC).replace(
        microsecond=int(us) % SECOND_US
    )


def iso(us: int) -> str:
    """``2017-12-01`` for a midnight, else ``2017-12-01T08:30:00Z``."""
    moment = from_us(us)
    if us % DAY_US == 0:
        return moment.date().isoformat()
    return moment.isoformat().replace("+00:00", "Z")
