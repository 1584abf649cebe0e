"""Workspaces see nothing of each other.

Every route of the application is asked with another workspace's ids, by themselves and below one's
own parents, and answers as it does for ids that do not exist: same status, same text, same headers.
A route that is new here fails until it is said what there is to ask it with.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx
import pytest
from anthropic import Anthropic
from tests.support.certificates import authority_pem
from tests.support.running import BETA, Served, serve
from typer.testing import CliRunner

from freehold.api import reach
from freehold.api.betas import DREAMING, TUNNELS, WEBHOOKS
from freehold.api.errors import _routes
from freehold.cli.program import program

OF_NO_WORKSPACE = re.compile(
    r"/(openapi\.json|docs.*|redoc|healthz|readyz)|/v1/models.*|/v1/messages.*"
)
SKILL = b"---\nname: reports\ndescription: Writes reports.\n---\nDo it.\n"
ABSENT = "01" + "2" * 22

CA = authority_pem()

BODIES: Mapping[str, Any] = {
    "/v1/sessions/{session_id}/events": {
        "events": [{"type": "user.message", "content": [{"type": "text", "text": "hi"}]}]
    },
    "/v1/sessions/{session_id}": {"title": "stolen"},
    "/v1/sessions/{session_id}/resources/{resource_id}": {"authorization_token": "stolen"},
    "/v1/agents/{agent_id}": {"version": 1, "name": "stolen"},
    "/v1/environments/{environment_id}": {"name": "stolen"},
    "/v1/vaults/{vault_id}": {"display_name": "stolen"},
    "/v1/vaults/{vault_id}/credentials": {
        "auth": {
            "type": "static_bearer",
            "token": "t",
            "mcp_server_url": "https://two.example.com/mcp",
        }
    },
    "/v1/vaults/{vault_id}/credentials/{credential_id}": {"display_name": "stolen"},
    "/v1/environments/{environment_id}/work/{work_id}": {"metadata": {"a": "stolen"}},
    "/v1/deployments/{deployment_id}": {"name": "stolen"},
    "/v1/organizations/webhooks/{webhook_endpoint_id}": {"name": "stolen"},
    "/v1/user_profiles/{user_profile_id}": {"name": "stolen"},
    "/v1/user_profiles/{user_profile_id}/action_urls": {"action": {"type": "enroll_end_user"}},
    "/v1/tunnels/{tunnel_id}/certificates": {"ca_certificate_pem": CA},
    "/v1/memory_stores/{memory_store_id}": {"name": "stolen"},
    "/v1/memory_stores/{memory_store_id}/memories": {"path": "/new", "content": "stolen"},
    "/v1/memory_stores/{memory_store_id}/memories/{memory_id}": {"content": "stolen"},
}
"""What a POST is sent with; the others have no body."""


@dataclass
class Tenant:
    """A workspace, a key for it, and the ids of one thing of each kind that is in it."""

    key: str
    sdk: Anthropic
    ids: dict[str, str]
    work: dict[str, str]
    """The ids of a self-hosted environment and of an item of its work."""

    def of(self, path: str) -> dict[str, str]:
        """The ids that a route has to do with."""
        return self.ids | self.work if "/work" in path else self.ids


def belongings(served: Served, key: str) -> Tenant:
    sdk = Anthropic(
        base_url=served.url, api_key=key, max_retries=0, _strict_response_validation=True
    )
    toolset: Any = {"type": "agent_toolset_20260401"}
    skill = sdk.beta.skills.create(files=[("reports/SKILL.md", SKILL)])
    agent = sdk.beta.agents.create(
        name="mine",
        model="claude-opus-5",
        tools=[toolset],
        skills=[{"type": "custom", "skill_id": skill.id}],
    )
    environment = sdk.beta.environments.create(name="mine")
    vault = sdk.beta.vaults.create(display_name="mine")
    credential = sdk.beta.vaults.credentials.create(
        vault.id,
        auth={
            "type": "static_bearer",
            "token": "t",
            "mcp_server_url": "https://one.example.com/mcp",
        },
    )
    file = sdk.beta.files.upload(file=("mine.txt", b"mine", "text/plain"))
    store = sdk.beta.memory_stores.create(name="mine")
    memory = sdk.beta.memory_stores.memories.create(store.id, path="/a", content="mine")
    session = sdk.beta.sessions.create(
        agent=agent.id,
        environment_id=environment.id,
        vault_ids=[vault.id],
        resources=[
            {"type": "file", "file_id": file.id},
            {"type": "memory_store", "memory_store_id": store.id},
        ],
    )
    (thread,) = sdk.beta.sessions.threads.list(session.id)
    (resource,) = [r for r in sdk.beta.sessions.resources.list(session.id) if r.type == "file"]
    deployment = sdk.beta.deployments.create(
        name="mine",
        agent=agent.id,
        environment_id=environment.id,
        initial_events=[{"type": "user.message", "content": [{"type": "text", "text": "hi"}]}],
    )
    run = sdk.beta.deployments.run(deployment.id)
    dream = sdk.beta.dreams.create(
        inputs=[
            {"type": "memory_store", "memory_store_id": sdk.beta.memory_stores.create(name="d").id},
            {"type": "sessions", "session_ids": [session.id]},
        ],
        model="claude-opus-5",
    )
    endpoint = sdk.beta.organization.webhooks.create(
        url="https://one.example.com/hook", enabled_events=["external_key.failed"]
    )
    profile = sdk.user_profiles.create(name="mine")
    tunnel = sdk.beta.tunnels.create(display_name="mine")
    certificate = sdk.beta.tunnels.certificates.create(tunnel.id, ca_certificate_pem=CA)
    assert memory.memory_version_id is not None
    version = next(iter(sdk.beta.skills.versions.list(skill.id)))
    ids = {
        "agent_id": agent.id,
        "environment_id": environment.id,
        "vault_id": vault.id,
        "credential_id": credential.id,
        "file_id": file.id,
        "memory_store_id": store.id,
        "memory_id": memory.id,
        "memory_version_id": memory.memory_version_id,
        "session_id": session.id,
        "thread_id": thread.id,
        "resource_id": resource.id,
        "skill_id": skill.id,
        "version": version.id,
        "deployment_id": deployment.id,
        "deployment_run_id": run.id,
        "dream_id": dream.id,
        "webhook_endpoint_id": endpoint.id,
        "user_profile_id": profile.id,
        "tunnel_id": tunnel.id,
        "certificate_id": certificate.id,
    }
    hosted = sdk.beta.environments.create(name="mine", config={"type": "self_hosted"})
    bare = sdk.beta.agents.create(name="bare", model="claude-opus-5")
    sdk.beta.sessions.create(
        agent=bare.id,
        environment_id=hosted.id,
        initial_events=[{"type": "user.message", "content": [{"type": "text", "text": "hi"}]}],
    )
    deadline = time.monotonic() + 60
    while sdk.beta.dreams.retrieve(dream.id).status not in ("completed", "failed"):
        assert time.monotonic() < deadline, "the dream does not end"
        time.sleep(0.02)
    while not (items := sdk.beta.environments.work.list(hosted.id).data):
        assert time.monotonic() < deadline, "no work comes"
        time.sleep(0.02)
    return Tenant(key, sdk, ids, {"environment_id": hosted.id, "work_id": items[0].id})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("tenancy") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def keys(served: Served) -> dict[str, str]:
    folder = str(served.app.state.services.settings.data_dir)
    made = {}
    for name in ("theirs", "mine", "empty"):
        done = CliRunner().invoke(
            program, ["keys", "create", "-q", "--workspace", name, "--data-dir", folder]
        )
        assert done.exit_code == 0, done.output
        made[name] = done.stdout.strip()
    return made


@pytest.fixture(scope="module")
def theirs(served: Served, keys: dict[str, str]) -> Tenant:
    return belongings(served, keys["theirs"])


@pytest.fixture(scope="module")
def mine(served: Served, keys: dict[str, str]) -> Tenant:
    return belongings(served, keys["mine"])


def absent(id_: str) -> str:
    """An id of the same kind that nothing has."""
    return id_.rpartition("_")[0] + "_" + ABSENT


def routes(served: Served) -> list[tuple[str, str]]:
    """Method and path of every route that is of a workspace."""
    return [
        (method, route.path)  # type: ignore[attr-defined]
        for route in _routes(served.app.routes)
        for method in sorted(getattr(route, "methods", None) or ())
        if not OF_NO_WORKSPACE.fullmatch(route.path)  # type: ignore[attr-defined]
        and not reach.is_organization(route.path)  # type: ignore[attr-defined]
    ]


def ask(
    served: Served, key: str, method: str, template: str, ids: Mapping[str, str]
) -> httpx.Response:
    options: dict[str, Any] = {}
    betas = BETA["anthropic-beta"]
    for part, beta in (("/webhooks", WEBHOOKS), ("/v1/tunnels", TUNNELS), ("/dreams", DREAMING)):
        if part in template:
            betas = beta
    if method == "POST":
        if template == "/v1/skills/{skill_id}/versions":
            options["files"] = [("files[]", ("reports/SKILL.md", SKILL))]
        elif template == "/v1/sessions/{session_id}/resources":
            options["json"] = {"type": "file", "file_id": ids["file_id"]}
        elif template in BODIES:
            options["json"] = BODIES[template]
    if template.endswith("/heartbeat"):
        options["params"] = {"expected_last_heartbeat": "NO_HEARTBEAT"}
    return httpx.request(
        method,
        served.url + template.format(**ids),
        headers={"x-api-key": key, "anthropic-beta": betas},
        timeout=60,
        **options,
    )


def told(answer: httpx.Response, ids: Mapping[str, str]) -> tuple[Any, ...]:
    """What an answer says, without what differs between any two of them."""
    text = answer.text.replace(answer.headers["request-id"], "REQUEST")
    for name, id_ in ids.items():
        text = text.replace(id_, name)
    kept = {name: answer.headers.get(name) for name in ("content-type", "x-should-retry")}
    return answer.status_code, text, kept


def snapshot(served: Served, tenant: Tenant) -> dict[str, Any]:
    found = {}
    for method, path in routes(served):
        # A poll takes what it finds.
        if method == "GET" and not path.endswith(("/stream", "/poll")):
            answer = ask(served, tenant.key, method, path, tenant.of(path))
            if path.endswith("/{file_id}/content"):
                assert answer.status_code == 400  # an upload is there, and not to be downloaded
            else:
                assert answer.status_code == 200, (path, answer.text)
            # How long a session has lived changes with the clock.
            found[path] = re.sub(
                r'"(duration|active|idle|age)[a-z_]*":[0-9.]+|req_\w+', "", answer.text
            )
    return found


def test_anothers_ids_are_answered_like_absent_ones(
    served: Served, theirs: Tenant, mine: Tenant
) -> None:
    before = snapshot(served, theirs)
    asked = 0
    for method, path in routes(served):
        names = re.findall(r"{(\w+)}", path)
        if not names:
            continue
        unknown = set(names) - set(theirs.of(path))
        assert not unknown, f"{method} {path}: the test has nothing of the kind {unknown}"
        # Anything but only one's own: theirs all through, and theirs below what is one's own.
        for owners in itertools.product((theirs, mine), repeat=len(names)):
            if all(owner is mine for owner in owners):
                continue
            foreign = {
                name: owner.of(path)[name] for name, owner in zip(names, owners, strict=True)
            }
            missing = {
                name: absent(id_) if owner is theirs else id_
                for (name, id_), owner in zip(foreign.items(), owners, strict=True)
            }
            others = {name: id_ for name, id_ in mine.of(path).items() if name not in foreign}
            got = ask(served, mine.key, method, path, others | foreign)
            wanted = ask(served, mine.key, method, path, others | missing)
            assert told(got, foreign) == told(wanted, missing), (method, path)
            assert got.status_code == 404, (method, path, got.text)
            asked += 1
    assert asked > 90
    assert snapshot(served, theirs) == before


def test_anothers_children_below_ones_own_are_no_better(served: Served, mine: Tenant) -> None:
    """The test above would pass if every child were refused; one's own are not."""
    for path in (
        "/v1/sessions/{session_id}/resources/{resource_id}",
        "/v1/vaults/{vault_id}/credentials/{credential_id}",
        "/v1/memory_stores/{memory_store_id}/memories/{memory_id}",
        "/v1/tunnels/{tunnel_id}/certificates/{certificate_id}",
        "/v1/skills/{skill_id}/versions/{version}",
    ):
        assert ask(served, mine.key, "GET", path, mine.ids).status_code == 200


def test_lists_of_an_empty_workspace_are_empty(
    served: Served, keys: dict[str, str], theirs: Tenant, mine: Tenant
) -> None:
    lists = [path for method, path in routes(served) if method == "GET" and "{" not in path]
    assert len(lists) >= 7
    for path in lists:
        for query in (
            "",
            "?include_archived=true",
            f"?agent_id={theirs.ids['agent_id']}",
            f"?scope_id={theirs.ids['session_id']}",
            f"?ids[]={theirs.ids['file_id']}",
            f"?memory_store_id={theirs.ids['memory_store_id']}",
        ):
            answer = ask(served, keys["empty"], "GET", path + query, {})
            assert answer.status_code == 200, (path, answer.text)
            data = answer.json()["data"]
            if path == "/v1/skills":
                data = [row for row in data if row["id"].startswith("skill_")]
            assert data == [], (path, query)
        assert ask(served, theirs.key, "GET", path, {}).json()["data"] != [], path


CURSORS = ["/v1/agents", "/v1/sessions", "/v1/vaults", "/v1/environments", "/v1/files"]


@pytest.mark.parametrize("path", CURSORS)
def test_a_cursor_of_another_workspace_shows_nothing_of_it(
    served: Served, keys: dict[str, str], theirs: Tenant, path: str
) -> None:
    _more(theirs)
    page = ask(served, theirs.key, "GET", path + "?limit=1", {}).json()
    assert page["next_page"]
    answer = ask(served, keys["empty"], "GET", f"{path}?limit=1&page={page['next_page']}", {})
    assert answer.json()["data"] == []


def _more(tenant: Tenant) -> None:
    tenant.sdk.beta.agents.create(name="more", model="claude-opus-5")
    tenant.sdk.beta.environments.create(name="more")
    tenant.sdk.beta.vaults.create(display_name="more")
    tenant.sdk.beta.files.upload(file=("more.txt", b"more", "text/plain"))
    tenant.sdk.beta.sessions.create(
        agent=tenant.ids["agent_id"], environment_id=tenant.ids["environment_id"]
    )


def _session(ids: Mapping[str, str], **named: Any) -> dict[str, Any]:
    return {"agent": ids["agent_id"], "environment_id": ids["environment_id"], **named}


def _source(kind: str, id_: str) -> dict[str, Any]:
    content = [{"type": kind, "source": {"type": "file", "file_id": id_}}]
    return {"events": [{"type": "user.message", "content": content}]}


@pytest.mark.parametrize(
    "named",
    ["agent_id", "environment_id", "vault_id", "file_id", "memory_store_id", "skill_id", "image",
     "document", "resource", "agent version"],
)  # fmt: skip
def test_anothers_ids_inside_of_bodies(
    served: Served, theirs: Tenant, mine: Tenant, named: str
) -> None:
    own = mine.ids

    def request(id_: str) -> tuple[str, dict[str, Any]]:
        match named:
            case "agent_id" | "environment_id":
                return "/v1/sessions", _session({**own, named: id_})
            case "agent version":
                version = {"type": "agent", "id": id_, "version": 1}
                return "/v1/sessions", {**_session(own), "agent": version}
            case "vault_id":
                return "/v1/sessions", _session(own, vault_ids=[id_])
            case "file_id" | "memory_store_id":
                resource = {"type": named.removesuffix("_id"), named: id_}
                return "/v1/sessions", _session(own, resources=[resource])
            case "skill_id":
                skills = [{"type": "custom", "skill_id": id_}]
                tools = [{"type": "agent_toolset_20260401"}]
                agent = {"name": "x", "model": "claude-opus-5", "skills": skills, "tools": tools}
                return "/v1/agents", agent
            case "resource":
                body = {"type": "file", "file_id": id_, "mount_path": "/mnt/session/uploads/two"}
                return f"/v1/sessions/{own['session_id']}/resources", body
        return f"/v1/sessions/{own['session_id']}/events", _source(named, id_)

    kind = {"image": "file_id", "document": "file_id", "resource": "file_id"}.get(
        named, "agent_id" if named == "agent version" else named
    )

    def send(id_: str) -> httpx.Response:
        path, body = request(id_)
        headers = {"x-api-key": mine.key, "anthropic-beta": BETA["anthropic-beta"]}
        return httpx.post(served.url + path, json=body, headers=headers, timeout=60)

    foreign, missing = theirs.ids[kind], absent(theirs.ids[kind])
    got, wanted = send(foreign), send(missing)
    assert told(got, {"ID": foreign}) == told(wanted, {"ID": missing})
    assert got.status_code in (400, 404), got.text
    if named != "image":  # one's own is a text
        assert send(own[kind]).status_code == 200
