from __future__ import annotations

import asyncio
import io
import json
import logging

import httpx2
import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from freehold import telemetry
from freehold.api.auth import Keys
from freehold.api.gate import Gate
from freehold.telemetry import AccessLog
from tests.support.issued import NoneIssued


async def answer(request: Request) -> Response:
    if request.url.path == "/boom":
        raise RuntimeError("boom")
    return PlainTextResponse("ok", int(request.query_params.get("status", 200)),
                             headers={"request-id": "req_1"})  # fmt: skip


@pytest.fixture
def client() -> httpx2.AsyncClient:
    app = Starlette(routes=[Route("/{path:path}", answer)])
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(AccessLog(app), raise_app_exceptions=False),
        base_url="http://freehold",
    )


async def test_each_request_is_one_line_without_its_query(client: httpx2.AsyncClient) -> None:
    with capture_logs() as lines:
        await client.get("/v1/agents?key=sk-ant-x")
    assert len(lines) == 1
    line = lines[0]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/agents", 200)
    assert line["duration"] >= 0
    assert "sk-ant" not in repr(line)


async def test_probes_are_logged_only_when_they_fail(client: httpx2.AsyncClient) -> None:
    with capture_logs() as lines:
        await client.get("/healthz")
        await client.get("/readyz?status=503")
    assert [(line["path"], line["status"]) for line in lines] == [("/readyz", 503)]


async def test_a_request_that_fails_is_logged_too(client: httpx2.AsyncClient) -> None:
    with capture_logs() as lines:
        await client.get("/boom")
    assert [(line["path"], line["status"]) for line in lines] == [("/boom", 500)]


async def test_what_a_request_logs_carries_its_id() -> None:
    stream = io.StringIO()

    async def noisy(request: Request) -> Response:
        logging.getLogger("freehold.somewhere").warning("noisy")
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/{path:path}", noisy)])
    keys = Keys((), NoneIssued())
    gate = Gate(app, keys=keys, organization_id="org", mint=lambda prefix: f"{prefix}_7")
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(gate), base_url="http://freehold")

    def serve_in_a_task() -> asyncio.Task[httpx2.Response]:
        return asyncio.create_task(client.get("/anything"))

    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        telemetry.configure("warning", "json", stream=stream)
        answer = await serve_in_a_task()
        logging.getLogger("freehold.somewhere").warning("afterwards")
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
        logging.captureWarnings(False)
        structlog.reset_defaults()
    assert answer.headers["request-id"] == "req_7"
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line.get("request_id")) for line in told] == [
        ("noisy", "req_7"),
        ("afterwards", None),
    ]
