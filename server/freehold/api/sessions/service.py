"""What happens to sessions (spec 5). Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from freehold.api import pages
from freehold.api.deps import Intake
from freehold.api.environments import service as environment_service
from freehold.api.events import attachments
from freehold.api.events.schemas import client_events
from freehold.api.session_resources.attaching import Owner, Workshop, attach, check_environment
from freehold.api.sessions import support
from freehold.api.sessions.schemas import (
    Session,
    SessionCreateParams,
    SessionListQuery,
)
from freehold.api.sessions.snapshots import snapshot
from freehold.core.catalog import Catalog
from freehold.core.cursors import Cursor, Direction
from freehold.core.events import ClientEvent, Json
from freehold.core.ids import is_id
from freehold.core.merge import metadata_problem
from freehold.core.networking import blocked_mcp_servers
from freehold.core.usage import render_budget, render_stats, render_usage
from freehold.core.work import DEFAULT_TTL, enqueued
from freehold.errors import InvalidRequest, NotFound
from freehold.ports.clock import Clock
from freehold.ports.log import SessionSpec
from freehold.ports.sandbox import SandboxProvider
from freehold.store import (
    credentials,
    outbox,
    session_resources,
    sessions,
    skill_source,
    vaults,
    work,
)
from freehold.store.credentials import CredentialRow
from freehold.store.environments import EnvironmentRow
from freehold.store.keyset import Span
from freehold.store.session_resources import ResourceRow
from freehold.store.sessions import SessionRow
from freehold.store.units import ReadSession, WriteSession
from freehold.store.work_rows import WorkRow

LIST = "sessions"
_OLD_PREFIX = "session_"


def normalise(session_id: str) -> str:
    """The id with today's prefix; ``session_…`` is tolerated (spec 1.9)."""
    if session_id.startswith(_OLD_PREFIX):
        return "sesn_" + session_id.removeprefix(_OLD_PREFIX)
    return session_id


def missing(session_id: str) -> NotFound:
    """The session is not there, or not in this workspace."""
    return NotFound(f"Session not found: {session_id[:200]}")


async def find(session: ReadSession, workspace_id: str, session_id: str) -> SessionRow:
    """A session.

    Raises:
        NotFound: no such session; what is no id is not there either (spec 1.4).
    """
    session_id = normalise(session_id)
    row = None
    if is_id("sesn", session_id):
        row = await sessions.get(session, workspace_id, session_id)
    if row is None:
        raise missing(session_id)
    return row


@dataclass(frozen=True)
class Checked:
    """What a session would be made of."""

    agent: Json
    environment: EnvironmentRow
    metadata: dict[str, str]
    budget: int | None
    credentials: Sequence[CredentialRow]
    events: Sequence[ClientEvent]


async def check(
    tx: WriteSession,
    workspace_id: str,
    params: SessionCreateParams,
    *,
    clock: Clock,
    catalog: Catalog,
    sandboxes: SandboxProvider,
) -> Checked:
    """Refuse what :func:`create` would refuse, but for what is wrong with resources.

    Raises:
        NotFound, InvalidRequest, NotSupported: as for :func:`create`.
    """
    support.refuse_fields(params)
    metadata = dict(params.metadata or {})
    check_metadata(metadata)
    agent = await snapshot(tx, workspace_id, params)
    environment = await environment_service.find(tx, workspace_id, params.environment_id)
    if environment.archived_at is not None:
        raise InvalidRequest(
            f"Environment {environment.id} is archived.",
            details={"error_code": "environment_archived"},
        )
    support.refuse_agent(agent)
    wanted = params.resources or []
    check_environment(environment.id, environment.config, wanted)
    support.refuse_environment(environment.id, environment.config, sandboxes)
    support.refuse_resources(environment.config, wanted, sandboxes)
    if environment.config["type"] == "cloud":
        support.refuse_skills(agent, sandboxes)
    if (problem := blocked_mcp_servers(agent, environment.config)) is not None:
        raise InvalidRequest(problem)
    budget = None
    if params.budget is not None:
        check_budgetable(agent, catalog)
        budget = params.budget.max_list_cost.cents
    held = await _credentials(tx, workspace_id, params.vault_ids or [])
    for credential in held:
        support.refuse_credential(credential, environment.config, sandboxes)
    events = client_events(params.initial_events or [], clock)
    await attachments.check(tx, workspace_id, events, "initial_events", clock)
    return Checked(agent, environment, metadata, budget, held, events)


async def create(
    tx: WriteSession,
    workspace_id: str,
    params: SessionCreateParams,
    *,
    intake: Intake,
    clock: Clock,
    catalog: Catalog,
    sandboxes: SandboxProvider,
    workshop: Workshop,
    work_ttl: int = DEFAULT_TTL,
    deployment_id: str | None = None,
) -> tuple[SessionRow, list[ResourceRow]]:
    """Start a session, with its resources, and its first events if there are any.

    Args:
        deployment_id: The deployment whose run this is.

    Raises:
        NotFound: no such agent, version, environment, vault, file or memory store.
        InvalidRequest: it does not hold together, or something it needs is archived.
        NotSupported: it needs what this version lacks.
    """
    checked = await check(
        tx, workspace_id, params, clock=clock, catalog=catalog, sandboxes=sandboxes
    )
    agent, environment = checked.agent, checked.environment
    events, budget = checked.events, checked.budget
    now = clock.now()
    spec = SessionSpec(
        session_id=clock.mint("sesn"),
        workspace_id=workspace_id,
        primary_thread_id=clock.mint("sthr"),
        agent=agent,
        environment_id=environment.id,
        environment=environment.config,
        created_at=now,
        budget=budget,
        vault_ids=tuple(params.vault_ids or ()),
    )
    row = await insert(
        tx,
        spec,
        intake=intake,
        title=params.title,
        metadata=checked.metadata,
        deployment_id=deployment_id,
    )
    if environment.config["type"] == "self_hosted":
        item = WorkRow(
            id=clock.mint("work"),
            workspace_id=workspace_id,
            environment_id=environment.id,
            session_id=row.id,
            metadata={},
            created_at=now,
            work=enqueued(now, work_ttl),
        )
        await work.insert(tx, item)
    owner = Owner(workspace_id, row.id, agent, environment.id, environment.config)
    resources = await attach(tx, owner, params.resources or [], workshop, at=now)
    await skill_source.pin(tx, workspace_id, row.id, agent["skills"])
    notices = support.unreachable_hosts(checked.credentials, environment.config, agent)
    if not events and not notices:
        return row, resources
    state = await intake.begin(tx, spec, events, notices)
    return replace(row, state=state, updated_at=state.last_at or now), resources


async def insert(
    tx: WriteSession,
    spec: SessionSpec,
    *,
    intake: Intake,
    title: str | None,
    metadata: dict[str, str],
    deployment_id: str | None = None,
) -> SessionRow:
    """Keep a new session, whose log is empty, and tell of it."""
    row = SessionRow(
        id=spec.session_id,
        workspace_id=spec.workspace_id,
        agent_id=spec.agent["id"],
        agent_version=spec.agent["version"],
        agent=spec.agent,
        environment_id=spec.environment_id,
        environment=spec.environment,
        primary_thread_id=spec.primary_thread_id,
        title=title,
        metadata=metadata,
        state=intake.initial_state(spec),
        created_at=spec.created_at,
        updated_at=spec.created_at,
        archived_at=None,
        budget=spec.budget,
        vault_ids=spec.vault_ids,
        deployment_id=deployment_id,
    )
    await sessions.insert(tx, row)
    await outbox.tell(tx, row.workspace_id, "session.created", row.id, row.created_at)
    await outbox.tell(tx, row.workspace_id, "session.pending", row.id, row.created_at)
    return row


async def _credentials(
    tx: WriteSession, workspace_id: str, vault_ids: Sequence[str]
) -> list[CredentialRow]:
    """What the vaults hold that a session names.

    Raises:
        NotFound: there is no such vault. InvalidRequest: it is archived.
    """
    found: list[CredentialRow] = []
    for vault_id in dict.fromkeys(vault_ids):
        vault = None
        if is_id("vlt", vault_id):
            vault = await vaults.get(tx, workspace_id, vault_id)
        if vault is None:
            raise NotFound(f"vault_ids: vault {vault_id[:200]} not found")
        if vault.archived_at is not None:
            raise InvalidRequest(f"vault_ids: vault {vault_id} is archived")
        found += await credentials.active(tx, vault_id)
    return found


async def listed(
    session: ReadSession, workspace_id: str, query: SessionListQuery
) -> tuple[Sequence[SessionRow], pages.BothWays]:
    """A page of sessions and the cursors on both its sides.

    Raises:
        InvalidRequest: the cursor is of another order, or outside the time filters.
    """
    cursor = pages.decode(query.page, LIST, query.order)
    place = pages.key(cursor)
    if place is not None:
        _check_within(place.created_at, query)
    backwards = cursor is not None and cursor.direction == "prev"
    matching = sessions.Filter(
        agent_id=query.agent_id,
        agent_version=query.agent_version,
        statuses=query.statuses,
        include_archived=query.include_archived,
        within=Span(
            gt=query.created_at_gt,
            gte=query.created_at_gte,
            lt=query.created_at_lt,
            lte=query.created_at_lte,
        ),
        memory_store_id=query.memory_store_id,
        deployment_id=query.deployment_id,
    )
    found = await sessions.page(
        session,
        workspace_id,
        matching,
        after=place,
        descending=(query.order == "desc") != backwards,
        limit=query.limit + 1,
    )
    more = len(found) > query.limit
    rows = list(found[: query.limit])
    if backwards:
        rows.reverse()
    return rows, _around(rows, query, cursor, more=more, backwards=backwards)


def _around(
    rows: Sequence[SessionRow],
    query: SessionListQuery,
    cursor: Cursor | None,
    *,
    more: bool,
    backwards: bool,
) -> pages.BothWays:
    if not rows:
        return pages.BothWays(None, None)

    def beside(row: SessionRow, direction: Direction) -> str:
        return pages.cursor_at(row, LIST, query.order, direction)

    onward = more or backwards
    back = more if backwards else cursor is not None
    return pages.BothWays(
        beside(rows[-1], "next") if onward else None, beside(rows[0], "prev") if back else None
    )


def _check_within(moment: datetime, query: SessionListQuery) -> None:
    if (
        (query.created_at_gt is not None and moment <= query.created_at_gt)
        or (query.created_at_gte is not None and moment < query.created_at_gte)
        or (query.created_at_lt is not None and moment >= query.created_at_lt)
        or (query.created_at_lte is not None and moment > query.created_at_lte)
    ):
        raise InvalidRequest("page: the cursor is outside the `created_at` filter")


def check_budgetable(agent: Json, catalog: Catalog) -> None:
    """Refuse a budget that could not be kept because a price is missing (spec 10, rule 4)."""
    model = agent["model"]
    price = catalog.price(model["id"])
    fast = model.get("speed") == "fast"
    if price is None or (fast and price.fast is None):
        speed = " at the speed `fast`" if fast else ""
        raise InvalidRequest(
            f"budget: the model {model['id']}{speed} has no list price, so a budget cannot be kept "
            "(model_not_budgetable); give it one in FREEHOLD_PRICES, or omit the budget",
            details={"error_code": "model_not_budgetable"},
        )


async def locked(tx: WriteSession, workspace_id: str, session_id: str) -> SessionRow:
    """The session as nobody else can change it now."""
    row = await find(tx, workspace_id, session_id)
    await tx.lock_session(row.id)
    return await find(tx, workspace_id, session_id)


async def archive(
    tx: WriteSession, workspace_id: str, session_id: str, intake: Intake, clock: Clock
) -> SessionRow:
    """Terminate a session for good; a second time changes nothing.

    Raises:
        NotFound: no such session. InvalidRequest: it is running.
    """
    row = await find(tx, workspace_id, session_id)
    if row.archived_at is not None:
        return row
    await intake.archive(tx, row.id)
    row = await find(tx, workspace_id, session_id)
    if row.archived_at is None:
        row = replace(row, archived_at=row.state.last_at or clock.now())
        await sessions.update(tx, row)
    return row


async def delete(tx: WriteSession, workspace_id: str, session_id: str, intake: Intake) -> str:
    """Delete a session; its id.

    Raises:
        NotFound: no such session. InvalidRequest: it is running.
    """
    row = await find(tx, workspace_id, session_id)
    await intake.delete(tx, row.id)
    return row.id


def check_metadata(bag: dict[str, str]) -> None:
    if (problem := metadata_problem(bag)) is not None:
        raise InvalidRequest(problem)


def shown(row: SessionRow, resources: Sequence[ResourceRow], now: datetime) -> Session:
    """The session as the API shows it."""
    origin = {} if row.deployment_id is None else {"deployment_id": row.deployment_id}
    return Session.model_validate(
        {
            "id": row.id,
            "type": "session",
            "status": row.state.status,
            "title": row.title,
            "agent": row.agent,
            "environment_id": row.environment_id,
            "metadata": row.metadata,
            "resources": [session_resources.shown(resource) for resource in resources],
            "vault_ids": list(row.vault_ids),
            "outcome_evaluations": [],
            "stats": render_stats(row.state, now),
            "usage": render_usage(row.state, now),
            "budget": render_budget(row.state),
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "archived_at": row.archived_at,
            **origin,
        }
    )
