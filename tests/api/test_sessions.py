"""Sessions through the official SDK (spec 5)."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic

from freehold.core.ids import is_id
from tests.api.conftest import refused, said, turn

URL = "/v1/sessions"
ABSENT = "sesn_011CZkYpogX7uDKUyvBTophP"
ABSENT_ENV = "env_011CZkYpogX7uDKUyvBTophP"
ABSENT_AGENT = "agent_011CZkYpogX7uDKUyvBTophP"
TOOLSET: dict[str, Any] = {"type": "agent_toolset_20260401"}


class TestCreate:
    def test_before_the_first_turn(self, sdk: Anthropic, agent: Any, environment: Any) -> None:
        made = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
        assert is_id("sesn", made.id)
        shown = made.to_dict()
        assert shown.pop("stats")["active_seconds"] == 0.0  # type: ignore[index]
        expected = agent.to_dict()
        for name in ("metadata", "created_at", "updated_at", "archived_at"):
            del expected[name]
        assert shown == {
            "id": made.id,
            "type": "session",
            "status": "idle",
            "title": None,
            "agent": expected,
            "environment_id": environment.id,
            "metadata": {},
            "resources": [],
            "vault_ids": [],
            "outcome_evaluations": [],
            "usage": {
                "input_tokens": 0,
                "output_tokens": 0,
                "cache_read_input_tokens": 0,
                "cache_creation": None,
                "active_seconds": 0.0,
                "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0},
            },
            "budget": None,
            "created_at": made.created_at,
            "updated_at": made.created_at,
            "archived_at": None,
        }

    def test_the_three_forms_of_an_agent(self, sdk: Anthropic, environment: Any) -> None:
        first = sdk.beta.agents.create(name="one", model="m")
        sdk.beta.agents.update(first.id, name="two")

        def made(agent: Any) -> Any:
            return sdk.beta.sessions.create(agent=agent, environment_id=environment.id).agent

        assert (made(first.id).version, made(first.id).name) == (2, "two")
        assert made({"type": "agent", "id": first.id}).version == 2
        assert made({"type": "agent", "id": first.id, "version": 1}).name == "one"
        overridden = made(
            {"type": "agent_with_overrides", "id": first.id, "version": 1, "system": "s"}
        )
        assert (overridden.id, overridden.version, overridden.system) == (first.id, 1, "s")

    def test_a_snapshot_stays(self, sdk: Anthropic, environment: Any) -> None:
        agent = sdk.beta.agents.create(name="one", model="m")
        made = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
        sdk.beta.agents.update(agent.id, name="two")
        sdk.beta.agents.archive(agent.id)
        assert sdk.beta.sessions.retrieve(made.id).agent.name == "one"

    def test_initial_events_start_it(self, sdk: Anthropic, agent: Any, environment: Any) -> None:
        made = sdk.beta.sessions.create(
            agent=agent.id,
            environment_id=environment.id,
            initial_events=[said("/say one"), said("/wait 0")],  # type: ignore[list-item]
        )
        assert made.status == "running"
        events = []
        while "session.status_idle" not in events:
            events = [event.type for event in sdk.beta.sessions.events.list(made.id)]
        assert events[:4] == [
            "session.status_running",
            "session.thread_status_running",
            "user.message",
            "user.message",
        ]

    def test_no_initial_events(self, sdk: Anthropic, agent: Any, environment: Any) -> None:
        made = sdk.beta.sessions.create(
            agent=agent.id, environment_id=environment.id, initial_events=[]
        )
        assert made.status == "idle"
        assert list(sdk.beta.sessions.events.list(made.id)) == []


@pytest.fixture(scope="module")
def base(http: httpx.Client) -> dict[str, Any]:
    answer = http.post(
        "/v1/agents",
        json={
            "name": "base",
            "model": {"id": "claude-opus-5", "effort": "low", "inference_geo": "us"},
            "system": "s",
            "tools": [TOOLSET],
        },
    )
    made: dict[str, Any] = answer.json()
    return made


class TestOverrides:
    def create(
        self, http: httpx.Client, environment: Any, base: dict[str, Any], **fields: Any
    ) -> httpx.Response:
        agent = {"type": "agent_with_overrides", "id": base["id"], **fields}
        return http.post(URL, json={"agent": agent, "environment_id": environment.id})

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({}, {}),
            ({"system": None}, {"system": None}),
            ({"system": "t"}, {"system": "t"}),
            ({"tools": []}, {"tools": []}),
            ({"tools": None}, {"tools": []}),
            (
                {"model": "claude-opus-5"},
                {
                    "model": {
                        "id": "claude-opus-5",
                        "effort": {"type": "high"},
                        "speed": "standard",
                    }
                },
            ),
            (
                {"model": {"id": "claude-opus-5", "effort": "max", "speed": "fast"}},
                {"model": {"id": "claude-opus-5", "effort": {"type": "high"}, "speed": "fast"}},
            ),
        ],
    )
    def test_applied(
        self,
        http: httpx.Client,
        environment: Any,
        base: dict[str, Any],
        fields: dict[str, Any],
        expected: dict[str, Any],
    ) -> None:
        made = self.create(http, environment, base, **fields).json()
        kept = {name: base[name] for name in ("name", "model", "system", "tools", "skills")}
        assert {name: made["agent"][name] for name in kept} == {**kept, **expected}

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"multiagent": None}, 'Failed to parse request body: unknown field "multiagent"'),
            (
                {"system": "x" * 100_001},
                "agent.agent_with_overrides.config.system: must be at most 100000 characters",
            ),
            (
                {"tools": [], "skills": [{"type": "anthropic", "skill_id": "xlsx"}]},
                "agent.agent_with_overrides.config.skills: need the `read` tool enabled in `tools`",
            ),
            (
                {"tools": [{"type": "mcp_toolset", "mcp_server_name": "m"}], "mcp_servers": []},
                "agent.agent_with_overrides.config.tools.0.mcp_toolset.mcp_server_name: "
                '"m" is not in mcp_servers',
            ),
        ],
    )
    def test_refused(
        self,
        http: httpx.Client,
        environment: Any,
        base: dict[str, Any],
        fields: dict[str, Any],
        message: str,
    ) -> None:
        refused(self.create(http, environment, base, **fields), 400, message)

    def test_no_model(self, http: httpx.Client, environment: Any, base: dict[str, Any]) -> None:
        refused(
            self.create(http, environment, base, model=None),
            400,
            "agent.agent_with_overrides.config.model: a session needs a model",
            details={"error_code": "agent_model_required"},
        )


class TestCreateRefused:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"agent": None}, "Failed to parse request: agent: must be an object (got null)"),
            ({"agent": ""}, "agent.agent.id: minimum string length is 1"),
            ({"agent": "nonsense"}, "Invalid agent ID."),
            (
                {"agent": {"type": "robot"}},
                'Failed to parse request: agent.type: "robot" is not a valid value',
            ),
            ({"environment_id": ""}, "environment_id: minimum string length is 1"),
            ({"environment_id": "e" * 129}, "environment_id: maximum string length is 128"),
            ({"title": "x" * 501}, "title: maximum string length is 500"),
            ({"bogus": 1}, 'Failed to parse request body: unknown field "bogus"'),
            (
                {"metadata": {str(n): "" for n in range(17)}},
                "invalid metadata: metadata map would have 17 entries, exceeding the maximum of 16",
            ),
            (
                {"initial_events": [{"type": "user.interrupt"}]},
                'Failed to parse request: initial_events[0].type: "user.interrupt" is not a '
                "valid value",
            ),
            (
                {"initial_events": [said("hi")] * 51},
                "initial_events: must contain at most 50 items",
            ),
            (
                {"initial_events": [said("hi"), {"type": "user.message", "content": []}]},
                "initial_events.1.user_message.content: must contain at least 1 item",
            ),
        ],
    )
    def test_malformed(
        self,
        http: httpx.Client,
        agent: Any,
        environment: Any,
        fields: dict[str, Any],
        message: str,
    ) -> None:
        body = {"agent": agent.id, "environment_id": environment.id, **fields}
        refused(http.post(URL, json=body), 400, message)

    @pytest.mark.parametrize(
        ("fields", "start"),
        [
            (
                {
                    "initial_events": [
                        {
                            "type": "user.define_outcome",
                            "description": "d",
                            "rubric": {"type": "text", "content": "r"},
                        }
                    ]
                },
                "initial_events[0]: ",
            ),
        ],
    )
    def test_what_this_version_lacks_is_named(
        self, http: httpx.Client, agent: Any, environment: Any, fields: dict[str, Any], start: str
    ) -> None:
        body = {"agent": agent.id, "environment_id": environment.id, **fields}
        message = http.post(URL, json=body).json()["error"]["message"]
        assert message.startswith(start)
        assert "this version of Freehold" in message
        refused(http.post(URL, json=body), 400, message)

    @pytest.mark.parametrize(
        ("config", "part"),
        [
            ({"type": "cloud", "packages": {"apt": ["jq"]}}, "config.packages"),
        ],
    )
    def test_environments_that_would_not_be_enforced(
        self, http: httpx.Client, agent: Any, config: dict[str, Any], part: str
    ) -> None:
        made = http.post("/v1/environments", json={"name": "E", "config": config}).json()
        answer = http.post(URL, json={"agent": agent.id, "environment_id": made["id"]})
        message = answer.json()["error"]["message"]
        assert message.startswith(f"environment_id: {made['id']} ")
        assert part in message
        refused(answer, 400, message)

    def test_mcp_servers_must_be_open_to_a_limited_environment(
        self, http: httpx.Client, agent: Any
    ) -> None:
        servers = [{"type": "url", "name": "docs", "url": "https://mcp.example.com/x"}]
        tools = [{"type": "mcp_toolset", "mcp_server_name": "docs"}]
        changed = {"type": "agent", "id": agent.id, "mcp_servers": servers, "tools": tools}
        changed["type"] = "agent_with_overrides"
        for hosts, status in ((["*.example.com"], 200), (["example.com"], 400)):
            networking = {"type": "limited", "allowed_hosts": hosts}
            config = {"type": "cloud", "networking": networking}
            made = http.post("/v1/environments", json={"name": "E", "config": config}).json()
            answer = http.post(URL, json={"agent": changed, "environment_id": made["id"]})
            assert answer.status_code == status, answer.text
        refused(
            answer,
            400,
            'MCP server host(s) blocked by environment network policy: "docs" (mcp.example.com). '
            "Add these hosts to the environment's allowed_hosts, or set allow_mcp_servers=true.",
        )

    @pytest.mark.parametrize(
        ("fields", "start"),
        [
            (
                {"execution_identity": {"type": "aws_role", "role_arn": "arn"}},
                "agent.execution_identity: ",
            ),
        ],
    )
    def test_agents_that_could_not_be_what_they_say(
        self, http: httpx.Client, environment: Any, fields: dict[str, Any], start: str
    ) -> None:
        made = http.post("/v1/agents", json={"name": "A", "model": "m", **fields}).json()
        answer = http.post(URL, json={"agent": made["id"], "environment_id": environment.id})
        message = answer.json()["error"]["message"]
        assert message.startswith(start)
        refused(answer, 400, message)

    def test_absent_or_archived(
        self, sdk: Anthropic, http: httpx.Client, agent: Any, environment: Any
    ) -> None:
        def create(agent_id: Any, environment_id: str) -> httpx.Response:
            return http.post(URL, json={"agent": agent_id, "environment_id": environment_id})

        refused(create(ABSENT_AGENT, environment.id), 404, f"Agent not found: {ABSENT_AGENT}")
        refused(
            create({"type": "agent", "id": agent.id, "version": 9}, environment.id),
            404,
            f"Agent {agent.id} has no version 9.",
        )
        for absent in (ABSENT_ENV, "nonsense"):
            refused(create(agent.id, absent), 404, f"Environment {absent} not found.")
        old_agent = sdk.beta.agents.archive(sdk.beta.agents.create(name="A", model="m").id)
        refused(create(old_agent.id, environment.id), 400, f"Agent {old_agent.id} is archived.")
        old_environment = sdk.beta.environments.create(name="E")
        sdk.beta.environments.archive(old_environment.id)
        refused(
            create(agent.id, old_environment.id),
            400,
            f"Environment {old_environment.id} is archived.",
        )

    def test_nothing_is_left_of_what_was_refused(
        self, sdk: Anthropic, http: httpx.Client, environment: Any
    ) -> None:
        agent = sdk.beta.agents.create(name="A", model="m")
        bad = {
            "type": "user.message",
            "content": [{"type": "document", "source": {"type": "file", "file_id": "f"}}],
        }
        body = {
            "agent": agent.id,
            "environment_id": environment.id,
            "initial_events": [said("hi"), bad],
        }
        assert http.post(URL, json=body).status_code == 404
        assert sdk.beta.sessions.list(agent_id=agent.id).data == []


class TestRetrieve:
    @pytest.mark.parametrize("bad", [ABSENT, "nonsense", "sesn_", "%00"])
    def test_absent(self, http: httpx.Client, bad: str) -> None:
        shown = "\x00" if bad == "%00" else bad
        for answer in (
            http.get(f"{URL}/{bad}"),
            http.post(f"{URL}/{bad}", json={}),
            http.post(f"{URL}/{bad}/archive"),
            http.delete(f"{URL}/{bad}"),
            http.get(f"{URL}/{bad}/threads"),
            http.get(f"{URL}/{bad}/events"),
            http.get(f"{URL}/{bad}/events/stream"),
            http.post(f"{URL}/{bad}/events", json={"events": [said("hi")]}),
        ):
            refused(answer, 404, f"Session not found: {shown}")

    def test_the_old_prefix(self, http: httpx.Client, session: Any) -> None:
        old = session.id.replace("sesn_", "session_")
        assert http.get(f"{URL}/{old}").json()["id"] == session.id
        assert http.get(f"{URL}/{old}/events").json() == {"data": []}

    def test_usage_and_stats_after_a_turn(self, sdk: Anthropic, session: Any) -> None:
        turn(sdk, session.id, said("/say hello"))
        after = sdk.beta.sessions.retrieve(session.id)
        assert after.status == "idle"
        assert after.usage.output_tokens
        assert after.usage.cache_creation is not None
        assert after.stats.active_seconds == after.usage.active_seconds
        assert 0 < after.stats.active_seconds <= after.stats.duration_seconds  # type: ignore[operator]
        assert after.updated_at > session.updated_at


class TestUpdate:
    def events(self, sdk: Anthropic, session_id: str) -> list[dict[str, Any]]:
        return [event.to_dict() for event in sdk.beta.sessions.events.list(session_id)]

    def test_title_and_metadata(self, sdk: Anthropic, session: Any) -> None:
        changed = sdk.beta.sessions.update(session.id, title="new", metadata={"a": "1", "b": "2"})
        assert (changed.title, changed.metadata) == ("new", {"a": "1", "b": "2"})
        assert changed.updated_at > session.updated_at
        sdk.beta.sessions.update(session.id, metadata={"a": None})
        cleared = sdk.beta.sessions.update(session.id, title=None)
        assert (cleared.title, cleared.metadata) == (None, {"b": "2"})
        sdk.beta.sessions.update(session.id, metadata={"b": None})
        told = [
            {key: value for key, value in event.items() if key not in ("id", "processed_at")}
            for event in self.events(sdk, session.id)
        ]
        assert told == [
            {"type": "session.updated", "title": "new", "metadata": {"a": "1", "b": "2"}},
            {"type": "session.updated", "metadata": {"b": "2"}},
            {"type": "session.updated", "title": None},
            {"type": "session.updated"},
        ]

    def test_no_change_tells_nothing(
        self, http: httpx.Client, sdk: Anthropic, session: Any
    ) -> None:
        before = http.get(f"{URL}/{session.id}").json()
        for fields in (
            {},
            {"title": session.title},
            {"metadata": {"absent": None}},
            {"agent": {}},
            {"budget": None},
            {"agent": {"tools": [TOOLSET], "mcp_servers": []}},
        ):
            after = http.post(f"{URL}/{session.id}", json=fields).json()
            assert {**after, "stats": 0} == {**before, "stats": 0}
        assert self.events(sdk, session.id) == []

    def test_tools(self, sdk: Anthropic, session: Any) -> None:
        tool: dict[str, Any] = {
            "type": "custom",
            "name": "lookup",
            "description": "d",
            "input_schema": {"type": "object"},
        }
        changed = sdk.beta.sessions.update(session.id, agent={"tools": [tool]})  # type: ignore[typeddict-item]
        assert [entry.to_dict() for entry in changed.agent.tools] == [tool]
        assert self.events(sdk, session.id)[0]["agent"] == changed.agent.to_dict()
        seen = turn(sdk, session.id, said("/tool lookup {}"))
        assert "agent.custom_tool_use" in [event.type for event in seen]

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"title": ""}, "title: minimum string length is 1"),
            ({"title": "x" * 501}, "title: maximum string length is 500"),
            ({"vault_ids": []}, "vault_ids: cannot be changed after the session was created"),
            ({"agent": {"system": "s"}}, 'Failed to parse request body: unknown field "system"'),
            (
                {"agent": {"tools": [TOOLSET, TOOLSET]}},
                "agent.tools.1: at most one agent_toolset_20260401 entry is allowed",
            ),
            (
                {"metadata": {str(n): "" for n in range(17)}},
                "invalid metadata: metadata map would have 17 entries, exceeding the maximum of 16",
            ),
            (
                {
                    "budget": {
                        "type": "limit",
                        "max_list_cost": {"amount": "1", "currency": "USD"},
                    }
                },
                "budget: cannot be added to a session that was created without one, nor added "
                "again once it was removed (budget_create_only)",
            ),
        ],
    )
    def test_refused(
        self, http: httpx.Client, session: Any, fields: dict[str, Any], message: str
    ) -> None:
        refused(http.post(f"{URL}/{session.id}", json=fields), 400, message)

    def test_while_it_runs(self, sdk: Anthropic, http: httpx.Client, running: Any) -> None:
        assert sdk.beta.sessions.update(running.id, title="busy").title == "busy"
        refused(
            http.post(f"{URL}/{running.id}", json={"agent": {"tools": []}}),
            400,
            'agent: can only be updated while the session is idle; its status is "running"',
        )


class TestArchiveAndDelete:
    def test_archive(self, sdk: Anthropic, http: httpx.Client, session: Any) -> None:
        turn(sdk, session.id, said("/say hi"))
        before = list(sdk.beta.sessions.events.list(session.id))
        archived = sdk.beta.sessions.archive(session.id)
        assert archived.status == "terminated"
        assert archived.archived_at is not None
        again = sdk.beta.sessions.archive(session.id)
        assert again == archived
        assert list(sdk.beta.sessions.events.list(session.id)) == before
        assert sdk.beta.sessions.threads.list(session.id).data[0].status == "idle"
        refused(
            http.post(f"{URL}/{session.id}", json={"title": "x"}),
            400,
            f"Session {session.id} is terminated and cannot be modified.",
        )
        assert (
            http.post(f"{URL}/{session.id}/events", json={"events": [said("x")]}).status_code == 400
        )
        assert sdk.beta.sessions.delete(session.id).id == session.id

    def test_not_while_it_runs(self, http: httpx.Client, running: Any) -> None:
        refused(
            http.post(f"{URL}/{running.id}/archive"),
            400,
            f'Session {running.id} cannot be archived while its status is "running". '
            "Only pending or idle sessions may be archived.",
        )
        refused(
            http.delete(f"{URL}/{running.id}"),
            400,
            "Cannot delete session while it is running. Send an interrupt event or wait for the "
            "session to complete.",
        )

    def test_delete(self, sdk: Anthropic, http: httpx.Client, session: Any) -> None:
        with sdk.beta.sessions.events.stream(session.id) as stream:
            gone = sdk.beta.sessions.delete(session.id)
            assert [event.type for event in stream] == ["session.deleted"]
        assert gone.to_dict() == {"id": session.id, "type": "session_deleted"}
        for answer in (http.get(f"{URL}/{session.id}"), http.delete(f"{URL}/{session.id}")):
            refused(answer, 404, f"Session not found: {session.id}")


class TestList:
    @pytest.fixture
    def made(self, sdk: Anthropic, environment: Any) -> list[Any]:
        """Six sessions of an agent of their own, oldest first."""
        agent = sdk.beta.agents.create(name="A", model="m")
        return [
            sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id, title=str(n))
            for n in range(6)
        ]

    def page(self, http: httpx.Client, made: list[Any], **params: str) -> dict[str, Any]:
        answer = http.get(URL, params={"agent_id": made[0].agent.id, **params})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def titles(self, page: dict[str, Any]) -> str:
        return "".join(session["title"] for session in page["data"])

    @pytest.mark.parametrize(("order", "expected"), [("desc", "543210"), ("asc", "012345")])
    def test_both_ways(
        self, http: httpx.Client, made: list[Any], order: str, expected: str
    ) -> None:
        first = self.page(http, made, order=order, limit="2")
        assert "prev_page" not in first
        second = self.page(http, made, order=order, limit="2", page=first["next_page"])
        third = self.page(http, made, order=order, limit="2", page=second["next_page"])
        assert "next_page" not in third
        assert self.titles(first) + self.titles(second) + self.titles(third) == expected
        back = self.page(http, made, order=order, limit="2", page=third["prev_page"])
        assert self.titles(back) == self.titles(second)
        start = self.page(http, made, order=order, limit="2", page=back["prev_page"])
        assert self.titles(start) == self.titles(first)
        assert "prev_page" not in start
        forth = self.page(http, made, order=order, limit="2", page=start["next_page"])
        assert self.titles(forth) == self.titles(second)

    def test_sessions_that_come_meanwhile(
        self, sdk: Anthropic, made: list[Any], environment: Any
    ) -> None:
        agent_id = made[0].agent.id
        page = sdk.beta.sessions.list(agent_id=agent_id, limit=2)
        seen = [session.id for session in page.data]
        while page.has_next_page():
            sdk.beta.sessions.create(agent=agent_id, environment_id=environment.id)
            page = page.get_next_page()
            seen += [session.id for session in page.data]
        assert seen == [session.id for session in made[::-1]]

    def test_a_cursor_keeps_its_order(self, http: httpx.Client, made: list[Any]) -> None:
        cursor = self.page(http, made, limit="2")["next_page"]
        refused(
            http.get(URL, params={"page": cursor, "order": "asc"}),
            400,
            "page: the cursor was issued for another `order`",
        )

    def test_a_cursor_outside_the_filter(self, http: httpx.Client, made: list[Any]) -> None:
        cursor = self.page(http, made, limit="4")["next_page"]  # beside the third
        moment = made[3].to_dict(mode="json")["created_at"]
        for params in (
            {"created_at[gt]": moment},
            {"created_at[gte]": moment},
            {"created_at[lt]": made[1].to_dict(mode="json")["created_at"]},
            {"created_at[lte]": made[1].to_dict(mode="json")["created_at"]},
        ):
            refused(
                http.get(URL, params={"page": cursor, **params}),
                400,
                "page: the cursor is outside the `created_at` filter",
            )

    def test_time_filters(self, http: httpx.Client, made: list[Any]) -> None:
        moment = made[2].to_dict(mode="json")["created_at"]
        for name, expected in (("gt", "345"), ("gte", "2345"), ("lt", "01"), ("lte", "012")):
            page = self.page(http, made, order="asc", **{f"created_at[{name}]": moment})
            assert self.titles(page) == expected

    def test_versions_of_the_agent(self, sdk: Anthropic, made: list[Any], environment: Any) -> None:
        agent_id = made[0].agent.id
        sdk.beta.agents.update(agent_id, name="B")
        newer = sdk.beta.sessions.create(agent=agent_id, environment_id=environment.id)
        listed = sdk.beta.sessions.list(agent_id=agent_id, agent_version=2)
        assert [session.id for session in listed] == [newer.id]
        assert len(sdk.beta.sessions.list(agent_id=agent_id, agent_version=1).data) == 6
        assert len(sdk.beta.sessions.list(agent_version=99, limit=1).data) == 1

    def test_statuses(self, sdk: Anthropic, made: list[Any]) -> None:
        agent_id = made[0].agent.id
        sdk.beta.sessions.archive(made[0].id)

        def count(**params: Any) -> int:
            return len(sdk.beta.sessions.list(agent_id=agent_id, **params).data)

        assert count() == 5
        assert count(include_archived=True) == 6
        assert count(statuses=["idle"]) == 5
        assert count(statuses=["running"]) == 0
        assert count(statuses=["running", "idle"]) == 5
        assert count(statuses=["terminated"]) == 0
        assert count(statuses=["terminated"], include_archived=True) == 1

    def test_what_no_session_here_has(self, sdk: Anthropic, made: list[Any]) -> None:
        assert sdk.beta.sessions.list(deployment_id="depl_x").data == []
        assert sdk.beta.sessions.list(memory_store_id="memstore_x").data == []

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            (
                {"limit": "101"},
                "limit: value must be greater than or equal to 1 and less than or equal to 100",
            ),
            ({"order": "up"}, 'Failed to parse request: order: "up" is not a valid value'),
            (
                {"statuses[]": "done"},
                'Failed to parse request: statuses[0]: "done" is not a valid value',
            ),
        ],
    )
    def test_refused(self, http: httpx.Client, params: dict[str, str], message: str) -> None:
        refused(http.get(URL, params=params), 400, message)


def test_another_workspace_answers_like_an_absent_one(
    shared: Any, sdk: Anthropic, agent: Any, environment: Any, session: Any
) -> None:
    """The rows are there; a query that names another workspace must not find them."""
    import asyncio

    from freehold.store import agents, environments, sessions
    from freehold.store.database import Database

    async def look(workspace: str) -> list[Any]:
        database = Database(shared.app.state.services.settings.resolved_database_url)
        try:
            async with database.read() as reading:
                matching = sessions.Filter()
                return [
                    await agents.get(reading, workspace, agent.id),
                    await agents.get_version(reading, workspace, agent.id, 1),
                    await environments.get(reading, workspace, environment.id),
                    await sessions.get(reading, workspace, session.id),
                    await sessions.head(reading, workspace, session.id),
                    await sessions.state(reading, workspace, session.id),
                    *await agents.page(
                        reading, workspace, after=None, limit=1, include_archived=True
                    ),
                    *await agents.page_versions(reading, workspace, agent.id, before=None, limit=1),
                    *await environments.page(
                        reading, workspace, after=None, limit=1, include_archived=True
                    ),
                    *await sessions.page(
                        reading, workspace, matching, after=None, descending=True, limit=1
                    ),
                ]
        finally:
            await database.close()

    from freehold.core.workspaces import DEFAULT_WORKSPACE

    mine = asyncio.run(look(DEFAULT_WORKSPACE))
    assert len(mine) == 10
    assert None not in mine
    assert set(asyncio.run(look("wrkspc_011CZkZaBF1tNoB5wxCeusgy"))) == {None}


def test_the_sdk_reads_error_codes(sdk: Anthropic, session: Any) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        sdk.beta.sessions.update(
            session.id,
            budget={"type": "limit", "max_list_cost": {"amount": "1", "currency": "USD"}},
        )
    assert caught.value.body["error"]["details"] == {"error_code": "budget_create_only"}  # type: ignore[index]
