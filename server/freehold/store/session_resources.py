"""Resources of sessions: their rows, and the way to a repository's token (spec 9)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.core import times
from freehold.core.events import Json
from freehold.store.database import Database
from freehold.store.resealing import reseal
from freehold.store.sealing import Sealer
from freehold.store.tables import session_resources
from freehold.store.units import ReadSession, WriteSession

_R = session_resources.c
_TOKEN = "authorization_token"  # noqa: S105 - the name of a field

OF_STORES = session_resources
"""For the list of the sessions that have a memory store: `memory_store_id`, `session_id` and
`created_at`, which in these rows is the session's."""

OF_SESSION = (
    sa.select(session_resources)
    .where(_R.session_id == sa.bindparam("of_session"))
    .order_by(_R.position)
)


@dataclass(frozen=True)
class ResourceRow:
    """A resource of a session. The repository's token is in ``secret`` alone, sealed."""

    id: str
    session_id: str
    workspace_id: str
    position: int
    type: str
    """``file``, ``github_repository`` or ``memory_store``."""
    body: Json
    """What the API shows, without id and times."""
    secret: str | None = field(repr=False)
    created_at: datetime
    updated_at: datetime


def shown(row: ResourceRow) -> Json:
    """The resource as the API shows it; one of a memory store has neither id nor times."""
    if row.type == "memory_store":
        return dict(row.body)
    moments = {
        "created_at": times.render(row.created_at),
        "updated_at": times.render(row.updated_at),
    }
    return {"id": row.id, **row.body, **moments}


def seal_token(sealer: Sealer, resource_id: str, token: str) -> str:
    """A repository's token as its row keeps it; only that resource can open it."""
    return sealer.seal(resource_id, {_TOKEN: token})


async def insert(tx: WriteSession, resources: Sequence[ResourceRow]) -> None:
    """Store new resources."""
    if resources:
        await tx.execute(sa.insert(session_resources), [_values(row) for row in resources])


async def of_session(session: ReadSession, session_id: str) -> list[ResourceRow]:
    """All resources of a session, in order."""
    rows = await session.all(OF_SESSION, {"of_session": session_id})
    return [from_row(row) for row in rows]


async def of_sessions(
    session: ReadSession, session_ids: Collection[str]
) -> Mapping[str, list[ResourceRow]]:
    """All resources of each of these sessions, in order; no entry, no resources."""
    found: defaultdict[str, list[ResourceRow]] = defaultdict(list)
    if session_ids:
        statement = (
            sa.select(session_resources)
            .where(_R.session_id.in_(sorted(session_ids)))
            .order_by(_R.session_id, _R.position)
        )
        for row in await session.all(statement):
            found[row["session_id"]].append(from_row(row))
    return found


async def page(
    session: ReadSession, session_id: str, *, after: int | None, limit: int | None
) -> list[ResourceRow]:
    """At most ``limit`` resources of a session, those beyond the position ``after``."""
    statement = sa.select(session_resources).where(_R.session_id == session_id)
    if after is not None:
        statement = statement.where(_R.position > after)
    rows = await session.all(statement.order_by(_R.position).limit(limit))
    return [from_row(row) for row in rows]


async def get(session: ReadSession, session_id: str, resource_id: str) -> ResourceRow | None:
    """A resource of a session."""
    row = await session.first(
        sa.select(session_resources).where(_R.session_id == session_id, _R.id == resource_id)
    )
    return None if row is None else from_row(row)


async def last_position(session: ReadSession, session_id: str) -> int:
    """The position of a session's last resource; -1 if it has none."""
    found = await session.scalar(
        sa.select(sa.func.max(_R.position)).where(_R.session_id == session_id)
    )
    return -1 if found is None else int(found)


async def update(tx: WriteSession, row: ResourceRow) -> None:
    """Store a resource that exists as it is now."""
    await tx.execute(
        sa.update(session_resources)
        .where(_R.id == row.id, _R.session_id == row.session_id)
        .values(_values(row))
    )


async def delete(tx: WriteSession, row: ResourceRow) -> None:
    """Remove a resource."""
    await tx.execute(
        sa.delete(session_resources).where(_R.id == row.id, _R.session_id == row.session_id)
    )


async def forget(tx: WriteSession, session_id: str) -> None:
    """The session is deleted, and its resources with it."""
    await tx.execute(sa.delete(session_resources).where(_R.session_id == session_id))


class SqlRepositoryTokens:
    """Opens the tokens of repositories, for the server's own use alone."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def tokens(self, session_id: str) -> Mapping[str, str]:
        """The tokens of a session's repositories as they are now, by id of the resource.

        Raises:
            SecretUnreadable: one was sealed with a key that this server does not have.
        """
        async with self._database.read() as session:
            rows = await of_session(session, session_id)
        return {
            row.id: str(self._sealer.open(row.id, row.secret)[_TOKEN])
            for row in rows
            if row.secret is not None
        }

    async def reseal(self) -> int:
        """Seal with the newest key what an older one sealed; how many."""
        return await reseal(self._database, self._sealer, session_resources, _R.secret)


def _values(row: ResourceRow) -> dict[str, object]:
    return {
        "id": row.id,
        "session_id": row.session_id,
        "workspace_id": row.workspace_id,
        "position": row.position,
        "type": row.type,
        "body": row.body,
        "memory_store_id": row.body.get("memory_store_id"),
        "secret": row.secret,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def from_row(row: RowMapping) -> ResourceRow:
    """The resource of a row of the table."""
    return ResourceRow(
        id=row["id"],
        session_id=row["session_id"],
        workspace_id=row["workspace_id"],
        position=row["position"],
        type=row["type"],
        body=row["body"],
        secret=row["secret"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
