"""What a shop's own history says, before any prediction: money, rhythm, loyalty, best sellers.

Whatever touches events is an aggregate by the tables' own backend; one row per order at most
reaches numpy. Nothing at or after the asked moment is looked at. It knows nothing of HTML or
language.
"""

from shoploom.workflows.report.insights.everything import insights
from shoploom.workflows.report.insights.risk import at_risk

__all__ = ["at_risk", "insights"]
