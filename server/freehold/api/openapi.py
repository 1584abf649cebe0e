"""The OpenAPI document, from the same models that read requests and write answers.

Routes read bodies and queries by hand, so FastAPI cannot see them; :func:`operation` says them.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import UnionType
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from freehold import __version__
from freehold.api import links
from freehold.api.betas import MANAGED_AGENTS
from freehold.api.requests import Query
from freehold.api.schemas import ErrorEnvelope

_BOOLEANS = ["true", "false"]
_REF = "#/components/schemas/{model}"
_bodies: set[type[BaseModel]] = {ErrorEnvelope}

_REFUSALS = {
    400: "The request is malformed, or not allowed in the present state",
    401: "No key, or not a known one",
    404: "No such object, or the beta header is missing",
    413: "The body is too large",
    500: "A bug",
}
_CONFLICT = "A precondition failed"
_FORBIDDEN = "The key does not reach this"
_EVERYWHERE = {
    403: "The key does not reach this",
    429: "Over a rate limit, where there are any",
    529: "Something that is needed cannot be had at the moment",
}
"""Refusals that no route knows of itself."""


def _header(description: str, *, required: bool = False, **schema: Any) -> dict[str, Any]:
    described = {"description": description, "schema": {"type": "string", **schema}}
    return {**described, "required": True} if required else described


_HEADERS = {
    "request-id": _header("Identifies the request", required=True, pattern="^req_"),
    "anthropic-organization-id": _header(
        "Whose server it is", required=True, pattern="^[0-9a-f-]{36}$"
    ),
}
_WORKSPACE = {"anthropic-workspace-id": _header("The workspace of the request")}
_RETRY = {
    "retry-after": _header("Seconds to wait before another try", pattern="^[0-9]+$"),
    "x-should-retry": _header("Overrides what clients think of trying again", enum=_BOOLEANS),
}
_RATES = {
    f"anthropic-ratelimit-requests-{name}": _header(f"{text}, where there is a rate limit")
    for name, text in (
        ("limit", "Requests a minute"),
        ("remaining", "How many are left"),
        ("reset", "When all of them will be there again"),
    )
}
_PASSED_ON = "/v1/messages"
_ORGANIZATION = "/v1/organizations"
_EVENT_STREAM = "text/event-stream"


def operation(
    summary: str,
    answer: type[BaseModel] | UnionType | None,
    *,
    body: type[BaseModel] | None = None,
    query: type[Query] | None = None,
    conflict: bool = False,
    forbidden: bool = False,
    precondition: bool = False,
    stream: str | None = None,
    beta: bool = True,
    betas: Sequence[str] = (MANAGED_AGENTS,),
    media_type: str = "application/json",
    content: str | None = None,
) -> dict[str, Any]:
    """Arguments of a route decorator.

    ``stream`` describes an answer of server-sent events instead of a JSON object, ``content`` one
    of a file's bytes; ``media_type`` is the body's; ``beta`` is whether the endpoint needs the beta
    header, ``betas`` of which it must name one.
    """
    extra: dict[str, Any] = {}
    if body is not None:
        _bodies.add(body)
        schema = {"$ref": _REF.format(model=body.__name__)}
        extra["requestBody"] = {
            "required": True,
            "content": {media_type: {"schema": schema}},
        }
    parameters = [_beta(betas)] if beta else []
    if query is not None:
        parameters += _parameters(query)
    if stream is not None:
        parameters.append(_LAST_EVENT_ID)
    extra["parameters"] = parameters
    refusals = _REFUSALS | ({409: _CONFLICT} if conflict else {})
    if forbidden:
        refusals |= {403: _FORBIDDEN}
    if precondition:
        refusals |= {412: _CONFLICT}
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": _ERROR} for status, text in refusals.items()
    }
    responses[200] = {"description": "Success"}
    if stream is not None:
        responses[200]["content"] = {_EVENT_STREAM: {"schema": {"type": "string"}}}
        responses[200]["description"] = stream
    if content is not None:
        binary = {"schema": {"type": "string", "format": "binary"}}
        responses[200] |= {"description": content, "content": {"*/*": binary}}
        responses[206] = {**responses[200], "description": "The part that `Range` asks for"}
        responses[416] = {**responses[400], "description": "`Range` lies outside of the file"}
    return {
        "summary": summary,
        "response_model": answer,
        "responses": responses,
        "openapi_extra": extra,
    }


_ERROR = {"application/json": {"schema": {"$ref": _REF.format(model="ErrorEnvelope")}}}


def _beta(betas: Sequence[str]) -> dict[str, Any]:
    names = " or ".join(f"`{name}`" for name in betas)
    return {
        "name": "anthropic-beta",
        "in": "header",
        "required": True,
        "description": f"Comma-separated betas; must name {names}.",
        "schema": {"type": "string", "enum": list(betas)},
    }


_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "Go on after the event of this id. Freehold's addition.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
}


_WORKSPACE_ID = {
    "name": "anthropic-workspace-id",
    "in": "header",
    "required": False,
    "description": "The workspace to work in, for keys that may work in several.",
    "schema": {"type": "string", "pattern": "^wrkspc_[1-9A-HJ-NP-Za-km-z]{24}$"},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same request with the same key gives the first answer again for a day. "
    "Freehold's addition.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}


def _reference(parameter: dict[str, Any]) -> dict[str, str]:
    return {"$ref": f"#/components/parameters/{parameter['name']}"}


def _parameters(query: type[Query]) -> list[dict[str, Any]]:
    schema = query.model_json_schema(by_alias=True)
    parameters = []
    for name, value in schema["properties"].items():
        described = {key: item for key, item in value.items() if key not in ("title", "default")}
        options = [item for item in described.pop("anyOf", ()) if item != {"type": "null"}]
        if options:
            described |= options[0]
        if value.get("default") is not None:
            described["default"] = value["default"]
        parameter: dict[str, Any] = {
            "name": name,
            "in": "query",
            "required": False,
            "schema": described,
        }
        if described.get("type") == "array":
            parameter |= {"style": "form", "explode": True}
        parameters.append(parameter)
    return parameters


def build(app: FastAPI) -> dict[str, Any]:
    """The document; made once and kept."""
    if app.openapi_schema is None:
        document = get_openapi(
            title="Freehold",
            version=__version__,
            summary="Anthropic's Managed Agents API on your own ground.",
            routes=app.routes,
        )
        components = document.setdefault("components", {})
        _, definitions = models_json_schema(
            [(model, "validation") for model in sorted(_bodies, key=lambda item: item.__name__)],
            ref_template=_REF,
        )
        components.setdefault("schemas", {}).update(definitions.get("$defs", {}))
        for leftover in ("HTTPValidationError", "ValidationError"):
            components["schemas"].pop(leftover, None)
        components["securitySchemes"] = {
            "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        components["headers"] = _HEADERS | _WORKSPACE | _RETRY | _RATES
        components["parameters"] = {
            parameter["name"]: parameter for parameter in (_WORKSPACE_ID, _IDEMPOTENCY_KEY)
        }
        _without_null_defaults(components["schemas"])
        for path, item in document["paths"].items():
            for method, described in item.items():
                _complete(path, method, described)
        links.add(document["paths"])
        components["responses"] = _shared(document["paths"])
        app.openapi_schema = document
    return app.openapi_schema


def _complete(path: str, method: str, described: dict[str, Any]) -> None:
    """Say of an operation what holds for all of them."""
    responses = described["responses"]
    responses.pop("422", None)
    of_api = path.startswith("/v1/")
    described["security"] = [{"apiKey": []}, {"bearer": []}] if of_api else []
    if of_api:
        posted = method == "post" and not path.startswith(_PASSED_ON)
        told = _EVERYWHERE | ({409: "As before, or another request has this key"} if posted else {})
        for status, text in told.items():
            responses.setdefault(str(status), {"description": text, "content": _ERROR})
        parameters = described.setdefault("parameters", [])
        if not path.startswith(_ORGANIZATION):
            parameters.append(_reference(_WORKSPACE_ID))
        if posted:
            parameters.append(_reference(_IDEMPOTENCY_KEY))
    for status, response in responses.items():
        names = [*_HEADERS]
        if of_api:
            names += [*_RATES, *(() if path.startswith(_ORGANIZATION) else _WORKSPACE)]
            names += () if status.startswith("2") else _RETRY
        response["headers"] = {
            name: {"$ref": f"#/components/headers/{name}"} for name in names
        } | response.get("headers", {})
        content = response.get("content", {})
        if len(content) > 1 and content.get("application/json") == {"schema": {}}:
            del content["application/json"]  # the framework's guess, beside what was said


def _shared(paths: links.Paths) -> dict[str, Any]:
    """Put references in the place of refusals that many operations have; what they refer to."""
    found: dict[str, Any] = {}
    for path, item in paths.items():
        for described in item.values() if path.startswith("/v1/") else ():
            for status, response in described["responses"].items():
                if status[0] not in "45" or path.startswith(_ORGANIZATION):
                    continue
                name = f"Status{status}"
                if found.setdefault(name, response) == response:
                    described["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    return found


def _without_null_defaults(value: Any) -> None:
    """Forget ``null`` as the default of what may be left out and may not be ``null``."""
    if isinstance(value, dict):
        options = [*value.get("anyOf", ()), *value.get("oneOf", ())]
        if value.get("default", ...) is None and {"type": "null"} not in options:
            del value["default"]
        for inner in value.values():
            _without_null_defaults(inner)
    elif isinstance(value, list):
        for inner in value:
            _without_null_defaults(inner)
