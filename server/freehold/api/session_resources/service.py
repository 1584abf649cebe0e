"""What happens to the resources of a session that is there (spec 9.1). Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from freehold.api import pages
from freehold.api.deps import Intake
from freehold.api.session_resources.attaching import Owner, Workshop, attach
from freehold.api.session_resources.schemas import (
    FileResourceParams,
    ResourceListQuery,
    ResourceShown,
    ResourceUpdateParams,
)
from freehold.api.sessions import service as session_service
from freehold.api.sessions import support
from freehold.core import cursors
from freehold.core.cursors import Cursor
from freehold.core.ids import is_id
from freehold.errors import InvalidRequest, NotFound
from freehold.ports.clock import Clock
from freehold.ports.sandbox import SandboxProvider
from freehold.store import session_resources
from freehold.store.file_library import FileLibrary
from freehold.store.sealing import Sealer
from freehold.store.session_resources import ResourceRow
from freehold.store.sessions import SessionRow
from freehold.store.units import ReadSession, WriteSession

LIST = "session_resources"


async def listed(
    session: ReadSession, workspace_id: str, session_id: str, query: ResourceListQuery
) -> tuple[Sequence[ResourceRow], str | None]:
    """A page of a session's resources in the order in which it was given them.

    Raises:
        NotFound: no such session. InvalidRequest: the cursor is none of this list.
    """
    row = await session_service.find(session, workspace_id, session_id)
    name = pages.of(LIST, row.id)
    after = _position(pages.decode(query.page, name, "asc"))
    more = None if query.limit is None else query.limit + 1
    found = await session_resources.page(session, row.id, after=after, limit=more)
    if query.limit is None or len(found) <= query.limit:
        return found, None
    found = found[: query.limit]
    return found, cursors.encode(Cursor(name, "asc", "next", (found[-1].position,)))


def _position(cursor: Cursor | None) -> int | None:
    if cursor is None:
        return None
    match cursor.key:
        case (int(position),) if -1 <= position < 2**31:
            return position
    raise InvalidRequest(pages.INVALID)


async def find(
    session: ReadSession, workspace_id: str, session_id: str, resource_id: str
) -> ResourceRow:
    """A resource. Those of memory stores have no id that anyone knows (spec 25, number 31).

    Raises:
        NotFound: no such session or resource; what is no id is not there either.
    """
    row = await session_service.find(session, workspace_id, session_id)
    return await _of(session, row.id, resource_id)


async def _of(session: ReadSession, session_id: str, resource_id: str) -> ResourceRow:
    found = None
    if is_id("sesrsc", resource_id):
        found = await session_resources.get(session, session_id, resource_id)
    if found is None or found.type == "memory_store":
        raise NotFound(f"Resource not found: {resource_id[:200]}")
    return found


async def _changeable(tx: WriteSession, workspace_id: str, session_id: str) -> SessionRow:
    """The session as nobody else can change it now."""
    row = await session_service.locked(tx, workspace_id, session_id)
    if row.state.status == "terminated":
        raise InvalidRequest(f"Session {row.id} is terminated and cannot be modified.")
    return row


async def add(
    tx: WriteSession,
    workspace_id: str,
    session_id: str,
    params: FileResourceParams,
    workshop: Workshop,
    *,
    intake: Intake,
    sandboxes: SandboxProvider,
) -> ResourceRow:
    """Give a session another file; the next tool call finds it.

    Raises:
        NotFound: no such session or file.
        InvalidRequest: the file does not fit in, or the session is over.
        NotSupported: the sandbox cannot keep it from the agent.
    """
    row = await _changeable(tx, workspace_id, session_id)
    support.refuse_resources(row.environment, [params], sandboxes)
    owner = Owner(workspace_id, row.id, row.agent, row.environment_id, row.environment)
    beside = await session_resources.of_session(tx, row.id)
    (added,) = await attach(tx, owner, [params], workshop, beside=beside, listed=False)
    intake.resources_changed(tx, row.id)
    return added


async def update(
    tx: WriteSession,
    workspace_id: str,
    session_id: str,
    resource_id: str,
    params: ResourceUpdateParams,
    *,
    intake: Intake,
    sealer: Sealer,
    clock: Clock,
) -> ResourceRow:
    """Give a repository another token.

    Raises:
        NotFound: no such session or resource.
        InvalidRequest: it is no repository, or the session is over.
    """
    row = await _changeable(tx, workspace_id, session_id)
    resource = await _of(tx, row.id, resource_id)
    if resource.type != "github_repository":
        raise InvalidRequest(
            "authorization_token: only resources of type `github_repository` have one; "
            f"{resource.id} is of type `{resource.type}`"
        )
    token = session_resources.seal_token(sealer, resource.id, params.authorization_token)
    changed = replace(resource, secret=token, updated_at=clock.now())
    await session_resources.update(tx, changed)
    intake.resources_changed(tx, row.id)
    return changed


async def delete(
    tx: WriteSession,
    workspace_id: str,
    session_id: str,
    resource_id: str,
    *,
    intake: Intake,
    files: FileLibrary,
) -> str:
    """Take a resource from a session, and the copy with it if it is a file; its id.

    Raises:
        NotFound: no such session or resource. InvalidRequest: the session is over.
    """
    row = await _changeable(tx, workspace_id, session_id)
    resource = await _of(tx, row.id, resource_id)
    await session_resources.delete(tx, resource)
    if resource.type == "file":
        await files.delete(tx, workspace_id, resource.body["file_id"])
    intake.resources_changed(tx, row.id)
    return resource.id


def shown(row: ResourceRow) -> ResourceShown:
    """The resource as the API shows it."""
    return ResourceShown.model_validate(session_resources.shown(row))
