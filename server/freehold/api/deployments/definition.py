"""What a deployment is made of: from requests to rows, from rows to the sessions of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from freehold.api.deployments.schemas import EventParams, ScheduleParams
from freehold.api.session_resources.schemas import (
    GitHubRepositoryResourceParams,
    ResourceParams,
)
from freehold.api.sessions.schemas import (
    AgentParams,
    BudgetLimitParam,
    MonetaryAmountParam,
    SessionCreateParams,
)
from freehold.core import schedule
from freehold.core.catalog import Catalog
from freehold.core.events import Json
from freehold.core.schedule import Timetable
from freehold.errors import InvalidRequest
from freehold.store.deployments import DeploymentRow
from freehold.store.sealing import Sealer

_RESOURCES: TypeAdapter[list[ResourceParams]] = TypeAdapter(list[ResourceParams])
_EVENTS: TypeAdapter[list[EventParams]] = TypeAdapter(list[EventParams])
_TOKEN = "authorization_token"  # noqa: S105 - the name of a field
_LEADS_SYSTEM = "user.message"


@dataclass(frozen=True)
class Furniture:
    """Resources as a deployment's row keeps them."""

    shown: list[Json]
    """As the client gave them, without tokens."""
    sealed: str | None
    """The tokens, by place in the list."""


def furniture(resources: Sequence[ResourceParams], deployment_id: str, sealer: Sealer) -> Furniture:
    """Resources that a client gave, with what is secret in them sealed."""
    shown = [one.model_dump(exclude_none=True, exclude={_TOKEN}) for one in resources]
    tokens = {
        str(place): one.authorization_token
        for place, one in enumerate(resources)
        if isinstance(one, GitHubRepositoryResourceParams) and one.authorization_token is not None
    }
    return Furniture(shown, sealer.seal(deployment_id, tokens) if tokens else None)


def events(params: Sequence[EventParams]) -> list[Json]:
    """First events that a client gave, as the row keeps them."""
    return [event.model_dump(exclude_none=True) for event in params]


def session_params(row: DeploymentRow, sealer: Sealer) -> SessionCreateParams:
    """What a run asks of ``POST /v1/sessions`` (spec 13.3).

    Raises:
        SecretUnreadable: a token was sealed with a key that this server does not have.
    """
    tokens = {} if row.sealed is None else sealer.open(row.id, row.sealed)
    resources = [
        one if str(place) not in tokens else {**one, _TOKEN: tokens[str(place)]}
        for place, one in enumerate(row.resources)
    ]
    budget = None
    if row.budget is not None:
        cap = MonetaryAmountParam(amount=str(row.budget), currency="USD")
        budget = BudgetLimitParam(type="limit", max_list_cost=cap)
    values: dict[str, Any] = {
        "agent": AgentParams(type="agent", id=row.agent_id, version=row.agent_version),
        "environment_id": row.environment_id,
        "title": row.name,
        "metadata": {},
        "resources": _RESOURCES.validate_python(resources),
        "vault_ids": row.vault_ids,
        "budget": budget,
        # A system message may be among them, which a client's own session cannot begin with.
        "initial_events": _EVENTS.validate_python(row.initial_events),
    }
    return SessionCreateParams.model_construct(**values)


def check_events(initial: Sequence[Json], agent: Json, catalog: Catalog) -> None:
    """Refuse first events with which no session could begin (spec 13.2, 6.2).

    Raises:
        InvalidRequest: there is nothing to do, or a system message has no place there.
    """
    types = [event["type"] for event in initial]
    if "user.message" not in types and "user.define_outcome" not in types:
        raise InvalidRequest(
            "initial_events: must contain at least one `user.message` or `user.define_outcome`"
        )
    if "system.message" not in types:
        return
    place = types.index("system.message")
    if place != len(types) - 1 or types[place - 1] != _LEADS_SYSTEM:
        raise InvalidRequest(
            f"initial_events[{place}]: there may be one `system.message`, as the last event and "
            "directly after a `user.message`"
        )
    if not catalog.capabilities(agent["model"]["id"]).system_messages:
        raise InvalidRequest(
            f"initial_events[{place}]: the agent's model does not take a `system.message` "
            "(model_does_not_support_mid_conversation_system)",
            details={"error_code": "model_does_not_support_mid_conversation_system"},
        )


def check_schedule(params: ScheduleParams, now: datetime) -> None:
    """Refuse a schedule that is none (spec 13.2, appendix D).

    Raises:
        InvalidRequest: the expression or the zone is none, or nothing ever occurs.
    """
    try:
        cron = schedule.parse(params.expression)
    except ValueError as error:
        raise InvalidRequest(f"`schedule.expression` {error}") from None
    try:
        zone = schedule.zone_of(params.timezone)
    except ValueError as error:
        raise InvalidRequest(f"`schedule.timezone` {error}") from None
    if next(schedule.occurrences(cron, zone, now, schedule.YEAR), None) is None:
        raise InvalidRequest(
            "`schedule.expression` does not produce any occurrences in the next year"
        )


def timetable(row: DeploymentRow) -> Timetable | None:
    """When runs of a deployment start; ``None``: it has no schedule.

    Raises:
        ValueError: this machine does not know its time zone.
    """
    if row.expression is None or row.timezone is None:
        return None
    return Timetable(row.id, schedule.parse(row.expression), schedule.zone_of(row.timezone))
