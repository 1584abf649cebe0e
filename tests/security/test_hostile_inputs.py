"""Hundreds of requests that mean no good, against a server as a user runs it.

Each is refused with a 4xx in the API's envelope and leaves nothing behind; the server goes on and
has nothing to say of a fault of its own. How long each took is printed, and judged elsewhere.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.security.hostile import bodies, forms, places, schedules, transport, unions
from tests.security.hostile.kinds import PLAIN, Hostile
from tests.support.running import ServerProcess, client_of
from tests.support.untouched import Untouched
from typer.testing import CliRunner

from freehold.cli.program import program

ALL = [
    *bodies.ALL,
    *unions.ALL,
    *places.ALL,
    *transport.ALL,
    *forms.ALL,
    *schedules.ALL,
]
PATIENCE = 60
"""Seconds after which a server that does not answer is taken for dead."""
TOLD = 10
"""How many of the slowest are printed."""
LONGEST_ANSWER = 20_000
_NAME = re.compile(rb"@([a-z]+)@")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Victim:
    """The server, and what is there."""

    def __init__(self, server: ServerProcess, data_dir: Path) -> None:
        self.server = server
        self.untouched = Untouched(data_dir)
        self.seconds: dict[str, float] = {}
        self._ids = {**_furnish(server.url), "admin": _admin_key(data_dir)}

    def request(self, hostile: Hostile) -> bytes:
        """Its bytes, with the ids of what is there."""
        request = hostile.request()
        head, blank, body = request.partition(b"\r\n\r\n")
        if not _NAME.search(request):
            return request
        filled = _NAME.sub(self._id, body)
        if len(filled) != len(body):
            head = head.replace(
                b"content-length: %d" % len(body), b"content-length: %d" % len(filled)
            )
        return _NAME.sub(self._id, head) + blank + filled

    def _id(self, match: re.Match[bytes]) -> bytes:
        return self._ids[match[1].decode()].encode()

    def ask(self, hostile: Hostile) -> Answer:
        request = self.request(hostile)
        place = urlsplit(self.server.url)
        started = time.monotonic()
        with socket.create_connection((place.hostname, place.port), timeout=PATIENCE) as connection:
            # It may be refused before it is all there; the answer is there nevertheless.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            answer = Answer(response.status, response.msg, response.read())
        self.seconds[hostile.name] = time.monotonic() - started
        return answer


def _admin_key(data_dir: Path) -> str:
    command = ["keys", "create", "--admin", "--quiet", "--data-dir", str(data_dir)]
    done = CliRunner().invoke(program, command)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def _furnish(url: str) -> dict[str, str]:
    client = client_of(url)
    agent = client.beta.agents.create(
        name="victim", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
    )
    environment = client.beta.environments.create(name="victim")
    session = client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    (thread,) = client.beta.sessions.threads.list(session.id)
    store = client.beta.memory_stores.create(name="victim")
    memory = client.beta.memory_stores.memories.create(store.id, path="/victim", content="x")
    client.beta.vaults.create(display_name="used", extra_headers={"idempotency-key": "used-once"})
    return {
        "agent": agent.id,
        "environment": environment.id,
        "session": session.id,
        "thread": thread.id,
        "store": store.id,
        "memory": memory.id,
        "vault": client.beta.vaults.create(display_name="victim").id,
        "file": client.files.upload(file=("victim.txt", b"x", "text/plain")).id,
        "used": "used-once",
    }


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    data_dir = tmp_path_factory.mktemp("hostile") / "data"
    # With a key, so that nothing inside is open to whoever asks.
    with ServerProcess(
        data_dir, FREEHOLD_SANDBOX="scripted", FREEHOLD_API_KEYS=PLAIN["x-api-key"]
    ) as server:
        made = Victim(server, data_dir)
        yield made
        made.untouched.close()
        slowest = sorted(made.seconds.items(), key=lambda item: -item[1])[:TOLD]
        print(f"\nThe slowest of {len(made.seconds)} hostile inputs:")
        for name, seconds in slowest:
            print(f"{seconds:8.3f} s  {name}")


def hostile_id(hostile: Hostile) -> str:
    return hostile.name.replace(" ", "-").encode("ascii", "backslashreplace").decode()


@pytest.mark.parametrize("hostile", ALL, ids=hostile_id)
def test_is_refused_and_leaves_nothing(victim: Victim, hostile: Hostile) -> None:
    answer = victim.untouched.by(lambda: victim.ask(hostile))
    assert 400 <= answer.status < 500, (answer.status, answer.body[:500])
    assert hostile.status in (None, answer.status)
    assert len(answer.body) < LONGEST_ANSWER, "the answer repeats what was sent"
    assert answer.headers.get_content_type() == "application/json", answer.body[:500]
    body = json.loads(answer.body)
    assert body["type"] == "error"
    assert body["error"]["type"]
    assert body["error"]["message"]
    assert body["request_id"] == answer.headers["request-id"]
    assert "Traceback" not in answer.body.decode()


def test_there_are_enough() -> None:
    assert len({hostile.name for hostile in ALL}) == len(ALL)
    assert len({hostile.request() for hostile in ALL}) == len(ALL) >= 200


def test_the_server_is_none_the_worse(victim: Victim) -> None:
    """Runs last: what was there is there, and the log tells of no fault."""
    assert victim.seconds, "run the whole module"
    assert victim.server.answers()
    client = client_of(victim.server.url)
    assert [agent.name for agent in client.beta.agents.list(include_archived=True)] == ["victim"]
    assert len(list(client.beta.sessions.list(include_archived=True))) == 1
    log = victim.server.log.read_text()
    assert "Traceback" not in log, log[log.index("Traceback") - 2000 :][:6000]
    assert not re.search(r'"level": ?"(error|critical)"|\b(ERROR|CRITICAL)\b', log)
