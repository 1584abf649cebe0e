"""The scripted provider over HTTP: a Messages API for any client, offline.

``python -m freehold.models.scripted.http --port 8788`` serves ``POST /v1/messages`` (streamed and
not), ``POST /v1/messages/count_tokens`` and ``GET /v1/models``, with the API's error envelopes and
statuses. ``--instant TEXT`` answers every message at once with the same text and reads no request:
a yardstick for what a client costs.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import orjson
import uvicorn

from freehold.core.events import Json, ModelUsage
from freehold.core.model_catalog import KNOWN_MODELS
from freehold.errors import ConfigurationError, ModelError
from freehold.models.scripted import tokens
from freehold.models.scripted.model import Answer, ScriptedModel
from freehold.models.scripted.moments import as_blocks
from freehold.models.scripted.wire import STATUS, events, frame, message_object, model_info
from freehold.models.scripted.yaml_script import YamlScript
from freehold.ports.model import ModelRequest

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

DEFAULT_PORT = 8788


class _HttpError(Exception):
    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type


class _Broken(Exception):
    """The connection is to be dropped without an end."""


class ScriptedHttp:
    """An ASGI application that answers as ``model`` does.

    Args:
        model: the scripted provider.
        api_key: the only key taken, as bearer token or ``x-api-key``; None takes any that is not
            empty.
    """

    def __init__(self, model: ScriptedModel | None = None, *, api_key: str | None = None) -> None:
        self._model = model or ScriptedModel()
        self._api_key = api_key
        self._served = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"no such protocol here: {scope['type']}")
        self._served += 1
        answer = _Response(send, f"req_scripted{self._served:08d}")
        try:
            await self._route(scope, receive, answer)
        except _HttpError as err:
            await answer.error(err.status, err.error_type, str(err))
        except _Broken:
            # Returning with the answer unfinished makes the server cut the connection.
            return

    async def _route(self, scope: Scope, receive: Receive, answer: _Response) -> None:
        self._authenticate(scope)
        method, path = scope["method"], scope["path"].rstrip("/")
        if path == "/v1/messages" and method == "POST":
            body = await _json_body(receive)
            await self._messages(body, answer)
        elif path == "/v1/messages/count_tokens" and method == "POST":
            body = await _json_body(receive)
            await answer.json(200, {"input_tokens": tokens.input_tokens(_request(body))})
        elif path == "/v1/models" and method == "GET":
            data = [model_info(name) for name in KNOWN_MODELS]
            page = {"data": data, "has_more": False}
            page |= {"first_id": data[0]["id"], "last_id": data[-1]["id"]}
            await answer.json(200, page)
        elif path.startswith("/v1/models/") and method == "GET":
            await answer.json(200, model_info(path.removeprefix("/v1/models/")))
        elif path in {"/v1/messages", "/v1/messages/count_tokens", "/v1/models"}:
            raise _HttpError(405, "invalid_request_error", "Method Not Allowed")
        else:
            raise _HttpError(404, "not_found_error", "Not found")

    def _authenticate(self, scope: Scope) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        scheme, _, bearer = headers.get(b"authorization", "").partition(" ")
        key = bearer.strip() if scheme.lower() == "bearer" else ""
        key = key or headers.get(b"x-api-key", "").strip()
        if not key:
            raise _HttpError(401, "authentication_error", "x-api-key header is required")
        if self._api_key is not None and key != self._api_key:
            raise _HttpError(401, "authentication_error", "invalid x-api-key")

    async def _messages(self, body: Json, answer: _Response) -> None:
        request = _request(body)
        max_tokens = body.get("max_tokens")
        if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 0:
            raise _HttpError(
                400, "invalid_request_error", "max_tokens: a whole number, 0 or more, is required"
            )
        try:
            result = await self._model.answer(request)
        except ModelError as err:
            status, error_type = STATUS.get(err.kind, (500, "api_error"))
            raise _HttpError(status, error_type, err.message) from None
        message_id = _message_id(request)
        if body.get("stream"):
            await _stream(result, request.model, message_id, answer)
        else:
            await _whole(result, request.model, message_id, answer)


class InstantHttp:
    """An ASGI application that answers every POST at once with the same text, unread."""

    def __init__(self, text: str = "OK") -> None:
        answer = Answer(
            content=[{"type": "text", "text": text}],
            stop_reason="end_turn",
            usage=ModelUsage(input_tokens=1, output_tokens=1),
        )
        played = events(answer, "instant", "msg_instant")
        self._streamed = b"".join(map(frame, played))
        self._whole = orjson.dumps(message_object(answer, "instant", "msg_instant"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["method"] == "GET":
            answer = _Response(send, "req_instant")
            await answer.json(200, {"data": [], "has_more": False})
            return
        streamed = False
        try:
            async for chunk in _chunks(receive):
                streamed = streamed or b'"stream":true' in chunk or b'"stream": true' in chunk
        except _Broken:
            return
        kind = b"text/event-stream" if streamed else b"application/json"
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]}
        )
        await send(
            {"type": "http.response.body", "body": self._streamed if streamed else self._whole}
        )


class _Response:
    """The answer to one HTTP request."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id = request_id

    async def start(self, status: int, headers: dict[str, str]) -> None:
        sent = {**headers, "request-id": self._id}
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            }
        )

    async def body(self, chunk: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        content = orjson.dumps(value)
        sent = {"content-type": "application/json", "content-length": str(len(content))}
        await self.start(status, {**sent, **(headers or {})})
        await self.body(content, more=False)

    async def error(
        self, status: int, error_type: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        error = {"type": error_type, "message": message}
        envelope = {"type": "error", "error": error, "request_id": self._id}
        await self.json(status, envelope, headers)


async def _stream(result: Answer, model: str, message_id: str, answer: _Response) -> None:
    failure = result.failure
    if failure is not None and failure.kind != "connection" and not failure.partial:
        await _fail(result, answer)
        return
    await answer.start(200, {"content-type": "text/event-stream; charset=utf-8"})
    for event in events(result, model, message_id):
        await answer.body(frame(event), more=True)
    if failure is None:
        await answer.body(b"", more=False)
        return
    if failure.kind == "connection":
        raise _Broken
    error = {"type": STATUS[failure.kind][1], "message": failure.message}
    await answer.body(frame({"type": "error", "error": error}), more=False)


async def _whole(result: Answer, model: str, message_id: str, answer: _Response) -> None:
    if result.failure is None:
        await answer.json(200, message_object(result, model, message_id))
    elif result.failure.kind == "connection":
        await answer.start(200, {"content-type": "application/json", "content-length": "1000"})
        raise _Broken
    else:
        await _fail(result, answer)


async def _fail(result: Answer, answer: _Response) -> None:
    failure = result.failure
    if failure is None or failure.kind == "connection":
        raise _Broken
    status, error_type = STATUS[failure.kind]
    headers = {}
    if failure.retry_after is not None:
        headers["retry-after"] = f"{failure.retry_after:g}"
    await answer.error(status, error_type, failure.message, headers)


def _request(body: Json) -> ModelRequest:
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise _HttpError(400, "invalid_request_error", "model: Field required")
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise _HttpError(400, "invalid_request_error", "messages: Field required")
    for index, message in enumerate(messages):
        _check_message(index, message)
    config = body.get("output_config") or {}
    return ModelRequest(
        model=body["model"],
        messages=[{**each, "content": _unmarked(each["content"])} for each in messages],
        system=_unmarked(as_blocks(body["system"])) if body.get("system") else [],
        tools=_unmarked(body.get("tools") or []),
        effort=config.get("effort") if isinstance(config, dict) else None,
        speed=body.get("speed"),
        inference_geo=body.get("inference_geo"),
    )


def _unmarked(blocks: Any) -> Any:
    """Without cache breakpoints, which are no part of what a request says."""
    if not isinstance(blocks, list):
        return blocks
    return [
        {name: value for name, value in block.items() if name != "cache_control"}
        if "cache_control" in block
        else block
        for block in blocks
    ]


def _check_message(index: int, message: object) -> None:
    fault = f"messages.{index}: an object with `role` and `content` is required"
    if not isinstance(message, dict):
        raise _HttpError(400, "invalid_request_error", fault)
    content = message.get("content")
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise _HttpError(400, "invalid_request_error", fault)
    needs = {
        "text": ("text",),
        "tool_use": ("id", "name", "input"),
        "tool_result": ("tool_use_id",),
        "thinking": ("thinking",),
    }
    for position, block in enumerate(content):
        place = f"messages.{index}.content.{position}"
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise _HttpError(400, "invalid_request_error", f"{place}.type: Field required")
        for name in needs.get(block["type"], ()):
            if name not in block:
                raise _HttpError(400, "invalid_request_error", f"{place}.{name}: Field required")


def _message_id(request: ModelRequest) -> str:
    seed = orjson.dumps([len(request.messages), request.messages[-1:]])
    return "msg_" + hashlib.blake2b(seed, digest_size=12).hexdigest()


async def _json_body(receive: Receive) -> Json:
    content = b"".join([chunk async for chunk in _chunks(receive)])
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as err:
        raise _HttpError(
            400, "invalid_request_error", f"The request body is not valid JSON: {err}"
        ) from None
    if not isinstance(value, dict):
        raise _HttpError(400, "invalid_request_error", "The request body must be a JSON object")
    return value


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Broken
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def main(arguments: list[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m freehold.models.scripted.http")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--script", type=Path, help="YAML script; default: the built-in script")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument("--api-key", help="the only key taken; default: any")
    parser.add_argument("--instant", metavar="TEXT", help="answer everything with TEXT at once")
    options = parser.parse_args(arguments)
    app: App
    if options.instant is not None:
        app = InstantHttp(options.instant)
    else:
        try:
            script = YamlScript.load(options.script) if options.script else None
        except ConfigurationError as err:
            parser.error(str(err))
        app = ScriptedHttp(ScriptedModel(script, latency=options.latency), api_key=options.api_key)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
