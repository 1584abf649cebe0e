"""The table that sends models to servers (docs/MODELS.md)."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from datetime import date
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from freehold.core.catalog import Catalog
from freehold.core.model_catalog import (
    KNOWN_MODELS,
    Effort,
    ModelCapabilities,
    ThinkingStyle,
    describe,
    identify,
)
from freehold.core.model_listing import LISTED_MODELS, Lifecycle, ListedModel, line_of
from freehold.core.prices import ModelPrice, PriceList
from freehold.errors import ConfigurationError
from freehold.models import config_file
from freehold.models.price_file import PriceForm, own_prices
from freehold.settings import Settings

SETTING = "FREEHOLD_MODELS"

_Name = Annotated[str, Field(min_length=1)]
_GLOB = frozenset("*?[")


class RouteForm(BaseModel):
    """One route. Capabilities that are not given are what the upstream's model id says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: _Name
    """How clients name the model: an id, or a glob pattern such as ``claude-*``."""
    upstream: _Name | None = None
    """How the server behind names it; the same if it is left out."""
    base_url: str | None = None
    api_key: SecretStr | None = None
    api_key_env: _Name | None = None
    scripted: bool | _Name = False
    """Instead of a server the offline script: the built-in one, or that of a file."""
    display_name: _Name | None = None
    """What ``GET /v1/models`` shows; the next four as well."""
    created_at: date | None = None
    lifecycle: Lifecycle | None = None
    deprecated_at: date | None = None
    retires_at: date | None = None
    context_window: int | None = Field(default=None, ge=1)
    max_output_tokens: int | None = Field(default=None, ge=1)
    thinking: ThinkingStyle | None = None
    efforts: tuple[Effort, ...] | None = None
    default_effort: Effort | None = None
    fast: bool | None = None
    images: bool | None = None
    cache_breakpoints: bool | None = None
    system_messages: bool | None = None
    price: PriceForm | Literal[False] | None = None
    fallbacks: tuple[_Name, ...] = ()
    """Other ids of this table, tried in this order when the server is overloaded or down."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.scripted and (self.base_url or self.api_key or self.api_key_env):
            raise ValueError("`scripted` has no server: leave out base_url and keys")
        if self.api_key and self.api_key_env:
            raise ValueError("give api_key or api_key_env, not both")
        if self.lifecycle in (None, "active") and (self.deprecated_at or self.retires_at):
            raise ValueError("deprecated_at and retires_at need a lifecycle other than active")
        if self.is_pattern and self._shown().keys() - {"display_name"}:
            raise ValueError("lifecycle and dates are for a route of one model, not for a pattern")
        return self

    @property
    def is_pattern(self) -> bool:
        """Whether the id stands for several."""
        return not _GLOB.isdisjoint(self.id)

    def upstream_id(self, model_id: str) -> str:
        """The name of a model of this route on its server."""
        return self.upstream or model_id

    def overrides(self) -> dict[str, object]:
        """The capabilities that are given."""
        given = {field.name: getattr(self, field.name) for field in fields(ModelCapabilities)}
        return {name: value for name, value in given.items() if value is not None}

    def listed(self) -> ListedModel:
        """The route's model for a list; what is known of a Claude model holds for it too, unless
        the route gives its name to another."""
        own = self.upstream in (None, self.id)
        known = next((m for m in LISTED_MODELS if own and self.id in (m.id, *m.aliases)), None)
        model = known or ListedModel(self.id, line=line_of(self.upstream_id(self.id)))
        if self.lifecycle is not None:
            model = replace(model, deprecated_at=None, retires_at=None)
        return replace(model, id=self.id, aliases=(), **self._shown())  # type: ignore[arg-type]

    def _shown(self) -> dict[str, object]:
        names = ("display_name", "created_at", "lifecycle", "deprecated_at", "retires_at")
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}

    def capabilities(self, model_id: str) -> ModelCapabilities:
        """What a model of this route can do."""
        return replace(describe(self.upstream_id(model_id)), **self.overrides())  # type: ignore[arg-type]

    def key(self) -> str | None:
        """The key for the server.

        Raises:
            ConfigurationError: the variable that should hold it is not set.
        """
        if self.api_key_env is not None:
            value = os.environ.get(self.api_key_env, "").strip()
            if not value:
                raise ConfigurationError(
                    f"{SETTING}: the route {self.id!r} takes its key from {self.api_key_env}, "
                    "which is not set"
                )
            return value
        return self.api_key.get_secret_value() if self.api_key is not None else None


class RouteTable(BaseModel):
    """The routes; the first whose id or pattern fits is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[RouteForm, ...] = ()

    @model_validator(mode="after")
    def _fallbacks_exist(self) -> Self:
        for route in self.models:
            for name in route.fallbacks:
                if self.route(name) is None:
                    raise ValueError(f"the fallback {name!r} of {route.id!r} is no route")
        return self

    def route(self, model_id: str) -> RouteForm | None:
        """The route of a model; ``None``: the default one."""
        for route in self.models:
            if fnmatchcase(model_id, route.id):
                return route
        return None


def load_table(settings: Settings) -> RouteTable:
    """The table that ``FREEHOLD_MODELS`` names; without one there are no routes.

    Raises:
        ConfigurationError: it cannot be read, or is no such table.
    """
    if settings.models is None:
        return RouteTable()
    return config_file.read(settings.models, RouteTable, SETTING)


def table_secrets(settings: Settings) -> list[str]:
    """The keys of the table, which must never be printed or logged; none if it cannot be read."""
    try:
        routes = load_table(settings).models
    except ConfigurationError:
        return []
    keys = [os.environ.get(r.api_key_env, "") if r.api_key_env else "" for r in routes]
    keys += [r.api_key.get_secret_value() for r in routes if r.api_key is not None]
    return [key for key in keys if key]


def build_catalog(settings: Settings) -> Catalog:
    """What models can do and cost, as table, price file and general knowledge say.

    Raises:
        ConfigurationError: a file cannot be used.
    """
    table = load_table(settings)
    general = PriceList(own_prices(settings))
    prices: list[tuple[str, ModelPrice | None]] = []
    capabilities: list[tuple[str, ModelCapabilities]] = []
    for route in table.models:
        if route.price is not None:
            prices.append((route.id, route.price.price() if route.price else None))
        elif route.upstream is not None:
            prices.append((route.id, general.of(route.upstream)))
        capabilities += _capabilities(route)
    return Catalog(
        PriceList([*prices, *own_prices(settings)]),
        capabilities,
        listed=_listed(table),
        open_to=lambda model_id: (
            table.route(model_id) is not None
            or settings.model_base_url is not None
            or identify(model_id) is not None
        ),
    )


def _capabilities(route: RouteForm) -> list[tuple[str, ModelCapabilities]]:
    """By pattern. Of a pattern that stands for models the server names alike, only what is given
    differs from one to the next; the known ones are told apart."""
    if not route.is_pattern or route.upstream is not None:
        return [(route.id, route.capabilities(route.id))]
    known = [name for name in KNOWN_MODELS if fnmatchcase(name, route.id)]
    found = [(name, route.capabilities(name)) for name in known]
    if route.overrides():
        found.append((route.id, route.capabilities(route.id)))
    return found


def _listed(table: RouteTable) -> list[ListedModel]:
    """The table's own ids first, then the known models, each of which has a route or the default
    one. A name that the table gives to a model of its own is no other's alias."""
    own = [route.listed() for route in table.models if not route.is_pattern]
    seen = {model.id for model in own}
    return own + [
        replace(model, aliases=tuple(name for name in model.aliases if name not in seen))
        for model in LISTED_MODELS
        if model.id not in seen
    ]
