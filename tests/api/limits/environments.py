"""Limits of environments."""

from __future__ import annotations

from typing import Any

from tests.api.limits.agents import domain
from tests.api.limits.kinds import VALUE, Call, Items, Row, Text, Whole, listed


def environment(**config: Any) -> Call:
    return Call(
        "POST", "/v1/environments", {"name": "limits", "config": {"type": "cloud", **config}}
    )


def changing_environment(**fields: Any) -> Call:
    return Call("POST", "/v1/environments/{environment}", fields)


MANAGERS = ("apt", "cargo", "gem", "go", "npm", "pip")

ROWS = [
    Row(
        "EnvironmentCreateParams.name",
        Text(1, 256),
        "A",
        Call("POST", "/v1/environments", {"name": VALUE}),
    ),
    Row(
        "EnvironmentCreateParams.description",
        Text(0, 1024),
        "A",
        Call("POST", "/v1/environments", {"name": "limits", "description": VALUE}),
    ),
    Row("EnvironmentUpdateParams.name", Text(1, 256), "A", changing_environment(name=VALUE)),
    Row(
        "EnvironmentUpdateParams.description",
        Text(0, 1024),
        "A",
        changing_environment(description=VALUE),
    ),
    Row(
        "EnvironmentListQuery.limit",
        Whole(1, 1000),
        "A",
        Call("GET", "/v1/environments", query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "LimitedNetworkParams.allowed_hosts",
        Items(0, 256, listed(domain)),
        "ours",
        environment(networking={"type": "limited", "allowed_hosts": VALUE}),
    ),
    *(
        Row(
            f"PackagesParams.{manager}",
            Items(0, 256, listed(lambda number: f"package{number}")),
            "ours",
            environment(packages={manager: VALUE}),
        )
        for manager in MANAGERS
    ),
    *(
        Row(
            f"PackagesParams.{manager}[]",
            Text(1, 512),
            "ours",
            environment(packages={manager: [VALUE]}),
        )
        for manager in MANAGERS
    ),
]
