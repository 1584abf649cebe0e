"""The scripted provider's token counts."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.models.scripted import tokens
from freehold.ports.model import ModelRequest

ANSWER = [{"type": "text", "text": "x"}]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


@settings(deadline=None)
@given(
    st.lists(st.text(max_size=6_000), min_size=2, max_size=5),
    st.sampled_from(["claude-opus-5", "llama4"]),
)
def test_every_token_of_the_input_is_counted_once(texts: list[str], model: str) -> None:
    messages: list[dict[str, Any]] = []
    written = 0
    for text in texts:
        messages = [*messages, user(text)]
        request = ModelRequest(model, messages)
        counted = tokens.usage(request, ANSWER)
        total = tokens.input_tokens(request)
        cached = counted.cache_read_input_tokens + counted.cache_creation_input_tokens
        if cached:
            assert cached == total
            assert counted.input_tokens == tokens.UNCACHED
            # Read is what earlier requests wrote.
            assert counted.cache_read_input_tokens == written
            written = total
        else:
            assert counted.input_tokens == total
            assert model == "llama4" or total < tokens.MINIMUM_PREFIX
        messages = [*messages, {"role": "assistant", "content": ANSWER}]


def test_a_picture_does_not_count_as_text() -> None:
    picture = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "A" * 4_000_000},
    }
    request = ModelRequest("claude-opus-5", [{"role": "user", "content": [picture]}])
    assert tokens.IMAGE_TOKENS <= tokens.input_tokens(request) < tokens.IMAGE_TOKENS + 100
