"""JSON answers, made by orjson once and sent as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.responses import Response


def json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer of plain JSON values."""
    return Response(
        orjson.dumps(content), status_code=status, headers=headers, media_type="application/json"
    )


def shown(model: BaseModel) -> Response:
    """One object. A field that was not set is left out; one set to ``None`` is ``null``."""
    return Response(
        model.model_dump_json(exclude_unset=True).encode(), media_type="application/json"
    )


def page(
    data: Sequence[BaseModel],
    next_page: str | None,
    prev_page: str | None = None,
    *,
    null_at_end: bool = False,
    more: Mapping[str, Any] | None = None,
) -> Response:
    """A page of a list. Without a next page the key is left out, or ``null`` (spec 1.8)."""
    return spliced(
        [item.model_dump_json(exclude_unset=True).encode() for item in data],
        next_page,
        prev_page,
        null_at_end=null_at_end,
        more=more,
    )


def spliced(
    data: Sequence[bytes],
    next_page: str | None,
    prev_page: str | None = None,
    *,
    null_at_end: bool = False,
    more: Mapping[str, Any] | None = None,
) -> Response:
    """A page of objects that are JSON already; ``more`` are fields beside ``data``."""
    parts = [b'{"data":[', b",".join(data), b"]"]
    for name, value in (more or {}).items():
        parts.append(b"," + orjson.dumps(name) + b":" + orjson.dumps(value))
    if next_page is not None or null_at_end:
        parts.append(b',"next_page":' + orjson.dumps(next_page))
    if prev_page is not None:
        parts.append(b',"prev_page":' + orjson.dumps(prev_page))
    parts.append(b"}")
    return Response(b"".join(parts), media_type="application/json")
