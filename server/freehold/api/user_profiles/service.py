"""What happens to user profiles (spec 19). Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NoReturn

from freehold.api import pages
from freehold.api.user_profiles.dialects import Dialect
from freehold.api.user_profiles.schemas import (
    ExternalUserDetails,
    ProfileParams,
    UserProfile,
    UserProfileListQuery,
    UserProfilePrograms,
)
from freehold.core import cursors, limits
from freehold.core.cursors import Cursor
from freehold.core.ids import is_id
from freehold.core.merge import metadata_problem, patch_metadata
from freehold.errors import InvalidRequest, NotFound, NotSupported
from freehold.ports.clock import Clock
from freehold.store import user_profiles
from freehold.store.units import ReadSession, WriteSession
from freehold.store.user_profiles import NameKey, UserProfileRow

LIST = "user_profiles"
LIST_BY_NAME = "user_profiles by name"
NO_PROGRAMS = (
    "Enrollment is not available on this server: it is Anthropic that enrolls end users in its "
    "programs, and this server has none to enroll them in."
)
_DETAILS = tuple(ExternalUserDetails.model_fields)


async def create(
    tx: WriteSession, workspace_id: str, params: ProfileParams, clock: Clock
) -> UserProfileRow:
    """Store a new profile.

    Raises:
        InvalidRequest: the metadata does not fit, or the user is onboarded in the future.
    """
    now = clock.now()
    _check_onboarded(params, now)
    _check_metadata(params.metadata)
    for key, value in params.metadata.items():
        if not value:
            raise InvalidRequest(f"invalid metadata: the value of {key!r} must not be empty")
    profile = UserProfileRow(
        id=clock.mint("uprof"),
        workspace_id=workspace_id,
        name=params.name,
        access_type=params.kind() or "application",
        details=_merged({}, params.details()),
        metadata=dict(params.metadata),
        created_at=now,
        updated_at=now,
    )
    await user_profiles.insert(tx, profile)
    return profile


async def find(
    session: ReadSession, workspace_id: str, profile_id: str, *, for_update: bool = False
) -> UserProfileRow:
    """A profile.

    Raises:
        NotFound: no such profile; what is no id is not there either (spec 1.4).
    """
    profile = None
    if is_id("uprof", profile_id):
        profile = await user_profiles.get(session, workspace_id, profile_id, for_update=for_update)
    if profile is None:
        raise NotFound("User profile not found.")
    return profile


async def listed(
    session: ReadSession, workspace_id: str, query: UserProfileListQuery, dialect: Dialect
) -> tuple[Sequence[UserProfileRow], str | None]:
    """A page of profiles and the cursor of the next.

    Raises:
        InvalidRequest: the cursor is none of this list, or the dialect has no enforcement.
    """
    by_name = query.order_by == "name"
    cursor = pages.decode(query.page, LIST_BY_NAME if by_name else LIST, query.order)
    if query.enforcement_status and dialect is not Dialect.CURRENT:
        raise InvalidRequest(
            f"enforcement_status: not supported under the `{dialect.value}` beta header"
        )
    if query.enforcement_status and "unrestricted" not in query.enforcement_status:
        return [], None  # nobody here restricts anybody
    descending, most = query.order == "desc", query.limit + 1
    if by_name:
        rows = await user_profiles.page_by_name(
            session, workspace_id, after=_name_key(cursor), limit=most, descending=descending
        )
    else:
        rows = await user_profiles.page(
            session, workspace_id, after=pages.key(cursor), limit=most, descending=descending
        )
    if len(rows) <= query.limit:
        return rows, None
    rows = rows[: query.limit]
    if not by_name:
        return rows, pages.cursor_at(rows[-1], LIST, query.order)
    place = user_profiles.name_key(rows[-1])
    key = (place.id,) if place.name is None else (place.name, place.id)
    return rows, cursors.encode(Cursor(LIST_BY_NAME, query.order, "next", key))


def _name_key(cursor: Cursor | None) -> NameKey | None:
    if cursor is None:
        return None
    match cursor.key:
        case (str(profile_id),):
            return NameKey(None, profile_id)
        case (str(name), str(profile_id)):
            return NameKey(name, profile_id)
    raise InvalidRequest(pages.INVALID)


async def update(
    tx: WriteSession, workspace_id: str, profile_id: str, params: ProfileParams, clock: Clock
) -> UserProfileRow:
    """Merge the changes.

    Raises:
        NotFound: no such profile.
        InvalidRequest: the metadata would not fit, or the user is onboarded in the future.
    """
    now = clock.now()
    _check_onboarded(params, now)
    stored = await find(tx, workspace_id, profile_id, for_update=True)
    metadata = patch_metadata(stored.metadata, params.metadata, empty_deletes=True)
    _check_metadata(metadata)
    changed = replace(
        stored,
        name=params.name if "name" in params.model_fields_set else stored.name,
        access_type=params.kind() or stored.access_type,
        details=_merged(stored.details, params.details()),
        metadata=metadata,
    )
    if changed == stored:
        return stored
    changed = replace(changed, updated_at=now)
    await user_profiles.update(tx, changed)
    return changed


async def delete(tx: WriteSession, workspace_id: str, profile_id: str) -> None:
    """Remove it for good.

    Raises:
        NotFound: no such profile.
    """
    await user_profiles.delete(tx, await find(tx, workspace_id, profile_id, for_update=True))


async def enroll(session: ReadSession, workspace_id: str, profile_id: str) -> NoReturn:
    """Say that there is nothing to enroll in.

    Raises:
        NotFound: no such profile. NotSupported: always, else.
    """
    await find(session, workspace_id, profile_id)
    raise NotSupported(NO_PROGRAMS)


def _check_onboarded(params: ProfileParams, now: datetime) -> None:
    moment = params.onboarded()
    if moment is not None and moment > now + timedelta(seconds=limits.ONBOARDED_AHEAD):
        raise InvalidRequest(f"{params.ONBOARDED}: must be no more than 1 minute in the future")


def _check_metadata(bag: dict[str, str]) -> None:
    if (problem := metadata_problem(bag)) is not None:
        raise InvalidRequest(problem)


def _merged(stored: dict[str, str], named: dict[str, str | None]) -> dict[str, str]:
    merged = {**stored, **named}
    return {key: value for key, value in merged.items() if value is not None}


def shown(row: UserProfileRow, dialect: Dialect) -> UserProfile:
    """The profile as the API shows it to somebody who speaks this dialect."""
    said: dict[str, Any] = {key: row.details.get(key) for key in _DETAILS}
    own: dict[str, Any] = {}
    if dialect is not Dialect.MARCH:
        own["access_type"] = row.access_type
    if dialect in (Dialect.MARCH, Dialect.AUGUST):
        own["external_id"] = said["reference_id"]
    else:
        own["external_user_details"] = ExternalUserDetails(**said)
    if dialect is Dialect.AUGUST:
        own["external_user_onboarded_at"] = said["onboarded_at"]
    if dialect is Dialect.CURRENT:
        own["enforcement_actions"] = []
        own["enforcement_status"] = "unrestricted"
        own["programs"] = UserProfilePrograms(cyber=None, efs=None)
    else:
        own["trust_grants"] = {}
    return UserProfile(
        id=row.id,
        type="user_profile",
        name=row.name,
        metadata=row.metadata,
        created_at=row.created_at,
        updated_at=row.updated_at,
        **own,
    )
