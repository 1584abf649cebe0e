"""What a server knows of models: the user's word first, then general knowledge."""

from __future__ import annotations

from dataclasses import replace

from freehold.core.catalog import Catalog, ListedModel
from freehold.core.model_catalog import KNOWN_MODELS, UNKNOWN, describe
from freehold.core.prices import PriceList, list_price

SMALL = replace(UNKNOWN, context_window=4_096)


def test_without_the_user_s_word_general_knowledge_holds() -> None:
    catalog = Catalog()
    assert catalog.capabilities("claude-opus-5") == describe("claude-opus-5")
    assert catalog.price("claude-opus-5") == list_price("claude-opus-5")
    assert [model.id for model in catalog.listed] == list(KNOWN_MODELS)


def test_the_first_pattern_that_fits_is_taken() -> None:
    catalog = Catalog(
        PriceList([("claude-*", None)]), [("claude-h*", SMALL), ("claude-*", UNKNOWN)]
    )
    assert catalog.capabilities("claude-haiku-5-5") == SMALL
    assert catalog.capabilities("claude-opus-5") == UNKNOWN
    assert catalog.capabilities("qwen") == describe("qwen")
    assert catalog.price("claude-opus-5") is None


def test_a_model_is_found_where_it_is_listed_or_has_a_way() -> None:
    mine = ListedModel("mine", "My own")
    catalog = Catalog(listed=[mine], open_to=lambda model_id: model_id.startswith("way-"))
    assert catalog.find("mine") is mine
    assert catalog.find("way-out") == ListedModel("way-out")
    assert catalog.find("other") is None
    dated = "claude-opus-4-5-20251101"
    assert Catalog().find(dated) == ListedModel(dated)
    assert Catalog().find("qwen") is None
