"""What hostile requests are made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
KEY = {"x-api-key": "test", "anthropic-beta": "managed-agents-2026-04-01"}
HOOKS = {**KEY, "anthropic-beta": "webhooks-2026-10-07"}
PLAIN = {"x-api-key": "test"}
ADMIN = {"x-api-key": "@admin@"}


@dataclass(frozen=True)
class Hostile:
    """A request."""

    name: str
    method: str = "GET"
    path: str = "/v1/agents"
    body: bytes | Callable[[], bytes] | None = None
    """Long ones are made when they are needed."""
    headers: Mapping[str, str] = field(default_factory=lambda: KEY)
    raw: bytes | None = None
    """The whole request, where it is not one that a client would make."""
    status: int | None = None
    """What it must be answered with, where not any 4xx will do."""

    def request(self) -> bytes:
        """The bytes that are sent."""
        if self.raw is not None:
            return self.raw
        body = self.body() if callable(self.body) else self.body
        lines = [f"{self.method} {self.path} HTTP/1.1", "host: x", "connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if body is not None:
            lines.append(f"content-length: {len(body)}")
        head = "\r\n".join([*lines, "", ""]).encode()
        return head + (body or b"")


def post(
    name: str,
    path: str,
    body: Any,
    headers: Mapping[str, str] = KEY,
    content_type: str = JSON,
) -> Hostile:
    """A POST of JSON, or of bytes that only say that they are."""
    made = isinstance(body, bytes) or callable(body)
    sent = body if made else json.dumps(body).encode()
    return Hostile(name, "POST", path, sent, {**headers, "content-type": content_type})


def get(name: str, path: str, headers: Mapping[str, str] = KEY) -> Hostile:
    return Hostile(name, "GET", path, None, headers)


def raw(name: str, text: bytes | str) -> Hostile:
    """Bytes as they go over the wire."""
    return Hostile(name, raw=text.encode("latin-1") if isinstance(text, str) else text)
