"""How far each kind of key reaches (spec 1.5, 1.6)."""

from __future__ import annotations

import re
from typing import Protocol

from freehold.core.keys import Principal
from freehold.errors import NotFound, PermissionDenied, Unauthenticated

ORGANIZATION = "/v1/organizations"
"""What admin keys are for."""

_OLD_SESSION = "session_"
_PART = r"([^/]+)"
_WORK = re.compile(rf"/v1/environments/{_PART}/work(?:/{_PART}(?:/(ack|heartbeat|stop))?)?")
_SESSION = re.compile(rf"/v1/sessions/{_PART}")
_EVENTS = re.compile(rf"/v1/sessions/{_PART}/events(/stream)?")
_SKILL = re.compile(rf"/v1/skills/{_PART}/versions(?:/{_PART}(?:/content)?)?")
_MEMORY = re.compile(rf"/v1/memory_stores/{_PART}(?:/memories(?:/{_PART})?)?")
_FILE = re.compile(rf"/v1/files/{_PART}/content")


class Known(Protocol):
    """What has to be looked up to know how far a worker's key reaches."""

    async def in_environment(self, principal: Principal, session_id: str) -> bool:
        """Whether a session is one that the key reaches."""
        ...

    async def has_store(self, principal: Principal, memory_store_id: str) -> bool:
        """Whether the key's session was given a memory store."""
        ...


def is_organization(path: str) -> bool:
    """Whether a path is the organization's, and no workspace's."""
    return path == ORGANIZATION or path.startswith(ORGANIZATION + "/")


async def check(principal: Principal, method: str, path: str, known: Known) -> None:
    """Let a request through if its key reaches this far.

    Raises:
        PermissionDenied: a worker's key is for another environment, or not for this; or an API key
            is not an admin's.
        Unauthenticated: a worker's key on agents.
        NotFound: what it names is not the worker's to see.
    """
    match principal.kind:
        case "open" | "admin":
            return
        case "workspace":
            if is_organization(path):
                raise PermissionDenied(
                    "An admin key is required for the organization's methods; "
                    "`freehold keys create --admin` makes one.",
                    should_retry=False,
                )
        case "environment" | "session":
            await _worker(principal, method, path, known)


async def _worker(principal: Principal, method: str, path: str, known: Known) -> None:
    if found := _WORK.fullmatch(path):
        _own_work(principal, method, found)
        return
    if (session := _session(method, path)) is not None:
        if not await known.in_environment(principal, session):
            raise NotFound(f"Session not found: {session[:200]}")
        return
    if method == "GET" and _SKILL.fullmatch(path):
        return
    # The store itself is read; what is in it is also written, as the worker syncs it.
    store = _MEMORY.fullmatch(path) if principal.kind == "session" else None
    if store is not None and (method == "GET" or path.count("/") > 3):
        if not await known.has_store(principal, store[1]):
            raise NotFound(f"Memory store `{store[1][:200]}` not found.")
        return
    if found := _FILE.fullmatch(path):
        raise NotFound(f"File `{found[1][:200]}` not found.", should_retry=False)
    if path == "/v1/agents" or path.startswith("/v1/agents/"):
        raise Unauthenticated("Authentication failed", should_retry=False)
    raise _out_of_scope()


def _session(method: str, path: str) -> str | None:
    """The session of a request that workers send, by today's spelling of its id."""
    found = _SESSION.fullmatch(path) if method == "GET" else None
    if found is None and (events := _EVENTS.fullmatch(path)):
        found = events if method == "GET" or (method == "POST" and not events[2]) else None
    if found is None:
        return None
    id_ = found[1]
    return "sesn_" + id_.removeprefix(_OLD_SESSION) if id_.startswith(_OLD_SESSION) else id_


def _own_work(principal: Principal, method: str, found: re.Match[str]) -> None:
    if found[1] != principal.environment_id:
        raise PermissionDenied("Token not authorized for this environment", should_retry=False)
    # An item is neither retrieved nor updated by workers; `poll` and `stats` are no items.
    if found[2] is not None and found[3] is None and found[2] not in {"poll", "stats"}:
        raise _out_of_scope()
    if principal.kind == "session" and found[3] not in {"heartbeat", "stop"}:
        raise _out_of_scope()


def _out_of_scope() -> PermissionDenied:
    return PermissionDenied(
        "OAuth token does not meet scope requirement any_of(workspace:developer)",
        should_retry=False,
    )
