"""The Compose file from a clean clone: up with one command, a session with the SDK, down again.

Slow, as it builds all images, and it needs a Docker engine: `make test-compose`. It uses each
Compose that is installed, or the one that ``FREEHOLD_TEST_COMPOSE_COMMAND`` names. Variables of the
Compose file (``FREEHOLD_BASE`` …) are passed on; certificates are those of the checkout's certs/.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import time
from pathlib import Path

import anthropic
import docker
import httpx2
import pytest

from freehold.sandbox.docker.names import LABEL_OWNER

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.skipif("FREEHOLD_TEST_COMPOSE" not in os.environ, reason="make test-compose"),
    pytest.mark.timeout(3600),
]


def _there_is(command: list[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    done = subprocess.run([*command, "version"], capture_output=True, check=False)
    return done.returncode == 0


_NAMED = os.environ.get("FREEHOLD_TEST_COMPOSE_COMMAND")
_COMMANDS = [_NAMED] if _NAMED else ["docker compose", "docker-compose"]


@pytest.mark.parametrize("command", _COMMANDS)
def test_it_comes_up_from_a_clean_clone(command: str, tmp_path: Path) -> None:
    compose = shlex.split(command)
    if not _there_is(compose):
        pytest.skip(f"there is no {command}")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    if (ROOT / "certs").is_dir():
        shutil.copytree(ROOT / "certs", clone / "certs")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    key = secrets.token_hex(16)
    environment = os.environ | {
        "FREEHOLD_API_KEYS": key,
        "FREEHOLD_MODEL": "scripted",
        "FREEHOLD_PUBLISH": f"127.0.0.1:{port}",
    }
    project = [*compose, "-p", f"freehold-test-{secrets.token_hex(4)}"]

    def run(*arguments: str) -> None:
        subprocess.run([*project, *arguments], cwd=clone, env=environment, check=True)

    try:
        run("up", "-d")
        url = f"http://127.0.0.1:{port}"
        _until_it_answers(url)
        with pytest.raises(anthropic.AuthenticationError):
            anthropic.Anthropic(base_url=url, api_key="another").beta.agents.list()
        _work(anthropic.Anthropic(base_url=url, api_key=key))
    finally:
        run("logs", "--tail", "20")
        owner = subprocess.run(
            [*project, "exec", "-T", "server", "cat", "/data/installation"],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        run("down", "-v")
        if owner:
            _remove_what_the_server_made(owner)


def _remove_what_the_server_made(owner: str) -> None:
    """With its volume a server forgets its containers: the gate, and those kept ready."""
    client = docker.from_env()
    for container in client.containers.list(all=True, filters={"label": f"{LABEL_OWNER}={owner}"}):
        container.remove(force=True, v=True)
    client.close()


def _until_it_answers(url: str) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            if httpx2.get(f"{url}/healthz").status_code == httpx2.codes.OK:
                return
        except httpx2.HTTPError:
            assert time.monotonic() < deadline, "the server does not answer"
        time.sleep(0.5)


def _work(client: anthropic.Anthropic) -> None:
    """A session whose sandbox is behind the gate, so all three images are used."""
    agent = client.beta.agents.create(
        name="a", model="claude-sonnet-4-5", tools=[{"type": "agent_toolset_20260401"}]
    )
    environment = client.beta.environments.create(
        name="e",
        config={"type": "cloud", "networking": {"type": "limited", "allowed_hosts": []}},
    )
    session = client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    kinds = []
    with client.beta.sessions.events.stream(session.id) as stream:
        message = {"type": "text", "text": "/run echo $((6 * 7))"}
        client.beta.sessions.events.send(
            session.id, events=[{"type": "user.message", "content": [message]}]
        )
        for event in stream:
            kinds.append(event.type)
            print(event.type)
            if event.type == "session.status_idle":
                break
    client.beta.sessions.delete(session.id)
    assert "agent.tool_result" in kinds
    assert "session.error" not in kinds
