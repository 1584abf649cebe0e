"""Keys that the server issued: hashed at rest, found by a part that is no secret.

mint(tx, clock, Scope("environment", workspace, environment))   the text, once
await KeyDesk(database, clock).check(text)                      who that is
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.core import keys
from freehold.core.keys import Kind, Principal, Scope
from freehold.errors import Unauthenticated
from freehold.ports.clock import Clock
from freehold.store.database import Database
from freehold.store.keyset import Key, keyset
from freehold.store.tables import api_keys, environments, workspaces
from freehold.store.units import ReadSession, WriteSession

log = logging.getLogger(__name__)

_K = api_keys.c
_W = workspaces.c

Status = Literal["active", "inactive", "archived"]
"""As it was set; a key that is ``active`` may have expired, or its workspace be archived."""

LISTED: tuple[Kind, ...] = ("workspace", "admin")
"""The kinds that the API calls API keys."""

FLUSH_EVERY = 60.0
"""Seconds between two writes of the times at which keys were last used."""
OPEN_FOR = timedelta(seconds=1)
"""How long it is believed that there is no key yet."""


@dataclass(frozen=True)
class KeyRow:
    """A key without its secret."""

    id: str
    kind: Kind
    lookup: str
    digest: str
    hint: str
    name: str
    workspace_id: str | None
    environment_id: str | None
    status: Status
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    workspace_archived: bool = False

    @property
    def shown_status(self) -> Status:
        """An archived workspace's keys are archived with it."""
        return "archived" if self.workspace_archived else self.status

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True)
class Minted:
    """A new key, and its text, which nobody can tell again."""

    row: KeyRow
    text: str


_SELECTED = (
    *api_keys.columns,
    _W.archived_at.is_not(None).label("workspace_archived"),
)
_JOINED = sa.select(*_SELECTED).select_from(
    api_keys.outerjoin(workspaces, _K.workspace_id == _W.id)
)
_BY_LOOKUP = _JOINED.where(_K.lookup == sa.bindparam("of_lookup"))
_ANY = sa.select(sa.literal(1)).where(sa.exists(sa.select(_K.id).where(_K.kind.in_(LISTED))))


async def mint(
    tx: WriteSession,
    clock: Clock,
    scope: Scope,
    *,
    name: str = "",
    expires_at: datetime | None = None,
) -> Minted:
    """Make and keep a key."""
    fresh = keys.generate(scope.kind)
    row = KeyRow(
        id=clock.mint("apikey"),
        kind=scope.kind,
        lookup=fresh.lookup,
        digest=fresh.digest,
        hint=fresh.hint,
        name=name,
        workspace_id=scope.workspace_id,
        environment_id=scope.environment_id,
        status="active",
        created_at=clock.now(),
        expires_at=expires_at,
        last_used_at=None,
    )
    await tx.execute(sa.insert(api_keys).values(_values(row)))
    return Minted(row, fresh.text)


async def get(
    session: ReadSession, key_id: str, *, kinds: Sequence[Kind] | None = None
) -> KeyRow | None:
    """A key; with ``kinds`` one of these."""
    statement = _JOINED.where(_K.id == key_id)
    if kinds is not None:
        statement = statement.where(_K.kind.in_(kinds))
    row = await session.first(statement)
    return None if row is None else _key(row)


async def page(
    session: ReadSession,
    *,
    kinds: Sequence[Kind],
    beyond: Key | None = None,
    descending: bool = True,
    limit: int,
    now: datetime,
    status: str | None = None,
    of_workspace: str | None = None,
) -> Sequence[KeyRow]:
    """At most ``limit`` keys beyond a place, by time of creation."""
    statement = _JOINED.where(_K.kind.in_(kinds))
    archived = sa.or_(_K.status == "archived", _W.archived_at.is_not(None))
    over = sa.and_(_K.expires_at.is_not(None), _K.expires_at <= now)
    if status == "archived":
        statement = statement.where(archived)
    elif status == "expired":
        statement = statement.where(sa.not_(archived), over)
    elif status is not None:
        statement = statement.where(_K.status == status, sa.not_(archived), sa.not_(over))
    if of_workspace is not None:
        statement = statement.where(_K.workspace_id == of_workspace)
    statement = keyset(statement, _K.created_at, _K.id, beyond, descending=descending)
    return [_key(row) for row in await session.all(statement.limit(limit))]


async def update(tx: WriteSession, row: KeyRow) -> None:
    """Store a key's name and status as they are now."""
    await tx.execute(
        sa.update(api_keys).where(_K.id == row.id).values(name=row.name, status=row.status)
    )


async def environment(session: ReadSession, environment_id: str) -> tuple[Scope, str] | None:
    """The scope of an environment's workers, and the type of the environment.

    Asked by the command line, which works in no workspace.
    """
    found = environments.c
    row = await session.first(
        sa.select(found.workspace_id, found.config).where(found.id == environment_id)
    )
    if row is None:
        return None
    return Scope("environment", row["workspace_id"], environment_id), str(row["config"]["type"])


class KeyDesk:
    """Knows who a key says is asking, and notes that it was used.

    Nothing is kept in memory of a key, so a key that any process revokes is refused with the next
    request; the look-up is one query by an index.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._used: dict[str, datetime] = {}
        self._closed = False
        self._open_until: datetime | None = None

    async def check(self, text: str) -> Principal | None:
        """Who has this key; ``None`` if it opens nothing.

        Raises:
            Unauthenticated: it was a worker's and was revoked, or has expired (spec 1.5).
        """
        found = keys.lookup(text)
        if found is None:
            return None
        async with self._database.read() as session:
            row = await session.first(_BY_LOOKUP, {"of_lookup": found})
        if row is None or not keys.matches(text, row["digest"]):
            return None
        key = _key(row)
        now = self._clock.now()
        if key.shown_status != "active" or key.expired(now):
            if key.kind == "environment":
                ended = "has expired" if key.shown_status == "active" else "has been revoked"
                raise Unauthenticated(f"OAuth access token {ended}.", should_retry=False)
            return None
        self._used[key.id] = now
        return Principal(
            kind=key.kind,
            key_id=key.id,
            workspace_id=key.workspace_id,
            environment_id=key.environment_id,
        )

    async def any_issued(self) -> bool:
        """Whether a key of the API was ever issued; a first one may go unseen for a second."""
        now = self._clock.now()
        if self._closed or (self._open_until is not None and now < self._open_until):
            return self._closed
        async with self._database.read() as session:
            self._closed = await session.scalar(_ANY) is not None
        self._open_until = now + OPEN_FOR
        return self._closed

    async def has_workspace(self, id_: str) -> bool:
        """Whether there is such a workspace, not archived."""
        statement = sa.select(_W.id).where(_W.id == id_, _W.archived_at.is_(None))
        async with self._database.read() as session:
            return await session.scalar(statement) is not None

    async def run(self) -> None:
        """Write down now and then when keys were last used, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_EVERY)
            try:
                await self.flush()
            except Exception:
                log.exception("when keys were last used could not be kept; tried again")

    async def flush(self) -> None:
        """Write down when keys were last used, all in one transaction."""
        used, self._used = self._used, {}
        if not used:
            return
        statement = (
            sa.update(api_keys)
            .where(_K.id == sa.bindparam("of_key"))
            .values(last_used_at=sa.bindparam("at"))
        )
        try:
            async with self._database.write() as tx:
                await tx.execute(
                    statement, [{"of_key": key, "at": at} for key, at in sorted(used.items())]
                )
        except BaseException:
            self._used = used | self._used
            raise

    async def close(self) -> None:
        """Write down what is left."""
        try:
            await self.flush()
        except Exception:
            log.exception("when keys were last used could not be kept")


def _values(row: KeyRow) -> dict[str, object]:
    return {
        "id": row.id,
        "kind": row.kind,
        "lookup": row.lookup,
        "digest": row.digest,
        "hint": row.hint,
        "name": row.name,
        "workspace_id": row.workspace_id,
        "environment_id": row.environment_id,
        "status": row.status,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
    }


def _key(row: RowMapping) -> KeyRow:
    return KeyRow(
        id=row["id"],
        kind=cast(Kind, row["kind"]),
        lookup=row["lookup"],
        digest=row["digest"],
        hint=row["hint"],
        name=row["name"],
        workspace_id=row["workspace_id"],
        environment_id=row["environment_id"],
        status=cast(Status, row["status"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        workspace_archived=bool(row["workspace_archived"]),
    )
