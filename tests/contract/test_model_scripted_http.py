"""The scripted provider as a server: the official client finds the Messages API there."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import httpx2
import pytest
from tests.support.models import KEY, MODEL, served

from freehold.models import ScriptedModel
from freehold.models.scripted.http import InstantHttp, ScriptedHttp


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(ScriptedHttp(ScriptedModel())) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=url, api_key=KEY, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


def ask(client: anthropic.Anthropic, text: str) -> anthropic.types.Message:
    return client.messages.create(
        model=MODEL, max_tokens=100, messages=[{"role": "user", "content": text}]
    )


def test_a_message_at_once(client: anthropic.Anthropic) -> None:
    message = ask(client, "/think why\n/say because\n/run ls")
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert message.stop_reason == "tool_use"
    assert message.id.startswith("msg_")
    assert message.usage.output_tokens > 0


def test_a_streamed_message_is_the_same(client: anthropic.Anthropic) -> None:
    text = "/think why\n/say because of this and of that\n/run ls"
    with client.messages.stream(
        model=MODEL, max_tokens=100, messages=[{"role": "user", "content": text}]
    ) as stream:
        seen = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert seen == "because of this and of that"
    assert streamed.to_dict() == {**ask(client, text).to_dict()}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded", anthropic.OverloadedError),
        ("rate_limited", anthropic.RateLimitError),
        ("server", anthropic.InternalServerError),
        ("authentication", anthropic.AuthenticationError),
        ("billing", anthropic.PaymentRequiredError),
        ("invalid_request", anthropic.BadRequestError),
        ("connection", anthropic.APIConnectionError),
    ],
)
def test_errors_have_their_class(
    client: anthropic.Anthropic, kind: str, expected: type[anthropic.APIError]
) -> None:
    with pytest.raises(expected) as caught:
        ask(client, f"/fail {kind} retry_after=2 so it is")
    if isinstance(caught.value, anthropic.APIStatusError):
        assert caught.value.api_message == "so it is"
        assert caught.value.request_id
        assert caught.value.response.headers["retry-after"] == "2"


def test_a_refusal(client: anthropic.Anthropic) -> None:
    message = ask(client, "/fail refusal cyber no")
    assert message.stop_reason == "refusal"
    assert message.stop_details is not None
    assert message.stop_details.category == "cyber"


def test_counting_and_listing(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(
        model=MODEL, messages=[{"role": "user", "content": "x" * 4_000}]
    )
    assert 1_000 <= counted.input_tokens <= 1_100
    listed = {model.id for model in client.models.list()}
    assert MODEL in listed
    assert client.models.retrieve(MODEL).max_tokens == 128_000


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"{}", "model: Field required"),
        (b'{"model": "m"}', "messages: Field required"),
        (b'{"model": "m", "messages": [1]}', "messages.0: an object"),
        (b'{"model": "m", "messages": [{"role": "user", "content": 1}]}', "messages.0: an object"),
        (b'{"model": "m", "messages": [{"role": "user", "content": [{}]}]}', "content.0.type"),
        (
            b'{"model": "m", "messages": [{"role": "user", "content": [{"type": "text"}]}]}',
            "content.0.text: Field required",
        ),
        (b'{"model": "m", "messages": [{"role": "user", "content": "a"}]}', "max_tokens"),
        (
            b'{"model": "m", "max_tokens": 1, "messages": [{"role": "judge", "content": "a"}]}',
            "messages.0.role",
        ),
    ],
)
def test_a_malformed_request_is_refused(
    client: anthropic.Anthropic, body: bytes, complaint: str
) -> None:
    with pytest.raises(anthropic.BadRequestError, match=complaint):
        client.post("/v1/messages", cast_to=object, content=body)


def test_paths_methods_and_keys(client: anthropic.Anthropic, url: str) -> None:
    with pytest.raises(anthropic.NotFoundError):
        client.get("/v1/elsewhere", cast_to=object)
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.get("/v1/messages", cast_to=object)
    assert caught.value.status_code == 405
    with served(ScriptedHttp(api_key="right")) as guarded:
        with anthropic.Anthropic(base_url=guarded, api_key="right", max_retries=0) as other:
            assert ask(other, "/say in").stop_reason == "end_turn"
        with (
            anthropic.Anthropic(base_url=guarded, api_key="wrong", max_retries=0) as other,
            pytest.raises(anthropic.AuthenticationError),
        ):
            ask(other, "/say in")
        assert httpx2.get(f"{guarded}/v1/models").status_code == 401
        assert httpx2.get(f"{guarded}/v1/models", headers={"x-api-key": "right"}).is_success


def test_the_instant_server_speaks_both_forms() -> None:
    with (
        served(InstantHttp("at once")) as instant,
        anthropic.Anthropic(base_url=instant, api_key=KEY, max_retries=0) as client,
    ):
        assert ask(client, "x").content[0].to_dict() == {"type": "text", "text": "at once"}
        with client.messages.stream(
            model=MODEL, max_tokens=1, messages=[{"role": "user", "content": "x"}]
        ) as stream:
            assert stream.get_final_text() == "at once"
