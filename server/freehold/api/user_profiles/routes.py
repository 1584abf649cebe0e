"""``/v1/user_profiles``. The beta header selects the shape; there need be none (spec 19)."""

from __future__ import annotations

from typing import NoReturn

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import betas, requests, responses
from freehold.api.deps import services, workspace_id
from freehold.api.idempotency import kept
from freehold.api.openapi import operation
from freehold.api.user_profiles import service
from freehold.api.user_profiles.dialects import Dialect, spoken
from freehold.api.user_profiles.schemas import (
    ActionUrlCreateParams,
    DeletedUserProfile,
    ProfileCreateParams20260818,
    ProfileParams,
    ProfileParams20260324,
    ProfileUpdateParams20260818,
    UserProfile,
    UserProfileCreateParams,
    UserProfileListQuery,
    UserProfilePage,
    UserProfileUpdateParams,
)

router = APIRouter(prefix="/v1/user_profiles", tags=["user profiles"])

_CREATED: dict[Dialect, type[ProfileParams]] = {
    Dialect.MARCH: ProfileParams20260324,
    Dialect.AUGUST: ProfileCreateParams20260818,
    Dialect.SEPTEMBER: UserProfileCreateParams,
    Dialect.CURRENT: UserProfileCreateParams,
}
_UPDATED: dict[Dialect, type[ProfileParams]] = {
    Dialect.MARCH: ProfileParams20260324,
    Dialect.AUGUST: ProfileUpdateParams20260818,
    Dialect.SEPTEMBER: UserProfileUpdateParams,
    Dialect.CURRENT: UserProfileUpdateParams,
}


def _dialect(request: Request) -> Dialect:
    return spoken(betas.parse(request.headers.getlist(betas.HEADER)))


@router.post(
    "",
    **operation("Create a user profile", UserProfile, body=UserProfileCreateParams, beta=False),
)
async def create_user_profile(request: Request) -> Response:
    """A record of somebody whom the platform serves through the API."""
    dialect = _dialect(request)
    params = await requests.read(request, _CREATED[dialect])
    behind = services(request)
    async with behind.database.write() as tx:
        profile = await service.create(tx, workspace_id(request), params, behind.clock)
        return await kept(request, tx, responses.shown(service.shown(profile, dialect)))


@router.get(
    "", **operation("List user profiles", UserProfilePage, query=UserProfileListQuery, beta=False)
)
async def list_user_profiles(request: Request) -> Response:
    """By time of creation or by name; those without a name come last."""
    dialect = _dialect(request)
    query = requests.query(request, UserProfileListQuery)
    async with services(request).database.read() as session:
        rows, following = await service.listed(session, workspace_id(request), query, dialect)
    data = [service.shown(row, dialect) for row in rows]
    return responses.page(data, following, null_at_end=True)


@router.get("/{user_profile_id}", **operation("Retrieve a user profile", UserProfile, beta=False))
async def retrieve_user_profile(request: Request, user_profile_id: str) -> Response:
    """One user profile."""
    dialect = _dialect(request)
    async with services(request).database.read() as session:
        profile = await service.find(session, workspace_id(request), user_profile_id)
    return responses.shown(service.shown(profile, dialect))


@router.post(
    "/{user_profile_id}",
    **operation("Update a user profile", UserProfile, body=UserProfileUpdateParams, beta=False),
)
async def update_user_profile(request: Request, user_profile_id: str) -> Response:
    """Fields that are left out stay; details of the entity cannot be cleared."""
    dialect = _dialect(request)
    params = await requests.read(request, _UPDATED[dialect])
    behind = services(request)
    async with behind.database.write() as tx:
        profile = await service.update(
            tx, workspace_id(request), user_profile_id, params, behind.clock
        )
        return await kept(request, tx, responses.shown(service.shown(profile, dialect)))


@router.delete(
    "/{user_profile_id}", **operation("Delete a user profile", DeletedUserProfile, beta=False)
)
async def delete_user_profile(request: Request, user_profile_id: str) -> Response:
    """For good."""
    async with services(request).database.write() as tx:
        await service.delete(tx, workspace_id(request), user_profile_id)
    return responses.shown(DeletedUserProfile(id=user_profile_id, type="user_profile_deleted"))


@router.post("/{user_profile_id}/enrollment_url", **operation("Refused", None, beta=False))
async def create_enrollment_url(request: Request, user_profile_id: str) -> Response:
    """Always refused: enrollment is in Anthropic's programs."""
    await requests.read_nothing(request)
    await _refuse(request, user_profile_id)


@router.post(
    "/{user_profile_id}/action_urls",
    **operation("Refused", None, body=ActionUrlCreateParams, beta=False),
)
async def create_action_url(request: Request, user_profile_id: str) -> Response:
    """Always refused: the one action there is enrolls in Anthropic's programs."""
    await requests.read(request, ActionUrlCreateParams)
    await _refuse(request, user_profile_id)


async def _refuse(request: Request, user_profile_id: str) -> NoReturn:
    async with services(request).database.read() as session:
        await service.enroll(session, workspace_id(request), user_profile_id)
