"""Reading runs of deployments (spec 13.3)."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.api import pages
from freehold.api.deployment_runs.schemas import DeploymentRun, RunListQuery
from freehold.core.ids import is_id
from freehold.errors import NotFound
from freehold.store import deployment_runs
from freehold.store.deployment_runs import Filter, RunRow
from freehold.store.keyset import Span
from freehold.store.units import ReadSession

LIST = "deployment_runs"


async def find(session: ReadSession, workspace_id: str, run_id: str) -> RunRow:
    """A run.

    Raises:
        NotFound: no such run; what is no id is not there either (spec 1.4).
    """
    run = None
    if is_id("drun", run_id):
        run = await deployment_runs.get(session, workspace_id, run_id)
    if run is None:
        raise NotFound(f"Deployment run not found: {run_id[:200]}")
    return run


async def listed(
    session: ReadSession, workspace_id: str, query: RunListQuery
) -> tuple[Sequence[RunRow], str | None]:
    """A page of runs and the cursor of the next.

    Raises:
        InvalidRequest: the cursor is none of this list.
    """
    matching = Filter(
        deployment_id=query.deployment_id,
        trigger_type=query.trigger_type,
        has_error=query.has_error,
        within=Span(
            gt=query.created_at_gt,
            gte=query.created_at_gte,
            lt=query.created_at_lt,
            lte=query.created_at_lte,
        ),
    )
    rows = await deployment_runs.page(
        session,
        workspace_id,
        matching,
        after=pages.key(pages.decode(query.page, LIST, "desc")),
        limit=query.limit + 1,
    )
    return pages.forward(rows, query.limit, LIST)


def shown(row: RunRow) -> DeploymentRun:
    """The run as the API shows it."""
    trigger: dict[str, object] = {"type": "manual"}
    if row.scheduled_at is not None:
        trigger = {"type": "schedule", "scheduled_at": row.scheduled_at}
    error = None
    if row.error_type is not None:
        error = {"type": row.error_type, "message": row.error_message}
    return DeploymentRun.model_validate(
        {
            "id": row.id,
            "type": "deployment_run",
            "deployment_id": row.deployment_id,
            "agent": {"type": "agent", "id": row.agent_id, "version": row.agent_version},
            "trigger_context": trigger,
            "session_id": row.session_id,
            "error": error,
            "created_at": row.created_at,
        }
    )
