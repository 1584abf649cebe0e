"""Skills, their versions and what is in them. Every query names the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.store.keyset import Key, keyset
from freehold.store.tables import skill_contents, skill_versions, skills
from freehold.store.units import ReadSession, WriteSession

_S = skills.c
_V = skill_versions.c
_C = skill_contents.c


@dataclass(frozen=True)
class SkillRow:
    """A skill."""

    id: str
    workspace_id: str
    name: str
    display_name: str
    latest_version_id: str | None
    """``None`` only where a client of the older API deleted every version."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class SkillVersionRow:
    """A version of a skill, without its files."""

    id: str
    skill_id: str
    workspace_id: str
    number: int
    """How the older API names it: microseconds since the epoch, rising within a skill."""
    name: str
    description: str
    directory: str
    created_at: datetime


class SkillContents:
    """The zip of each version. The only place that knows where these bytes are kept."""

    async def put(self, tx: WriteSession, version_id: str, archive: bytes) -> None:
        """Keep a new version's zip."""
        await tx.execute(sa.insert(skill_contents).values(version_id=version_id, archive=archive))

    async def get(self, session: ReadSession, version_id: str) -> bytes | None:
        """A version's zip; ``None`` if there is none."""
        found = await session.scalar(sa.select(_C.archive).where(_C.version_id == version_id))
        return None if found is None else bytes(found)

    async def drop(self, tx: WriteSession, version_ids: Sequence[str]) -> None:
        """Forget the zips of these versions."""
        await tx.execute(sa.delete(skill_contents).where(_C.version_id.in_(version_ids)))


CONTENTS = SkillContents()


async def insert(tx: WriteSession, skill: SkillRow) -> None:
    """Store a new skill."""
    await tx.execute(sa.insert(skills).values(_skill_values(skill)))


async def update(tx: WriteSession, skill: SkillRow) -> None:
    """Store a skill that exists as it is now."""
    await tx.execute(
        sa.update(skills)
        .where(_S.id == skill.id, _S.workspace_id == skill.workspace_id)
        .values(_skill_values(skill))
    )


async def get(
    session: ReadSession, workspace_id: str, skill_id: str, *, for_update: bool = False
) -> SkillRow | None:
    """A skill; with ``for_update`` nobody else changes it meanwhile."""
    statement = sa.select(skills).where(_S.id == skill_id, _S.workspace_id == workspace_id)
    if for_update:
        statement = statement.with_for_update()
    row = await session.first(statement)
    return None if row is None else _skill(row)


async def page(
    session: ReadSession,
    workspace_id: str,
    *,
    after: Key | None,
    limit: int,
    with_versions: bool,
) -> Sequence[SkillRow]:
    """At most ``limit`` skills, newest first; ``with_versions``: only those that have one."""
    statement = sa.select(skills).where(_S.workspace_id == workspace_id)
    if with_versions:
        statement = statement.where(_S.latest_version_id.is_not(None))
    statement = keyset(statement, _S.created_at, _S.id, after, descending=True).limit(limit)
    return [_skill(row) for row in await session.all(statement)]


async def delete(tx: WriteSession, skill: SkillRow) -> None:
    """Remove a skill, its versions and their files."""
    rows = await tx.all(sa.select(_V.id).where(_V.skill_id == skill.id))
    await CONTENTS.drop(tx, [row["id"] for row in rows])
    await tx.execute(sa.delete(skill_versions).where(_V.skill_id == skill.id))
    await tx.execute(
        sa.delete(skills).where(_S.id == skill.id, _S.workspace_id == skill.workspace_id)
    )


async def insert_version(tx: WriteSession, version: SkillVersionRow, archive: bytes) -> None:
    """Store a new version and its files."""
    await tx.execute(
        sa.insert(skill_versions).values(
            id=version.id,
            skill_id=version.skill_id,
            workspace_id=version.workspace_id,
            number=version.number,
            name=version.name,
            description=version.description,
            directory=version.directory,
            created_at=version.created_at,
        )
    )
    await CONTENTS.put(tx, version.id, archive)


async def get_version(
    session: ReadSession,
    workspace_id: str,
    skill_id: str,
    *,
    version_id: str | None = None,
    number: int | None = None,
) -> SkillVersionRow | None:
    """A version by its id or its number."""
    statement = sa.select(skill_versions).where(
        _V.skill_id == skill_id, _V.workspace_id == workspace_id
    )
    if version_id is not None:
        statement = statement.where(_V.id == version_id)
    if number is not None:
        statement = statement.where(_V.number == number)
    row = await session.first(statement.limit(1))
    return None if row is None else _version(row)


async def newest_versions(
    session: ReadSession, skill_id: str, limit: int
) -> Sequence[SkillVersionRow]:
    """At most ``limit`` versions of a skill, newest first."""
    statement = sa.select(skill_versions).where(_V.skill_id == skill_id)
    statement = statement.order_by(_V.number.desc()).limit(limit)
    return [_version(row) for row in await session.all(statement)]


async def numbers(session: ReadSession, version_ids: Sequence[str]) -> dict[str, int]:
    """The number of each of these versions."""
    statement = sa.select(_V.id, _V.number).where(_V.id.in_(version_ids))
    return {row["id"]: row["number"] for row in await session.all(statement)}


async def page_versions(
    session: ReadSession, workspace_id: str, skill_id: str, *, after: Key | None, limit: int
) -> Sequence[SkillVersionRow]:
    """At most ``limit`` versions of a skill, newest first."""
    statement = sa.select(skill_versions).where(
        _V.skill_id == skill_id, _V.workspace_id == workspace_id
    )
    statement = keyset(statement, _V.created_at, _V.id, after, descending=True).limit(limit)
    return [_version(row) for row in await session.all(statement)]


async def delete_version(tx: WriteSession, version: SkillVersionRow) -> None:
    """Remove a version and its files."""
    await CONTENTS.drop(tx, [version.id])
    await tx.execute(
        sa.delete(skill_versions).where(
            _V.id == version.id, _V.workspace_id == version.workspace_id
        )
    )


def _skill_values(skill: SkillRow) -> dict[str, object]:
    return {
        "id": skill.id,
        "workspace_id": skill.workspace_id,
        "name": skill.name,
        "display_name": skill.display_name,
        "latest_version_id": skill.latest_version_id,
        "created_at": skill.created_at,
        "updated_at": skill.updated_at,
    }


def _skill(row: RowMapping) -> SkillRow:
    return SkillRow(
        id=row["id"],
        workspace_id=row["workspace_id"],
        name=row["name"],
        display_name=row["display_name"],
        latest_version_id=row["latest_version_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _version(row: RowMapping) -> SkillVersionRow:
    return SkillVersionRow(
        id=row["id"],
        skill_id=row["skill_id"],
        workspace_id=row["workspace_id"],
        number=row["number"],
        name=row["name"],
        description=row["description"],
        directory=row["directory"],
        created_at=row["created_at"],
    )
