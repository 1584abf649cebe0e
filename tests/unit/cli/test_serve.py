"""``freehold serve`` as an operator meets it: a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from anthropic import Anthropic

CANARY = "canary7Zq93hX"


@dataclass
class Serving:
    process: subprocess.Popen[str]
    url: str
    greeting: str

    def stop(self, number: int) -> tuple[int, str]:
        """Send a signal; the exit code and all that was printed since the greeting."""
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, out


@contextmanager
def serving(folder: Path, *arguments: str, **variables: str) -> Iterator[Serving]:
    command = [sys.executable, "-m", "freehold", "serve", "--port", "0", "--model", "scripted"]
    command += ["--sandbox", "scripted", "--data-dir", str(folder / "data"), *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FREEHOLD_")}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**environment, "COVERAGE_PROCESS_START": "", "PYTHONUNBUFFERED": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=(folder / "log").open("w"),
        text=True,
    )
    assert process.stdout is not None
    greeting = []
    for line in process.stdout:
        greeting.append(line)
        if line.startswith("Stop it"):
            break
    else:
        process.wait(30)
        pytest.fail(f"it did not start: {(folder / 'log').read_text()}")
    try:
        yield Serving(process, greeting[0].split()[-1], "".join(greeting))
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_it_greets_answers_and_stops_cleanly(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        assert served.url.startswith("http://127.0.0.1:")
        assert "scripted" in served.greeting
        assert "any non-empty key" in served.greeting
        assert f"ANTHROPIC_BASE_URL={served.url}" in served.greeting
        with urllib.request.urlopen(f"{served.url}/healthz") as answer:
            assert answer.status == 200
        code, printed = served.stop(signal.SIGTERM)
    assert code == 0
    assert "Stopped" in printed
    assert (tmp_path / "data" / "freehold.db").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_open_streams_end_when_it_is_told_to_stop(tmp_path: Path, number: int) -> None:
    with serving(tmp_path) as served:
        client = Anthropic(base_url=served.url, api_key="any", max_retries=0)
        agent = client.beta.agents.create(name="a", model="claude-sonnet-5")
        environment = client.beta.environments.create(name="e")
        session = client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
        ended = threading.Event()
        with client.beta.sessions.events.stream(session.id) as stream:

            def listen() -> None:
                for _ in stream:
                    pass
                ended.set()  # not reached if the connection was cut

            listener = threading.Thread(target=listen)
            listener.start()
            code, _ = served.stop(number)
            listener.join(30)
    assert code == 0
    assert ended.is_set()


def test_its_log_is_json_with_request_ids_and_without_secrets(tmp_path: Path) -> None:
    keys = f"{CANARY}-one,{CANARY}-two"
    with serving(tmp_path, FREEHOLD_API_KEYS=keys, ANTHROPIC_API_KEY=f"{CANARY}-model") as served:
        assert "2 configured" in served.greeting
        request = urllib.request.Request(
            f"{served.url}/v1/agents?limit=1",
            headers={
                "x-api-key": f"{CANARY}-one",
                "anthropic-beta": "managed-agents-2026-04-01",
                "anthropic-version": "2023-06-01",
            },
        )
        with urllib.request.urlopen(request) as answer:
            request_id = answer.headers["request-id"]
        _, printed = served.stop(signal.SIGTERM)
    log = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    mine = [line for line in lines if line.get("request_id") == request_id]
    assert [(line["path"], line["status"]) for line in mine] == [("/v1/agents", 200)]
    assert CANARY not in log + served.greeting + printed


def test_a_taken_port_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "freehold", "serve", "--port", port, "--model", "scripted"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f"FREEHOLD_PORT: {port}" in done.stderr
    assert "Traceback" not in done.stderr
