"""The client of the Messages API against servers that do what real ones do, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.models import KEY, asking, sample, says, served

from freehold.errors import ConfigurationError, ModelError
from freehold.models.scripted.http import App, InstantHttp, ScriptedHttp
from freehold.models.upstream import UpstreamModel
from freehold.ports.model import BlockStarted, ModelRequest, ModelResponse, TextDelta

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Recorder:
    """A server that keeps what it is sent and answers each request with the next of ``answers``."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.paths.append(scope["path"])
        self.headers.append({k.decode(): v.decode() for k, v in scope["headers"]})
        self.bodies.append(json.loads(body) if body else {})
        answer = self.answers[min(len(self.bodies), len(self.answers)) - 1]
        await answer(send)


Answer = Callable[[Send], Awaitable[None]]


def plain(status: int, body: bytes, **headers: str) -> Answer:
    async def answer(send: Send) -> None:
        sent = [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": body})

    return answer


def error(status: int, kind: str, message: str, code: str | None = None, **headers: str) -> Answer:
    fault: dict[str, Any] = {"type": kind, "message": message}
    if code:
        fault["details"] = {"error_code": code}
    body = json.dumps({"type": "error", "error": fault}).encode()
    return plain(status, body, content_type="application/json", **headers)


def events(*shown: dict[str, Any], end: bool = True) -> Answer:
    async def answer(send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for event in shown:
            frame = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        if end:
            await send({"type": "http.response.body", "body": b""})

    return answer


START = {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}}
STOP = {"type": "message_stop"}


def finish(reason: str = "end_turn", **usage: int) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


def block(index: int, opening: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": opening},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


@contextmanager
def upstream(app: App, key: str | None = KEY, **more: Any) -> Iterator[UpstreamModel]:
    with served(app) as url:
        yield UpstreamModel(url, key, **{"max_retries": 0, **more})


async def answered(*shown: dict[str, Any]) -> tuple[list[Any], ModelResponse]:
    with upstream(Recorder(events(*shown))) as model:
        got = await sample(model, asking(says("x")))
        await model.close()
    assert isinstance(got[-1], ModelResponse)
    return got[:-1], got[-1]


async def failed(answer: Answer, **more: Any) -> ModelError:
    with upstream(Recorder(answer), **more) as model:
        with pytest.raises(ModelError) as caught:
            await sample(model, asking(says("x")))
        await model.close()
    return caught.value


async def test_every_kind_of_block_comes_back_as_it_was() -> None:
    citation = {"type": "char_location", "cited_text": "c", "document_index": 0}
    result = {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [{"type": "web_search_result", "url": "https://x.example", "title": "X"}],
    }
    shown, response = await answered(
        START,
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "thinking_delta", "thinking": "m"},
            {"type": "signature_delta", "signature": "c2ln"},
        ),
        *block(1, {"type": "redacted_thinking", "data": "ZGF0YQ=="}),
        *block(
            2,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "so"},
            {"type": "citations_delta", "citation": citation},
        ),
        *block(
            3,
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"query": "x'},
            {"type": "input_json_delta", "partial_json": '"}'},
        ),
        *block(4, result),
        *block(5, {"type": "not_yet_invented", "value": [1]}, {"type": "new_delta", "value": 2}),
        *block(6, {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}),
        finish("tool_use", output_tokens=9, cache_read_input_tokens=5),
        STOP,
    )
    assert response.content == [
        {"type": "thinking", "thinking": "hmm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "text", "text": "so", "citations": [citation]},
        {
            "type": "server_tool_use",
            "id": "srvtoolu_1",
            "name": "web_search",
            "input": {"query": "x"},
        },
        result,
        {"type": "not_yet_invented", "value": [1]},
        {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}},
    ]
    assert response.stop_reason == "tool_use"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (7, 9)
    assert response.usage.cache_read_input_tokens == 5
    assert [event.kind for event in shown if isinstance(event, BlockStarted)] == [
        each["type"] for each in response.content
    ]
    assert [event for event in shown if isinstance(event, TextDelta)] == [TextDelta(2, "so")]


@pytest.mark.parametrize("cut", ['{"command": "ls', '["ls"]', "nonsense"])
async def test_a_call_with_unreadable_input_is_still_a_call(cut: str) -> None:
    _, response = await answered(
        START,
        *block(
            0,
            {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {}},
            {"type": "input_json_delta", "partial_json": cut},
        ),
        finish("max_tokens", output_tokens=3),
        STOP,
    )
    assert response.content == [{"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {}}]
    assert response.stop_reason == "max_tokens"


async def test_a_call_that_is_cut_off_without_its_block_end_is_still_a_call() -> None:
    opening = {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {}}
    _, response = await answered(START, *block(0, opening)[:-1], finish("max_tokens"), STOP)
    assert response.content == [opening]


async def test_blank_texts_which_no_request_may_hold_are_left_out() -> None:
    _, response = await answered(
        START,
        *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "\n\n"}),
        *block(1, {"type": "text", "text": "a"}),
        finish(),
        STOP,
    )
    assert response.content == [{"type": "text", "text": "a"}]


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded", "refusal"])
async def test_a_thought_that_was_cut_off_has_no_signature_and_does_not_go_back(
    reason: str,
) -> None:
    thought = {"type": "thinking", "thinking": "", "signature": ""}
    delta = {"type": "thinking_delta", "thinking": "hm"}
    signed = {"type": "signature_delta", "signature": "c2ln"}
    whole = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    first = block(0, thought, delta, signed)
    _, cut = await answered(START, *first, *block(1, thought, delta), finish(reason), STOP)
    assert cut.content == [whole]
    _, kept = await answered(START, *first, finish(reason), STOP)
    assert kept.content == [whole]
    # Servers that sign nothing take back what they said.
    _, unsigned = await answered(START, *block(0, thought, delta), finish(), STOP)
    assert unsigned.content == [{**whole, "signature": ""}]


async def test_halved_surrogates_are_joined() -> None:
    _, response = await answered(
        START,
        *block(
            0,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "\ud83d"},
            {"type": "text_delta", "text": "\ude00"},
        ),
        finish(),
        STOP,
    )
    assert response.content == [{"type": "text", "text": "\U0001f600"}]


@pytest.mark.parametrize(
    "shown",
    [
        [START],
        [START, *block(0, {"type": "text", "text": "a"})],
        [START, *block(0, {"type": "text", "text": "a"})[:-1], finish()],
    ],
)
@pytest.mark.parametrize("end", [True, False])
async def test_a_stream_without_its_end_is_a_lost_connection(
    shown: list[dict[str, Any]], end: bool
) -> None:
    fault = await failed(events(*shown, end=end))
    assert (fault.kind, fault.retryable) == ("connection", True)


@pytest.mark.parametrize(
    ("error_type", "kind"),
    [
        ("overloaded_error", "overloaded"),
        ("rate_limit_error", "rate_limited"),
        ("api_error", "server"),
        ("timeout_error", "server"),
        ("authentication_error", "authentication"),
        ("billing_error", "billing"),
        ("invalid_request_error", "invalid_request"),
        ("something_else", "server"),
    ],
)
async def test_an_error_in_the_middle_of_a_stream(error_type: str, kind: str) -> None:
    fault = await failed(
        events(START, {"type": "error", "error": {"type": error_type, "message": f"no {KEY}"}})
    )
    assert fault.kind == kind
    assert fault.message.startswith("no [redacted]")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(400, "invalid_request_error", "bad"), "invalid_request"),
        (error(400, "invalid_request_error", "Your credit balance is too low to…"), "billing"),
        (error(401, "authentication_error", "who"), "authentication"),
        (error(402, "billing_error", "pay"), "billing"),
        (error(403, "permission_error", "no"), "authentication"),
        (error(404, "not_found_error", "model: x"), "invalid_request"),
        (error(413, "request_too_large", "big"), "invalid_request"),
        (error(422, "invalid_request_error", "odd"), "invalid_request"),
        (error(429, "rate_limit_error", "slow"), "rate_limited"),
        (error(429, "rate_limit_error", "spent", "enforced_spend_limit_reached"), "billing"),
        (error(500, "api_error", "oh"), "server"),
        (plain(502, b"<html>Bad gateway</html>"), "server"),
        (error(503, "api_error", "busy"), "overloaded"),
        (error(504, "timeout_error", "late"), "server"),
        (error(529, "overloaded_error", "full"), "overloaded"),
        (plain(200, b'{"not": "a stream"}', content_type="application/json"), "connection"),
    ],
)
async def test_statuses_and_their_kinds(answer: Answer, kind: str) -> None:
    fault = await failed(answer)
    assert fault.kind == kind
    assert fault.message
    assert "<html>" not in fault.message


async def test_no_error_holds_the_key() -> None:
    for answer in (
        error(401, "authentication_error", f"{KEY} is not a key"),
        plain(500, f"echo: {KEY}".encode()),
    ):
        assert KEY not in str(await failed(answer))


async def test_an_answer_of_another_kind_is_named_as_unreadable() -> None:
    fault = await failed(events({"type": "content_block_delta", "index": 3, "delta": {}}))
    assert fault.kind == "server"
    assert "cannot be read" in fault.message


async def test_the_sdk_tries_again_before_the_first_byte() -> None:
    happy = events(START, *block(0, {"type": "text", "text": "a"}), finish(), STOP)
    app = Recorder(error(529, "overloaded_error", "full", retry_after_ms="1"), happy)
    with upstream(app, max_retries=2) as model:
        assert isinstance((await sample(model, asking(says("x"))))[-1], ModelResponse)
        await model.close()
    assert len(app.bodies) == 2


async def test_a_long_wait_is_left_to_the_caller() -> None:
    app = Recorder(error(429, "rate_limit_error", "slow", retry_after="3600"))
    with upstream(app, max_retries=2) as model:
        with pytest.raises(ModelError) as caught:
            await sample(model, asking(says("x")))
        await model.close()
    assert caught.value.retry_after == 3600
    assert len(app.bodies) == 1


async def test_closing_early_ends_the_request() -> None:
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for event in (START, *block(0, {"type": "text", "text": "a"})[:1]):
            frame = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        loop.call_soon_threadsafe(gone.set)

    with upstream(endless) as model:
        stream = model.stream(asking(says("x")))
        assert await anext(stream) == BlockStarted(0, "text")
        await stream.aclose()  # type: ignore[attr-defined]
        await asyncio.wait_for(gone.wait(), 60)
        await model.close()


async def test_what_is_sent() -> None:
    happy = events(START, finish(), STOP)
    app = Recorder(happy)
    with upstream(app) as model:
        tools = [{"name": "bash", "input_schema": {"type": "object"}}]
        system = [{"type": "text", "text": "Be brief."}]
        await sample(
            model,
            ModelRequest(
                model="claude-opus-5-5",
                messages=[says("hello")],
                system=system,
                tools=tools,
                effort="low",
                speed="fast",
                inference_geo="us",
            ),
        )
        await sample(model, asking(says("hello"), model="claude-haiku-4-5", effort="low"))
        await sample(model, asking(says("hello"), model="llama4", effort="high", speed="standard"))
        await model.close()
    mark = {"type": "ephemeral"}
    assert app.paths == ["/v1/messages"] * 3
    assert app.bodies[0] == {
        "model": "claude-opus-5-5",
        "max_tokens": 128_000,
        "stream": True,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
        "speed": "fast",
        "inference_geo": "us",
        "tools": [{**tools[0], "cache_control": mark}],
        "system": [{**system[0], "cache_control": mark}],
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "hello", "cache_control": mark}],
            }
        ],
    }
    assert app.bodies[1]["thinking"] == {"type": "enabled", "budget_tokens": 4_000}
    assert "output_config" not in app.bodies[1]
    assert app.bodies[2] == {
        "model": "llama4",
        "max_tokens": 8_192,
        "stream": True,
        "messages": [says("hello")],
    }
    for headers in app.headers:
        assert headers["authorization"] == f"Bearer {KEY}"
        assert headers["x-api-key"] == KEY
        assert headers["content-type"] == "application/json"
        assert headers["anthropic-version"]
    assert app.headers[0]["anthropic-beta"] == "fast-mode-2026-02-01"
    assert app.headers[1]["anthropic-beta"] == "interleaved-thinking-2025-05-14"
    assert "anthropic-beta" not in app.headers[2]


async def test_without_a_key_the_error_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-from-the-environment")
    model = UpstreamModel(None, None)
    with pytest.raises(ModelError, match="FREEHOLD_MODEL_API_KEY") as caught:
        await sample(model, asking(says("x")))
    assert caught.value.kind == "authentication"
    await model.close()


async def test_a_local_server_may_need_no_key() -> None:
    app = Recorder(events(START, finish(), STOP))
    with upstream(app, None) as model:
        await sample(model, asking(says("x")))
        await model.close()
    assert len(app.bodies) == 1


async def test_the_clients_base_url_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    model = UpstreamModel(None, KEY)
    assert model.description == "Messages API at https://api.anthropic.com"
    await model.close()


async def test_no_server_is_a_lost_connection() -> None:
    with served(InstantHttp()) as url:
        pass
    model = UpstreamModel(url, KEY, max_retries=0)
    with pytest.raises(ModelError, match=r"127\.0\.0\.1") as caught:
        await sample(model, asking(says("x")))
    assert caught.value.kind == "connection"
    statuses = {finding.name: finding.status for finding in await model.check()}
    assert statuses == {"model key": "ok", "model provider": "error"}
    await model.close()


async def test_check_tells_a_refused_key_from_a_server_that_lists_no_models() -> None:
    with upstream(ScriptedHttp(api_key="another")) as model:
        finding = (await model.check())[-1]
        assert finding.status == "error"
        assert finding.mend is not None
        assert "FREEHOLD_MODEL_API_KEY" in finding.mend
        await model.close()
    for answer, status in (
        (error(404, "not_found_error", "no"), "ok"),
        (error(529, "overloaded_error", "no"), "warning"),
    ):
        with upstream(Recorder(answer)) as model:
            assert (await model.check())[-1].status == status
            await model.close()


async def test_the_instant_server_answers_anything() -> None:
    with upstream(InstantHttp("there")) as model:
        response = (await sample(model, asking(says("x"))))[-1]
        assert isinstance(response, ModelResponse)
        assert response.content == [{"type": "text", "text": "there"}]
        await model.close()


@pytest.mark.parametrize("url", ["no-scheme.example", "ftp://x", "http://"])
def test_an_unusable_base_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="FREEHOLD_MODEL_BASE_URL"):
        UpstreamModel(url, KEY)


async def test_a_base_url_may_have_the_version_and_credentials() -> None:
    model = UpstreamModel("http://me:hidden@127.0.0.1:8000/proxy/v1/", KEY)
    assert model.description == "Messages API at http://127.0.0.1:8000/proxy"
    await model.close()


def test_certificates_that_are_none_are_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate")
    for path in (wrong, tmp_path, tmp_path / "absent.pem"):
        with pytest.raises(ConfigurationError, match="FREEHOLD_EXTRA_CA_CERTS"):
            UpstreamModel(None, KEY, extra_ca_certs=path)
    wrong.unlink()
    with pytest.raises(ConfigurationError, match=r"no \.pem"):
        UpstreamModel(None, KEY, extra_ca_certs=tmp_path)
