"""Events to ragged histories and statistics of users, always as of a moment."""

from shoploom.sequences.types import UserSequences, UserStatistics

__all__ = ["UserSequences", "UserStatistics"]
