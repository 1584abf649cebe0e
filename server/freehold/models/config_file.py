"""Reading the files that settings name, TOML or YAML, with mistakes told by setting and place."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from freehold.errors import ConfigurationError

FormT = TypeVar("FormT", bound=BaseModel)


def read(path: Path, form: type[FormT], setting: str) -> FormT:
    """The file as ``form``; decimal numbers stay exact.

    Raises:
        ConfigurationError: it cannot be read, is neither TOML nor YAML, or is not what ``form``
            says. The text names ``setting`` and never repeats a value, which may be a key.
    """
    path = path.expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{setting}: {path} cannot be read: {error}") from None
    try:
        return form.model_validate(_parsed(path, text))
    except (tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        kind = "YAML" if isinstance(error, yaml.YAMLError) else "TOML"
        raise ConfigurationError(f"{setting}: {path} is not valid {kind}: {error}") from None
    except ValidationError as error:
        raise ConfigurationError(f"{setting}: {path}: {_complaints(error)}") from None


def _parsed(path: Path, text: str) -> Any:
    if path.suffix in {".yaml", ".yml"}:
        return yaml.load(text, _ExactLoader) or {}  # noqa: S506 - a SafeLoader
    return tomllib.loads(text, parse_float=Decimal)


class _ExactLoader(yaml.SafeLoader):
    """YAML whose numbers with a point are decimals."""


def _decimal(loader: _ExactLoader, node: yaml.ScalarNode) -> Decimal:
    return Decimal(str(loader.construct_scalar(node)).replace("_", ""))


_ExactLoader.add_constructor("tag:yaml.org,2002:float", _decimal)


def _complaints(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg']}"
        for item in error.errors(include_input=False, include_url=False, include_context=False)
    )
