"""A scripted Messages API that stops in the middle of an answer until it is told to go on."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from freehold.models.scripted.http import ScriptedHttp
from tests.support.models import served

_GATE = re.compile(rb"gate-[0-9a-f]{8}")


class PacedHttp:
    """Answers as the built-in script does; whoever says ``gate-…`` waits there to be let through.

    ``POST /control/open?gate=…`` opens a gate.
    """

    def __init__(self) -> None:
        self._inner = ScriptedHttp()
        self._open: set[str] = set()
        self._all = False

    def open_all(self) -> None:
        """Hold nobody any more."""
        self._all = True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/control/open":
            self._open.update(parse_qs(scope["query_string"].decode())["gate"])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return

        async def paced(message: Any) -> None:
            await send(message)
            body = message.get("body", b"")
            if b"content_block_delta" in body and (found := _GATE.search(body)):
                while not self._all and found[0].decode() not in self._open:
                    await asyncio.sleep(0.01)

        await self._inner(scope, receive, paced)


@contextlib.contextmanager
def paced_upstream() -> Iterator[str]:
    """The server's URL, until the block ends."""
    app = PacedHttp()
    with served(app) as url:
        yield url
        app.open_all()
