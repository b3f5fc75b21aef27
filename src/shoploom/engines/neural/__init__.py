"""The joint model: one network that reads histories and answers every kind of question.

Only the settings are imported with this package; torch comes with the first fit or load.
"""

from shoploom.engines.neural.neural import Neural

__all__ = ["Neural"]
