"""Skills and versions as each of the two shapes of the API shows them (spec 16)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from freehold.api.skills.schemas import (
    LegacySkill,
    LegacySkillVersion,
    Skill,
    SkillSource,
    SkillVersion,
)
from freehold.api.skills.service import AnySkillRow, AnyVersionRow
from freehold.skills.prebuilt import PrebuiltSkill
from freehold.store import skills
from freehold.store.units import ReadSession


def skill(row: AnySkillRow) -> Skill:
    """A skill that has a version."""
    ours = isinstance(row, PrebuiltSkill)
    return Skill(
        id=row.id,
        type="skill",
        display_name=row.display_name,
        latest_version_id=row.version_id
        if isinstance(row, PrebuiltSkill)
        else str(row.latest_version_id),
        source=SkillSource(type="anthropic" if ours else "custom"),
        created_at=row.created_at,
        updated_at=row.created_at if isinstance(row, PrebuiltSkill) else row.updated_at,
    )


def version(row: AnyVersionRow) -> SkillVersion:
    """A version."""
    return SkillVersion(
        id=row.version_id if isinstance(row, PrebuiltSkill) else row.id,
        type="skill_version",
        skill_id=row.id if isinstance(row, PrebuiltSkill) else row.skill_id,
        name=row.id if isinstance(row, PrebuiltSkill) else row.name,
        description=row.description,
        created_at=row.created_at,
    )


async def numbers(session: ReadSession, rows: Sequence[AnySkillRow]) -> Mapping[str, int]:
    """What :func:`legacy_skill` has to know of the rows' newest versions."""
    stored = [
        row.latest_version_id
        for row in rows
        if not isinstance(row, PrebuiltSkill) and row.latest_version_id is not None
    ]
    return await skills.numbers(session, stored) if stored else {}


def legacy_skill(row: AnySkillRow, known: Mapping[str, int]) -> LegacySkill:
    """A skill; one without versions too."""
    if isinstance(row, PrebuiltSkill):
        latest: int | None = row.number
    else:
        latest = None if row.latest_version_id is None else known[row.latest_version_id]
    return LegacySkill(
        id=row.id,
        type="skill",
        display_title=row.display_name,
        latest_version=None if latest is None else str(latest),
        source="anthropic" if isinstance(row, PrebuiltSkill) else "custom",
        created_at=row.created_at,
        updated_at=row.created_at if isinstance(row, PrebuiltSkill) else row.updated_at,
    )


def legacy_version(row: AnyVersionRow) -> LegacySkillVersion:
    """A version, with the number that addresses it."""
    plain = version(row)
    return LegacySkillVersion(
        id=plain.id,
        type="skill_version",
        skill_id=plain.skill_id,
        version=str(row.number),
        name=plain.name,
        description=plain.description,
        directory=row.id if isinstance(row, PrebuiltSkill) else row.directory,
        created_at=plain.created_at,
    )
