"""List prices: exact sums, and no guess where no price is known (spec 10)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.events import ModelUsage
from freehold.core.model_catalog import KNOWN_MODELS
from freehold.core.prices import (
    PICODOLLARS_PER_CENT,
    RUNNING_TIME,
    ModelPrice,
    PriceList,
    Rates,
    amount,
    dollars,
    list_price,
)

FREE = ModelPrice(Rates(input=0, output=0, cache_write=0, cache_read=0))
counts = st.integers(0, 10**9)


def dollars_of(model: str, **used: int | str) -> Decimal:
    usage = ModelUsage(**used)  # type: ignore[arg-type]
    price = list_price(model)
    assert price is not None
    rates = price.rates(usage)
    assert rates is not None
    return Decimal(rates.cost(usage)) / 10**12


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-opus-5-5", "29.2"),
        ("claude-opus-4-5-20251101", "36.75"),
        ("anthropic/claude-opus-4.5", "36.75"),
        ("claude-opus-4-1-20250805", "110.25"),
        ("claude-sonnet-4-20250514", "22.05"),
        ("claude-3-5-haiku-20241022", "5.88"),
        ("claude-fable-5-1", "72.75"),
    ],
)
def test_a_million_of_each_kind(model: str, expected: str) -> None:
    million = 10**6
    cost = dollars_of(
        model,
        input_tokens=million,
        output_tokens=million,
        cache_creation_input_tokens=million,
        cache_read_input_tokens=million,
    )
    assert cost == Decimal(expected)


def test_a_long_prompt_costs_more_and_its_cached_part_counts() -> None:
    assert dollars_of("claude-haiku-5-5", input_tokens=100_000) == Decimal("0.01")
    assert dollars_of("claude-haiku-5-5", input_tokens=100_001) == Decimal("0.0500005")
    assert dollars_of(
        "claude-haiku-5-5", input_tokens=1, cache_read_input_tokens=100_000
    ) == Decimal("0.0050005")


def test_the_fast_speed_has_its_own_price_or_none() -> None:
    fast = ModelUsage(output_tokens=10**6, speed="fast")
    assert dollars_of("claude-opus-5", output_tokens=10**6, speed="fast") == 50
    sonnet = list_price("claude-sonnet-5")
    assert sonnet is not None
    assert sonnet.rates(fast) is None


def test_models_beyond_the_table_have_no_price() -> None:
    for model in ("claude-opus-9", "claude-mythos-preview", "qwen3:8b", "claude", ""):
        assert list_price(model) is None
    known = [model for model in KNOWN_MODELS if list_price(model) is not None]
    assert len(known) >= len(KNOWN_MODELS) - 2


def test_the_user_s_prices_come_first_and_may_take_one_away() -> None:
    prices = PriceList([("claude-opus-5", None), ("claude-*", FREE), ("qwen*", FREE)])
    assert prices.of("claude-opus-5") is None
    assert prices.of("claude-opus-5-5") is FREE
    assert prices.of("qwen3:8b") is FREE
    assert prices.of("llama") is None
    assert PriceList().of("claude-opus-5") == list_price("claude-opus-5")


@given(counts, counts, counts, counts)
def test_a_request_costs_the_sum_of_its_parts(a: int, b: int, c: int, d: int) -> None:
    rates = Rates(input=3, output=5, cache_write=7, cache_read=11)
    names = ("input_tokens", "output_tokens", "cache_creation_input_tokens")
    parts = [
        ModelUsage(**{name: count})
        for name, count in zip((*names, "cache_read_input_tokens"), (a, b, c, d), strict=True)
    ]
    whole = ModelUsage(
        input_tokens=a,
        output_tokens=b,
        cache_creation_input_tokens=c,
        cache_read_input_tokens=d,
    )
    assert rates.cost(whole) == sum(rates.cost(part) for part in parts)


@pytest.mark.parametrize("wrong", ["-1", "0.0000001", "NaN", "Infinity"])
def test_a_price_is_a_sum_of_micro_dollars(wrong: str) -> None:
    with pytest.raises(ValueError, match="price"):
        dollars(Decimal(wrong))


def test_an_hour_of_running_costs_eight_cents() -> None:
    assert RUNNING_TIME * 3_600_000_000 == 8 * PICODOLLARS_PER_CENT


@pytest.mark.parametrize(
    ("cents", "shown"), [("0", "0"), ("0.49", "0"), ("0.5", "1"), ("1.5", "2"), ("2499.6", "2500")]
)
def test_cents_are_rounded_only_when_shown(cents: str, shown: str) -> None:
    assert amount(Fraction(cents) * PICODOLLARS_PER_CENT) == {"amount": shown, "currency": "USD"}
