"""Which skills the repositories of sessions brought along when these started."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from freehold.ports.skills import RepositorySkill
from freehold.store.database import Database
from freehold.store.tables import session_repository_skills

_S = session_repository_skills.c


class SqlRepositorySkills:
    """:class:`freehold.ports.repositories.RepositorySkillStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, session_id: str) -> Sequence[RepositorySkill] | None:
        """What was kept; see the port."""
        async with self._database.read() as session:
            row = await session.first(sa.select(_S.skills).where(_S.session_id == session_id))
        if row is None:
            return None
        return [
            RepositorySkill(entry["path"], base64.b64decode(entry["content"]))
            for entry in row["skills"]
        ]

    async def keep(
        self, session_id: str, skills: Sequence[RepositorySkill]
    ) -> Sequence[RepositorySkill]:
        """Keep them, unless others are; see the port."""
        entries = [
            {"path": skill.path, "content": base64.b64encode(skill.content).decode("ascii")}
            for skill in skills
        ]
        try:
            async with self._database.write() as tx:
                await tx.execute(
                    sa.insert(session_repository_skills).values(
                        session_id=session_id, skills=entries
                    )
                )
        except IntegrityError:
            return await self.load(session_id) or skills
        return skills
