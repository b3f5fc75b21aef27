"""One error body for everything, and one place that says which status an error has."""

from __future__ import annotations

from typing import Any

from shoploom.core.errors import (
    ConfigError,
    DataError,
    NotFitted,
    PrivacyError,
    ShoploomError,
    UnknownName,
)
from shoploom.serving.predictor import NotThere, UnknownUser
from shoploom.serving.store import StoreError
from shoploom.serving.writer import Overloaded


class HttpError(ShoploomError):
    """An error that belongs to HTTP alone."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: list[Any] | None = None,
        headers: dict[str, str] | None = None,
    ):
        self.status, self.code = status, code
        self.details, self.headers = details or [], headers or {}
        super().__init__(message)


#: The first that fits counts.
_STATUS: tuple[tuple[type[Exception], int, str], ...] = (
    (Overloaded, 429, "overloaded"),
    (StoreError, 503, "store_unavailable"),
    (UnknownUser, 404, "unknown_user"),
    (NotThere, 404, "not_available"),
    (NotFitted, 404, "not_available"),
    (PrivacyError, 403, "private"),
    (UnknownName, 404, "unknown_name"),
    (ConfigError, 422, "bad_request"),
    (DataError, 422, "bad_request"),
)

_HIDDEN = "something went wrong on our side; the log has it under this request id."


def as_http(error: Exception) -> HttpError:
    """What a caller is told; of our own mistakes nothing but that there was one."""
    if isinstance(error, HttpError):
        return error
    for kind, status, code in _STATUS:
        if isinstance(error, kind):
            wait = {"retry-after": "1"} if status in (429, 503) else None
            return HttpError(status, code, str(error), headers=wait)
    return HttpError(500, "internal", _HIDDEN)


def body_of(error: HttpError, request_id: str) -> dict[str, Any]:
    """The one shape of errors."""
    return {
        "error": {
            "code": error.code,
            "message": str(error),
            "details": error.details,
            "request_id": request_id,
        }
    }
