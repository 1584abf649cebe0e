"""SIGKILL while dreams start, run and end: each is run by one session and writes each line once."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic

from tests.crash.support import Caller, dice, how_often, until
from tests.support.running import ServerProcess, client_of

KILLS = how_often(3)
DREAMS = 3
CALLS = 4


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_dreams_survive(tmp_path: Path) -> None:
    rng = dice()
    data_dir = tmp_path / "data"
    with (
        ServerProcess(data_dir, FREEHOLD_SANDBOX="process") as server,
        client_of(server.url) as sdk,
    ):
        store, session = _prepare(sdk)
        made = [_dream(sdk, store, session).id for _ in range(DREAMS)]
        caller = Caller(sdk)
        lively = 0
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.0, 0.5))
            server.kill()
            server.start()
            found = caller.persist(lambda: list(sdk.beta.dreams.list()))
            lively += any(dream.status in ("pending", "running") for dream in found)
        assert lively, "no kill came while there were dreams"
        until(lambda: _over(caller, made), "dreams do not end")
        dreams = [sdk.beta.dreams.retrieve(dream_id) for dream_id in made]
        assert [dream.error for dream in dreams] == [None] * DREAMS
        outputs = [dream.outputs[0].memory_store_id for dream in dreams]
        for output in outputs:
            memories = sdk.beta.memory_stores.memories.list(output, view="full")
            assert {one.path: one.content for one in memories if one.type == "memory"} == {
                "/first.md": "first\n",
                "/lines.md": "".join(f"{number}\n" for number in range(CALLS)),
            }
        stores = {one.id for one in sdk.beta.memory_stores.list(limit=100)}
        assert stores == {*outputs, store}
        sessions = list(sdk.beta.sessions.list(limit=100, include_archived=True))
        assert {one.id for one in sessions} == {session, *(d.session_id for d in dreams)}  # type: ignore[arg-type]
        until(lambda: _archived(sdk, dreams), "sessions of dreams stay")


def _prepare(sdk: Anthropic) -> tuple[str, str]:
    store = sdk.beta.memory_stores.create(name="Notes").id
    sdk.beta.memory_stores.memories.create(store, path="/first.md", content="first\n")
    agent = sdk.beta.agents.create(name="crash", model="claude-sonnet-5")
    environment = sdk.beta.environments.create(name="crash")
    session = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    return store, session.id


def _dream(sdk: Anthropic, store: str, session: str) -> Any:
    calls = []
    for number in range(CALLS):
        command = f"sleep 0.1; echo {number} >> /mnt/memory/notes/lines.md"
        calls += [f"/tool bash {json.dumps({'command': command})}", "/then"]
    return sdk.beta.dreams.create(
        inputs=[
            {"type": "memory_store", "memory_store_id": store},
            {"type": "sessions", "session_ids": [session]},
        ],
        model="claude-opus-5",
        instructions="\n".join(calls),
    )


def _over(caller: Caller, made: list[str]) -> bool:
    found = caller.persist(lambda: list(caller.sdk.beta.dreams.list()))
    return all(dream.ended_at is not None for dream in found if dream.id in made)


def _archived(sdk: Anthropic, dreams: list[Any]) -> bool:
    return all(sdk.beta.sessions.retrieve(dream.session_id).archived_at for dream in dreams)
