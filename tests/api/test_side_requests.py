"""Model requests that no client asked for are paid for all the same: searches and judgements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic

from freehold.models import ScriptedModel
from freehold.models.scripted.http import ScriptedHttp
from tests.api.conftest import said, turn
from tests.support.mcp_servers import mcp_server
from tests.support.models import KEY, served
from tests.support.running import Served, serve

PRICES = """
# A tenth of a cent a token, so that the scripted model's few tokens come to some cents.
[models."claude-opus-5"]
input = 1000
output = 1000
[models."claude-haiku-5-5"]
input = 0
output = 0
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("side")
    (folder / "prices.toml").write_text(PRICES)
    with (
        served(ScriptedHttp(ScriptedModel(), api_key=KEY)) as url,
        serve(
            folder / "data",
            prices=folder / "prices.toml",
            model="upstream",
            model_base_url=url,
            model_api_key=KEY,
            web_search="upstream",
        ) as server,
    ):
        yield server


def session_of(sdk: Anthropic, environment: Any, tools: list[Any], **more: Any) -> str:
    servers = more.pop("mcp_servers", [])
    agent = sdk.beta.agents.create(
        name="Spender", model="claude-opus-5", tools=tools, mcp_servers=servers
    )
    return sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id, **more).id


def searching(**config: Any) -> list[Any]:
    return [
        {
            "type": "agent_toolset_20260401",
            "default_config": {"enabled": False},
            "configs": [{"name": "web_search", "enabled": True, **config}],
        }
    ]


def with_policy(policy: str) -> list[Any]:
    config = {"permission_policy": {"type": policy}}
    return [{"type": "agent_toolset_20260401", "default_config": config}]


def under_auto() -> list[Any]:
    return with_policy("auto")


def spans(events: list[Any]) -> int:
    """Tokens of the requests that clients see."""
    ends = [e.model_usage for e in events if e.type == "span.model_request_end"]
    return sum(usage.input_tokens + usage.output_tokens for usage in ends)


def tokens(sdk: Anthropic, session: str) -> int:
    usage = sdk.beta.sessions.retrieve(session).usage
    assert usage.input_tokens is not None
    assert usage.output_tokens is not None
    return usage.input_tokens + usage.output_tokens


def cents(sdk: Anthropic, session: str) -> int:
    cost = sdk.beta.sessions.retrieve(session).usage.list_cost
    assert cost is not None
    return int(cost.amount)


def test_a_search_upstream_has_the_recorded_shape_and_is_counted(
    sdk: Anthropic, environment: Any
) -> None:
    place = {"type": "approximate", "city": "Bergen", "country": "NO"}
    tools = searching(allowed_domains=["a.example/docs"], user_location=place)
    session = session_of(sdk, environment, tools)
    events = turn(sdk, session, said('/tool web_search {"query": "blue cats"}'))
    (result,) = [event for event in events if event.type == "agent.tool_result"]
    assert result.is_error is False
    assert len(result.content) == 10
    url = "https://a.example/docs/blue-cats/1"
    assert result.content[0].to_dict() == {
        "type": "search_result",
        "source": url,
        "title": "Result 1 for blue cats in Bergen",
        "content": [{"type": "text", "text": f"A passage of {url}, made up offline."}],
        "citations": {"enabled": True},
    }
    usage = sdk.beta.sessions.retrieve(session).usage
    assert usage.server_tool_use is not None
    assert usage.server_tool_use.web_search_requests == 1
    # The request that searched is in no span, and in the usage; $0.01 is the search itself.
    extra = tokens(sdk, session) - spans(events)
    assert extra > 0
    # A cent is ten tokens; half a cent is rounded, and the running time is a small part of one.
    assert abs(cents(sdk, session) - (1 + tokens(sdk, session) / 10)) <= 1
    assert not any("model.asked" in event.to_json() for event in events)


def test_a_search_that_fails_is_not_counted_but_its_request_is(
    sdk: Anthropic, environment: Any
) -> None:
    session = session_of(sdk, environment, searching())
    text = '/tool web_search {"query": "cats /fail too_many_requests"}'
    events = turn(sdk, session, said(text))
    (result,) = [event for event in events if event.type == "agent.tool_result"]
    assert result.is_error is True
    assert result.content[0].text == (
        "Web search error: too_many_requests — the model's search ended with too_many_requests."
    )
    usage = sdk.beta.sessions.retrieve(session).usage
    assert usage.server_tool_use is not None
    assert usage.server_tool_use.web_search_requests == 0
    assert tokens(sdk, session) > spans(events)


def test_a_judgement_is_in_the_usage_and_in_no_span(sdk: Anthropic, environment: Any) -> None:
    session = session_of(sdk, environment, under_auto())
    events = turn(sdk, session, said("/run echo hi\n/say done"))
    assert len([e for e in events if e.type == "span.model_request_end"]) == 2
    assert tokens(sdk, session) > spans(events)
    told = next(event for event in events if event.type == "session.usage")
    assert told.usage.input_tokens + told.usage.output_tokens == tokens(sdk, session)


def test_no_judge_is_asked_beyond_the_budget(sdk: Anthropic, environment: Any) -> None:
    budget = {"type": "limit", "max_list_cost": {"amount": "1", "currency": "USD"}}
    session = session_of(sdk, environment, under_auto(), budget=budget)
    events = turn(sdk, session, said("/run echo hi\n/say done"))
    (call,) = [event for event in events if event.type == "agent.tool_use"]
    assert call.evaluated_permission == "deny"
    assert call.evaluation.evaluated_permission.to_dict() == {
        "type": "deny",
        "reason_code": "indeterminate",
    }
    assert events[-1].stop_reason.type == "budget_reached"
    assert tokens(sdk, session) == spans(events)


def test_a_judge_brings_a_session_to_its_budget(sdk: Anthropic, environment: Any) -> None:
    costs = []
    for policy in ("always_ask", "auto"):
        asking = session_of(sdk, environment, with_policy(policy))
        turn(sdk, asking, said("/judge ask\n/run echo hi\n/say done"))
        costs.append(cents(sdk, asking))
    # More than the first request costs, and less than it does with the judgement.
    cap = sum(costs) // 2
    assert costs[0] < cap < costs[1]
    budget = {"type": "limit", "max_list_cost": {"amount": str(cap), "currency": "USD"}}
    session = session_of(sdk, environment, under_auto(), budget=budget)
    events = turn(sdk, session, said("/run echo hi\n/say done"))
    (call,) = [event for event in events if event.type == "agent.tool_use"]
    assert call.evaluated_permission == "allow"  # it was judged, and ran
    assert events[-1].stop_reason.type == "budget_reached"
    assert len([e for e in events if e.type == "span.model_request_end"]) == 1


@pytest.mark.parametrize("verdict", ["allow", "deny", "ask"])
def test_auto_on_an_mcp_toolset(sdk: Anthropic, environment: Any, verdict: str) -> None:
    with mcp_server() as door:
        session = session_of(
            sdk,
            environment,
            [
                {
                    "type": "mcp_toolset",
                    "mcp_server_name": "things",
                    "default_config": {"permission_policy": {"type": "auto"}},
                    "configs": [{"name": "picture", "permission_policy": {"type": "always_allow"}}],
                }
            ],
            mcp_servers=[{"type": "url", "name": "things", "url": door.mcp}],
        )
        text = f'/judge {verdict}\n/tool mcp__things__add {{"a": 2, "b": 3}}\n/say done'
        events = turn(sdk, session, said(text))
        (use,) = [event for event in events if event.type == "agent.mcp_tool_use"]
        assert use.evaluated_permission == verdict
        codes = {"deny": {"reason_code": "high_risk"}, "ask": {"reason_code": "indeterminate"}}
        assert use.evaluation.to_dict() == {
            "type": "auto",
            "evaluated_permission": {"type": verdict, **codes.get(verdict, {})},
        }
        if verdict == "ask":
            assert events[-1].stop_reason.event_ids == [use.id]
            assert "add" not in door.counts
            allow = {"type": "user.tool_confirmation", "tool_use_id": use.id, "result": "allow"}
            events = turn(sdk, session, allow)
        (result,) = [event for event in events if event.type == "agent.mcp_tool_result"]
        if verdict == "deny":
            assert result.is_error
            assert result.content[0].text == "Permission to use add has been denied."
            assert "add" not in door.counts
        else:
            assert [block.text for block in result.content] == ["5"]
            assert door.counts["add"] == 1
        # A tool of the same server that is always allowed costs no judgement.
        before = tokens(sdk, session)
        events = turn(sdk, session, said("/tool mcp__things__picture\n/say done"))
        (use,) = [event for event in events if event.type == "agent.mcp_tool_use"]
        assert use.evaluation.to_dict() == {"type": "always_allow"}
        assert tokens(sdk, session) == before + spans(events)
