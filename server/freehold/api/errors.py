"""The error envelope, rendered in one place (spec 1.3, 1.4)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from freehold.api import reach, responses
from freehold.errors import ApiError, MethodNotAllowed, NotFound

INTERNAL = "Internal server error"

_AGENT = re.compile(r"/v1/agents/[^/]+")
"""Deleting one was recorded as a path that is not there, in these words (spec 2.1)."""

_CAPITALS = ("/v1/deployments/", "/v1/dreams/")
"""Below these, unknown paths were recorded with a capital (spec 1.1)."""
NO_SUCH_METHOD = (
    "Not found: of the organization's methods this server has those of workspaces and API keys, "
    "since it has no users, invites, roles or bills."
)
_CAPITAL = ("/v1/deployments", "/v1/deployment_runs")
"""Where the text for unknown paths is another (spec 1.1)."""


def envelope(error_type: str, message: str, details: Any, request_id: str | None) -> dict[str, Any]:
    """The body of every answer that is not a success."""
    error: dict[str, Any] = {"type": error_type, "message": message}
    if details is not None:
        error["details"] = details
    return {"type": "error", "error": error, "request_id": request_id}


def render(error: ApiError, request_id: str | None) -> Response:
    """What the client is told of an error raised on purpose."""
    headers: dict[str, str] = {}
    if error.should_retry is not None:
        headers["x-should-retry"] = "true" if error.should_retry else "false"
    if error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after))
    body = envelope(error.error_type, error.message, error.details, request_id)
    body["error"] |= error.fields
    return responses.json(body, error.status, headers)


def render_unexpected(request_id: str | None) -> Response:
    """What the client is told of a bug: that there is one, and under which id to look it up."""
    return responses.json(envelope("api_error", INTERNAL, None, request_id), 500)


async def _from_router(request: Request, raised: Exception) -> Response:
    """Answer for paths and methods that no route takes."""
    status = raised.status_code if isinstance(raised, HTTPException) else 404
    request_id = request.scope.get("state", {}).get("request_id")
    if request.method == "DELETE" and _AGENT.fullmatch(request.url.path):
        return render(NotFound("not found", should_retry=False), request_id)
    if status == MethodNotAllowed.status:
        answer = render(MethodNotAllowed("Method Not Allowed"), request_id)
        answer.headers["allow"] = ", ".join(allowed_methods(request))
        return answer
    if reach.is_organization(request.url.path):
        return render(NotFound(NO_SUCH_METHOD, should_retry=False), request_id)
    late = request.url.path.startswith(_CAPITAL)
    return render(NotFound("Not Found" if late else "Not found", should_retry=False), request_id)


def allowed_methods(request: Request) -> list[str]:
    """Every method that some route takes on the request's path."""
    methods: set[str] = set()
    for route in _routes(request.app.routes):
        match, _ = route.matches(request.scope)
        if match != Match.NONE:
            methods |= set(getattr(route, "methods", None) or ())
    return sorted(methods)


def _routes(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    # An included router is one entry; what it matches is asked of its own routes.
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield route
        else:
            yield from _routes(inner.routes)


def install(app: FastAPI) -> None:
    """Have the framework's own refusals look like the API's."""
    app.add_exception_handler(HTTPException, _from_router)
