"""One line for each request, written when its response is complete."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from freehold.telemetry.logs import bound, get_logger

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_QUIET_PATHS = frozenset({"/healthz", "/readyz"})
"""Probes ask every few seconds; they are logged only when they fail."""

_log = get_logger("freehold.access")


class AccessLog:
    """ASGI middleware: logs method, path, status, duration in seconds and the request's id.

    The query string is left out: clients put cursors and ids there, and some put keys. Being
    plain ASGI it stands in no stream's way.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        request_id: str | None = None
        started = time.perf_counter()

        async def observe(message: Message) -> None:
            nonlocal status, request_id
            if message["type"] == "http.response.start":
                status = message["status"]
                for name, value in message.get("headers", ()):
                    if name.lower() == b"request-id":
                        request_id = value.decode("latin-1")
            await send(message)

        try:
            await self._app(scope, receive, observe)
        finally:
            if not (scope["path"] in _QUIET_PATHS and 200 <= status < 300):
                with bound(**({"request_id": request_id} if request_id else {})):
                    _log.info(
                        "request",
                        method=scope["method"],
                        path=scope["path"],
                        status=status,
                        duration=round(time.perf_counter() - started, 6),
                    )
