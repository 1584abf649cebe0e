"""What this server knows of models: what they can do and what they cost, by the client's names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from freehold.core.model_catalog import ModelCapabilities, describe, identify
from freehold.core.model_listing import LISTED_MODELS, ListedModel, line_of
from freehold.core.prices import ModelPrice, PriceList


class Catalog:
    """The user's own word first, then what is known in general.

    Args:
        prices: the price list in force; None is Anthropic's.
        capabilities: glob patterns of model ids (``claude-*``) and what those models can do; the
            first that fits is taken.
        listed: the models to show to clients, newest first.
        open_to: whether a model that is not listed may be asked for all the same.
    """

    def __init__(
        self,
        prices: PriceList | None = None,
        capabilities: Sequence[tuple[str, ModelCapabilities]] = (),
        *,
        listed: Sequence[ListedModel] = LISTED_MODELS,
        open_to: Callable[[str], bool] = lambda model_id: identify(model_id) is not None,
    ) -> None:
        self._prices = prices or PriceList()
        self._capabilities = tuple(capabilities)
        self.listed = tuple(listed)
        self._open_to = open_to

    def price(self, model_id: str) -> ModelPrice | None:
        """What the model of this id costs; ``None`` if it has no list price."""
        return self._prices.of(model_id)

    def capabilities(self, model_id: str) -> ModelCapabilities:
        """What the model of this id can do; never fails."""
        for pattern, capabilities in self._capabilities:
            if fnmatchcase(model_id, pattern):
                return capabilities
        return describe(model_id)

    def find(self, model_id: str) -> ListedModel | None:
        """The model of this id or alias if requests for it have somewhere to go, or if it is
        listed as one that takes none any more."""
        for model in self.listed:
            if model.id == model_id:
                return model
        for model in self.listed:
            if model_id in model.aliases:
                return model
        if not self._open_to(model_id):
            return None
        return ListedModel(model_id, line=line_of(model_id))
