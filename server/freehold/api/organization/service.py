"""What happens to workspaces and keys. Never commits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from freehold.api.organization.schemas import (
    ApiKey,
    ApiKeyListQuery,
    ApiKeyUpdateParams,
    DataResidency,
    OrganizationScope,
    Workspace,
    WorkspaceCreateParams,
    WorkspaceListQuery,
    WorkspaceScope,
    WorkspaceUpdateParams,
)
from freehold.api.pages import Placed
from freehold.core import limits
from freehold.core.workspaces import DEFAULT_COLOR, DEFAULT_WORKSPACE, MOST
from freehold.errors import InvalidRequest, NotFound, NotSupported
from freehold.ports.clock import Clock
from freehold.store import keys, workspaces
from freehold.store.keys import KeyRow
from freehold.store.keyset import Key
from freehold.store.units import ReadSession, WriteSession
from freehold.store.workspaces import WorkspaceRow

RowT = TypeVar("RowT", bound=Placed)

_RESIDENCY = DataResidency(
    workspace_geo="us", allowed_inference_geos="unrestricted", default_inference_geo="global"
)


async def create_workspace(
    tx: WriteSession, params: WorkspaceCreateParams, clock: Clock
) -> WorkspaceRow:
    """Keep a new workspace, empty.

    Raises:
        InvalidRequest: the tags are too many or too long, or there are too many workspaces.
        NotSupported: it asks for what this server has not.
    """
    _refuse_foreign(params)
    tags = dict(params.tags or {})
    _check_tags(tags)
    if await workspaces.count(tx) >= MOST:
        raise InvalidRequest(
            f"There are {MOST} workspaces, and there can be no more; archive one first."
        )
    row = WorkspaceRow(
        id=clock.mint("wrkspc"),
        name=params.name,
        display_color=params.display_color or DEFAULT_COLOR,
        tags=tags,
        created_at=clock.now(),
    )
    await workspaces.insert(tx, row)
    return row


async def find_workspace(
    session: ReadSession, id_: str, *, for_update: bool = False
) -> WorkspaceRow:
    """A workspace, archived or not.

    Raises:
        NotFound: there is none.
    """
    row = await workspaces.get(session, id_, for_update=for_update)
    if row is None:
        raise NotFound(f"Workspace `{id_[:200]}` not found.")
    return row


async def update_workspace(
    tx: WriteSession, id_: str, params: WorkspaceUpdateParams
) -> WorkspaceRow:
    """Change what is given; tags that are ``null`` go.

    Raises:
        NotFound: there is none.
        InvalidRequest: it is archived, or the tags are too many or too long.
        NotSupported: it asks for what this server has not.
    """
    row = await find_workspace(tx, id_, for_update=True)
    _refuse_foreign(params)
    if row.archived_at is not None:
        raise InvalidRequest(f"Workspace `{id_}` is archived and cannot be modified.")
    tags = dict(row.tags)
    for name, value in (params.tags or {}).items():
        if value is None:
            tags.pop(name, None)
        else:
            tags[name] = value
    _check_tags(tags)
    changed = replace(
        row,
        name=params.name or row.name,
        display_color=params.display_color or row.display_color,
        tags=tags,
    )
    await workspaces.update(tx, changed)
    return changed


async def archive_workspace(tx: WriteSession, id_: str, clock: Clock) -> WorkspaceRow:
    """Archive a workspace, and its keys with it. Again is no error.

    Raises:
        NotFound: there is none.
        InvalidRequest: it is the default one.
    """
    row = await find_workspace(tx, id_, for_update=True)
    if row.id == DEFAULT_WORKSPACE:
        raise InvalidRequest("The default workspace cannot be archived.")
    if row.archived_at is None:
        row = replace(row, archived_at=clock.now())
        await workspaces.update(tx, row)
    return row


async def list_workspaces(
    session: ReadSession, query: WorkspaceListQuery
) -> tuple[list[WorkspaceRow], bool]:
    """A page, newest first, and whether there are more.

    Raises:
        InvalidRequest: a cursor names no workspace, or both are given.
    """

    async def place(id_: str) -> Key | None:
        row = await workspaces.get(session, id_)
        return None if row is None else Key(row.created_at, row.id)

    async def rows(beyond: Key | None, descending: bool) -> Sequence[WorkspaceRow]:
        return await workspaces.page(
            session,
            beyond=beyond,
            descending=descending,
            limit=query.limit + 1,
            include_archived=query.include_archived,
            include_default=query.include_default,
            ids=query.ids or None,
        )

    return await _page(query, place, rows)


async def find_key(session: ReadSession, key_id: str) -> KeyRow:
    """A key of the API, in whatever state.

    Raises:
        NotFound: there is none; workers' keys are none.
    """
    row = await keys.get(session, key_id, kinds=keys.LISTED)
    if row is None:
        raise NotFound(f"API key `{key_id[:200]}` not found.")
    return row


async def update_key(
    tx: WriteSession, key_id: str, params: ApiKeyUpdateParams, now: datetime
) -> KeyRow:
    """Rename a key, or set its status.

    Raises:
        NotFound: there is none.
        InvalidRequest: it is archived, which is for good, or has expired.
    """
    row = await find_key(tx, key_id)
    status = params.status or row.shown_status
    if status != row.shown_status:
        if row.shown_status == "archived":
            raise InvalidRequest("status: an archived API key cannot be activated again.")
        if row.expired(now) and status == "active":
            raise InvalidRequest("status: the API key has expired.")
    changed = replace(row, name=params.name or row.name)
    if params.status is not None:
        changed = replace(changed, status=params.status)
    await keys.update(tx, changed)
    return changed


async def list_keys(
    session: ReadSession, query: ApiKeyListQuery, now: datetime
) -> tuple[list[KeyRow], bool]:
    """A page, newest first, and whether there are more.

    Raises:
        InvalidRequest: a cursor names no key, or both are given.
    """

    async def place(id_: str) -> Key | None:
        row = await keys.get(session, id_, kinds=keys.LISTED)
        return None if row is None else Key(row.created_at, row.id)

    async def rows(beyond: Key | None, descending: bool) -> Sequence[KeyRow]:
        if query.created_by_user_id is not None:
            return []  # there are no users here, so none has made a key
        return await keys.page(
            session,
            kinds=keys.LISTED,
            beyond=beyond,
            descending=descending,
            limit=query.limit + 1,
            now=now,
            status=query.status,
            of_workspace=query.workspace_id,
        )

    return await _page(query, place, rows)


async def _page(
    query: WorkspaceListQuery | ApiKeyListQuery,
    place: Callable[[str], Awaitable[Key | None]],
    rows: Callable[[Key | None, bool], Awaitable[Sequence[RowT]]],
) -> tuple[list[RowT], bool]:
    if query.after_id is not None and query.before_id is not None:
        raise InvalidRequest("Only one of after_id or before_id may be set.")
    named: Literal["after_id", "before_id"] = "after_id" if query.before_id is None else "before_id"
    cursor = query.after_id if query.before_id is None else query.before_id
    beyond = None
    if cursor is not None:
        beyond = await place(cursor)
        if beyond is None:
            raise InvalidRequest(f"{named}: there is no {cursor[:200]}")
    found = list(await rows(beyond, named == "after_id"))
    page = found[: query.limit]
    if named == "before_id":
        page.reverse()
    return page, len(found) > query.limit


def shown_workspace(row: WorkspaceRow) -> Workspace:
    """The workspace as the API shows it."""
    return Workspace(
        id=row.id,
        type="workspace",
        name=row.name,
        display_color=row.display_color,
        tags=row.tags,
        # There are no compartments; an id of one's own is what tells two of them apart.
        compartment_id=row.id,
        data_residency=_RESIDENCY,
        external_key_id=None,
        user_profile_id=None,
        created_at=row.created_at,
        archived_at=row.archived_at,
    )


def shown_key(row: KeyRow, now: datetime) -> ApiKey:
    """The key as the API shows it."""
    status = row.shown_status
    scope: WorkspaceScope | OrganizationScope = OrganizationScope(type="organization")
    if row.workspace_id is not None:
        scope = WorkspaceScope(type="workspace", workspace_id=row.workspace_id)
    return ApiKey(
        id=row.id,
        type="api_key",
        name=row.name,
        status="expired" if row.expired(now) and status != "archived" else status,
        scope=scope,
        partial_key_hint=row.hint,
        principal=None,
        created_by=None,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def _refuse_foreign(params: WorkspaceCreateParams | WorkspaceUpdateParams) -> None:
    for name in ("external_key_id", "user_profile_id"):
        if getattr(params, name) is not None:
            raise NotSupported(f"{name}: this server has none; leave it out.")
    residency: dict[str, Any] = _RESIDENCY.model_dump()
    for name, value in (params.data_residency or {}).items():
        if name not in residency:
            raise InvalidRequest(
                f'Failed to parse request body: unknown field "data_residency.{name[:200]}"'
            )
        if value is not None and value != residency[name]:
            raise NotSupported(
                f"data_residency.{name}: this server's data is where the server is, and models "
                f"are where its table of models says; only {residency[name]!r} can be set."
            )


def _check_tags(tags: dict[str, str]) -> None:
    if len(tags) > limits.TAGS:
        raise InvalidRequest(f"tags: at most {limits.TAGS} are allowed")
    for name, value in tags.items():
        if not 1 <= len(name) <= limits.METADATA_KEY:
            raise InvalidRequest(f"tags: a key has 1 to {limits.METADATA_KEY} characters")
        if name.startswith("anthropic"):
            raise InvalidRequest("tags: keys may not begin with `anthropic`")
        if len(value) > limits.METADATA_VALUE:
            raise InvalidRequest(
                f"tags.{name}: a value has at most {limits.METADATA_VALUE} characters"
            )
