"""SIGKILL of a worker, and of the server, in the middle of a call that a worker runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic

from tests.crash.support import check_database, check_order, until, user
from tests.support.running import ServerProcess, client_of
from tests.support.workers import TOOLSET, WorkerProcess, database_of, mint_key, polling

# So long does the first run of the call take that nobody sees its end; the next is quick.
SLOW = "test -e {mark} || {{ echo $$ > {mark}; sleep 900; }}; echo served"


class Scene:
    """A server, an environment of its own, and a session whose call hangs when first run."""

    def __init__(self, folder: Path, server: ServerProcess, sdk: Anthropic) -> None:
        self.folder = folder
        self.server = server
        self.sdk = sdk
        environment = sdk.beta.environments.create(name="own", config={"type": "self_hosted"})
        self.environment_id = environment.id
        self.key, _ = mint_key(database_of(folder / "data"), environment.id)
        agent = sdk.beta.agents.create(name="a", model="claude-opus-5", tools=TOOLSET)
        self.mark = folder / "started"
        command = json.dumps({"command": SLOW.format(mark=self.mark)})
        words: Any = [user(f"/tool bash {command}\n/say done")]
        self.session = sdk.beta.sessions.create(
            agent=agent.id, environment_id=environment.id, initial_events=words
        )

    def worker(self, sdk_name: str, name: str) -> WorkerProcess:
        variables = polling(self.environment_id, self.key)
        return WorkerProcess(sdk_name, self.server.url, self.folder / name, **variables)

    def begun(self) -> bool:
        return self.mark.exists() and self.mark.read_text().endswith("\n")

    def listed(self) -> list[Any]:
        return [
            event.to_dict()
            for event in self.sdk.beta.sessions.events.list(self.session.id, limit=1000)
        ]

    def over(self) -> bool:
        last = self.listed()[-1]
        reason = last.get("stop_reason") or {}
        return last["type"] == "session.status_idle" and reason["type"] == "end_turn"

    def clear(self) -> None:
        """End the shell that a killed worker leaves behind, and what it waits for."""
        if self.begun() and (shell := int(self.mark.read_text())) > 1:
            with contextlib.suppress(OSError, IndexError):
                if not os.readlink(f"/proc/{shell}/cwd").startswith(str(self.folder)):
                    return  # another's by now
                child = _child(shell)
                os.kill(shell, signal.SIGKILL)
                os.kill(child, signal.SIGKILL)


@contextlib.contextmanager
def scene(folder: Path, lease: str) -> Iterator[Scene]:
    variables = {"FREEHOLD_SANDBOX": "scripted", "FREEHOLD_WORK_LEASE": lease}
    with (
        ServerProcess(folder / "data", **variables) as server,
        client_of(server.url, max_retries=5) as sdk,
    ):
        made = Scene(folder, server, sdk)
        try:
            yield made
        finally:
            made.clear()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("sdk_name", ["python", "typescript"])
def test_the_work_of_a_dead_worker_is_done_by_another(tmp_path: Path, sdk_name: str) -> None:
    with scene(tmp_path, lease="4") as at:
        with at.worker(sdk_name, "first") as first, at.worker(sdk_name, "second") as second:
            until(at.begun, "no worker takes the call")
            # Of the two, one has the item; the other polls in vain.
            holder = first if "claimed work" in first.told else second
            if sdk_name == "typescript":
                holder = first if _runs(at, first) else second
            holder.kill()
            until(at.over, "nobody takes the dead worker's place")
        events = at.listed()
        check_order(events)
        results = [event for event in events if event["type"] == "user.tool_result"]
        assert [result["content"][0]["text"].strip() for result in results] == ["served"]
        (item,) = at.sdk.beta.environments.work.list(at.environment_id)
        assert item.data.id == at.session.id
    check_database(tmp_path / "data" / "freehold.db")


def _runs(at: Scene, worker: WorkerProcess) -> bool:
    """Whether it is this worker's shell that began the call."""
    shell = int(at.mark.read_text())
    folder = os.readlink(f"/proc/{shell}/cwd")
    return Path(folder) == worker.workdir


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("sdk_name", ["python", "typescript"])
def test_a_worker_outlives_the_server(tmp_path: Path, sdk_name: str) -> None:
    with scene(tmp_path, lease="60") as at:
        with at.worker(sdk_name, "only") as worker:
            until(at.begun, "no worker takes the call")
            at.server.kill()
            # The call ends while there is nobody to tell.
            os.kill(_child(int(at.mark.read_text())), signal.SIGKILL)
            at.server.start()
            until(at.over, f"the result does not arrive: {worker.told[-2000:]}")
        events = at.listed()
        check_order(events)
        results = [event for event in events if event["type"] == "user.tool_result"]
        assert ["served" in result["content"][0]["text"] for result in results] == [True]
    check_database(tmp_path / "data" / "freehold.db")


def _child(shell: int) -> int:
    """The program that a shell waits for."""
    children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
    return int(children[0])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_server_that_dies_between_any_two_steps_strands_no_session(tmp_path: Path) -> None:
    with scene(tmp_path, lease="4") as at:
        at.mark.write_text("0\n")  # no call hangs
        sessions = [at.session.id]
        agent = at.sdk.beta.agents.list().data[0]
        with at.worker("python", "only"):
            for number in range(6):
                command = json.dumps({"command": f"echo {number}"})
                words: Any = [user(f"/tool bash {command}\n/say done")]
                made = at.sdk.beta.sessions.create(
                    agent=agent.id, environment_id=at.environment_id, initial_events=words
                )
                sessions.append(made.id)
                at.server.kill()
                at.server.start()
            for session_id in sessions:
                until(lambda one=session_id: _done(at.sdk, one), "a session sticks")
        at.mark.unlink()
    check_database(tmp_path / "data" / "freehold.db")


def _done(sdk: Anthropic, session_id: str) -> bool:
    idles: list[Any] = list(
        sdk.beta.sessions.events.list(session_id, types=["session.status_idle"])
    )
    return bool(idles) and idles[-1].stop_reason.type == "end_turn"
