"""What the routes are given: the services behind them and the caller's workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from starlette.requests import Request

from freehold.api.sse import Streams
from freehold.api.workers import Worker
from freehold.core.catalog import Catalog
from freehold.core.events import ClientEvent, Json, SessionError, SessionUpdated
from freehold.core.keys import Principal
from freehold.core.state import SessionState
from freehold.ports.clock import Clock
from freehold.ports.dispatcher import Fanout
from freehold.ports.log import SessionSpec, Transaction
from freehold.ports.model import Model, Relay
from freehold.ports.sandbox import Finding, SandboxProvider
from freehold.ports.vaults import OpenedCredential, Verdict
from freehold.settings import Settings
from freehold.store.database import Database
from freehold.store.event_log import EventReader
from freehold.store.file_library import FileLibrary
from freehold.store.keys import KeyDesk
from freehold.store.sealing import Sealer


class Intake(Protocol):
    """How clients' wishes enter a session; the harness has the one there is.

    All of it happens in the caller's transaction: what is appended and the wake-up that follows
    are committed together with the rest of the request, or not at all.
    """

    def initial_state(self, spec: SessionSpec) -> SessionState:
        """The fold of an empty log."""
        ...

    async def begin(
        self,
        tx: Transaction,
        spec: SessionSpec,
        events: Sequence[ClientEvent],
        notices: Sequence[SessionError] = (),
    ) -> SessionState:
        """Start a session whose row was just inserted; the state after its first events."""
        ...

    async def send(
        self,
        tx: Transaction,
        session_id: str,
        events: Sequence[ClientEvent],
        *,
        from_worker: bool = False,
    ) -> list[Json]:
        """Take a client's events, or a worker's; their echoes. Raises
        :class:`~freehold.errors.ApiError`."""
        ...

    async def archive(self, tx: Transaction, session_id: str) -> None:
        """End a session for good. Raises InvalidRequest while it runs."""
        ...

    async def delete(self, tx: Transaction, session_id: str) -> None:
        """Say that a session is deleted. Raises InvalidRequest while it runs."""
        ...

    async def updated(self, tx: Transaction, session_id: str, event: SessionUpdated) -> None:
        """Put a change of the session's own fields into its log."""
        ...

    def resources_changed(self, tx: Transaction, session_id: str) -> None:
        """Have the session's sandbox follow its resources before the next call runs in it."""
        ...


class Validator(Protocol):
    """Tries a vault's credential; the harness has the one there is."""

    async def validate(self, credential: OpenedCredential) -> Verdict:
        """Whether its server takes it, after a refresh if need be. Never raises."""
        ...


class Egress(Protocol):
    """Enforces what sessions' requests are given; the harness has the one there is.

    To be told once a change is committed. Returns when it is enforced, or has been tried for some
    seconds. Never raises.
    """

    async def vault_changed(self, vault_id: str) -> None:
        """A vault's credentials are others now, or there are no more."""
        ...

    async def changed(self, *session_ids: str) -> None:
        """What these sessions are made of is something else now."""
        ...


Probe = Callable[[], Awaitable[list[Finding]]]
"""A health check that never raises."""


@dataclass(frozen=True)
class ApiServices:
    """Everything the API stands on, made by the composition root."""

    settings: Settings
    database: Database
    reader: EventReader
    intake: Intake
    fanout: Fanout
    clock: Clock
    sandboxes: SandboxProvider
    model: Model
    sealer: Sealer
    """Seals the secrets that clients give."""
    validator: Validator
    egress: Egress
    files: FileLibrary
    keys: KeyDesk
    """Who has the keys that the server issued."""
    catalog: Catalog = field(default_factory=Catalog)
    """What models can do and cost."""
    relay: Relay | None = None
    """What takes clients' own model requests; ``None``: nothing does."""
    probes: Mapping[str, Probe] = field(default_factory=dict)
    """More checks for ``/readyz``, such as the dispatcher's, by name."""
    streams: Streams = field(default_factory=Streams)
    """The open streams; close them when the server is told to stop."""
    new_dream: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is a dream to be started, so that nobody need wait for the next look."""


def services(request: Request) -> ApiServices:
    """The services of the application that serves the request."""
    return cast(ApiServices, request.app.state.services)


def workspace_id(request: Request) -> str:
    """The workspace the caller works in; every query names it."""
    return cast(str, request.state.workspace_id)


def api_key_id(request: Request) -> str:
    """The id of the key that the caller used; a worker's own, if it is one."""
    return cast(str, request.state.api_key_id)


def principal(request: Request) -> Principal:
    """Who the caller is, by its key."""
    return cast(Principal, request.state.principal)


def worker(request: Request) -> Worker | None:
    """The worker of a self-hosted environment that asks, if it is one."""
    return cast("Worker | None", request.state.worker)
