"""Models on the wire (spec 21, appendix B)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from freehold.api.requests import INTEGER, Query
from freehold.api.schemas import Shown
from freehold.core import limits
from freehold.core.model_listing import Lifecycle, Line


class ModelListQuery(Query):
    """Parameters of ``GET /v1/models``."""

    limit: Annotated[int, Field(ge=1, le=limits.MODELS_PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    after_id: str | None = None
    before_id: str | None = None
    lifecycle: Annotated[list[Lifecycle], Field(max_length=3)] = Field(
        default=[], alias="lifecycle[]"
    )


class ModelInfo(Shown):
    """A model that requests can be sent to."""

    id: str
    type: Literal["model"] = "model"
    display_name: str
    created_at: str
    lifecycle: Lifecycle
    deprecated_at: str | None
    retires_at: str | None
    line: Line | None
    max_input_tokens: int | None
    max_tokens: int | None
    capabilities: dict[str, Any] | None
    allowed_fallback_models: list[str] | None = None
    """There for those who name the beta of fallbacks."""


class ModelPage(Shown):
    """A page of models."""

    data: list[ModelInfo]
    has_more: bool
    first_id: str | None
    last_id: str | None
