"""SIGKILL while a client creates things, each with an ``Idempotency-Key`` until it has an answer.

At the end there is one thing for each key, and its answer is still the first one.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from tests.crash.support import dice, how_often, until
from tests.support.forking import template
from tests.support.running import BETA, ServerProcess, client_of

KILLS = how_often(6)


class Persistent:
    """Creates vaults; sends each request until it is answered."""

    def __init__(self, url: str, name: str) -> None:
        self.made: dict[str, Any] = {}
        self.repeated = 0
        self._url = url
        self._name = name
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def send(self, key: str) -> httpx.Response:
        headers = {**BETA, "idempotency-key": key}
        while True:
            try:
                return httpx.post(
                    f"{self._url}/v1/vaults",
                    json={"display_name": key},
                    headers=headers,
                    timeout=30,
                )
            except httpx.TransportError:
                self.repeated += 1
                threading.Event().wait(0.01)

    def _run(self) -> None:
        number = 0
        while not self._over.is_set():
            key = f"{self._name}-{number}"
            answer = self.send(key)
            assert answer.status_code == 200, answer.text
            self.made[key] = answer.json()
            number += 1


@pytest.mark.timeout(600)
def test_what_is_repeated_across_kills_is_done_once(tmp_path: Path) -> None:
    rng = dice()
    with (
        template() as ready,
        ServerProcess(tmp_path / "data", spawn=ready.spawn) as server,
    ):
        clients = [Persistent(server.url, f"client-{n}") for n in range(3)]
        for client in clients:
            client.start()
        for _ in range(KILLS):
            before = [len(client.made) for client in clients]
            until(
                lambda before=before: any(
                    len(client.made) > count + rng.randrange(3)
                    for client, count in zip(clients, before, strict=True)
                ),
                "nothing is made",
            )
            server.kill()
            server.start()
        for client in clients:
            client.stop()
        made = {key: body for client in clients for key, body in client.made.items()}
        there = [vault.display_name for vault in client_of(server.url).beta.vaults.list(limit=100)]
        assert sorted(there) == sorted(made)
        for key, body in made.items():
            assert clients[0].send(key).json() == body
        assert sum(client.repeated for client in clients) > 0
