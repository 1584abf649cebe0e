"""What workers of self-hosted environments may do (spec 1.5, 1.6).

Two credentials: an environment's key, which polls for its work, and the token that goes with an
item a poll handed out, which reaches that item's session and no other. Both are random and known
here by their digests alone.
"""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta

import orjson
import sqlalchemy as sa

from freehold.core.ids import is_id
from freehold.core.keys import ENVIRONMENT_PREFIX, Principal, digest
from freehold.errors import ApiError, NotFound, PermissionDenied, Unauthenticated
from freehold.ports.clock import Clock
from freehold.store import session_resources, work
from freehold.store.database import Database
from freehold.store.keys import KeyDesk
from freehold.store.tables import sessions
from freehold.store.units import ReadSession

TOKEN_PREFIX = "sk-ant-work01-"  # noqa: S105 not a secret, but what one begins with
AFTERGLOW = timedelta(minutes=10)
"""How long a token is still good once its item is stopped: a worker says goodbye last."""
_OLD_PREFIX = "session_"


@dataclass(frozen=True)
class Worker:
    """Who asks, if it is a worker."""

    workspace_id: str
    environment_id: str
    credential_id: str
    """The key's id, or the item's."""
    session_id: str | None = None
    """The one session that a token is for; ``None``: an environment's key."""

    @property
    def principal(self) -> Principal:
        """The worker as any other caller."""
        return Principal(
            kind="environment" if self.session_id is None else "session",
            key_id=self.credential_id,
            workspace_id=self.workspace_id,
            environment_id=self.environment_id,
            session_id=self.session_id,
        )


def new_token() -> tuple[str, str]:
    """A token for an item, and its digest."""
    text = TOKEN_PREFIX + secrets.token_urlsafe(48)
    return text, digest(text)


def secret_of(token: str) -> str:
    """How a poll hands a token out (spec 4.2)."""
    bundle = base64.urlsafe_b64encode(orjson.dumps({"sessions_token": token}))
    return bundle.decode().rstrip("=")


def token_of(x_api_key: str | None, authorization: str | None) -> str | None:
    """The worker's credential in a request; ``None``: it is none of a worker's."""
    scheme, _, text = (authorization or "").strip().partition(" ")
    text = text.strip()
    if (x_api_key or "").strip() or scheme.lower() != "bearer":
        return None
    return text if text.startswith((ENVIRONMENT_PREFIX, TOKEN_PREFIX)) else None


_WORK = re.compile(r"/v1/environments/([^/]+)/work(?:/([^/]+)(?:/(ack|heartbeat|stop))?)?")
_SESSION = re.compile(r"/v1/sessions/([^/]+)(/events(?:/stream)?)?")
_SKILL = re.compile(r"/v1/skills/[^/]+/versions(?:/[^/]+(?:/content)?)?")
_MEMORY = re.compile(r"/v1/memory_stores/([^/]+)/memories(?:/[^/]+)?")
_FILE = re.compile(r"/v1/files/([^/]+)/content")


class WorkerAccess:
    """Lets workers in where they may be."""

    def __init__(self, database: Database, keys: KeyDesk, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock

    async def admit(self, token: str, method: str, path: str) -> Worker:
        """Who the worker is, if it may do this.

        Raises:
            Unauthenticated: the credential is not known, or no longer good.
            PermissionDenied: it does not reach this.
            NotFound: what it names is not there, or not for this worker.
        """
        of_key = token.startswith(ENVIRONMENT_PREFIX)
        worker = await self._of_key(token) if of_key else None
        async with self._database.read() as session:
            if worker is None:
                worker = await self._of_token(session, token)
            await _check(session, worker, method, path)
        return worker

    async def _of_key(self, token: str) -> Worker:
        found = await self._keys.check(token)
        if found is None or found.workspace_id is None or found.environment_id is None:
            raise _unknown()
        return Worker(found.workspace_id, found.environment_id, found.key_id)

    async def _of_token(self, session: ReadSession, token: str) -> Worker:
        now = self._clock.now()
        item = await work.of_token(session, digest(token), now)
        if item is None:
            raise _unknown()
        stopped = item.work.stopped_at
        if stopped is not None and stopped + AFTERGLOW <= now:
            raise Unauthenticated("OAuth access token has expired.", should_retry=False)
        return Worker(item.workspace_id, item.environment_id, item.id, item.session_id)


def _unknown() -> Unauthenticated:
    return Unauthenticated("Invalid bearer token", should_retry=False)


def _out_of_scope() -> PermissionDenied:
    return PermissionDenied(
        "OAuth token does not meet scope requirement any_of(workspace:developer)",
        should_retry=False,
    )


async def _check(session: ReadSession, worker: Worker, method: str, path: str) -> None:
    reads = method == "GET"
    if match := _WORK.fullmatch(path):
        _check_work(worker, method, *match.groups())
    elif match := _SESSION.fullmatch(path):
        if not reads and (method, match[2]) != ("POST", "/events"):
            raise _out_of_scope()
        await _check_session(session, worker, match[1])
    elif reads and _SKILL.fullmatch(path):
        return
    elif (match := _MEMORY.fullmatch(path)) and worker.session_id is not None:
        await _check_store(session, worker.session_id, match[1], writes=not reads)
    elif match := _FILE.fullmatch(path):
        raise NotFound(f"File `{match[1][:200]}` not found.", should_retry=False)
    elif path.startswith("/v1/agents"):
        raise Unauthenticated("Authentication failed", should_retry=False)
    else:
        raise _out_of_scope()


def _check_work(
    worker: Worker, method: str, environment_id: str, work_id: str | None, action: str | None
) -> None:
    if environment_id != worker.environment_id:
        raise PermissionDenied("Token not authorized for this environment", should_retry=False)
    changes = method == "POST" and action is not None
    if worker.session_id is not None:
        if not changes or work_id != worker.credential_id:
            raise _out_of_scope()
    elif not changes and (method != "GET" or work_id not in (None, "poll", "stats")):
        raise _out_of_scope()


async def _check_session(session: ReadSession, worker: Worker, session_id: str) -> None:
    if session_id.startswith(_OLD_PREFIX):
        session_id = "sesn_" + session_id.removeprefix(_OLD_PREFIX)
    if worker.session_id is not None:
        if session_id == worker.session_id:
            return
    elif is_id("sesn", session_id):
        columns = sessions.c
        found = await session.scalar(
            sa.select(columns.environment_id).where(
                columns.id == session_id, columns.workspace_id == worker.workspace_id
            )
        )
        if found == worker.environment_id:
            return
    raise NotFound(f"Session not found: {session_id[:200]}")


async def _check_store(
    session: ReadSession, session_id: str, memory_store_id: str, *, writes: bool
) -> None:
    for resource in await session_resources.of_session(session, session_id):
        if resource.body.get("memory_store_id") != memory_store_id:
            continue
        if writes and resource.body.get("access") == "read_only":
            raise PermissionDenied(
                f"Memory store {memory_store_id} is attached read-only to this session.",
                should_retry=False,
            )
        return
    raise _not_attached(memory_store_id)


def _not_attached(memory_store_id: str) -> ApiError:
    return NotFound(f"Memory store not found: {memory_store_id[:200]}")
