"""Agents through the official SDK (spec 2, 12.1, 12.6)."""
# ruff: noqa: E501 - in the tables of refusals a case is a line

from __future__ import annotations

from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic

from freehold.core.ids import is_id
from tests.api.conftest import refused

URL = "/v1/agents"
ABSENT = "agent_011CZkYpogX7uDKUyvBTophP"
BUILTINS = ["bash", "read", "write", "edit", "glob", "grep", "web_fetch", "web_search"]
TOOLSET: dict[str, Any] = {"type": "agent_toolset_20260401"}


def body(**fields: Any) -> dict[str, Any]:
    return {"name": "A", "model": "claude-opus-5", **fields}


def custom(name: str = "lookup", **fields: Any) -> dict[str, Any]:
    return {
        "type": "custom",
        "name": name,
        "description": "d",
        "input_schema": {"type": "object"},
        **fields,
    }


def create(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = http.post(URL, json=body(**fields))
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


class TestCreate:
    def test_the_least(self, sdk: Anthropic) -> None:
        agent = sdk.beta.agents.create(name="Least", model="claude-opus-5")
        assert is_id("agent", agent.id)
        assert agent.to_dict() == {
            "id": agent.id,
            "type": "agent",
            "version": 1,
            "name": "Least",
            "description": None,
            "model": {"id": "claude-opus-5", "effort": {"type": "high"}, "speed": "standard"},
            "system": None,
            "tools": [],
            "mcp_servers": [],
            "skills": [],
            "multiagent": None,
            "execution_identity": {"type": "service_account"},
            "metadata": {},
            "created_at": agent.created_at,
            "updated_at": agent.created_at,
            "archived_at": None,
        }

    def test_everything(self, sdk: Anthropic) -> None:
        agent = sdk.beta.agents.create(
            name="Most",
            model={"id": "claude-opus-5", "effort": "low", "speed": "fast", "inference_geo": "us"},
            description="d",
            system="s",
            tools=[
                TOOLSET,  # type: ignore[list-item]
                {"type": "mcp_toolset", "mcp_server_name": "linear"},
                custom(),  # type: ignore[list-item]
            ],
            mcp_servers=[{"type": "url", "name": "linear", "url": "https://mcp.example.com"}],
            skills=[{"type": "anthropic", "skill_id": "xlsx"}],
            metadata={"team": "a"},
            execution_identity={"type": "aws_role", "role_arn": "arn:aws:iam::1:role/x"},
        )
        assert agent.model.to_dict() == {
            "id": "claude-opus-5",
            "effort": {"type": "low"},
            "speed": "fast",
            "inference_geo": "us",
        }
        assert agent.skills[0].version == "latest"
        assert agent.execution_identity.to_dict() == {
            "type": "aws_role",
            "role_arn": "arn:aws:iam::1:role/x",
        }
        assert sdk.beta.agents.retrieve(agent.id) == agent

    def test_tools_are_echoed_resolved(self, http: httpx.Client) -> None:
        allow, ask = {"type": "always_allow"}, {"type": "always_ask"}
        made = create(
            http,
            tools=[
                {
                    **TOOLSET,
                    "default_config": {"permission_policy": ask},
                    "configs": [
                        {"name": "bash", "permission_policy": allow},
                        {"name": "grep", "type": "grep", "enabled": False},
                        {
                            "name": "web_fetch",
                            "blocked_domains": ["ads.example.com"],
                            "max_content_tokens": 100,
                            "url_sources": {"user_input": "all", "client_tool_results": None},
                        },
                        {
                            "name": "web_search",
                            "allowed_domains": ["docs.example.com/guide"],
                            "user_location": {"type": "approximate", "country": "NO"},
                        },
                    ],
                },
                {
                    "type": "mcp_toolset",
                    "mcp_server_name": "m",
                    "configs": [{"name": "x", "enabled": False}],
                },
            ],
            mcp_servers=[{"type": "url", "name": "m", "url": "https://m.example.com"}],
        )
        builtin, mcp = made["tools"]
        assert builtin["default_config"] == {"enabled": True, "permission_policy": ask}
        assert [config["name"] for config in builtin["configs"]] == BUILTINS
        configs = {config["name"]: config for config in builtin["configs"]}
        assert configs["bash"] == {
            "name": "bash",
            "type": "bash",
            "enabled": True,
            "permission_policy": allow,
        }
        assert configs["grep"]["enabled"] is False
        assert configs["grep"]["permission_policy"] == ask
        assert configs["web_fetch"]["url_sources"] == {"user_input": {"type": "all"}}
        assert configs["web_fetch"]["max_content_tokens"] == 100
        assert configs["web_search"]["user_location"] == {"type": "approximate", "country": "NO"}
        assert mcp == {
            "type": "mcp_toolset",
            "mcp_server_name": "m",
            "default_config": {"enabled": True, "permission_policy": ask},
            "configs": [{"name": "x", "enabled": False, "permission_policy": ask}],
        }

    def test_an_empty_system_is_none(self, http: httpx.Client) -> None:
        assert create(http, system="", description="")["system"] is None

    def test_a_model_without_effort(self, http: httpx.Client) -> None:
        assert create(http, model="llama-9")["model"] == {
            "id": "llama-9",
            "effort": None,
            "speed": "standard",
        }


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name: minimum string length is 1"),
    ({"name": "x" * 257}, "name: maximum string length is 256"),
    ({"name": 5}, "Failed to parse request: name: must be a string (got number)"),
    ({"name": None}, "Failed to parse request: name: must be a string (got null)"),
    ({"model": None}, "Failed to parse request: model: must be an object (got null)"),
    ({"model": ""}, "model.id: minimum string length is 1"),
    ({"model": {}}, "model.id: Field required"),
    ({"model": {"id": "m", "effort": "huge"}}, 'Failed to parse request: model.effort.type: "huge" is not a valid value'),
    ({"model": {"id": "m", "speed": "slow"}}, 'Failed to parse request: model.speed: "slow" is not a valid value'),
    ({"model": {"id": "m", "inference_geo": "eu"}}, 'Failed to parse request: model.inference_geo: "eu" is not a valid value'),
    ({"model": {"id": "m", "bogus": 1}}, 'Failed to parse request body: unknown field "bogus"'),
    ({"description": "x" * 2049}, "description: maximum string length is 2048"),
    ({"system": "x" * 100_001}, "system: maximum string length is 100000"),
    ({"metadata": {str(n): "" for n in range(17)}}, "invalid metadata: metadata map would have 17 entries, exceeding the maximum of 16"),
    ({"metadata": {"": "v"}}, "invalid metadata: keys must have 1 to 64 characters, got one of 0"),
    ({"metadata": {"k" * 65: "v"}}, "invalid metadata: keys must have 1 to 64 characters, got one of 65"),
    ({"metadata": {"k": "v" * 513}}, "invalid metadata: the value of 'k' has 513 characters, exceeding the maximum of 512"),
    ({"metadata": {"k": None}}, "Failed to parse request: metadata.k: must be a string (got null)"),
    ({"multiagent": {"type": "coordinator", "agents": []}}, "multiagent: this version of Freehold does not run subagents, advisors or workflows; omit the field or send null"),
    ({"execution_identity": {"type": "root"}}, 'Failed to parse request: execution_identity.type: "root" is not a valid value'),
    ({"execution_identity": {"type": "aws_role", "role_arn": "x" * 2049}}, "execution_identity.aws_role.role_arn: maximum string length is 2048"),
    ({"tools": {}}, "Failed to parse request: tools: must be an array (got object)"),
    ({"tools": ["bash"]}, "Failed to parse request: tools[0]: must be an object (got string)"),
    ({"tools": [{}]}, "tools.0.type: Field required"),
    ({"tools": [{"type": "browser_toolset_20260801"}]}, 'Failed to parse request: tools[0].type: "browser_toolset_20260801" is not a valid value'),
    ({"tools": [custom(f"t{n}") for n in range(129)]}, "tools: must contain at most 128 items"),
    ({"tools": [TOOLSET, TOOLSET]}, "tools.1: at most one agent_toolset_20260401 entry is allowed"),
    ({"tools": [{**TOOLSET, "configs": [{"name": "cat"}]}]}, 'Failed to parse request: tools[0].configs[0].name: "cat" is not a valid value'),
    ({"tools": [{**TOOLSET, "configs": [{"name": "read"}, {"name": "bash", "bogus": 1}]}]}, 'configs[1].bogus: Extra inputs are not permitted for name "bash"'),
    ({"tools": [{**TOOLSET, "configs": [{"name": "bash", "allowed_domains": ["a.com"]}]}]}, 'configs[0].allowed_domains: Extra inputs are not permitted for name "bash"'),
    ({"tools": [{**TOOLSET, "configs": [{"name": "read", "type": "bash"}]}]}, 'configs[0].name: must be "bash" on a config of type "bash"'),
    ({"tools": [{**TOOLSET, "configs": [{"name": "bash"}, {"name": "bash"}]}]}, 'configs[1].name: duplicate config for "bash"'),
    ({"tools": [{**TOOLSET, "default_config": {"permission_policy": {"type": "never"}}}]}, 'Failed to parse request: tools[0].default_config.permission_policy.type: "never" is not a valid value'),
    ({"tools": [custom("mcp__x")]}, 'tools.0.custom.name: custom tool name "mcp__x" uses reserved MCP tool prefix'),
    ({"tools": [custom("ant__x")]}, 'tools.0.custom.name: custom tool name "ant__x" uses reserved prefix ant__'),
    ({"tools": [custom("bash")]}, 'tools.0.custom.name: custom tool name "bash" is the name of a built-in tool'),
    ({"tools": [custom("a b")]}, "tools.0.custom.name: must match pattern ^[A-Za-z0-9_-]{1,128}$"),
    ({"tools": [custom("a\n")]}, "tools.0.custom.name: must match pattern ^[A-Za-z0-9_-]{1,128}$"),
    ({"tools": [custom("x" * 129)]}, "tools.0.custom.name: must match pattern ^[A-Za-z0-9_-]{1,128}$"),
    ({"tools": [custom(), custom()]}, 'tools.1.custom.name: duplicate tool name "lookup"'),
    ({"tools": [custom(description="")]}, "tools.0.custom.description: minimum string length is 1"),
    ({"tools": [custom(description="x" * 1025)]}, "tools.0.custom.description: maximum string length is 1024"),
    ({"tools": [custom(input_schema={})]}, 'tools.0.custom.input_schema: type: Field required; it must be "object"'),
    ({"tools": [custom(input_schema={"type": "array"})]}, 'tools.0.custom.input_schema: type: must be "object"'),
    ({"tools": [custom(input_schema={"type": "object", "anyOf": []})]}, "tools.0.custom.input_schema: anyOf is not supported at the top level"),
    ({"tools": [custom(input_schema={"type": "object", "properties": {"a": {"items": {"$ref": "#"}}}})]}, "tools.0.custom.input_schema: $ref is not supported"),
    ({"tools": [custom(input_schema={"type": "object", "properties": {"a b": {}}})]}, "tools.0.custom.input_schema: properties: names must match [A-Za-z0-9_.-]{1,64}, got 'a b'"),
    ({"tools": [custom(input_schema={"type": "object", "required": "a"})]}, "tools.0.custom.input_schema: required: must be an array of strings"),
    ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "m"}]}, 'tools.0.mcp_toolset.mcp_server_name: "m" is not in mcp_servers'),
    ({"mcp_servers": [{"type": "url", "name": "m", "url": "https://m.example.com"}]}, 'mcp_servers.0: "m" is not referenced by any mcp_toolset in tools'),
    ({"mcp_servers": [{"type": "url", "name": "m", "url": ""}]}, "mcp_servers.0.url: minimum string length is 1"),
    ({"mcp_servers": [{"type": "url", "name": "m", "url": "https://m.example.com"}] * 2, "tools": [{"type": "mcp_toolset", "mcp_server_name": "m"}]}, 'mcp_servers.1.name: duplicate name "m"'),
    ({"mcp_servers": [{"type": "url", "name": "m", "url": "https://m.example.com"}], "tools": [{"type": "mcp_toolset", "mcp_server_name": "m"}] * 2}, 'tools.1.mcp_toolset.mcp_server_name: "m" is referenced by more than one mcp_toolset'),
    ({"mcp_servers": [{"type": "url", "name": f"m{n}", "url": "https://m.example.com"} for n in range(21)]}, "mcp_servers: must contain at most 20 items"),
    ({"skills": [{"type": "anthropic", "skill_id": "xlsx"}]}, "skills: need the `read` tool enabled in `tools`"),
    ({"skills": [{"type": "anthropic", "skill_id": "xlsx"}] * 21}, "skills: must contain at most 20 items"),
    ({"skills": [{"type": "mine", "skill_id": "xlsx"}]}, 'Failed to parse request: skills[0].type: "mine" is not a valid value'),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "message"), REFUSED, ids=[text[:60] for _, text in REFUSED])
def test_refused(http: httpx.Client, fields: dict[str, Any], message: str) -> None:
    refused(http.post(URL, json=body(**fields)), 400, message)


@pytest.mark.parametrize("field", ["name", "model"])
def test_required(http: httpx.Client, field: str) -> None:
    fields = body()
    del fields[field]
    refused(http.post(URL, json=fields), 400, f"{field}: Field required")


ACCEPTED: list[dict[str, Any]] = [
    {"name": "x" * 256},
    {"description": "x" * 2048},
    {"system": "\N{GRINNING FACE}" * 100_000},
    {"metadata": {f"{n:>64}": "v" * 512 for n in range(16)}},
    {"tools": [custom(f"t{n}") for n in range(128)]},
    {"tools": [custom("x" * 128, description="x" * 1024)]},
    {"tools": [custom(input_schema={"type": "object", "title": "T", "additionalProperties": False, "properties": {"a": {"const": {"$ref": 1}}}})]},
    {"skills": [{"type": "anthropic", "skill_id": "xlsx", "version": "latest"}] * 20, "tools": [TOOLSET]},
    {"multiagent": None, "tools": None, "mcp_servers": None, "skills": None, "metadata": None},
]  # fmt: skip


@pytest.mark.parametrize("fields", ACCEPTED)
def test_accepted_at_the_limit(http: httpx.Client, fields: dict[str, Any]) -> None:
    made = create(http, **fields)
    for name in ("name", "description", "system", "metadata"):
        if fields.get(name):
            assert made[name] == fields[name]
    if fields.get("tools") and fields["tools"][0]["type"] == "custom":
        assert made["tools"] == fields["tools"]


def test_at_most_256_tools_in_all(http: httpx.Client) -> None:
    def fields(count: int) -> dict[str, Any]:
        configs = [{"name": f"t{n}"} for n in range(count)]
        return {
            "tools": [TOOLSET, {"type": "mcp_toolset", "mcp_server_name": "m", "configs": configs}],
            "mcp_servers": [{"type": "url", "name": "m", "url": "https://m.example.com"}],
        }

    create(http, **fields(248))
    refused(
        http.post(URL, json=body(**fields(249))),
        400,
        "tools: must contain at most 256 tools across all toolsets, got 257",
    )


WEB: list[tuple[str, dict[str, Any], str]] = [
    ("web_fetch", {"allowed_domains": ["a.com"], "blocked_domains": ["b.com"]}, "Only one of allowed_domains or blocked_domains may be set."),
    ("web_fetch", {"allowed_domains": []}, "allowed_domains: Empty list of domains is ambiguous. Provide at least one domain or null."),
    ("web_search", {"blocked_domains": []}, "blocked_domains: Empty list of domains is ambiguous. Provide at least one domain or null."),
    ("web_fetch", {"allowed_domains": ["1.2.3.4"]}, "allowed_domains.0: IP addresses are not supported; use a plain hostname like docs.example.com"),
    ("web_fetch", {"allowed_domains": ["a.com", "a.com"]}, "allowed_domains.1: duplicate domain"),
    ("web_fetch", {"allowed_domains": ["a.com/x"]}, "allowed_domains.0: a path is not supported; use a plain hostname like docs.example.com"),
    ("web_search", {"allowed_domains": [f"d{n}.example.com" for n in range(65)]}, "allowed_domains: must contain at most 64 items"),
    ("web_search", {"allowed_domains": [""]}, "allowed_domains.0: must have between 1 and 255 characters"),
    ("web_fetch", {"max_content_tokens": 0}, "tools.0.agent_toolset_20260401.configs.0.web_fetch.max_content_tokens: value must be greater than or equal to 1"),
    ("web_fetch", {"url_sources": {"user_input": "none", "client_tool_results": "none", "server_tool_results": {"type": "none"}}}, "url_sources: at least one source must not be none"),
    ("web_fetch", {"url_sources": {"user_input": {"type": "only", "tools": []}}}, 'Failed to parse request: tools[0].configs[0].url_sources.user_input.type: "only" is not a valid value'),
    ("web_fetch", {"url_sources": {"client_tool_results": {"type": "only", "tools": [{"type": "tool_reference", "name": "ghost"}]}}}, 'tools.0.url_sources.client_tool_results: unknown tool "ghost"'),
    ("web_fetch", {"url_sources": {"server_tool_results": {"type": "except", "tools": [{"type": "tool_reference", "name": "lookup"}]}}}, 'tools.0.url_sources.server_tool_results: unknown tool "lookup"'),
    ("web_search", {"user_location": {"type": "approximate", "country": "no"}}, "user_location.country: must be a two-letter upper-case ISO 3166-1 country code"),
    ("web_search", {"user_location": {"type": "approximate", "timezone": "Mars/Olympus"}}, "user_location.timezone: must be an IANA time zone such as Europe/Oslo"),
    ("web_search", {"max_content_tokens": 5}, 'configs[0].max_content_tokens: Extra inputs are not permitted for name "web_search"'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "message"), WEB, ids=[row[2][:60] for row in WEB])
def test_web_tools_refused(
    http: httpx.Client, name: str, fields: dict[str, Any], message: str
) -> None:
    toolset = {**TOOLSET, "configs": [{"name": name, **fields}]}
    refused(http.post(URL, json=body(tools=[toolset, custom()])), 400, message)


def test_url_sources_may_name_tools(http: httpx.Client) -> None:
    only = {"type": "only", "tools": [{"type": "tool_reference", "name": "lookup"}]}
    toolset = {
        **TOOLSET,
        "configs": [{"name": "web_fetch", "url_sources": {"client_tool_results": only}}],
    }
    made = create(http, tools=[toolset, custom()])
    assert made["tools"][0]["configs"][6]["url_sources"] == {"client_tool_results": only}


class TestRetrieve:
    def test_versions(self, sdk: Anthropic) -> None:
        first = sdk.beta.agents.create(name="one", model="claude-opus-5")
        second = sdk.beta.agents.update(first.id, name="two")
        assert sdk.beta.agents.retrieve(first.id) == second
        assert sdk.beta.agents.retrieve(first.id, version=1) == first
        assert sdk.beta.agents.retrieve(first.id, version=2) == second
        with pytest.raises(anthropic.NotFoundError):
            sdk.beta.agents.retrieve(first.id, version=3)

    @pytest.mark.parametrize("bad", ["nonsense", "agent_", "sesn_011CZkYpogX7uDKUyvBTophP", "%00"])
    def test_malformed(self, http: httpx.Client, bad: str) -> None:
        for path in (bad, f"{bad}/versions"):
            refused(http.get(f"{URL}/{path}"), 400, "Invalid agent ID.")
        refused(http.post(f"{URL}/{bad}", json={}), 400, "Invalid agent ID.")
        refused(http.post(f"{URL}/{bad}/archive"), 400, "Invalid agent ID.")

    def test_absent(self, http: httpx.Client) -> None:
        for answer in (
            http.get(f"{URL}/{ABSENT}"),
            http.get(f"{URL}/{ABSENT}", params={"version": "1"}),
            http.get(f"{URL}/{ABSENT}/versions"),
            http.post(f"{URL}/{ABSENT}", json={}),
            http.post(f"{URL}/{ABSENT}/archive"),
        ):
            refused(answer, 404, f"Agent not found: {ABSENT}")

    @pytest.mark.parametrize("version", ["0", "x", "2147483648", "-1", ""])
    def test_bad_versions(self, http: httpx.Client, agent: Any, version: str) -> None:
        refused(
            http.get(f"{URL}/{agent.id}", params={"version": version}),
            400,
            "version: value must be greater than or equal to 1 and less than or equal to "
            "2147483647",
        )


class TestUpdate:
    @pytest.fixture
    def made(self, http: httpx.Client) -> dict[str, Any]:
        return create(
            http,
            model={"id": "claude-opus-5", "effort": "low", "speed": "fast", "inference_geo": "us"},
            description="d",
            system="s",
            tools=[TOOLSET, custom()],
            metadata={"a": "1", "b": "2"},
        )

    def change(self, http: httpx.Client, made: dict[str, Any], **fields: Any) -> dict[str, Any]:
        answer = http.post(f"{URL}/{made['id']}", json=fields)
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"version": None},
            {"version": 1},
            {"name": "A", "system": "s", "metadata": {"a": "1"}},
            {"metadata": None},
            {"metadata": {"absent": None}},
            {"model": {"id": "claude-opus-5", "speed": "fast", "inference_geo": "us"}},
            {"tools": [TOOLSET, custom()]},
            {"multiagent": None, "execution_identity": None, "skills": None, "mcp_servers": []},
        ],
    )
    def test_no_change_is_no_version(
        self, http: httpx.Client, made: dict[str, Any], fields: dict[str, Any]
    ) -> None:
        assert self.change(http, made, **fields) == made

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"name": "B"}, {"name": "B"}),
            ({"description": None}, {"description": None}),
            ({"description": ""}, {"description": None}),
            ({"system": ""}, {"system": None}),
            ({"system": None}, {"system": None}),
            ({"tools": []}, {"tools": []}),
            ({"tools": None}, {"tools": []}),
            ({"metadata": {"a": None, "c": "3"}}, {"metadata": {"b": "2", "c": "3"}}),
            ({"metadata": {"a": ""}}, {"metadata": {"a": "", "b": "2"}}),
            (
                {"model": "claude-opus-5"},
                {
                    "model": {
                        "id": "claude-opus-5",
                        "effort": {"type": "low"},
                        "speed": "standard",
                    }
                },
            ),
            (
                {"model": "claude-sonnet-5"},
                {
                    "model": {
                        "id": "claude-sonnet-5",
                        "effort": {"type": "high"},
                        "speed": "standard",
                    }
                },
            ),
        ],
    )
    def test_merge(
        self,
        http: httpx.Client,
        made: dict[str, Any],
        fields: dict[str, Any],
        expected: dict[str, Any],
    ) -> None:
        changed = self.change(http, made, **fields)
        assert changed["updated_at"] > made["updated_at"]
        assert changed == {**made, **expected, "version": 2, "updated_at": changed["updated_at"]}

    def test_precondition(self, sdk: Anthropic, http: httpx.Client, made: dict[str, Any]) -> None:
        self.change(http, made, name="B")
        for fields in ({"version": 1}, {"version": 1, "name": "B"}, {"version": 3}):
            answer = http.post(f"{URL}/{made['id']}", json=fields)
            refused(
                answer,
                409,
                "Concurrent modification detected. Please fetch the latest version and retry.",
            )
            assert answer.headers["x-should-retry"] == "false"
        assert self.change(http, made, version=2, name="C")["version"] == 3
        with pytest.raises(anthropic.ConflictError):
            sdk.beta.agents.update(made["id"], version=1)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"name": ""}, "agent.name: minimum string length is 1"),
            ({"name": None}, "agent.name: cannot be cleared"),
            ({"model": None}, "agent.model: cannot be cleared"),
            ({"system": "x" * 100_001}, "agent.system: maximum string length is 100000"),
            ({"version": 0}, "agent.version: value must be greater than or equal to 1"),
            ({"bogus": 1}, 'Failed to parse request body: unknown field "bogus"'),
            (
                {"tools": [{"type": "x"}]},
                'Failed to parse request: agent.tools[0].type: "x" is not a valid value',
            ),
            (
                {"mcp_servers": [{"type": "url", "name": "m", "url": "https://m.example.com"}]},
                'agent.mcp_servers.0: "m" is not referenced by any mcp_toolset in tools',
            ),
            (
                {"metadata": {f"k{n}": "v" for n in range(15)}},
                "invalid metadata: metadata map would have 17 entries, exceeding the maximum of 16",
            ),
            (
                {"multiagent": {"type": "coordinator"}},
                "multiagent: this version of Freehold does not run subagents, advisors or "
                "workflows; omit the field or send null",
            ),
        ],
    )
    def test_refused(
        self, http: httpx.Client, made: dict[str, Any], fields: dict[str, Any], message: str
    ) -> None:
        refused(http.post(f"{URL}/{made['id']}", json=fields), 400, message)
        assert http.get(f"{URL}/{made['id']}").json() == made


class TestArchive:
    def test_is_for_good(self, sdk: Anthropic, http: httpx.Client) -> None:
        made = sdk.beta.agents.create(name="A", model="m")
        archived = sdk.beta.agents.archive(made.id)
        assert archived.archived_at is not None
        assert archived.version == 1
        assert sdk.beta.agents.archive(made.id) == archived
        assert sdk.beta.agents.retrieve(made.id) == archived
        refused(
            http.post(f"{URL}/{made.id}", json={"name": "B"}),
            400,
            f"Agent {made.id} is archived and cannot be modified.",
        )

    def test_hides_from_the_list(self, sdk: Anthropic) -> None:
        made = sdk.beta.agents.create(name="A", model="m")
        sdk.beta.agents.archive(made.id)
        assert made.id not in [agent.id for agent in sdk.beta.agents.list(limit=100)]
        assert made.id in [
            agent.id for agent in sdk.beta.agents.list(limit=100, include_archived=True)
        ]


class TestList:
    def test_pages_while_agents_come(self, sdk: Anthropic) -> None:
        made = [sdk.beta.agents.create(name=f"n{n}", model="m").id for n in range(5)]
        since = sdk.beta.agents.retrieve(made[0]).created_at
        page = sdk.beta.agents.list(limit=2, created_at_gte=since)
        seen = [agent.id for agent in page.data]
        while page.has_next_page():
            sdk.beta.agents.create(name="late", model="m")
            page = page.get_next_page()
            seen += [agent.id for agent in page.data]
        assert seen == made[::-1]

    def test_the_last_page_has_no_cursor(self, http: httpx.Client) -> None:
        made = [create(http) for _ in range(3)]
        since = {"created_at[gte]": made[0]["created_at"]}
        assert http.get(URL, params={**since, "limit": "3"}).json() == {"data": made[::-1]}
        two = http.get(URL, params={**since, "limit": "2"}).json()
        assert two["next_page"].startswith("page_")
        last = http.get(URL, params={**since, "limit": "2", "page": two["next_page"]}).json()
        assert last == {"data": [made[0]]}

    def test_time_filters_are_inclusive(self, http: httpx.Client) -> None:
        made = [create(http) for _ in range(3)]
        moment = made[1]["created_at"]
        params = {"created_at[gte]": moment, "created_at[lte]": moment}
        assert http.get(URL, params=params).json() == {"data": [made[1]]}

    def test_each_is_at_its_newest_version(self, sdk: Anthropic) -> None:
        made = sdk.beta.agents.create(name="one", model="m")
        changed = sdk.beta.agents.update(made.id, name="two")
        assert sdk.beta.agents.list(created_at_gte=made.created_at).data == [changed]


class TestVersions:
    def test_newest_first_in_pages(self, sdk: Anthropic) -> None:
        made = [sdk.beta.agents.create(name="n0", model="m")]
        made += [sdk.beta.agents.update(made[0].id, name=f"n{n}") for n in range(1, 5)]
        assert list(sdk.beta.agents.versions.list(made[0].id, limit=2)) == made[::-1]
        assert sdk.beta.agents.versions.list(made[0].id).data == made[::-1]

    def test_cursors_belong_to_one_agent_and_one_list(
        self, http: httpx.Client, sdk: Anthropic
    ) -> None:
        one, two = (create(http) for _ in range(2))
        for made in (one, two):
            sdk.beta.agents.update(made["id"], name="B")
        cursor = sdk.beta.agents.versions.list(one["id"], limit=1).next_page
        for path in (f"{URL}/{two['id']}/versions", URL):
            refused(
                http.get(path, params={"page": cursor}), 400, "page: invalid or expired page cursor"
            )
