"""Which models there are, as the table of routes and general knowledge say (spec 21)."""

from __future__ import annotations

from datetime import date

from freehold.api.models.schemas import ModelInfo, ModelListQuery, ModelPage
from freehold.core.catalog import Catalog
from freehold.core.model_listing import ListedModel
from freehold.errors import InvalidRequest, NotFound

UNKNOWN_DATE = "1970-01-01T00:00:00Z"
"""What the API gives for a release date that is not known."""
_BY_DEFAULT = ("active", "deprecated")


def find(catalog: Catalog, model_id: str, *, fallbacks: bool = False) -> ModelInfo:
    """A model by its id or an alias, listed or not, if requests for it have somewhere to go.

    Raises:
        NotFound: they have not.
    """
    model = catalog.find(model_id)
    if model is None:
        raise NotFound(f"model: {model_id[:200]}")
    return shown(catalog, model, fallbacks=fallbacks)


def listed(catalog: Catalog, query: ModelListQuery, *, fallbacks: bool = False) -> ModelPage:
    """A page of the models that are listed.

    A cursor may name any of them, also one that the filter leaves out.

    Raises:
        InvalidRequest: a cursor names no listed model, or both cursors are given.
    """
    models = list(catalog.listed)
    if query.after_id is not None and query.before_id is not None:
        raise InvalidRequest("Only one of after_id or before_id may be set.")
    backwards = query.before_id is not None
    if query.after_id is not None:
        models = models[_place(catalog, query.after_id, "after_id") + 1 :]
    elif query.before_id is not None:
        models = models[: _place(catalog, query.before_id, "before_id")]
    models = [model for model in models if model.lifecycle in (query.lifecycle or _BY_DEFAULT)]
    page = models[-query.limit :] if backwards else models[: query.limit]
    return ModelPage(
        data=[shown(catalog, model, fallbacks=fallbacks) for model in page],
        has_more=len(models) > len(page),
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
    )


def _place(catalog: Catalog, model_id: str, name: str) -> int:
    for place, model in enumerate(catalog.listed):
        if model.id == model_id:
            return place
    raise InvalidRequest(f"{name}: no model {model_id[:200]} is listed")


def shown(catalog: Catalog, model: ListedModel, *, fallbacks: bool) -> ModelInfo:
    """The model as the API shows it; with ``fallbacks`` as the beta of that name does."""
    capabilities = catalog.capabilities(model.id)
    info = ModelInfo(
        id=model.id,
        type="model",
        display_name=model.display_name or model.id,
        created_at=_moment(model.created_at) or UNKNOWN_DATE,
        lifecycle=model.lifecycle,
        deprecated_at=_moment(model.deprecated_at),
        retires_at=_moment(model.retires_at),
        line=model.line,
        max_input_tokens=capabilities.context_window,
        max_tokens=capabilities.max_output_tokens,
        capabilities=None,
    )
    if fallbacks:
        info.allowed_fallback_models = None
    return info


def _moment(day: date | None) -> str | None:
    return None if day is None else f"{day.isoformat()}T00:00:00Z"
