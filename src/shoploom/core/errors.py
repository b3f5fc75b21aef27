"""The errors that a user of shoploom can meet.

Every message says, in this order: what was expected, what came, where, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ShoploomError(Exception):
    """The base of every error that is about the user's input rather than our mistake."""


class DataError(ShoploomError):
    """A file, table or column is not what it must be."""


class ConfigError(ShoploomError):
    """A setting is unknown or has an impossible value."""


class UnknownName(ConfigError):
    """A name is in no registry or list; the message suggests the nearest one that is."""

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = ""):
        self.kind, self.name, self.known = kind, name, sorted(known)
        message = f"no {kind} is named {name!r}{f' ({where})' if where else ''}"
        message += f"; the known ones are {', '.join(self.known) or 'none'}."
        if near := nearest(name, self.known):
            message += f" Did you mean {near!r}?"
        super().__init__(message)


class LeakageError(DataError):
    """A split or a feature would let the past see the future."""


class NotFitted(ShoploomError):
    """Something was asked before it had been trained or prepared."""


class PrivacyError(ShoploomError):
    """An operation would break consent, retention or erasure rules."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest in spelling to ``name``, or None when nothing is near."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None
