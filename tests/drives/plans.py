"""The scenarios that both SDKs play: what to do, where the stream is dropped, what must come of it.

Each is a function from the :class:`Stage` it plays on to a plan (see ``driver.py``) and the check
of what came of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from anthropic import Anthropic

from tests.support.mcp_process import McpProcess

Json = dict[str, Any]
IDLE = {"type": "session.status_idle"}
ENDED = {"type": "session.status_idle", "stop_reason.type": "end_turn"}
BLOCKED = {"type": "session.status_idle", "stop_reason.type": "requires_action"}
PAUSED = {"type": "session.status_idle", "stop_reason.type": "budget_reached"}
ASK = {"permission_policy": {"type": "always_ask"}}
ALLOW = {"permission_policy": {"type": "always_allow"}}
INTERRUPTED = "Tool execution was interrupted before completion. Please retry."


@dataclass
class Stage:
    """What plans are played on."""

    client: Anthropic
    environment_id: str
    upstream: str
    mcp: McpProcess

    def session(
        self, model: str = "claude-opus-5", *, more: Json | None = None, **agent: Any
    ) -> Json:
        """The parameters of a session of a new agent."""
        made = self.client.beta.agents.create(name="driven", model=model, **agent)
        return {"agent": made.id, "environment_id": self.environment_id, **(more or {})}

    def connected(self, kind: str, **toolset: Any) -> tuple[Json, str]:
        """A session of an agent with the MCP server and a credential, and its client's id."""
        auth, client_id = self.mcp.credential(kind)
        vault = self.client.beta.vaults.create(display_name="keys")
        credential: Any = auth
        self.client.beta.vaults.credentials.create(vault.id, auth=credential)
        session = self.session(
            more={"vault_ids": [vault.id]},
            mcp_servers=[{"type": "url", "name": "things", "url": self.mcp.mcp}],
            tools=[{"type": "mcp_toolset", "mcp_server_name": "things", **toolset}],
        )
        return session, client_id


@dataclass
class Scenario:
    """A plan, and what must have come of it however it was played."""

    plan: Json
    check: Callable[[Json], None]
    """Given what a driver tells."""
    final: Callable[[], None] = field(default=lambda: None)
    """What others must have seen."""


def said(text: str) -> Json:
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


def on(when: Json, *do: Json, nth: int = 1) -> Json:
    return {"when": when, "nth": nth, "do": list(do)}


def new_gate() -> str:
    return f"gate-{secrets.token_hex(4)}"


def of(told: Json, *types: str) -> list[Json]:
    """The events of these types in the log."""
    return [event for event in told["listed"] if event["type"] in types]


def texts(event: Json) -> str:
    return "".join(block["text"] for block in event["content"] if block["type"] == "text")


def reasons(told: Json) -> list[str]:
    return [event["stop_reason"]["type"] for event in of(told, "session.status_idle")]


# Previews.


def previews(stage: Stage, *, thread: bool = False) -> Scenario:
    """A message that is being written when the stream is dropped, and one after it."""
    gate = new_gate()
    first, second = f"one two three {gate} four five six seven", "the next one is seen as a whole"
    idle = {"type": "session.thread_status_idle"} if thread else IDLE
    plan = {
        "session": stage.session("paced"),
        "deltas": ["agent.message", "agent.thinking"],
        "thread": thread,
        "first": [said(f"/say {first}")],
        "rules": [
            on({"type": "event_delta"}, {"post": f"{stage.upstream}/control/open?gate={gate}"}),
            on(idle, {"send": [said(f"/think hm\n/say {second}")]}),
        ],
        "drop": {
            "when": {"type": "event_delta"},
            "settled": [{"until": {"when": {"type": "agent.message"}}}],
        },
        "end": {"when": {"type": "session.status_idle"}, "nth": 2},
    }

    def check(told: Json) -> None:
        one, two = of(told, "agent.message")
        assert [texts(one), texts(two)] == [first, second]
        (thought,) = of(told, "agent.thinking")
        of_first = [shown for shown in told["previews"] if shown["id"] == one["id"]]
        # Begun on the first connection; a client that comes late is shown nothing of it.
        assert [shown["connection"] for shown in of_first] == [1]
        assert of_first[0]["shown"]
        assert first.startswith(of_first[0]["shown"])
        if not told["dropped"]:
            assert of_first[0]["shown"] == of_first[0]["final"] == first
        later = [shown for shown in told["previews"] if shown["id"] != one["id"]]
        assert later == [
            {"id": thought["id"], "connection": told["connections"], "shown": "", "final": None},
            {
                "id": two["id"],
                "connection": told["connections"],
                "shown": second,
                "final": second,
            },
        ]

    return Scenario(plan, check)


def previews_of_a_thread(stage: Stage) -> Scenario:
    """The same on the stream of the primary thread."""
    return previews(stage, thread=True)


def interrupted_preview(stage: Stage) -> Scenario:
    """A message that is interrupted while it is written, and another in its place."""
    gate = new_gate()
    plan = {
        "session": stage.session("paced"),
        "deltas": ["agent.message"],
        "first": [said(f"/say one two three {gate} four")],
        "rules": [
            on(
                {"type": "event_delta"},
                {"send": [{"type": "user.interrupt"}, said("/say instead")]},
            )
        ],
        "drop": {
            "when": {"type": "event_delta"},
            "settled": [{"until": {"when": ENDED, "nth": 2}}],
        },
        "end": {"when": ENDED, "nth": 2},
    }

    def check(told: Json) -> None:
        (message,) = of(told, "agent.message")
        assert texts(message) == "instead"
        ends = [event["is_error"] for event in of(told, "span.model_request_end")]
        assert ends == [True, False]
        begun = told["previews"][0]
        assert begun["connection"] == 1
        assert begun["final"] is None
        assert begun["id"] not in {event["id"] for event in told["listed"]}
        if not told["dropped"]:
            assert [shown["final"] for shown in told["previews"]] == [None, "instead"]

    return Scenario(plan, check)


# Approvals, custom tools.


def approvals(stage: Stage) -> Scenario:
    """Two calls that ask and one that does not; one is allowed, then the other denied."""
    confirmed = {"type": "user.tool_confirmation", "tool_use_id": "$blocking.0"}
    allow = {**confirmed, "result": "allow"}
    deny = {**confirmed, "result": "deny", "deny_message": "not twice"}
    plan = {
        "session": stage.session(
            tools=[
                {
                    "type": "agent_toolset_20260401",
                    "default_config": ASK,
                    "configs": [{"name": "write", **ALLOW}],
                }
            ]
        ),
        "first": [
            said(
                "/run echo one >> lines\n"
                "/run echo two >> lines\n"
                '/tool write {"file_path": "other", "content": "three"}\n'
                "/then\n/run cat lines other\n/say done"
            )
        ],
        "rules": [
            on(BLOCKED, {"send": [allow]}, nth=1),
            on(BLOCKED, {"send": [deny]}, nth=2),
            on(BLOCKED, {"send": [allow]}, nth=3),
        ],
        "drop": {
            "when": BLOCKED,
            "nth": 2,
            "settled": [{"until": {"when": BLOCKED, "nth": 3}}],
        },
        "end": {"when": ENDED},
    }

    def check(told: Json) -> None:
        one, two, three, cat = of(told, "agent.tool_use")
        asked = [event["stop_reason"].get("event_ids") for event in of(told, "session.status_idle")]
        assert asked == [[one["id"], two["id"]], [two["id"]], [cat["id"]], None]
        answers = {event["tool_use_id"]: event for event in of(told, "agent.tool_result")}
        assert len(of(told, "agent.tool_result")) == 4
        denied = answers[two["id"]]
        assert denied["is_error"]
        assert texts(denied) == (
            "Permission to use bash has been rejected. Rejection message: not twice"
        )
        assert not answers[three["id"]]["is_error"]
        assert texts(answers[cat["id"]]).split() == ["one", "three"]

    return Scenario(plan, check)


def custom_tools(stage: Stage) -> Scenario:
    """Three parallel calls, answered one by one and last first, one with an error, one twice."""

    def result(block: int, *content: Json, **more: Any) -> Json:
        answer = {"type": "user.custom_tool_result", "custom_tool_use_id": f"$blocking.{block}"}
        return {"send": [{**answer, "content": list(content), **more}]}

    text = {"type": "text", "text": "14 degrees"}
    found = {
        "type": "search_result",
        "source": "https://example.com/",
        "title": "Weather",
        "content": [{"type": "text", "text": "rain"}],
        "citations": {"enabled": False},
    }
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    plan = {
        "session": stage.session(
            tools=[
                {
                    "type": "custom",
                    "name": "weather",
                    "description": "The weather of a city.",
                    "input_schema": schema,
                }
            ]
        ),
        "first": [
            said("\n".join(f'/tool weather {{"city": "{city}"}}' for city in ("A", "B", "C")))
        ],
        "rules": [
            on(BLOCKED, result(2, text, is_error=True), nth=1),
            on(BLOCKED, result(1, text), result(1, text), nth=2),
            on(BLOCKED, result(0, text, found), nth=3),
        ],
        "drop": {
            "when": BLOCKED,
            "nth": 2,
            "settled": [{"until": {"when": BLOCKED, "nth": 3}}],
        },
        "end": {"when": ENDED},
    }

    def check(told: Json) -> None:
        a, b, c = (event["id"] for event in of(told, "agent.custom_tool_use"))
        asked = [event["stop_reason"].get("event_ids") for event in of(told, "session.status_idle")]
        assert asked == [[a, b, c], [a, b], [a], None]
        results = of(told, "user.custom_tool_result")
        assert [event["custom_tool_use_id"] for event in results] == [c, b, a]
        assert [bool(event.get("is_error")) for event in results] == [True, False, False]
        assert len(of(told, "agent.message")) == 1

    return Scenario(plan, check)


# Interrupts.


def interrupts(stage: Stage) -> Scenario:
    """While the model thinks, while a tool runs, while a custom tool is waited for."""
    stop = {"type": "user.interrupt"}
    plan = {
        "session": stage.session(
            tools=[
                {"type": "agent_toolset_20260401", "default_config": ALLOW},
                {
                    "type": "custom",
                    "name": "ask",
                    "description": "Asks.",
                    "input_schema": {"type": "object"},
                },
            ]
        ),
        "first": [said("/wait 600\n/say never")],
        "rules": [
            on({"type": "span.model_request_start"}, {"send": [stop]}),
            on(ENDED, {"send": [said("/run sleep 600")]}, nth=1),
            on({"type": "agent.tool_use"}, {"send": [stop, said("/run echo after")]}),
            on(ENDED, {"send": [said("/tool ask")]}, nth=3),
            on(BLOCKED, {"send": [stop]}),
        ],
        "drop": {
            "when": {"type": "agent.tool_use"},
            "settled": [{"until": {"when": ENDED, "nth": 3}}],
        },
        "end": {"when": ENDED, "nth": 4},
    }

    def check(told: Json) -> None:
        assert reasons(told) == ["end_turn"] * 3 + ["requires_action", "end_turn"]
        assert len(of(told, "user.interrupt")) == 3
        sleep, echo = of(told, "agent.tool_use")
        results = of(told, "agent.tool_result")
        by_call = {event.get("tool_use_id"): texts(event) for event in results}
        assert by_call[sleep["id"]] == INTERRUPTED
        assert by_call[echo["id"]].strip() == "after"
        types = [event["type"] for event in told["listed"]]
        for at, kind in enumerate(types):
            if kind == "user.interrupt":
                assert types[at + 1 : at + 4] == [
                    "session.thread_status_idle",
                    "session.usage",
                    "session.status_idle",
                ]

    return Scenario(plan, check)


# MCP.


def mcp_bearer(stage: Stage) -> Scenario:
    """Two calls that ask; the stream is dropped while the first, allowed, is with the server."""
    gate = new_gate()
    session, client_id = stage.connected("static")
    allow = [
        {"type": "user.tool_confirmation", "tool_use_id": f"$blocking.{n}", "result": "allow"}
        for n in (0, 1)
    ]
    plan = {
        "session": session,
        "first": [
            said(
                f'/tool mcp__things__hold {{"gate": "{gate}"}}\n'
                '/tool mcp__things__add {"a": 2, "b": 3}\n/say done'
            )
        ],
        "rules": [
            on(BLOCKED, {"send": allow}),
            on(
                {"type": "user.tool_confirmation"},
                {"post": stage.mcp.control("open", gate=gate)},
                nth=2,
            ),
        ],
        "drop": {
            "when": {"type": "user.tool_confirmation"},
            "nth": 2,
            "away": [{"post": stage.mcp.control("entered", gate=gate)}],
            "settled": [{"until": {"when": ENDED}}],
        },
        "end": {"when": ENDED},
    }

    def check(told: Json) -> None:
        assert reasons(told) == ["requires_action", "end_turn"]
        hold, add = of(told, "agent.mcp_tool_use")
        assert (hold["name"], add["name"]) == ("hold", "add")
        results = of(told, "agent.mcp_tool_result")
        assert [event["mcp_tool_use_id"] for event in results] == [hold["id"], add["id"]]
        assert [texts(event) for event in results] == [f"through {gate}", "5"]

    def final() -> None:
        state = stage.mcp.ask("told")
        assert state["counts"][gate] == 1
        assert client_id not in state["renewals"]

    return Scenario(plan, check, final)


def _mcp_oauth(kind: str) -> Callable[[Stage], Scenario]:
    def scenario(stage: Stage) -> Scenario:
        gate = new_gate()
        session, client_id = stage.connected(kind, default_config=ALLOW)
        expire = {"post": stage.mcp.control("expire", client=client_id)}
        add = '/tool mcp__things__add {"a": 2, "b": 3}'
        hold = f'/tool mcp__things__hold {{"gate": "{gate}"}}'
        held = {"type": "agent.mcp_tool_use", "name": "hold"}
        entered = {"post": stage.mcp.control("entered", gate=gate)}
        plan = {
            "session": session,
            "first": [said(add)],
            "rules": [
                on(ENDED, expire, {"send": [said(f"{add}\n/then\n{hold}\n/then\n{add}\n/say ok")]}),
                on(held, entered, expire, {"post": stage.mcp.control("open", gate=gate)}),
            ],
            "drop": {
                "when": held,
                "away": [entered],
                "settled": [{"until": {"when": ENDED, "nth": 2}}],
            },
            "end": {"when": ENDED, "nth": 2},
        }

        def check(told: Json) -> None:
            results = of(told, "agent.mcp_tool_result")
            assert [texts(event) for event in results] == ["5", "5", f"through {gate}", "5"]
            assert not any(event["is_error"] for event in results)
            assert not of(told, "session.error")
            assert reasons(told) == ["end_turn", "end_turn"]

        def final() -> None:
            state = stage.mcp.ask("told")
            assert state["counts"][gate] == 1
            # Once each time that the tokens had expired, with the refresh token of the time before.
            assert state["renewals"][client_id] == 2

        return Scenario(plan, check, final)

    scenario.__doc__ = f"Access tokens that expire before and during a call; {kind} renews them."
    return scenario


# Budgets.


def budgets(stage: Stage) -> Scenario:
    """A budget that is reached, raised, reached again and removed."""
    budget = {"type": "limit", "max_list_cost": {"amount": "1", "currency": "USD"}}
    plan = {
        "session": stage.session(
            more={"budget": budget},
            tools=[{"type": "agent_toolset_20260401", "default_config": ALLOW}],
        ),
        "first": [said("/run echo one\n/then\n/run echo two\n/say done")],
        "rules": [
            on(PAUSED, {"budget": 1}, nth=1),
            on(PAUSED, {"budget": None}, nth=2),
        ],
        "drop": {
            "when": PAUSED,
            "settled": [{"until": {"when": PAUSED, "nth": 2}}],
        },
        "end": {"when": ENDED},
    }

    def check(told: Json) -> None:
        assert reasons(told) == ["budget_reached", "budget_reached", "end_turn"]
        assert [texts(event).strip() for event in of(told, "agent.tool_result")] == ["one", "two"]
        first, second = of(told, "session.updated")
        assert first["budget"]["type"] == "limit"
        assert second["budget"] is None
        assert told["session"]["budget"] is None
        assert told["session"]["usage"]["list_cost"]["currency"] == "USD"

    return Scenario(plan, check)


SCENARIOS: dict[str, Callable[[Stage], Scenario]] = {
    "previews": previews,
    "previews of a thread": previews_of_a_thread,
    "interrupted preview": interrupted_preview,
    "approvals": approvals,
    "custom tools": custom_tools,
    "interrupts": interrupts,
    "mcp with a bearer token": mcp_bearer,
    "mcp with oauth, basic": _mcp_oauth("client_secret_basic"),
    "mcp with oauth, post": _mcp_oauth("client_secret_post"),
    "mcp with oauth, none": _mcp_oauth("none"),
    "budgets": budgets,
}
"""By what they are about."""
