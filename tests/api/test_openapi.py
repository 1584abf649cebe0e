"""The OpenAPI document: valid, whole, and the same as what is served."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import jsonschema
import pytest
from fastapi.openapi.models import OpenAPI

from freehold import errors
from freehold.api.errors import _routes
from freehold.errors import ApiError
from tests.support.running import Served

PARAMETER = re.compile(r"\{([^}]+)\}")
METHODS = {"get", "post", "delete"}


@pytest.fixture(scope="module")
def document(http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """By their ids: path and description."""
    return {
        described["operationId"]: (path, described)
        for path, item in document["paths"].items()
        for described in item.values()
    }


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def resolved(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in value:
        place: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        value = place
    return value


class TestValid:
    def test_form(self, document: dict[str, Any]) -> None:
        OpenAPI.model_validate(document)
        assert document["openapi"].startswith("3.1.")

    def test_schemas(self, document: dict[str, Any]) -> None:
        for schema in document["components"]["schemas"].values():
            jsonschema.Draft202012Validator.check_schema(schema)

    def test_defaults_are_values_of_their_schemas(self, document: dict[str, Any]) -> None:
        seen = 0
        for found in walk(document):
            if "default" in found and ("type" in found or "anyOf" in found):
                schema = {**found, "components": document["components"]}
                jsonschema.Draft202012Validator(schema).validate(found["default"])
                seen += 1
        assert seen > 100

    def test_every_reference_leads_somewhere(self, document: dict[str, Any]) -> None:
        references = [found for found in walk(document) if "$ref" in found]
        assert len(references) > 500
        for reference in references:
            assert resolved(document, reference)

    def test_operation_ids_are_unique(
        self, document: dict[str, Any], operations: dict[str, Any]
    ) -> None:
        assert len(operations) == sum(map(len, document["paths"].values()))

    def test_parameters_of_paths(
        self, document: dict[str, Any], operations: dict[str, Any]
    ) -> None:
        for path, described in operations.values():
            parameters = [resolved(document, p) for p in described.get("parameters", [])]
            named = [p["name"] for p in parameters if p["in"] == "path"]
            assert named == PARAMETER.findall(path)
            places = [(p["in"], p["name"].lower()) for p in parameters]
            assert len(places) == len(set(places))


class TestWhole:
    def test_every_route_is_described_and_none_besides(
        self, shared: Served, document: dict[str, Any]
    ) -> None:
        served = {
            (method.lower(), route.path.replace(":path}", "}"))  # type: ignore[attr-defined]
            for route in _routes(shared.app.routes)
            for method in getattr(route, "methods", None) or ()
            if method.lower() in METHODS
        }
        served = {
            (method, path) for method, path in served if not path.startswith(("/docs", "/re"))
        }
        described = {(m, path) for path, item in document["paths"].items() for m in item}
        ready = {("get", "/readyz")}
        assert described == (served - {("get", "/openapi.json")}) | ready

    def test_every_answer_of_the_api_is_described(
        self, document: dict[str, Any], operations: dict[str, Any]
    ) -> None:
        for path, described in operations.values():
            assert described["summary"]
            if not path.startswith("/v1/"):
                continue
            responses = described["responses"]
            assert {"200", "400", "401", "403", "404", "413", "429", "500", "529"} <= set(responses)
            assert "422" not in responses
            for status, referred in responses.items():
                answer = resolved(document, referred)
                if status == "default":
                    continue
                assert answer["content"]
                assert {"request-id", "anthropic-organization-id"} <= set(answer["headers"])
                if status[0] in "45":
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/ErrorEnvelope"}
                    assert {"retry-after", "x-should-retry"} <= set(answer["headers"])

    def test_every_status_that_the_api_refuses_with_is_said_somewhere(
        self, operations: dict[str, Any]
    ) -> None:
        said = {int(s) for _, o in operations.values() for s in o["responses"] if s.isdigit()}
        kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
        refusals = {kind.status for kind in kinds if issubclass(kind, ApiError)}
        # What takes no method describes no method.
        assert refusals - said == {405}

    def test_every_kind_of_refusal_fits_the_envelope(self, document: dict[str, Any]) -> None:
        kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
        types = {kind.error_type for kind in kinds if issubclass(kind, ApiError)}
        schema = document["components"]["schemas"]["ErrorBody"]["properties"]["type"]
        assert types <= set(schema["enum"])

    def test_keys_are_wanted_for_the_api_alone(self, operations: dict[str, Any]) -> None:
        for path, described in operations.values():
            assert bool(described["security"]) is path.startswith("/v1/")

    def test_streams_and_bytes_are_not_json(
        self, document: dict[str, Any], operations: dict[str, Any]
    ) -> None:
        for path, described in operations.values():
            content = resolved(document, described["responses"]["200"])["content"]
            if path.endswith("stream"):
                assert list(content) == ["text/event-stream"]
            elif path.endswith("/content"):
                assert "application/json" not in content
            else:
                assert "application/json" in content


class TestLinks:
    def test_they_give_every_parameter_of_their_target(
        self, document: dict[str, Any], operations: dict[str, Any]
    ) -> None:
        seen = set()
        for path, described in operations.values():
            for link in described["responses"]["200"].get("links", {}).values():
                target, _ = operations[link["operationId"]]
                assert list(link["parameters"]) == PARAMETER.findall(target)
                for value in link["parameters"].values():
                    if value.startswith("$request.path."):
                        assert value.removeprefix("$request.path.") in PARAMETER.findall(path)
                    else:
                        assert value in ("$response.body#/id", "$response.body#/data/0/id")
                seen.add(link["operationId"])
        # Whatever wants one id more than what lies above it, if that can be listed or made.
        assert len(seen) > 60

    def test_a_link_that_is_followed_leads_to_the_object(
        self, http: httpx.Client, operations: dict[str, Any]
    ) -> None:
        made = http.post("/v1/vaults", json={"display_name": "v"}).json()
        create = next(o for p, o in operations.values() if p == "/v1/vaults" and "requestBody" in o)
        links = create["responses"]["200"]["links"].values()
        targets = {operations[link["operationId"]][0] for link in links}
        assert {"/v1/vaults/{vault_id}", "/v1/vaults/{vault_id}/credentials"} <= targets
        for path in targets:
            answer = http.get(path.format(vault_id=made["id"]))
            assert answer.status_code in (200, 405)


def test_events_are_of_one_kind_each(document: dict[str, Any]) -> None:
    """An event that fits two schemas of a ``oneOf`` fits none."""
    items = document["components"]["schemas"]["EventPage"]["properties"]["data"]["items"]
    for option in items["oneOf"]:
        schema = resolved(document, option)
        assert "const" in schema["properties"]["type"], option
        assert {"type", "id"} <= set(schema["required"])
        assert schema["additionalProperties"] is False


def test_it_is_the_same_however_often_asked(http: httpx.Client) -> None:
    first = http.get("/openapi.json").content
    assert http.get("/openapi.json").content == first
    assert len(json.loads(first)["paths"]) > 60
