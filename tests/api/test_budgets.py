"""Costs and budgets through the official SDK (spec 5.3, 5.5, 6.2, 10)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic

from tests.api.conftest import refused, said, turn
from tests.support.running import BETA, Served, serve

URL = "/v1/sessions"
PRICES = """
# A tenth of a cent a token, so that the scripted model's few tokens come to some cents.
[models."claude-opus-5"]
input = 1000
output = 1000
[models."claude-haiku-4-5"]
input = 0
output = 0.0
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("budgets")
    (folder / "prices.toml").write_text(PRICES)
    with serve(folder / "data", prices=folder / "prices.toml") as served:
        yield served


def limit(amount: Any = "1", currency: Any = "USD") -> dict[str, Any]:
    return {"type": "limit", "max_list_cost": {"amount": amount, "currency": currency}}


@pytest.fixture
def create(sdk: Anthropic, agent: Any, environment: Any) -> Any:
    def created(cents: str = "1", **more: Any) -> Any:
        return sdk.beta.sessions.create(
            agent=agent.id, environment_id=environment.id, budget=limit(cents), **more
        )

    return created


def settled(sdk: Anthropic, session_id: str) -> Any:
    """The session once it is idle."""
    deadline = time.monotonic() + 30
    while (session := sdk.beta.sessions.retrieve(session_id)).status != "idle":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return session


def test_the_cost_is_in_usage_of_session_thread_and_event(sdk: Anthropic, session: Any) -> None:
    assert session.usage.list_cost is None
    assert session.budget is None
    seen = turn(sdk, session.id, said("hello"))
    event = next(event for event in seen if event.type == "session.usage")
    assert event.budget is None
    assert event.usage.list_cost.currency == "USD"
    after = sdk.beta.sessions.retrieve(session.id)
    tokens = (
        after.usage.input_tokens
        + after.usage.output_tokens
        + after.usage.cache_creation.ephemeral_5m_input_tokens * 1.25
        + after.usage.cache_read_input_tokens * 0.1
    )
    assert abs(int(after.usage.list_cost.amount) - tokens / 10) <= 1
    (thread,) = sdk.beta.sessions.threads.list(session.id)
    assert abs(int(thread.usage.list_cost.amount) - int(after.usage.list_cost.amount)) <= 1


def test_a_free_model_costs_nothing(sdk: Anthropic, environment: Any) -> None:
    agent = sdk.beta.agents.create(name="Local", model="claude-haiku-4-5")
    session = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    turn(sdk, session.id, said("hello"))
    assert sdk.beta.sessions.retrieve(session.id).usage.list_cost.amount == "0"


def test_a_session_pauses_at_its_budget_and_goes_on_when_it_is_raised(
    sdk: Anthropic, create: Any
) -> None:
    session = create()
    assert session.budget.to_dict() == limit()
    seen = turn(sdk, session.id, said("/run echo one\n/say done"))
    assert [event.type for event in seen[-4:]] == [
        "agent.tool_result",
        "session.thread_status_idle",
        "session.usage",
        "session.status_idle",
    ]
    assert seen[-3].stop_reason.type == seen[-1].stop_reason.type == "budget_reached"
    assert seen[-2].budget.to_dict() == limit()
    with pytest.raises(anthropic.BadRequestError, match="session budget reached: "):
        sdk.beta.sessions.events.send(session.id, events=[said("more")])
    sdk.beta.sessions.events.send(session.id, events=[{"type": "user.interrupt"}])
    consumed = int(sdk.beta.sessions.retrieve(session.id).usage.list_cost.amount)

    with sdk.beta.sessions.events.stream(session.id) as stream:
        raised = sdk.beta.sessions.update(session.id, budget=limit(str(consumed + 10_000)))
        assert raised.budget.max_list_cost.amount == str(consumed + 10_000)
        types = []
        for event in stream:
            types.append(event.type)
            if event.type == "session.updated":
                assert event.budget.max_list_cost.amount == str(consumed + 10_000)
            if event.type == "session.status_idle":
                break
    assert types[0] == "session.updated"
    assert "user.interrupt" not in types
    assert event.stop_reason.type == "end_turn"


def test_removing_the_budget_resumes_and_is_for_good(
    sdk: Anthropic, http: httpx.Client, create: Any
) -> None:
    session = create()
    turn(sdk, session.id, said("/run echo one\n/say done"))
    assert sdk.beta.sessions.update(session.id, budget=None).budget is None
    assert settled(sdk, session.id).budget is None
    events = http.get(f"{URL}/{session.id}/events").json()["data"]
    (updated,) = [event for event in events if event["type"] == "session.updated"]
    assert updated["budget"] is None
    assert "title" not in updated
    assert events[-1]["stop_reason"] == {"type": "end_turn"}
    error = refused(
        http.post(f"{URL}/{session.id}", json={"budget": limit("900000")}),
        400,
        "budget: cannot be added to a session that was created without one, nor added again once "
        "it was removed (budget_create_only)",
    )
    assert error["details"]["error_code"] == "budget_create_only"


def test_a_cap_is_replaced_by_one_above_what_was_consumed(
    sdk: Anthropic, http: httpx.Client, create: Any
) -> None:
    session = create("100000")
    turn(sdk, session.id, said("hello"))
    consumed = int(sdk.beta.sessions.retrieve(session.id).usage.list_cost.amount)
    assert consumed > 1
    error = refused(
        http.post(f"{URL}/{session.id}", json={"budget": limit(str(consumed - 1))}),
        400,
        "budget.max_list_cost must be greater than the session's consumed list cost",
    )
    assert error["details"]["error_code"] == "budget_not_raised"
    lower = sdk.beta.sessions.update(session.id, budget=limit(str(consumed + 5)))
    assert lower.budget.max_list_cost.amount == str(consumed + 5)
    again = sdk.beta.sessions.update(session.id, budget=limit(str(consumed + 5)))
    assert again.updated_at == lower.updated_at


def test_a_budget_may_change_while_the_session_runs(sdk: Anthropic, create: Any) -> None:
    session = create("100000")
    with sdk.beta.sessions.events.stream(session.id) as stream:
        sdk.beta.sessions.events.send(session.id, events=[said("/wait 600")])
        for event in stream:
            if event.type == "span.model_request_start":
                break
        changed = sdk.beta.sessions.update(session.id, budget=limit("500"))
        assert (changed.status, changed.budget.max_list_cost.amount) == ("running", "500")
        sdk.beta.sessions.events.send(session.id, events=[{"type": "user.interrupt"}])
        for event in stream:
            if event.type == "session.status_idle":
                break


def test_a_budget_needs_a_price(
    sdk: Anthropic, http: httpx.Client, environment: Any, agent: Any
) -> None:
    for model in ("qwen3:8b", {"id": "claude-sonnet-5", "speed": "fast"}):
        other = sdk.beta.agents.create(name="Other", model=model)
        body = {"agent": other.id, "environment_id": environment.id, "budget": limit()}
        error = http.post(URL, json=body).json()["error"]
        assert error["details"]["error_code"] == "model_not_budgetable"
        assert error["message"].startswith("budget: the model ")


@pytest.fixture
def forms(agent: Any, environment: Any, session: Any) -> list[tuple[str, dict[str, Any]]]:
    """Where a budget can be given: the path, and the rest of the body."""
    body = {"agent": agent.id, "environment_id": environment.id}
    return [(URL, body), (f"{URL}/{session.id}", {})]


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (limit("0"), "budget.max_list_cost.amount: must be a positive whole number of cents"),
        (limit("007"), "budget.max_list_cost.amount: must be a positive whole number of cents"),
        (limit("1.5"), "budget.max_list_cost.amount: must be a positive whole number of cents"),
        (limit("-1"), "budget.max_list_cost.amount: must be a positive whole number of cents"),
        (limit(""), "budget.max_list_cost.amount: must be a positive whole number of cents"),
        (limit("٣"), "budget.max_list_cost.amount: must be a positive whole number of cents"),
        (limit("9" * 17), "budget.max_list_cost.amount: maximum string length is 16"),
        (limit(25), "Failed to parse request: budget.max_list_cost.amount: must be a string"),
        (limit(currency="EUR"), 'budget.max_list_cost.currency: "EUR" is not a valid value'),
        ({"type": "limit"}, "budget.max_list_cost: Field required"),
        ({**limit(), "type": "soft"}, 'budget.type: "soft" is not a valid value'),
        ({**limit(), "extra": 1}, 'unknown field "extra"'),
    ],
)
def test_a_budget_has_one_form(
    http: httpx.Client, forms: list[tuple[str, dict[str, Any]]], budget: Any, message: str
) -> None:
    for path, body in forms:
        response = http.post(path, json={**body, "budget": budget})
        assert response.status_code == 400
        assert message in response.json()["error"]["message"]


def test_a_paused_session_is_still_paused_after_a_restart(tmp_path: Any) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text('models: {"*": {input: 1000, output: 1000}}')
    with serve(tmp_path / "data", prices=prices) as first, first.client() as sdk:
        agent = sdk.beta.agents.create(
            name="A", model="any", tools=[{"type": "agent_toolset_20260401"}]
        )
        environment = sdk.beta.environments.create(name="plain")
        session = sdk.beta.sessions.create(
            agent=agent.id, environment_id=environment.id, budget=limit()
        )
        seen = turn(sdk, session.id, said("/run echo one\n/say done"))
        before = sdk.beta.sessions.retrieve(session.id).usage.list_cost
    prices.write_text('models: {"*": {input: 1, output: 1}}')
    with (
        serve(tmp_path / "data", prices=prices) as second,
        httpx.Client(base_url=second.url, headers=BETA) as http,
        second.client() as sdk,
    ):
        events = http.get(f"{URL}/{session.id}/events").json()["data"]
        assert events[-1]["id"] == seen[-1].id
        assert sdk.beta.sessions.retrieve(session.id).usage.list_cost == before
        sdk.beta.sessions.update(session.id, budget=None)
        settled(sdk, session.id)
        events = http.get(f"{URL}/{session.id}/events").json()["data"]
        assert events[-1]["stop_reason"] == {"type": "end_turn"}
