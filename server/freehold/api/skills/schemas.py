"""Skills on the wire, as the API has them now and as its beta had them (spec 16, appendix B)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from freehold.api.requests import INTEGER, Query
from freehold.api.schemas import Shown, Timestamp
from freehold.core import limits


class SkillListQuery(Query):
    """Parameters of the list of skills."""

    limit: Annotated[int, Field(ge=1, le=limits.SKILLS_PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None
    source: Literal["custom", "anthropic"] | None = None


class SkillVersionListQuery(Query):
    """Parameters of the list of a skill's versions."""

    limit: Annotated[int, Field(ge=1, le=limits.SKILLS_PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None


class SkillSource(Shown):
    """Who made a skill."""

    type: Literal["custom", "anthropic", "anthropic_example", "plugin"]


class Skill(Shown):
    """A skill."""

    id: str
    type: Literal["skill"]
    display_name: str
    latest_version_id: str
    source: SkillSource
    created_at: Timestamp
    updated_at: Timestamp


class SkillPage(Shown):
    """A page of skills."""

    data: list[Skill]
    next_page: str | None


class DeletedSkill(Shown):
    """What is left of a skill."""

    id: str
    type: Literal["skill_deleted"]


class SkillVersion(Shown):
    """A version of a skill."""

    id: str
    type: Literal["skill_version"]
    skill_id: str
    name: str
    description: str
    created_at: Timestamp


class SkillVersionPage(Shown):
    """A page of versions."""

    data: list[SkillVersion]
    next_page: str | None


class DeletedSkillVersion(Shown):
    """What is left of a version."""

    id: str
    type: Literal["skill_version_deleted"]


class LegacySkill(Shown):
    """A skill as the beta ``skills-2025-10-02`` shows it."""

    id: str
    type: Literal["skill"]
    display_title: str | None
    latest_version: str | None
    source: Literal["custom", "anthropic"]
    created_at: Timestamp
    updated_at: Timestamp


class LegacySkillVersion(Shown):
    """A version as that beta shows it, addressed by ``version``."""

    id: str
    type: Literal["skill_version"]
    skill_id: str
    version: str
    name: str
    description: str
    directory: str
    created_at: Timestamp


class LegacyPage(Shown):
    """A page as that beta shows it."""

    data: list[LegacySkill] | list[LegacySkillVersion]
    has_more: bool
    next_page: str | None


AnySkill = Skill | LegacySkill
AnySkillVersion = SkillVersion | LegacySkillVersion
AnySkillPage = SkillPage | LegacyPage
AnySkillVersionPage = SkillVersionPage | LegacyPage
