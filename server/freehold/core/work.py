"""The life of a work item: what a worker takes, holds on a lease and gives back (spec 4.3).

An item stands for one session of a self-hosted environment and lives as long as it does: it is
queued, held and stopped, and queued again when the session wants a worker again. Nothing here
reads a clock. That a lease has run out is seen when somebody next looks (:func:`settled`), so no
process has to be alive for an item of a dead worker to come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from freehold.core import times
from freehold.core.events import (
    InputAccepted,
    Record,
    UserCustomToolResult,
    UserInterrupt,
    UserToolConfirmation,
    UserToolResult,
)
from freehold.core.state import SessionState

WorkState = Literal["queued", "starting", "active", "stopping", "stopped"]

NO_HEARTBEAT = "NO_HEARTBEAT"
"""What a worker expects of a lease that nobody has taken."""
DEFAULT_TTL = 300
"""Seconds a lease holds after a sign of life, unless the worker or the server's settings say
otherwise (spec 25, number 5)."""
MAX_TTL = 600
RECLAIM_MS = 5_000
"""After so long an item that was handed out and not acknowledged is handed out again."""
LONGEST_PAUSE = 60
"""Seconds at most until an item that its workers give up at once is offered again."""


@dataclass(frozen=True)
class Work:
    """A work item as it was last written; what time has done since, :func:`settled` says."""

    state: WorkState
    started_at: datetime
    """When it was last queued."""
    available_at: datetime
    """Before this it is not handed out."""
    ttl: int = DEFAULT_TTL
    """Seconds of a lease that nobody wished otherwise."""
    offered_at: datetime | None = None
    """When a poll last handed it out, as long as it is queued."""
    acknowledged_at: datetime | None = None
    latest_heartbeat_at: datetime | None = None
    stop_requested_at: datetime | None = None
    stopped_at: datetime | None = None
    lease_until: datetime | None = None
    """When whoever has it is taken for dead."""
    wanted: bool = False
    """The session has something for a worker to do, or soon may."""
    held: bool = False
    """Stopped by who owns the environment, not by a worker: it stays so until the session gets
    new input."""
    failures: int = 0
    """How often workers gave it up, one after the other, without a result."""

    @property
    def last_heartbeat(self) -> str | None:
        """The text that the next heartbeat has to repeat."""
        moment = self.latest_heartbeat_at
        return None if moment is None else times.render(moment)


class NotQueued(Exception):
    """An item can only be acknowledged while it is queued."""


class LeaseLost(Exception):
    """The heartbeat is not of the lease's holder; ``work`` is how it stands."""

    def __init__(self, work: Work) -> None:
        super().__init__("heartbeat precondition failed")
        self.work = work


@dataclass(frozen=True)
class Beat:
    """What a heartbeat came to."""

    work: Work
    extended: bool
    ttl: int


def enqueued(now: datetime, ttl: int = DEFAULT_TTL) -> Work:
    """The item of a session that was just created."""
    return Work(state="queued", started_at=now, available_at=now, ttl=ttl)


def settled(work: Work, now: datetime) -> Work:
    """The item as it stands at ``now``: leases that ran out are over."""
    if work.lease_until is None or work.lease_until > now:
        return work
    # What is queued or stopped has no lease.
    if work.state == "stopping":
        return _stopped(work, work.lease_until)
    return _requeued(work, work.lease_until)


def can_offer(work: Work, now: datetime, reclaim: timedelta) -> bool:
    """Whether a poll may hand the item out."""
    if work.state != "queued" or work.available_at > now:
        return False
    return work.offered_at is None or work.offered_at + reclaim <= now


def offered(work: Work, now: datetime) -> Work:
    """The item was handed out. It is still queued: the worker may never have got it."""
    return replace(work, offered_at=now)


def acknowledged(work: Work, now: datetime) -> Work:
    """The worker has got it.

    Raises:
        NotQueued: it is not there to be taken.
    """
    if work.state != "queued":
        raise NotQueued
    return replace(
        work,
        state="starting",
        acknowledged_at=now,
        lease_until=now + timedelta(seconds=work.ttl),
        offered_at=None,
    )


def beaten(work: Work, now: datetime, expected: str | None, desired_ttl: int | None) -> Beat:
    """A sign of life; it claims an item that nobody has.

    ``expected`` is the heartbeat before this one, as text, or :data:`NO_HEARTBEAT`; ``None`` is
    no condition. It does not matter to an item that is being stopped.

    Raises:
        LeaseLost: the last heartbeat was another.
    """
    ttl = min(desired_ttl or work.ttl, MAX_TTL)
    if work.state in ("stopping", "stopped"):
        return Beat(work, extended=False, ttl=ttl)
    if expected is not None and (expected or NO_HEARTBEAT) != (work.last_heartbeat or NO_HEARTBEAT):
        raise LeaseLost(work)
    # No two heartbeats of one item have the same text.
    last = work.latest_heartbeat_at
    moment = now if last is None else max(now, last + times.MICROSECOND)
    changed = replace(
        work,
        state="active",
        acknowledged_at=work.acknowledged_at or moment,
        latest_heartbeat_at=moment,
        lease_until=moment + timedelta(seconds=ttl),
        offered_at=None,
    )
    return Beat(changed, extended=True, ttl=ttl)


def stopped(work: Work, now: datetime, *, force: bool, by_worker: bool) -> Work:
    """The item is to end, or with ``force`` has ended. Again is no error (spec 25, number 29).

    One that a worker gives up while its session wants one is queued again, after a pause that
    grows while nothing comes of it.
    """
    if work.state == "stopped":
        return work
    requested = replace(
        work,
        held=work.held or not by_worker,
        stop_requested_at=work.stop_requested_at or now,
        offered_at=None,
    )
    if force or work.state == "stopping":
        return _stopped(requested, now)
    until = work.lease_until or now + timedelta(seconds=work.ttl)
    return replace(requested, state="stopping", lease_until=until)


def followed(work: Work, state: SessionState, records: Sequence[Record], now: datetime) -> Work:
    """The item after its session's log grew by ``records`` to ``state``."""
    answered = any(
        isinstance(record.event, UserToolResult | UserCustomToolResult) for record in records
    )
    spoken = any(
        record.origin == "client"
        and isinstance(record.event, InputAccepted | UserInterrupt | UserToolConfirmation)
        for record in records
    )
    changed = replace(
        work,
        wanted=state.wants_worker,
        failures=0 if answered or spoken else work.failures,
        held=work.held and not spoken,
    )
    if state.status == "terminated" or state.deleted:
        return _ended(changed, now)
    if changed.state == "stopped" and (spoken or (changed.wanted and not changed.held)):
        return _requeued(changed, now)
    if spoken and changed.state == "queued":
        # Whatever its workers gave it up for may be over.
        return replace(changed, available_at=min(changed.available_at, now))
    return changed


def _ended(work: Work, now: datetime) -> Work:
    """Its session is over: a worker that has it is told so by its next heartbeat."""
    if work.state in ("stopping", "stopped"):
        return work
    requested = replace(work, stop_requested_at=now, offered_at=None)
    if work.state == "queued":
        return replace(requested, state="stopped", stopped_at=now)
    return replace(requested, state="stopping")


def _stopped(work: Work, now: datetime) -> Work:
    done = replace(work, state="stopped", stopped_at=now, lease_until=None, offered_at=None)
    if not work.wanted or work.held:
        return done
    pause = min(2**work.failures - 1, LONGEST_PAUSE) if work.failures < 10 else LONGEST_PAUSE
    again = _requeued(done, now)
    return replace(
        again,
        failures=work.failures + 1,
        available_at=now + timedelta(seconds=pause),
    )


def _requeued(work: Work, now: datetime) -> Work:
    return replace(
        work,
        state="queued",
        started_at=now,
        available_at=now,
        offered_at=None,
        acknowledged_at=None,
        latest_heartbeat_at=None,
        stop_requested_at=None,
        stopped_at=None,
        lease_until=None,
    )
