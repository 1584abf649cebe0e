"""Servers to test against: one in a thread of this process, one in a process of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import uvicorn
from anthropic import Anthropic
from fastapi import FastAPI

from freehold.app import create_app
from freehold.settings import Settings
from tests.support.answers import Watched, watch

BETA = {"anthropic-beta": "managed-agents-2026-04-01", "x-api-key": "test"}


def client_of(url: str, **options: Any) -> Anthropic:
    """The official SDK, with every response checked against its types."""
    options.setdefault("max_retries", 0)
    return Anthropic(base_url=url, api_key="test", _strict_response_validation=True, **options)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Served:
    """An application on a loopback port."""

    def __init__(self, app: FastAPI, url: str) -> None:
        self.app = app
        self.url = url

    def client(self, **options: Any) -> Anthropic:
        return client_of(self.url, **options)


@contextlib.contextmanager
def serve_app(app: FastAPI) -> Iterator[Served]:
    """Serve ``app`` from a thread until the block ends."""
    config = uvicorn.Config(
        Watched(app), host="127.0.0.1", port=0, log_level="warning", lifespan="on"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 120
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Served(app, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        thread.join(60)
        if thread.is_alive():
            raise RuntimeError("the server did not stop")


@contextlib.contextmanager
def serve(data_dir: Path, **values: Any) -> Iterator[Served]:
    """A server with the scripted model and, unless told otherwise, the scripted sandbox."""
    defaults = {"model": "scripted", "scripted_latency": 0, "sandbox": "scripted"}
    if "gate_image" not in values:
        # Else the egress gate, whose image few tests need, would have to be there.
        defaults["sandbox_network"] = "bridge"
    values = {**defaults, "sandbox_warm": 0, **values}
    with serve_app(create_app(Settings(data_dir=data_dir, **values))) as served:
        yield served


_SETPRIV = shutil.which("setpriv") if sys.platform == "linux" else None


class Process(Protocol):
    """What a :class:`ServerProcess` needs of the process that it runs."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float) -> int: ...

    def kill(self) -> None: ...

    def send_signal(self, number: int) -> None: ...


def _spawn(command: list[str], environment: Mapping[str, str], log: Path) -> Process:
    # Nothing is told to tests that are killed: the server then goes with the thread that began
    # it. That is the tests' own but for those that begin one in a thread that ends before it.
    if _SETPRIV is not None and threading.current_thread() is threading.main_thread():
        command = [_SETPRIV, "--pdeathsig", "KILL", *command]
    with log.open("ab") as sink:
        return subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)


class ServerProcess:
    """``freehold serve`` as a user runs it, to be killed and started again.

    ``spawn`` starts it in another way; see :mod:`tests.support.forking`.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        model: str = "scripted",
        spawn: Callable[[list[str], Mapping[str, str], Path], Process] = _spawn,
        **variables: str,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        watch(self.url)
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self._data_dir = data_dir
        self._model = model
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("FREEHOLD_")},
            # Without byte code every start would compile all that it imports.
            "PYTHONDONTWRITEBYTECODE": "",
            "FREEHOLD_SCRIPTED_LATENCY": "0",
            "FREEHOLD_SANDBOX_WARM": "0",
            **(
                {} if "FREEHOLD_GATE_IMAGE" in variables else {"FREEHOLD_SANDBOX_NETWORK": "bridge"}
            ),
            **variables,
        }
        self._spawn = spawn
        self._process: Process | None = None

    def launch(self) -> None:
        """Start, and do not wait."""
        command = [sys.executable, "-m", "freehold", "serve", "--port", str(self.port)]
        command += ["--data-dir", str(self._data_dir), "--model", self._model]
        self._process = self._spawn(command, self._environment, self.log)

    def start(self, timeout: float = 120) -> None:
        """Start, and return once it answers."""
        self.launch()
        assert self._process is not None
        deadline = time.monotonic() + timeout
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL: no goodbye of any kind."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(60)

    def stop(self, timeout: float = 60) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout)

    def __enter__(self) -> ServerProcess:
        try:
            self.start()
        except BaseException:
            # Who fails to enter is not asked to leave.
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._process is not None and self._process.poll() is None:
                self.stop()
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._end()

    def _end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
