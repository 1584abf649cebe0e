"""Dreams through the official SDK (spec 18)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic

from freehold.api.dreams.pipeline import Pipeline
from tests.api.conftest import refused, said, turn
from tests.support.running import Served, serve

PATIENCE = 120.0
DREAMING = {"anthropic-beta": "dreaming-2026-04-21", "x-api-key": "test"}
MEMORIES = {"/a.md": "Ada likes tea.\n", "/deep/b.md": "The build needs make.\n"}
ZERO = {
    "input_tokens": 0,
    "output_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
}
TERMINAL = ("completed", "failed", "canceled")
ENDLESS = "/wait 600"


def until(done: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := done()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def make_store(sdk: Anthropic, name: str = "Notes", memories: dict[str, str] = MEMORIES) -> str:
    store = sdk.beta.memory_stores.create(
        name=name, description="what is known", metadata={"team": "a"}
    )
    for path, content in memories.items():
        sdk.beta.memory_stores.memories.create(store.id, path=path, content=content)
    return store.id


def contents(sdk: Anthropic, store: str) -> dict[str, str | None]:
    memories = sdk.beta.memory_stores.memories.list(store, view="full")
    return {memory.path: memory.content for memory in memories if memory.type == "memory"}


def make_session(sdk: Anthropic) -> str:
    agent = sdk.beta.agents.create(
        name="Helper", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
    )
    environment = sdk.beta.environments.create(name=f"e{time.monotonic_ns()}")
    return sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id).id


def begin(sdk: Anthropic, store: str, *sessions: str, **more: Any) -> Any:
    return sdk.beta.dreams.create(
        inputs=[
            {"type": "memory_store", "memory_store_id": store},
            {"type": "sessions", "session_ids": list(sessions)},
        ],
        **{"model": "claude-opus-5", **more},
    )


def in_place(store: str) -> dict[str, Any]:
    return {"output_behavior": {"type": "update_existing", "memory_store_id": store}}


def over(sdk: Anthropic, dream_id: str) -> Any:
    """The dream, once it is over and its session archived."""

    def look() -> Any:
        dream = sdk.beta.dreams.retrieve(dream_id)
        if dream.status not in TERMINAL:
            return None
        if dream.session_id is None:
            return dream
        try:
            session = sdk.beta.sessions.retrieve(dream.session_id)
        except anthropic.NotFoundError:
            return dream
        return dream if session.archived_at is not None else None

    return until(look, f"{dream_id} does not end")


def running(sdk: Anthropic, dream_id: str) -> Any:
    """The dream, once its agent asks the model."""

    def look() -> Any:
        dream = sdk.beta.dreams.retrieve(dream_id)
        if dream.session_id is None:
            return None
        events = sdk.beta.sessions.events.list(dream.session_id)
        asked = any(event.type == "span.model_request_start" for event in events)
        return dream if asked else None

    return until(look, f"{dream_id} does not run")


def bash(command: str) -> str:
    return f"/tool bash {json.dumps({'command': command})}"


def results(sdk: Anthropic, session_id: str) -> list[str]:
    events = sdk.beta.sessions.events.list(session_id, order="asc")
    return [
        "".join(getattr(block, "text", "") for block in event.content or [])
        for event in events
        if event.type == "agent.tool_result"
    ]


@pytest.fixture(scope="module")
def store(sdk: Anthropic) -> str:
    """A store that no test changes."""
    return make_store(sdk)


@pytest.fixture(scope="module")
def past(sdk: Anthropic) -> str:
    """A session in which something was said."""
    session = make_session(sdk)
    turn(sdk, session, said("I prefer coffee now.\n/run echo brewing\n/say Noted: coffee."))
    return session


def test_a_dream_writes_into_a_copy(sdk: Anthropic, store: str, past: str) -> None:
    other = make_session(sdk)
    made = begin(
        sdk,
        store,
        other,
        past,
        instructions="\n".join(
            [
                "Look at drinks.",
                bash(f"cat /mnt/session/uploads/transcripts/{past}.md"),
                "/then",
                bash("cd /mnt/memory/notes && echo 'Ada likes coffee.' > a.md && rm deep/b.md"),
                "/say Done.",
            ]
        ),
    )
    assert made.to_dict(mode="json") == {
        "id": made.id,
        "type": "dream",
        "status": "pending",
        "inputs": [
            {"type": "memory_store", "memory_store_id": store},
            {"type": "sessions", "session_ids": sorted([past, other])},
        ],
        "outputs": [],
        "model": {"id": "claude-opus-5"},
        "instructions": made.instructions,
        "output_behavior": {"type": "create_new"},
        "session_id": None,
        "usage": ZERO,
        "error": None,
        "created_at": made.to_dict(mode="json")["created_at"],
        "ended_at": None,
        "archived_at": None,
    }
    assert made.id.startswith("drm_01")

    dream = over(sdk, made.id)
    assert (dream.status, dream.error) == ("completed", None)
    assert dream.created_at == made.created_at < dream.ended_at
    (output,) = dream.outputs
    assert output.memory_store_id != store
    assert contents(sdk, output.memory_store_id) == {"/a.md": "Ada likes coffee.\n"}
    assert contents(sdk, store) == MEMORIES

    session = sdk.beta.sessions.retrieve(dream.session_id)
    assert (session.status, session.title) == ("terminated", f"Dream {dream.id}")
    assert session.agent.name == "Dream"
    used = session.usage
    assert dream.usage.to_dict() == {
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cache_read_input_tokens": used.cache_read_input_tokens,
        "cache_creation_input_tokens": used.cache_creation.ephemeral_5m_input_tokens
        + used.cache_creation.ephemeral_1h_input_tokens,
    }
    assert used.input_tokens > 0
    mounted, *files = sdk.beta.sessions.resources.list(session.id)
    assert (mounted.type, mounted.access) == ("memory_store", "read_write")  # type: ignore[union-attr]
    assert mounted.memory_store_id == output.memory_store_id  # type: ignore[union-attr]
    assert [file.mount_path for file in files] == [  # type: ignore[union-attr]
        f"/mnt/session/uploads/transcripts/{one}.md" for one in sorted([past, other])
    ]

    transcript, _ = results(sdk, session.id)
    for said_then in (
        f"# Session {past}",
        "I prefer coffee now.",
        "## Tool call: bash",
        "command: echo brewing",
        "## Tool result",
        "Noted: coffee.",
    ):
        assert said_then in transcript
    assert "span.model_request" not in transcript


def test_the_new_store_is_a_copy_of_the_old_one(sdk: Anthropic, store: str, past: str) -> None:
    # Also what the offline model makes of a dream without instructions.
    dream = over(sdk, begin(sdk, store, past).id)
    assert (dream.status, dream.instructions) == ("completed", None)
    made = sdk.beta.memory_stores.retrieve(dream.outputs[0].memory_store_id)
    old = sdk.beta.memory_stores.retrieve(store)
    assert (made.name, made.description, made.metadata) == (
        old.name,
        old.description,
        old.metadata,
    )
    assert made.created_at > old.created_at
    assert contents(sdk, made.id) == MEMORIES
    there = list(sdk.beta.memory_stores.memories.list(made.id))
    before = list(sdk.beta.memory_stores.memories.list(store))
    assert [memory.path for memory in there] == [memory.path for memory in before]  # type: ignore[union-attr]
    versions = list(sdk.beta.memory_stores.memory_versions.list(made.id))
    assert [version.operation for version in versions] == ["created", "created"]
    assert {version.created_by.session_id for version in versions} == {dream.session_id}  # type: ignore[union-attr]
    assert {memory.memory_version_id for memory in there} == {v.id for v in versions}  # type: ignore[union-attr]


def test_a_dream_writes_in_place(sdk: Anthropic, past: str) -> None:
    mine = make_store(sdk, "Mine")
    made = begin(sdk, mine, past, instructions=bash("rm /mnt/memory/mine/a.md"), **in_place(mine))
    assert made.output_behavior.to_dict() == {"type": "update_existing", "memory_store_id": mine}
    dream = over(sdk, made.id)
    assert dream.status == "completed"
    assert [output.memory_store_id for output in dream.outputs] == [mine]
    assert contents(sdk, mine) == {"/deep/b.md": MEMORIES["/deep/b.md"]}


def test_one_dream_at_a_time_writes_into_a_store(
    sdk: Anthropic, http: httpx.Client, past: str
) -> None:
    mine = make_store(sdk)
    first = running(sdk, begin(sdk, mine, past, instructions=ENDLESS, **in_place(mine)).id)
    body = {
        "inputs": [
            {"type": "memory_store", "memory_store_id": mine},
            {"type": "sessions", "session_ids": [past]},
        ],
        "model": "claude-opus-5",
        **in_place(mine),
    }
    answer = http.post("/v1/dreams", json=body, headers=DREAMING)
    refused(
        answer,
        409,
        f"Memory store {mine} is being updated by the dream {first.id}. Wait until it has ended, "
        "or cancel it.",
    )
    assert answer.headers["x-should-retry"] == "false"
    # One that only reads it is not in the way.
    reader = begin(sdk, mine, past)
    assert over(sdk, reader.id).status == "completed"
    sdk.beta.dreams.cancel(first.id)
    over(sdk, first.id)
    second = begin(sdk, mine, past, **in_place(mine))
    assert over(sdk, second.id).status == "completed"


def test_a_dream_is_watched_and_canceled(sdk: Anthropic, store: str, past: str) -> None:
    made = running(sdk, begin(sdk, store, past, instructions=ENDLESS).id)
    assert (made.status, made.ended_at) == ("running", None)
    assert len(made.outputs) == 1
    with pytest.raises(anthropic.BadRequestError, match="cannot be archived while its status is"):
        sdk.beta.dreams.archive(made.id)
    with sdk.beta.sessions.events.stream(made.session_id) as stream:
        canceled = sdk.beta.dreams.cancel(made.id)
        assert (canceled.status, canceled.error) == ("canceled", None)
        assert canceled.ended_at is not None
        for event in stream:
            if event.type == "session.status_idle":
                break
    dream = over(sdk, made.id)
    assert (dream.status, dream.ended_at) == ("canceled", canceled.ended_at)
    assert dream.outputs == canceled.outputs
    assert sdk.beta.dreams.cancel(made.id) == dream
    archived = sdk.beta.dreams.archive(made.id)
    assert archived.archived_at is not None
    assert sdk.beta.dreams.archive(made.id) == archived
    assert sdk.beta.dreams.retrieve(made.id) == archived
    assert made.id not in {one.id for one in sdk.beta.dreams.list()}
    assert made.id in {one.id for one in sdk.beta.dreams.list(include_archived=True)}


def test_what_is_over_is_not_canceled(sdk: Anthropic, store: str, past: str) -> None:
    dream = over(sdk, begin(sdk, store, past).id)
    with pytest.raises(anthropic.BadRequestError, match='its status is "completed"'):
        sdk.beta.dreams.cancel(dream.id)
    assert sdk.beta.dreams.archive(dream.id).status == "completed"


def test_a_session_that_fails_fails_its_dream(sdk: Anthropic, store: str, past: str) -> None:
    dream = over(sdk, begin(sdk, store, past, instructions="/fail invalid_request").id)
    assert (dream.status, dream.error.type) == ("failed", "internal_error")
    assert dream.error.message == (
        "The session that ran the dream stopped before it was done: The request is invalid."
    )
    assert len(dream.outputs) == 1
    with pytest.raises(anthropic.BadRequestError, match='its status is "failed"'):
        sdk.beta.dreams.cancel(dream.id)


def test_a_session_that_is_interrupted_fails_its_dream(
    sdk: Anthropic, store: str, past: str
) -> None:
    made = running(sdk, begin(sdk, store, past, instructions=ENDLESS).id)
    sdk.beta.sessions.events.send(made.session_id, events=[{"type": "user.interrupt"}])
    dream = over(sdk, made.id)
    assert (dream.status, dream.error.type) == ("failed", "internal_error")
    assert dream.error.message == "The session that ran the dream was interrupted."


@pytest.mark.parametrize("way", ["delete", "archive"])
def test_a_store_that_goes_meanwhile_fails_what_writes_into_it(
    sdk: Anthropic, past: str, way: str
) -> None:
    mine = make_store(sdk)
    made = running(sdk, begin(sdk, mine, past, instructions=ENDLESS, **in_place(mine)).id)
    getattr(sdk.beta.memory_stores, way)(mine)
    dream = over(sdk, made.id)
    assert (dream.status, dream.error.type) == ("failed", "input_memory_store_unavailable")
    assert mine in dream.error.message


def test_what_was_read_may_go_meanwhile(sdk: Anthropic) -> None:
    mine, session = make_store(sdk), make_session(sdk)
    made = running(sdk, begin(sdk, mine, session, instructions="/wait 0.5").id)
    sdk.beta.memory_stores.delete(mine)
    sdk.beta.sessions.delete(session)
    dream = over(sdk, made.id)
    assert dream.status == "completed"
    assert contents(sdk, dream.outputs[0].memory_store_id) == MEMORIES


def test_an_output_that_goes_meanwhile_fails_its_dream(
    sdk: Anthropic, store: str, past: str
) -> None:
    made = running(sdk, begin(sdk, store, past, instructions=ENDLESS).id)
    sdk.beta.memory_stores.delete(made.outputs[0].memory_store_id)
    dream = over(sdk, made.id)
    assert (dream.status, dream.error.type) == ("failed", "internal_error")


def _body(store: str, session: str, **changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "inputs": [
            {"type": "memory_store", "memory_store_id": store},
            {"type": "sessions", "session_ids": [session]},
        ],
        "model": "claude-opus-5",
    }
    return {key: value for key, value in {**body, **changes}.items() if value is not ...}


_STORE = {"type": "memory_store", "memory_store_id": "STORE"}
_SESSIONS = {"type": "sessions", "session_ids": ["SESSION"]}
_ONE_OF_EACH = (
    "inputs: must contain exactly one `memory_store` entry and exactly one `sessions` entry"
)
_ABSENT_STORE = "memstore_0111111111111111111111"
_ABSENT_SESSION = "sesn_011111111111111111111111"


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"inputs": ...}, 400, "inputs: Field required"),
        ({"model": ...}, 400, "model: Field required"),
        ({"inputs": []}, 400, _ONE_OF_EACH),
        ({"inputs": [_STORE]}, 400, _ONE_OF_EACH),
        ({"inputs": [_SESSIONS]}, 400, _ONE_OF_EACH),
        ({"inputs": [_STORE, _STORE, _SESSIONS]}, 400, _ONE_OF_EACH),
        ({"inputs": [_STORE, _SESSIONS, _SESSIONS]}, 400, _ONE_OF_EACH),
        ({"inputs": [_STORE, {**_SESSIONS, "session_ids": []}]}, 400, None),
        ({"inputs": [_STORE, {**_SESSIONS, "session_ids": ["SESSION"] * 101}]}, 400, None),
        (
            {"inputs": [_STORE, {**_SESSIONS, "session_ids": ["SESSION", "SESSION"]}]},
            400,
            "inputs: duplicate session id SESSION",
        ),
        ({"inputs": [_STORE, {"type": "files"}]}, 400, None),
        ({"instructions": ""}, 400, None),
        ({"instructions": "x" * 4097}, 400, None),
        ({"model": ""}, 400, None),
        ({"model": "m" * 257}, 400, None),
        ({"model": {"id": "m", "speed": "fast"}}, 400, None),
        ({"model": {"id": "m", "effort": "low"}}, 400, None),
        ({"output_behavior": {"type": "replace"}}, 400, None),
        (
            {"output_behavior": {"type": "update_existing", "memory_store_id": _ABSENT_STORE}},
            400,
            "output_behavior.memory_store_id: must be the memory store of the `memory_store` entry "
            "in `inputs`",
        ),
        ({"unknown": 1}, 400, None),
        (
            {"inputs": [{**_STORE, "memory_store_id": _ABSENT_STORE}, _SESSIONS]},
            404,
            f"Memory store `{_ABSENT_STORE}` not found.",
        ),
        (
            {"inputs": [_STORE, {**_SESSIONS, "session_ids": [_ABSENT_SESSION]}]},
            404,
            f"Session not found: {_ABSENT_SESSION}",
        ),
    ],
)
def test_what_is_refused(  # noqa: PLR0917
    http: httpx.Client,
    store: str,
    past: str,
    changes: dict[str, Any],
    status: int,
    message: str | None,
) -> None:
    text = json.dumps(_body("STORE", "SESSION", **changes))
    text = text.replace("STORE", store).replace("SESSION", past)
    answer = http.post(
        "/v1/dreams", content=text, headers={**DREAMING, "content-type": "application/json"}
    )
    said_then = answer.json()["error"]["message"]
    refused(answer, status, said_then if message is None else message.replace("SESSION", past))


def test_limits_are_reached(waiting: Anthropic) -> None:
    store = make_store(waiting)
    sessions = [make_session(waiting)]
    agent = waiting.beta.sessions.retrieve(sessions[0])
    for _ in range(99):
        made = waiting.beta.sessions.create(
            agent=agent.agent.id, environment_id=agent.environment_id
        )
        sessions.append(made.id)
    dream = begin(waiting, store, *sessions, model="m" * 256, instructions="x" * 4096)
    assert dream.inputs[1].session_ids == sorted(sessions)
    assert dream.model.id == "m" * 256
    given = begin(waiting, store, sessions[0], model={"id": "m", "speed": "standard"})
    assert given.model.to_dict() == {"id": "m", "speed": "standard"}


def test_an_archived_store_is_not_read(sdk: Anthropic, past: str) -> None:
    mine = make_store(sdk)
    sdk.beta.memory_stores.archive(mine)
    with pytest.raises(anthropic.BadRequestError, match="is archived"):
        begin(sdk, mine, past)


def test_dreams_need_their_own_beta(http: httpx.Client, store: str, past: str) -> None:
    body = _body(store, past)
    for headers in ({}, {"anthropic-beta": "agent-memory-2026-07-22"}):
        refused(http.post("/v1/dreams", json=body, headers=headers), 404, "Not found")
        refused(http.get("/v1/dreams", headers=headers), 404, "Not found")
    both = {"anthropic-beta": "managed-agents-2026-04-01,dreaming-2026-04-21"}
    assert http.get("/v1/dreams", headers=both).status_code == 200


def test_an_absent_dream(sdk: Anthropic) -> None:
    for dream_id in ("drm_011111111111111111111111", "drm_x", "sesn_011111111111111111111111"):
        for call in (sdk.beta.dreams.retrieve, sdk.beta.dreams.cancel, sdk.beta.dreams.archive):
            with pytest.raises(anthropic.NotFoundError, match=f"Dream {dream_id} not found"):
                call(dream_id)


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Anthropic]:
    """A server on which no dream is carried on."""
    with _asleep(tmp_path, monkeypatch) as served, served.client() as client:
        yield client


def _asleep(data_dir: Path, monkeypatch: pytest.MonkeyPatch, **values: Any) -> Any:
    async def carry(self: Pipeline, dream_id: str) -> None:
        return None

    monkeypatch.setattr(Pipeline, "carry", carry)
    return serve(data_dir / "data", **values)


def test_the_list(waiting: Anthropic) -> None:
    sdk = waiting
    store, session = make_store(sdk), make_session(sdk)
    made = [begin(sdk, store, session) for _ in range(5)]
    ids = [dream.id for dream in made]
    first = sdk.beta.dreams.list(limit=2)
    assert [dream.id for dream in first.data] == ids[:2:-1]
    assert [dream.id for dream in first] == ids[::-1]
    assert list(sdk.beta.dreams.list())[-1] == made[0]
    canceled = sdk.beta.dreams.cancel(ids[1])
    assert (canceled.status, canceled.session_id, canceled.outputs) == ("canceled", None, [])
    sdk.beta.dreams.cancel(ids[2])
    sdk.beta.dreams.archive(ids[2])

    def found(**filters: Any) -> list[int]:
        return [ids.index(dream.id) for dream in sdk.beta.dreams.list(**filters)]

    assert found() == [4, 3, 1, 0]
    assert found(include_archived=True) == [4, 3, 2, 1, 0]
    assert found(statuses=["canceled"]) == [1]
    assert found(statuses=["canceled"], include_archived=True) == [2, 1]
    assert found(statuses=["canceled", "pending"]) == [4, 3, 1, 0]
    assert found(statuses=["running"]) == []
    assert found(created_at_gt=made[1].created_at) == [4, 3]
    assert found(created_at_lt=made[1].created_at) == [0]
    second = timedelta(seconds=1)
    assert found(created_at_gt=made[0].created_at - second) == [4, 3, 1, 0]
    for wrong in ({"limit": 0}, {"limit": 101}, {"page": "page_x"}, {"statuses": ["done"]}):
        with pytest.raises(anthropic.BadRequestError):
            sdk.beta.dreams.list(**wrong)  # type: ignore[arg-type]
    # A pending one holds the store as well, and lets it go when it is canceled.
    holds = begin(sdk, store, session, **in_place(store))
    with pytest.raises(anthropic.ConflictError):
        begin(sdk, store, session, **in_place(store))
    sdk.beta.dreams.cancel(holds.id)
    begin(sdk, store, session, **in_place(store))


def test_the_next_server_starts_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        monkeypatch.context() as patch,
        _asleep(tmp_path, patch) as served,
        served.client() as sdk,
    ):
        session, doomed = make_session(sdk), make_session(sdk)
        stores = [make_store(sdk) for _ in range(3)]
        waits, storeless, sessionless, archived, large = (
            begin(sdk, stores[0], session).id,
            begin(sdk, stores[1], session).id,
            begin(sdk, stores[0], session, doomed).id,
            begin(sdk, stores[2], session).id,
            begin(
                sdk,
                make_store(sdk, "Large", {f"/{n}": "x" * 102_400 for n in range(11)}),
                session,
            ).id,
        )
        sdk.beta.memory_stores.delete(stores[1])
        sdk.beta.sessions.delete(doomed)
        sdk.beta.memory_stores.archive(stores[2])
    with serve(tmp_path / "data", dream_memory_max_mb=1) as served, served.client() as sdk:
        assert over(sdk, waits).status == "completed"
        for dream_id, kind in (
            (storeless, "input_memory_store_unavailable"),
            (archived, "input_memory_store_unavailable"),
            (sessionless, "input_session_unavailable"),
            (large, "input_memory_store_too_large"),
        ):
            dream = over(sdk, dream_id)
            assert (dream.status, dream.error.type) == ("failed", kind)
            assert (dream.session_id, dream.outputs, dream.usage.to_dict()) == (None, [], ZERO)
            assert dream.ended_at is not None


def test_a_dream_that_takes_too_long_fails(tmp_path: Path) -> None:
    with serve(tmp_path / "data", dream_timeout=0.3) as served, served.client() as sdk:
        store, session = make_store(sdk), make_session(sdk)
        dream = over(sdk, begin(sdk, store, session, instructions=ENDLESS, **in_place(store)).id)
        assert (dream.status, dream.error.type) == ("failed", "timeout")
        assert "0.3 seconds" in dream.error.message
        # It holds the store no longer.
        until(lambda: _begins(sdk, store, session), "the store is held")


def _begins(sdk: Anthropic, store: str, session: str) -> bool:
    try:
        begin(sdk, store, session, **in_place(store))
    except anthropic.ConflictError:
        return False
    return True


def test_two_servers_start_a_dream_once(tmp_path: Path) -> None:
    def client(served: Served) -> Anthropic:
        return served.client()

    with (
        serve(tmp_path / "data") as one,
        serve(tmp_path / "data") as two,
        client(one) as sdk,
        client(two) as other,
    ):
        store, session = make_store(sdk), make_session(sdk)
        made = [begin(client, store, session).id for client in (sdk, other) * 4]
        dreams = [over(sdk, dream_id) for dream_id in made]
        assert {dream.status for dream in dreams} == {"completed"}
        outputs = {dream.outputs[0].memory_store_id for dream in dreams}
        assert len(outputs) == len(made)
        assert {one.id for one in sdk.beta.memory_stores.list()} == outputs | {store}
        sessions = {one.id for one in sdk.beta.sessions.list(include_archived=True)}
        assert sessions == {dream.session_id for dream in dreams} | {session}


def test_where_sandboxes_cannot_be_given_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(tmp_path / "data") as served, served.client() as sdk:
        store, session = make_store(sdk), make_session(sdk)
        monkeypatch.setattr(served.app.state.sandboxes, "unfurnishable", lambda: "it is open")
        with pytest.raises(anthropic.BadRequestError, match="cannot be put into a sandbox here"):
            begin(sdk, store, session)
        assert list(sdk.beta.dreams.list()) == []
