"""Resources of sessions through the API (spec 9); what sandboxes have of them: test_uploads."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic

from freehold.app import create_app
from freehold.models import ScriptedModel
from freehold.sandbox.process import ProcessSandboxProvider
from freehold.settings import Settings
from tests.api.conftest import refused, said, turn
from tests.support.running import serve_app

BETAS = ["managed-agents-2026-04-01", "files-api-2025-04-14"]
UPLOADS = "/mnt/session/uploads"
NO_FILE = "file_01" + "1" * 22
NO_RESOURCE = "sesrsc_01" + "1" * 22
NOT_FOUND = "One or more files not found. Check that each `file_id` exists and is accessible: {ids}"
NO_READ = (
    "Missing required tool: file resources require the read tool to be usable (enabled and not "
    "always_deny) on the session's `agent_toolset`"
)


def uploaded(sdk: Anthropic, content: bytes = b"a,b\n", name: str = "data.csv") -> str:
    return sdk.beta.files.upload(file=(name, content)).id


def file(file_id: str, mount_path: str | None = None) -> Any:
    return {
        "type": "file",
        "file_id": file_id,
        **({"mount_path": mount_path} if mount_path else {}),
    }


@pytest.fixture
def make(sdk: Anthropic, agent: Any, environment: Any) -> Any:
    """Makes a session with resources."""

    def made(*resources: Any, **more: Any) -> Any:
        return sdk.beta.sessions.create(
            **{"agent": agent.id, "environment_id": environment.id, **more},
            resources=list(resources),
        )

    return made


def own_files(sdk: Anthropic, session_id: str) -> dict[str, Any]:
    return {one.id: one for one in sdk.beta.files.list(scope_id=session_id, betas=BETAS)}


class TestCreate:
    def test_files_become_the_sessions_own(self, sdk: Anthropic, make: Any) -> None:
        one, two = uploaded(sdk), uploaded(sdk, b"xyz", "b.txt")
        session = make(file(one), file(two, "/deep//./b.txt"), file(one, f"{UPLOADS}/again"))
        assert [resource.type for resource in session.resources] == ["file"] * 3
        assert [resource.mount_path for resource in session.resources] == [
            f"{UPLOADS}/{one}",
            f"{UPLOADS}/deep/b.txt",
            f"{UPLOADS}/again",
        ]
        copies = [resource.file_id for resource in session.resources]
        assert len({one, two, *copies}) == 5
        assert len({resource.id for resource in session.resources}) == 3
        assert all(resource.id.startswith("sesrsc_") for resource in session.resources)
        found = own_files(sdk, session.id)
        assert [found[copy].filename for copy in copies] == ["data.csv", "b.txt", "data.csv"]
        assert [found[copy].size_bytes for copy in copies] == [4, 3, 4]
        assert {found[copy].downloadable for copy in copies} == {False}

    def test_every_answer_shows_them(self, sdk: Anthropic, make: Any) -> None:
        session = make(file(uploaded(sdk)))
        shown = session.resources
        assert sdk.beta.sessions.retrieve(session.id).resources == shown
        (listed,) = [one for one in sdk.beta.sessions.list(limit=5) if one.id == session.id]
        assert listed.resources == shown
        assert sdk.beta.sessions.update(session.id, title="t").resources == shown
        assert sdk.beta.sessions.archive(session.id).resources == shown

    def test_the_wire_form(self, http: httpx.Client, sdk: Anthropic, make: Any) -> None:
        session = make(file(uploaded(sdk)))
        (shown,) = http.get(f"/v1/sessions/{session.id}").json()["resources"]
        assert list(shown) == ["id", "type", "file_id", "mount_path", "created_at", "updated_at"]
        assert shown["created_at"].endswith("Z")
        alone = http.get(f"/v1/sessions/{session.id}/resources/{shown['id']}")
        assert alone.json() == shown
        assert http.get(f"/v1/sessions/{session.id}/resources").json() == {"data": [shown]}

    def test_null_and_none_are_none(self, http: httpx.Client, agent: Any, environment: Any) -> None:
        body = {"agent": agent.id, "environment_id": environment.id}
        for resources in (None, []):
            answer = http.post("/v1/sessions", json={**body, "resources": resources})
            assert answer.json()["resources"] == []

    def test_a_file_that_is_missing_leaves_nothing_behind(
        self, http: httpx.Client, sdk: Anthropic, agent: Any, environment: Any
    ) -> None:
        good = uploaded(sdk)
        before = [one.id for one in sdk.beta.sessions.list(limit=1)]
        other = "x" * 128
        body = {
            "agent": agent.id,
            "environment_id": environment.id,
            "resources": [file(good), file(NO_FILE), file(other), file(NO_FILE, "/again")],
            "initial_events": [said("hello")],
        }
        refused(
            http.post("/v1/sessions", json=body), 404, NOT_FOUND.format(ids=f"{NO_FILE}, {other}")
        )
        assert [one.id for one in sdk.beta.sessions.list(limit=1)] == before

    def test_deleted_files_are_missing(self, sdk: Anthropic, make: Any) -> None:
        gone = uploaded(sdk)
        sdk.beta.files.delete(gone)
        with pytest.raises(anthropic.NotFoundError, match="One or more files not found"):
            make(file(gone))

    @pytest.mark.parametrize(
        ("tools", "allowed"),
        [
            ([], False),
            ([{"type": "agent_toolset_20260401"}], True),
            (
                [
                    {
                        "type": "agent_toolset_20260401",
                        "configs": [{"name": "read", "enabled": False}],
                    }
                ],
                False,
            ),
        ],
    )
    def test_the_effective_tools_must_have_read(
        self, sdk: Anthropic, make: Any, agent: Any, tools: list[Any], allowed: bool
    ) -> None:
        given = {"type": "agent_with_overrides", "id": agent.id, "tools": tools}
        resource = file(uploaded(sdk))
        if allowed:
            assert make(resource, agent=given).resources
            return
        with pytest.raises(anthropic.BadRequestError) as caught:
            make(resource, agent=given)
        assert caught.value.body["error"]["message"] == NO_READ  # type: ignore[index]
        assert make(agent=given).resources == []

    @pytest.mark.parametrize(
        ("one", "other", "message"),
        [
            (
                None,
                None,
                "resources.1.mount_path: {0} overlaps the mount of another resource at {0}",
            ),
            ("/a/b", "/a", "resources.1.mount_path: {u}/a overlaps the mount of another resource"),
            ("/a", "/a/b", "resources.1.mount_path: {u}/a/b overlaps the mount of another"),
            ("/a", f"{UPLOADS}//a", "resources.1.mount_path: {u}/a overlaps the mount of another"),
        ],
    )
    def test_no_mount_in_another(
        self, sdk: Anthropic, make: Any, one: str | None, other: str | None, message: str
    ) -> None:
        file_id = uploaded(sdk)
        with pytest.raises(anthropic.BadRequestError) as caught:
            make(file(file_id, one), file(file_id, other))
        expected = message.format(f"{UPLOADS}/{file_id}", u=UPLOADS)
        assert caught.value.body["error"]["message"].startswith(expected)  # type: ignore[index]

    @pytest.mark.parametrize(
        ("resource", "message"),
        [
            ({"type": "file"}, "resources.0.file.file_id: Field required"),
            (
                {"type": "file", "file_id": ""},
                "resources.0.file.file_id: minimum string length is 1",
            ),
            (
                {"type": "file", "file_id": "x" * 129},
                "resources.0.file.file_id: maximum string length is 128",
            ),
            (
                {"type": "file", "file_id": "x", "mount_path": "."},
                "resources.0.file.mount_path: must name more than the root",
            ),
            (
                {"type": "file", "file_id": "x", "mount_path": "/../etc/passwd"},
                'resources.0.file.mount_path: must not contain ".."',
            ),
            (
                {"type": "file", "file_id": "x", "mount_path": UPLOADS},
                f"resources.0.file.mount_path: must name a file in {UPLOADS}",
            ),
            (
                {"type": "file", "file_id": "x", "mount_path": "/" * 4097},
                "resources.0.file.mount_path: maximum string length is 4096",
            ),
            (
                {"type": "folder"},
                'Failed to parse request: resources[0].type: "folder" is not a valid value',
            ),
            (
                {"type": "file", "file_id": "x", "mode": 1},
                'Failed to parse request body: unknown field "mode"',
            ),
        ],
    )
    def test_malformed(
        self,
        http: httpx.Client,
        agent: Any,
        environment: Any,
        resource: dict[str, Any],
        message: str,
    ) -> None:
        body = {"agent": agent.id, "environment_id": environment.id, "resources": [resource]}
        refused(http.post("/v1/sessions", json=body), 400, message)

    def test_as_many_as_are_allowed(
        self, http: httpx.Client, sdk: Anthropic, make: Any, agent: Any, environment: Any
    ) -> None:
        one = uploaded(sdk)
        many = [file(one, f"/{number}") for number in range(501)]
        body = {"agent": agent.id, "environment_id": environment.id, "resources": many}
        answer = http.post("/v1/sessions", json=body)
        refused(answer, 400, "resources: must contain at most 500 items")
        session = make(*many[:500])
        assert [resource.mount_path for resource in session.resources] == [
            f"{UPLOADS}/{number}" for number in range(500)
        ]
        url = f"/v1/sessions/{session.id}/resources"
        refused(http.post(url, json=many[500]), 400, "resources: must contain at most 500 items")
        sdk.beta.sessions.delete(session.id)

    def test_self_hosted_environments_take_none(self, sdk: Anthropic, make: Any) -> None:
        environment = sdk.beta.environments.create(name="own", config={"type": "self_hosted"})
        with pytest.raises(anthropic.BadRequestError) as caught:
            make(file(uploaded(sdk)), environment_id=environment.id)
        assert caught.value.body["error"]["message"] == (  # type: ignore[index]
            f"Environment {environment.id} is a self-hosted environment. `resources` are not "
            "supported with self-hosted environments."
        )

    def test_initial_events_and_resources(self, sdk: Anthropic, make: Any) -> None:
        session = make(file(uploaded(sdk)), initial_events=[said("hello")])
        assert session.status == "running"
        assert len(session.resources) == 1


class TestLifetime:
    def test_the_upload_may_go(self, sdk: Anthropic, make: Any) -> None:
        original = uploaded(sdk)
        session = make(file(original))
        sdk.beta.files.delete(original)
        (copy,) = own_files(sdk, session.id).values()
        assert copy.id == session.resources[0].file_id
        assert sdk.beta.sessions.retrieve(session.id).resources == session.resources

    def test_archiving_keeps_copies_and_deleting_removes_them(
        self, sdk: Anthropic, make: Any, shared: Any
    ) -> None:
        content = b"only this session has it"
        original = uploaded(sdk, content)
        session = make(file(original))
        sdk.beta.files.delete(original)
        blobs = shared.app.state.services.settings.data_dir / "blobs"

        def kept() -> bool:
            return any(path.is_file() and path.read_bytes() == content for path in blobs.rglob("*"))

        sdk.beta.sessions.archive(session.id)
        assert len(own_files(sdk, session.id)) == 1
        assert kept()
        sdk.beta.sessions.delete(session.id)
        assert own_files(sdk, session.id) == {}
        for _ in range(500):
            if not kept():
                break
            time.sleep(0.01)
        assert not kept()
        with pytest.raises(anthropic.NotFoundError):
            sdk.beta.sessions.resources.list(session.id)


class TestEndpoints:
    def test_list(self, sdk: Anthropic, http: httpx.Client, make: Any) -> None:
        one = uploaded(sdk)
        session = make(*(file(one, f"/{number}") for number in range(30)))
        api = sdk.beta.sessions.resources
        whole = api.list(session.id)
        assert whole.data == session.resources
        assert not whole.has_next_page()
        assert list(api.list(session.id, limit=7)) == session.resources
        page = api.list(session.id, limit=7)
        assert len(page.data) == 7
        assert page.next_page is not None
        rest = api.list(session.id, page=page.next_page)
        assert rest.data == session.resources[7:]
        # What goes meanwhile neither hides nor repeats what stays.
        api.delete(session.resources[6].id, session_id=session.id)
        assert page.get_next_page().data == session.resources[7:14]
        url = f"/v1/sessions/{session.id}/resources"
        assert api.list(session.id, limit=29).next_page is None
        span = "value must be greater than or equal to 1 and less than or equal to 1000"
        for limit in (0, 1001):
            refused(http.get(url, params={"limit": limit}), 400, f"limit: {span}")
        refused(
            http.get(url, params={"page": "page_x"}), 400, "page: invalid or expired page cursor"
        )

    def test_add(self, sdk: Anthropic, make: Any) -> None:
        session = make(file(uploaded(sdk)))
        two = uploaded(sdk)
        added = sdk.beta.sessions.resources.add(session.id, type="file", file_id=two)
        assert added.mount_path == f"{UPLOADS}/{two}"
        assert added.file_id != two
        assert added.id in {one.id for one in sdk.beta.sessions.resources.list(session.id)}  # type: ignore[union-attr]
        assert sdk.beta.sessions.retrieve(session.id).resources == [*session.resources, added]
        assert set(own_files(sdk, session.id)) == {
            session.resources[0].file_id,
            added.file_id,
        }
        found = sdk.beta.sessions.resources.retrieve(added.id, session_id=session.id)
        assert found == added

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (
                {"type": "memory_store", "memory_store_id": "memstore_x"},
                'Failed to parse request: type: "memory_store" is not a valid value',
            ),
            (
                {"type": "github_repository", "url": "https://github.com/o/r"},
                'Failed to parse request: type: "github_repository" is not a valid value',
            ),
            ({"file_id": "x"}, "type: Field required"),
            ({"type": "file"}, "file_id: Field required"),
            (
                {"type": "file", "file_id": "x", "mount_path": "a/.."},
                'mount_path: must not contain ".."',
            ),
        ],
    )
    def test_add_malformed(
        self, http: httpx.Client, session: Any, body: dict[str, Any], message: str
    ) -> None:
        refused(http.post(f"/v1/sessions/{session.id}/resources", json=body), 400, message)

    def test_add_refused(self, http: httpx.Client, sdk: Anthropic, make: Any, agent: Any) -> None:
        one = uploaded(sdk)
        session = make(file(one, "/a/b"))
        url = f"/v1/sessions/{session.id}/resources"
        refused(http.post(url, json=file(NO_FILE)), 404, NOT_FOUND.format(ids=NO_FILE))
        refused(
            http.post(url, json=file(one, "/a")),
            400,
            f"mount_path: {UPLOADS}/a overlaps the mount of another resource at {UPLOADS}/a/b",
        )
        assert len(own_files(sdk, session.id)) == 1
        bare = make(agent={"type": "agent_with_overrides", "id": agent.id, "tools": []})
        refused(http.post(f"/v1/sessions/{bare.id}/resources", json=file(one)), 400, NO_READ)
        nobody = "sesn_01" + "1" * 22
        refused(
            http.post(f"/v1/sessions/{nobody}/resources", json=file(one)),
            404,
            f"Session not found: {nobody}",
        )

    def test_an_archived_session_keeps_what_it_has(
        self, http: httpx.Client, sdk: Anthropic, make: Any
    ) -> None:
        one = uploaded(sdk)
        session = make(file(one))
        sdk.beta.sessions.archive(session.id)
        url = f"/v1/sessions/{session.id}/resources"
        message = f"Session {session.id} is terminated and cannot be modified."
        refused(http.post(url, json=file(one, "/x")), 400, message)
        refused(http.delete(f"{url}/{session.resources[0].id}"), 400, message)
        assert sdk.beta.sessions.resources.list(session.id).data == session.resources

    def test_delete(self, sdk: Anthropic, http: httpx.Client, make: Any) -> None:
        session = make(file(uploaded(sdk)), file(uploaded(sdk)))
        first, second = session.resources
        deleted = sdk.beta.sessions.resources.delete(first.id, session_id=session.id)
        assert (deleted.id, deleted.type) == (first.id, "session_resource_deleted")
        assert set(own_files(sdk, session.id)) == {second.file_id}
        assert sdk.beta.sessions.retrieve(session.id).resources == [second]
        url = f"/v1/sessions/{session.id}/resources/{first.id}"
        for answer in (http.get(url), http.delete(url)):
            refused(answer, 404, f"Resource not found: {first.id}")
        # The place is free again.
        added = sdk.beta.sessions.resources.add(
            session.id, type="file", file_id=uploaded(sdk), mount_path=first.mount_path
        )
        assert sdk.beta.sessions.retrieve(session.id).resources == [second, added]

    def test_only_repositories_have_tokens(
        self, http: httpx.Client, sdk: Anthropic, make: Any
    ) -> None:
        session = make(file(uploaded(sdk)))
        resource_id = session.resources[0].id
        url = f"/v1/sessions/{session.id}/resources/{resource_id}"
        refused(
            http.post(url, json={"authorization_token": "t"}),
            400,
            "authorization_token: only resources of type `github_repository` have one; "
            f"{resource_id} is of type `file`",
        )
        for body, message in (
            ({}, "authorization_token: Field required"),
            ({"authorization_token": ""}, "authorization_token: minimum string length is 1"),
            (
                {"authorization_token": "x" * 4097},
                "authorization_token: maximum string length is 4096",
            ),
            (
                {"authorization_token": "a\r\nb: c"},
                "authorization_token: must match pattern ^[!-~]+$",
            ),
            (
                {"authorization_token": "t", "url": "u"},
                'Failed to parse request body: unknown field "url"',
            ),
        ):
            refused(http.post(url, json=body), 400, message)

    def test_another_sessions_resource_is_not_there(
        self, http: httpx.Client, sdk: Anthropic, make: Any, session: Any
    ) -> None:
        other = make(file(uploaded(sdk))).resources[0].id
        for resource_id in (other, NO_RESOURCE, "x"):
            url = f"/v1/sessions/{session.id}/resources/{resource_id}"
            message = f"Resource not found: {resource_id}"
            refused(http.get(url), 404, message)
            refused(http.delete(url), 404, message)
            refused(http.post(url, json={"authorization_token": "t"}), 404, message)

    def test_sessions_have_no_resources_to_update(self, http: httpx.Client, session: Any) -> None:
        refused(
            http.post(f"/v1/sessions/{session.id}", json={"resources": []}),
            400,
            'Failed to parse request body: unknown field "resources"',
        )


def test_what_the_machine_cannot_keep_is_refused_at_once(tmp_path: Path) -> None:
    app = create_app(
        Settings(data_dir=tmp_path / "data", model="scripted", scripted_latency=0),
        model=ScriptedModel(),
        sandboxes=ProcessSandboxProvider(tmp_path / "data", plain=True),
    )
    with serve_app(app) as served, served.client() as sdk:
        agent = sdk.beta.agents.create(
            name="a", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
        )
        environment = sdk.beta.environments.create(name="e")
        given: dict[str, Any] = {"agent": agent.id, "environment_id": environment.id}
        with pytest.raises(anthropic.BadRequestError, match="install bubblewrap or use Docker"):
            sdk.beta.sessions.create(**given, resources=[file(uploaded(sdk))])
        session = sdk.beta.sessions.create(**given)
        with pytest.raises(anthropic.BadRequestError, match="install bubblewrap or use Docker"):
            sdk.beta.sessions.resources.add(session.id, type="file", file_id=uploaded(sdk))
        events = turn(sdk, session.id, said('/tool bash {"command": "echo ran"}'))
        (result,) = [event for event in events if event.type == "agent.tool_result"]
        assert result.content[0].text == "ran"
        sdk.beta.sessions.delete(session.id)
