"""HTTP: what comes in is checked once, what goes out has one shape, errors too."""

from shoploom.serving.api.app import make_app

__all__ = ["make_app"]
