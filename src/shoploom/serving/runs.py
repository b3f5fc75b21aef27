"""Which run answers: put in charge, taken back, and every such step on record."""

from __future__ import annotations

from pathlib import Path

from shoploom.core.errors import DataError
from shoploom.serving.bundle import check_run
from shoploom.serving.store import Audited, Store

#: Settings of the store: the run folder in charge, the one before it, the last comparison.
IN_CHARGE, BEFORE, SHADOW = "run", "run_before", "shadow"

PROMOTED, ROLLED_BACK, COMPARED = "promote", "roll back", "shadow"
_STEPS = (PROMOTED, ROLLED_BACK, COMPARED)
_SHOWN = 200


def promote(store: Store, folder: Path, *, current: Path, by: str) -> None:
    """Put a run in charge; servers take it within seconds.

    Args:
        store: of the servers.
        folder: of the new run.
        current: the run that is in charge where none was ever promoted.
        by: who asks.

    Raises:
        NotFitted: the folder holds no trained run.
    """
    check_run(folder)
    store.put(BEFORE, store.get(IN_CHARGE) or str(current.absolute()))
    store.put(IN_CHARGE, str(folder.absolute()))
    note(store, PROMOTED, str(folder.absolute()), by, "done")


def roll_back(store: Store, *, by: str) -> Path:
    """Put the run before the last promotion back in charge; which one that is.

    Raises:
        DataError: none was ever promoted.
        NotFitted: its folder is gone.
    """
    before, current = store.get(BEFORE), store.get(IN_CHARGE)
    if before is None or current is None:
        raise DataError("expected a promoted run to go back from, none was ever promoted.")
    check_run(before)
    store.put(IN_CHARGE, before)
    store.put(BEFORE, current)
    note(store, ROLLED_BACK, before, by, "done")
    return Path(before)


def note(store: Store, action: str, target: str, by: str, outcome: str) -> None:
    """Put a step on record."""
    store.audit([Audited.now(by, action, target, outcome)])


def deployments(store: Store) -> list[Audited]:
    """Steps on record, newest first."""
    return store.audited(_SHOWN, _STEPS)
