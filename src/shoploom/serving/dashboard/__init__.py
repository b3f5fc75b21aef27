"""The dashboard: pages made on the server, moved by htmx, drawn by ECharts, all of it our own."""

from shoploom.serving.dashboard.routes import routes

__all__ = ["routes"]
