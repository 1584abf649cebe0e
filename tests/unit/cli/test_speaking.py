"""What is refused before it is a request."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from freehold.cli.speaking import HEAD_BYTES, Protocol

LINE = b"GET / HTTP/1.1\r\n"


async def greet(scope: Any, receive: Any, send: Any) -> None:
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"hi"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    config = uvicorn.Config(
        greet, port=0, http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(20)


def said(port: int, *requests: bytes) -> bytes:
    """All that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for request in requests:
            connection.sendall(request)
        found = b""
        while chunk := connection.recv(65536):
            found += chunk
        return found


def head_of(size: int) -> bytes:
    """A head of which the lines, but for the first's end and the last, have that many bytes."""
    start = b"GET / HTTP/1.1\r\nconnection: close\r\nx: "
    counted = len("/") + len("connection: close\r\n") + len("x: \r\n")
    return start + b"y" * (size - counted) + b"\r\n\r\n"


def test_a_head_at_its_limit(port: int) -> None:
    assert said(port, head_of(HEAD_BYTES)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "request_bytes",
    [
        head_of(HEAD_BYTES + 1),
        b"GET /" + b"a" * 2 * HEAD_BYTES,
        LINE + b"x: " + b"y" * 2 * HEAD_BYTES,
        LINE + b"z" * 2 * HEAD_BYTES,
        LINE + b"x: y\r\n" * HEAD_BYTES,
    ],
    ids=["one past", "a path without end", "a value without end", "a name without end", "many"],
)
def test_a_head_past_it(port: int, request_bytes: bytes) -> None:
    head, _, body = said(port, request_bytes).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    told = json.loads(body)
    assert told["error"] == {
        "type": "invalid_request_error",
        "message": "The request line and headers exceed 64 KB",
    }
    assert f"request-id: {told['request_id']}".encode() in head


def test_what_is_no_http(port: int) -> None:
    head, _, body = said(port, b"nonsense\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["message"] == "Invalid HTTP request received."


def test_bodies_and_further_requests_do_not_count(port: int) -> None:
    post = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (4 * HEAD_BYTES)
    answers = said(port, post + b"b" * 4 * HEAD_BYTES, head_of(1000))
    assert answers.count(b"HTTP/1.1 200 ") == 2


def test_a_change_of_protocol_is_not_made(port: int) -> None:
    upgrade = b"connection: upgrade, close\r\nupgrade: websocket\r\n\r\n"
    assert said(port, LINE + upgrade).startswith(b"HTTP/1.1 200 ")
