"""Webhooks: what is told, to whom, how it is signed and when it is tried again (spec 20)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args

from freehold.core import times
from freehold.core.events import (
    Json,
    Record,
    SessionArchived,
    SessionDeleted,
    SessionStatusIdle,
    SessionStatusRescheduled,
    SessionStatusRunning,
    SessionStatusTerminated,
    SessionUpdated,
)
from freehold.core.state import SessionState

Fired = Literal[
    "session.created",
    "session.pending",
    "session.running",
    "session.idled",
    "session.requires_action",
    "session.archived",
    "session.deleted",
    "session.updated",
    "session.budget_reached",
    "session.status_run_started",
    "session.status_idled",
    "session.status_rescheduled",
    "session.status_terminated",
    "vault.created",
    "vault.archived",
    "vault.deleted",
    "vault_credential.created",
    "vault_credential.archived",
    "vault_credential.deleted",
    "vault_credential.refresh_failed",
    "agent.created",
    "agent.updated",
    "agent.archived",
    "environment.created",
    "environment.updated",
    "environment.archived",
    "environment.deleted",
    "memory_store.created",
    "memory_store.archived",
    "memory_store.deleted",
    "deployment.created",
    "deployment.updated",
    "deployment.paused",
    "deployment.unpaused",
    "deployment.archived",
    "deployment_run.started",
    "deployment_run.succeeded",
    "deployment_run.failed",
]
"""What something on this server brings about."""

Silent = Literal[
    "session.thread_created",
    "session.thread_idled",
    "session.thread_terminated",
    "session.outcome_evaluation_ended",
    "agent.deleted",
    "deployment.deleted",
    "external_key.failed",
    "external_key.recovered",
    "user_profile.enforcement_action_opened",
    "user_profile.enforcement_action_resolved",
    "user_profile.program_status_updated",
]
"""What an endpoint may ask for and nothing here brings about yet (docs/DIVERGENCES.md)."""

FIRED: tuple[str, ...] = get_args(Fired)
SILENT: tuple[str, ...] = get_args(Silent)
DATA_TYPES = FIRED + SILENT
"""All 49 of the SDK."""

TELLING = frozenset(
    {
        "session.status_running",
        "session.status_idle",
        "session.status_rescheduled",
        "session.status_terminated",
        "session.updated",
        "session.archived",
        "session.deleted",
    }
)
"""Types of records of a session's log that webhooks tell of."""


def of_record(before: SessionState, record: Record) -> Iterator[Fired]:
    """What a record of a session's log is told as; ``before`` is the state it was written in.

    Of the two families that overlap (spec 25, question 14) both are told. In the older one
    ``requires_action`` stands beside ``idled``, so a session that waits is told as the one alone.
    """
    match record.event:
        case SessionStatusRunning():
            yield from ("session.status_run_started", "session.running")
        case SessionStatusIdle(stop_reason=reason):
            yield "session.status_idled"
            waits = reason.type == "requires_action"
            yield "session.requires_action" if waits else "session.idled"
            if reason.type == "budget_reached" and before.budget not in before.budgets_reached:
                yield "session.budget_reached"
        case SessionStatusRescheduled():
            yield "session.status_rescheduled"
        case SessionStatusTerminated():
            yield "session.status_terminated"
        case SessionUpdated():
            yield "session.updated"
        case SessionArchived():
            if before.status != "terminated":
                yield "session.status_terminated"
            yield "session.archived"
        case SessionDeleted():
            yield "session.deleted"


def body(event_id: str, occurred_at: datetime, data: Json) -> bytes:
    """What is sent, the same bytes at every attempt."""
    event = {
        "type": "event",
        "id": event_id,
        "created_at": times.render(occurred_at),
        "data": data,
    }
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


# Signatures (standardwebhooks.com).

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with
SECRET_BYTES = 32
_LEAST_SECRET, _MOST_SECRET = 24, 64

OVERLAP = timedelta(hours=24)
"""How long deliveries carry the old secret's signature too after there is a new one."""


def new_secret(entropy: Callable[[int], bytes]) -> str:
    """A signing secret of 32 bytes."""
    return SECRET_PREFIX + base64.b64encode(entropy(SECRET_BYTES)).decode()


def secret_problem(secret: str) -> str | None:
    """Why nothing can be signed with this; ``None`` if it can. Never repeats it."""
    try:
        raw = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if not secret.startswith(SECRET_PREFIX) or not _LEAST_SECRET <= len(raw) <= _MOST_SECRET:
        return (
            f"must be {SECRET_PREFIX} and the base64 of {_LEAST_SECRET} to {_MOST_SECRET} random "
            "bytes"
        )
    return None


def signature(secrets: Sequence[str], event_id: str, timestamp: int, content: bytes) -> str:
    """The value of ``webhook-signature``: one signature for each secret, the newest first."""
    signed = f"{event_id}.{timestamp}.".encode() + content
    made = []
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        made.append(f"v1,{base64.b64encode(digest).decode()}")
    return " ".join(made)


# When to try again, and when to stop.

ATTEMPTS = 3
SHORTEST_WAIT, LONGEST_WAIT = 5.0, 120.0
_GROWTH = 5.0

REDIRECTED = "auto-disabled: endpoint URL returned a redirect (3xx)"
NOT_PUBLIC = "auto-disabled: endpoint URL does not lead to a public address on port 443"


def wait(attempts: int, chance: float) -> float | None:
    """Seconds until the next attempt after so many have failed; ``None``: there is none.

    ``chance`` is drawn from [0, 1): endpoints that failed together are not asked together again.
    """
    if attempts >= ATTEMPTS:
        return None
    least = min(LONGEST_WAIT, SHORTEST_WAIT * _GROWTH ** (attempts - 1))
    most = min(LONGEST_WAIT, least * _GROWTH)
    return least + (most - least) * chance


def gave_up(failing_since: datetime, now: datetime, patience: timedelta) -> str | None:
    """Why an endpoint is disabled that has not taken anything since then; ``None``: it is not."""
    if now - failing_since < patience:
        return None
    return f"auto-disabled: no delivery has succeeded since {times.render(failing_since)}"
