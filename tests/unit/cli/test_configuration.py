from __future__ import annotations

import json
from pathlib import Path

import pytest

from freehold.cli import configuration
from freehold.errors import ConfigurationError

CANARY = "canary7Zq93hX"


def sources(**options: object) -> dict[str, str]:
    settings = configuration.load(**options)
    return {value.name: value.source for value in configuration.values(settings, **options)}


def test_options_come_before_variables_and_those_before_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("freehold.toml").write_text('port = 1\nhost = "127.0.0.2"\nmodel = "scripted"\n')
    monkeypatch.setenv("FREEHOLD_PORT", "2")
    monkeypatch.setenv("FREEHOLD_HOST", "127.0.0.3")
    settings = configuration.load(port=3, host=None)
    assert (settings.port, settings.host, settings.model) == (3, "127.0.0.3", "scripted")
    found = sources(port=3, host=None)
    assert found["port"] == "option"
    assert found["host"] == "FREEHOLD_HOST"
    assert found["model"] == "freehold.toml"
    assert found["sandbox"] == "default"


def test_the_model_key_falls_back_to_the_usual_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    assert sources()["model_api_key"] == "ANTHROPIC_API_KEY"
    monkeypatch.setenv("FREEHOLD_MODEL_API_KEY", "other-key")
    assert sources()["model_api_key"] == "FREEHOLD_MODEL_API_KEY"
    assert configuration.secrets(configuration.load()) == ["other-key"]


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_MODEL_API_KEY", "")
    monkeypatch.setenv("FREEHOLD_DATABASE_URL", "")
    settings = configuration.load()
    assert settings.model_api_key is None
    assert settings.database_url is None
    assert sources()["database_url"] == "default"


@pytest.mark.parametrize(
    ("name", "value"),
    [("FREEHOLD_PORT", CANARY), ("FREEHOLD_SANDBOX", CANARY), ("FREEHOLD_SANDBOX_PIDS", "1")],
)
def test_a_wrong_value_is_told_by_its_variable_and_not_repeated(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as caught:
        configuration.load()
    assert CANARY not in str(caught.value)


def test_a_wrong_key_in_the_file_is_not_repeated() -> None:
    Path("freehold.toml").write_text(f'model_api_key = ["{CANARY}"]\n')
    with pytest.raises(ConfigurationError, match="FREEHOLD_MODEL_API_KEY") as caught:
        configuration.load()
    assert CANARY not in str(caught.value)


def test_a_file_that_is_named_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_CONFIG", "absent.toml")
    with pytest.raises(ConfigurationError, match=r"absent\.toml does not exist"):
        configuration.load()


def test_a_file_that_is_no_toml_is_told_with_its_line() -> None:
    Path("freehold.toml").write_text("port 8787\n")
    with pytest.raises(ConfigurationError, match="line 1"):
        configuration.load()


def test_spelling_mistakes_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_PROT", "1")
    monkeypatch.setenv("FREEHOLD_TEST_SOMETHING", "1")
    Path("freehold.toml").write_text("sandbux = 1\nport = 1\n")
    assert configuration.unknown_names() == ["FREEHOLD_PROT", "sandbux (in freehold.toml)"]


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_MODEL_API_KEY", CANARY)
    monkeypatch.setenv("FREEHOLD_API_KEYS", f"{CANARY}1, {CANARY}2")
    monkeypatch.setenv("FREEHOLD_DATABASE_URL", f"postgresql+psycopg://me:{CANARY}@db/x")
    settings = configuration.load()
    assert CANARY not in repr(configuration.values(settings))
    assert set(configuration.secrets(settings)) == {CANARY, f"{CANARY}1", f"{CANARY}2"}


def test_endpoints_of_webhooks_in_the_file_and_in_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = "whsec_" + "A" * 42 + "E="
    endpoint = {"name": "ci", "url": "https://ci.example.com/canary", "secret": secret}
    lines = [f'{name} = "{value}"' for name, value in endpoint.items()]
    Path("freehold.toml").write_text("\n".join(["[[webhooks]]", *lines, ""]))
    settings = configuration.load()
    assert settings.webhooks[0].url == endpoint["url"]
    assert configuration.secrets(settings) == [secret]
    shown = {value.name: value for value in configuration.values(settings)}["webhooks"]
    assert (shown.shown, shown.source) == ("ci (ci.example.com)", "freehold.toml")
    assert configuration.unknown_names() == []

    events = ["session.deleted"]
    monkeypatch.setenv("FREEHOLD_WEBHOOKS", json.dumps([{**endpoint, "events": events}]))
    assert list(configuration.load().webhooks[0].events) == events
    for wrong in ([{**endpoint, "secret": CANARY}], [endpoint, endpoint], "nothing"):
        monkeypatch.setenv("FREEHOLD_WEBHOOKS", json.dumps(wrong))
        with pytest.raises(ConfigurationError, match="FREEHOLD_WEBHOOKS") as caught:
            configuration.load()
        assert CANARY not in str(caught.value)
    monkeypatch.setenv("FREEHOLD_WEBHOOKS", "{")
    with pytest.raises(ConfigurationError, match="webhooks"):
        configuration.load()
