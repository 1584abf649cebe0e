"""What a server knows of models: the user's word first, then general knowledge."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from anthropic.resources.messages.messages import DEPRECATED_MODELS

from freehold.core.catalog import Catalog
from freehold.core.model_catalog import KNOWN_MODELS, UNKNOWN, describe
from freehold.core.model_listing import LISTED_MODELS, ListedModel, line_of
from freehold.core.prices import PriceList, list_price

SMALL = replace(UNKNOWN, context_window=4_096)


def test_without_the_user_s_word_general_knowledge_holds() -> None:
    catalog = Catalog()
    assert catalog.capabilities("claude-opus-5") == describe("claude-opus-5")
    assert catalog.price("claude-opus-5") == list_price("claude-opus-5")
    assert catalog.listed == LISTED_MODELS


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
    other = "claude-opus-4-5-20260101"
    assert Catalog().find(other) == ListedModel(other, line="opus")
    assert Catalog().find("qwen") is None


def test_an_alias_leads_to_its_model_unless_a_model_has_that_name() -> None:
    found = Catalog().find("claude-opus-4-5")
    assert found is not None and found.id == "claude-opus-4-5-20251101"
    mine = ListedModel("claude-opus-4-5")
    assert Catalog(listed=[*LISTED_MODELS, mine]).find("claude-opus-4-5") is mine


def test_every_known_name_is_listed_once() -> None:
    names = [name for model in LISTED_MODELS for name in (model.id, *model.aliases)]
    assert len(names) == len(set(names))
    assert set(KNOWN_MODELS) <= set(names)


def test_the_list_agrees_with_itself() -> None:
    for model in LISTED_MODELS:
        assert model.line is not None
        assert line_of(model.id) in (model.line, None)
        if model.lifecycle == "active":
            assert model.deprecated_at is None and model.retires_at is None
        dates = [model.created_at, model.deprecated_at, model.retires_at]
        known = [day for day in dates if day is not None]
        assert known == sorted(known)
    dated = [model.created_at for model in LISTED_MODELS if model.created_at is not None]
    assert dated == sorted(dated, reverse=True)


def test_the_list_agrees_with_the_sdk_s_table_of_deprecated_models() -> None:
    for model in LISTED_MODELS:
        ends = {DEPRECATED_MODELS.get(name) for name in (model.id, *model.aliases)} - {None}
        if model.lifecycle == "active":
            assert not ends
        elif ends:
            (text,) = ends
            assert text is not None
            month, day, year = text.replace(",", "").split()
            plain = f"{month} {day.rstrip('strndh')} {year} +0000"
            assert datetime.strptime(plain, "%B %d %Y %z").date() == model.retires_at
