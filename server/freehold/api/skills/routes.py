"""``/v1/skills`` and the versions of skills."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import betas, requests, responses
from freehold.api.deps import services, workspace_id
from freehold.api.idempotency import kept
from freehold.api.openapi import operation
from freehold.api.skills import form, service, shown
from freehold.api.skills.schemas import (
    AnySkill,
    AnySkillPage,
    AnySkillVersion,
    AnySkillVersionPage,
    DeletedSkill,
    DeletedSkillVersion,
    LegacyPage,
    SkillListQuery,
    SkillVersionListQuery,
)

router = APIRouter(prefix="/v1/skills", tags=["skills"])

ZIP = "application/zip"
_FILES = {
    "type": "array",
    "items": {"type": "string", "format": "binary"},
    "description": "One .zip or .skill archive, or loose files below one folder with a SKILL.md",
}
_ANSWER = {"content": {ZIP: {"schema": {"type": "string", "format": "binary"}}}}


def _legacy(request: Request) -> bool:
    return service.LEGACY in betas.parse(request.headers.getlist(betas.HEADER))


def _form(described: dict[str, Any], **fields: Any) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {form.FILES: _FILES, **fields},
        "required": [form.FILES],
    }
    described["openapi_extra"]["requestBody"] = {
        "required": True,
        "content": {form.MULTIPART: {"schema": schema}},
    }
    return described


def _zip(described: dict[str, Any]) -> dict[str, Any]:
    described["responses"][200] |= _ANSWER
    return described


@router.post(
    "",
    **_form(
        operation("Create a skill", AnySkill, beta=False),
        display_name={"type": "string", "maxLength": 255},
    ),
)
async def create_skill(request: Request) -> Response:
    """Creates its first version too. Takes a form, not JSON."""
    legacy = _legacy(request)
    uploaded = await form.read(request, name_field="display_title" if legacy else "display_name")
    behind = services(request)
    async with behind.database.write() as tx:
        skill, version = await service.create(tx, workspace_id(request), uploaded, behind.clock)
        told = (
            shown.legacy_skill(skill, {version.id: version.number})
            if legacy
            else shown.skill(skill)
        )
        return await kept(request, tx, responses.shown(told))


@router.get("", **operation("List skills", AnySkillPage, query=SkillListQuery, beta=False))
async def list_skills(request: Request) -> Response:
    """Newest first, those that come with the server among them."""
    query = requests.query(request, SkillListQuery)
    legacy = _legacy(request)
    async with services(request).database.read() as session:
        rows, following = await service.listed(session, workspace_id(request), query, legacy=legacy)
        known = await shown.numbers(session, rows) if legacy else {}
    if legacy:
        page = LegacyPage(
            data=[shown.legacy_skill(row, known) for row in rows],
            has_more=following is not None,
            next_page=following,
        )
        return responses.shown(page)
    return responses.page([shown.skill(row) for row in rows], following, null_at_end=True)


@router.get("/{skill_id}", **operation("Retrieve a skill", AnySkill, beta=False))
async def retrieve_skill(request: Request, skill_id: str) -> Response:
    """One skill."""
    legacy = _legacy(request)
    async with services(request).database.read() as session:
        row = await service.find(session, workspace_id(request), skill_id, legacy=legacy)
        known = await shown.numbers(session, [row]) if legacy else {}
    return responses.shown(shown.legacy_skill(row, known) if legacy else shown.skill(row))


@router.delete("/{skill_id}", **operation("Delete a skill", DeletedSkill, beta=False))
async def delete_skill(request: Request, skill_id: str) -> Response:
    """Its versions go with it, but not for clients of the beta; agents that name it go on."""
    legacy = _legacy(request)
    async with services(request).database.write() as tx:
        await service.delete(tx, workspace_id(request), skill_id, legacy=legacy)
    return responses.shown(DeletedSkill(id=skill_id, type="skill_deleted"))


@router.post(
    "/{skill_id}/versions",
    **_form(operation("Create a version of a skill", AnySkillVersion, beta=False)),
)
async def create_skill_version(request: Request, skill_id: str) -> Response:
    """The newest is what `latest` means. Takes a form, not JSON."""
    legacy = _legacy(request)
    uploaded = await form.read(request)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await service.create_version(
            tx, workspace_id(request), skill_id, uploaded, behind.clock
        )
        return await kept(
            request,
            tx,
            responses.shown(shown.legacy_version(row) if legacy else shown.version(row)),
        )


@router.get(
    "/{skill_id}/versions",
    **operation(
        "List the versions of a skill",
        AnySkillVersionPage,
        query=SkillVersionListQuery,
        beta=False,
    ),
)
async def list_skill_versions(request: Request, skill_id: str) -> Response:
    """Newest first."""
    query = requests.query(request, SkillVersionListQuery)
    async with services(request).database.read() as session:
        rows, following = await service.listed_versions(
            session, workspace_id(request), skill_id, query
        )
    if _legacy(request):
        page = LegacyPage(
            data=[shown.legacy_version(row) for row in rows],
            has_more=following is not None,
            next_page=following,
        )
        return responses.shown(page)
    return responses.page([shown.version(row) for row in rows], following, null_at_end=True)


@router.get(
    "/{skill_id}/versions/{version}",
    **operation("Retrieve a version of a skill", AnySkillVersion, beta=False),
)
async def retrieve_skill_version(request: Request, skill_id: str, version: str) -> Response:
    """One version, or `latest`."""
    legacy = _legacy(request)
    async with services(request).database.read() as session:
        row = await service.find_version(
            session, workspace_id(request), skill_id, version, legacy=legacy
        )
    return responses.shown(shown.legacy_version(row) if legacy else shown.version(row))


@router.delete(
    "/{skill_id}/versions/{version}",
    **operation("Delete a version of a skill", DeletedSkillVersion, beta=False),
)
async def delete_skill_version(request: Request, skill_id: str, version: str) -> Response:
    """For good. The only version of a skill cannot be deleted, but by clients of the beta."""
    legacy = _legacy(request)
    behind = services(request)
    async with behind.database.write() as tx:
        await service.delete_version(
            tx, workspace_id(request), skill_id, version, behind.clock, legacy=legacy
        )
    return responses.shown(DeletedSkillVersion(id=version, type="skill_version_deleted"))


@router.get(
    "/{skill_id}/versions/{version}/content",
    **_zip(operation("Download a version of a skill", None, beta=False)),
)
async def download_skill_version(request: Request, skill_id: str, version: str) -> Response:
    """A zip with one folder, named after the skill."""
    legacy = _legacy(request)
    async with services(request).database.read() as session:
        row = await service.find_version(
            session, workspace_id(request), skill_id, version, legacy=legacy, concrete=True
        )
        archive = await service.content(session, row)
    name = quote(f"{shown.version(row).name}.zip")
    disposition = f"attachment; filename*=utf-8''{name}"
    return Response(archive, media_type=ZIP, headers={"content-disposition": disposition})
