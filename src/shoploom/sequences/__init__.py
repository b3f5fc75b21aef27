"""Events to ragged histories and statistics of users, always as of a moment."""

from shoploom.sequences.categories import CategoryStatistics, category_statistics
from shoploom.sequences.live_statistics import category_statistics_of, statistics_of
from shoploom.sequences.sequences import sequence_table, user_sequences
from shoploom.sequences.statistics import statistics_table, user_statistics
from shoploom.sequences.types import UserSequences, UserStatistics
from shoploom.sequences.user_events import UserEvents, user_events
from shoploom.sequences.views import views

__all__ = [
    "CategoryStatistics",
    "UserEvents",
    "UserSequences",
    "UserStatistics",
    "category_statistics",
    "category_statistics_of",
    "sequence_table",
    "statistics_of",
    "statistics_table",
    "user_events",
    "user_sequences",
    "user_statistics",
    "views",
]
