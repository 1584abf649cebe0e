"""What the catalogue knows of models."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from anthropic.types import ModelParam
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.model_catalog import (
    KNOWN_MODELS,
    THINKING_BUDGETS,
    UNKNOWN,
    ModelCapabilities,
    describe,
    effort_for,
    thinking_param,
)


@pytest.mark.parametrize(
    ("model", "thinking", "window", "output", "default_effort"),
    [
        ("claude-fable-5-2", "adaptive", 1_000_000, 128_000, "high"),
        ("claude-mythos-preview", "adaptive", 1_000_000, 128_000, "high"),
        ("claude-opus-5-5", "adaptive", 1_000_000, 128_000, "medium"),
        ("claude-opus-5", "adaptive", 1_000_000, 128_000, "high"),
        ("claude-opus-4-6", "adaptive", 1_000_000, 128_000, "high"),
        ("claude-opus-4-5-20251101", "budget", 200_000, 64_000, "high"),
        ("claude-opus-4-1-20250805", "budget", 200_000, 32_000, None),
        ("claude-opus-4-20250514", "budget", 200_000, 32_000, None),
        ("claude-sonnet-5", "adaptive", 1_000_000, 128_000, "high"),
        ("claude-sonnet-4-6", "adaptive", 1_000_000, 64_000, "high"),
        ("claude-sonnet-4-5", "budget", 200_000, 64_000, None),
        ("claude-haiku-5-5", "adaptive", 1_000_000, 128_000, "medium"),
        ("claude-haiku-4-5-20251001", "budget", 200_000, 64_000, None),
        ("claude-3-7-sonnet-20250219", "budget", 200_000, 64_000, None),
        ("claude-3-5-haiku-20241022", "none", 200_000, 8_192, None),
        ("claude-3-opus-20240229", "none", 200_000, 4_096, None),
    ],
)
def test_known_models(
    model: str, thinking: str, window: int, output: int, default_effort: str | None
) -> None:
    known = describe(model)
    assert known.thinking == thinking
    assert known.context_window == window
    assert known.max_output_tokens == output
    assert known.default_effort == default_effort
    assert known.takes_effort is (default_effort is not None)
    assert known.images
    assert known.cache_breakpoints


@pytest.mark.parametrize(
    ("taken", "wanted", "sent"),
    [
        (("low", "medium", "high"), "max", "high"),
        (("low", "medium", "high", "max"), "xhigh", "high"),
        (("max", "high"), "high", "high"),
        (("high", "medium"), "low", "medium"),
        (("low",), None, None),
        ((), "high", None),
    ],
)
def test_a_model_is_asked_for_the_nearest_effort_it_has(
    taken: Any, wanted: str | None, sent: str | None
) -> None:
    capabilities = ModelCapabilities(100_000, 8_000, efforts=taken)
    assert effort_for(capabilities, wanted) == sent


def test_every_model_the_sdk_names_can_think() -> None:
    named = {name for name in get_args(get_args(ModelParam)[0]) if isinstance(name, str)}
    assert named >= set(KNOWN_MODELS)
    for name in named:
        assert describe(name).thinking != "none", name


@pytest.mark.parametrize(
    ("form", "plain"),
    [
        ("anthropic/claude-opus-4.5", "claude-opus-4-5"),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5"),
        ("claude-opus-4-5@20251101", "claude-opus-4-5"),
        ("bedrock/anthropic.claude-haiku-5-5", "claude-haiku-5-5"),
        (" Claude-Sonnet-5 ", "claude-sonnet-5"),
        ("claude-opus-9", "claude-opus-5-5"),
        ("claude-sonnet-5-1", "claude-sonnet-5"),
    ],
)
def test_other_forms_of_an_id(form: str, plain: str) -> None:
    assert describe(form) == describe(plain)


@pytest.mark.parametrize("model", ["qwen3:8b", "gpt-oss", "", "not-claude", "clau-de"])
def test_other_makers_get_what_no_server_refuses(model: str) -> None:
    assert describe(model) == UNKNOWN
    assert thinking_param(model, "high") is None


def test_a_claude_of_an_unknown_family_is_cached_and_does_not_think() -> None:
    unheard = describe("claude-ballad-7")
    assert unheard.cache_breakpoints
    assert unheard.thinking == "none"


def test_system_messages_in_a_conversation() -> None:
    able = {name for name in KNOWN_MODELS if describe(name).system_messages}
    assert {"claude-opus-4-8", "claude-opus-5", "claude-sonnet-5-5", "claude-haiku-5-5"} <= able
    assert not able & {"claude-opus-4-7", "claude-sonnet-5", "claude-haiku-4-5"}


@given(st.sampled_from(KNOWN_MODELS), st.sampled_from([None, *THINKING_BUDGETS]))
def test_a_budget_lies_between_the_api_s_bounds(model: str, effort: str | None) -> None:
    thinking = thinking_param(model, effort)
    assert thinking is not None
    if thinking["type"] == "enabled":
        assert isinstance(thinking["budget_tokens"], int)
        assert 1_024 <= thinking["budget_tokens"] < describe(model).max_output_tokens


@given(st.text(max_size=60))
def test_describe_never_fails(model: str) -> None:
    assert describe(model).max_output_tokens > 0
    assert describe("claude-" + model).cache_breakpoints
