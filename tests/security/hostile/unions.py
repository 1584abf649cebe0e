"""Values of another type than is taken, and types that are not taken."""

from __future__ import annotations

from typing import Any

from tests.security.hostile.bodies import AGENTS, EVENTS, SESSIONS, agent
from tests.security.hostile.kinds import KEY, Hostile, post

CREDENTIALS = "/v1/vaults/@vault@/credentials"


def session(**fields: Any) -> dict[str, Any]:
    return {"agent": "@agent@", "environment_id": "@environment@", **fields}


def event(**fields: Any) -> dict[str, Any]:
    return {"events": [fields]}


def block(**fields: Any) -> dict[str, Any]:
    return event(type="user.message", content=[fields])


def source(**fields: Any) -> dict[str, Any]:
    return block(type="image", source=fields)


TOOLSET: Any = {"type": "agent_toolset_20260401"}

AGENT = [
    post("a number for a name", AGENTS, agent(name=1)),
    post("an array for a name", AGENTS, agent(name=["a"])),
    post("an object for a name", AGENTS, agent(name={"$ne": ""})),
    post("null for a name", AGENTS, agent(name=None)),
    post("an array for a model", AGENTS, agent(model=["claude-opus-5"])),
    post("a number for a model", AGENTS, agent(model=5)),
    post("an unknown effort", AGENTS, agent(model={"id": "m", "effort": "infinite"})),
    post("an unknown speed", AGENTS, agent(model={"id": "m", "speed": "ludicrous"})),
    post("an object for tools", AGENTS, agent(tools={"0": TOOLSET})),
    post("a text for tools", AGENTS, agent(tools="all")),
    post("null among tools", AGENTS, agent(tools=[None])),
    post("a text among tools", AGENTS, agent(tools=["bash"])),
    post("a tool without a type", AGENTS, agent(tools=[{"name": "bash"}])),
    post("a tool of no type that is known", AGENTS, agent(tools=[{"type": "root_20260401"}])),
    post("a type in capitals", AGENTS, agent(tools=[{"type": "CUSTOM"}])),
    post("a type with a space", AGENTS, agent(tools=[{"type": " custom"}])),
    post("a number for a type", AGENTS, agent(tools=[{"type": 1}])),
    post("an array for a type", AGENTS, agent(tools=[{"type": ["custom"]}])),
    post("an object for a type", AGENTS, agent(tools=[{"type": {"type": "custom"}}])),
    post("a browser for a tool", AGENTS, agent(tools=[{"type": "browser_toolset_20260801"}])),
    post("the toolset twice", AGENTS, agent(tools=[TOOLSET, TOOLSET])),
    post("one's tool like the system's", AGENTS, agent(tools=[{"type": "custom", "name": "bash", "description": "d", "input_schema": {"type": "object"}}])),
    post("one's tool like a server's", AGENTS, agent(tools=[{"type": "custom", "name": "mcp__a__b", "description": "d", "input_schema": {"type": "object"}}])),
    post("a reference in a schema", AGENTS, agent(tools=[{"type": "custom", "name": "t", "description": "d", "input_schema": {"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}}])),
    post("a schema that is an array", AGENTS, agent(tools=[{"type": "custom", "name": "t", "description": "d", "input_schema": []}])),
    post("a schema of a text", AGENTS, agent(tools=[{"type": "custom", "name": "t", "description": "d", "input_schema": {"type": "string"}}])),
    post("a name of a tool with a line break", AGENTS, agent(tools=[{"type": "custom", "name": "t\n", "description": "d", "input_schema": {"type": "object"}}])),
    post("a policy that is none", AGENTS, agent(tools=[{**TOOLSET, "default_config": {"permission_policy": {"type": "never_ask"}}}])),
    post("a config of no tool", AGENTS, agent(tools=[{**TOOLSET, "configs": [{"name": "sudo"}]}])),
    post("a domain that is an address", AGENTS, agent(tools=[{**TOOLSET, "configs": [{"name": "web_fetch", "allowed_domains": ["169.254.169.254"]}]}])),
    post("a domain in decimal", AGENTS, agent(tools=[{**TOOLSET, "configs": [{"name": "web_fetch", "allowed_domains": ["2130706433"]}]}])),
    post("a domain that is everything", AGENTS, agent(tools=[{**TOOLSET, "configs": [{"name": "web_fetch", "allowed_domains": ["*"]}]}])),
    post("a domain inside", AGENTS, agent(tools=[{**TOOLSET, "configs": [{"name": "web_fetch", "allowed_domains": ["db.internal"]}]}])),
    post("a domain that takes long to match", AGENTS, agent(tools=[{**TOOLSET, "configs": [{"name": "web_fetch", "allowed_domains": ["a-" * 120 + "!"]}]}])),
    post("a time zone that is a path", AGENTS, agent(tools=[{**TOOLSET, "configs": [{"name": "web_search", "user_location": {"type": "approximate", "timezone": "../../../etc/passwd"}}]}])),
    post("a server without a toolset", AGENTS, agent(mcp_servers=[{"type": "url", "name": "a", "url": "https://a.example"}])),
    post("a toolset without a server", AGENTS, agent(tools=[{"type": "mcp_toolset", "mcp_server_name": "a"}])),
    post("a server that is a program", AGENTS, agent(mcp_servers=[{"type": "stdio", "name": "a", "command": "/bin/sh"}])),
    post("a skill that is a path", AGENTS, agent(tools=[TOOLSET], skills=[{"type": "custom", "skill_id": "../../etc/passwd"}])),
    post("a skill of no type", AGENTS, agent(tools=[TOOLSET], skills=[{"type": "plugin", "skill_id": "xlsx"}])),
    post("metadata of numbers", AGENTS, agent(metadata={"a": 1})),
    post("metadata of objects", AGENTS, agent(metadata={"a": {"b": "c"}})),
    post("metadata that is an array", AGENTS, agent(metadata=[["a", "b"]])),
    post("an identity that is none", AGENTS, agent(execution_identity={"type": "root"})),
    post("another version than there is", "/v1/agents/@agent@", {"version": 999, "name": "b"}),
    post("a name taken away", "/v1/agents/@agent@", {"name": None}),
]  # fmt: skip

SESSION = [
    post("an array for an agent", SESSIONS, session(agent=["@agent@"])),
    post("a number for an agent", SESSIONS, session(agent=1)),
    post("an agent of no type", SESSIONS, session(agent={"type": "deployment", "id": "@agent@"})),
    post("an agent that is an environment", SESSIONS, session(agent="@environment@")),
    post("an environment that is an agent", SESSIONS, session(environment_id="@agent@")),
    post("an environment that is an object", SESSIONS, session(environment_id={"id": "x"})),
    post("an override that is not offered", SESSIONS, session(agent={"type": "agent_with_overrides", "id": "@agent@", "multiagent": None})),
    post("a model taken away", SESSIONS, session(agent={"type": "agent_with_overrides", "id": "@agent@", "model": None})),
    post("a vault that is a path", SESSIONS, session(vault_ids=["../vlt_x"])),
    post("a budget of nothing", SESSIONS, session(budget={"type": "limit", "max_list_cost": {"amount": "0", "currency": "USD"}})),
    post("a negative budget", SESSIONS, session(budget={"type": "limit", "max_list_cost": {"amount": "-5", "currency": "USD"}})),
    post("a budget in letters", SESSIONS, session(budget={"type": "limit", "max_list_cost": {"amount": "NaN", "currency": "USD"}})),
    post("a budget with an exponent", SESSIONS, session(budget={"type": "limit", "max_list_cost": {"amount": "1e9", "currency": "USD"}})),
    post("a budget in other digits", SESSIONS, session(budget={"type": "limit", "max_list_cost": {"amount": "\u0661\u0662", "currency": "USD"}})),
    post("a budget that is a number", SESSIONS, session(budget={"type": "limit", "max_list_cost": {"amount": 5, "currency": "USD"}})),
    post("another currency", SESSIONS, session(budget={"type": "limit", "max_list_cost": {"amount": "5", "currency": "XBT"}})),
    post("a first event of the agent's", SESSIONS, session(initial_events=[{"type": "agent.message", "content": []}])),
    post("a file that is a path", SESSIONS, session(resources=[{"type": "file", "file_id": "../../etc/passwd"}])),
    post("a file mounted above", SESSIONS, session(resources=[{"type": "file", "file_id": "@file@", "mount_path": "/../../etc/passwd"}])),
    post("a file mounted above its folder", SESSIONS, session(resources=[{"type": "file", "file_id": "@file@", "mount_path": "../etc/passwd"}])),
    post("a file mounted on a line break", SESSIONS, session(resources=[{"type": "file", "file_id": "@file@", "mount_path": "/a\nb"}])),
    post("two files in one place", SESSIONS, session(resources=[{"type": "file", "file_id": "@file@", "mount_path": "/a"}] * 2)),
    post("a file within a file", SESSIONS, session(resources=[{"type": "file", "file_id": "@file@", "mount_path": "/a"}, {"type": "file", "file_id": "@file@", "mount_path": "/a/b"}])),
    post("a repository on the disk", SESSIONS, session(resources=[{"type": "github_repository", "url": "file:///etc"}])),
    post("a repository behind ssh", SESSIONS, session(resources=[{"type": "github_repository", "url": "git@github.com:a/b"}])),
    post("a repository by a program", SESSIONS, session(resources=[{"type": "github_repository", "url": "ext::sh -c id"}])),
    post("a repository elsewhere", SESSIONS, session(resources=[{"type": "github_repository", "url": "https://github.com.evil.example/a/b"}])),
    post("a repository with a password", SESSIONS, session(resources=[{"type": "github_repository", "url": "https://a:b@github.com/a/b"}])),
    post("a repository that climbs", SESSIONS, session(resources=[{"type": "github_repository", "url": "https://github.com/../../a"}])),
    post("a repository mounted on the system", SESSIONS, session(resources=[{"type": "github_repository", "url": "https://github.com/a/b", "mount_path": "/etc"}])),
    post("a repository mounted on everything", SESSIONS, session(resources=[{"type": "github_repository", "url": "https://github.com/a/b", "mount_path": "/"}])),
    post("a repository mounted above", SESSIONS, session(resources=[{"type": "github_repository", "url": "https://github.com/a/b", "mount_path": "/workspace/../etc"}])),
    post("a token with a line break", SESSIONS, session(resources=[{"type": "github_repository", "url": "https://github.com/a/b", "authorization_token": "a\r\nHost: evil"}])),
    post("a commit that is an option", SESSIONS, session(resources=[{"type": "github_repository", "url": "https://github.com/a/b", "checkout": {"type": "commit", "sha": "--upload-pack=id"}}])),
    post("a store twice", SESSIONS, session(resources=[{"type": "memory_store", "memory_store_id": "@store@"}] * 2)),
    post("a store to be executed", SESSIONS, session(resources=[{"type": "memory_store", "memory_store_id": "@store@", "access": "execute"}])),
]  # fmt: skip

EVENT = [
    post("an object for events", EVENTS, {"events": {"type": "user.interrupt"}}),
    post("null for events", EVENTS, {"events": None}),
    post("no events", EVENTS, {"events": []}),
    post("an event that is an array", EVENTS, {"events": [["user.interrupt"]]}),
    post("an event that is null", EVENTS, {"events": [None]}),
    post("an event of the agent's", EVENTS, event(type="agent.message", content=[])),
    post("an event of the session's", EVENTS, event(type="session.status_idle")),
    post("an event of no type", EVENTS, event(content=[])),
    post("an event with an id", EVENTS, event(type="user.interrupt", id="sevt_x")),
    post("an event with its moment", EVENTS, event(type="user.interrupt", processed_at="x")),
    post("a text for content", EVENTS, event(type="user.message", content="hello")),
    post("no content", EVENTS, event(type="user.message", content=[])),
    post("content that is null", EVENTS, event(type="user.message", content=None)),
    post("a redacted block", EVENTS, block(type="redacted")),
    post("a block of a tool's result", EVENTS, block(type="tool_result", tool_use_id="x")),
    post("a block of thinking", EVENTS, block(type="thinking", thinking="x", signature="y")),
    post("an empty text", EVENTS, block(type="text", text="")),
    post("a text with a cache control", EVENTS, block(type="text", text="a", cache_control={})),
    post("a number for a text", EVENTS, block(type="text", text=1)),
    post("a source of no type", EVENTS, source(data="x")),
    post("a source of a text for an image", EVENTS, source(type="text", media_type="text/plain", data="x")),
    post("a source with another's fields", EVENTS, source(type="base64", media_type="image/png", data="eA==", url="https://a.example")),
    post("a source that is no base64", EVENTS, source(type="base64", media_type="image/png", data="<script>")),
    post("a source that is a path", EVENTS, source(type="file", file_id="../../etc/passwd")),
    post("a source that is a picture and is not", EVENTS, source(type="file", file_id="@file@")),
    post("a document of HTML", EVENTS, block(type="document", source={"type": "text", "media_type": "text/html", "data": "x"})),
    post("a confirmation of nothing", EVENTS, event(type="user.tool_confirmation", tool_use_id="sevt_x", result="allow")),
    post("a confirmation of everything", EVENTS, event(type="user.tool_confirmation", tool_use_id="*", result="allow")),
    post("a result that is maybe", EVENTS, event(type="user.tool_confirmation", tool_use_id="x", result="maybe")),
    post("a result of nobody's tool", EVENTS, event(type="user.custom_tool_result", custom_tool_use_id="sevt_x", content=[])),
    post("a worker's result from a client", EVENTS, event(type="user.tool_result", tool_use_id="sevt_x", content=[])),
    post("an interrupt of a thread that is a path", EVENTS, event(type="user.interrupt", session_thread_id="../x")),
    post("an interrupt of another's thread", EVENTS, event(type="user.interrupt", session_thread_id="sthr_011CZkYpogX7uDKUyvBTophP")),
    post("an outcome without a rubric", EVENTS, event(type="user.define_outcome", description="x")),
    post("an outcome for ever", EVENTS, event(type="user.define_outcome", description="x", rubric={"type": "text", "content": "x"}, max_iterations=10**9)),
    post("a good event before a bad one", EVENTS, {"events": [{"type": "user.message", "content": [{"type": "text", "text": "hi"}]}, {"type": "rm"}]}),
    post("two system messages", EVENTS, {"events": [{"type": "system.message", "content": [{"type": "text", "text": "a"}]}] * 2}),
    post("a system message with a picture", EVENTS, event(type="system.message", content=[{"type": "image", "source": {"type": "url", "url": "https://a.example"}}])),
]  # fmt: skip


def bearer(**fields: Any) -> dict[str, Any]:
    url = "https://mcp.example/hostile"
    return {"auth": {"type": "static_bearer", "token": "t", "mcp_server_url": url, **fields}}


def variable(**fields: Any) -> dict[str, Any]:
    networking = {"type": "unrestricted"}
    return {
        "auth": {
            "type": "environment_variable",
            "secret_name": "A",
            "secret_value": "v",
            "networking": networking,
            **fields,
        }
    }


def hosts(*entries: Any) -> dict[str, Any]:
    return variable(networking={"type": "limited", "allowed_hosts": list(entries)})


CREDENTIAL = [
    post("a URL of a file", CREDENTIALS, bearer(mcp_server_url="file:///etc/passwd")),
    post("a URL of a script", CREDENTIALS, bearer(mcp_server_url="javascript:alert(1)")),
    post("a URL without a host", CREDENTIALS, bearer(mcp_server_url="https://")),
    post("a URL without a scheme", CREDENTIALS, bearer(mcp_server_url="//mcp.example")),
    post("a URL with a password", CREDENTIALS, bearer(mcp_server_url="https://a:b@mcp.example")),
    post("a URL with a line break", CREDENTIALS, bearer(mcp_server_url="https://a.example/\r\nX: y")),
    post("a URL with port 0", CREDENTIALS, bearer(mcp_server_url="https://a.example:0")),
    post("a URL with port 99999", CREDENTIALS, bearer(mcp_server_url="https://a.example:99999")),
    post("a URL with half an address", CREDENTIALS, bearer(mcp_server_url="https://[::1")),
    post("a bearer with a header in it", CREDENTIALS, bearer(token="a\r\nX-Admin: 1")),
    post("a bearer with a space", CREDENTIALS, bearer(token="a b")),
    post("a bearer of emoji", CREDENTIALS, bearer(token="\U0001f600")),
    post("a bearer that is an object", CREDENTIALS, bearer(token={"$gt": ""})),
    post("a bearer of no type", CREDENTIALS, {"auth": {"type": "basic"}}),
    post("a token that has expired", CREDENTIALS, {"auth": {"type": "mcp_oauth", "access_token": "a", "mcp_server_url": "https://a.example", "expires_at": "1970-01-01T00:00:00Z"}}),
    post("a token beyond time", CREDENTIALS, {"auth": {"type": "mcp_oauth", "access_token": "a", "mcp_server_url": "https://a.example", "expires_at": "9999-12-31T23:59:59-23:59"}}),
    post("a variable with an equals sign", CREDENTIALS, variable(secret_name="A=B")),
    post("a variable with a line break", CREDENTIALS, variable(secret_name="A\nB")),
    post("a variable that begins with a digit", CREDENTIALS, variable(secret_name="1A")),
    post("a variable that is a program", CREDENTIALS, variable(secret_name="A$(id)")),
    post("a variable without a name", CREDENTIALS, variable(secret_name="")),
    post("a variable put nowhere", CREDENTIALS, variable(injection_location={"header": False, "body": False})),
    post("a host that is everything", CREDENTIALS, hosts("*")),
    post("a host of wildcards", CREDENTIALS, hosts("*.*.example")),
    post("a host with a scheme", CREDENTIALS, hosts("https://a.example")),
    post("a host with a port", CREDENTIALS, hosts("a.example:443")),
    post("a host with a path", CREDENTIALS, hosts("a.example/x")),
    post("a host in IPv6", CREDENTIALS, hosts("::1")),
    post("a host of dots", CREDENTIALS, hosts("a..example")),
    post("a host that is a pattern", CREDENTIALS, hosts("(a+)+$.example")),
    post("a host that takes long to match", CREDENTIALS, hosts("a-" * 5000 + "!")),
    post("a host that is a number", CREDENTIALS, hosts(1)),
]  # fmt: skip

STORES = "/v1/memory_stores/@store@/memories"
OTHER = [
    post("a path that climbs", STORES, {"path": "/../../etc/passwd", "content": ""}),
    post("a path that stays", STORES, {"path": "/a/./b", "content": ""}),
    post("a path that is relative", STORES, {"path": "etc/passwd", "content": ""}),
    post("a path of slashes", STORES, {"path": "//" * 100, "content": ""}),
    post("a path that is a folder", STORES, {"path": "/a/", "content": ""}),
    post("a path of a hundred folders", STORES, {"path": "/a" * 100, "content": ""}),
    post("a memory that is null", STORES, {"path": "/a", "content": None}),
    post("a memory that is an object", STORES, {"path": "/a", "content": {}}),
    post("a precondition that is no hash", f"{STORES}/@memory@", {"content": "x", "precondition": {"type": "content_sha256", "content_sha256": "../x"}}),
    post("a precondition of no type", f"{STORES}/@memory@", {"content": "x", "precondition": {"type": "etag"}}),
    post("nothing to change", f"{STORES}/@memory@", {}),
    post("a package that is an option", "/v1/environments", {"name": "a", "config": {"type": "cloud", "packages": {"pip": ["--index-url=https://evil.example"]}}}),
    post("a package with a line break", "/v1/environments", {"name": "a", "config": {"type": "cloud", "packages": {"apt": ["curl\nRUN id"]}}}),
    post("packages of no manager", "/v1/environments", {"name": "a", "config": {"type": "cloud", "packages": {"curl": ["x"]}}}),
    post("a network that is the host's", "/v1/environments", {"name": "a", "config": {"type": "cloud", "networking": {"type": "host"}}}),
    post("a host of the network with a path", "/v1/environments", {"name": "a", "config": {"type": "cloud", "networking": {"type": "limited", "allowed_hosts": ["a.example/../b"]}}}),
    post("an environment that is a container", "/v1/environments", {"name": "a", "config": {"type": "docker", "privileged": True}}),
    post("another type of environment", "/v1/environments/@environment@", {"config": {"type": "self_hosted"}}),
    Hostile("a query for a body", "DELETE", f"{STORES}/@memory@?expected_content_sha256=x", None, KEY),
]  # fmt: skip

ALL = [*AGENT, *SESSION, *EVENT, *CREDENTIAL, *OTHER]
