"""Deliveries of webhooks: what keeps them, and what brings them there (spec 20.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from freehold.core.events import Json


@dataclass(frozen=True)
class Delivery:
    """An event on its way to an endpoint, and whose it is for now."""

    endpoint_id: str
    event_id: str
    url: str = field(repr=False)
    """May hold what is secret: never log it."""
    secrets: Sequence[str] = field(repr=False)
    """What to sign it with, the newest first."""
    data: Json
    occurred_at: datetime
    attempts: int
    """How often it has failed."""
    until: datetime
    """When somebody else may try it; tells whether it is still ours."""


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended. ``detail`` is for the log: it holds no secret and no path."""

    kind: Literal["delivered", "failed", "hopeless"]
    """``hopeless``: the endpoint is to be disabled, for the reason in ``detail``."""
    detail: str = ""


class Outbox(Protocol):
    """What is still to be delivered; several servers may share it."""

    async def next_due(self) -> datetime | None:
        """When the earliest is to be tried."""
        ...

    async def claim(
        self,
        now: datetime,
        until: datetime,
        busy: Mapping[str, int],
        *,
        most: int,
        most_each: int,
    ) -> list[Delivery]:
        """Take what is due, at most ``most``, and of each endpoint at most ``most_each``.

        Nobody else gets it before ``until``; one whose server died comes back then. ``busy``
        counts what is under way to each endpoint already.
        """
        ...

    async def delivered(self, delivery: Delivery) -> None:
        """It has arrived."""
        ...

    async def failed(self, delivery: Delivery, now: datetime, again_at: datetime | None) -> None:
        """It has not arrived; it is tried again, or dropped if there is no time for that.

        An endpoint that has taken nothing for long is disabled.
        """
        ...

    async def disable(self, delivery: Delivery, now: datetime, reason: str) -> None:
        """Send nothing more to the endpoint, unless a client has changed its URL meanwhile."""
        ...


class Sender(Protocol):
    """Brings one delivery to its endpoint."""

    async def send(self, delivery: Delivery) -> Outcome:
        """Try once. Never raises but for cancellation."""
        ...
