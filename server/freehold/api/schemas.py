"""What the resources' schemas share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from freehold.core import limits, times

Timestamp = Annotated[
    datetime,
    PlainSerializer(times.render, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""RFC 3339 UTC with microseconds and ``Z`` (spec 0.2)."""

_BAG = {
    "maxProperties": limits.METADATA_ENTRIES,
    "propertyNames": {"minLength": 1, "maxLength": limits.METADATA_KEY},
}
_VALUE = {"type": "string", "maxLength": limits.METADATA_VALUE}

# The limits are for the bag as it would be stored, so they are checked after the merge.
Metadata = Annotated[
    dict[str, str], WithJsonSchema({"type": "object", "additionalProperties": _VALUE, **_BAG})
]
MetadataPatch = Annotated[
    dict[str, str | None],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"anyOf": [_VALUE, {"type": "null"}]},
            "propertyNames": _BAG["propertyNames"],
        }
    ),
]


class Shown(BaseModel):
    """An answer, or part of one. A field that was never set is left out of the JSON."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ErrorBody(BaseModel):
    """What went wrong."""

    type: Literal[
        "invalid_request_error",
        "authentication_error",
        "permission_error",
        "not_found_error",
        "conflict_error",
        "memory_path_conflict_error",
        "memory_precondition_failed_error",
        "request_too_large",
        "rate_limit_error",
        "api_error",
        "overloaded_error",
    ]
    message: str
    details: dict[str, Any] = Field(default_factory=dict)
    """Often has a string ``error_code``."""
    conflicting_memory_id: str = ""
    conflicting_path: str = ""
    """Only of ``memory_path_conflict_error``."""


class ErrorEnvelope(BaseModel):
    """Every answer that is not a success."""

    type: Literal["error"]
    error: ErrorBody
    request_id: str | None
