"""Clients that change one thing at the same time: there is an order in which it all makes sense.

Hypothesis writes a few requests; they are sent at once, and some order of them must explain every
answer and what is there in the end, by a model of the resource. Sent one after the other, the order
is theirs, which is how the models themselves are checked.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import httpx2 as httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.running import Served, serve

MOST = 6
"""Requests at once; 720 orders."""


@pytest.fixture(scope="module")
def shared(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """On both databases, which keep requests apart in ways of their own."""
    with serve(tmp_path_factory.mktemp("races") / "data", database_url=database_url) as served:
        yield served


Op = tuple[Any, ...]
Answer = tuple[int, Any]
StateT = TypeVar("StateT")


@dataclass
class Game(Generic[StateT]):
    """A resource: how one is made, what can be done to it, and what should come of that."""

    make: Callable[[httpx.Client], tuple[str, StateT]]
    send: Callable[[httpx.Client, str, Op], Answer]
    step: Callable[[StateT, Op], tuple[Answer, StateT]]
    ops: st.SearchStrategy[Op]
    end: Op
    """Reads what is there."""


def order_of(
    game: Game[StateT], state: StateT, done: Sequence[tuple[Op, Answer]], end: Answer
) -> list[Op] | None:
    """An order of the requests that explains their answers; ``None``: there is none."""
    if not done:
        answer, _ = game.step(state, game.end)
        return [] if answer == end else None
    tried = set()
    for place, (op, answer) in enumerate(done):
        if (op, answer) in tried:
            continue
        tried.add((op, answer))
        expected, after = game.step(state, op)
        if expected == answer:
            rest = order_of(game, after, [*done[:place], *done[place + 1 :]], end)
            if rest is not None:
                return [op, *rest]
    return None


# Agents: a version is won by one.


@dataclass(frozen=True)
class AgentModel:
    version: int = 1
    name: str = "start"
    archived: bool = False


def _agent(http: httpx.Client) -> tuple[str, AgentModel]:
    body = {"name": "start", "model": "claude-opus-5"}
    return http.post("/v1/agents", json=body).json()["id"], AgentModel()


def _send_agent(http: httpx.Client, id_: str, op: Op) -> Answer:
    path = f"/v1/agents/{id_}"
    match op:
        case ("update", version, name):
            answer = http.post(path, json={"version": version, "name": name})
        case ("archive",):
            answer = http.post(f"{path}/archive")
        case _:
            answer = http.get(path)
    body = answer.json()
    if answer.status_code != 200:
        return answer.status_code, None
    return 200, (body["version"], body["name"], body["archived_at"] is not None)


def _step_agent(state: AgentModel, op: Op) -> tuple[Answer, AgentModel]:
    match op:
        case ("update", version, name):
            if version != state.version:
                return (409, None), state
            if state.archived:
                return (400, None), state
            if name != state.name:
                state = replace(state, version=version + 1, name=name)
        case ("archive",):
            state = replace(state, archived=True)
    return (200, (state.version, state.name, state.archived)), state


AGENTS = Game(
    _agent,
    _send_agent,
    _step_agent,
    st.one_of(
        st.tuples(st.just("update"), st.integers(1, 3), st.sampled_from(["start", "a", "b"])),
        st.just(("archive",)),
        st.just(("get",)),
    ),
    ("get",),
)


# Vaults: one active credential for each server; nothing outlives a vault.


@dataclass(frozen=True)
class VaultModel:
    name: str = "start"
    archived: bool = False
    deleted: bool = False
    active: frozenset[str] = field(default_factory=frozenset)


def _vault(http: httpx.Client) -> tuple[str, VaultModel]:
    return http.post("/v1/vaults", json={"display_name": "start"}).json()["id"], VaultModel()


def _send_vault(http: httpx.Client, id_: str, op: Op) -> Answer:
    path = f"/v1/vaults/{id_}"
    match op:
        case ("update", name):
            answer = http.post(path, json={"display_name": name})
        case ("archive",):
            answer = http.post(f"{path}/archive")
        case ("delete",):
            answer = http.delete(path)
            return answer.status_code, None
        case ("add", server):
            url = f"https://{server}.example.com/mcp"
            auth = {"type": "static_bearer", "token": "t", "mcp_server_url": url}
            answer = http.post(f"{path}/credentials", json={"auth": auth})
            return answer.status_code, None
        case ("credentials",):
            answer = http.get(f"{path}/credentials")
            if answer.status_code != 200:
                return answer.status_code, None
            urls = [row["auth"]["mcp_server_url"] for row in answer.json()["data"]]
            return 200, tuple(sorted(url.split("/")[2].split(".")[0] for url in urls))
        case _:
            answer = http.get(path)
    body = answer.json()
    if answer.status_code != 200:
        return answer.status_code, None
    return 200, (body["display_name"], body["archived_at"] is not None)


def _step_vault(state: VaultModel, op: Op) -> tuple[Answer, VaultModel]:
    if state.deleted:
        return (404, None), state
    match op:
        case ("update", name):
            if state.archived:
                return (400, None), state
            state = replace(state, name=name)
        case ("archive",):
            state = replace(state, archived=True, active=frozenset())
        case ("delete",):
            return (200, None), replace(state, deleted=True)
        case ("add", server):
            if state.archived:
                return (400, None), state
            if server in state.active:
                return (409, None), state
            return (200, None), replace(state, active=state.active | {server})
        case ("credentials",):
            return (200, tuple(sorted(state.active))), state
    return (200, (state.name, state.archived)), state


VAULTS = Game(
    _vault,
    _send_vault,
    _step_vault,
    st.one_of(
        st.tuples(st.just("update"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("add"), st.sampled_from(["one", "two"])),
        st.sampled_from([("archive",), ("delete",), ("credentials",), ("get",)]),
    ),
    ("credentials",),
)


# Memories: a path is taken once, and nobody's change is lost to another's precondition.


@dataclass(frozen=True)
class MemoryModel:
    contents: tuple[tuple[str, str], ...] = ()
    archived: bool = False


def _memory(http: httpx.Client) -> tuple[str, MemoryModel]:
    return http.post("/v1/memory_stores", json={"name": "start"}).json()["id"], MemoryModel()


def _send_memory(http: httpx.Client, id_: str, op: Op) -> Answer:
    path = f"/v1/memory_stores/{id_}"
    match op:
        case ("create", where, content):
            answer = http.post(f"{path}/memories", json={"path": where, "content": content})
            return answer.status_code, None
        case ("archive",):
            return http.post(f"{path}/archive").status_code, None
    data = http.get(f"{path}/memories?view=full").json()["data"]
    return 200, tuple(sorted((row["path"], row["content"]) for row in data))


def _step_memory(state: MemoryModel, op: Op) -> tuple[Answer, MemoryModel]:
    match op:
        case ("create", where, content):
            if state.archived:
                return (400, None), state
            for taken, _ in state.contents:
                if (
                    taken == where
                    or (taken + "/").startswith(where + "/")
                    or where.startswith(taken + "/")
                ):
                    return (409, None), state
            return (200, None), replace(state, contents=(*state.contents, (where, content)))
        case ("archive",):
            return (200, None), replace(state, archived=True)
    return (200, tuple(sorted(state.contents))), state


MEMORIES = Game(
    _memory,
    _send_memory,
    _step_memory,
    st.one_of(
        st.tuples(
            st.just("create"), st.sampled_from(["/a", "/a/b", "/c"]), st.sampled_from(["x", "y"])
        ),
        st.sampled_from([("archive",), ("list",)]),
    ),
    ("list",),
)


# Sessions and environments: what is over stays over, and no session begins on what is gone.


@dataclass(frozen=True)
class SessionModel:
    title: str = "start"
    archived: bool = False
    deleted: bool = False
    environment: str = "open"


_agents: dict[str, str] = {}


def _session(http: httpx.Client) -> tuple[str, SessionModel]:
    base = str(http.base_url)
    if base not in _agents:
        _agents[base] = _agent(http)[0]
    environment = http.post("/v1/environments", json={"name": "e"}).json()["id"]
    body = {"agent": _agents[base], "environment_id": environment, "title": "start"}
    session = http.post("/v1/sessions", json=body).json()["id"]
    return json.dumps([session, environment]), SessionModel()


def _send_session(http: httpx.Client, id_: str, op: Op) -> Answer:
    session, environment = json.loads(id_)
    match op:
        case ("update", title):
            answer = http.post(f"/v1/sessions/{session}", json={"title": title})
        case ("archive",):
            answer = http.post(f"/v1/sessions/{session}/archive")
        case ("delete",):
            return http.delete(f"/v1/sessions/{session}").status_code, None
        case ("begin",):
            body = {"agent": _agents[str(http.base_url)], "environment_id": environment}
            return http.post("/v1/sessions", json=body).status_code, None
        case ("archive environment",):
            return http.post(f"/v1/environments/{environment}/archive").status_code, None
        case ("delete environment",):
            return http.delete(f"/v1/environments/{environment}").status_code, None
        case _:
            answer = http.get(f"/v1/sessions/{session}")
    if answer.status_code != 200:
        return answer.status_code, None
    body = answer.json()
    return 200, (body["title"], body["archived_at"] is not None)


def _step_session(state: SessionModel, op: Op) -> tuple[Answer, SessionModel]:
    match op:
        case ("begin",):
            return ({"open": 200, "archived": 400, "gone": 404}[state.environment], None), state
        case ("archive environment",):
            if state.environment == "gone":
                return (404, None), state
            return (200, None), replace(state, environment="archived")
        case ("delete environment",):
            if state.environment == "gone":
                return (404, None), state
            return (200, None), replace(state, environment="gone")
    if state.deleted:
        return (404, None), state
    match op:
        case ("update", title):
            if state.archived:
                return (400, None), state
            state = replace(state, title=title)
        case ("archive",):
            state = replace(state, archived=True)
        case ("delete",):
            return (200, None), replace(state, deleted=True)
    return (200, (state.title, state.archived)), state


SESSIONS = Game(
    _session,
    _send_session,
    _step_session,
    st.one_of(
        st.tuples(st.just("update"), st.sampled_from(["a", "b"])),
        st.sampled_from(
            [
                ("archive",),
                ("delete",),
                ("get",),
                ("begin",),
                ("archive environment",),
                ("delete environment",),
            ]
        ),
    ),
    ("get",),
)

# Deployments: one that is archived starts nothing, and every run that was answered is in the list.


@dataclass(frozen=True)
class DeploymentModel:
    name: str = "start"
    paused: bool = False
    archived: bool = False
    runs: int = 0


def _deployment(http: httpx.Client) -> tuple[str, DeploymentModel]:
    message = {"type": "user.message", "content": [{"type": "text", "text": "/say Done."}]}
    body = {
        "name": "start",
        "agent": _agent(http)[0],
        "environment_id": http.post("/v1/environments", json={"name": "e"}).json()["id"],
        "initial_events": [message],
    }
    return http.post("/v1/deployments", json=body).json()["id"], DeploymentModel()


def _send_deployment(http: httpx.Client, id_: str, op: Op) -> Answer:
    path = f"/v1/deployments/{id_}"
    match op:
        case ("update", name):
            answer = http.post(path, json={"name": name})
        case ("run",):
            return http.post(f"{path}/run").status_code, None
        case ("runs",):
            answer = http.get(f"/v1/deployment_runs?deployment_id={id_}")
            return answer.status_code, len(answer.json()["data"])
        case ("get",):
            answer = http.get(path)
        case _:
            answer = http.post(f"{path}/{op[0]}")
    if answer.status_code != 200:
        return answer.status_code, None
    body = answer.json()
    return 200, (body["name"], body["status"], body["archived_at"] is not None)


def _step_deployment(state: DeploymentModel, op: Op) -> tuple[Answer, DeploymentModel]:
    match op:
        case ("runs",):
            return (200, state.runs), state
        case ("archive",):
            state = replace(state, archived=True, paused=False)
        case ("get",):
            pass
        case _ if state.archived:
            return (400, None), state
        case ("run",):
            return (200, None), replace(state, runs=state.runs + 1)
        case ("update", name):
            state = replace(state, name=name)
        case _:
            state = replace(state, paused=op == ("pause",))
    status = "paused" if state.paused else "active"
    return (200, (state.name, status, state.archived)), state


DEPLOYMENTS = Game(
    _deployment,
    _send_deployment,
    _step_deployment,
    st.one_of(
        st.tuples(st.just("update"), st.sampled_from(["a", "b"])),
        st.sampled_from([("archive",), ("pause",), ("unpause",), ("run",), ("get",)]),
    ),
    ("runs",),
)

GAMES: dict[str, Game[Any]] = {
    "agents": AGENTS,
    "vaults": VAULTS,
    "memories": MEMORIES,
    "sessions": SESSIONS,
    "deployments": DEPLOYMENTS,
}
SETTINGS = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("name", GAMES)
@SETTINGS
@given(data=st.data())
def test_one_after_the_other(http: httpx.Client, name: str, data: st.DataObject) -> None:
    game = GAMES[name]
    ops = data.draw(st.lists(game.ops, max_size=8))
    id_, state = game.make(http)
    for op in [*ops, game.end]:
        expected, state = game.step(state, op)
        assert game.send(http, id_, op) == expected, op


@pytest.mark.parametrize("name", GAMES)
@SETTINGS
@given(data=st.data())
def test_at_the_same_time(http: httpx.Client, name: str, data: st.DataObject) -> None:
    game = GAMES[name]
    ops = data.draw(st.lists(game.ops, min_size=2, max_size=MOST))
    id_, state = game.make(http)
    together = threading.Barrier(len(ops))

    def send(op: Op) -> Answer:
        together.wait()
        return game.send(http, id_, op)

    with ThreadPoolExecutor(len(ops)) as pool:
        answers = list(pool.map(send, ops))
    end = game.send(http, id_, game.end)
    done = list(zip(ops, answers, strict=True))
    assert order_of(game, state, done, end) is not None, (done, end)


def test_what_no_order_explains_is_found() -> None:
    """Two winners of one version, and a change that was lost."""
    update = ("update", 1, "a"), ("update", 1, "b")
    both = [(op, (200, (2, op[2], False))) for op in update]
    assert order_of(AGENTS, AgentModel(), both, (200, (2, "b", False))) is None
    one = [both[0], (update[1], (409, None))]
    assert order_of(AGENTS, AgentModel(), one, (200, (2, "a", False))) == [*update]
    assert order_of(AGENTS, AgentModel(), one, (200, (1, "start", False))) is None


def test_memories_change_by_precondition_one_at_a_time(http: httpx.Client) -> None:
    """Each of eight writers adds a line to what it read; with retries no line is lost."""
    store, _ = _memory(http)
    path = f"/v1/memory_stores/{store}/memories"
    memory = http.post(path, json={"path": "/log", "content": "start\n"}).json()["id"]
    conflicts = itertools.count()

    def write(number: int) -> None:
        while True:
            read = http.get(f"{path}/{memory}?view=full").json()
            wanted = {"type": "content_sha256", "content_sha256": read["content_sha256"]}
            body = {"content": read["content"] + f"{number}\n", "precondition": wanted}
            answer = http.post(f"{path}/{memory}", json=body)
            if answer.status_code == 200:
                return
            assert answer.status_code == 409, answer.text
            next(conflicts)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    lines = http.get(f"{path}/{memory}?view=full").json()["content"].split()
    assert sorted(lines[1:]) == [str(number) for number in range(8)]
