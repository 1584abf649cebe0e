"""What happens to skills and their versions (spec 16). Never commits.

Two shapes of one API meet here: :data:`LEGACY` callers address versions by a number and must
delete every version before a skill; the others address them by id and delete a skill at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from freehold.api import pages
from freehold.api.skills.form import Upload
from freehold.api.skills.schemas import SkillListQuery, SkillVersionListQuery
from freehold.core import times
from freehold.core.events import Json
from freehold.core.ids import is_id
from freehold.core.skills import LATEST
from freehold.errors import InvalidRequest, NotFound
from freehold.ports.clock import Clock
from freehold.skills.prebuilt import PrebuiltSkill, catalog
from freehold.skills.upload import refusal
from freehold.store import skill_source, skills
from freehold.store.keyset import Key
from freehold.store.skills import CONTENTS, SkillRow, SkillVersionRow
from freehold.store.units import ReadSession, WriteSession

LEGACY = "skills-2025-10-02"
LIST = "skills"
VERSIONS = "skill_versions"

AnySkillRow = SkillRow | PrebuiltSkill
AnyVersionRow = SkillVersionRow | PrebuiltSkill


async def create(
    tx: WriteSession, workspace_id: str, upload: Upload, clock: Clock
) -> tuple[SkillRow, SkillVersionRow]:
    """Store a new skill with its first version."""
    now = clock.now()
    skill = SkillRow(
        id=clock.mint("skill"),
        workspace_id=workspace_id,
        name=upload.skill.name,
        display_name=upload.display_name or upload.skill.title,
        latest_version_id=None,
        created_at=now,
        updated_at=now,
    )
    await skills.insert(tx, skill)
    return await _add_version(tx, skill, upload, clock, now)


async def create_version(
    tx: WriteSession, workspace_id: str, skill_id: str, upload: Upload, clock: Clock
) -> SkillVersionRow:
    """Store a newer version of a skill.

    Raises:
        NotFound: no such skill. InvalidRequest: no skill of the client's own, or it has another
            name.
    """
    if not is_id("skill", skill_id):
        raise refusal(f"Invalid skill_id format: {skill_id[:200]}")
    skill = await _stored(tx, workspace_id, skill_id, for_update=True)
    if upload.skill.name != skill.name:
        raise refusal(
            f"SKILL.md: the skill's name is `{skill.name}` and cannot be changed; "
            f"this upload's is `{upload.skill.name}`"
        )
    _, version = await _add_version(tx, skill, upload, clock, clock.now())
    return version


async def _add_version(
    tx: WriteSession, skill: SkillRow, upload: Upload, clock: Clock, now: datetime
) -> tuple[SkillRow, SkillVersionRow]:
    number = times.to_micros(now)
    for newest in await skills.newest_versions(tx, skill.id, 1):
        number = max(number, newest.number + 1)
    version = SkillVersionRow(
        id=clock.mint("skver"),
        skill_id=skill.id,
        workspace_id=skill.workspace_id,
        number=number,
        name=skill.name,
        description=upload.skill.description,
        directory=upload.skill.directory,
        # The lists sort by time and `latest` by number: they must agree if the clock went back.
        created_at=times.from_micros(number),
    )
    await skills.insert_version(tx, version, upload.archive)
    skill = replace(skill, latest_version_id=version.id, updated_at=now)
    await skills.update(tx, skill)
    return skill, version


async def find(
    session: ReadSession, workspace_id: str, skill_id: str, *, legacy: bool
) -> AnySkillRow:
    """A skill, ours or the workspace's.

    Raises:
        NotFound: no such skill; what is no id is not there either (spec 1.4).
    """
    if (ours := catalog().get(skill_id)) is not None:
        return ours
    skill = await _stored(session, workspace_id, skill_id)
    if skill.latest_version_id is None and not legacy:
        raise missing(skill_id)  # the present shape has none without a version
    return skill


async def _stored(
    session: ReadSession, workspace_id: str, skill_id: str, *, for_update: bool = False
) -> SkillRow:
    skill = None
    if is_id("skill", skill_id):
        skill = await skills.get(session, workspace_id, skill_id, for_update=for_update)
    if skill is None:
        raise missing(skill_id)
    return skill


def missing(skill_id: str) -> NotFound:
    """There is no such skill."""
    return NotFound(f"Skill not found: {skill_id[:200]}", should_retry=False)


async def listed(
    session: ReadSession, workspace_id: str, query: SkillListQuery, *, legacy: bool
) -> tuple[Sequence[AnySkillRow], str | None]:
    """A page of skills, newest first, ours among them; and the cursor of the next.

    Raises:
        InvalidRequest: the cursor is none of this list.
    """
    after = pages.key(pages.decode(query.page, LIST, "desc"))
    rows: list[AnySkillRow] = []
    if query.source != "anthropic":
        rows += await skills.page(
            session, workspace_id, after=after, limit=query.limit + 1, with_versions=not legacy
        )
    if query.source != "custom":
        rows += [ours for ours in catalog().values() if after is None or _key(ours) < after]
    rows.sort(key=_key, reverse=True)
    return pages.forward(rows[: query.limit + 1], query.limit, LIST)


def _key(row: AnySkillRow) -> Key:
    return Key(row.created_at, row.id)


async def delete(tx: WriteSession, workspace_id: str, skill_id: str, *, legacy: bool) -> None:
    """Delete a skill for good; agents that name it go on without it.

    Raises:
        NotFound: no such skill. InvalidRequest: it is ours, or it has versions and the caller is
            one who deletes them first.
    """
    if skill_id in catalog():
        raise refusal(f"Invalid skill_id format: {skill_id}")
    skill = await _stored(tx, workspace_id, skill_id, for_update=True)
    if legacy and skill.latest_version_id is not None:
        raise refusal("Cannot delete skill with existing versions. Delete all versions first.")
    await skills.delete(tx, skill)


async def find_version(
    session: ReadSession,
    workspace_id: str,
    skill_id: str,
    version: str,
    *,
    legacy: bool,
    concrete: bool = False,
) -> AnyVersionRow:
    """A version of a skill.

    Args:
        concrete: ``latest`` is not enough.

    Raises:
        NotFound: no such skill or version. InvalidRequest: no name of a version.
    """
    _check_version(version, legacy=legacy, concrete=concrete)
    if (ours := catalog().get(skill_id)) is not None:
        if ours.is_version(version):
            return ours
        raise _no_version(version)
    await _stored(session, workspace_id, skill_id)
    row = await skill_source.find_version(session, workspace_id, skill_id, version)
    if row is None:
        raise _no_version(version)
    return row


def _check_version(version: str, *, legacy: bool, concrete: bool) -> None:
    if legacy:
        if skill_source.numeric(version) is None:
            raise refusal(
                f"Invalid version format: '{version[:200]}'. Version must be a numeric timestamp "
                "(e.g., '1759178010641129')."
            )
    elif not (is_id("skver", version) or (version == LATEST and not concrete)):
        raise refusal(f"Invalid version id: '{version[:200]}'")


def _no_version(version: str) -> NotFound:
    return NotFound(f"Skill version not found: {version[:200]}", should_retry=False)


async def listed_versions(
    session: ReadSession, workspace_id: str, skill_id: str, query: SkillVersionListQuery
) -> tuple[Sequence[AnyVersionRow], str | None]:
    """A page of a skill's versions, newest first, and the cursor of the next.

    Raises:
        NotFound: no such skill. InvalidRequest: the cursor is none of this list.
    """
    name = pages.of(VERSIONS, skill_id[:200])
    after = pages.key(pages.decode(query.page, name, "desc"))
    if (ours := catalog().get(skill_id)) is not None:
        return ([] if after is not None else [ours]), None
    await _stored(session, workspace_id, skill_id)
    rows = await skills.page_versions(
        session, workspace_id, skill_id, after=after, limit=query.limit + 1
    )
    return pages.forward(rows, query.limit, name)


async def delete_version(
    tx: WriteSession,
    workspace_id: str,
    skill_id: str,
    version: str,
    clock: Clock,
    *,
    legacy: bool,
) -> None:
    """Delete a version for good.

    Raises:
        NotFound: no such skill or version. InvalidRequest: it is ours, the name of no concrete
            version, or the only one where a skill always has one.
    """
    _check_version(version, legacy=legacy, concrete=True)
    if skill_id in catalog():
        raise refusal(f"Invalid skill_id format: {skill_id}")
    skill = await _stored(tx, workspace_id, skill_id, for_update=True)
    row = await skill_source.find_version(tx, workspace_id, skill_id, version)
    if row is None:
        raise _no_version(version)
    newest = await skills.newest_versions(tx, skill_id, 2)
    if len(newest) == 1 and not legacy:
        raise refusal("Cannot delete the only version of a skill. Delete the skill instead.")
    await skills.delete_version(tx, row)
    left = [other.id for other in newest if other.id != row.id]
    latest = left[0] if left else None
    await skills.update(tx, replace(skill, latest_version_id=latest, updated_at=clock.now()))


async def content(session: ReadSession, version: AnyVersionRow) -> bytes:
    """The zip of a version that was just found.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    if isinstance(version, PrebuiltSkill):
        return version.archive()
    archive = await CONTENTS.get(session, version.id)
    if archive is None:
        raise _no_version(version.id)
    return archive


async def check_references(
    session: ReadSession, workspace_id: str, references: Sequence[Json]
) -> None:
    """Refuse an agent's skills that do not exist (spec 2.2).

    Raises:
        InvalidRequest: a skill or its version is not there.
    """
    for entry in references:
        skill_id, version = entry["skill_id"], entry["version"]
        if entry["type"] == "anthropic":
            ours = catalog().get(skill_id)
            known, resolved = ours is not None, ours is not None and ours.is_version(version)
        else:
            row = await skill_source.find_version(session, workspace_id, skill_id, version)
            resolved = row is not None
            known = resolved or (
                is_id("skill", skill_id)
                and await skills.get(session, workspace_id, skill_id) is not None
            )
        if not known:
            raise InvalidRequest(
                f"Agent has invalid configuration: `skill_id` `{skill_id}` not found"
            )
        if not resolved:
            raise InvalidRequest(
                f"Agent has invalid configuration: `skill_id` `{skill_id}` version `{version}` "
                "not found"
            )
