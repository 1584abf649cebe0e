"""What happens to environments (spec 3.2). Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from freehold.api import pages
from freehold.api.environments.schemas import (
    MANAGERS,
    CloudConfigParams,
    ConfigParams,
    Environment,
    EnvironmentCreateParams,
    EnvironmentListQuery,
    EnvironmentUpdateParams,
    LimitedNetworkParams,
    PackagesParams,
    Scope,
    UnrestrictedNetworkParams,
)
from freehold.core.events import Json
from freehold.core.ids import is_id
from freehold.core.merge import metadata_problem, patch_metadata
from freehold.errors import Conflict, InvalidRequest, NotFound
from freehold.ports.clock import Clock
from freehold.store import environments, outbox, sessions, work
from freehold.store.environments import EnvironmentRow
from freehold.store.units import ReadSession, WriteSession

LIST = "environments"
UNRESTRICTED: Json = {"type": "unrestricted"}


async def create(
    tx: WriteSession, workspace_id: str, params: EnvironmentCreateParams, clock: Clock
) -> EnvironmentRow:
    """Store a new environment; with no config it is a cloud one without limits.

    Raises:
        InvalidRequest: it does not hold together.
    """
    _check_scope(params.scope)
    config = merge_config(None, params.config or CloudConfigParams(type="cloud"))
    _check_config(config)
    metadata = dict(params.metadata or {})
    _check_metadata(metadata)
    now = clock.now()
    environment = EnvironmentRow(
        id=clock.mint("env"),
        workspace_id=workspace_id,
        name=params.name,
        description=params.description,
        config=config,
        metadata=metadata,
        scope="organization",
        created_at=now,
        updated_at=now,
        archived_at=None,
    )
    await environments.insert(tx, environment)
    await outbox.tell(tx, workspace_id, "environment.created", environment.id, now)
    return environment


async def find(
    session: ReadSession, workspace_id: str, environment_id: str, *, for_update: bool = False
) -> EnvironmentRow:
    """An environment.

    Raises:
        NotFound: no such environment; what is no id is not there either (spec 1.4).
    """
    environment = None
    if is_id("env", environment_id):
        environment = await environments.get(
            session, workspace_id, environment_id, for_update=for_update
        )
    if environment is None:
        raise missing(environment_id)
    return environment


def missing(environment_id: str) -> NotFound:
    """The environment is not there."""
    return NotFound(f"Environment {environment_id[:200]} not found.", should_retry=False)


async def listed(
    session: ReadSession, workspace_id: str, query: EnvironmentListQuery
) -> tuple[Sequence[EnvironmentRow], str | None]:
    """A page of environments, newest first."""
    cursor = pages.decode(query.page, LIST, "desc")
    rows = await environments.page(
        session,
        workspace_id,
        after=pages.key(cursor),
        limit=query.limit + 1,
        include_archived=query.include_archived,
    )
    return pages.forward(rows, query.limit, LIST)


async def update(
    tx: WriteSession,
    workspace_id: str,
    environment_id: str,
    params: EnvironmentUpdateParams,
    clock: Clock,
) -> EnvironmentRow:
    """Merge the changes. Sessions that exist keep the config they copied.

    Raises:
        NotFound: no such environment.
        InvalidRequest: it is archived, changes its type, or does not hold together.
    """
    stored = await find(tx, workspace_id, environment_id, for_update=True)
    if stored.archived_at is not None:
        raise InvalidRequest(
            f"Environment {environment_id} is archived and cannot be modified.",
            details={"error_code": "environment_archived"},
            should_retry=False,
        )
    _check_scope(params.scope)
    changed = stored
    if params.name is not None:
        changed = replace(changed, name=params.name)
    if "description" in params.model_fields_set:
        changed = replace(changed, description=params.description)
    if params.config is not None:
        config = merge_config(stored.config, params.config)
        _check_config(config)
        changed = replace(changed, config=config)
    if params.metadata is not None:
        metadata = patch_metadata(stored.metadata, params.metadata, empty_deletes=True)
        _check_metadata(metadata)
        changed = replace(changed, metadata=metadata)
    if changed == stored:
        return stored
    changed = replace(changed, updated_at=clock.now())
    await environments.update(tx, changed)
    await outbox.tell(tx, workspace_id, "environment.updated", changed.id, changed.updated_at)
    return changed


async def archive(
    tx: WriteSession, workspace_id: str, environment_id: str, clock: Clock
) -> EnvironmentRow:
    """Make it read-only for good; a second time changes nothing.

    Raises:
        NotFound: no such environment.
    """
    environment = await find(tx, workspace_id, environment_id, for_update=True)
    if environment.archived_at is None:
        now = clock.now()
        environment = replace(environment, archived_at=now, updated_at=now)
        await environments.update(tx, environment)
        await outbox.tell(tx, workspace_id, "environment.archived", environment.id, now)
    return environment


async def delete(
    tx: WriteSession, workspace_id: str, environment_id: str, clock: Clock, *, force: bool = False
) -> None:
    """Remove it. Sessions on it go on with the config they copied (spec 3.2, 25 number 3), but
    those of a self-hosted one get no worker any more: ``force`` says that this is meant.

    Raises:
        NotFound: no such environment.
        Conflict: it is self-hosted, and there is work in its queue, or sessions that are not over.
    """
    environment = await find(tx, workspace_id, environment_id, for_update=True)
    if environment.config["type"] == "self_hosted" and not force:
        if await work.queued(tx, workspace_id, environment_id, clock.now()):
            raise Conflict(
                "Cannot delete self-hosted environment with work in the queue. Either archive the "
                "environment first to allow the queue to drain, or use force=true to delete "
                "immediately.",
                should_retry=False,
            )
        if count := await sessions.living(tx, workspace_id, environment_id):
            plural = "" if count == 1 else "s"
            raise Conflict(
                f"Environment has {count} active session{plural}. Use force=true to delete anyway.",
                should_retry=False,
            )
    if not is_id("env", environment_id) or not await environments.delete(
        tx, workspace_id, environment_id
    ):
        raise missing(environment_id)
    await outbox.tell(tx, workspace_id, "environment.deleted", environment_id, clock.now())


def merge_config(stored: Json | None, params: ConfigParams) -> Json:
    """A config after a change: what is left out keeps what is stored, or the default.

    Raises:
        InvalidRequest: the type changes.
    """
    if stored is not None and stored["type"] != params.type:
        way = "Cloud to BYOC" if stored["type"] == "cloud" else "BYOC to Cloud"
        raise InvalidRequest(
            f"Cannot change environment type from {way}",
            details={"error_code": "invalid_config_type_change"},
            should_retry=False,
        )
    if not isinstance(params, CloudConfigParams):
        return {"type": "self_hosted"}
    before = stored or {"networking": UNRESTRICTED, "packages": {}}
    return {
        "type": "cloud",
        "networking": _merge_networking(before["networking"], params.networking),
        "packages": _merge_packages(before["packages"], params.packages),
    }


def _merge_networking(
    stored: Json, params: UnrestrictedNetworkParams | LimitedNetworkParams | None
) -> Json:
    if params is None:
        return stored
    if not isinstance(params, LimitedNetworkParams):
        return dict(UNRESTRICTED)
    before = stored if stored["type"] == "limited" else {}
    merged: Json = {"type": "limited"}
    for name, default in (
        ("allowed_hosts", []),
        ("allow_mcp_servers", False),
        ("allow_package_managers", False),
    ):
        value = getattr(params, name)
        merged[name] = before.get(name, default) if value is None else value
    return merged


def _merge_packages(stored: Json, params: PackagesParams | None) -> Json:
    merged: Json = {"type": "packages"}
    for manager in MANAGERS:
        value = None if params is None else getattr(params, manager)
        merged[manager] = stored.get(manager, []) if value is None else value
    return merged


def has_packages(config: Json) -> bool:
    """Whether anything is to be installed."""
    return any(config.get("packages", {}).get(manager) for manager in MANAGERS)


def _check_config(config: Json) -> None:
    if config["type"] != "cloud" or config["networking"]["type"] != "limited":
        return
    if has_packages(config) and not config["networking"]["allow_package_managers"]:
        raise InvalidRequest(
            "config.packages: packages need networking.allow_package_managers to be true when "
            "networking is limited",
            should_retry=False,
        )


def _check_scope(scope: Scope | None) -> None:
    if scope == "account":
        raise InvalidRequest(
            'scope: "account" is not available to API organizations; use "organization"',
            should_retry=False,
        )


def _check_metadata(bag: dict[str, str]) -> None:
    if (problem := metadata_problem(bag)) is not None:
        raise InvalidRequest(
            problem, details={"error_code": "invalid_metadata"}, should_retry=False
        )


def shown(row: EnvironmentRow) -> Environment:
    """The environment as the API shows it."""
    return Environment.model_validate(
        {
            "id": row.id,
            "type": "environment",
            "name": row.name,
            "description": row.description,
            "config": row.config,
            "metadata": row.metadata,
            "scope": row.scope,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "archived_at": row.archived_at,
        }
    )
