"""What goes on right now: counts of the last minutes, what stands out, what drifts."""

from shoploom.serving.watch.alerts import Alert, alerts_of
from shoploom.serving.watch.drift import Drift, drift_of, psi, reference_of
from shoploom.serving.watch.rolling import Rolling, Snapshot
from shoploom.serving.watch.watcher import Moods, Watcher

__all__ = [
    "Alert",
    "Drift",
    "Moods",
    "Rolling",
    "Snapshot",
    "Watcher",
    "alerts_of",
    "drift_of",
    "psi",
    "reference_of",
]
