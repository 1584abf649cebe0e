"""Holds every answer of a server under test to the SDK's types, field by field.

The SDK's own strict validation lets fields pass that it does not know, and bare HTTP is not
validated at all. Here every answer is: those of servers in this process where they are sent
(:class:`Watched`, whoever asks), those of server processes where they are received
(:func:`watch`). What does not fit is kept in :data:`FAULTS`; ``tests/conftest.py`` fails the test.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, get_args, get_origin

import httpx2
from anthropic import Stream
from anthropic._models import BaseModel
from anthropic.pagination import SyncPage
from anthropic.types import beta

from freehold.core.webhooks import DATA_TYPES
from tests.support.endpoints import answer_type, endpoint_of
from tests.support.sdk_unions import Mismatch, shown

FAULTS: list[str] = []
"""What was wrong with answers, as a text each."""

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

RECORDED = {"memory_stores.memories.list": frozenset({"prefixes"})}
"""Fields that the hosted service was recorded with and the SDK's types do not have."""

OF_AGE = {"user_profiles": "user-profiles-", "user_profiles.action_urls": "user-profiles-"}
"""Resources that the SDK has with other types outside of ``beta``, and how their betas begin."""

# The server behind a route of models says what is in them.
PASSED_ON = ("messages.create", "messages.count_tokens")

ERROR_FIELDS = {"type", "message", "details", "conflicting_memory_id", "conflicting_path"}
ERROR_TYPES = {
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "rate_limit_error",
    "timeout_error",
    "api_error",
    "overloaded_error",
    "memory_precondition_failed_error",
    "memory_path_conflict_error",
    "conflict_error",
    "request_too_large",
}


class OldSkill(BaseModel):
    """A skill as ``skills-2025-10-02`` shows it (spec 16); this SDK has no type for it."""

    id: str
    type: Literal["skill"]
    display_title: str | None
    source: Literal["custom", "anthropic"]
    latest_version: str | None
    created_at: datetime
    updated_at: datetime


class OldSkillVersion(BaseModel):
    """A version as that beta shows it."""

    id: str
    type: Literal["skill_version"]
    skill_id: str
    version: str
    name: str
    description: str
    directory: str
    created_at: datetime


class _OldSkills(BaseModel):
    data: list[OldSkill]
    has_more: bool
    next_page: str | None


class _OldSkillVersions(BaseModel):
    data: list[OldSkillVersion]
    has_more: bool
    next_page: str | None


OLDER: dict[str, dict[str, Any]] = {
    "files-api-2025-04-14": {"files.list": SyncPage[beta.BetaFileMetadata]},
    "skills-2025-10-02": {
        "skills.create": OldSkill,
        "skills.retrieve": OldSkill,
        "skills.list": _OldSkills,
        "skills.versions.create": OldSkillVersion,
        "skills.versions.retrieve": OldSkillVersion,
        "skills.versions.list": _OldSkillVersions,
    },
}
"""What a client is answered that names an older beta."""


def fault(
    method: str, path: str, status: int, body: bytes, *, kind: str, betas: str = ""
) -> str | None:
    """What is wrong with a whole answer, if anything.

    ``kind`` is its content type, ``betas`` what the request's header named.
    """
    if not path.startswith("/v1/") or not kind.startswith("application/json"):
        return None
    try:
        value = json.loads(body)
    except ValueError:
        return f"{method} {path}: not JSON"
    try:
        if status < 400:
            _check(method, path, betas, value)
        else:
            _check_error(path, value)
    except Mismatch as wrong:
        return f"{method} {path} answered {status}: {wrong}"
    return None


def _check(method: str, path: str, betas: str, value: Any) -> None:
    endpoint = endpoint_of(method, path)
    if endpoint is None:
        raise Mismatch("no row of tests/parity/endpoints.tsv and beyond.tsv is for it")
    if endpoint.name in PASSED_ON:
        return
    if isinstance(value, dict):
        extra = RECORDED.get(endpoint.name, frozenset())
        value = {name: item for name, item in value.items() if name not in extra}
        _keep_to_the_organizations(value)
    older = [
        kinds[endpoint.name]
        for name, kinds in OLDER.items()
        if name in betas and endpoint.name in kinds
    ]
    if endpoint.resource in OF_AGE and OF_AGE[endpoint.resource] not in betas:
        endpoint = replace(endpoint, sdk_method=endpoint.name)
    shown(older[0] if older else answer_type(endpoint), value)


def _keep_to_the_organizations(value: dict[str, Any]) -> None:
    """Leave out the types of webhooks that ours take and the SDK's endpoints do not (spec 20.1)."""
    for item in (value, *(one for one in value.get("data") or () if isinstance(one, dict))):
        if isinstance(item.get("enabled_events"), list):
            item["enabled_events"] = [
                one
                for one in item["enabled_events"]
                if one not in DATA_TYPES or one.startswith(("external_key.", "user_profile."))
            ]


def _check_error(path: str, value: Any) -> None:
    if path.startswith("/v1/messages"):
        return  # It may be that of the server behind.
    if not isinstance(value, dict) or set(value) != {"type", "error", "request_id"}:
        raise Mismatch(f"not an error's envelope: {value}")
    error = value["error"]
    if not isinstance(error.get("message"), str) or error.get("type") not in ERROR_TYPES:
        raise Mismatch(f"not an error: {error}")
    if strange := set(error) - ERROR_FIELDS:
        raise Mismatch(f"an error with {sorted(strange)}")
    if "details" in error and not isinstance(error["details"].get("error_code"), str):
        raise Mismatch(f"details without an error_code: {error}")


@functools.cache
def _told(path: str) -> Any:
    """The type of the events of a stream."""
    endpoint = endpoint_of("GET", path)
    root = answer_type(endpoint) if endpoint is not None else None
    if get_origin(root) is Stream:
        return get_args(root)[0]
    raise Mismatch("no stream of the SDK")


def frame_fault(path: str, frame: bytes) -> str | None:
    """What is wrong with one server-sent event, if anything."""
    named = [line[5:] for line in frame.split(b"\n") if line.startswith(b"data:")]
    if not named or b"event: message" not in frame:
        return None
    try:
        shown(_told(path), json.loads(b"\n".join(named)))
    except Mismatch as wrong:
        return f"GET {path} streamed: {wrong}"
    return None


class Watched:
    """An ASGI application whose answers are looked at as they go out."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            await self._app(scope, receive, _Look(scope, send))
        else:
            await self._app(scope, receive, send)


class _Look:
    """Sends on what it sees; a fault is told before the answer is."""

    def __init__(self, scope: Message, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._status = 0
        self._type = ""
        self._parts: list[bytes] = []
        self._rest = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = {name.lower(): value for name, value in message.get("headers", ())}
            self._type = headers.get(b"content-type", b"").decode()
        elif message["type"] == "http.response.body":
            self._look(message.get("body", b""), more=message.get("more_body", False))
        await self._send(message)

    def _look(self, body: bytes, *, more: bool) -> None:
        path = self._scope["path"]
        if self._type.startswith("application/json"):
            self._parts.append(body)
            if not more:
                betas = b",".join(
                    value for name, value in self._scope["headers"] if name == b"anthropic-beta"
                )
                method = self._scope["method"]
                body = b"".join(self._parts)
                _tell(
                    fault(method, path, self._status, body, kind=self._type, betas=betas.decode())
                )
        elif self._type.startswith("text/event-stream") and path.startswith("/v1/sessions/"):
            *frames, self._rest = (self._rest + body).split(b"\n\n")
            for frame in frames:
                _tell(frame_fault(path, frame))


def _tell(wrong: str | None) -> None:
    if wrong is not None:
        FAULTS.append(wrong)


_origins: set[str] = set()


def watch(url: str) -> None:
    """Look at all that this process's HTTP clients are answered by the server at ``url``.

    Streams are left to the SDK.
    """
    _hook()
    _origins.add(url)


def _seen(response: httpx2.Response, *, stream: bool) -> None:
    request = response.request
    url = request.url
    if stream or f"{url.scheme}://{url.netloc.decode()}" not in _origins:
        return
    kind = response.headers.get("content-type", "")
    betas = request.headers.get("anthropic-beta", "")
    status, body = response.status_code, response.content
    _tell(fault(request.method, url.path, status, body, kind=kind, betas=betas))


@functools.cache
def _hook() -> None:
    send, asend = httpx2.Client.send, httpx2.AsyncClient.send

    @functools.wraps(send)
    def seen(self: httpx2.Client, request: httpx2.Request, **more: Any) -> httpx2.Response:
        response = send(self, request, **more)
        _seen(response, stream=more.get("stream", False))
        return response

    @functools.wraps(asend)
    async def aseen(
        self: httpx2.AsyncClient, request: httpx2.Request, **more: Any
    ) -> httpx2.Response:
        response = await asend(self, request, **more)
        _seen(response, stream=more.get("stream", False))
        return response

    httpx2.Client.send = seen  # type: ignore[method-assign]
    httpx2.AsyncClient.send = aseen  # type: ignore[method-assign]
