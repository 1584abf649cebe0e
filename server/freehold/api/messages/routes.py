"""``/v1/messages``: for clients that also talk to models themselves, under one base URL.

Their key opens Freehold; the request goes on with the server's own. Apart from the model's name,
which the table of routes may change, bodies and answers pass as they are, errors and streams too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from freehold.api import requests
from freehold.api.deps import services
from freehold.api.openapi import operation
from freehold.errors import ApiError, InvalidRequest, ModelError, NotSupported, Overloaded
from freehold.ports.model import Relay, Relayed

router = APIRouter(prefix="/v1/messages", tags=["messages"])

ANTHROPIC_VERSION = "2023-06-01"

_KEPT = frozenset({"content-type", "content-length", "content-encoding", "retry-after"})
_KEPT_PREFIXES = ("anthropic-ratelimit-", "x-should-retry", "retry-after-ms")


class PassedOn(BaseModel):
    """A request of the Messages API, which describes itself; its schema is not repeated here."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(min_length=1)


def _operation(summary: str, *more: str) -> dict[str, Any]:
    described = operation(summary, None, body=PassedOn, beta=False)
    anything: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    anything |= {media_type: {"schema": {"type": "string"}} for media_type in more}
    described["responses"][200]["content"] = anything
    described["responses"]["default"] = {"description": "As the server behind says"}
    return described


@router.post("", **_operation("Create a message", "text/event-stream"))
async def create_message(request: Request) -> Response:
    """Passed on, streamed or not."""
    return await _passed_on(request, "/v1/messages")


@router.post("/count_tokens", **_operation("Count the tokens of a message"))
async def count_tokens(request: Request) -> Response:
    """Passed on."""
    return await _passed_on(request, "/v1/messages/count_tokens")


async def _passed_on(request: Request, path: str) -> Response:
    relay = _relay(request)
    requests.check_encoding(request.headers.get("content-encoding"))
    body = await request.body()
    _check(body)
    if request.url.query:
        path = f"{path}?{request.url.query}"
    try:
        answer = await relay.relay(path, body, _headers(request))
    except ModelError as error:
        if error.kind in {"overloaded", "connection"}:
            raise Overloaded(error.message, retry_after=error.retry_after) from None
        raise ApiError(error.message, should_retry=False) from None
    response = StreamingResponse(_body(answer), status_code=answer.status)
    for spelled, value in answer.headers:
        name = spelled.lower()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES):
            response.headers[name] = value
        elif name == "request-id":
            response.headers["upstream-request-id"] = value
    return response


def _relay(request: Request) -> Relay:
    relay = services(request).relay
    if relay is None:
        raise NotSupported("This server's model takes no requests of the Messages API.")
    return relay


def _check(body: bytes) -> None:
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The request body must be a JSON object")
    model = value.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("model: Field required")


def _headers(request: Request) -> dict[str, str]:
    """What is said to the provider: nothing that is about the caller."""
    passed = {
        "content-type": "application/json",
        "anthropic-version": request.headers.get("anthropic-version", ANTHROPIC_VERSION),
    }
    if betas := request.headers.getlist("anthropic-beta"):
        passed["anthropic-beta"] = ",".join(betas)
    return passed


async def _body(answer: Relayed) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.body:
            yield chunk
    finally:
        await answer.close()
