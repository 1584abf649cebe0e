"""Deployments and their runs through the official SDK (spec 13)."""

from __future__ import annotations

import io
import itertools
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic

from tests.api.conftest import refused, said
from tests.support.running import Served

NIGHTLY = {"type": "cron", "expression": "0 3 * * *", "timezone": "Europe/Oslo"}
GONE = "1" * 22
_number = itertools.count(1)


@pytest.fixture
def make(sdk: Anthropic, agent: Any, environment: Any) -> Any:
    def make(**more: Any) -> Any:
        given: dict[str, Any] = {
            "name": f"Nightly {next(_number)}",
            "agent": agent.id,
            "environment_id": environment.id,
            "initial_events": [said("/say Done.")],
        }
        return sdk.beta.deployments.create(**(given | more))

    return make


def sessions_of(sdk: Anthropic, deployment: Any) -> list[Any]:
    return list(sdk.beta.sessions.list(deployment_id=deployment.id))


def idle(sdk: Anthropic, session_id: str) -> list[Any]:
    """The session's events once its turn is over."""
    with sdk.beta.sessions.events.stream(session_id) as stream:
        if sdk.beta.sessions.retrieve(session_id).status == "running":
            for event in stream:
                if event.type == "session.status_idle":
                    break
    return list(sdk.beta.sessions.events.list(session_id))


class TestLife:
    def test_the_least(self, sdk: Anthropic, make: Any, agent: Any, environment: Any) -> None:
        made = make(name="Plain")
        assert made.id.startswith("depl_")
        assert made.to_dict() == {
            "id": made.id,
            "type": "deployment",
            "name": "Plain",
            "description": None,
            "agent": {"type": "agent", "id": agent.id, "version": 1},
            "environment_id": environment.id,
            "initial_events": [said("/say Done.")],
            "schedule": None,
            "status": "active",
            "paused_reason": None,
            "resources": [],
            "vault_ids": [],
            "metadata": {},
            "created_at": made.to_dict()["created_at"],
            "updated_at": made.to_dict()["created_at"],
            "archived_at": None,
        }
        assert sdk.beta.deployments.retrieve(made.id) == made

    def test_everything(self, sdk: Anthropic, make: Any) -> None:
        vault = sdk.beta.vaults.create(display_name="Keys")
        store = sdk.beta.memory_stores.create(name="Notes")
        file = sdk.files.upload(file=("data.csv", io.BytesIO(b"1,2")))
        events = [
            said("Go."),
            {"type": "system.message", "content": [{"type": "text", "text": "Be brief."}]},
        ]
        resources = [
            {"type": "file", "file_id": file.id, "mount_path": "/mnt/session/uploads/data.csv"},
            {
                "type": "github_repository",
                "url": "https://github.com/o/tool",
                "authorization_token": "canary-of-a-deployment",
                "checkout": {"type": "branch", "name": "main"},
            },
            {"type": "memory_store", "memory_store_id": store.id, "instructions": "Read first."},
        ]
        made = make(
            description="Every night",
            initial_events=events,
            schedule=NIGHTLY,
            resources=resources,
            vault_ids=[vault.id],
            budget={"type": "limit", "max_list_cost": {"amount": "2500", "currency": "USD"}},
            metadata={"team": "a"},
        )
        shown = made.to_dict()
        del resources[1]["authorization_token"]
        assert shown["description"] == "Every night"
        assert shown["initial_events"] == events
        assert shown["resources"] == resources
        assert shown["vault_ids"] == [vault.id]
        assert shown["budget"]["max_list_cost"] == {"amount": "2500", "currency": "USD"}
        assert shown["metadata"] == {"team": "a"}
        assert shown["schedule"] | {"upcoming_runs_at": []} == {
            **NIGHTLY,
            "last_run_at": None,
            "upcoming_runs_at": [],
        }

    def test_updates(self, sdk: Anthropic, make: Any, agent: Any) -> None:
        made = make(description="one", metadata={"a": "1", "b": "2"}, schedule=NIGHTLY)
        same = sdk.beta.deployments.update(made.id, name=made.name, metadata={})
        assert same.updated_at == made.updated_at
        changed = sdk.beta.deployments.update(
            made.id,
            name="Other",
            description="",
            metadata={"a": None, "c": "3"},
            schedule=None,
            initial_events=[said("Go.")],
            budget={"type": "limit", "max_list_cost": {"amount": "5", "currency": "USD"}},
        )
        assert changed.updated_at > made.updated_at
        assert (changed.name, changed.description) == ("Other", None)
        assert changed.metadata == {"b": "2", "c": "3"}
        assert changed.schedule is None
        assert changed.to_dict()["initial_events"] == [said("Go.")]
        assert changed.budget is not None
        assert sdk.beta.deployments.retrieve(made.id) == changed
        cleared = sdk.beta.deployments.update(
            made.id, budget=None, resources=None, vault_ids=None, description=None
        )
        assert "budget" not in cleared.to_dict()

    def test_the_agent_is_pinned_at_a_version(self, sdk: Anthropic, make: Any) -> None:
        agent = sdk.beta.agents.create(name="one", model="claude-opus-5")
        made = make(agent=agent.id)
        sdk.beta.agents.update(agent.id, version=1, system="Changed.")
        assert sdk.beta.deployments.retrieve(made.id).agent.version == 1
        assert make(agent=agent.id).agent.version == 2
        assert make(agent={"type": "agent", "id": agent.id, "version": 1}).agent.version == 1
        run = sdk.beta.deployments.run(made.id)
        assert run.agent.version == 1
        assert run.session_id is not None
        assert sdk.beta.sessions.retrieve(run.session_id).agent.version == 1
        assert sdk.beta.deployments.update(made.id, agent=agent.id).agent.version == 2

    def test_pause_and_unpause(self, sdk: Anthropic, make: Any) -> None:
        made = make(schedule=NIGHTLY)
        paused = sdk.beta.deployments.pause(made.id)
        assert paused.status == "paused"
        assert paused.paused_reason is not None
        assert paused.paused_reason.to_dict() == {"type": "manual"}
        assert paused.schedule is not None
        assert paused.schedule.upcoming_runs_at
        assert len(paused.schedule.upcoming_runs_at) == 5
        assert sdk.beta.deployments.pause(made.id) == paused
        assert sdk.beta.deployments.run(made.id).session_id
        active = sdk.beta.deployments.unpause(made.id)
        assert (active.status, active.paused_reason) == ("active", None)
        assert sdk.beta.deployments.unpause(made.id) == active

    def test_archive(self, sdk: Anthropic, make: Any, http: httpx.Client) -> None:
        made = make(schedule=NIGHTLY)
        sdk.beta.deployments.pause(made.id)
        archived = sdk.beta.deployments.archive(made.id)
        assert archived.archived_at is not None
        assert (archived.status, archived.paused_reason) == ("active", None)
        assert archived.schedule is not None
        assert archived.schedule.upcoming_runs_at == []
        assert sdk.beta.deployments.archive(made.id) == archived
        text = "Cannot modify archived deployment"
        place = f"/v1/deployments/{made.id}"
        refused(http.post(place, json={"name": "x"}), 400, text)
        refused(http.post(f"{place}/pause"), 400, text)
        refused(http.post(f"{place}/unpause"), 400, text)
        refused(http.post(f"{place}/run"), 400, "Cannot run archived deployment")

    def test_an_agent_takes_its_deployments_along(self, sdk: Anthropic, make: Any) -> None:
        agent = sdk.beta.agents.create(name="one", model="claude-opus-5")
        made, other = make(agent=agent.id, schedule=NIGHTLY), make()
        sdk.beta.agents.archive(agent.id)
        assert sdk.beta.deployments.retrieve(made.id).archived_at is not None
        assert sdk.beta.deployments.retrieve(other.id).archived_at is None
        with pytest.raises(anthropic.BadRequestError, match="is archived"):
            make(agent=agent.id)

    def test_what_is_not_there(self, http: httpx.Client) -> None:
        for name in (f"depl_01{GONE}", "x"):
            refused(http.get(f"/v1/deployments/{name}"), 404, f"Deployment not found: {name}")
            for action in ("archive", "pause", "unpause", "run"):
                place = f"/v1/deployments/{name}/{action}"
                refused(http.post(place), 404, f"Deployment not found: {name}")
            refused(
                http.get(f"/v1/deployment_runs/{name}"), 404, f"Deployment run not found: {name}"
            )
        refused(http.get("/v1/deployments/a/b/c"), 404, "Not Found")

    def test_without_the_beta_there_is_nothing(self, shared: Served) -> None:
        with httpx.Client(base_url=shared.url, headers={"x-api-key": "test"}) as bare:
            refused(bare.get("/v1/deployments"), 404, "Not found")
            refused(bare.get("/v1/deployment_runs"), 404, "Not found")


class TestSchedules:
    def test_what_comes(self, make: Any) -> None:
        made = make(schedule={"type": "cron", "expression": "30 2 * * 1-5", "timezone": "UTC"})
        upcoming = made.schedule.upcoming_runs_at
        assert len(upcoming) == 5
        assert upcoming == sorted(set(upcoming))
        assert upcoming[0] > datetime.now(UTC)
        assert all((one.hour, one.minute, one.second) == (2, 30, 0) for one in upcoming)
        assert all(one.weekday() < 5 for one in upcoming)

    @pytest.mark.parametrize(
        ("expression", "timezone", "message"),
        [
            (
                "0 0 3 * * *",
                "UTC",
                "`schedule.expression` is not a valid 5-field cron expression: "
                "expected 5 fields, got 6",
            ),
            (
                "0 3 1 * 1",
                "UTC",
                "`schedule.expression` cannot restrict both day-of-month and day-of-week; use `*` "
                "for one",
            ),
            (
                "0 3 30 2 *",
                "UTC",
                "`schedule.expression` does not produce any occurrences in the next year",
            ),
            ("0 " * 256 + "*", "UTC", "schedule.expression: maximum string length is 512"),
            ("0 3 * * *", "Mars", '`schedule.timezone` is not a known IANA time zone: "Mars"'),
        ],
    )
    def test_refusals(
        self, http: httpx.Client, make: Any, expression: str, timezone: str, message: str
    ) -> None:
        made = make()
        body = {"schedule": {"type": "cron", "expression": expression, "timezone": timezone}}
        refused(http.post(f"/v1/deployments/{made.id}", json=body), 400, message)
        rest = ("name", "initial_events", "environment_id")
        body |= {name: made.to_dict()[name] for name in rest} | {"agent": made.agent.id}
        refused(http.post("/v1/deployments", json=body), 400, message)


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"name": ""}, "name: minimum string length is 1"),
            ({"name": "n" * 257}, "name: maximum string length is 256"),
            ({"description": "n" * 2049}, "description: maximum string length is 2048"),
            ({"initial_events": []}, "initial_events: must contain at least 1 item"),
            (
                {"initial_events": [said("x")] * 51},
                "initial_events: must contain at most 50 items",
            ),
            (
                {"initial_events": [{"type": "user.interrupt"}]},
                'Failed to parse request: initial_events[0].type: "user.interrupt" is not a valid '
                "value",
            ),
            ({"vault_ids": ["vlt_x"] * 51}, "vault_ids: must contain at most 50 items"),
            ({"colour": "red"}, 'Failed to parse request body: unknown field "colour"'),
            (
                {"agent": {"type": "agent_with_overrides", "id": "agent_x"}},
                'Failed to parse request: agent.type: "agent_with_overrides" is not a valid value',
            ),
            ({"agent": "agent_x"}, "Invalid agent ID."),
            (
                {"schedule": {"type": "often"}},
                'Failed to parse request: schedule.type: "often" is not a valid value',
            ),
            (
                {"metadata": {str(n): "" for n in range(17)}},
                "invalid metadata: metadata map would have 17 entries, exceeding the maximum of 16",
            ),
            (
                {
                    "initial_events": [
                        {"type": "system.message", "content": [{"type": "text", "text": "x"}]}
                    ]
                },
                "initial_events: must contain at least one `user.message` or `user.define_outcome`",
            ),
            (
                {
                    "initial_events": [
                        {"type": "system.message", "content": [{"type": "text", "text": "x"}]},
                        said("x"),
                    ]
                },
                "initial_events[0]: there may be one `system.message`, as the last event and "
                "directly after a `user.message`",
            ),
        ],
    )
    def test_bodies(self, http: httpx.Client, make: Any, change: Any, message: str) -> None:
        made = make()
        body = {
            "name": "n",
            "agent": made.agent.id,
            "environment_id": made.environment_id,
            "initial_events": [said("x")],
        }
        refused(http.post("/v1/deployments", json=body | change), 400, message)
        refused(http.post(f"/v1/deployments/{made.id}", json=change), 400, message)

    @pytest.mark.parametrize("name", ["name", "agent", "environment_id", "initial_events"])
    def test_what_cannot_be_cleared(self, http: httpx.Client, make: Any, name: str) -> None:
        answer = http.post(f"/v1/deployments/{make().id}", json={name: None})
        assert answer.status_code == 400
        assert name in answer.json()["error"]["message"]

    def test_limits_are_allowed(self, make: Any) -> None:
        longest = ",".join(["0"] * 251) + ",00 3 * * *"
        assert len(longest) == 512
        schedule = {"type": "cron", "expression": longest, "timezone": "UTC"}
        assert make(schedule=schedule).schedule.expression == longest
        made = make(name="n" * 256, description="d" * 2048, initial_events=[said("x")] * 50)
        assert len(made.initial_events) == 50

    def test_what_is_named_must_be_there(self, sdk: Anthropic, make: Any) -> None:
        with pytest.raises(anthropic.NotFoundError, match="Agent not found"):
            make(agent=f"agent_01{GONE}")
        with pytest.raises(anthropic.NotFoundError, match="has no version 7"):
            make(agent={"type": "agent", "id": make().agent.id, "version": 7})
        with pytest.raises(anthropic.NotFoundError, match="Environment"):
            make(environment_id=f"env_01{GONE}")
        with pytest.raises(anthropic.NotFoundError, match="vault_ids"):
            make(vault_ids=[f"vlt_01{GONE}"])
        with pytest.raises(anthropic.NotFoundError, match="files not found"):
            make(resources=[{"type": "file", "file_id": f"file_01{GONE}"}])
        store = sdk.beta.memory_stores.create(name="Notes")
        sdk.beta.memory_stores.archive(store.id)
        with pytest.raises(anthropic.BadRequestError, match="is archived"):
            make(resources=[{"type": "memory_store", "memory_store_id": store.id}])
        hosted = sdk.beta.environments.create(name="own", config={"type": "self_hosted"})
        with pytest.raises(anthropic.BadRequestError, match="self-hosted"):
            make(environment_id=hosted.id, resources=[{"type": "file", "file_id": "file_x"}])


class TestRuns:
    def test_a_run_has_a_session(self, sdk: Anthropic, make: Any) -> None:
        vault = sdk.beta.vaults.create(display_name="Keys")
        store = sdk.beta.memory_stores.create(name="Notes")
        file = sdk.files.upload(file=("data.csv", io.BytesIO(b"1,2")))
        made = make(
            name="Report",
            metadata={"a": "b"},
            vault_ids=[vault.id],
            budget={"type": "limit", "max_list_cost": {"amount": "2500", "currency": "USD"}},
            initial_events=[
                said("/say Hello."),
                {"type": "system.message", "content": [{"type": "text", "text": "Be brief."}]},
            ],
            resources=[
                {"type": "file", "file_id": file.id},
                {"type": "memory_store", "memory_store_id": store.id, "access": "read_only"},
            ],
        )
        run = sdk.beta.deployments.run(made.id)
        assert run.session_id is not None
        assert run.to_dict() == {
            "id": run.id,
            "type": "deployment_run",
            "deployment_id": made.id,
            "agent": {"type": "agent", "id": made.agent.id, "version": 1},
            "trigger_context": {"type": "manual"},
            "session_id": run.session_id,
            "error": None,
            "created_at": run.to_dict()["created_at"],
        }
        assert run.id.startswith("drun_")
        assert sdk.beta.deployment_runs.retrieve(run.id) == run
        events = idle(sdk, run.session_id)
        assert [event.type for event in events if event.type.startswith(("user", "system"))] == [
            "user.message",
            "system.message",
        ]
        assert [event.content[0].text for event in events if event.type == "agent.message"] == [
            "Hello."
        ]
        session = sdk.beta.sessions.retrieve(run.session_id)
        shown = session.to_dict()
        assert (shown["title"], shown["metadata"]) == ("Report", {})
        assert shown["deployment_id"] == made.id
        assert shown["vault_ids"] == [vault.id]
        assert shown["budget"]["max_list_cost"]["amount"] == "2500"
        copy, mounted = shown["resources"]
        assert copy["file_id"] != file.id
        assert copy["mount_path"] == f"/mnt/session/uploads/{file.id}"
        assert (mounted["memory_store_id"], mounted["access"]) == (store.id, "read_only")
        assert [found.id for found in sessions_of(sdk, made)] == [session.id]

    def test_a_run_keeps_the_session_that_is_deleted(self, sdk: Anthropic, make: Any) -> None:
        run = sdk.beta.deployments.run(make().id)
        assert run.session_id is not None
        idle(sdk, run.session_id)
        sdk.beta.sessions.delete(run.session_id)
        assert sdk.beta.deployment_runs.retrieve(run.id) == run

    def test_sessions_of_clients_have_no_deployment(self, session: Any) -> None:
        assert "deployment_id" not in session.to_dict()

    def test_a_repositorys_token_goes_to_the_session_alone(
        self, sdk: Anthropic, make: Any, shared: Served
    ) -> None:
        token = "canary-of-a-repository"
        given = {
            "type": "github_repository",
            "url": "https://github.com/o/tool",
            "authorization_token": token,
        }
        made = make(resources=[given])
        assert token not in made.to_json()
        run = sdk.beta.deployments.run(made.id)
        assert run.session_id is not None
        settings = shared.app.state.services.settings
        database = sqlite3.connect(settings.data_dir / "freehold.db")
        try:
            sealed = database.execute(
                "SELECT secret FROM session_resources WHERE session_id = ?", (run.session_id,)
            ).fetchall()
            assert sealed[0][0].startswith("v1.")
            dump = "\n".join(database.iterdump())
        finally:
            database.close()
        assert token not in dump
        # Other changes leave the tokens where they are, new resources replace them.
        sdk.beta.deployments.update(made.id, name="Other")
        assert sdk.beta.deployments.run(made.id).session_id is not None
        changed = sdk.beta.deployments.update(made.id, resources=[])
        assert changed.resources == []


class TestErrors:
    """What a run tells when its session cannot be created. Manual runs never pause."""

    def failed(self, sdk: Anthropic, deployment: Any) -> tuple[str, str]:
        run = sdk.beta.deployments.run(deployment.id)
        assert run.session_id is None
        assert run.error is not None
        assert sdk.beta.deployment_runs.retrieve(run.id) == run
        assert sdk.beta.deployments.retrieve(deployment.id).status == "active"
        assert sessions_of(sdk, deployment) == []
        return run.error.type, run.error.message.removeprefix("session creation rejected: ")

    def test_environments(self, sdk: Anthropic, make: Any) -> None:
        environment = sdk.beta.environments.create(name="short-lived")
        made = make(environment_id=environment.id)
        sdk.beta.environments.archive(environment.id)
        assert self.failed(sdk, made) == (
            "environment_archived_error",
            f"environment `{environment.id}` is archived",
        )
        sdk.beta.environments.delete(environment.id)
        assert self.failed(sdk, made) == (
            "environment_not_found_error",
            f"environment `{environment.id}` not found",
        )

    def test_vaults(self, sdk: Anthropic, make: Any) -> None:
        vault = sdk.beta.vaults.create(display_name="Keys")
        made = make(vault_ids=[vault.id])
        sdk.beta.vaults.archive(vault.id)
        assert self.failed(sdk, made) == (
            "vault_archived_error",
            f"vault `{vault.id}` is archived",
        )
        sdk.beta.vaults.delete(vault.id)
        assert self.failed(sdk, made) == ("vault_not_found_error", f"vault `{vault.id}` not found")

    def test_memory_stores(self, sdk: Anthropic, make: Any) -> None:
        store = sdk.beta.memory_stores.create(name="Notes")
        made = make(resources=[{"type": "memory_store", "memory_store_id": store.id}])
        sdk.beta.memory_stores.archive(store.id)
        assert self.failed(sdk, made) == (
            "memory_store_archived_error",
            "a referenced memory store is archived; check deployment resources",
        )
        sdk.beta.memory_stores.delete(store.id)
        assert self.failed(sdk, made) == (
            "session_resource_not_found_error",
            "a referenced resource was not found; check deployment configuration",
        )

    def test_files(self, sdk: Anthropic, make: Any) -> None:
        mounted = sdk.files.upload(file=("data.csv", io.BytesIO(b"1,2")))
        shown = sdk.files.upload(file=("a.txt", io.BytesIO(b"a"), "text/plain"))
        block = {"type": "document", "source": {"type": "file", "file_id": shown.id}}
        for made, file in (
            (make(resources=[{"type": "file", "file_id": mounted.id}]), mounted),
            (make(initial_events=[{"type": "user.message", "content": [block]}]), shown),
        ):
            sdk.files.delete(file.id)
            assert self.failed(sdk, made) == (
                "file_not_found_error",
                f"file `{file.id}` not found",
            )

    def test_skills(self, sdk: Anthropic, make: Any) -> None:
        text = "---\nname: brief\ndescription: Be brief.\n---\nBe brief.\n"
        skill = sdk.skills.create(files=[("brief/SKILL.md", text.encode())])
        agent = sdk.beta.agents.create(
            name="skilled",
            model="claude-opus-5",
            tools=[{"type": "agent_toolset_20260401"}],
            skills=[{"type": "custom", "skill_id": skill.id, "version": "latest"}],
        )
        made = make(agent=agent.id)
        sdk.skills.delete(skill.id)
        kind, message = self.failed(sdk, made)
        assert kind == "skill_not_found_error"
        assert skill.id in message

    def test_mcp_servers_that_are_shut_out(self, sdk: Anthropic, make: Any) -> None:
        environment = sdk.beta.environments.create(name="open")
        agent = sdk.beta.agents.create(
            name="connected",
            model="claude-opus-5",
            mcp_servers=[{"type": "url", "name": "m", "url": "https://mcp.example.com/mcp"}],
            tools=[{"type": "mcp_toolset", "mcp_server_name": "m"}],
        )
        made = make(agent=agent.id, environment_id=environment.id)
        sdk.beta.environments.update(
            environment.id,
            config={"type": "cloud", "networking": {"type": "limited", "allowed_hosts": []}},
        )
        kind, message = self.failed(sdk, made)
        assert kind == "mcp_egress_blocked_error"
        assert "mcp.example.com" in message

    def test_other_refusals(self, sdk: Anthropic, make: Any) -> None:
        environment = sdk.beta.environments.create(name="later-with-packages")
        made = make(environment_id=environment.id)
        sdk.beta.environments.update(
            environment.id, config={"type": "cloud", "packages": {"pip": ["requests"]}}
        )
        kind, message = self.failed(sdk, made)
        assert kind == "session_creation_rejected_error"
        assert "packages" in message


class TestLists:
    def test_deployments(self, sdk: Anthropic, make: Any, http: httpx.Client) -> None:
        agent = sdk.beta.agents.create(name="listed", model="claude-opus-5")
        made = [make(agent=agent.id) for _ in range(5)]
        ids = [one.id for one in made]

        def found(**params: Any) -> list[str]:
            return [one.id for one in sdk.beta.deployments.list(agent_id=agent.id, **params)]

        assert found() == ids[::-1]
        assert found(limit=2) == ids[::-1]
        sdk.beta.deployments.pause(ids[0])
        sdk.beta.deployments.archive(ids[1])
        assert found() == [ids[4], ids[3], ids[2], ids[0]]
        assert found(status="paused") == [ids[0]]
        assert found(status="active") == [ids[4], ids[3], ids[2]]
        assert found(include_archived=True) == ids[::-1]
        assert found(created_at_gte=made[3].created_at) == [ids[4], ids[3]]
        assert found(created_at_lte=made[2].created_at) == [ids[2], ids[0]]
        assert list(sdk.beta.deployments.list(agent_id="x")) == []
        refused(
            http.get("/v1/deployments", params={"status": "active", "include_archived": "true"}),
            400,
            "include_archived: cannot be set together with status",
        )
        refused(
            http.get("/v1/deployments", params={"page": "page_x"}),
            400,
            "page: invalid or expired page cursor",
        )
        refused(
            http.get("/v1/deployments", params={"limit": "101"}),
            400,
            "limit: value must be greater than or equal to 1 and less than or equal to 100",
        )
        last = http.get("/v1/deployments", params={"agent_id": agent.id}).json()
        assert "next_page" not in last

    def test_runs(self, sdk: Anthropic, make: Any, http: httpx.Client) -> None:
        environment = sdk.beta.environments.create(name="short-lived")
        made = make(environment_id=environment.id)
        runs = [sdk.beta.deployments.run(made.id) for _ in range(3)]
        sdk.beta.environments.archive(environment.id)
        runs += [sdk.beta.deployments.run(made.id) for _ in range(2)]
        ids = [run.id for run in runs]

        def found(**params: Any) -> list[str]:
            return [
                run.id for run in sdk.beta.deployment_runs.list(deployment_id=made.id, **params)
            ]

        assert found() == ids[::-1]
        assert found(limit=2) == ids[::-1]
        assert found(limit=1000) == ids[::-1]
        assert found(has_error=True) == [ids[4], ids[3]]
        assert found(has_error=False) == [ids[2], ids[1], ids[0]]
        assert found(trigger_type="manual") == ids[::-1]
        assert found(trigger_type="schedule") == []
        moment = runs[2].created_at
        assert found(created_at_gt=moment) == [ids[4], ids[3]]
        assert found(created_at_gte=moment) == [ids[4], ids[3], ids[2]]
        assert found(created_at_lt=moment) == [ids[1], ids[0]]
        assert found(created_at_lte=moment) == [ids[2], ids[1], ids[0]]
        assert list(sdk.beta.deployment_runs.list(deployment_id="depl_x")) == []
        everything = [run.id for run in sdk.beta.deployment_runs.list(limit=5)]
        assert everything[:5] == ids[::-1]
        refused(
            http.get("/v1/deployment_runs", params={"page": "page_x"}),
            400,
            "page: invalid or expired page cursor",
        )
        refused(
            http.get("/v1/deployment_runs", params={"limit": "1001"}),
            400,
            "limit: value must be greater than or equal to 1 and less than or equal to 1000",
        )


def test_every_deployment_has_its_own_delay(make: Any, shared: Served) -> None:
    made = [make(schedule=NIGHTLY) for _ in range(3)]
    database = sqlite3.connect(shared.app.state.services.settings.data_dir / "freehold.db")
    try:
        starts = {
            key: (starts_at - scheduled_at) / 1_000_000
            for key, starts_at, scheduled_at in database.execute(
                "SELECT id, starts_at, scheduled_at FROM deployments WHERE starts_at IS NOT NULL"
            )
        }
    finally:
        database.close()
    delays = [starts[one.id] for one in made]
    assert len(set(delays)) == 3
    assert all(5 <= delay <= timedelta(minutes=9).total_seconds() for delay in delays)


def test_no_more_than_a_thousand_have_schedules(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(schedule=NIGHTLY)
    monkeypatch.setattr("freehold.core.limits.DEPLOYMENTS_SCHEDULED", 1)
    with pytest.raises(anthropic.BadRequestError, match="there are 1 deployments with a schedule"):
        make(schedule=NIGHTLY)
    assert first.schedule is not None
    assert make().schedule is None


def test_a_run_that_is_asked_for_twice_is_one(
    http: httpx.Client, sdk: Anthropic, make: Any
) -> None:
    deployment = make()
    path = f"/v1/deployments/{deployment.id}/run"
    first, again = [http.post(path, headers={"idempotency-key": "once"}) for _ in range(2)]
    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert [run.id for run in sdk.beta.deployment_runs.list(deployment_id=deployment.id)] == [
        first.json()["id"]
    ]
    assert len(sessions_of(sdk, deployment)) == 1
