"""What agents deliver, as a client finds and downloads it (spec 17, 22.1)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic

from freehold.sandbox.process import bubblewrap_works
from tests.api.conftest import said, turn
from tests.crash.support import until
from tests.support.running import ServerProcess

OUT = "/mnt/session/outputs"
BETAS = ["managed-agents-2026-04-01", "files-api-2025-04-14"]


def session_of(sdk: Anthropic) -> str:
    agent = sdk.beta.agents.create(
        name="a", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
    )
    environment = sdk.beta.environments.create(name="e")
    return sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id).id


def bash(sdk: Anthropic, session: str, command: str) -> list[Any]:
    text = f"/tool bash {json.dumps({'command': command})}"
    return list(turn(sdk, session, said(text)))


def files(sdk: Anthropic, session: str) -> dict[str, Any]:
    """The session's files by id, oldest first."""
    found = list(sdk.beta.files.list(scope_id=session, betas=BETAS))
    return {file.id: file for file in reversed(found)}


def content(sdk: Anthropic, file_id: str) -> bytes:
    return sdk.beta.files.download(file_id, betas=BETAS).read()


def test_an_output_can_be_downloaded(sdk: Anthropic) -> None:
    session = session_of(sdk)
    bash(sdk, session, f"mkdir {OUT}/deep; printf data > {OUT}/deep/table.csv; echo x > /tmp/no")
    (file,) = files(sdk, session).values()
    assert (file.filename, file.mime_type, file.size_bytes) == ("table.csv", "text/csv", 4)
    assert file.downloadable is True
    assert (file.scope.type, file.scope.id) == ("session", session)
    assert content(sdk, file.id) == b"data"
    assert file.id not in [other.id for other in sdk.beta.files.list(betas=BETAS)]


def test_each_content_becomes_one_file(sdk: Anthropic) -> None:
    session = session_of(sdk)
    bash(sdk, session, f"printf one > {OUT}/a.txt")
    bash(sdk, session, "true")
    assert len(files(sdk, session)) == 1
    bash(sdk, session, f"printf two > {OUT}/a.txt")
    assert [content(sdk, one) for one in files(sdk, session)] == [b"one", b"two"]


def test_they_go_with_the_session(sdk: Anthropic) -> None:
    session = session_of(sdk)
    bash(sdk, session, f"printf one > {OUT}/a.txt")
    (file_id,) = files(sdk, session)
    sdk.beta.sessions.delete(session)
    assert files(sdk, session) == {}
    with pytest.raises(Exception, match="404"):
        content(sdk, file_id)


def test_a_killed_server_keeps_each_output_once(tmp_path: Path) -> None:
    """Killed at any moment of the turn, the next server brings it to its end and keeps all."""
    if not bubblewrap_works():
        pytest.skip("bubblewrap may not make a sandbox here")
    with (
        ServerProcess(tmp_path / "data", FREEHOLD_SANDBOX="process") as server,
        Anthropic(base_url=server.url, api_key="test") as sdk,
    ):
        session = session_of(sdk)
        command = f"for n in 1 2 3 4; do printf $n > {OUT}/$n; done"
        text = f"/tool bash {json.dumps({'command': command})}"
        for _ in range(2):
            sdk.beta.sessions.events.send(session, events=[said(text)])
            server.kill()
            server.start()
        # Killed before the model has answered, a request is made anew with what was said since,
        # and the scripted model does what the last message says: that must still be the command.
        until(lambda: sdk.beta.sessions.retrieve(session).status == "idle")
        bash(sdk, session, "true")
        names = [file.filename for file in files(sdk, session).values()]
        assert sorted(names) == ["1", "2", "3", "4"]
        sdk.beta.sessions.delete(session)
