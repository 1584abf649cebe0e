"""The file of list prices (docs/MODELS.md): it comes before Anthropic's own list."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from freehold.core.prices import LongPrompt, ModelPrice, Rates, dollars
from freehold.models import config_file
from freehold.settings import Settings

SETTING = "FREEHOLD_PRICES"

_WRITE = Decimal("1.25")
_READ = Decimal("0.1")


def _money(value: Decimal) -> Decimal:
    dollars(value)
    return value


Dollars = Annotated[Decimal, AfterValidator(_money)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RatesForm(_Form):
    """Dollars per million tokens. Without prices of their own, cache writes cost 1.25 times the
    input and cache reads a tenth of it, as is usual on Anthropic's list."""

    input: Dollars
    output: Dollars
    cache_write: Dollars | None = None
    cache_read: Dollars | None = None

    def rates(self) -> Rates:
        """The rates in the core's unit; derived ones are rounded to a micro-dollar."""
        write, read = self.cache_write, self.cache_read
        return Rates(
            input=dollars(self.input),
            output=dollars(self.output),
            cache_write=_derived(self.input * _WRITE) if write is None else dollars(write),
            cache_read=_derived(self.input * _READ) if read is None else dollars(read),
        )


def _derived(price: Decimal) -> int:
    return dollars(round(price, 6))


class LongPromptForm(RatesForm):
    """Rates of requests whose prompt has more tokens than ``above``."""

    above: int = Field(ge=1)


class PriceForm(RatesForm):
    """The price of a model."""

    fast: RatesForm | None = None
    long: LongPromptForm | None = None

    def price(self) -> ModelPrice:
        """The price in the core's terms."""
        long = self.long
        return ModelPrice(
            self.rates(),
            fast=None if self.fast is None else self.fast.rates(),
            long=None if long is None else LongPrompt(long.above, long.rates()),
        )


class PriceFileForm(_Form):
    """Model id or glob pattern to price; the first that fits is taken. ``false``: no price."""

    models: dict[str, PriceForm | Literal[False]]


def own_prices(settings: Settings) -> list[tuple[str, ModelPrice | None]]:
    """The user's prices by pattern, in their order.

    Raises:
        ConfigurationError: ``FREEHOLD_PRICES`` names no readable price file.
    """
    if settings.prices is None:
        return []
    form = config_file.read(settings.prices, PriceFileForm, SETTING)
    return [
        (pattern, entry.price() if isinstance(entry, PriceForm) else None)
        for pattern, entry in form.models.items()
    ]
