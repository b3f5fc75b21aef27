"""Events to ragged histories and statistics of users, always as of a moment."""

from shoploom.sequences.categories import CategoryStatistics, category_statistics
from shoploom.sequences.sequences import sequence_table, user_sequences
from shoploom.sequences.statistics import statistics_table, user_statistics
from shoploom.sequences.types import UserSequences, UserStatistics
from shoploom.sequences.views import views

__all__ = [
    "CategoryStatistics",
    "UserSequences",
    "UserStatistics",
    "category_statistics",
    "sequence_table",
    "statistics_table",
    "user_sequences",
    "user_statistics",
    "views",
]
