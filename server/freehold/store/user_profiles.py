"""User profiles. Every query names the workspace."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.store.keyset import Key, keyset
from freehold.store.tables import user_profiles
from freehold.store.units import ReadSession, WriteSession

_P = user_profiles.c
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(frozen=True)
class UserProfileRow:
    """A user profile. ``details`` has what the platform has said of the entity, and no nulls."""

    id: str
    workspace_id: str
    name: str | None
    access_type: str
    details: dict[str, str]
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime


class NameKey(NamedTuple):
    """Where a profile stands in the list by name; those without a name are behind all others."""

    name: str | None
    """As :func:`folded`."""
    id: str


def folded(name: str) -> str:
    """What names are sorted by: ASCII letters in lower case, all else as it is."""
    return name.translate(_LOWER)


def name_key(profile: UserProfileRow) -> NameKey:
    """The place of a profile in the list by name."""
    return NameKey(None if profile.name is None else folded(profile.name), profile.id)


async def insert(tx: WriteSession, profile: UserProfileRow) -> None:
    """Store a new profile."""
    await tx.execute(sa.insert(user_profiles).values(_values(profile)))


async def get(
    session: ReadSession, workspace_id: str, profile_id: str, *, for_update: bool = False
) -> UserProfileRow | None:
    """A profile; with ``for_update`` nobody else changes it meanwhile."""
    statement = sa.select(user_profiles).where(_P.id == profile_id, _P.workspace_id == workspace_id)
    if for_update:
        statement = statement.with_for_update()
    row = await session.first(statement)
    return None if row is None else _profile(row)


async def page(
    session: ReadSession, workspace_id: str, *, after: Key | None, limit: int, descending: bool
) -> Sequence[UserProfileRow]:
    """At most ``limit`` profiles by their time of creation."""
    statement = sa.select(user_profiles).where(_P.workspace_id == workspace_id)
    statement = keyset(statement, _P.created_at, _P.id, after, descending=descending).limit(limit)
    return [_profile(row) for row in await session.all(statement)]


async def page_by_name(
    session: ReadSession, workspace_id: str, *, after: NameKey | None, limit: int, descending: bool
) -> Sequence[UserProfileRow]:
    """At most ``limit`` profiles by name; those without one come last in either direction."""
    rows: list[RowMapping] = []
    if after is None or after.name is not None:
        statement = _mine(workspace_id).where(_P.name_key.is_not(None))
        if after is not None and after.name is not None:
            here = sa.tuple_(_P.name_key, _P.id)
            there = sa.tuple_(sa.literal(after.name.encode(), _P.name_key.type), after.id)
            statement = statement.where(here < there if descending else here > there)
        rows += await session.all(_by_name(statement, descending).limit(limit))
    if len(rows) < limit:
        statement = _mine(workspace_id).where(_P.name_key.is_(None))
        if after is not None and after.name is None:
            statement = statement.where(_P.id < after.id if descending else _P.id > after.id)
        rows += await session.all(_by_name(statement, descending).limit(limit - len(rows)))
    return [_profile(row) for row in rows]


def _mine(workspace_id: str) -> sa.Select[Any]:
    return sa.select(user_profiles).where(_P.workspace_id == workspace_id)


def _by_name(statement: sa.Select[Any], descending: bool) -> sa.Select[Any]:
    # By name too where none has one: PostgreSQL would not see that the index is in that order.
    columns = (_P.name_key, _P.id)
    return statement.order_by(*(column.desc() if descending else column for column in columns))


async def update(tx: WriteSession, profile: UserProfileRow) -> None:
    """Store a profile that exists as it is now."""
    await tx.execute(
        sa.update(user_profiles)
        .where(_P.id == profile.id, _P.workspace_id == profile.workspace_id)
        .values(_values(profile))
    )


async def delete(tx: WriteSession, profile: UserProfileRow) -> None:
    """Remove a profile for good."""
    await tx.execute(
        sa.delete(user_profiles).where(_P.id == profile.id, _P.workspace_id == profile.workspace_id)
    )


def _values(profile: UserProfileRow) -> dict[str, object]:
    name = name_key(profile).name
    return {
        "id": profile.id,
        "workspace_id": profile.workspace_id,
        "name": profile.name,
        "name_key": None if name is None else name.encode(),
        "access_type": profile.access_type,
        "details": profile.details,
        "metadata": profile.metadata,
        "created_at": profile.created_at,
        "updated_at": profile.updated_at,
    }


def _profile(row: RowMapping) -> UserProfileRow:
    return UserProfileRow(
        id=row["id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        access_type=row["access_type"],
        details=row["details"],
        metadata=row["metadata"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
