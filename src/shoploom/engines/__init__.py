"""Engines answer dated questions; one file per engine."""

from shoploom.engines.engine import (
    ENGINES,
    Engine,
    Explains,
    Fitted,
    Inputs,
    Limited,
    State,
    can_answer,
    load_state,
    save_state,
)

__all__ = [
    "ENGINES",
    "Engine",
    "Explains",
    "Fitted",
    "Inputs",
    "Limited",
    "State",
    "can_answer",
    "load_state",
    "save_state",
]
