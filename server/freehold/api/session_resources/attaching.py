"""Makes resources of what a client names: checked, mounted, files copied, tokens sealed (spec 9.2).

Everything happens in the transaction that makes or changes the session, so a session has all of
its resources or is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from freehold.api.memory_stores import service as memory_stores
from freehold.api.memory_stores.schemas import MemoryStoreResourceParams
from freehold.api.session_resources.schemas import (
    FileResourceParams,
    GitHubRepositoryResourceParams,
    ResourceParams,
)
from freehold.core import limits, mounts
from freehold.core.events import Json
from freehold.core.git_repositories import parse_repository
from freehold.core.permissions import enabled_builtins
from freehold.errors import InvalidRequest, NotFound
from freehold.ports.clock import Clock
from freehold.store import files, session_resources
from freehold.store.file_library import FileLibrary
from freehold.store.sealing import Sealer
from freehold.store.session_resources import ResourceRow
from freehold.store.units import ReadSession, WriteSession

NOT_ON_SELF_HOSTED = (
    "Environment {id} is a self-hosted environment. `resources` are not supported with "
    "self-hosted environments."
)


@dataclass(frozen=True)
class Owner:
    """The session that gets the resources."""

    workspace_id: str
    session_id: str
    agent: Json
    environment_id: str
    environment: Json


@dataclass(frozen=True)
class Workshop:
    """What resources are made with."""

    files: FileLibrary
    sealer: Sealer
    clock: Clock
    git_hosts: Sequence[str] = ()
    """Hosts besides github.com whose repositories may be named."""


def check_environment(
    environment_id: str, environment: Json, wanted: Sequence[ResourceParams]
) -> None:
    """Refuse what workers cannot be given (spec 5.2).

    Raises:
        InvalidRequest: the environment is self-hosted, and there is more than memory stores.
    """
    if environment["type"] == "self_hosted" and any(one.type != "memory_store" for one in wanted):
        raise InvalidRequest(NOT_ON_SELF_HOSTED.format(id=environment_id))


async def attach(
    tx: WriteSession,
    owner: Owner,
    wanted: Sequence[ResourceParams],
    workshop: Workshop,
    *,
    at: datetime | None = None,
    beside: Sequence[ResourceRow] = (),
    listed: bool = True,
) -> list[ResourceRow]:
    """Store resources of a session.

    Args:
        at: when they came to it, which is when the session was created if it is new.
        beside: those that it has already.
        listed: whether the client named them in a list, for the paths in refusals.

    Raises:
        NotFound: a file or a memory store is not there.
        InvalidRequest: they do not fit the session or each other.
    """
    bodies = await _bodies(tx, owner, wanted, workshop.git_hosts, beside=beside, listed=listed)
    await _copy_files(tx, owner, bodies, workshop.files)
    now = at or workshop.clock.now()
    first = 1 + await session_resources.last_position(tx, owner.session_id)
    rows = [
        _sealed(
            ResourceRow(
                id=workshop.clock.mint("sesrsc"),
                session_id=owner.session_id,
                workspace_id=owner.workspace_id,
                position=position,
                type=one.type,
                body=body,
                secret=None,
                created_at=now,
                updated_at=now,
            ),
            one,
            workshop.sealer,
        )
        for position, (one, body) in enumerate(zip(wanted, bodies, strict=True), start=first)
    ]
    await session_resources.insert(tx, rows)
    return rows


async def check(
    session: ReadSession, owner: Owner, wanted: Sequence[ResourceParams], workshop: Workshop
) -> None:
    """Refuse what :func:`attach` would refuse to a session that is made now.

    Raises:
        NotFound, InvalidRequest: as for :func:`attach`.
    """
    bodies = await _bodies(session, owner, wanted, workshop.git_hosts)
    ids = _file_ids(owner, bodies)
    now = workshop.clock.now()
    there = await files.some(session, owner.workspace_id, ids)
    found = {file.id for file in there if not file.expired(now)}
    _check_found(ids, [file_id in found for file_id in ids])


async def _bodies(
    session: ReadSession,
    owner: Owner,
    wanted: Sequence[ResourceParams],
    git_hosts: Sequence[str],
    *,
    beside: Sequence[ResourceRow] = (),
    listed: bool = True,
) -> list[Json]:
    check_environment(owner.environment_id, owner.environment, wanted)
    if len(beside) + len(wanted) > limits.RESOURCES:
        raise InvalidRequest(f"resources: must contain at most {limits.RESOURCES} items")
    stores = await _stores(session, owner.workspace_id, wanted)
    bodies = [_body(one, owner.agent, stores, place, git_hosts) for place, one in enumerate(wanted)]
    _check_mounts(bodies, beside, listed=listed)
    return bodies


async def _stores(
    session: ReadSession, workspace_id: str, wanted: Sequence[ResourceParams]
) -> dict[str, Json]:
    """The bodies of the memory stores among them, by id."""
    given = [one for one in wanted if isinstance(one, MemoryStoreResourceParams)]
    found: dict[str, Json] = {}
    for store in await memory_stores.mounted(session, workspace_id, given):
        body = found[store.memory_store_id] = {
            "type": "memory_store",
            "memory_store_id": store.memory_store_id,
            "access": store.access,
            "name": store.name,
            "description": store.description,
            "mount_path": store.mount_path,
        }
        if store.instructions is not None:
            body["instructions"] = store.instructions
    return found


def _body(
    one: ResourceParams,
    agent: Json,
    stores: dict[str, Json],
    place: int,
    git_hosts: Sequence[str],
) -> Json:
    match one:
        case FileResourceParams():
            return {
                "type": one.type,
                "file_id": one.file_id,
                "mount_path": mounts.of_file(one.file_id, one.mount_path),
            }
        case GitHubRepositoryResourceParams():
            return _repository(one, agent, place, git_hosts)
        case MemoryStoreResourceParams():
            return stores[one.memory_store_id]


def _repository(
    one: GitHubRepositoryResourceParams, agent: Json, place: int, git_hosts: Sequence[str]
) -> Json:
    try:
        repository = parse_repository(one.url, git_hosts)
    except ValueError as error:
        raise InvalidRequest(f"Invalid `github_repository` resource: {error}") from None
    try:
        mount_path = mounts.of_repository(
            repository.name, one.mount_path, has_skills=bool(agent["skills"])
        )
    except ValueError as error:
        raise InvalidRequest(f"resources.{place}.mount_path: {error}") from None
    return {
        "type": one.type,
        "url": one.url,
        "mount_path": mount_path,
        "checkout": None if one.checkout is None else one.checkout.model_dump(),
    }


def _check_mounts(bodies: Sequence[Json], beside: Sequence[ResourceRow], *, listed: bool) -> None:
    paths = [row.body["mount_path"] for row in beside] + [body["mount_path"] for body in bodies]
    clash = mounts.overlap(paths)
    if clash is None:
        return
    other, place = clash
    new = place - len(beside)
    field = f"resources.{new}.mount_path" if listed else "mount_path"
    raise InvalidRequest(
        f"{field}: {paths[place]} overlaps the mount of another resource at {paths[other]}"
    )


async def _copy_files(
    tx: WriteSession, owner: Owner, bodies: Sequence[Json], library: FileLibrary
) -> None:
    """Give the session copies of its files, and the bodies the copies' ids."""
    ids = _file_ids(owner, bodies)
    if not ids:
        return
    copies = await library.copies_within(tx, owner.workspace_id, ids, owner.session_id)
    _check_found(ids, [copy is not None for copy in copies])
    given = [body for body in bodies if body["type"] == "file"]
    for body, copy in zip(given, copies, strict=True):
        if copy is not None:
            body["file_id"] = copy.id


def _file_ids(owner: Owner, bodies: Sequence[Json]) -> list[str]:
    ids = [body["file_id"] for body in bodies if body["type"] == "file"]
    if ids and "read" not in enabled_builtins(owner.agent["tools"]):
        raise InvalidRequest(
            "Missing required tool: file resources require the read tool to be usable (enabled "
            "and not always_deny) on the session's `agent_toolset`"
        )
    return ids


def _check_found(ids: Sequence[str], found: Sequence[bool]) -> None:
    missing = [one for one, there in zip(ids, found, strict=True) if not there]
    if missing:
        raise NotFound(
            "One or more files not found. Check that each `file_id` exists and is accessible: "
            + ", ".join(dict.fromkeys(missing)),
            should_retry=False,
        )


def _sealed(row: ResourceRow, one: ResourceParams, sealer: Sealer) -> ResourceRow:
    if not isinstance(one, GitHubRepositoryResourceParams) or one.authorization_token is None:
        return row
    token = session_resources.seal_token(sealer, row.id, one.authorization_token)
    return replace(row, secret=token)
