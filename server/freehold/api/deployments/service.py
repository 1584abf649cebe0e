"""What happens to deployments (spec 13), but for their runs. Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from freehold.api import pages
from freehold.api.deployments import definition
from freehold.api.deployments.schemas import (
    Deployment,
    DeploymentCreateParams,
    DeploymentListQuery,
    DeploymentUpdateParams,
    ScheduleParams,
)
from freehold.api.deps import ApiServices
from freehold.api.session_resources import attaching
from freehold.api.session_resources.attaching import Owner, Workshop
from freehold.api.sessions import service as session_service
from freehold.api.sessions.schemas import AgentParams
from freehold.core import limits, schedule
from freehold.core.events import Json
from freehold.core.ids import is_id
from freehold.core.merge import metadata_problem, patch_metadata
from freehold.core.usage import budget_limit
from freehold.errors import InvalidRequest, NotFound
from freehold.store import agents, deployments, outbox
from freehold.store.deployments import DeploymentRow
from freehold.store.keyset import Span
from freehold.store.units import ReadSession, WriteSession

LIST = "deployments"
ARCHIVED = "Cannot modify archived deployment"
MANUAL = "manual"
_MAKES_SESSIONS = frozenset(
    {"agent", "environment_id", "initial_events", "resources", "vault_ids", "budget"}
)


def workshop(behind: ApiServices) -> Workshop:
    """What the resources of sessions are made with."""
    return Workshop(behind.files, behind.sealer, behind.clock, behind.settings.git_hosts)


async def create(
    tx: WriteSession, workspace_id: str, params: DeploymentCreateParams, behind: ApiServices
) -> DeploymentRow:
    """Store a new deployment, if a session could be created from it now.

    Raises:
        NotFound, InvalidRequest, NotSupported: as for the session; or the schedule is none.
    """
    now = behind.clock.now()
    deployment_id = behind.clock.mint("depl")
    made = definition.furniture(params.resources or [], deployment_id, behind.sealer)
    row = DeploymentRow(
        id=deployment_id,
        workspace_id=workspace_id,
        name=params.name,
        description=params.description or None,
        agent_id=params.agent.id,
        agent_version=await _pinned(tx, workspace_id, params.agent),
        environment_id=params.environment_id,
        initial_events=definition.events(params.initial_events),
        resources=made.shown,
        sealed=made.sealed,
        vault_ids=list(params.vault_ids or []),
        metadata=dict(params.metadata or {}),
        budget=None if params.budget is None else params.budget.max_list_cost.cents,
        expression=None,
        timezone=None,
        scheduled_at=None,
        starts_at=None,
        last_run_at=None,
        paused=None,
        created_at=now,
        updated_at=now,
        archived_at=None,
    )
    _check_metadata(row.metadata)
    if params.schedule is not None:
        row = await _scheduled(tx, row, params.schedule, now)
    await _check_sessions(tx, row, behind)
    await deployments.insert(tx, row)
    await outbox.tell(tx, workspace_id, "deployment.created", row.id, now)
    return row


async def _pinned(tx: WriteSession, workspace_id: str, wanted: AgentParams) -> int:
    """The version that is meant; until the end of ``tx`` nobody archives the agent."""
    stored = None
    if is_id("agent", wanted.id):
        stored = await agents.get(tx, workspace_id, wanted.id, for_update=True)
    if wanted.version is not None or stored is None:
        return wanted.version or 1  # whether it is there is checked with the rest
    return stored.version


async def _scheduled(
    tx: WriteSession, row: DeploymentRow, params: ScheduleParams, now: datetime
) -> DeploymentRow:
    definition.check_schedule(params, now)
    if row.expression is None and await deployments.scheduled(tx) >= limits.DEPLOYMENTS_SCHEDULED:
        raise InvalidRequest(
            f"schedule: there are {limits.DEPLOYMENTS_SCHEDULED} deployments with a schedule, and "
            "there may be no more; archive one, or clear its schedule"
        )
    return following(replace(row, expression=params.expression, timezone=params.timezone), now)


def following(row: DeploymentRow, after: datetime) -> DeploymentRow:
    """The row with the time of its next run: the first occurrence later than ``after``.

    Raises:
        ValueError: this machine does not know its time zone.
    """
    due = None
    if row.paused is None and row.archived_at is None:
        table = definition.timetable(row)
        due = None if table is None else table.after(after)
    if due is None:
        return replace(row, scheduled_at=None, starts_at=None)
    return replace(row, scheduled_at=due.scheduled_at, starts_at=due.starts_at)


async def _check_sessions(tx: WriteSession, row: DeploymentRow, behind: ApiServices) -> None:
    """Refuse what a session could not be created from now."""
    params = definition.session_params(row, behind.sealer)
    checked = await session_service.check(
        tx,
        row.workspace_id,
        params,
        clock=behind.clock,
        catalog=behind.catalog,
        sandboxes=behind.sandboxes,
    )
    environment = checked.environment
    owner = Owner(row.workspace_id, "", checked.agent, environment.id, environment.config)
    await attaching.check(tx, owner, params.resources or [], workshop(behind))
    definition.check_events(row.initial_events, checked.agent, behind.catalog)


async def find(
    session: ReadSession, workspace_id: str, deployment_id: str, *, for_update: bool = False
) -> DeploymentRow:
    """A deployment.

    Raises:
        NotFound: no such deployment; what is no id is not there either (spec 1.4).
    """
    row = None
    if is_id("depl", deployment_id):
        row = await deployments.get(session, workspace_id, deployment_id, for_update=for_update)
    if row is None:
        raise NotFound(f"Deployment not found: {deployment_id[:200]}")
    return row


async def listed(
    session: ReadSession, workspace_id: str, query: DeploymentListQuery
) -> tuple[Sequence[DeploymentRow], str | None]:
    """A page of deployments and the cursor of the next.

    Raises:
        InvalidRequest: the cursor is none of this list, or the filters exclude each other.
    """
    if query.status is not None and query.include_archived:
        raise InvalidRequest("include_archived: cannot be set together with status")
    rows = await deployments.page(
        session,
        workspace_id,
        after=pages.key(pages.decode(query.page, LIST, "desc")),
        limit=query.limit + 1,
        agent_id=query.agent_id,
        status=query.status,
        include_archived=query.include_archived,
        within=Span(gte=query.created_at_gte, lte=query.created_at_lte),
    )
    return pages.forward(rows, query.limit, LIST)


async def _open(tx: WriteSession, workspace_id: str, deployment_id: str) -> DeploymentRow:
    row = await find(tx, workspace_id, deployment_id, for_update=True)
    if row.archived_at is not None:
        raise InvalidRequest(ARCHIVED)
    return row


async def update(
    tx: WriteSession,
    workspace_id: str,
    deployment_id: str,
    params: DeploymentUpdateParams,
    behind: ApiServices,
) -> DeploymentRow:
    """Change what is given; later runs follow it.

    Raises:
        NotFound: no such deployment, or something that it names is not there.
        InvalidRequest, NotSupported: as for :func:`create`; or it is archived.
    """
    given = params.model_fields_set
    # Agents are locked before deployments, also where an agent's archiving archives them.
    version = await _pinned(tx, workspace_id, params.agent) if "agent" in given else 0
    stored = await _open(tx, workspace_id, deployment_id)
    now = behind.clock.now()
    row = stored
    if "name" in given:
        row = replace(row, name=params.name)
    if "description" in given:
        row = replace(row, description=params.description or None)
    if "agent" in given:
        row = replace(row, agent_id=params.agent.id, agent_version=version)
    if "environment_id" in given:
        row = replace(row, environment_id=params.environment_id)
    if "initial_events" in given:
        row = replace(row, initial_events=definition.events(params.initial_events))
    if "resources" in given:
        made = definition.furniture(params.resources or [], row.id, behind.sealer)
        row = replace(row, resources=made.shown, sealed=made.sealed)
    if "vault_ids" in given:
        row = replace(row, vault_ids=list(params.vault_ids or []))
    if "budget" in given:
        budget = None if params.budget is None else params.budget.max_list_cost.cents
        row = replace(row, budget=budget)
    if params.metadata is not None:
        row = replace(row, metadata=patch_metadata(row.metadata, params.metadata))
        _check_metadata(row.metadata)
    if "schedule" in given:
        row = await _rescheduled(tx, row, params.schedule, now)
    if row == stored:
        return stored
    if given & _MAKES_SESSIONS:
        await _check_sessions(tx, row, behind)
    row = replace(row, updated_at=now)
    await deployments.update(tx, row)
    await outbox.tell(tx, workspace_id, "deployment.updated", row.id, now)
    return row


async def _rescheduled(
    tx: WriteSession, row: DeploymentRow, params: ScheduleParams | None, now: datetime
) -> DeploymentRow:
    if params is None:
        return following(replace(row, expression=None, timezone=None), now)
    if (params.expression, params.timezone) == (row.expression, row.timezone):
        return row  # a run that is due stays so
    return await _scheduled(tx, row, params, now)


async def archive(
    tx: WriteSession, workspace_id: str, deployment_id: str, now: datetime
) -> DeploymentRow:
    """Start no more runs, for good; a second time changes nothing.

    Raises:
        NotFound: no such deployment.
    """
    row = await find(tx, workspace_id, deployment_id, for_update=True)
    if row.archived_at is not None:
        return row
    row = following(replace(row, archived_at=now, updated_at=now, paused=None), now)
    await deployments.update(tx, row)
    await outbox.tell(tx, workspace_id, "deployment.archived", row.id, now)
    return row


async def pause(
    tx: WriteSession, workspace_id: str, deployment_id: str, now: datetime
) -> DeploymentRow:
    """Keep the schedule from starting runs; one that is paused stays as it is.

    Raises:
        NotFound: no such deployment. InvalidRequest: it is archived.
    """
    row = await _open(tx, workspace_id, deployment_id)
    if row.paused is not None:
        return row
    row = following(replace(row, paused=MANUAL, updated_at=now), now)
    await deployments.update(tx, row)
    await outbox.tell(tx, workspace_id, "deployment.paused", row.id, now)
    return row


async def unpause(
    tx: WriteSession, workspace_id: str, deployment_id: str, now: datetime
) -> DeploymentRow:
    """Go on with the next occurrence; those meanwhile are not made up for (spec 13.3).

    Raises:
        NotFound: no such deployment. InvalidRequest: it is archived.
    """
    row = await _open(tx, workspace_id, deployment_id)
    if row.paused is None:
        return row
    row = following(replace(row, paused=None, updated_at=now), now)
    await deployments.update(tx, row)
    await outbox.tell(tx, workspace_id, "deployment.unpaused", row.id, now)
    return row


def _check_metadata(bag: dict[str, str]) -> None:
    if (problem := metadata_problem(bag)) is not None:
        raise InvalidRequest(problem)


def shown(row: DeploymentRow, now: datetime) -> Deployment:
    """The deployment as the API shows it."""
    capped = {} if row.budget is None else {"budget": budget_limit(row.budget)}
    return Deployment.model_validate(
        {
            "id": row.id,
            "type": "deployment",
            "name": row.name,
            "description": row.description,
            "agent": {"type": "agent", "id": row.agent_id, "version": row.agent_version},
            "environment_id": row.environment_id,
            "initial_events": row.initial_events,
            "schedule": _schedule(row, now),
            "status": "active" if row.paused is None else "paused",
            "paused_reason": _paused_reason(row.paused),
            "resources": row.resources,
            "vault_ids": row.vault_ids,
            **capped,
            "metadata": row.metadata,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "archived_at": row.archived_at,
        }
    )


def _paused_reason(paused: str | None) -> Json | None:
    if paused is None:
        return None
    return {"type": MANUAL} if paused == MANUAL else {"type": "error", "error": {"type": paused}}


def _schedule(row: DeploymentRow, now: datetime) -> Json | None:
    if row.expression is None:
        return None
    upcoming: list[datetime] = []
    if row.archived_at is None:
        try:
            table = definition.timetable(row)
        except ValueError:
            table = None  # this machine does not know the zone; the next run says so
        if table is not None:
            upcoming = schedule.upcoming(table.cron, table.zone, now)
    return {
        "type": "cron",
        "expression": row.expression,
        "timezone": row.timezone,
        "last_run_at": row.last_run_at,
        "upcoming_runs_at": upcoming,
    }
