"""What a session costs at list price, exactly (spec 10, rule 5).

Money is counted in whole picodollars, a millionth of a millionth of a dollar: a price in
micro-dollars per million tokens is one in picodollars per token, so a request's cost is a sum of
whole numbers. Only the running time needs a fraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from fractions import Fraction

from pydantic import BaseModel, ConfigDict

from freehold.core.events import Json, ModelUsage
from freehold.core.model_catalog import identify

PICODOLLARS_PER_CENT = 10**10
WEB_SEARCH = 10**10
"""Picodollars of one search: $10 per 1,000."""
RUNNING_TIME = Fraction(8 * PICODOLLARS_PER_CENT, 3_600_000_000)
"""Picodollars of a microsecond of running: $0.08 per hour."""
CURRENCY = "USD"


class Rates(BaseModel):
    """Picodollars a token, which is micro-dollars per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: int
    output: int
    cache_write: int
    cache_read: int

    def cost(self, usage: ModelUsage) -> int:
        """Picodollars of one request."""
        return (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_creation_input_tokens * self.cache_write
            + usage.cache_read_input_tokens * self.cache_read
        )


@dataclass(frozen=True)
class LongPrompt:
    """Other rates for every token of a request whose prompt has more than ``above`` tokens."""

    above: int
    rates: Rates


@dataclass(frozen=True)
class ModelPrice:
    """The list price of a model; without ``fast`` its fast speed has none."""

    standard: Rates
    fast: Rates | None = None
    long: LongPrompt | None = None

    def rates(self, usage: ModelUsage) -> Rates | None:
        """The rates of a request that used this much; ``None`` if its speed has no price."""
        if usage.speed == "fast":
            return self.fast
        prompt = (
            usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens
        )
        if self.long is not None and prompt > self.long.above:
            return self.long.rates
        return self.standard


class PriceList:
    """Prices by model id: what was put first in ``own`` by a pattern, then Anthropic's own list.

    ``own`` holds glob patterns (``claude-*``); a ``None`` says that these models have no price.
    """

    def __init__(self, own: Sequence[tuple[str, ModelPrice | None]] = ()) -> None:
        self._own = tuple(own)

    def of(self, model_id: str) -> ModelPrice | None:
        """The price of a model; ``None`` if it has none that is known."""
        for pattern, price in self._own:
            if fnmatchcase(model_id, pattern):
                return price
        return list_price(model_id)


def dollars(per_million: Decimal) -> int:
    """A price in dollars per million tokens as picodollars a token.

    Raises:
        ValueError: it is negative, not finite, or finer than a micro-dollar.
    """
    if not per_million.is_finite() or per_million < 0:
        raise ValueError("a price must be 0 or more")
    scaled = per_million * 1_000_000
    if scaled != scaled.to_integral_value():
        raise ValueError("a price may have at most six decimals")
    return int(scaled)


def _price(given: str, out: str, write: str, read: str) -> Rates:
    return Rates(
        input=dollars(Decimal(given)),
        output=dollars(Decimal(out)),
        cache_write=dollars(Decimal(write)),
        cache_read=dollars(Decimal(read)),
    )


LISTED_ON = date(2026, 11, 22)
"""When the table below was compared with Anthropic's public pages on pricing and fast mode."""

_OPUS = _price("5", "25", "6.25", "0.50")
_OPUS_4 = ModelPrice(_price("15", "75", "18.75", "1.50"))
_OPUS_FAST = ModelPrice(_OPUS, fast=_price("10", "50", "12.50", "1"))
_SONNET = ModelPrice(_price("3", "15", "3.75", "0.30"))
_SONNET_5 = ModelPrice(_price("2", "10", "2.50", "0.20"))
_FABLE_5 = ModelPrice(_price("10", "50", "12.50", "1"))
_FABLE_5_1 = ModelPrice(_price("10", "50", "12.50", "0.25"))

# Dollars per million tokens: input, output, cache write of five minutes, cache read.
_TABLE: dict[tuple[str, int, int], ModelPrice] = {
    ("fable", 5, 0): _FABLE_5,
    ("fable", 5, 1): _FABLE_5_1,
    ("fable", 5, 2): ModelPrice(_price("8", "40", "10", "0.20")),
    ("mythos", 5, 0): _FABLE_5,
    ("mythos", 5, 1): _FABLE_5_1,
    ("opus", 3, 0): _OPUS_4,
    ("opus", 4, 0): _OPUS_4,
    ("opus", 4, 1): _OPUS_4,
    ("opus", 4, 5): ModelPrice(_OPUS),
    ("opus", 4, 6): ModelPrice(_OPUS),
    ("opus", 4, 7): ModelPrice(_OPUS),
    ("opus", 4, 8): _OPUS_FAST,
    ("opus", 5, 0): _OPUS_FAST,
    ("opus", 5, 5): ModelPrice(
        _price("4", "20", "5", "0.20"), fast=_price("8", "40", "10", "0.40")
    ),
    ("sonnet", 3, 5): _SONNET,
    ("sonnet", 3, 7): _SONNET,
    ("sonnet", 4, 0): _SONNET,
    ("sonnet", 4, 5): _SONNET,
    ("sonnet", 4, 6): _SONNET,
    ("sonnet", 5, 0): _SONNET_5,
    ("sonnet", 5, 5): _SONNET_5,
    ("haiku", 3, 0): ModelPrice(_price("0.25", "1.25", "0.30", "0.03")),
    ("haiku", 3, 5): ModelPrice(_price("0.80", "4", "1", "0.08")),
    ("haiku", 4, 5): ModelPrice(_price("1", "5", "1.25", "0.10")),
    ("haiku", 5, 5): ModelPrice(
        _price("0.10", "0.50", "0.125", "0.01"),
        long=LongPrompt(100_000, _price("0.50", "2.50", "0.625", "0.05")),
    ),
}


def list_price(model_id: str) -> ModelPrice | None:
    """Anthropic's list price. A model that is newer than the table has none: no guess is made."""
    known = identify(model_id)
    return None if known is None else _TABLE.get((known[0], *known[1]))


def amount(picodollars: Fraction | int) -> Json:
    """Money as the API shows it: whole cents, half a cent rounded up."""
    cents = (Fraction(picodollars) / PICODOLLARS_PER_CENT + Fraction(1, 2)).__floor__()
    return {"amount": str(cents), "currency": CURRENCY}
