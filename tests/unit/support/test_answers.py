"""What the look at every answer takes and what it does not."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from anthropic import Stream
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support import answers
from tests.support.endpoints import Endpoint, answer_type, endpoint_of, endpoints
from tests.support.running import serve_app

TIME = "2026-11-22T10:00:00.123456Z"
VAULT = {
    "id": "vlt_1",
    "type": "vault",
    "display_name": "Keys",
    "metadata": {"a": "b"},
    "created_at": TIME,
    "updated_at": TIME,
    "archived_at": None,
}
ERROR = {"type": "error", "error": {"type": "api_error", "message": "no"}, "request_id": "req_1"}


def wrong(value: Any, path: str = "/v1/vaults/vlt_1", status: int = 200, betas: str = "") -> Any:
    body = json.dumps(value).encode()
    return answers.fault("GET", path, status, body, kind="application/json", betas=betas)


def test_what_fits_is_taken() -> None:
    assert wrong(VAULT) is None
    assert wrong({"data": [VAULT], "next_page": None}, "/v1/vaults") is None
    assert wrong({"data": [], "prefixes": []}, "/v1/memory_stores/memstore_1/memories") is None
    assert wrong(None, "/v1/environments/env_1/work/poll") is None
    assert wrong(ERROR, status=500) is None
    assert wrong({"anything": True}, "/healthz") is None


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({**VAULT, "extra": 1}, "/v1/vaults/vlt_1"),
        ({name: item for name, item in VAULT.items() if name != "metadata"}, "/v1/vaults/vlt_1"),
        ({**VAULT, "metadata": {"a": 1}}, "/v1/vaults/vlt_1"),
        ({**VAULT, "created_at": "yesterday"}, "/v1/vaults/vlt_1"),
        ({**VAULT, "type": "vault_deleted"}, "/v1/vaults/vlt_1"),
        ({**VAULT, "display_name": None}, "/v1/vaults/vlt_1"),
        ({"data": [VAULT], "next_page": None, "total": 1}, "/v1/vaults"),
        ({"data": [{**VAULT, "extra": 1}]}, "/v1/vaults"),
        ([], "/v1/vaults"),
        (VAULT, "/v1/unheard_of"),
    ],
)
def test_what_does_not_fit_is_told(value: Any, path: str) -> None:
    assert path in wrong(value, path)


@pytest.mark.parametrize(
    "value",
    [
        {**ERROR, "detail": "no"},
        {"error": ERROR["error"]},
        {**ERROR, "error": {"type": "bad_request", "message": "no"}},
        {**ERROR, "error": {"type": "api_error"}},
        {**ERROR, "error": {"type": "api_error", "message": "no", "field": "x"}},
        {**ERROR, "error": {"type": "api_error", "message": "no", "details": {"code": "x"}}},
        "no",
    ],
)
def test_errors_have_their_envelope(value: Any) -> None:
    assert wrong(value, status=400) is not None


def test_older_betas_have_their_own_shapes() -> None:
    page = {"data": [], "has_more": False, "first_id": None, "last_id": None}
    assert wrong(page, "/v1/files", betas="files-api-2025-04-14") is None
    assert wrong(page, "/v1/files") is not None


def test_events_of_streams_are_looked_at() -> None:
    path = "/v1/sessions/sesn_1/events/stream"
    event = {"id": "sevt_1", "type": "session.status_running", "processed_at": TIME}

    def frame(value: Any) -> bytes:
        return b"event: message\ndata: " + json.dumps(value).encode()

    assert answers.frame_fault(path, frame(event)) is None
    assert answers.frame_fault(path, b"event: ping\ndata: {}") is None
    assert answers.frame_fault(path, frame({**event, "extra": 1})) is not None
    assert answers.frame_fault(path, frame({**event, "type": "session.unheard_of"})) is not None


def _app() -> Starlette:
    async def answer(request: Request) -> Response:
        return JSONResponse({**VAULT, "extra": 1})

    return Starlette(routes=[Route("/v1/vaults/vlt_1", answer)])


def test_servers_in_this_process_are_looked_at() -> None:
    with serve_app(_app()) as served:  # type: ignore[arg-type]
        httpx2.get(f"{served.url}/v1/vaults/vlt_1")
    assert len(answers.FAULTS) == 1
    assert "'extra'" in answers.FAULTS.pop()


async def test_servers_of_other_processes_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_origins", set())
    answers.watch("http://other.example")
    odd = httpx2.MockTransport(lambda _: httpx2.Response(200, json={**VAULT, "extra": 1}))
    with httpx2.Client(transport=odd) as client:
        client.get("http://other.example/v1/vaults/vlt_1")
        client.get("http://elsewhere.example/v1/vaults/vlt_1")
    transport = httpx2.ASGITransport(_app())
    async with httpx2.AsyncClient(transport=transport) as other:
        await other.get("http://other.example/v1/vaults/vlt_1")
    assert len(answers.FAULTS) == 2
    answers.FAULTS.clear()


def test_every_row_of_the_table_has_its_method_and_type() -> None:
    assert len(endpoints()) == 123
    for endpoint in endpoints():
        # Those that share a path share what is answered.
        found = endpoint_of(endpoint.method, endpoint.path.replace("{", "x").replace("}", ""))
        assert isinstance(found, Endpoint)
        assert found.path == endpoint.path
    assert answer_type(endpoint_of("GET", "/v1/vaults/x")).__name__ == "BetaManagedAgentsVault"
    stream = answer_type(endpoint_of("GET", "/v1/sessions/x/events/stream"))
    assert Stream.__name__ in str(stream)
