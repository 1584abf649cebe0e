"""Adapters of :class:`freehold.ports.model.Model`: a Messages API, the offline script, and a table
of routes to several of them."""

from __future__ import annotations

from pathlib import Path

from freehold.errors import ConfigurationError
from freehold.models.route_table import (
    RouteForm,
    build_catalog,
    load_table,
    table_secrets,
)
from freehold.models.routed import Provider, RoutedModel
from freehold.models.scripted.demo import demo_messages
from freehold.models.scripted.model import ScriptedModel
from freehold.models.scripted.provider import ScriptedProvider
from freehold.models.scripted.yaml_script import YamlScript
from freehold.settings import Settings

__all__ = [
    "ScriptedModel",
    "ScriptedProvider",
    "YamlScript",
    "build_catalog",
    "build_model",
    "demo_messages",
    "table_secrets",
]


def build_model(settings: Settings) -> Provider:
    """The model that the settings name, behind the table of routes if there is one.

    Raises:
        ConfigurationError: ``FREEHOLD_MODEL`` is none of its values, a script is unusable, or
            the table, a base URL, a key or the certificates are.
    """
    default = _default(settings)
    table = load_table(settings)
    if not table.models:
        return default
    return RoutedModel(table, [_routed(route, settings) for route in table.models], default)


def _default(settings: Settings) -> Provider:
    kind, _, argument = settings.model.partition(":")
    if kind == "upstream" and not argument:
        # The SDK takes a second and 50 MB to load, which an offline server has no use for.
        from freehold.models.upstream import UpstreamModel  # noqa: PLC0415

        key = settings.model_api_key
        return UpstreamModel(
            settings.model_base_url,
            key.get_secret_value() if key else None,
            extra_ca_certs=settings.extra_ca_certs,
            # The harness retries where clients can see it, and across restarts.
            max_retries=0,
        )
    if kind == "scripted":
        return _scripted(argument, settings)
    raise ConfigurationError(
        "FREEHOLD_MODEL must be `upstream`, `scripted` or `scripted:FILE.yaml`, "
        f"not {settings.model!r}"
    )


def _scripted(path: str, settings: Settings) -> ScriptedProvider:
    script = YamlScript.load(Path(path).expanduser()) if path else None
    return ScriptedProvider(script, latency=settings.scripted_latency)


def _routed(route: RouteForm, settings: Settings) -> Provider:
    if route.scripted:
        return _scripted(route.scripted if isinstance(route.scripted, str) else "", settings)
    from freehold.models.upstream import UpstreamModel  # noqa: PLC0415

    key = settings.model_api_key
    own = route.key()
    if own is None and route.base_url is None and key is not None:
        own = key.get_secret_value()  # another name for a model of the default server's
    return UpstreamModel(
        route.base_url or settings.model_base_url,
        own,
        extra_ca_certs=settings.extra_ca_certs,
        max_retries=0,
        overrides=route.overrides(),
        setting=f"the route {route.id!r} of FREEHOLD_MODELS",
    )
