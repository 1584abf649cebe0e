"""Names, schemas and policies of MCP tools, and what the log keeps of servers."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.decide import tool_result
from freehold.core.drafts import Draft, Draughtsman
from freehold.core.events import (
    AgentMcpToolUse,
    CallStarted,
    McpToolsListed,
    ModelRequestEnd,
    ModelRequestStart,
    ModelUsage,
    SessionError,
    SessionStatusRescheduled,
    SessionStatusRunning,
    SessionUpdated,
)
from freehold.core.mcp import (
    evaluate_mcp,
    guessed,
    listing,
    offered,
    unlisted,
    usable_schema,
    wire_name,
)
from freehold.core.transcript import Transcript
from tests.playbooks.playbook import START, fresh_state

ALLOW = {"enabled": True, "permission_policy": {"type": "always_allow"}}
ASK = {"enabled": True, "permission_policy": {"type": "always_ask"}}
OFF = {**ASK, "enabled": False}


def toolset(server: str, default: Any = ASK, **configs: Any) -> dict[str, Any]:
    return {
        "type": "mcp_toolset",
        "mcp_server_name": server,
        "default_config": default,
        "configs": [{"name": name, **config} for name, config in configs.items()],
    }


def tool(name: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "description": "", "input_schema": {"type": "object", **schema}}


names = st.text(min_size=1, max_size=255) | st.text("ab_", min_size=1, max_size=6)
pairs = st.tuples(names, names)


@given(st.lists(pairs, min_size=2, max_size=2, unique=True))
def test_two_tools_never_have_one_name(both: list[tuple[str, str]]) -> None:
    first, second = (wire_name(*pair) for pair in both)
    assert first != second
    assert re.fullmatch("[A-Za-z0-9_-]{1,64}", first)
    assert first.startswith("mcp__")
    assert first == wire_name(*both[0])


def test_names_that_fit_stay_as_they_are() -> None:
    assert wire_name("linear", "list_issues") == "mcp__linear__list_issues"
    assert len(wire_name("s", "t" * 56)) == 64
    assert wire_name("s", "t" * 57) != wire_name("s", "t" * 58)
    assert len(wire_name("s", "t" * 57)) == 64


def test_schemas_that_the_model_api_would_refuse() -> None:
    assert usable_schema({}) == {"type": "object"}
    assert usable_schema({"type": "array"}) is None
    assert usable_schema({"type": "object", "properties": []}) is None
    assert usable_schema({"type": "object", "properties": {"a b": {}}}) is None
    assert usable_schema({"type": "object", "anyOf": [{}], "title": "t"}) == {
        "type": "object",
        "title": "t",
    }
    assert listing([tool("b"), tool("", x=1), tool("a"), tool("a", x=2), tool("c", type="x")]) == [
        tool("a"),
        tool("b"),
    ]


def test_what_is_offered_is_sorted_and_enabled() -> None:
    tools = [toolset("z", a=OFF), toolset("a"), toolset("gone")]
    found = offered(tools, {"z": [tool("a"), tool("b")], "a": [tool("c")], "other": [tool("d")]})
    assert [entry.wire_name for entry in found] == ["mcp__a__c", "mcp__z__b"]
    assert found[0].definition == {"name": "mcp__a__c", "input_schema": {"type": "object"}}
    described = offered([toolset("a")], {"a": [{**tool("c"), "description": "does"}]})
    assert list(described[0].definition) == ["name", "description", "input_schema"]


def test_policies() -> None:
    tools = [toolset("other"), toolset("s", ASK, a=ALLOW, b=OFF)]
    assert evaluate_mcp(tools, "s", "a").permission == "allow"
    assert evaluate_mcp(tools, "s", "c").evaluation == {"type": "always_ask"}
    assert evaluate_mcp(tools, "s", "b").permission == "deny"
    assert evaluate_mcp(tools, "s", "b").evaluation is None
    assert evaluate_mcp(tools, "none", "a").permission == "deny"


def test_which_server_a_name_means() -> None:
    tools = [toolset("s"), toolset("t")]
    assert guessed(tools, "mcp__t__x__y") == ("t", "x__y")
    assert guessed(tools, "mcp__t__") is None
    assert guessed(tools, "bash") is None


def test_what_the_log_says_of_servers() -> None:
    pen = Draughtsman(fresh_state(), now=START, mint=lambda: "id", origin="runner")
    transcript = Transcript()
    servers = ("a", "b")
    listed = Draft(McpToolsListed(server="a", tools=[tool("x")]))
    error = {
        "type": "mcp_connection_failed_error",
        "mcp_server_name": "b",
        "message": "m",
        "retry_status": {"type": "retrying"},
    }
    pen.write(Draft(SessionStatusRunning()))
    assert unlisted(pen.state, servers) == ("a", "b")
    pen.write(listed, Draft(SessionError(error=error)))
    assert unlisted(pen.state, servers) == ()
    assert not pen.state.halted
    # Retrying the model is the same run; the next run asks the failed server again.
    pen.write(Draft(SessionStatusRescheduled()), Draft(SessionStatusRunning()))
    assert unlisted(pen.state, servers) == ()
    pen.write(Draft(SessionStatusRunning()))
    assert unlisted(pen.state, servers) == ("b",)
    pen.write(Draft(SessionUpdated(title="only the title")))
    assert unlisted(pen.state, servers) == ("b",)
    for record in pen.records:
        transcript.extend(record)
    assert transcript.mcp_tools == {"a": [tool("x")]}
    (changed,) = pen.write(Draft(SessionUpdated(agent={})))
    transcript.extend(changed)
    assert unlisted(pen.state, servers) == ("a", "b")
    assert transcript.mcp_tools == {}
    assert not pen.records[1].public


def test_a_call_from_its_start_to_what_the_model_is_told() -> None:
    pen = Draughtsman(fresh_state(), now=START, mint=lambda: "span", origin="runner")
    use = AgentMcpToolUse(
        name="add", mcp_server_name="s", input={"a": 1}, evaluated_permission="allow"
    )
    block = {"type": "tool_use", "id": "toolu_1", "name": "mcp__s__add", "input": {"a": 1}}
    usage = ModelUsage()
    pen.write(
        Draft(ModelRequestStart(), id="span"),
        Draft(use, id="call", private={"tool_use_id": "toolu_1"}),
        Draft(
            ModelRequestEnd(model_request_start_id="span", model_usage=usage),
            private={"content": [block], "stop_reason": "tool_use"},
        ),
    )
    (call,) = pen.state.calls
    assert (call.kind, call.server, call.name, call.started) == ("mcp", "s", "add", False)
    pen.write(Draft(CallStarted(call_id="call")))
    (call,) = pen.state.calls
    assert call.started
    pen.write(tool_result(call, [{"type": "text", "text": "2"}], is_error=False))
    assert pen.state.calls == ()
    assert pen.state.owes_sampling
    transcript = Transcript()
    for record in pen.records:
        transcript.extend(record)
    assert transcript.messages == [
        {"role": "assistant", "content": [block]},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": "2"}],
                }
            ],
        },
    ]
