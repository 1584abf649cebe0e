"""``/v1/models``."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import betas, requests, responses
from freehold.api.deps import services
from freehold.api.models import service
from freehold.api.models.schemas import ModelInfo, ModelListQuery, ModelPage
from freehold.api.openapi import operation

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("", **operation("List models", ModelPage, query=ModelListQuery, beta=False))
async def list_models(request: Request) -> Response:
    """The user's own first, then the known ones, newest first."""
    query = requests.query(request, ModelListQuery)
    page = service.listed(services(request).catalog, query, fallbacks=_fallbacks(request))
    return responses.shown(page)


@router.get("/{model_id:path}", **operation("Retrieve a model", ModelInfo, beta=False))
async def retrieve_model(request: Request, model_id: str) -> Response:
    """A model that requests can be sent to, by its id or an alias, listed or not."""
    found = service.find(services(request).catalog, model_id, fallbacks=_fallbacks(request))
    return responses.shown(found)


def _fallbacks(request: Request) -> bool:
    named = betas.parse(request.headers.getlist(betas.HEADER))
    return not named.isdisjoint(betas.FALLBACKS)
