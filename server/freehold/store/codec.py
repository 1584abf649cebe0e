"""JSON in and out of the database, and log records to and from rows.

Text is kept as UTF-8 JSON in which NUL is always the escape ``\\u0000``, so PostgreSQL, whose
text cannot hold the character, keeps it as SQLite does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

from freehold.core.events import EVENT, Record, wire
from freehold.core.state import SessionState

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def dumps(value: Any) -> str:
    """Compact JSON text.

    What has no UTF-8 form, a lone surrogate, becomes U+FFFD: an answer of a model or the output
    of a tool must not be able to stop a session.
    """
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # A lone surrogate, or an integer of more than 64 bits.
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return _LONE_SURROGATE.sub("\ufffd", text)


def loads(text: str | bytes) -> Any:
    """The value of a JSON text."""
    return orjson.loads(text)


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
        body = dumps(record.event.model_dump(mode="json", exclude_none=True))
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
    body = orjson.loads(row["body"])
    if row["public"]:
        del body["id"], body["processed_at"]
    return Record(
        seq=row["seq"],
        id=row["id"],
        processed_at=row["processed_at"],
        event=EVENT.validate_python(body),
        private=None if row["private"] is None else orjson.loads(row["private"]),
        origin=row["origin"],
    )
