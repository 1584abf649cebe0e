"""JSON in and out of the database, and log records to and from rows.

Text is kept as UTF-8 JSON in which NUL is always the escape ``\\u0000``, so PostgreSQL, whose
text cannot hold the character, keeps it as SQLite does.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic_core import from_json

from freehold.core.events import EVENT, Record, wire
from freehold.core.state import SessionState

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def dumps(value: Any) -> str:
    """Compact JSON text.

    What has no UTF-8 form, a lone surrogate, becomes U+FFFD, and what is no number ``null``: an
    answer of a model or the output of a tool must not be able to stop a session.
    """
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # A lone surrogate, or an integer of more than 64 bits.
        return json.dumps(_mended(value), ensure_ascii=False, separators=(",", ":"))


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list | tuple):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def loads(text: str | bytes) -> Any:
    """The value of a JSON text; integers of any size stay exact."""
    return from_json(text)


def dump_state(state: SessionState) -> str:
    """The text that :func:`load_state` takes."""
    try:
        return state.model_dump_json()
    except ValueError:  # a lone surrogate
        return dumps(state.model_dump(mode="json"))


def load_state(text: str) -> SessionState:
    """The inverse of :func:`dump_state`."""
    return SessionState.model_validate_json(text)


def to_row(session_id: str, record: Record) -> dict[str, Any]:
    """A record as a row of ``session_events``; ``body`` is what clients get, byte for byte."""
    if record.public:
        body = dumps(wire(record.id, record.event, record.processed_at))
    else:
        body = dumps(record.event.model_dump(mode="json"))
    return {
        "session_id": session_id,
        "seq": record.seq,
        "id": record.id,
        "type": record.event.type,
        "public": record.public,
        "origin": record.origin,
        "processed_at": record.processed_at,
        "body": body,
        "private": None if record.private is None else dumps(record.private),
    }


def from_row(row: Mapping[str, Any]) -> Record:
    """The inverse of :func:`to_row`."""
    body = loads(row["body"])
    if row["public"]:
        del body["id"], body["processed_at"]
    return Record(
        seq=row["seq"],
        id=row["id"],
        processed_at=row["processed_at"],
        event=EVENT.validate_python(body),
        private=None if row["private"] is None else loads(row["private"]),
        origin=row["origin"],
    )
