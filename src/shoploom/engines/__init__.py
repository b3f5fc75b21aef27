"""Engines answer dated questions; one file per engine."""

from shoploom.engines._once import fit_once, tune_once
from shoploom.engines.engine import (
    ENGINES,
    Engine,
    Explains,
    Exports,
    Fitted,
    Inputs,
    ItemContent,
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
    "Exports",
    "Fitted",
    "Inputs",
    "ItemContent",
    "Limited",
    "State",
    "can_answer",
    "fit_once",
    "load_state",
    "save_state",
    "tune_once",
]
