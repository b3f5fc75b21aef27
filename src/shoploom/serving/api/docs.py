"""What routes add to the OpenAPI document: bodies that are read by hand, and how they fail."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from shoploom.serving.api.schemas import ErrorOut

_SAYS = {
    400: "no JSON",
    401: "no key, or one that does not work",
    403: "the key does not allow it",
    404: "nothing of that name",
    408: "the body came too slowly",
    413: "too large",
    415: "not JSON",
    422: "the request says something impossible",
    429: "too much at once; wait and send again",
    503: "the live store cannot be written; nothing was acknowledged",
}


def fails(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Responses of errors, those of keys and limits included."""
    both = sorted({401, 403, 429, *statuses})
    return {status: {"model": ErrorOut, "description": _SAYS[status]} for status in both}


def body(shape: Any, **examples: Any) -> dict[str, Any]:
    """A body of JSON with examples by name."""
    schema = TypeAdapter(shape).json_schema(ref_template="#/components/schemas/{model}")
    schema = _inline(schema, schema.pop("$defs", {}))
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": schema,
                    "examples": {name: {"value": value} for name, value in examples.items()},
                }
            },
        }
    }


def _inline(schema: Any, known: dict[str, Any]) -> Any:
    """The schema with what it refers to in place."""
    if isinstance(schema, dict):
        if name := schema.get("$ref"):
            return _inline(known[name.rsplit("/", 1)[1]], known)
        return {key: _inline(value, known) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_inline(each, known) for each in schema]
    return schema
