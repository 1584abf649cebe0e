"""Limits of agents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.api.limits.kinds import (
    ABSENT,
    VALUE,
    Call,
    Items,
    Row,
    Text,
    Whole,
    https,
    itself,
    listed,
    start_and,
)

NAMED: Any = {"name": "limits", "model": "claude-opus-5"}
TOOLSET: Any = {"type": "agent_toolset_20260401"}


def creating(**fields: Any) -> Call:
    return Call("POST", "/v1/agents", {**NAMED, **fields})


def updating(**fields: Any) -> Call:
    return Call("POST", "/v1/agents/{agent}", fields)


def overriding(**fields: Any) -> Call:
    agent = {"type": "agent_with_overrides", "id": "{other_agent}", **fields}
    return Call("POST", "/v1/sessions", {"agent": agent, "environment_id": "{environment}"})


def web(name: str, **fields: Any) -> Call:
    return creating(tools=[{**TOOLSET, "configs": [{"name": name, **fields}]}])


def web_field(name: str, below: str) -> str:
    number = {"web_fetch": 6, "web_search": 7}[name]
    return f"tools.0.configs.{number}.{below}"


def custom(**fields: Any) -> Any:
    return {
        "type": "custom",
        "name": "tool",
        "description": "It works.",
        "input_schema": {"type": "object"},
        **fields,
    }


def numbered_tool(number: int) -> Any:
    return custom(name=f"tool_{number}")


def server(number: int) -> Any:
    return {"type": "url", "name": f"server{number}", "url": "https://mcp.example/mcp"}


def toolset_of(name: Any, **fields: Any) -> Any:
    return {"type": "mcp_toolset", "mcp_server_name": name, **fields}


def with_servers(base: Mapping[str, Any]) -> Callable[[Any], Any]:
    def body(servers: Any) -> Any:
        tools = [TOOLSET, *(toolset_of(one["name"]) for one in servers)]
        return {**base, "mcp_servers": servers, "tools": tools}

    return body


def overridden_servers(servers: Any) -> Any:
    agent = {"type": "agent_with_overrides", "id": "{other_agent}"}
    return {"environment_id": "{environment}", "agent": with_servers(agent)(servers)}


def session_servers(servers: Any) -> Any:
    return {"agent": with_servers({})(servers)}


def some_skill(_: int) -> Any:
    return {"type": "anthropic", "skill_id": "xlsx", "version": "latest"}


def many_configs(count: int) -> Any:
    """One server of whose tools that many have a config."""
    configs = [{"name": f"tool{number}"} for number in range(count)]
    return {
        **NAMED,
        "mcp_servers": [server(0)],
        "tools": [toolset_of("server0", configs=configs)],
    }


def reference(number: int) -> Any:
    return {"type": "tool_reference", "name": f"tool_{number}"}


def sources(kind: str) -> Callable[[Any], Any]:
    """An agent with as many custom tools as are referred to."""

    def body(references: Any) -> Any:
        config = {
            "name": "web_fetch",
            "url_sources": {"client_tool_results": {"type": kind, "tools": references}},
        }
        # The toolset is a tool too, of which an agent has no more than it has references.
        tools = [custom(name=one["name"]) for one in references[:127]]
        return {**NAMED, "tools": [{**TOOLSET, "configs": [config]}, *tools]}

    return body


def repeated(number: int) -> Any:
    """References of which the last names a tool a second time."""
    return reference(min(number, 126))


def one_location(**fields: Any) -> Call:
    return web("web_search", user_location={"type": "approximate", **fields})


def domain(number: int) -> str:
    return f"d{number}.example.com"


domain_of = start_and("example.com/")


EITHER_NAME = r"^(tools\.0\.mcp_toolset\.mcp_server_name|mcp_servers\.0\.name): "
"""A server and its toolset have one name; which of them is refused first does not matter."""

ROWS = [
    Row("AgentCreateParams.name", Text(1, 256), "A", creating(name=VALUE)),
    Row("AgentCreateParams.description", Text(0, 2048), "A", creating(description=VALUE)),
    Row("AgentCreateParams.system", Text(0, 100_000), "A", creating(system=VALUE)),
    Row(
        "AgentCreateParams.tools",
        Items(0, 128, listed(numbered_tool)),
        "25 (28)",
        creating(tools=VALUE),
    ),
    Row(
        "AgentCreateParams.mcp_servers",
        Items(0, 20, listed(server)),
        "2.2",
        Call("POST", "/v1/agents", with_servers(NAMED)),
        at="mcp_servers",
    ),
    Row(
        "AgentCreateParams.skills",
        Items(0, 20, listed(some_skill)),
        "2.2",
        creating(skills=VALUE, tools=[TOOLSET]),
    ),
    Row("AgentUpdateParams.name", Text(1, 256), "A, 2.4", updating(name=VALUE)),
    Row("AgentUpdateParams.description", Text(0, 2048), "A", updating(description=VALUE)),
    Row("AgentUpdateParams.system", Text(0, 100_000), "A", updating(system=VALUE)),
    Row(
        "AgentUpdateParams.tools",
        Items(0, 128, listed(numbered_tool)),
        "25 (28)",
        updating(tools=VALUE, skills=[], mcp_servers=[]),
    ),
    Row(
        "AgentUpdateParams.mcp_servers",
        Items(0, 20, listed(server)),
        "2.2",
        Call("POST", "/v1/agents/{agent}", with_servers({})),
        at="mcp_servers",
    ),
    Row(
        "AgentUpdateParams.skills",
        Items(0, 20, listed(some_skill)),
        "2.2",
        updating(skills=VALUE, tools=[TOOLSET], mcp_servers=[]),
    ),
    Row(
        "AgentUpdateParams.version",
        Whole(1, 2**31 - 1),
        "2.4; the greatest is ours",
        updating(version=VALUE),
        elsewhere="the agent is at another version",
    ),
    Row(
        "AgentRetrieveQuery.version",
        Whole(1, 2**31 - 1),
        "2.1; the greatest is ours",
        Call("GET", "/v1/agents/{other_agent}", query={"version": VALUE}),
        shown="version",
        elsewhere="the agent has no such version",
        elsewhere_at=("most",),
    ),
    Row(
        "AgentListQuery.limit",
        Whole(1, 100),
        "1.8",
        Call("GET", "/v1/agents", query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "VersionListQuery.limit",
        Whole(1, 100),
        "1.8",
        Call("GET", "/v1/agents/{agent}/versions", query={"limit": VALUE}),
        shown=None,
    ),
    Row("ModelConfigParams.id", Text(1, 256), "8.2", creating(model={"id": VALUE})),
    Row(
        "a model by its id",
        Text(1, 256),
        "8.2",
        creating(model=VALUE),
        shown="model.id",
        declared=False,
    ),
    Row(
        "AWSRoleParams.role_arn",
        Text(1, 2048),
        "2.2",
        creating(execution_identity={"type": "aws_role", "role_arn": VALUE}),
    ),
    Row(
        "URLMCPServerParams.name",
        Text(1, 255),
        "A",
        creating(mcp_servers=[{**server(0), "name": VALUE}], tools=[toolset_of(VALUE)]),
        refusal=EITHER_NAME,
    ),
    Row(
        "URLMCPServerParams.url",
        Text(1, 2048, https),
        "A, 2.2",
        creating(mcp_servers=[{**server(0), "url": VALUE}], tools=[toolset_of("server0")]),
    ),
    Row(
        "MCPToolsetParams.mcp_server_name",
        Text(1, 255),
        "A",
        creating(tools=[toolset_of(VALUE)], mcp_servers=[{**server(0), "name": VALUE}]),
        refusal=EITHER_NAME,
    ),
    Row(
        "MCPToolConfigParams.name",
        Text(1, 128),
        "A",
        creating(mcp_servers=[server(0)], tools=[toolset_of("server0", configs=[{"name": VALUE}])]),
    ),
    Row(
        "SkillParams.skill_id",
        Text(1, 64),
        "A",
        creating(tools=[TOOLSET], skills=[{"type": "custom", "skill_id": VALUE}]),
        elsewhere=ABSENT,
    ),
    Row(
        "SkillParams.version",
        Text(1, 64),
        "A",
        creating(
            tools=[TOOLSET], skills=[{"type": "anthropic", "skill_id": "xlsx", "version": VALUE}]
        ),
        elsewhere=ABSENT,
    ),
    Row(
        "CustomToolParams.description",
        Text(1, 1024),
        "A",
        creating(tools=[custom(description=VALUE)]),
    ),
    Row(
        "CustomToolParams.name",
        Text(1, 128, astral=False),
        "12.1",
        creating(tools=[custom(name=VALUE)]),
        declared=False,
        refusal=r"^tools\.0\.custom\.name: must match pattern \^\[A-Za-z0-9_-\]\{1,128\}\$$",
    ),
    Row(
        "names of a custom tool's properties",
        Items(1, 64, lambda count: {"x" * count: {"type": "string"}}),
        "12.1",
        creating(tools=[custom(input_schema={"type": "object", "properties": VALUE})]),
        declared=False,
        refusal=r"^tools\.0\.custom\.input_schema: properties: names must match .*\{1,64\}",
    ),
    Row(
        "tools across all toolsets",
        Items(0, 256, itself),
        "25 (28)",
        Call("POST", "/v1/agents", many_configs),
        at="tools",
        shown="tools.0.configs",
        shows=lambda count: [
            {
                "name": f"tool{number}",
                "enabled": True,
                "permission_policy": {"type": "always_ask"},
            }
            for number in range(count)
        ],
        constant="TOOLS_RESOLVED",
        declared=False,
    ),
    Row(
        "ToolReferenceParams.name",
        Text(1, 128, astral=False),
        "12.6",
        Call(
            "POST",
            "/v1/agents",
            lambda name: sources("only")([{"type": "tool_reference", "name": name}]),
        ),
        at="tools.0.configs.0.url_sources.client_tool_results.tools.0.name",
        shown="tools.0.configs.6.url_sources.client_tool_results.tools.0.name",
        # A tool of that name is refused alike, and the longest comes first.
        refusal=r"tools\.0\..*url_sources.*name: |tools\.1\.custom\.name: ",
    ),
    *(
        Row(
            f"Source{kind.capitalize()}.tools",
            Items(1, 128, listed(repeated)),
            "12.6",
            Call("POST", "/v1/agents", sources(kind)),
            at="tools.0.configs.0.url_sources.client_tool_results.tools",
            shown="tools.0.configs.6.url_sources.client_tool_results.tools",
        )
        for kind in ("only", "except")
    ),
    Row(
        "WebFetchConfigParams.max_content_tokens",
        Whole(1, None),
        "12.6",
        web("web_fetch", max_content_tokens=VALUE),
        shown=web_field("web_fetch", "max_content_tokens"),
    ),
    *(
        Row(
            f"UserLocationParams.{name}",
            Text(1, 255),
            "ours",
            one_location(**{name: VALUE}),
            shown=web_field("web_search", f"user_location.{name}"),
        )
        for name in ("city", "region")
    ),
    *(
        Row(
            f"{which}_domains of {tool}",
            Items(1, 64, listed(domain)),
            "12.6",
            web(tool, **{f"{which}_domains": VALUE}),
            shown=web_field(tool, f"{which}_domains"),
            constant="WEB_DOMAINS",
            declared=False,
            refusal=f"^{which}_domains: (must contain at most 64 items|Empty list of domains)",
        )
        for which in ("allowed", "blocked")
        for tool in ("web_fetch", "web_search")
    ),
    Row(
        "a domain of web_search",
        Text(1, 255, domain_of, astral=False),
        "12.6",
        web("web_search", allowed_domains=[VALUE]),
        shown=web_field("web_search", "allowed_domains.0"),
        constant="WEB_DOMAIN",
        declared=False,
        refusal=r"^allowed_domains\.0: must have between 1 and 255 characters$",
        elsewhere="it is no domain",
        elsewhere_at=("least",),
    ),
]
