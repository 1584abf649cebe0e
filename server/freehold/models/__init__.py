"""Adapters of :class:`freehold.ports.model.Model`: a Messages API, and the offline script."""

from __future__ import annotations

from pathlib import Path

from freehold.errors import ConfigurationError
from freehold.models.demo import demo_messages
from freehold.models.scripted import ScriptedModel
from freehold.models.yaml_script import YamlScript
from freehold.ports.model import Model
from freehold.settings import Settings

__all__ = ["ScriptedModel", "YamlScript", "build_model", "demo_messages"]


def build_model(settings: Settings) -> Model:
    """The model that the settings name.

    Raises:
        ConfigurationError: ``FREEHOLD_MODEL`` is none of its values, the script is unusable, or
            the base URL or the certificates are.
    """
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
        script = YamlScript.load(Path(argument).expanduser()) if argument else None
        return ScriptedModel(script, latency=settings.scripted_latency)
    raise ConfigurationError(
        "FREEHOLD_MODEL must be `upstream`, `scripted` or `scripted:FILE.yaml`, "
        f"not {settings.model!r}"
    )
