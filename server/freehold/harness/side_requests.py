"""Model requests beside the conversation: no client sees them, but they are paid for.

A session's usage and budget would not be true without them, so each is a private record of the
log that counts like any other request (spec 10, rule 5).
"""

from __future__ import annotations

from typing import Literal

from freehold.core.catalog import Catalog
from freehold.core.drafts import Draft
from freehold.core.events import ModelAsked, ModelUsage


def model_asked(
    catalog: Catalog, purpose: Literal["judgement", "search"], model: str, usage: ModelUsage
) -> Draft:
    """The record of one such request, at today's price."""
    price = catalog.price(model)
    rates = None if price is None else price.rates(usage)
    return Draft(
        ModelAsked(
            purpose=purpose,
            model=model,
            usage=usage,
            price=None if rates is None else rates.model_dump(),
        )
    )
