"""Both official SDKs drive a server in a process of its own, and come back after lost streams.

Every scenario is played straight through once and then with the stream dropped at the point that
matters. However it was played, the client has seen each event of the log once and in order, and
the log, the session and what others saw of it are the same as without the drop.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.drives.driver import drive
from tests.drives.plans import SCENARIOS, Scenario, Stage
from tests.support.mcp_process import mcp_process
from tests.support.paced import paced_upstream
from tests.support.running import ServerProcess, client_of
from tests.support.typescript import HERE, installed_node

# A stream that waits for what was lost is kept alive for ever.
pytestmark = pytest.mark.timeout(150)

Json = dict[str, Any]
Play = Callable[[Json], Json]

STRAIGHT = ("", "")
WAYS = [
    STRAIGHT,
    ("list", "away"),
    ("list", "after"),
    ("last_event_id", "away"),
    ("last_event_id", "before"),
]
"""How the client comes back, and when it does what the event of the drop asks for."""

FEWER = {"mcp with oauth, post", "mcp with oauth, none"}
"""What differs in nothing but the token endpoint is played by one SDK, and dropped once."""

_ID = re.compile(r"\b(?:sevt|sesn|sthr|agent|env|vlt|vcrd|toolu|gate)[_-][0-9A-Za-z]{6,}\b")
_TIMES = {"processed_at", "created_at", "updated_at", "duration_seconds", "active_seconds"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """A model that stops in the middle of what it says."""
    with paced_upstream() as url:
        yield url


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> Iterator[ServerProcess]:
    """``freehold serve``, with prices that budgets soon come to."""
    folder = tmp_path_factory.mktemp("drives")
    (folder / "prices.toml").write_text('[models."claude-opus-5"]\ninput = 1000\noutput = 1000\n')
    (folder / "models.toml").write_text(
        f'[[models]]\nid = "paced"\nbase_url = "{upstream}"\napi_key = "k"\n'
    )
    with ServerProcess(
        folder / "data",
        FREEHOLD_SANDBOX="process",
        FREEHOLD_PRICES=str(folder / "prices.toml"),
        FREEHOLD_MODELS=str(folder / "models.toml"),
    ) as process:
        yield process


@pytest.fixture(scope="module")
def stage(server: ServerProcess, upstream: str) -> Iterator[Stage]:
    """Everything that the scenarios are played on."""
    with mcp_process() as mcp, client_of(server.url) as client:
        environment = client.beta.environments.create(name="driven")
        yield Stage(client, environment.id, upstream, mcp)


class _Node:
    """``drive.mjs``, one plan at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def play(self, plan: Json) -> Json:
        assert self._process.stdin is not None
        print(json.dumps(plan), file=self._process.stdin, flush=True)
        try:
            told: Json = json.loads(self._lines.get(timeout=90))
        except queue.Empty:
            self._process.kill()  # what it says later is no answer to the next plan
            raise
        assert "error" not in told, told["error"]
        return told


@pytest.fixture(scope="module")
def typescript(server: ServerProcess) -> Iterator[Play]:
    """The TypeScript SDK; skips where Node is not."""
    process = subprocess.Popen(
        [installed_node(), "drive.mjs"],
        cwd=HERE,
        env={**os.environ, "BASE_URL": server.url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield _Node(process).play
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture(scope="module")
def python(server: ServerProcess) -> Play:
    """The Python SDK, strict."""
    return lambda plan: drive(server.url, plan)


@pytest.fixture(scope="module")
def straight(stage: Stage, python: Play) -> Callable[[str], Json]:
    """What comes of a scenario when nothing is dropped, with names for what is always new."""
    known: dict[str, Json] = {}

    def find(name: str) -> Json:
        if name not in known:
            scenario = SCENARIOS[name](stage)
            known[name] = outcome(python({**scenario.plan, "drop": None, "back": "", "moment": ""}))
        return known[name]

    return find


def outcome(told: Json) -> Json:
    """The log and the session as they would be if they had been played at another time."""
    names: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        return names.setdefault(found[0], f"<{len(names)}>")

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            # An absent field and a null are the same to one SDK and not to the other.
            kept = {name: item for name, item in value.items() if name not in _TIMES}
            return {name: plain(item) for name, item in kept.items() if item is not None}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return _ID.sub(named, value) if isinstance(value, str) else value

    session = {name: told["session"].get(name) for name in ("status", "usage", "budget")}
    result: Json = plain({"log": told["listed"], "session": session})
    return result


def plays() -> Iterator[Any]:
    for sdk, name, way in itertools.product(("python", "typescript"), SCENARIOS, WAYS):
        if name in FEWER and (sdk == "typescript" or way not in {STRAIGHT, ("list", "after")}):
            continue
        label = "-".join(filter(None, (sdk, name.replace(" ", "_"), *way)))
        yield pytest.param(sdk, name, way, id=label)


@pytest.mark.parametrize(("sdk", "name", "way"), list(plays()))
def test_what_is_driven_ends_the_same_whatever_is_lost(  # noqa: PLR0917 - pytest fills them in
    sdk: str,
    name: str,
    way: tuple[str, str],
    stage: Stage,
    straight: Callable[[str], Json],
    request: pytest.FixtureRequest,
) -> None:
    play: Play = request.getfixturevalue(sdk)
    scenario: Scenario = SCENARIOS[name](stage)
    back, moment = way
    plan = {**scenario.plan, "back": back, "moment": moment}
    if way == STRAIGHT:
        plan["drop"] = None
    told = play(plan)

    assert told["dropped"] == (way != STRAIGHT)
    assert told["connections"] == (1 if way == STRAIGHT else 2)
    # Nothing is lost, nothing comes twice where it may not, nothing is out of order or changed.
    assert told["twice"] == []
    assert told["seen"] == told["listed"]
    if way == STRAIGHT:
        assert told["overlap"] == []
    scenario.check(told)
    scenario.final()
    assert outcome(told) == straight(name)
