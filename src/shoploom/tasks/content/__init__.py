"""What a shop's texts say: one file per question about a text."""

from shoploom.tasks.content.readings import READINGS, Examples, Reading, make_reading

__all__ = ["READINGS", "Examples", "Reading", "make_reading"]
