"""Agents, environments, vaults and credentials."""

from __future__ import annotations

from typing import Any

from tests.parity.script import Script, inferred, recorded, typed

ABSENT = "01" + "1" * 22
TEXTS = "D"
"""The recorded refusal texts."""

MCP = {"type": "url", "name": "linear", "url": "https://mcp.linear.app/mcp"}
TOOLSET = {"type": "agent_toolset_20260401"}
HELPER: dict[str, Any] = {
    "name": "Helper",
    "model": "claude-opus-5",
    "system": "You help.",
    "metadata": {"team": "a"},
    "mcp_servers": [MCP],
    "skills": [{"type": "anthropic", "skill_id": "xlsx"}],
    "tools": [
        TOOLSET,
        {"type": "mcp_toolset", "mcp_server_name": "linear"},
        {
            "type": "custom",
            "name": "get_weather",
            "description": "Weather for a city",
            "input_schema": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    ],
}


def agents(s: Script) -> None:
    configs = "tools[agent_toolset_20260401].configs"
    path = "POST /v1/agents"
    made = s("create", recorded("C.1 Agent"), path, HELPER, payload="agent", but=(configs,))
    url = f"/v1/agents/{made['id']}"
    s("get", recorded("C.1 Agent"), f"GET {url}", payload="agent", but=(configs,))
    s("create: the least", typed("2.3"), path, {"name": "A", "model": {"id": "claude-opus-5"}})
    s("list", typed(), "GET /v1/agents?limit=1")
    s("list: the last page", recorded("1.8"), "GET /v1/agents")
    s("update", typed("2.4"), f"POST {url}", {"version": 1, "description": "Helps."})
    s("update: no change", recorded("2.4"), f"POST {url}", {"version": None})
    s("update: cleared", typed("2.4"), f"POST {url}", {"description": "", "skills": None})
    s("get: an older version", typed(), f"GET {url}?version=1")
    s("versions: list", typed(), f"GET {url}/versions?limit=2")
    stale = {"version": 1}
    s("update: stale", recorded(TEXTS), f"POST {url}", stale, refusal="agent-version")
    s("get: malformed id", recorded(TEXTS), "GET /v1/agents/nonsense", refusal="agent-id")
    s("get: absent", inferred("text"), f"GET /v1/agents/agent_{ABSENT}", status=404)
    s("get: absent version", inferred("text"), f"GET {url}?version=99", status=404)
    for name, body, refusal in (
        ("unknown field", {**HELPER, "colour": 1}, "field-unknown"),
        ("no name", {"model": "claude-opus-5"}, "name-required"),
        ("empty name", {"name": "", "model": "claude-opus-5"}, "name-empty"),
        ("long system", {"name": "A", "model": "m", "system": "x" * 100_001}, "system-long"),
        (
            "metadata",
            {"name": "A", "model": "m", "metadata": {f"k{n}": "v" for n in range(17)}},
            "metadata-many",
        ),
        (
            "unknown skill",
            {**HELPER, "skills": [{"type": "custom", "skill_id": "skill_" + ABSENT}]},
            "agent-skill",
        ),
        (
            "unknown version of a skill",
            {
                **HELPER,
                "skills": [{"type": "anthropic", "skill_id": "xlsx", "version": "skver_" + ABSENT}],
            },
            "agent-skill-version",
        ),
        (
            "tool with a reserved prefix",
            _tools(TOOLSET, {**HELPER["tools"][2], "name": "mcp__x"}),
            "tool-prefix",
        ),
        (
            "extra key in a config",
            _tools({**TOOLSET, "configs": [{"name": "read"}, {"name": "bash", "bogus": 1}]}),
            "toolset-extra",
        ),
        (
            "name unlike the type",
            _tools({**TOOLSET, "configs": [{"type": "bash", "name": "read"}]}),
            "toolset-name",
        ),
        (
            "both lists of domains",
            _search(allowed_domains=["example.com"], blocked_domains=["example.org"]),
            "domains-both",
        ),
        ("no domains", _search(allowed_domains=[]), "domains-empty"),
        ("address as a domain", _search(allowed_domains=["192.0.2.1"]), "domains-address"),
        ("wrong type", {"name": "A", "model": "m", "tools": [{"type": "x"}]}, "value-invalid"),
    ):
        s(f"create: {name}", recorded(TEXTS), path, body, refusal=refusal)
    s("archive", typed(), f"POST {url}/archive")
    s("archive: again", recorded("1.10"), f"POST {url}/archive")
    s("update: archived", inferred("text"), f"POST {url}", {"name": "B"}, status=400)
    gone = s("delete", recorded("2.1"), f"DELETE {url}", status=404)
    assert gone["error"]["message"] == "not found"


def _tools(*tools: Any) -> dict[str, Any]:
    return {"name": "A", "model": "claude-opus-5", "tools": list(tools)}


def _search(**config: Any) -> dict[str, Any]:
    return _tools({**TOOLSET, "configs": [{"name": "web_search", **config}]})


LIMITED = {
    "type": "cloud",
    "networking": {
        "type": "limited",
        "allowed_hosts": ["api.example.com"],
        "allow_package_managers": True,
    },
    "packages": {"pip": ["pandas"]},
}


def environments(s: Script) -> None:
    path = "POST /v1/environments"
    given = {"name": "prod", "description": "", "config": LIMITED}
    made = s("create", recorded("C.1 Environment"), path, given, payload="environment")
    url = f"/v1/environments/{made['id']}"
    s("get", recorded("C.1 Environment"), f"GET {url}", payload="environment")
    s("create: the least", recorded("3.2"), path, {"name": "plain"})
    s("list", typed(), "GET /v1/environments?limit=1")
    s("list: the last page", recorded("1.8"), "GET /v1/environments")
    change = {
        "config": {"type": "cloud", "packages": {"npm": ["left-pad"]}},
        "metadata": {"a": "b"},
    }
    s("update", typed("3.2"), f"POST {url}", change)
    s("update: metadata", typed("3.2"), f"POST {url}", {"metadata": {"a": ""}})
    other = {"config": {"type": "self_hosted"}}
    s("update: type", recorded(TEXTS), f"POST {url}", other, refusal="environment-to-byoc")
    own = s("create: self-hosted", typed(), path, {"name": "own", **other})
    back = {"config": {"type": "cloud"}}
    s(
        "update: type back",
        recorded(TEXTS),
        f"POST /v1/environments/{own['id']}",
        back,
        refusal="environment-to-cloud",
    )
    s(
        "create: unknown field",
        inferred("as on other routes"),
        path,
        {"name": "a", "x": 1},
        status=400,
    )
    s("create: no name", recorded(TEXTS), path, {}, refusal="name-required")
    absent = f"/v1/environments/env_{ABSENT}"
    for name, request in (
        ("get", f"GET {absent}"),
        ("delete", f"DELETE {absent}"),
        ("archive", f"POST {absent}/archive"),
    ):
        s(f"{name}: absent", recorded(TEXTS), request, refusal="environment-absent")
    s("get: malformed id", recorded("1.4"), "GET /v1/environments/nonsense", status=404)
    s("archive", typed(), f"POST {url}/archive")
    s("archive: again", recorded("1.10"), f"POST {url}/archive")
    s("update: archived", typed("error code"), f"POST {url}", {"name": "b"}, status=400)
    s("delete", typed(), f"DELETE {url}")

    agent = s.world.agent()
    for refusal, forced in (("environment-queue", False), ("environment-sessions", True)):
        own = s("", typed(), path, {"name": "own", **other}, keep=False)["id"]
        s.world.session(agent=agent, environment_id=own)
        if forced:
            # What is stopped is in no queue any more; the session is there still.
            (item,) = s.world.sdk.beta.environments.work.list(own)
            s.world.sdk.beta.environments.work.stop(item.id, environment_id=own, force=True)
        url = f"/v1/environments/{own}"
        s(f"delete: {refusal}", recorded(TEXTS), f"DELETE {url}", refusal=refusal)
    s("delete: by force", recorded("3.2"), f"DELETE {url}?force=true")


URL = "https://mcp.example.com/mcp"
BEARER = {"type": "static_bearer", "token": "t-1", "mcp_server_url": URL}
OAUTH: dict[str, Any] = {
    "type": "mcp_oauth",
    "access_token": "t-2",
    "mcp_server_url": f"{URL}/2",
    "expires_at": "2199-01-01T00:00:00Z",
    "refresh": {
        "token_endpoint": "https://auth.example.com/token",
        "client_id": "me",
        "refresh_token": "t-3",
        "token_endpoint_auth": {"type": "client_secret_post", "client_secret": "t-4"},
        "scope": "a b",
    },
}
VARIABLE = {
    "type": "environment_variable",
    "secret_name": "GITHUB_TOKEN",
    "secret_value": "t-5",
    "networking": {"type": "limited", "allowed_hosts": ["api.github.com"]},
    "injection_location": {"header": True},
}


def vaults(s: Script) -> None:
    path = "POST /v1/vaults"
    made = s("create", typed(), path, {"display_name": "Keys", "metadata": {"team": "a"}})
    url = f"/v1/vaults/{made['id']}"
    s("create: the least", typed(), path, {"display_name": "Others"})
    s("get", typed(), f"GET {url}")
    s("list", typed(), "GET /v1/vaults?limit=1")
    s("list: the last page", recorded("1.8"), "GET /v1/vaults")
    s("update", typed(), f"POST {url}", {"display_name": "More", "metadata": {"team": None}})
    s("create: no name", inferred("as for `name`"), path, {}, status=400)
    s("create: empty name", inferred("text"), path, {"display_name": ""}, status=400)
    s("get: absent", inferred("text"), f"GET /v1/vaults/vlt_{ABSENT}", status=404)
    s("archive", typed(), f"POST {url}/archive")
    s("archive: again", inferred("as recorded elsewhere"), f"POST {url}/archive")
    body = {"auth": BEARER}
    s("archived", recorded(TEXTS), f"POST {url}/credentials", body, refusal="vault-archived")
    s("delete", typed("14.1"), f"DELETE {url}")


def credentials(s: Script) -> None:
    vault = s.world.vault()
    url = f"/v1/vaults/{vault}/credentials"
    path = f"POST {url}"
    variable = {"display_name": "GH", "auth": VARIABLE}
    made = s("create", recorded("C.1 Credential"), path, variable, payload="credential")
    s("get", recorded("C.1 Credential"), f"GET {url}/{made['id']}", payload="credential")
    bearer = s("create: bearer", typed(), path, {"auth": BEARER})["id"]
    oauth = s("create: OAuth", typed(), path, {"auth": OAUTH, "metadata": {"a": "b"}})["id"]
    plain = {**OAUTH, "mcp_server_url": f"{URL}/3"}
    del plain["refresh"], plain["expires_at"]
    simple = s("create: OAuth without refreshing", typed(), path, {"auth": plain})["id"]
    s("list", typed(), f"GET {url}?limit=1")
    s("list: the last page", recorded("1.8"), f"GET {url}")
    change = {"auth": {"type": "mcp_oauth", "access_token": "t-6", "refresh": {"scope": ""}}}
    s("update", typed("14.3"), f"POST {url}/{oauth}", change)
    body = {"auth": {"type": "environment_variable", "injection_location": {"body": True}}}
    s("update: variable", typed("14.3"), f"POST {url}/{made['id']}", body)
    again = {"auth": {**BEARER, "token": "t-7"}}
    s("create: twice", recorded(TEXTS), path, again, refusal="credential-twice")
    past = {"auth": {**OAUTH, "expires_at": "2001-01-01T00:00:00Z"}}
    s("create: expired", recorded(TEXTS), path, past, refusal="credential-expired")
    wrong = {"auth": {"type": "static_bearer", "token": "t-8"}}
    s("update: type", recorded(TEXTS), f"POST {url}/{oauth}", wrong, refusal="credential-type")
    more = {"auth": {"type": "mcp_oauth", "refresh": {"refresh_token": "t-9"}}}
    s(
        "update: no refreshing",
        recorded(TEXTS),
        f"POST {url}/{simple}",
        more,
        refusal="credential-refresh",
    )
    nowhere = {"auth": {**VARIABLE, "injection_location": {"header": False}}}
    s("create: nowhere", typed("14.3"), path, nowhere, status=400)
    s("create: null location", typed("14.3"), path, {
        "auth": {**VARIABLE, "injection_location": None}
    }, status=400)  # fmt: skip
    absent = f"GET {url}/vcrd_{ABSENT}"
    s("get: absent", recorded(TEXTS), absent, refusal="credential-absent")
    other = f"GET /v1/vaults/{s.world.vault()}/credentials/{bearer}"
    s("get: another vault's", recorded(TEXTS), other, refusal="credential-absent")
    s("archive", typed(), f"POST {url}/{bearer}/archive")
    s("archive: again", inferred("as recorded elsewhere"), f"POST {url}/{bearer}/archive")
    s("delete", typed("14.1"), f"DELETE {url}/{bearer}")
    closed = {"auth": {**plain, "mcp_server_url": "http://127.0.0.1:9/mcp"}}
    shut = s("", typed(), path, closed, keep=False)["id"]
    s("validate: nobody answers", inferred("14.3"), f"POST {url}/{shut}/mcp_oauth_validate")
