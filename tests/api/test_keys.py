"""Keys and workspaces: the command, the organization's methods, and how far each key reaches."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic
from typer.testing import CliRunner

from freehold.cli import console
from freehold.cli.program import program
from freehold.core.workspaces import DEFAULT_WORKSPACE
from tests.api.conftest import refused
from tests.support.running import BETA, Served, serve

NAMED = {"anthropic-beta": BETA["anthropic-beta"]}


class Issuer:
    """``freehold keys`` on the data of a server that runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str) -> str:
        # Wide enough for each key to have a line. What the variables say is read once, and an
        # earlier test may have been told something else.
        before, console.out.width = console.out.width, 300
        try:
            done = CliRunner().invoke(program, ["keys", *arguments, "--data-dir", str(self.folder)])
        finally:
            console.out.width = before
        assert done.exit_code == 0, done.output
        return done.stdout

    def create(self, *arguments: str) -> str:
        return self("create", "--quiet", *arguments).strip()

    def id_of(self, key: str) -> str:
        (line,) = [line for line in self("list").splitlines() if line.count(key[-4:])]
        return line.split()[0]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Issuer]]:
    """A server with one configured key, and what issues others."""
    folder = tmp_path_factory.mktemp("keys") / "data"
    with serve(folder, api_keys="configured") as served:
        yield served, Issuer(folder)


def client(served: Served, key: str, **options: Any) -> Anthropic:
    return Anthropic(
        base_url=served.url,
        api_key=key,
        max_retries=0,
        _strict_response_validation=True,
        **options,
    )


@pytest.fixture(scope="module")
def admin(closed: tuple[Served, Issuer]) -> Anthropic:
    served, issuer = closed
    return client(served, issuer.create("--admin", "--name", "the boss"))


def get(served: Served, path: str, key: str, **headers: str) -> httpx.Response:
    return httpx.get(served.url + path, headers={**NAMED, "x-api-key": key, **headers}, timeout=30)


class TestCommand:
    def test_a_key_of_a_new_workspace_opens_that_workspace(
        self, closed: tuple[Served, Issuer]
    ) -> None:
        served, issuer = closed
        key = issuer.create("--workspace", "alpha")
        assert key.startswith("sk-ant-api03-")
        answer = get(served, "/v1/agents", key)
        assert answer.status_code == 200
        alpha = answer.headers["anthropic-workspace-id"]
        assert alpha != DEFAULT_WORKSPACE
        again = get(served, "/v1/agents", issuer.create("--workspace", "alpha"))
        assert again.headers["anthropic-workspace-id"] == alpha
        by_id = get(served, "/v1/agents", issuer.create("--workspace", alpha))
        assert by_id.headers["anthropic-workspace-id"] == alpha
        with client(served, key) as sdk:
            made = sdk.beta.agents.create(name="mine", model="claude-opus-5")
            assert [agent.id for agent in sdk.beta.agents.list()] == [made.id]
        with client(served, "configured") as sdk, pytest.raises(anthropic.NotFoundError):
            sdk.beta.agents.retrieve(made.id)

    def test_without_options_a_key_is_for_the_default_workspace(
        self, closed: tuple[Served, Issuer]
    ) -> None:
        served, issuer = closed
        answer = get(served, "/v1/agents", issuer.create())
        assert answer.headers["anthropic-workspace-id"] == DEFAULT_WORKSPACE

    def test_only_the_hash_is_kept(self, closed: tuple[Served, Issuer]) -> None:
        served, issuer = closed
        key = issuer.create("--name", "secret one")
        assert get(served, "/v1/agents", key).status_code == 200
        with sqlite3.connect(issuer.folder / "freehold.db") as db:
            dump = "\n".join(db.iterdump())
        assert "secret one" in dump
        assert key not in dump
        assert key[-40:] not in dump
        assert key not in issuer("list")

    def test_a_revoked_key_stops_at_the_next_request(self, closed: tuple[Served, Issuer]) -> None:
        served, issuer = closed
        key = issuer.create()
        for _ in range(3):
            assert get(served, "/v1/agents", key).status_code == 200
        issuer("revoke", issuer.id_of(key))
        refused(get(served, "/v1/agents", key), 401, "invalid x-api-key")
        answer = httpx.get(
            served.url + "/v1/agents", headers={**NAMED, "authorization": f"Bearer {key}"}
        )
        refused(answer, 401, "Invalid bearer token")

    def test_a_key_that_looks_like_one_opens_nothing(self, closed: tuple[Served, Issuer]) -> None:
        served, issuer = closed
        key = issuer.create()
        wrong = key[:-1] + ("1" if key[-1] != "1" else "2")
        refused(get(served, "/v1/agents", wrong), 401, "invalid x-api-key")

    def test_the_list_tells_what_a_key_reaches_and_when_it_was_used(self, tmp_path: Path) -> None:
        def line() -> str:
            (found,) = [line for line in issuer("list").splitlines() if "watched" in line]
            return found

        with serve(tmp_path / "data") as served:
            issuer = Issuer(tmp_path / "data")
            key = issuer.create("--admin", "--name", "watched")
            before = line()
            assert "the organization" in before
            assert "active" in before
            assert get(served, "/v1/organizations/me", key).status_code == 200
        # It is written down now and then, and in the end.
        after = line()
        assert len(after.split()) == len(before.split()) + 1
        assert after.split()[-1].startswith("20")

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["create", "--admin", "--workspace", "x"], "give one"),
            (["create", "--environment", "env_none"], "there is no environment"),
            (["create", "--workspace", "wrkspc_01" + "2" * 22], "there is no workspace"),
            (["create", "--workspace", "x" * 41], "1 to 40 characters"),
            (["revoke", "sk-ant-api03-oops"], "what was given is no key's id"),
            (["revoke", "apikey_01" + "2" * 22], "is no key's id"),
        ],
    )
    def test_mistakes(self, closed: tuple[Served, Issuer], arguments: list[str], told: str) -> None:
        _, issuer = closed
        done = CliRunner().invoke(program, ["keys", *arguments, "--data-dir", str(issuer.folder)])
        assert done.exit_code == 1
        assert told in done.output.replace("\n", " ")

    def test_a_cloud_environment_has_no_workers(self, closed: tuple[Served, Issuer]) -> None:
        served, issuer = closed
        with client(served, "configured") as sdk:
            made = sdk.beta.environments.create(name="cloud")
        done = CliRunner().invoke(
            program,
            ["keys", "create", "--environment", made.id, "--data-dir", str(issuer.folder)],
        )
        assert done.exit_code == 1
        assert "which has no workers" in done.output.replace("\n", " ")

    def test_there_must_be_something_to_list(self, tmp_path: Path) -> None:
        done = CliRunner().invoke(program, ["keys", "list", "--data-dir", str(tmp_path / "none")])
        assert done.exit_code == 1
        assert not (tmp_path / "none").exists()


def test_last_used_is_written_when_the_server_stops(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path / "data")
    key = issuer.create("--name", "used")
    issuer.create("--name", "unused")
    with serve(tmp_path / "data") as served:
        assert get(served, "/v1/agents", key).status_code == 200
        with sqlite3.connect(tmp_path / "data" / "freehold.db") as db:
            before = db.execute("SELECT last_used_at FROM api_keys").fetchall()
    assert before == [(None,), (None,)]  # no write for a request
    with sqlite3.connect(tmp_path / "data" / "freehold.db") as db:
        after = dict(db.execute("SELECT name, last_used_at FROM api_keys").fetchall())
    assert after["used"] is not None
    assert after["unused"] is None


def test_the_first_key_closes_a_server_that_was_open(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path / "data")
    with serve(tmp_path / "data") as served:
        assert get(served, "/v1/agents", "anything").status_code == 200
        assert get(served, "/v1/organizations/me", "anything").status_code == 200
        key = issuer.create()
        served.app.state.services.keys._open_until = None  # a second later
        refused(get(served, "/v1/agents", "anything"), 401, "invalid x-api-key")
        assert get(served, "/v1/agents", key).status_code == 200
        issuer("revoke", issuer.id_of(key))
        # Revoking the last one must not open the server again.
        refused(get(served, "/v1/agents", "anything"), 401, "invalid x-api-key")
    with serve(tmp_path / "data") as served:
        refused(get(served, "/v1/agents", "anything"), 401, "invalid x-api-key")


class TestWorkspaceHeader:
    def test_of_a_key_that_belongs_to_one(self, closed: tuple[Served, Issuer]) -> None:
        served, issuer = closed
        key = issuer.create("--workspace", "headed")
        mine = get(served, "/v1/agents", key).headers["anthropic-workspace-id"]
        header = "anthropic-workspace-id"
        assert get(served, "/v1/agents", key, **{header: mine}).status_code == 200
        refused(
            get(served, "/v1/agents", key, **{header: "mine"}),
            400,
            "anthropic-workspace-id header must be a valid workspace ID.",
        )
        # One that exists and one that does not are alike.
        for other in (DEFAULT_WORKSPACE, "wrkspc_01" + "2" * 22):
            refused(
                get(served, "/v1/agents", key, **{header: other}),
                404,
                f"Workspace `{other}` not found.",
            )

    def test_of_an_admin_key(self, closed: tuple[Served, Issuer], admin: Anthropic) -> None:
        made = admin.beta.organization.workspaces.create(name="spanned")
        refused_error = pytest.raises(anthropic.BadRequestError, match="header is required")
        with refused_error:
            admin.beta.agents.list()
        agent = admin.beta.agents.create(name="there", model="claude-opus-5", workspace_id=made.id)
        assert [row.id for row in admin.beta.agents.list(workspace_id=made.id)] == [agent.id]
        assert list(admin.beta.agents.list(workspace_id=DEFAULT_WORKSPACE)) != [agent]
        admin.beta.organization.workspaces.archive(made.id)
        with pytest.raises(anthropic.NotFoundError, match="Workspace"):
            admin.beta.agents.list(workspace_id=made.id)


class TestOrganization:
    def test_keys_of_workspaces_do_not_reach_it(self, closed: tuple[Served, Issuer]) -> None:
        served, issuer = closed
        for key in ("configured", issuer.create()):
            answer = get(served, "/v1/organizations/workspaces", key)
            assert answer.status_code == 403
            assert "admin key" in answer.json()["error"]["message"]
            assert answer.headers["x-should-retry"] == "false"

    def test_me(self, closed: tuple[Served, Issuer], admin: Anthropic) -> None:
        served, _ = closed
        me = admin.beta.organization.retrieve()
        header = get(served, "/v1/agents", "configured").headers["anthropic-organization-id"]
        assert (me.id, me.type) == (header, "organization")

    def test_workspaces(self, admin: Anthropic) -> None:
        workspaces = admin.beta.organization.workspaces
        made = workspaces.create(name="beta", tags={"team": "x"})
        assert (made.name, made.tags, made.archived_at) == ("beta", {"team": "x"}, None)
        assert workspaces.retrieve(made.id) == made
        changed = workspaces.update(
            made.id, name="gamma", tags={"team": None, "stage": "one"}, display_color="#00ff00"
        )
        assert (changed.name, changed.tags, changed.display_color) == (
            "gamma",
            {"stage": "one"},
            "#00ff00",
        )
        assert workspaces.retrieve(made.id) == changed
        assert made.id in [row.id for row in workspaces.list()]
        archived = workspaces.archive(made.id)
        assert archived.archived_at is not None
        assert workspaces.archive(made.id) == archived
        assert made.id not in [row.id for row in workspaces.list()]
        assert made.id in [row.id for row in workspaces.list(include_archived=True)]
        with pytest.raises(anthropic.BadRequestError, match="is archived"):
            workspaces.update(made.id, name="delta")

    def test_the_default_workspace(self, admin: Anthropic) -> None:
        workspaces = admin.beta.organization.workspaces
        assert workspaces.retrieve(DEFAULT_WORKSPACE).name == "Default"
        assert DEFAULT_WORKSPACE not in [row.id for row in workspaces.list()]
        assert DEFAULT_WORKSPACE in [row.id for row in workspaces.list(include_default=True)]
        with pytest.raises(anthropic.BadRequestError, match="default workspace"):
            workspaces.archive(DEFAULT_WORKSPACE)

    def test_pages_of_workspaces(self, admin: Anthropic) -> None:
        workspaces = admin.beta.organization.workspaces
        made = [workspaces.create(name=f"page {n}").id for n in range(5)]
        newest = [row.id for row in workspaces.list(limit=2)]  # every page
        assert newest[:5] == made[::-1]
        first = workspaces.list(limit=2)
        assert ([row.id for row in first.data], first.has_more) == (made[:2:-1], True)
        before = workspaces.list(limit=2, before_id=made[0])
        assert [row.id for row in before.data] == [made[2], made[1]]
        assert before.has_more
        some = workspaces.list(ids=[made[1], made[3], "wrkspc_none"])
        assert [row.id for row in some.data] == [made[3], made[1]]
        with pytest.raises(anthropic.BadRequestError, match="Only one"):
            workspaces.list(after_id=made[0], before_id=made[1])
        with pytest.raises(anthropic.BadRequestError, match="after_id"):
            workspaces.list(after_id="wrkspc_none")
        for id_ in made:
            workspaces.archive(id_)

    @pytest.mark.parametrize(
        ("values", "told"),
        [
            ({"name": ""}, "minimum string length is 1"),
            ({"name": "x" * 41}, "maximum string length is 40"),
            ({"name": "x", "external_key_id": "ekey_1"}, "external_key_id"),
            ({"name": "x", "user_profile_id": "uprof_1"}, "user_profile_id"),
            ({"name": "x", "data_residency": {"default_inference_geo": "us"}}, "data_residency"),
            ({"name": "x", "tags": {"anthropic-x": "y"}}, "may not begin"),
            ({"name": "x", "tags": {str(n): "" for n in range(51)}}, "at most 50"),
            ({"name": "x", "tags": {"a": "x" * 513}}, "at most 512"),
            ({"name": "x", "display_color": "green"}, "display_color"),
        ],
    )
    def test_refused_workspaces(self, admin: Anthropic, values: dict[str, Any], told: str) -> None:
        with pytest.raises(anthropic.BadRequestError, match=told):
            admin.beta.organization.workspaces.create(**values)

    def test_what_is_at_the_limit_is_taken(self, admin: Anthropic) -> None:
        tags = {f"{n:064}": "x" * 512 for n in range(50)}
        made = admin.beta.organization.workspaces.create(
            name="x" * 40,
            tags=tags,
            data_residency={"workspace_geo": "us", "default_inference_geo": "global"},
        )
        assert made.tags == tags
        admin.beta.organization.workspaces.archive(made.id)

    def test_keys(self, closed: tuple[Served, Issuer], admin: Anthropic) -> None:
        served, issuer = closed
        text = issuer.create("--workspace", "keyed", "--name", "first")
        api_keys = admin.beta.organization.api_keys
        key = api_keys.retrieve(issuer.id_of(text))
        assert (key.name, key.status, key.expires_at) == ("first", "active", None)
        assert key.scope.type == "workspace"
        assert key.partial_key_hint is not None
        assert key.partial_key_hint.endswith(text[-4:])
        mine = key.scope.workspace_id
        assert [row.id for row in api_keys.list(workspace_id=mine)] == [key.id]
        assert list(api_keys.list(created_by_user_id="user_1")) == []

        assert api_keys.update(key.id, status="inactive", name="second").name == "second"
        refused(get(served, "/v1/agents", text), 401, "invalid x-api-key")
        assert [r.id for r in api_keys.list(workspace_id=mine, status="inactive")] == [key.id]
        assert list(api_keys.list(workspace_id=mine, status="active")) == []
        api_keys.update(key.id, status="active")
        assert get(served, "/v1/agents", text).status_code == 200
        assert api_keys.update(key.id, status="archived").status == "archived"
        refused(get(served, "/v1/agents", text), 401, "invalid x-api-key")
        with pytest.raises(anthropic.BadRequestError, match="archived"):
            api_keys.update(key.id, status="active")
        with pytest.raises(anthropic.NotFoundError):
            api_keys.retrieve("apikey_01" + "2" * 22)

    def test_an_archived_workspace_takes_its_keys_with_it(
        self, closed: tuple[Served, Issuer], admin: Anthropic
    ) -> None:
        served, issuer = closed
        text = issuer.create("--workspace", "ending")
        workspace = get(served, "/v1/agents", text).headers["anthropic-workspace-id"]
        admin.beta.organization.workspaces.archive(workspace)
        refused(get(served, "/v1/agents", text), 401, "invalid x-api-key")
        key = admin.beta.organization.api_keys.retrieve(issuer.id_of(text))
        assert key.status == "archived"
        with pytest.raises(anthropic.BadRequestError):
            admin.beta.organization.api_keys.update(key.id, status="active")

    def test_what_there_is_not_says_so(self, admin: Anthropic) -> None:
        with pytest.raises(anthropic.NotFoundError, match="it has no users"):
            list(admin.beta.organization.users.list())


@pytest.fixture(scope="module")
def worker(closed: tuple[Served, Issuer]) -> tuple[str, str, str]:
    """A self-hosted environment's id, a key of its workers, and another such environment's id."""
    served, issuer = closed
    with client(served, "configured") as sdk:
        mine = sdk.beta.environments.create(name="mine", config={"type": "self_hosted"})
        other = sdk.beta.environments.create(name="other", config={"type": "self_hosted"})
    return mine.id, issuer.create("--environment", mine.id), other.id


def as_worker(served: Served, path: str, key: str) -> httpx.Response:
    headers = {**NAMED, "authorization": f"Bearer {key}"}
    return httpx.get(served.url + path, headers=headers, timeout=30)


class TestWorkersKeys:
    """Spec 1.5, 1.6."""

    def test_its_form(self, worker: tuple[str, str, str]) -> None:
        assert worker[1].startswith("sk-ant-oat01-")

    def test_work_of_its_environment_alone(
        self, closed: tuple[Served, Issuer], worker: tuple[str, str, str]
    ) -> None:
        served, _ = closed
        mine, key, other = worker
        answer = as_worker(served, f"/v1/environments/{mine}/work/poll", key)
        assert (answer.status_code, answer.json()) == (200, None)
        for foreign in (other, "env_01" + "2" * 22):
            refused(
                as_worker(served, f"/v1/environments/{foreign}/work/poll", key),
                403,
                "Token not authorized for this environment",
            )

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/v1/agents", 401),
            ("POST", "/v1/agents/agent_x", 401),
            ("GET", "/v1/environments", 403),
            ("GET", "/v1/environments/{mine}", 403),
            ("GET", "/v1/environments/{mine}/work/work_1", 403),
            ("POST", "/v1/environments/{mine}/work/work_1", 403),
            ("GET", "/v1/sessions", 403),
            ("POST", "/v1/sessions", 403),
            ("POST", "/v1/sessions/sesn_x", 403),
            ("DELETE", "/v1/sessions/sesn_x", 403),
            ("GET", "/v1/sessions/sesn_x", 404),
            ("GET", "/v1/sessions/sesn_x/events", 404),
            ("POST", "/v1/sessions/sesn_x/events", 404),
            ("GET", "/v1/sessions/sesn_x/events/stream", 404),
            ("GET", "/v1/sessions/sesn_x/threads", 403),
            ("GET", "/v1/skills", 403),
            ("GET", "/v1/skills/skill_x", 403),
            ("GET", "/v1/skills/skill_x/versions/latest", 404),
            ("GET", "/v1/files/file_x/content", 404),
            ("GET", "/v1/memory_stores/memstore_x/memories", 403),
            ("GET", "/v1/vaults", 403),
            ("GET", "/v1/organizations/me", 403),
            ("GET", "/v1/models", 403),
            ("POST", "/v1/messages", 403),
        ],
    )
    def test_its_reach(
        self,
        closed: tuple[Served, Issuer],
        worker: tuple[str, str, str],
        method: str,
        path: str,
        status: int,
    ) -> None:
        served, _ = closed
        mine, key, _ = worker
        answer = httpx.request(
            method,
            served.url + path.format(mine=mine),
            headers={**NAMED, "authorization": f"Bearer {key}"},
            json={} if method == "POST" else None,
        )
        assert answer.status_code == status, answer.text

    def test_a_session_of_another_environment_is_not_there(
        self, closed: tuple[Served, Issuer], worker: tuple[str, str, str]
    ) -> None:
        served, _ = closed
        with client(served, "configured") as sdk:
            agent = sdk.beta.agents.create(name="a", model="claude-opus-5")
            cloud = sdk.beta.environments.create(name="cloud")
            session = sdk.beta.sessions.create(agent=agent.id, environment_id=cloud.id)
        refused(
            as_worker(served, f"/v1/sessions/{session.id}", worker[1]),
            404,
            f"Session not found: {session.id}",
        )

    def test_revoked(self, closed: tuple[Served, Issuer], worker: tuple[str, str, str]) -> None:
        served, issuer = closed
        key = issuer.create("--environment", worker[0])
        issuer("revoke", issuer.id_of(key))
        refused(
            as_worker(served, f"/v1/environments/{worker[0]}/work/poll", key),
            401,
            "OAuth access token has been revoked.",
        )

    def test_it_is_a_bearer(
        self, closed: tuple[Served, Issuer], worker: tuple[str, str, str]
    ) -> None:
        served, _ = closed
        answer = httpx.get(served.url + "/v1/agents", headers={**NAMED, "x-api-key": worker[1]})
        refused(answer, 401, "invalid x-api-key")

    def test_it_outlives_its_environment(self, closed: tuple[Served, Issuer]) -> None:
        served, issuer = closed
        with client(served, "configured") as sdk:
            made = sdk.beta.environments.create(name="brief", config={"type": "self_hosted"})
            key = issuer.create("--environment", made.id)
            sdk.beta.environments.delete(made.id)
        assert as_worker(served, f"/v1/environments/{made.id}/work/poll", key).status_code == 404

    def test_it_is_no_api_key(
        self, closed: tuple[Served, Issuer], worker: tuple[str, str, str], admin: Anthropic
    ) -> None:
        _, issuer = closed
        id_ = issuer.id_of(worker[1])
        assert id_ not in [row.id for row in admin.beta.organization.api_keys.list(limit=1000)]
        with pytest.raises(anthropic.NotFoundError):
            admin.beta.organization.api_keys.retrieve(id_)
