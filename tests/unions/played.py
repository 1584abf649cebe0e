"""What a turn decides, played without a server: the log's events as the API shows them."""

from __future__ import annotations

from typing import Any

from freehold.core.accept import resume
from freehold.core.drafts import Draft
from freehold.core.events import McpToolsListed, SessionDeleted, SessionError, SessionUpdated, wire
from freehold.core.networking import host_unreachable
from freehold.core.prices import PICODOLLARS_PER_CENT, Rates
from freehold.core.usage import budget_limit
from freehold.errors import McpError, McpUnauthorized, ModelError, SandboxUnavailable
from freehold.harness.mcp import failure
from freehold.harness.tools import unavailable
from freehold.ports.model import ModelResponse
from tests.playbooks.playbook import USAGE, Playbook, say, text, toolset, use
from tests.support.sdk_unions import LISTED, SENT, shown
from tests.unions.stage import Stage, each

PLAYED = Stage()

CENT_A_REQUEST = Rates(input=PICODOLLARS_PER_CENT // 10, output=0, cache_write=0, cache_read=0)
CATEGORIES = ("cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms")
IDLE = "session.status_idle/stop_reason"
THREAD_IDLE = "session.thread_status_idle/stop_reason"
ERROR = "session.error/error"


class Seen(Playbook):
    """A playbook that holds events and echoes to the SDK's types."""

    _echoed: frozenset[str] = frozenset()

    def client(self, *events: Any, **more: Any) -> Any:
        echoes = super().client(*events, **more)
        self._echoed |= shown(SENT, echoes)
        return echoes

    def tell(self, *events: Any) -> Seen:
        """Send, and let the session run."""
        self.client(*events)
        self.run()
        return self

    @property
    def kinds(self) -> set[str]:
        """All that the log and the echoes showed."""
        found = set(self._echoed)
        for record in self.records:
            if record.public:
                found |= shown(LISTED, wire(record.id, record.event, record.processed_at))
        return found


def script(*answers: Any) -> Any:
    """A model that gives these answers one after the other."""
    left = list(answers)
    return lambda _: left.pop(0)


def allow(play: Seen, result: str = "allow") -> Seen:
    """Answer the first call that asks."""
    (call_id, *_) = play.state.waiting
    return play.tell({"type": "user.tool_confirmation", "tool_use_id": call_id, "result": result})


def with_mcp(policy: str, *answers: Any, **more: Any) -> Seen:
    """A session with the tool ``find`` of an MCP server, which the policy is for."""
    config = {"enabled": True, "permission_policy": {"type": policy}}
    tools = [
        {
            "type": "mcp_toolset",
            "mcp_server_name": "linear",
            "default_config": config,
            "configs": [{"name": "drop", **config, "enabled": False}],
        }
    ]
    play = Seen(script(*answers), tools=tools, **more)
    find = {"name": "find", "description": "", "input_schema": {"type": "object"}}
    play.write(Draft(McpToolsListed(server="linear", tools=[find])))
    return play


@PLAYED.shows(
    "user.message/content/text",
    "session.status_running",
    "session.thread_status_running",
    "span.model_request_start",
    "span.model_request_end",
    "agent.message/content/text",
    "session.usage",
    f"{THREAD_IDLE}/end_turn",
    f"{IDLE}/end_turn",
)
def a_message_and_its_answer() -> set[str]:
    return Seen().tell(say("hi")).kinds


@PLAYED.shows("agent.thinking")
def a_thought() -> set[str]:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    return Seen(script([thought, text("so")])).tell(say("hi")).kinds


@PLAYED.shows(*each("span.model_request_end/model_usage/speed", "standard", "fast"))
def both_speeds() -> set[str]:
    usages = (USAGE.model_copy(update={"speed": speed}) for speed in ("standard", "fast"))
    play = Seen(script(*(ModelResponse([text("a")], "end_turn", usage) for usage in usages)))
    return play.tell(say("1")).tell(say("2")).kinds


@PLAYED.shows("system.message/content/text")
def a_system_message() -> set[str]:
    return Seen().tell(say("hi"), {"type": "system.message", "content": [text("brief")]}).kinds


@PLAYED.shows(
    "agent.tool_use/evaluated_permission/allow",
    "agent.tool_use/evaluation/always_allow",
    "agent.tool_result/content/text",
)
def a_tool_that_is_allowed() -> set[str]:
    return Seen(script([use("bash")], [text("ok")])).tell(say("go")).kinds


@PLAYED.shows("agent.tool_use/evaluated_permission/deny")
def a_tool_that_is_not_there() -> set[str]:
    return Seen(script([use("read")], [text("ok")])).tell(say("go")).kinds


@PLAYED.shows(
    "agent.tool_use/evaluated_permission/ask",
    "agent.tool_use/evaluation/always_ask",
    f"{THREAD_IDLE}/requires_action",
    f"{IDLE}/requires_action",
    *each("user.tool_confirmation/result", "allow", "deny"),
)
def a_tool_that_asks() -> set[str]:
    play = Seen(script([use("bash", "a"), use("bash", "b")], [text("ok")]))
    play.tools = toolset(bash="always_ask")
    return allow(allow(play.tell(say("go"))), "deny").kinds


@PLAYED.shows(*each("agent.tool_use/evaluation/auto/evaluated_permission", "allow", "ask", "deny"))
def a_tool_that_is_judged() -> set[str]:
    names = ("bash", "read", "write")
    play = Seen(script([use(name, name) for name in names], [text("ok")]))
    play.tools = toolset(**dict.fromkeys(names, "auto"))
    verdicts = dict(zip(names, ("allow", "ask", "deny"), strict=True))
    play.judge = lambda name: f"VERDICT: {verdicts[name]}"
    return allow(play.tell(say("go"))).kinds


@PLAYED.shows(
    "agent.mcp_tool_use/evaluated_permission/allow",
    "agent.mcp_tool_use/evaluation/always_allow",
    "agent.mcp_tool_result/content/text",
)
def an_mcp_tool_that_is_allowed() -> set[str]:
    return with_mcp("always_allow", [use("mcp__linear__find")], [text("ok")]).tell(say("go")).kinds


@PLAYED.shows("agent.mcp_tool_use/evaluated_permission/deny")
def an_mcp_tool_that_is_not_enabled() -> set[str]:
    return with_mcp("always_allow", [use("mcp__linear__drop")], [text("ok")]).tell(say("go")).kinds


@PLAYED.shows(
    "agent.mcp_tool_use/evaluated_permission/ask", "agent.mcp_tool_use/evaluation/always_ask"
)
def an_mcp_tool_that_asks() -> set[str]:
    return allow(
        with_mcp("always_ask", [use("mcp__linear__find")], [text("a")]).tell(say("g"))
    ).kinds


@PLAYED.shows(
    *each("agent.mcp_tool_use/evaluation/auto/evaluated_permission", "allow", "ask", "deny")
)
def an_mcp_tool_that_is_judged() -> set[str]:
    seen: set[str] = set()
    for verdict in ("allow", "ask", "deny"):
        play = with_mcp("auto", [use("mcp__linear__find")], [text("ok")])
        play.judge = f"VERDICT: {verdict}".format
        seen |= play.tell(say("go")).kinds
    return seen


@PLAYED.shows("agent.custom_tool_use", "user.custom_tool_result/content/text")
def a_custom_tool() -> set[str]:
    play = Seen(script([use("get_weather")], [text("ok")])).tell(say("go"))
    (call_id,) = play.state.waiting
    result = {"type": "user.custom_tool_result", "custom_tool_use_id": call_id}
    return play.tell({**result, "content": [text("sunny")]}).kinds


@PLAYED.shows("user.interrupt")
def an_interrupt() -> set[str]:
    play = Seen(script([use("get_weather")])).tell(say("go"))
    return play.tell({"type": "user.interrupt"}).kinds


@PLAYED.shows(
    f"{THREAD_IDLE}/refusal",
    f"{IDLE}/refusal",
    *each("session.status_idle/stop_details/refusal/category", *CATEGORIES),
    *each("session.thread_status_idle/stop_details/refusal/category", *CATEGORIES),
)
def every_refusal() -> set[str]:
    details = ({"type": "refusal", "category": c, "explanation": None} for c in (*CATEGORIES, None))
    play = Seen(script(*(ModelResponse([], "refusal", USAGE, stop_details=d) for d in details)))
    for _ in (*CATEGORIES, None):
        play.tell(say("bad"))
    return play.kinds


@PLAYED.shows(
    *each(ERROR, *each("model_overloaded_error/retry_status", "retrying", "exhausted")),
    *each(ERROR, *each("model_rate_limited_error/retry_status", "retrying", "exhausted")),
    *each(ERROR, *each("model_request_failed_error/retry_status", "retrying", "exhausted")),
    f"{ERROR}/billing_error/retry_status/exhausted",
    "session.status_rescheduled",
    "session.thread_status_rescheduled",
    f"{THREAD_IDLE}/retries_exhausted",
    f"{IDLE}/retries_exhausted",
)
def failures_until_the_turn_is_given_up() -> set[str]:
    seen: set[str] = set()
    for kind in ("overloaded", "rate_limited", "server", "connection", "authentication", "billing"):
        play = Seen(lambda _, kind=kind: ModelError(kind, "no"))  # type: ignore[misc]
        play.retries = 1
        play.tell(say("go")).later(10).run()
        seen |= play.kinds
    return seen


@PLAYED.shows(f"{ERROR}/unknown_error/retry_status/terminal", "session.status_terminated")
def a_request_that_can_never_succeed() -> set[str]:
    return Seen(lambda _: ModelError("invalid_request", "too long")).tell(say("go")).kinds


@PLAYED.shows(f"{ERROR}/unknown_error/retry_status/exhausted")
def no_sandbox() -> set[str]:
    play = Seen(script([use("bash")]))
    play.client(say("go"))
    play.step()
    play.write(*unavailable(play.state.calls[0], SandboxUnavailable("no engine")))
    play.run()
    return play.kinds


@PLAYED.shows(f"{ERROR}/credential_host_unreachable_error/retry_status/retrying")
def a_credential_whose_host_is_shut_out() -> set[str]:
    play = Seen()
    error = host_unreachable("vcrd_1", "vlt_1", {"secret_name": "TOKEN"}, ["a.example"])
    play.write(Draft(SessionError(error=error)))
    play.client(say("go"))
    play.run()
    assert play.state.unreachable == ("vcrd_1",)
    assert play.lines()[-1] == "session.status_idle end_turn"
    return play.kinds


@PLAYED.shows(
    f"{ERROR}/mcp_connection_failed_error/retry_status/retrying",
    f"{ERROR}/mcp_authentication_failed_error/retry_status/retrying",
)
def mcp_servers_that_fail() -> set[str]:
    play = Seen()
    play.client(say("go"))
    play.write(failure("a", McpError("503")), failure("b", McpUnauthorized("401")))
    play.run()
    assert play.lines()[-1] == "session.status_idle end_turn"
    return play.kinds


@PLAYED.shows(f"{ERROR}/tool_use_limit_reached_error/retry_status/exhausted")
def tools_without_end() -> set[str]:
    return Seen(lambda m: [use("bash", str(len(m)))], rounds=2).tell(say("go")).kinds


@PLAYED.shows(
    "agent.thread_context_compacted",
    f"{ERROR}/compaction_limit_reached_error/retry_status/exhausted",
)
def a_window_that_is_always_full() -> set[str]:
    def model(messages: list[Any]) -> Any:
        if messages[-1].get("type") == "user.message":
            return [text("summary")]
        return [use("bash", str(len(play.records)))]

    play = Seen(model)
    play.compact_at = 1
    return play.tell(say("go")).kinds


@PLAYED.shows(
    f"{THREAD_IDLE}/budget_reached",
    f"{IDLE}/budget_reached",
    "session.usage/budget/limit",
    "session.updated/budget/limit",
)
def a_budget_that_is_reached_raised_and_removed() -> set[str]:
    answers = [[use("bash", str(n))] for n in range(9)]
    play = Seen(script(*answers, [text("ok")]), budget=2, rates=CENT_A_REQUEST)
    play.tell(say("go"))
    assert play.lines()[-1] == "session.status_idle budget_reached"
    for budget in (budget_limit(4), None):
        pen = play.pen("client")
        pen.write(Draft(SessionUpdated(budget=budget)))
        resume(pen)
        play.commit(pen)
        play.run()
    assert play.lines()[-1] == "session.status_idle end_turn"
    return play.kinds


@PLAYED.shows("session.updated")
def an_update() -> set[str]:
    play = Seen()
    play.write(Draft(SessionUpdated(title="t")), Draft(SessionUpdated(metadata={"a": "b"})))
    return play.kinds


@PLAYED.shows("session.deleted")
def the_end() -> set[str]:
    play = Seen()
    play.write(Draft(SessionDeleted()))
    return play.kinds
