"""Engines answer dated questions; one file per engine."""

from shoploom.engines._once import fit_once, tune_once
from shoploom.engines.engine import (
    ENGINES,
    Contents,
    Engine,
    Explains,
    Exports,
    Fitted,
    Inputs,
    ItemContent,
    ItemCounts,
    Limited,
    Record,
    State,
    can_answer,
    load_state,
    save_state,
)
from shoploom.engines.space import Options, Space, Span, Tunable, setting, with_settings

__all__ = [
    "ENGINES",
    "Contents",
    "Engine",
    "Explains",
    "Exports",
    "Fitted",
    "Inputs",
    "ItemContent",
    "ItemCounts",
    "Limited",
    "Options",
    "Record",
    "Space",
    "Span",
    "State",
    "Tunable",
    "can_answer",
    "fit_once",
    "load_state",
    "save_state",
    "setting",
    "tune_once",
    "with_settings",
]
