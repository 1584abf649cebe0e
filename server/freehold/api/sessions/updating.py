"""What may change in a session that is there (spec 5.5). Never commits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from freehold.api.agents import definition as definitions
from freehold.api.agents import tools
from freehold.api.deps import Intake
from freehold.api.sessions import support
from freehold.api.sessions.schemas import (
    BudgetLimitParam,
    SessionAgentUpdateParams,
    SessionUpdateParams,
)
from freehold.api.sessions.service import check_budgetable, check_metadata, find, locked
from freehold.core.catalog import Catalog
from freehold.core.events import Json, SessionUpdated
from freehold.core.merge import patch_metadata
from freehold.core.networking import blocked_mcp_servers
from freehold.core.prices import PICODOLLARS_PER_CENT
from freehold.core.usage import budget_limit
from freehold.errors import InvalidRequest
from freehold.ports.clock import Clock
from freehold.store import sessions
from freehold.store.sessions import SessionRow
from freehold.store.units import WriteSession


async def update(
    tx: WriteSession,
    workspace_id: str,
    session_id: str,
    params: SessionUpdateParams,
    *,
    intake: Intake,
    clock: Clock,
    catalog: Catalog,
) -> SessionRow:
    """Change a session's own fields, and say in its log what changed (spec 5.5).

    Raises:
        NotFound: no such session.
        InvalidRequest: the change is not allowed, or not now.
        NotSupported: the changed agent needs what this version lacks.
    """
    stored = await locked(tx, workspace_id, session_id)
    if stored.state.status == "terminated":
        raise InvalidRequest(f"Session {stored.id} is terminated and cannot be modified.")
    if "vault_ids" in params.model_fields_set:
        raise InvalidRequest("vault_ids: cannot be changed after the session was created")
    changed = stored
    event: dict[str, Any] = {}
    if "budget" in params.model_fields_set:
        budget = _changed_budget(stored, params.budget, clock, catalog)
        if budget != stored.state.budget:
            event["budget"] = None if budget is None else budget_limit(budget)
    if "title" in params.model_fields_set and params.title != stored.title:
        changed = replace(changed, title=params.title)
        event["title"] = params.title
    if params.metadata is not None:
        metadata = patch_metadata(stored.metadata, params.metadata)
        check_metadata(metadata)
        if metadata != stored.metadata:
            changed = replace(changed, metadata=metadata)
            event["metadata"] = metadata or None
    if params.agent is not None:
        agent = _changed_agent(stored, params.agent)
        if (problem := blocked_mcp_servers(agent, stored.environment)) is not None:
            raise InvalidRequest(problem)
        if agent != stored.agent:
            changed = replace(changed, agent=agent)
            event["agent"] = agent
    if not event:
        return stored
    await sessions.update(tx, changed)
    await intake.updated(tx, stored.id, SessionUpdated(**event))
    return await find(tx, workspace_id, stored.id)


def _changed_budget(
    stored: SessionRow, budget: BudgetLimitParam | None, clock: Clock, catalog: Catalog
) -> int | None:
    """The cap after an update, in cents (spec 10, rules 2 to 4)."""
    if budget is None:
        return None
    if stored.state.budget is None:
        raise InvalidRequest(
            "budget: cannot be added to a session that was created without one, nor added again "
            "once it was removed (budget_create_only)",
            details={"error_code": "budget_create_only"},
        )
    check_budgetable(stored.agent, catalog)
    cents = budget.max_list_cost.cents
    if cents * PICODOLLARS_PER_CENT <= stored.state.consumed(clock.now()):
        raise InvalidRequest(
            "budget.max_list_cost must be greater than the session's consumed list cost",
            details={"error_code": "budget_not_raised"},
        )
    return cents


def _changed_agent(stored: SessionRow, params: SessionAgentUpdateParams) -> Json:
    given = params.model_fields_set
    agent = dict(stored.agent)
    if "tools" in given:
        agent["tools"] = tools.resolve(params.tools or [])
    if "mcp_servers" in given:
        agent["mcp_servers"] = definitions.resolve_servers(params.mcp_servers or [])
    if stored.state.status != "idle":
        raise InvalidRequest(
            f'agent: can only be updated while the session is idle; its status is "'
            f'{stored.state.status}"'
        )
    definitions.check(agent, prefix="agent.")
    support.refuse_agent(agent)
    return agent
