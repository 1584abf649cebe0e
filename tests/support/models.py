"""A scripted or hand-made Messages API on loopback, and the few words to talk to a model."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from freehold.models.scripted.http import App, ScriptedHttp
from freehold.models.scripted.model import ScriptedModel
from freehold.ports.model import Model, ModelEvent, ModelRequest, ModelResponse

KEY = "sk-ant-secret-0123456789"
MODEL = "claude-opus-5-5"


class Recorder(ScriptedHttp):
    """A scripted provider that remembers the bodies and headers of what it was asked."""

    def __init__(self, model: ScriptedModel | None = None) -> None:
        super().__init__(model)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        parts: list[bytes] = []
        recorded = False

        async def heard() -> Any:
            nonlocal recorded
            message = await receive()
            parts.append(message.get("body", b""))
            if not recorded and not message.get("more_body", False):
                # Before the answer: who has that finds the request here.
                recorded = True
                self.headers.append({k.decode(): v.decode() for k, v in scope["headers"]})
                self.bodies.append(json.loads(b"".join(parts)))
            return message

        await super().__call__(scope, heard, send)


@contextmanager
def served(app: App) -> Iterator[str]:
    """The application on a loopback port, by a real HTTP server in its own thread."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def says(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def results(response: ModelResponse, text: str = "fine", **extra: Any) -> dict[str, Any]:
    return {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": block["id"],
                "content": [{"type": "text", "text": text}],
                **extra,
            }
            for block in response.content
            if block["type"] == "tool_use"
        ],
    }


def asking(*messages: dict[str, Any], model: str = MODEL, **more: Any) -> ModelRequest:
    return ModelRequest(model=model, messages=list(messages), **more)


async def sample(model: Model, request: ModelRequest) -> list[ModelEvent]:
    return [event async for event in model.stream(request)]


async def respond(model: Model, *messages: dict[str, Any]) -> ModelResponse:
    last = (await sample(model, asking(*messages)))[-1]
    assert isinstance(last, ModelResponse)
    return last
