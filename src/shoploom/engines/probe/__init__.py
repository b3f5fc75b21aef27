"""A small fixed head on a frozen representation: what does z know without further training?

Only the settings are imported with this package; torch comes with the first fit or load.
"""

from shoploom.engines.probe.probe import Probe

__all__ = ["Probe"]
