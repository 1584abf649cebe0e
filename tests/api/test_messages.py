"""The Messages API behind the same base URL (spec 21)."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2 as httpx
import pydantic
import pytest
from anthropic import Anthropic, types

from freehold.core.ids import is_id
from freehold.models.scripted.http import ScriptedHttp
from freehold.models.scripted.model import ScriptedModel
from tests.api.conftest import said, turn
from tests.support.models import served
from tests.support.running import Served, serve

KEY = "sk-server-0123456789"


class Recorder(ScriptedHttp):
    """The scripted provider; remembers the headers and bodies of what it was asked."""

    def __init__(self) -> None:
        super().__init__(ScriptedModel(), api_key=KEY)
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.targets: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.headers.append({k.decode(): v.decode() for k, v in scope["headers"]})
        query = scope["query_string"].decode()
        self.targets.append(f"{scope['path']}?{query}" if query else scope["path"])
        parts: list[bytes] = []

        async def heard() -> Any:
            message = await receive()
            parts.append(message.get("body", b""))
            return message

        await super().__call__(scope, heard, send)
        self.bodies.append(b"".join(parts))


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def shared(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("messages")
    with served(recorder) as url:
        (folder / "models.toml").write_text(
            f"""
[[models]]
id = "remote"
upstream = "claude-haiku-4-5"
base_url = "{url}"
api_key = "{KEY}"
context_window = 12345
price = {{ input = 0, output = 0 }}

[[models]]
id = "down"
base_url = "http://127.0.0.1:9"

[[models]]
id = "safe"
base_url = "http://127.0.0.1:9"
fallbacks = ["remote"]

[[models]]
id = "mine-*"
scripted = true
"""
        )
        with serve(folder / "data", models=folder / "models.toml") as running:
            yield running


def ask(text: str) -> Any:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("model", ["claude-opus-5", "remote", "safe", "mine-1"])
def test_messages_streamed_and_whole(sdk: Anthropic, model: str) -> None:
    whole = sdk.messages.create(model=model, max_tokens=100, messages=ask("/say over"))
    assert whole.content[0].text == "over"  # type: ignore[union-attr]
    with sdk.messages.stream(model=model, max_tokens=100, messages=ask("/say and out")) as stream:
        assert "".join(stream.text_stream) == "and out"
        assert stream.get_final_message().stop_reason == "end_turn"
    counted = sdk.messages.count_tokens(model=model, messages=ask("hello there"))
    assert counted.input_tokens > 0


def test_the_client_s_key_stays_here_and_its_betas_go_on(
    shared: Served, recorder: Recorder
) -> None:
    client = Anthropic(base_url=shared.url, api_key="sk-client-0123456789", max_retries=0)
    client.beta.messages.create(
        model="remote",
        max_tokens=9,
        messages=ask("hi"),
        betas=["a-beta-nobody-knows-2099-01-01", "context-1m-2025-08-07"],
    )
    headers = recorder.headers[-1]
    assert headers["anthropic-beta"] == "a-beta-nobody-knows-2099-01-01,context-1m-2025-08-07"
    assert headers["anthropic-version"] == "2026-10-21"  # the SDK's own
    assert headers["authorization"] == f"Bearer {KEY}"
    assert "sk-client" not in str(headers)
    assert json.loads(recorder.bodies[-1])["model"] == "claude-haiku-4-5"


def test_refusals_are_the_provider_s_own(http: httpx.Client) -> None:
    answer = http.post("/v1/messages", json={"model": "remote", "messages": []})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("max_tokens:")
    assert answer.json()["request_id"] == answer.headers["upstream-request-id"]
    assert answer.headers["request-id"].startswith("req_01")


@pytest.mark.parametrize("model", ["claude-opus-5", "remote"])
def test_failures_keep_status_and_retry_after(http: httpx.Client, model: str) -> None:
    text = "/fail rate_limited x9 retry_after=7 slow down"
    body = {"model": model, "max_tokens": 9, "messages": ask(text)}
    answer = http.post("/v1/messages", json=body)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"] == {"type": "rate_limit_error", "message": "slow down"}


def test_a_server_that_is_down_is_an_overload(http: httpx.Client) -> None:
    answer = http.post("/v1/messages", json={"model": "down", "max_tokens": 9, "messages": []})
    assert answer.status_code == 529
    assert "http://127.0.0.1:9" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "The request body is not valid JSON"),
        (b"[]", "The request body must be a JSON object"),
        (b"{}", "model: Field required"),
        (b'{"model": 3}', "model: Field required"),
    ],
)
def test_what_cannot_be_routed_is_refused_here(
    http: httpx.Client, content: bytes, message: str
) -> None:
    answer = http.post("/v1/messages", content=content)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(message)


def test_a_key_is_needed(shared: Served) -> None:
    answer = httpx.post(f"{shared.url}/v1/messages", json={"model": "remote"})
    assert answer.status_code == 401


def test_a_user_profile_is_looked_for_and_stays_here(sdk: Anthropic, recorder: Recorder) -> None:
    profile = sdk.user_profiles.create(name="Ada")
    call: dict[str, Any] = {"model": "remote", "messages": ask("/say hi")}
    sdk.messages.create(max_tokens=9, user_profile_id=profile.id, **call)
    assert profile.id not in str(recorder.headers[-1])
    assert sdk.messages.count_tokens(user_profile_id=profile.id, **call).input_tokens > 0
    sdk.user_profiles.delete(profile.id)
    for absent in (profile.id, "uprof_x"):
        with pytest.raises(types.UserProfileNotFoundError, match="User profile not found"):
            sdk.messages.create(max_tokens=9, user_profile_id=absent, **call)
        with pytest.raises(types.UserProfileNotFoundError):
            sdk.messages.count_tokens(user_profile_id=absent, **call)


def test_a_user_profile_cannot_be_billed(sdk: Anthropic, recorder: Recorder) -> None:
    profile = sdk.user_profiles.create(name="Ada")
    billed: Any = {"type": "billing_policy", "bill_to": "user_profile"}
    call: dict[str, Any] = {"model": "remote", "messages": ask("hi"), "max_tokens": 9}
    asked = len(recorder.bodies)
    with pytest.raises(types.UserProfileRequiredError):
        sdk.beta.messages.create(billing_policy=billed, **call)
    with pytest.raises(types.UserProfileNotBillableError):
        sdk.beta.messages.create(billing_policy=billed, user_profile_id=profile.id, **call)
    assert len(recorder.bodies) == asked


def test_a_stream_is_passed_on_as_it_comes(http: httpx.Client) -> None:
    body = {"model": "mine-2", "max_tokens": 9, "stream": True, "messages": ask("/say a b c d e f")}
    with http.stream("POST", "/v1/messages", json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-length" not in answer.headers
        lines = [line for line in answer.iter_lines() if line.startswith("event:")]
    assert lines[0] == "event: message_start"
    assert lines[-1] == "event: message_stop"


def test_a_session_runs_on_a_route_and_its_fallback_at_their_price(sdk: Anthropic) -> None:
    environment = sdk.beta.environments.create(name="routes")
    for model in ("remote", "safe"):
        agent = sdk.beta.agents.create(name="Routed", model=model)
        session = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
        seen = turn(sdk, session.id, said("/say from afar"))
        (message,) = [event for event in seen if event.type == "agent.message"]
        assert message.content[0].text == "from afar"
        assert sdk.beta.sessions.retrieve(session.id).usage.list_cost.amount == "0"


def test_the_query_goes_on(http: httpx.Client, recorder: Recorder) -> None:
    body = {"model": "remote", "max_tokens": 9, "messages": ask("hi")}
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        for query in ("", "?beta=true", "?beta=true&a=b%20c"):
            assert http.post(path + query, json=body).status_code == 200
            assert recorder.targets[-1] == path + query
    assert http.post("/v1/messages?beta=true", json={**body, "model": "mine-3"}).status_code == 200


class Place(pydantic.BaseModel):
    city: str
    people: int


@pytest.mark.parametrize("model", ["claude-opus-5", "remote"])
def test_output_is_parsed_by_the_sdk_in_both_lanes(sdk: Anthropic, model: str) -> None:
    messages = ask('/say {"city": "Bern", "people": 137000}')
    for lane in (sdk.messages, sdk.beta.messages):
        answer = lane.parse(  # type: ignore[attr-defined]
            model=model, max_tokens=99, messages=messages, output_format=Place
        )
        assert answer.parsed_output == Place(city="Bern", people=137_000)


def test_the_beta_lane_streams_and_counts(sdk: Anthropic, recorder: Recorder) -> None:
    with sdk.beta.messages.stream(
        model="remote", max_tokens=99, messages=ask("/say over")
    ) as stream:
        assert "".join(stream.text_stream) == "over"
    counted = sdk.beta.messages.count_tokens(model="remote", messages=ask("hello"))
    assert counted.input_tokens > 0
    assert "token-counting-2024-11-01" in recorder.headers[-1]["anthropic-beta"]


BREAKS = "/say Half of a sen\n/fail {kind} x9 that was it"


@pytest.mark.parametrize("model", ["claude-opus-5", "remote"])
def test_a_stream_that_fails_half_way_says_so_as_the_provider_did(
    sdk: Anthropic, model: str
) -> None:
    heard = ""
    asked = ask(BREAKS.format(kind="overloaded"))
    with (
        pytest.raises(anthropic.APIStatusError, match="that was it") as raised,
        sdk.messages.stream(model=model, max_tokens=99, messages=asked) as stream,
    ):
        for text in stream.text_stream:
            heard += text
    assert heard == "Half of a sen"
    assert raised.value.body["error"]["type"] == "overloaded_error"  # type: ignore[index]


def test_a_stream_that_breaks_off_breaks_off_here(http: httpx.Client) -> None:
    text = BREAKS.format(kind="connection")
    body = {"model": "remote", "max_tokens": 9, "stream": True, "messages": ask(text)}
    lines: list[str] = []
    with (
        pytest.raises(httpx.HTTPError),
        http.stream("POST", "/v1/messages", json=body) as answer,
    ):
        assert answer.status_code == 200
        lines.extend(answer.iter_lines())
    assert "event: content_block_delta" in lines
    assert "event: message_stop" not in lines
    assert http.get("/v1/models").status_code == 200


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("asked", ["whole", "streamed", "refused", "no model"])
def test_every_answer_has_freehold_s_headers(http: httpx.Client, path: str, asked: str) -> None:
    body: dict[str, Any] = {"model": "remote", "max_tokens": 9, "messages": ask("hi")}
    if asked == "streamed":
        body["stream"] = True
    elif asked == "refused":
        body["messages"] = "none"
    elif asked == "no model":
        del body["model"]
    answer = http.post(path, json=body)
    assert answer.is_success is (asked in ("whole", "streamed"))
    assert answer.headers.get_list("request-id")[1:] == []
    assert is_id("req", answer.headers["request-id"])
    uuid.UUID(answer.headers["anthropic-organization-id"])
    assert is_id("wrkspc", answer.headers["anthropic-workspace-id"])
    assert ("upstream-request-id" in answer.headers) is (asked != "no model")


def test_a_compressed_body_is_refused_as_such(http: httpx.Client) -> None:
    answer = http.post(
        "/v1/messages",
        content=gzip.compress(b'{"model": "remote"}'),
        headers={"content-encoding": "gzip", "content-type": "application/json"},
    )
    assert answer.status_code == 400
    details = answer.json()["error"]["details"]
    assert details == {"error_code": "request_body_encoding_unsupported"}
