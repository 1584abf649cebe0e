"""Endpoints of webhooks on the wire (spec 20.1, appendix B).

The signing secret is in the two answers that give it once, and in no other.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from freehold.api.requests import INTEGER, Params, Query
from freehold.api.schemas import Shown, Timestamp
from freehold.core import limits
from freehold.core.webhooks import Fired, Silent

DataType = Literal[Fired, Silent]
State = Literal["enabled", "disabled"]

_Url = Annotated[str, StringConstraints(min_length=1, max_length=limits.WEBHOOK_URL)]
_Name = Annotated[str, StringConstraints(max_length=limits.WEBHOOK_NAME)]
_Description = Annotated[str, StringConstraints(max_length=limits.WEBHOOK_DESCRIPTION)]


class WebhookCreateParams(Params):
    """Body of ``POST /v1/organizations/webhooks``."""

    url: _Url
    enabled_events: Annotated[list[DataType], Field(min_length=1)]
    name: _Name = ""
    description: _Description = ""


class WebhookUpdateParams(Params):
    """Body of ``POST /v1/organizations/webhooks/{id}``; what is left out stays."""

    url: _Url | None = None
    enabled_events: list[DataType] | None = None
    """Replaces the whole set; an empty list leaves it unchanged."""
    name: _Name | None = None
    description: _Description | None = None
    state: State | None = None


class WebhookListQuery(Query):
    """Parameters of ``GET /v1/organizations/webhooks``."""

    limit: Annotated[int, Field(ge=0, le=limits.WEBHOOKS_PAGE_MAX), INTEGER] = 0
    after_id: str | None = None
    before_id: str | None = None
    order: Literal["asc", "desc"] = "desc"


class WebhookEndpoint(Shown):
    """An endpoint."""

    id: str
    url: str
    name: str
    description: str
    enabled_events: list[str]
    state: State
    disabled_reason: str
    created_at: Timestamp
    updated_at: Timestamp


class NewWebhookEndpoint(WebhookEndpoint):
    """An endpoint that was just made, with the secret that no other answer gives."""

    signing_secret: str = Field(repr=False)


class SigningSecret(Shown):
    """A new signing secret."""

    signing_secret: str = Field(repr=False)


class DeletedWebhookEndpoint(Shown):
    """What is left of an endpoint."""

    id: str
    type: Literal["webhook_endpoint_deleted"]


class WebhookEndpointPage(Shown):
    """A page of endpoints."""

    data: list[WebhookEndpoint]
    has_more: bool
    first_id: str | None
    last_id: str | None
