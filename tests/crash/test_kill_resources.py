"""SIGKILL around the files of sessions: all of them are there, or the session is not."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic

from freehold.core.mounts import UPLOADS
from freehold.sandbox.process import bubblewrap_works
from freehold.sandbox.process.folders import Folders
from tests.crash.support import PATIENCE, dice, how_often, until, user
from tests.support.running import ServerProcess, client_of

KILLS = how_often(4)
BETAS = ["managed-agents-2026-04-01", "files-api-2025-04-14"]
SMALL, LARGE = b"a,b\n", bytes(range(256)) * 12_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    if not bubblewrap_works():
        pytest.skip("bubblewrap may not make a sandbox here")
    with ServerProcess(tmp_path / "data", FREEHOLD_SANDBOX="process") as running:
        yield running
        with client_of(running.url) as sdk:
            for session in sdk.beta.sessions.list():
                sdk.beta.sessions.delete(session.id)


def ingredients(sdk: Anthropic) -> dict[str, Any]:
    agent = sdk.beta.agents.create(
        name="a", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
    )
    return {"agent": agent.id, "environment_id": sdk.beta.environments.create(name="e").id}


def uploads(sdk: Anthropic) -> list[Any]:
    made = []
    for name, content in (("small", SMALL), ("large", LARGE)):
        file_id = sdk.beta.files.upload(file=(name, content)).id
        made.append({"type": "file", "file_id": file_id, "mount_path": f"/{name}"})
    return made


def results(sdk: Anthropic, session_id: str) -> list[str]:
    """What the calls of a session gave, once it rests."""
    until(lambda: sdk.beta.sessions.retrieve(session_id).status == "idle")
    return [
        event.content[0].text  # type: ignore[index, union-attr]
        for event in sdk.beta.sessions.events.list(session_id)
        if event.type == "agent.tool_result"
    ]


SUMS = f"/run cat {UPLOADS}/* | sha256sum"
EXPECTED = hashlib.sha256(LARGE + SMALL).hexdigest()


def test_killed_between_create_and_the_first_call(server: ServerProcess) -> None:
    with client_of(server.url, max_retries=5) as sdk:
        session = sdk.beta.sessions.create(**ingredients(sdk), resources=uploads(sdk))
        server.kill()
        server.start()
        assert sdk.beta.sessions.retrieve(session.id).resources == session.resources
        sdk.beta.sessions.events.send(session.id, events=[user(SUMS)])  # type: ignore[list-item]
        (text,) = results(sdk, session.id)
    assert text.split() == [EXPECTED, "-"]


@pytest.mark.slow
def test_killed_while_the_sandbox_is_furnished(server: ServerProcess) -> None:
    rng = dice()
    with client_of(server.url, max_retries=5) as sdk:
        given, files = ingredients(sdk), uploads(sdk)
        for _ in range(KILLS):
            session = sdk.beta.sessions.create(
                **given,
                resources=files,
                initial_events=[user(SUMS)],  # type: ignore[list-item]
            )
            time.sleep(rng.uniform(0, 0.4))
            server.kill()
            server.start()
            (text,) = results(sdk, session.id)
            assert text.split() == [EXPECTED, "-"]


def test_what_is_added_during_a_turn_is_there_for_its_next_call(
    server: ServerProcess, tmp_path: Path
) -> None:
    with client_of(server.url, max_retries=5) as sdk:
        files = uploads(sdk)
        session = sdk.beta.sessions.create(**ingredients(sdk), resources=files[:1])
        look = f"/run ls {UPLOADS}"
        words = f"/run touch began; until [ -e go ]; do sleep 0.05; done; ls {UPLOADS}\n"
        words += f"/then\n{look}\n/then\n/run touch again; until [ -e on ]; do sleep 0.05; done\n"
        words += f"/then\n{look}"
        sdk.beta.sessions.events.send(session.id, events=[user(words)])  # type: ignore[list-item]
        inside = Folders.of(tmp_path / "data" / "sandboxes", session.id).workspace
        until((inside / "began").exists)
        added = sdk.beta.sessions.resources.add(session.id, **files[1])
        (inside / "go").touch()
        until((inside / "again").exists)
        sdk.beta.sessions.resources.delete(added.id, session_id=session.id)
        server.kill()
        server.start()
        (inside / "on").touch()
        shown = [text.split() for text in results(sdk, session.id)]
    assert shown[:2] == [["small"], ["large", "small"]]
    assert shown[3] == ["small"]


@pytest.mark.slow
def test_a_session_has_all_of_its_files_or_is_not_there(tmp_path: Path) -> None:
    rng = dice()
    made: list[str] = []
    over = threading.Event()
    with ServerProcess(tmp_path / "data", FREEHOLD_SANDBOX="scripted") as server:
        with client_of(server.url) as sdk:
            given, (file, _) = ingredients(sdk), uploads(sdk)
        files = [{**file, "mount_path": f"/{number}"} for number in range(20)]

        def create() -> None:
            with client_of(server.url) as own:
                while not over.is_set():
                    try:
                        made.append(own.beta.sessions.create(**given, resources=files).id)
                    except (anthropic.APIError, httpx2.HTTPError):
                        time.sleep(0.02)

        clients = [threading.Thread(target=create) for _ in range(3)]
        for client in clients:
            client.start()
        try:
            for _ in range(KILLS):
                time.sleep(rng.uniform(0.1, 0.5))
                server.kill()
                server.start()
        finally:
            over.set()
            for client in clients:
                client.join(PATIENCE)
        with client_of(server.url) as sdk:
            sessions = {session.id: session for session in sdk.beta.sessions.list(limit=100)}
            assert made
            assert set(made) <= set(sessions)
            for session in list(sessions.values())[:50]:
                named = {resource.file_id for resource in session.resources}  # type: ignore[union-attr]
                found = {one.id for one in sdk.beta.files.list(scope_id=session.id, betas=BETAS)}
                assert len(named) == 20
                assert named == found
