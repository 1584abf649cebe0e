"""``/v1/messages``: for clients that also talk to models themselves, under one base URL.

Their key opens Freehold; the request goes on with the server's own. Apart from the model's name,
which the table of routes may change, bodies and answers pass as they are, errors and streams too.
User profiles are this server's own, so the provider hears nothing of them: the one that a request
names is looked for here, and stands in the log beside the request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from freehold import telemetry
from freehold.api import requests
from freehold.api.deps import services, workspace_id
from freehold.api.openapi import operation
from freehold.core.ids import is_id
from freehold.errors import (
    ApiError,
    InvalidRequest,
    ModelError,
    NotSupported,
    Overloaded,
    PermissionDenied,
)
from freehold.ports.model import Relay, Relayed
from freehold.store import user_profiles

router = APIRouter(prefix="/v1/messages", tags=["messages"])

ANTHROPIC_VERSION = "2023-06-01"
PROFILE_HEADER = "anthropic-user-profile-id"

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
    asked = _checked(body)
    profile_id = await _profile(request)
    _check_billing(asked, profile_id)
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


def _checked(body: bytes) -> dict[str, Any]:
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The request body must be a JSON object")
    model = value.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("model: Field required")
    return value


async def _profile(request: Request) -> str | None:
    """The user profile that the request is attributed to, if it names one."""
    profile_id = request.headers.get(PROFILE_HEADER)
    if not profile_id:
        return None
    found = None
    if is_id("uprof", profile_id):
        async with services(request).database.read() as session:
            found = await user_profiles.get(session, workspace_id(request), profile_id)
    if found is None:
        raise InvalidRequest(
            f"{PROFILE_HEADER}: User profile not found.",
            details={"error_code": "user_profile_not_found"},
        )
    telemetry.bind(user_profile_id=profile_id)
    return profile_id


def _check_billing(body: dict[str, Any], profile_id: str | None) -> None:
    """Refuse to bill anybody but oneself: profiles have no organization here that could pay."""
    policy = body.get("billing_policy")
    if not isinstance(policy, dict) or policy.get("bill_to") != "user_profile":
        return
    if profile_id is None:
        raise InvalidRequest(
            f"billing_policy.bill_to: `user_profile` needs the `{PROFILE_HEADER}` header",
            details={"error_code": "user_profile_required"},
        )
    raise PermissionDenied(
        "billing_policy.bill_to: the user profiles of this server cannot be billed",
        details={"error_code": "user_profile_not_billable"},
    )


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
