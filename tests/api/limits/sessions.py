"""Limits of sessions and of their resources."""

from __future__ import annotations

from typing import Any

from tests.api.limits.agents import (
    TOOLSET,
    numbered_tool,
    overridden_servers,
    overriding,
    server,
    session_servers,
    some_skill,
)
from tests.api.limits.kinds import (
    ABSENT,
    VALUE,
    Call,
    Items,
    Row,
    Text,
    Whole,
    dotted,
    listed,
    start_and,
)


def hexadecimal(count: int) -> str:
    return "a" * count


def digits(count: int) -> str:
    return "9" * count


RUNNABLE: Any = {"agent": "{other_agent}", "environment_id": "{environment}"}


def session(**fields: Any) -> Call:
    return Call("POST", "/v1/sessions", {**RUNNABLE, **fields})


def changing_session(**fields: Any) -> Call:
    return Call("POST", "/v1/sessions/{session}", fields)


def agent_of(kind: str, **fields: Any) -> Call:
    return session(agent={"type": kind, "id": "{other_agent}", **fields})


def resource(**fields: Any) -> Call:
    return session(resources=[fields])


def file_resource(**fields: Any) -> Call:
    return resource(type="file", **{"file_id": "{file}", **fields})


def repository(**fields: Any) -> Call:
    url = "https://github.com/owner/repository"
    return resource(type="github_repository", **{"url": url, **fields})


def a_file(number: int) -> Any:
    return {"type": "file", "file_id": "{file}", "mount_path": f"/data/{number}"}


def a_vault(number: int) -> str:
    return f"{{vault{number}}}"


def a_store(number: int) -> Any:
    return {"type": "memory_store", "memory_store_id": f"{{store{number}}}"}


ROWS = [
    Row(
        "AgentParams.id",
        Text(1, 128),
        "A",
        session(agent={"type": "agent", "id": VALUE}),
        elsewhere=ABSENT,
    ),
    Row(
        "an agent by its id",
        Text(1, 128),
        "A",
        session(agent=VALUE),
        elsewhere=ABSENT,
        declared=False,
    ),
    Row(
        "AgentWithOverridesParams.id",
        Text(1, 128),
        "A",
        session(agent={"type": "agent_with_overrides", "id": VALUE}),
        elsewhere=ABSENT,
        refusal="^agent.*id: ",
    ),
    *(
        Row(
            f"{model}.version",
            Whole(1, 2**31 - 1),
            "2.1; the greatest is ours",
            agent_of(kind, version=VALUE),
            shown="agent.version",
            elsewhere="the agent has no such version",
            elsewhere_at=("most",),
        )
        for model, kind in (
            ("AgentParams", "agent"),
            ("AgentWithOverridesParams", "agent_with_overrides"),
        )
    ),
    Row("AgentWithOverridesParams.system", Text(0, 100_000), "A, D", overriding(system=VALUE)),
    Row(
        "AgentWithOverridesParams.tools",
        Items(0, 128, listed(numbered_tool)),
        "25 (28)",
        overriding(tools=VALUE, skills=[]),
    ),
    Row(
        "AgentWithOverridesParams.mcp_servers",
        Items(0, 20, listed(server)),
        "2.2",
        Call("POST", "/v1/sessions", overridden_servers),
        at="agent.mcp_servers",
    ),
    Row(
        "AgentWithOverridesParams.skills",
        Items(0, 20, listed(some_skill)),
        "2.2",
        overriding(skills=VALUE, tools=[TOOLSET]),
    ),
    Row(
        "SessionCreateParams.environment_id",
        Text(1, 128),
        "A",
        session(environment_id=VALUE),
        elsewhere=ABSENT,
    ),
    Row("SessionCreateParams.title", Text(0, 500), "A", session(title=VALUE)),
    Row("SessionUpdateParams.title", Text(1, 500), "A", changing_session(title=VALUE)),
    Row(
        "SessionCreateParams.vault_ids",
        Items(0, 50, listed(a_vault)),
        "5.2",
        session(vault_ids=VALUE),
    ),
    Row(
        "SessionCreateParams.vault_ids[]",
        Text(1, 128),
        "ours",
        session(vault_ids=[VALUE]),
        elsewhere=ABSENT,
    ),
    Row(
        "SessionCreateParams.resources",
        Items(0, 500, listed(a_file)),
        "5.2",
        session(resources=VALUE),
        shown="resources.*.mount_path",
        shows=lambda value: [f"/mnt/session/uploads{one['mount_path']}" for one in value],
    ),
    Row(
        "memory stores of a session",
        Items(0, 8, listed(a_store)),
        "5.2, 9.2",
        session(resources=VALUE),
        shown="resources.*.memory_store_id",
        shows=lambda value: [one["memory_store_id"] for one in value],
        constant="MEMORY_STORES_PER_SESSION",
        declared=False,
    ),
    Row(
        "SessionCreateParams.initial_events",
        Items(
            0,
            50,
            listed(
                lambda number: {
                    "type": "user.message",
                    "content": [{"type": "text", "text": f"{number}"}],
                }
            ),
        ),
        "5.2",
        session(initial_events=VALUE),
        shown=None,
    ),
    Row(
        "SessionAgentUpdateParams.tools",
        Items(0, 128, listed(numbered_tool)),
        "25 (28)",
        changing_session(agent={"tools": VALUE}),
    ),
    Row(
        "SessionAgentUpdateParams.mcp_servers",
        Items(0, 20, listed(server)),
        "2.2",
        Call("POST", "/v1/sessions/{session}", session_servers),
        at="agent.mcp_servers",
    ),
    Row(
        "MonetaryAmountParam.amount",
        Text(0, 16, digits, astral=False),
        "10 (1); the digits are ours",
        session(budget={"type": "limit", "max_list_cost": {"amount": VALUE, "currency": "USD"}}),
    ),
    Row(
        "SessionListQuery.limit",
        Whole(1, 100),
        "25 (8)",
        Call("GET", "/v1/sessions", query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "SessionListQuery.agent_version",
        Whole(1, 2**31 - 1),
        "5.1; the greatest is ours",
        Call("GET", "/v1/sessions?agent_id={agent}", query={"agent_version": VALUE}),
        shown=None,
    ),
    Row(
        "ThreadListQuery.limit",
        Whole(1, 1000),
        "1.8",
        Call("GET", "/v1/sessions/{session}/threads", query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "ResourceListQuery.limit",
        Whole(1, 1000),
        "1.8",
        Call("GET", "/v1/sessions/{session}/resources", query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "FileResourceParams.file_id",
        Text(1, 128),
        "A",
        file_resource(file_id=VALUE),
        elsewhere=ABSENT,
    ),
    Row(
        "FileResourceParams.mount_path",
        Text(1, 4096, dotted),
        "A",
        file_resource(mount_path=VALUE),
        shows=lambda _: "/mnt/session/uploads/x",
        elsewhere="it is no absolute path",
        elsewhere_at=("least", "most astral"),
    ),
    Row(
        "GitHubRepositoryResourceParams.url",
        Text(1, 2048, start_and("https://github.com/owner/")),
        "A",
        repository(url=VALUE),
        elsewhere="no repository has such a name",
    ),
    Row(
        "GitHubRepositoryResourceParams.authorization_token",
        Text(1, 4096, astral=False),
        "A",
        repository(authorization_token=VALUE),
        shown=None,
    ),
    Row(
        "GitHubRepositoryResourceParams.mount_path",
        Text(1, 4096, dotted),
        "A",
        repository(mount_path=VALUE),
        shows=lambda _: "/x",
        elsewhere="it is no absolute path",
        elsewhere_at=("least", "most astral"),
    ),
    Row(
        "BranchCheckoutParams.name",
        Text(1, 255),
        "A",
        repository(checkout={"type": "branch", "name": VALUE}),
    ),
    Row(
        "CommitCheckoutParams.sha",
        Text(7, 64, hexadecimal, astral=False),
        "A",
        repository(checkout={"type": "commit", "sha": VALUE}),
    ),
    Row(
        "MemoryStoreResourceParams.memory_store_id",
        Text(1, 128),
        "ours",
        resource(type="memory_store", memory_store_id=VALUE),
        elsewhere=ABSENT,
    ),
    Row(
        "MemoryStoreResourceParams.instructions",
        Text(0, 4096),
        "A",
        resource(type="memory_store", memory_store_id="{store0}", instructions=VALUE),
    ),
    Row(
        "ResourceUpdateParams.authorization_token",
        Text(1, 4096, astral=False),
        "A",
        Call(
            "POST",
            "/v1/sessions/{cloned}/resources/{clone}",
            {"authorization_token": VALUE},
        ),
        shown=None,
    ),
]
