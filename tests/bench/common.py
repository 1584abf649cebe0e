"""What the measurements share: servers, raw HTTP, and medians."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from tests.support.running import BETA, free_port

IDLE = b'"session.status_idle"'
Json = dict[str, Any]


def wait_for(port: int, timeout: float = 60) -> None:
    """Until something listens there."""
    import socket

    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on {port}")


@contextlib.contextmanager
def process(*command: str, port: int, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process of its own, ended with the block."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FREEHOLD_")}
    child = subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**environment, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        yield child
    finally:
        child.terminate()
        child.wait(30)


@contextlib.contextmanager
def instant_upstream() -> Iterator[str]:
    """A Messages API that answers at once and reads nothing."""
    port = free_port()
    with process(
        "freehold.models.scripted.http", "--port", str(port), "--instant", "ok", port=port
    ):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def freehold(data_dir: Path, **variables: str) -> Iterator[tuple[str, int]]:
    """``freehold serve``; its URL and pid."""
    port = free_port()
    arguments = ("freehold", "serve", "--port", str(port), "--data-dir", str(data_dir))
    defaults = {
        "FREEHOLD_LOG_LEVEL": "error",
        "FREEHOLD_SANDBOX": "scripted",
        "FREEHOLD_SANDBOX_WARM": "0",
    }
    with process(*arguments, port=port, **{**defaults, **variables}) as child:
        yield f"http://127.0.0.1:{port}", child.pid


def http(url: str, connections: int = 20) -> httpx2.AsyncClient:
    """A raw client: what is measured is the server."""
    return httpx2.AsyncClient(
        base_url=url,
        headers=BETA,
        timeout=120,
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
    )


async def post(client: httpx2.AsyncClient, path: str, body: Json | None = None) -> Json:
    response = await client.post(path, json=body or {})
    response.raise_for_status()
    answer: Json = response.json()
    return answer


async def make_agent(client: httpx2.AsyncClient, *, tools: bool) -> tuple[str, str]:
    """An agent and an environment."""
    body: Json = {"name": "bench", "model": "claude-sonnet-5"}
    if tools:
        body["tools"] = [{"type": "agent_toolset_20260401"}]
    agent = await post(client, "/v1/agents", body)
    environment = await post(client, "/v1/environments", {"name": "bench"})
    return agent["id"], environment["id"]


async def make_session(client: httpx2.AsyncClient, agent: str, environment: str) -> str:
    session = await post(client, "/v1/sessions", {"agent": agent, "environment_id": environment})
    identity: str = session["id"]
    return identity


class Listener:
    """An open stream, and when it last said that the session is idle."""

    def __init__(self, client: httpx2.AsyncClient, session_id: str) -> None:
        self._client = client
        self._session_id = session_id
        self._idle = asyncio.Event()
        self._open = asyncio.Event()
        self.first_result: float | None = None

    async def __aenter__(self) -> Listener:
        self._task = asyncio.create_task(self._read())
        await self._open.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        path = f"/v1/sessions/{self._session_id}/events/stream"
        async with self._client.stream("GET", path) as response:
            self._open.set()
            async for line in response.aiter_lines():
                if not line.startswith("data:"):
                    continue
                kind = json.loads(line[5:]).get("type")
                if kind == "agent.tool_result" and self.first_result is None:
                    self.first_result = time.perf_counter()
                if kind == "session.status_idle":
                    self._idle.set()

    async def turn(self, text: str) -> float:
        """Send a message and wait for the idle that ends its turn; seconds."""
        self._idle.clear()
        begun = time.perf_counter()
        await send(self._client, self._session_id, text)
        await self._idle.wait()
        return time.perf_counter() - begun


async def send(client: httpx2.AsyncClient, session_id: str, text: str) -> None:
    event = {"type": "user.message", "content": [{"type": "text", "text": text}]}
    await post(client, f"/v1/sessions/{session_id}/events", {"events": [event]})


def resident_mb(pid: int) -> float:
    """Resident memory of a process, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ms(seconds: list[float]) -> str:
    """Median and 95th percentile in milliseconds."""
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return f"{statistics.median(ordered) * 1e3:8.2f} ms median {p95 * 1e3:8.2f} ms p95"
