"""``/v1/organizations/webhooks``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import betas, openapi, requests, responses
from freehold.api.deps import services, workspace_id
from freehold.api.idempotency import kept
from freehold.api.webhooks import service
from freehold.api.webhooks.schemas import (
    DeletedWebhookEndpoint,
    NewWebhookEndpoint,
    SigningSecret,
    WebhookCreateParams,
    WebhookEndpoint,
    WebhookEndpointPage,
    WebhookListQuery,
    WebhookUpdateParams,
)

router = APIRouter(prefix="/v1/organizations/webhooks", tags=["webhooks"])
_ENDPOINT = "/{webhook_endpoint_id}"


def _operation(summary: str, answer: type[BaseModel], **more: Any) -> dict[str, Any]:
    return openapi.operation(summary, answer, betas=(betas.WEBHOOKS,), **more)


@router.post(
    "", **_operation("Create a webhook endpoint", NewWebhookEndpoint, body=WebhookCreateParams)
)
async def create_webhook(request: Request) -> Response:
    """The answer has the signing secret, which is sealed at rest and never shown again."""
    params = await requests.read(request, WebhookCreateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        endpoint, secret = await service.create(
            tx,
            workspace_id(request),
            params,
            networks=behind.settings.resolved_webhook_networks,
            sealer=behind.sealer,
            clock=behind.clock,
        )
        fields = service.shown(endpoint).model_dump()
        return await kept(
            request, tx, responses.shown(NewWebhookEndpoint(**fields, signing_secret=secret))
        )


@router.get("", **_operation("List webhook endpoints", WebhookEndpointPage, query=WebhookListQuery))
async def list_webhooks(request: Request) -> Response:
    """Newest first, those of the settings among them."""
    query = requests.query(request, WebhookListQuery)
    async with services(request).database.read() as session:
        page = await service.listed(session, workspace_id(request), query)
    return responses.shown(page)


@router.get(_ENDPOINT, **_operation("Retrieve a webhook endpoint", WebhookEndpoint))
async def retrieve_webhook(request: Request, webhook_endpoint_id: str) -> Response:
    """One endpoint, without its secret."""
    async with services(request).database.read() as session:
        endpoint = await service.find(session, workspace_id(request), webhook_endpoint_id)
    return responses.shown(service.shown(endpoint))


@router.post(
    _ENDPOINT, **_operation("Update a webhook endpoint", WebhookEndpoint, body=WebhookUpdateParams)
)
async def update_webhook(request: Request, webhook_endpoint_id: str) -> Response:
    """Fields that are left out stay. What happens while it is disabled is never delivered."""
    params = await requests.read(request, WebhookUpdateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        endpoint = await service.update(
            tx,
            workspace_id(request),
            webhook_endpoint_id,
            params,
            networks=behind.settings.resolved_webhook_networks,
            clock=behind.clock,
        )
        return await kept(request, tx, responses.shown(service.shown(endpoint)))


@router.delete(_ENDPOINT, **_operation("Delete a webhook endpoint", DeletedWebhookEndpoint))
async def delete_webhook(request: Request, webhook_endpoint_id: str) -> Response:
    """What was on its way to it is dropped."""
    async with services(request).database.write() as tx:
        await service.delete(tx, workspace_id(request), webhook_endpoint_id)
    return responses.shown(
        DeletedWebhookEndpoint(id=webhook_endpoint_id, type="webhook_endpoint_deleted")
    )


@router.post(
    f"{_ENDPOINT}/regenerate_signing_secret",
    **_operation("Replace a webhook endpoint's signing secret", SigningSecret),
)
async def regenerate_signing_secret(request: Request, webhook_endpoint_id: str) -> Response:
    """For a day deliveries carry the old secret's signature beside the new one's."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        secret = await service.regenerate(
            tx,
            workspace_id(request),
            webhook_endpoint_id,
            sealer=behind.sealer,
            clock=behind.clock,
        )
        return await kept(request, tx, responses.shown(SigningSecret(signing_secret=secret)))
