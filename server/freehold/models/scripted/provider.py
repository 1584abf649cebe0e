"""The scripted provider's HTTP side without a network between: its answers as they are made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from freehold.errors import ModelError
from freehold.models.scripted.http import Message, ScriptedHttp
from freehold.models.scripted.model import ScriptedModel
from freehold.ports.model import Relayed


class ScriptedProvider(ScriptedModel):
    """The scripted model with the whole of its API: it takes clients' own requests as well."""

    async def relay(self, path: str, body: bytes, headers: Mapping[str, str]) -> Relayed:
        """Answer as over HTTP; see :meth:`freehold.ports.model.Relay.relay`."""
        return await _relay(self, path, body, headers)


async def _relay(
    model: ScriptedModel, path: str, body: bytes, headers: Mapping[str, str]
) -> Relayed:
    said: asyncio.Queue[Message | None] = asyncio.Queue()

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def serve() -> None:
        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": path.partition("?")[0],
            "headers": [(b"x-api-key", b"freehold")]
            + [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        try:
            await ScriptedHttp(model)(scope, receive, said.put)
        finally:
            said.put_nowait(None)

    serving = asyncio.create_task(serve(), name="scripted relay")

    async def close() -> None:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    start = await said.get()
    if start is None:
        await close()
        raise ModelError("connection", "the scripted model hung up")
    return Relayed(
        status=start["status"],
        headers=[(name.decode(), value.decode()) for name, value in start["headers"]],
        body=_body(said),
        close=close,
    )


async def _body(said: asyncio.Queue[Message | None]) -> AsyncIterator[bytes]:
    while (message := await said.get()) is not None:
        if message["body"]:
            yield message["body"]
        if not message.get("more_body", False):
            return
    raise ModelError("connection", "the scripted model hung up in the middle of its answer")
