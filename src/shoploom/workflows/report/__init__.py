"""The report: what the run found, as one HTML file that a shop's owner can read and keep."""

from shoploom.workflows.report.data import ReportData
from shoploom.workflows.report.findings import findings, verdict
from shoploom.workflows.report.insights import at_risk, insights
from shoploom.workflows.report.render import render_report, report_html

__all__ = [
    "ReportData",
    "at_risk",
    "findings",
    "insights",
    "render_report",
    "report_html",
    "verdict",
]
