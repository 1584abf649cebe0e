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
from freehold.api.betas import MANAGED_AGENTS
from freehold.api.requests import Query
from freehold.api.schemas import ErrorEnvelope

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
_HEADERS = {
    "request-id": {"description": "Identifies the request", "schema": {"type": "string"}},
}
_EVENT_STREAM = "text/event-stream"


def operation(
    summary: str,
    answer: type[BaseModel] | UnionType | None,
    *,
    body: type[BaseModel] | None = None,
    query: type[Query] | None = None,
    conflict: bool = False,
    forbidden: bool = False,
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
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "headers": _HEADERS, "content": _ERROR}
        for status, text in refusals.items()
    }
    responses[200] = {"description": "Success", "headers": _HEADERS}
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
        for path, item in document["paths"].items():
            for described in item.values():
                described["responses"].pop("422", None)
                described["security"] = (
                    [{"apiKey": []}, {"bearer": []}] if path.startswith("/v1/") else []
                )
        app.openapi_schema = document
    return app.openapi_schema
