"""Reading the settings: a mistake is told by name, and every value by where it came from."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsError

from freehold.errors import ConfigurationError
from freehold.models import table_secrets
from freehold.settings import CONFIG_VARIABLE, DEFAULT_CONFIG_FILE, Settings
from freehold.telemetry import MASK, Redactor

PREFIX = "FREEHOLD_"

_TESTS_OWN = "FREEHOLD_TEST_"


@dataclass(frozen=True)
class Value:
    """One setting as it stands: its variable, its value fit to be shown, and where that is from."""

    name: str
    variable: str
    shown: str
    source: str


def load(**options: Any) -> Settings:
    """The settings in force; ``options`` that are not ``None`` come before all other sources.

    Raises:
        ConfigurationError: a value or the configuration file is wrong. The text names the
            setting and never repeats the value, which may be a key.
    """
    _read_file()  # for its errors, which are told better here
    try:
        return Settings(**_given(options))
    except ValidationError as error:
        raise ConfigurationError("; ".join(_complaints(error))) from None
    except SettingsError as error:
        raise ConfigurationError(f"the settings cannot be read: {error}") from None


def secrets(settings: Settings) -> list[str]:
    """The values in the settings that must never be printed or logged."""
    found = [key.get_secret_value() for key in settings.api_keys]
    if settings.model_api_key is not None:
        found.append(settings.model_api_key.get_secret_value())
    found += table_secrets(settings)
    if settings.secret_key is not None:
        found += [part.strip() for part in settings.secret_key.get_secret_value().split(",")]
    for key in (settings.blobs_access_key, settings.blobs_secret_key):
        if key is not None:
            found.append(key.get_secret_value())
    found += [endpoint.secret.get_secret_value() for endpoint in settings.webhooks]
    if settings.web_search_api_key is not None:
        found.append(settings.web_search_api_key.get_secret_value())
    return found


def known_secrets() -> list[str]:
    """As :func:`secrets`, of the settings as they are; none if they cannot be read."""
    try:
        return secrets(load())
    except ConfigurationError:
        return []


def config_file() -> Path:
    """The configuration file that is read if it exists."""
    return Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG_FILE))


def values(settings: Settings, **options: Any) -> list[Value]:
    """Every setting with its value, secrets masked, and its source."""
    file = _read_file()
    given = _given(options)
    found = []
    for name, field in Settings.model_fields.items():
        found.append(
            Value(
                name=name,
                variable=variable(name),
                shown=_shown(getattr(settings, name)),
                source=_source(name, field, given, file),
            )
        )
    return found


def unknown_names() -> list[str]:
    """Variables and keys of the file that look like settings and are none: spelling mistakes."""
    known = {n.upper() for name, field in Settings.model_fields.items() for n in _env(name, field)}
    known.add(CONFIG_VARIABLE)
    strange = [
        name
        for name in os.environ
        if name.upper().startswith(PREFIX)
        and not name.upper().startswith(_TESTS_OWN)
        and name.upper() not in known
    ]
    in_file = [
        f"{key} (in {config_file()})" for key in _read_file() if key not in Settings.model_fields
    ]
    return sorted(strange) + sorted(in_file)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _read_file() -> dict[str, Any]:
    path = config_file()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if CONFIG_VARIABLE in os.environ:
            raise ConfigurationError(
                f"{CONFIG_VARIABLE}: {path} does not exist; create it or unset {CONFIG_VARIABLE}"
            ) from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from None


def _complaints(error: ValidationError) -> Iterator[str]:
    names = {
        alias.upper(): name
        for name, field in Settings.model_fields.items()
        for alias in (name, *_env(name, field))
    }
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        first = str(item["loc"][0]) if item["loc"] else ""
        name = names.get(first.upper(), first)
        yield f"{variable(name)}: {item['msg']}"


def _env(name: str, field: FieldInfo) -> list[str]:
    """The variables that set a field, the first of them wins."""
    if isinstance(field.validation_alias, AliasChoices):
        return [str(choice) for choice in field.validation_alias.choices]
    return [variable(name)]


def _source(name: str, field: FieldInfo, given: Mapping[str, Any], file: Mapping[str, Any]) -> str:
    if name in given:
        return "option"
    environment = {key.upper(): key for key, value in os.environ.items() if value}
    for candidate in _env(name, field):
        if candidate.upper() in environment:
            return environment[candidate.upper()]
    if name in file:
        return str(config_file())
    return "default"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, tuple):
        return ", ".join(_shown(item) for item in value)
    return Redactor().text(str(value))
