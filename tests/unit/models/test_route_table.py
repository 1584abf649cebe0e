"""The table of routes: who answers for a model, what it can do and what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from freehold.core.model_catalog import describe
from freehold.core.prices import list_price
from freehold.errors import ConfigurationError
from freehold.models import build_catalog, build_model, table_secrets
from freehold.models.route_table import RouteForm, load_table
from freehold.models.routed import RoutedModel
from freehold.settings import Settings

TABLE = """
[[models]]
id = "local"
display_name = "Qwen at home"
base_url = "http://127.0.0.1:11434"
upstream = "qwen3:8b"
context_window = 32768
max_output_tokens = 4096
price = { input = 0.05, output = 0.2 }

[[models]]
id = "claude-haiku-*"
base_url = "http://127.0.0.1:4000"
api_key_env = "GATEWAY_KEY"
context_window = 50000
fallbacks = ["local"]

[[models]]
id = "cheap"
upstream = "claude-haiku-4-5"

[[models]]
id = "nameless"
upstream = "llama"
base_url = "http://127.0.0.1:1"

[[models]]
id = "gift"
price = false
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("GATEWAY_KEY", "sk-gateway-0123456789")
    return table(tmp_path, TABLE)


def table(folder: Path, text: str, **more: object) -> Settings:
    path = folder / "models.toml"
    path.write_text(text)
    return Settings(models=path, model="scripted", **more)  # type: ignore[arg-type]


def test_the_first_that_fits_is_taken(settings: Settings) -> None:
    routes = load_table(settings)
    assert routes.route("local") is routes.models[0]
    assert routes.route("claude-haiku-4-5-20251001") is routes.models[1]
    assert routes.route("claude-opus-5") is None
    assert routes.models[0].upstream_id("local") == "qwen3:8b"
    assert routes.models[1].upstream_id("claude-haiku-5-5") == "claude-haiku-5-5"


def test_what_is_given_replaces_what_is_known(settings: Settings) -> None:
    catalog = build_catalog(settings)
    local = catalog.capabilities("local")
    assert (local.context_window, local.max_output_tokens) == (32_768, 4_096)
    haiku = catalog.capabilities("claude-haiku-5-5")
    known = describe("claude-haiku-5-5")
    assert haiku.context_window == 50_000
    assert (haiku.thinking, haiku.efforts) == (known.thinking, known.efforts)
    assert catalog.capabilities("claude-haiku-9").context_window == 50_000
    assert catalog.capabilities("claude-opus-5") == describe("claude-opus-5")
    assert catalog.capabilities("cheap") == describe("claude-haiku-4-5")


def test_a_route_costs_what_it_says_or_what_its_upstream_does(
    settings: Settings, tmp_path: Path
) -> None:
    catalog = build_catalog(settings)
    local = catalog.price("local")
    assert local is not None and local.standard.input == 50_000
    assert catalog.price("claude-haiku-4-5") == list_price("claude-haiku-4-5")
    assert catalog.price("cheap") == list_price("claude-haiku-4-5")
    assert catalog.price("nameless") is None
    assert catalog.price("gift") is None
    prices = tmp_path / "prices.yaml"
    prices.write_text("models: {llama: {input: 1, output: 1}, local: false}")
    own = build_catalog(settings.model_copy(update={"prices": prices}))
    llama = own.price("nameless")
    assert llama is not None and llama.standard.input == 1_000_000
    assert own.price("local") == local


def test_a_list_of_models_begins_with_the_user_s_own(settings: Settings) -> None:
    listed = build_catalog(settings).listed
    assert [model.id for model in listed[:3]] == ["local", "cheap", "nameless"]
    assert listed[0].display_name == "Qwen at home"
    assert "claude-opus-5" in {model.id for model in listed}
    assert not any("*" in model.id for model in listed)


def test_a_model_is_found_if_a_request_has_somewhere_to_go(settings: Settings) -> None:
    catalog = build_catalog(settings)
    for there in ("local", "claude-haiku-77", "claude-opus-4-5-20251101"):
        assert catalog.find(there) is not None
    assert catalog.find("qwen3:8b") is None
    own_server = settings.model_copy(update={"model_base_url": "http://127.0.0.1:1"})
    assert build_catalog(own_server).find("qwen3:8b") is not None


async def test_providers_are_made_for_every_route(settings: Settings) -> None:
    model = build_model(settings)
    assert isinstance(model, RoutedModel)
    assert "local → Messages API at http://127.0.0.1:11434" in model.description
    assert "else offline scripted model" in model.description
    assert "sk-gateway" not in model.description
    await model.close()


def test_without_a_table_there_is_one_model() -> None:
    assert not isinstance(build_model(Settings(model="scripted")), RoutedModel)


def test_keys_are_known_as_secrets(settings: Settings, tmp_path: Path) -> None:
    assert table_secrets(settings) == ["sk-gateway-0123456789"]
    inline = table(tmp_path, '[[models]]\nid = "x"\napi_key = "sk-inline-0123456789"')
    assert table_secrets(inline) == ["sk-inline-0123456789"]
    assert table_secrets(table(tmp_path, "models = 3")) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[models]]\nbase_url = "http://x"', "models.0.id: Field required"),
        ('[[models]]\nid = "x"\nfallbacks = ["y"]', "the fallback 'y' of 'x' is no route"),
        ('[[models]]\nid = "x"\nurl = "http://x"', "models.0.url: Extra inputs"),
        (
            '[[models]]\nid = "x"\napi_key = "sk-secret"\napi_key_env = "Y"',
            "give api_key or api_key_env, not both",
        ),
        ('[[models]]\nid = "x"\nscripted = true\nbase_url = "http://x"', "has no server"),
    ],
)
def test_mistakes_are_told_without_keys(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^FREEHOLD_MODELS: ") as caught:
        load_table(table(tmp_path, text))
    assert told in str(caught.value)
    assert "sk-secret" not in str(caught.value)


def test_a_key_that_is_not_set_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="from NO_SUCH_KEY, which is not set"):
        build_model(table(tmp_path, '[[models]]\nid = "x"\napi_key_env = "NO_SUCH_KEY"'))


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ({"id": "a", "retires_at": "2027-01-01"}, "need a lifecycle other than active"),
        (
            {"id": "a", "lifecycle": "active", "deprecated_at": "2027-01-01"},
            "need a lifecycle other than active",
        ),
        ({"id": "a-*", "lifecycle": "retired"}, "not for a pattern"),
        ({"id": "a-*", "created_at": "2027-01-01"}, "not for a pattern"),
        ({"id": "a", "lifecycle": "ancient"}, "lifecycle"),
    ],
)
def test_a_model_s_life_must_make_sense(route: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RouteForm.model_validate(route)


def test_what_is_known_of_a_model_holds_on_its_own_route_and_the_table_s_word_comes_first() -> None:
    plain = RouteForm(id="claude-sonnet-4-5", scripted=True).listed()
    assert (plain.id, plain.aliases, plain.lifecycle) == ("claude-sonnet-4-5", (), "deprecated")
    kept = RouteForm(id="claude-sonnet-4-5", scripted=True, lifecycle="active").listed()
    assert (kept.lifecycle, kept.retires_at) == ("active", None)
    other = RouteForm(id="claude-sonnet-4-5", upstream="qwen3:8b", scripted=True).listed()
    assert (other.display_name, other.lifecycle, other.line) == (None, "active", None)
