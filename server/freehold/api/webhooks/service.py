"""What happens to endpoints of webhooks (spec 20.1). Never commits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from freehold.api.webhooks.schemas import (
    WebhookCreateParams,
    WebhookEndpoint,
    WebhookEndpointPage,
    WebhookListQuery,
    WebhookUpdateParams,
)
from freehold.core import limits
from freehold.core.addresses import Network
from freehold.core.ids import is_id
from freehold.core.webhook_endpoints import url_problem
from freehold.core.webhooks import OVERLAP, new_secret
from freehold.errors import InvalidRequest, NotFound
from freehold.ports.clock import Clock
from freehold.store import webhook_endpoints
from freehold.store.sealing import Sealer
from freehold.store.units import ReadSession, WriteSession
from freehold.store.webhook_endpoints import EndpointRow


async def create(
    tx: WriteSession,
    workspace_id: str,
    params: WebhookCreateParams,
    *,
    networks: Sequence[Network],
    sealer: Sealer,
    clock: Clock,
) -> tuple[EndpointRow, str]:
    """Store a new endpoint; with it its secret, which is not to be had again.

    Raises:
        InvalidRequest: nothing may be delivered to its URL, or there are too many.
    """
    _check_url(params.url, networks)
    others = await webhook_endpoints.of_workspace(tx, workspace_id, for_update=True)
    if sum(not other.configured for other in others) >= limits.WEBHOOK_ENDPOINTS:
        raise InvalidRequest(
            f"an organization can have at most {limits.WEBHOOK_ENDPOINTS} webhook endpoints"
        )
    now = clock.now()
    endpoint_id = clock.mint("whep")
    secret = new_secret(os.urandom)
    endpoint = EndpointRow(
        id=endpoint_id,
        workspace_id=workspace_id,
        configured=False,
        url=params.url,
        name=params.name,
        description=params.description,
        enabled_events=list(dict.fromkeys(params.enabled_events)),
        enabled=True,
        disabled_reason="",
        secret=sealer.seal(endpoint_id, {"secret": secret}),
        old_secret=None,
        overlap_until=None,
        failing_since=None,
        created_at=now,
        updated_at=now,
    )
    await webhook_endpoints.insert(tx, endpoint)
    return endpoint, secret


async def find(
    session: ReadSession, workspace_id: str, endpoint_id: str, *, for_update: bool = False
) -> EndpointRow:
    """An endpoint.

    Raises:
        NotFound: no such endpoint; what is no id is not there either (spec 1.4).
    """
    endpoint = None
    if is_id("whep", endpoint_id):
        endpoint = await webhook_endpoints.get(
            session, workspace_id, endpoint_id, for_update=for_update
        )
    if endpoint is None:
        raise NotFound(f"Webhook endpoint not found: {endpoint_id[:200]}")
    return endpoint


async def listed(
    session: ReadSession, workspace_id: str, query: WebhookListQuery
) -> WebhookEndpointPage:
    """A page of endpoints. ``before_id`` gives the first that come before it, not the nearest.

    Raises:
        InvalidRequest: a cursor names no endpoint, or both are given.
    """
    if query.after_id is not None and query.before_id is not None:
        raise InvalidRequest("Only one of after_id or before_id may be set.")
    rows = await webhook_endpoints.of_workspace(session, workspace_id)
    if query.order == "desc":
        rows.reverse()
    if query.after_id is not None:
        rows = rows[_place(rows, query.after_id, "after_id") + 1 :]
    elif query.before_id is not None:
        rows = rows[: _place(rows, query.before_id, "before_id")]
    page = rows[: query.limit or limits.PAGE_DEFAULT]
    return WebhookEndpointPage(
        data=[shown(row) for row in page],
        has_more=len(rows) > len(page),
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
    )


def _place(rows: Sequence[EndpointRow], endpoint_id: str, name: str) -> int:
    for place, row in enumerate(rows):
        if row.id == endpoint_id:
            return place
    raise InvalidRequest(f"{name}: no webhook endpoint {endpoint_id[:200]}")


async def update(
    tx: WriteSession,
    workspace_id: str,
    endpoint_id: str,
    params: WebhookUpdateParams,
    *,
    networks: Sequence[Network],
    clock: Clock,
) -> EndpointRow:
    """Change what is given. One that is disabled loses what was on its way to it.

    Raises:
        NotFound: no such endpoint.
        InvalidRequest: nothing may be delivered to the URL, or the settings name the endpoint.
    """
    stored = await find(tx, workspace_id, endpoint_id, for_update=True)
    if params.model_fields_set - {"state"}:
        _check_own(stored)
    changed = stored
    if params.url is not None and params.url != stored.url:
        _check_url(params.url, networks)
        changed = replace(changed, url=params.url, failing_since=None)
    if params.enabled_events:
        events = list(dict.fromkeys(params.enabled_events))
        changed = replace(changed, enabled_events=events)
    if params.name is not None:
        changed = replace(changed, name=params.name)
    if params.description is not None:
        changed = replace(changed, description=params.description)
    if params.state is not None and (params.state == "enabled") != stored.enabled:
        changed = replace(
            changed, enabled=params.state == "enabled", disabled_reason="", failing_since=None
        )
    if changed == stored:
        return stored
    changed = replace(changed, updated_at=clock.now())
    await webhook_endpoints.update(tx, changed)
    return changed


async def delete(tx: WriteSession, workspace_id: str, endpoint_id: str) -> None:
    """Remove it, and what was on its way to it.

    Raises:
        NotFound: no such endpoint. InvalidRequest: the settings name it.
    """
    stored = await find(tx, workspace_id, endpoint_id, for_update=True)
    _check_own(stored)
    await webhook_endpoints.delete(tx, stored)


async def regenerate(
    tx: WriteSession, workspace_id: str, endpoint_id: str, *, sealer: Sealer, clock: Clock
) -> str:
    """A new signing secret. For a day deliveries carry the old one's signature too.

    Raises:
        NotFound: no such endpoint. InvalidRequest: the settings name it.
    """
    stored = await find(tx, workspace_id, endpoint_id, for_update=True)
    _check_own(stored)
    secret = new_secret(os.urandom)
    now = clock.now()
    changed = replace(
        stored,
        secret=sealer.seal(stored.id, {"secret": secret}),
        old_secret=stored.secret,
        overlap_until=now + OVERLAP,
        updated_at=now,
    )
    await webhook_endpoints.update(tx, changed)
    return secret


def _check_url(url: str, networks: Sequence[Network]) -> None:
    if (problem := url_problem(url, networks)) is not None:
        raise InvalidRequest(f"url: {problem}")


def _check_own(endpoint: EndpointRow) -> None:
    if endpoint.configured:
        raise InvalidRequest(
            f"Webhook endpoint {endpoint.id} is named in the server's settings "
            f"(`{endpoint.name}`); only its `state` can be changed here"
        )


def shown(row: EndpointRow) -> WebhookEndpoint:
    """The endpoint as the API shows it."""
    return WebhookEndpoint(
        id=row.id,
        url=row.url,
        name=row.name,
        description=row.description,
        enabled_events=list(row.enabled_events),
        state="enabled" if row.enabled else "disabled",
        disabled_reason=row.disabled_reason,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
