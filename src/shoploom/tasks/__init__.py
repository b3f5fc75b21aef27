"""Dated questions about users, one file per question."""

from shoploom.tasks.questions import (
    TASKS,
    Answers,
    Kind,
    Questions,
    Ragged,
    Task,
    concatenate,
    make_task,
    window_us,
)

__all__ = [
    "TASKS",
    "Answers",
    "Kind",
    "Questions",
    "Ragged",
    "Task",
    "concatenate",
    "make_task",
    "window_us",
]
