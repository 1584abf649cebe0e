"""Limits of deployments and their runs."""

from __future__ import annotations

from typing import Any

from tests.api.limits.kinds import ABSENT, VALUE, Call, Items, Row, Text, Whole, listed
from tests.api.limits.sessions import a_file, a_vault


def said(number: int) -> Any:
    return {"type": "user.message", "content": [{"type": "text", "text": f"{number}"}]}


DEPLOYED: Any = {
    "name": "limits",
    "agent": "{other_agent}",
    "environment_id": "{environment}",
    "initial_events": [said(0)],
}
SCHEDULE: Any = {"type": "cron", "expression": "0 3 * * *", "timezone": "Europe/Oslo"}


def deploying(**fields: Any) -> Call:
    return Call("POST", "/v1/deployments", {**DEPLOYED, **fields})


def changing_deployment(**fields: Any) -> Call:
    return Call("POST", "/v1/deployments/{deployment}", fields)


def minutes(count: int) -> str:
    """A cron expression of that many characters."""
    start, end = "0", " * * * *"
    room = count - len(end) - len(start)
    return start + ",0" * (room // 2) + end + " " * (room % 2) if room >= 0 else "*"[:count]


def _fields(model: str, call: Any) -> list[Row]:
    return [
        Row(f"{model}.name", Text(1, 256), "13.2", call(name=VALUE)),
        Row(f"{model}.description", Text(0, 2048), "13.2", call(description=VALUE)),
        Row(
            f"{model}.environment_id",
            Text(1, 128),
            "13.2",
            call(environment_id=VALUE),
            elsewhere=ABSENT,
        ),
        Row(
            f"{model}.initial_events",
            Items(1, 50, listed(said)),
            "13.2",
            call(initial_events=VALUE),
        ),
        Row(
            f"{model}.resources",
            Items(0, 500, listed(a_file)),
            "13.2",
            call(resources=VALUE),
            shown="resources.*.mount_path",
            shows=lambda value: [f"/mnt/session/uploads{one['mount_path']}" for one in value],
        ),
        Row(f"{model}.vault_ids", Items(0, 50, listed(a_vault)), "13.2", call(vault_ids=VALUE)),
        Row(
            f"{model}.vault_ids[]",
            Text(1, 128),
            "ours",
            call(vault_ids=[VALUE]),
            elsewhere=ABSENT,
        ),
    ]


ROWS = [
    *_fields("DeploymentCreateParams", deploying),
    *_fields("DeploymentUpdateParams", changing_deployment),
    Row(
        "ScheduleParams.expression",
        Text(1, 512, minutes, astral=False),
        "ours",
        deploying(schedule={**SCHEDULE, "expression": VALUE}),
        elsewhere="it has too few fields",
        elsewhere_at=("least",),
    ),
    Row(
        "ScheduleParams.timezone",
        Text(1, 64),
        "ours",
        deploying(schedule={**SCHEDULE, "timezone": VALUE}),
        elsewhere="no zone has such a name",
    ),
    Row(
        "DeploymentListQuery.limit",
        Whole(1, 100),
        "1.8",
        Call("GET", "/v1/deployments", query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "RunListQuery.limit",
        Whole(1, 1000),
        "1.8",
        Call("GET", "/v1/deployment_runs", query={"limit": VALUE}),
        shown=None,
    ),
]
