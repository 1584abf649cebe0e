"""The file of prices: exact in TOML and YAML, and mistakes told by their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.core.events import ModelUsage
from freehold.core.prices import list_price
from freehold.errors import ConfigurationError
from freehold.models import build_catalog
from freehold.settings import Settings

TOML = """
[models."qwen*"]
input = 0.1
output = 1
[models."claude-opus-5"]
input = 4.5
output = "22.5"
cache_read = 0.123456
[models."claude-opus-5".fast]
input = 9
output = 45
[models."claude-opus-5".long]
above = 10
input = 5
output = 30
"""
YAML = """
models:
  "qwen*": {input: 0.1, output: 1}
  claude-opus-5:
    input: 4.5
    output: "22.5"
    cache_read: 0.123456
    fast: {input: 9, output: 45}
    long: {above: 10, input: 5, output: 30}
  claude-opus-4-8: false
"""


def settings(path: Path, text: str) -> Settings:
    path.write_text(text)
    return Settings(prices=path)


@pytest.mark.parametrize(("name", "text"), [("p.toml", TOML), ("p.yaml", YAML)])
def test_both_forms_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    prices = build_catalog(settings(tmp_path / name, text))
    qwen = prices.price("qwen3:8b")
    assert qwen is not None
    assert qwen.standard.model_dump() == {
        "input": 100_000,
        "output": 1_000_000,
        "cache_write": 125_000,
        "cache_read": 10_000,
    }
    opus = prices.price("claude-opus-5")
    assert opus is not None and opus.fast is not None
    assert opus.standard.cache_read == 123_456
    assert opus.fast.output == 45_000_000
    long = opus.rates(ModelUsage(input_tokens=11))
    assert long is not None and long.input == 5_000_000
    assert prices.price("claude-sonnet-5") == list_price("claude-sonnet-5")


def test_false_takes_a_price_away(tmp_path: Path) -> None:
    assert build_catalog(settings(tmp_path / "p.yaml", YAML)).price("claude-opus-4-8") is None


def test_without_a_file_anthropic_s_list_holds() -> None:
    assert build_catalog(Settings()).price("claude-opus-5") == list_price("claude-opus-5")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("models = 1", "models: Input should be a valid dictionary"),
        ('[models."x"]\ninput = 1', "models.x.PriceForm.output: Field required"),
        ('[models."x"]\ninput = -1\noutput = 1', "a price must be 0 or more"),
        ('[models."x"]\ninput = 0.0000001\noutput = 1', "at most six decimals"),
        ("[models", "is not valid TOML"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^FREEHOLD_PRICES: ") as caught:
        build_catalog(settings(tmp_path / "p.toml", text))
    assert told in str(caught.value)


def test_a_missing_file_and_bad_yaml_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        build_catalog(Settings(prices=tmp_path / "none.toml"))
    with pytest.raises(ConfigurationError, match="is not valid YAML"):
        build_catalog(settings(tmp_path / "p.yml", "models: ["))
