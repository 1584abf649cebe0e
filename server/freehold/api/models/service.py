"""Which models there are, as the table of routes and general knowledge say (spec 21)."""

from __future__ import annotations

from typing import cast, get_args

from freehold.api.models.schemas import Line, ModelInfo, ModelListQuery, ModelPage
from freehold.core.catalog import Catalog, ListedModel
from freehold.core.model_catalog import identify
from freehold.errors import InvalidRequest, NotFound

UNKNOWN_DATE = "1970-01-01T00:00:00Z"
"""What the API gives for a release date that is not known."""


def find(catalog: Catalog, model_id: str) -> ModelInfo:
    """A model, listed or not, if requests for it have somewhere to go.

    Raises:
        NotFound: they have not.
    """
    model = catalog.find(model_id)
    if model is None:
        raise NotFound(f"model: {model_id[:200]}")
    return shown(catalog, model)


def listed(catalog: Catalog, query: ModelListQuery) -> ModelPage:
    """A page of the models that are listed.

    Raises:
        InvalidRequest: a cursor names no listed model, or both cursors are given.
    """
    models = list(catalog.listed)
    if query.lifecycle and "active" not in query.lifecycle:
        models = []
    if query.after_id is not None and query.before_id is not None:
        raise InvalidRequest("Only one of after_id or before_id may be set.")
    before = query.before_id is not None
    if query.after_id is not None:
        models = models[_place(catalog, query.after_id, "after_id") + 1 :]
    elif query.before_id is not None:
        models = models[: _place(catalog, query.before_id, "before_id")]
    page = models[-query.limit :] if before else models[: query.limit]
    return ModelPage(
        data=[shown(catalog, model) for model in page],
        has_more=len(models) > len(page),
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
    )


def _place(catalog: Catalog, model_id: str, name: str) -> int:
    for place, model in enumerate(catalog.listed):
        if model.id == model_id:
            return place
    raise InvalidRequest(f"{name}: no model {model_id[:200]} is listed")


def shown(catalog: Catalog, model: ListedModel) -> ModelInfo:
    """The model as the API shows it."""
    capabilities = catalog.capabilities(model.id)
    known = identify(model.id)
    line = known[0] if known is not None and known[0] in get_args(Line) else None
    return ModelInfo(
        id=model.id,
        type="model",
        display_name=model.display_name or model.id,
        created_at=UNKNOWN_DATE,
        lifecycle="active",
        deprecated_at=None,
        retires_at=None,
        line=cast("Line | None", line),
        max_input_tokens=capabilities.context_window,
        max_tokens=capabilities.max_output_tokens,
        capabilities=None,
        allowed_fallback_models=None,
    )
