"""Every field at its limit and one past it (appendix A; the table is in ``tests/api/limits``)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from typer.testing import CliRunner

import freehold.api
from freehold.api.organization import service as organization
from freehold.cli.program import program
from freehold.core import limits
from freehold.core.workspaces import DEFAULT_WORKSPACE
from tests.api.conftest import refused
from tests.api.limits import ROWS
from tests.api.limits.deployments import DEPLOYED, SCHEDULE
from tests.api.limits.kinds import VALUE, Row
from tests.api.limits.metadata import CARRIERS, bag_of
from tests.api.limits.organization import BETA as WEBHOOKS
from tests.api.limits.organization import HOOK, ROOT
from tests.api.limits.world import World
from tests.support.constraints import Constraint, declared
from tests.support.running import BETA, Served
from tests.support.untouched import Untouched

EXCUSED = {
    "PAGE_DEFAULT": "no limit: what is meant without one",
    "EVENTS_PAGE_DEFAULT": "the same",
    "REPOSITORY_SKILLS": "no field: what the model is told of",
    "MEMORIES_FULL_PAGE": "not refused: the page is cut; tests/api/test_memory_stores.py",
    "BODY_BYTES": "of every request: TestSize in tests/api/test_transport.py",
    "JSON_DEPTH": "of every request: tests/unit/api/test_strict_json.py",
    "JSON_VALUES": "the same",
    "SKILL_BYTES": "below: test_the_bytes_of_a_skill",
    "CREDENTIALS": "below: test_a_vault_holds_20_credentials",
    "MEMORIES_PER_STORE": "below: test_a_store_holds_2000_memories",
    "FILE_IN_MESSAGE": "below: test_a_file_in_a_message",
    "WEBHOOK_ENDPOINTS": "below: test_an_organization_has_32_webhooks",
    "DEPLOYMENTS_SCHEDULED": "below: test_a_server_has_1000_schedules",
    "ONBOARDED_AHEAD": "of a moment: tests/api/test_user_profiles.py",
    "TUNNEL_CERTIFICATES": "test_a_tunnel_trusts_two_cas in tests/api/test_tunnels.py",
    "FILE_LIFETIME_MIN": "the least of the row of FILE_LIFETIME_MAX",
}
"""Constants without a row, and why."""


@pytest.fixture(scope="module")
def http(shared: Served) -> Iterator[httpx.Client]:
    """Bare HTTP with a key that may do everything, in the default workspace."""
    folder = str(shared.app.state.services.settings.data_dir)
    command = ["keys", "create", "--admin", "--quiet", "--data-dir", folder]
    done = CliRunner().invoke(program, command)
    assert done.exit_code == 0, done.output
    headers = {
        "anthropic-beta": BETA["anthropic-beta"],
        "authorization": f"Bearer {done.stdout.strip()}",
        "anthropic-workspace-id": DEFAULT_WORKSPACE,
    }
    with httpx.Client(base_url=shared.url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def world(shared: Served, http: httpx.Client) -> World:
    return World(shared, http)


@pytest.fixture(scope="module")
def untouched(shared: Served) -> Iterator[Untouched]:
    watch = Untouched(Path(shared.app.state.services.settings.data_dir))
    yield watch
    watch.close()


def row_id(row: Row) -> str:
    return row.field


def put(template: Any, value: Any) -> Any:
    """The template with the value in it."""
    if template is VALUE:
        return value
    if isinstance(template, dict):
        return {key: put(part, value) for key, part in template.items()}
    if isinstance(template, list):
        return [put(part, value) for part in template]
    return template


class Sent:
    """A request of the table, ready to be sent as often as wanted."""

    def __init__(self, http: httpx.Client, world: World, row: Row, value: Any) -> None:
        self._http = http
        self.value = world.fill(value)
        call = row.call
        self.path = world.fill(call.path)
        self._options: dict[str, Any] = {}
        if call.form is not None:
            self._options["files"] = call.form(self.value)
        elif callable(call.body):
            self._options["json"] = world.fill(call.body(self.value))
        elif call.body is not None:
            self._options["json"] = world.fill(put(call.body, self.value))
        if call.query:
            self._options["params"] = {
                name: world.fill(put(part, self.value)) for name, part in call.query.items()
            }
        self.headers = world.fill(dict(call.headers))
        self._method = call.method

    def __call__(self) -> httpx.Response:
        with self._http.stream(
            self._method, self.path, headers=self.headers, **self._options
        ) as answer:
            if not answer.headers["content-type"].startswith("text/event-stream"):
                answer.read()
            return answer


def looked_up(answer: Any, path: str) -> Any:
    """What is at a path of an answer; ``*`` stands for every item of a list."""
    found = answer
    parts = path.split(".") if path else []
    for place, part in enumerate(parts):
        if part == "*":
            rest = ".".join(parts[place + 1 :])
            return [looked_up(item, rest) for item in found]
        found = found[int(part)] if isinstance(found, list) else found[part]
    return found


@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_at_the_limit(http: httpx.Client, world: World, row: Row) -> None:
    for name, value in row.bounds.fitting():
        sent = Sent(http, world, row, value)
        answer = sent()
        if row.elsewhere and name in (row.elsewhere_at or (name,)):
            assert answer.status_code in (400, 403, 404, 409), (name, answer.text[:500])
            said = answer.json()["error"]["message"]
            assert not re.search(r"string length|at (least|most)|than or equal", said), (name, said)
            continue
        assert answer.status_code == 200, (name, answer.text[:500])
        if row.shown is None:
            continue
        path = row.shown or row.path()
        if path.startswith("events"):
            path = path.replace("events", "data", 1)
        made = answer.json()
        assert looked_up(made, path) == row.shows(sent.value), name
        if row.call.readable and row.call.method == "POST":
            below = "" if made["id"] in sent.path else f"/{made['id']}"
            read = http.get(sent.path.partition("?")[0] + below, headers=sent.headers).json()
            assert looked_up(read, path) == row.shows(sent.value), name


def pattern(row: Row) -> str:
    """What a refusal must match: the parts of the field's path, in their order."""
    parts = row.path().removesuffix("[]").split(".")
    return ".*".join(rf"(?<![A-Za-z0-9]){re.escape(part)}(?![A-Za-z0-9])" for part in parts)


@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_one_past(http: httpx.Client, world: World, untouched: Untouched, row: Row) -> None:
    for name, value in row.bounds.beyond():
        sent = Sent(http, world, row, value)
        answer = untouched.by(sent)
        assert answer.status_code == 400, (name, answer.text[:500])
        said = answer.json()["error"]["message"]
        assert re.search(row.refusal or pattern(row), said), (name, said)
        refused(answer, 400, said)


@pytest.mark.parametrize("name", CARRIERS)
def test_what_a_patch_leaves_counts(
    http: httpx.Client, world: World, untouched: Untouched, name: str
) -> None:
    """Of metadata, the stored bag is what has limits (spec 1.10)."""
    call = CARRIERS[name][1]
    path = world.fill(call.path)

    def patch(metadata: Any) -> httpx.Response:
        return http.post(path, json={"metadata": metadata})

    before = http.get(path).json()["metadata"]
    full = patch({**dict.fromkeys(before), **bag_of(16)})
    assert full.json()["metadata"] == bag_of(16)
    refused(
        untouched.by(lambda: patch({"more": "x"})),
        400,
        "invalid metadata: metadata map would have 17 entries, exceeding the maximum of 16",
    )
    exchanged = patch({"more": "x", "key0": None}).json()["metadata"]
    assert len(exchanged) == 16
    assert "more" in exchanged
    for patch_too_long in ({"key1": "v" * 513}, {"k" * 65: "v", "key2": None}):
        assert untouched.by(lambda: patch(patch_too_long)).status_code == 400  # noqa: B023


def test_a_vault_holds_20_credentials(
    http: httpx.Client, world: World, untouched: Untouched
) -> None:
    path = world.fill("/v1/vaults/{new_vault}/credentials")

    def add(number: int) -> httpx.Response:
        url = f"https://mcp.example/{number}"
        auth = {"type": "static_bearer", "token": "secret", "mcp_server_url": url}
        return http.post(path, json={"auth": auth})

    made = [add(number) for number in range(20)]
    assert {answer.status_code for answer in made} == {200}
    answer = untouched.by(lambda: add(20))
    assert answer.status_code == 400
    assert "20 credentials" in answer.json()["error"]["message"]
    assert http.post(f"{path}/{made[0].json()['id']}/archive").status_code == 200
    assert add(21).status_code == 200


def test_a_store_holds_2000_memories(
    http: httpx.Client, world: World, untouched: Untouched, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.MEMORIES_PER_STORE == 2000  # spec 15.3
    monkeypatch.setattr(limits, "MEMORIES_PER_STORE", 3)
    path = world.fill("/v1/memory_stores/{new_store}/memories")

    def add(number: int) -> httpx.Response:
        return http.post(path, json={"path": f"/{number}", "content": ""})

    made = [add(number) for number in range(3)]
    assert {answer.status_code for answer in made} == {200}
    answer = untouched.by(lambda: add(3))
    assert answer.status_code == 400
    assert "has 3 memories" in answer.json()["error"]["message"]
    assert http.delete(f"{path}/{made[0].json()['id']}").status_code == 200
    assert add(4).status_code == 200


def test_a_file_in_a_message(
    http: httpx.Client, world: World, untouched: Untouched, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.FILE_IN_MESSAGE == 24 * 2**20
    monkeypatch.setattr(limits, "FILE_IN_MESSAGE", 2**20)

    def send(size: int) -> httpx.Response:
        uploaded = http.post("/v1/files", files={"file": ("a.txt", b"x" * size, "text/plain")})
        source = {"type": "file", "file_id": uploaded.json()["id"]}
        content = [{"type": "document", "source": source}]
        path = world.fill("/v1/sessions/{fresh}/events")
        body = {"events": [{"type": "user.message", "content": content}]}
        if size <= 2**20:
            return http.post(path, json=body)
        return untouched.by(lambda: http.post(path, json=body))

    assert send(2**20).status_code == 200
    refused(
        send(2**20 + 1),
        400,
        "events[0].content[0].source: the file is larger than the 1 MB that a model can be shown",
    )


def test_the_bytes_of_a_skill(
    http: httpx.Client, untouched: Untouched, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.SKILL_BYTES == 30 * 2**20  # spec 16
    monkeypatch.setattr(limits, "SKILL_BYTES", 2**20)
    document = b"---\nname: heavy\ndescription: It weighs.\n---\n"

    def send(size: int) -> httpx.Response:
        rest = b"x" * (size - len(document))
        files = [("files[]", ("top/SKILL.md", document)), ("files[]", ("top/rest", rest))]
        return http.post("/v1/skills", files=files)

    assert send(2**20).status_code == 200
    refused(
        untouched.by(lambda: send(2**20 + 1)),
        413,
        "Skill exceeds the maximum of 1 MB, compressed or not",
    )


def test_an_organization_has_32_webhooks(
    http: httpx.Client, world: World, untouched: Untouched
) -> None:
    path = f"{ROOT}/webhooks"
    there = len(http.get(path, params={"limit": 100}, headers=WEBHOOKS).json()["data"])
    body = {"url": HOOK, "enabled_events": ["agent.created"]}

    def add() -> httpx.Response:
        return http.post(path, json=body, headers=WEBHOOKS)

    made = [add() for _ in range(32 - there)]
    assert {answer.status_code for answer in made} <= {200}
    refused(untouched.by(add), 400, "an organization can have at most 32 webhook endpoints")
    # Other tests want some, too.
    for answer in made:
        gone = http.delete(f"{path}/{answer.json()['id']}", headers=WEBHOOKS)
        assert gone.status_code == 200


def test_a_server_has_1000_schedules(
    http: httpx.Client, world: World, untouched: Untouched, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.DEPLOYMENTS_SCHEDULED == 1000  # spec 13.2
    deployments = http.get("/v1/deployments", params={"limit": 100}).json()["data"]
    there = sum(one["schedule"] is not None for one in deployments)
    monkeypatch.setattr(limits, "DEPLOYMENTS_SCHEDULED", there + 2)
    body = world.fill({**DEPLOYED, "schedule": SCHEDULE})

    def add() -> httpx.Response:
        return http.post("/v1/deployments", json=body)

    made = [add() for _ in range(2)]
    assert {answer.status_code for answer in made} == {200}
    answer = untouched.by(add)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(f"schedule: there are {there + 2} ")
    archived = http.post(f"/v1/deployments/{made[0].json()['id']}/archive")
    assert archived.status_code == 200
    assert add().status_code == 200


def test_an_organization_has_100_workspaces(
    http: httpx.Client, untouched: Untouched, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert organization.MOST == 100
    everything = {"limit": 1000, "include_default": "true"}
    there = len(http.get(f"{ROOT}/workspaces", params=everything).json()["data"])
    monkeypatch.setattr(organization, "MOST", there + 1)

    def add() -> httpx.Response:
        return http.post(f"{ROOT}/workspaces", json={"name": "one more"})

    made = add()
    assert made.status_code == 200
    answer = untouched.by(add)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(f"There are {there + 1} workspaces")
    assert http.post(f"{ROOT}/workspaces/{made.json()['id']}/archive").status_code == 200
    assert add().status_code == 200


def test_every_limit_of_a_schema_has_its_row() -> None:
    rows: set[Constraint] = set()
    for row in ROWS:
        rows.update(row.constraints())
    found = declared()
    assert found - rows == set(), "limits without a row, or with another number in it"
    assert rows - found == set(), "rows that no schema bears out"


def used_by_schemas() -> set[str]:
    """The constants that are the limit in a constraint of a schema: the walk finds these."""
    used: set[str] = set()
    root = Path(freehold.api.__path__[0])
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("StringConstraints", "Field")
            ):
                values = [keyword.value for keyword in node.keywords]
                used |= {value.attr for value in values if isinstance(value, ast.Attribute)}
    return used


def test_every_constant_has_its_row() -> None:
    constants = {name for name in vars(limits) if name.isupper()}
    rows = [(row.constant, row) for row in ROWS if row.constant is not None]
    assert constants - used_by_schemas() - {name for name, _ in rows} - EXCUSED.keys() == set()
    assert EXCUSED.keys() <= constants
    for name, row in rows:
        values = [bound.value for bound in row.bounds.constraints(row.field)]
        assert getattr(limits, name) in values, name


def test_no_row_stands_twice() -> None:
    names = [row.field for row in ROWS]
    assert sorted(names) == sorted(set(names))
