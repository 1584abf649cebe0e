"""Skills in sessions: what the agent finds, what the model is told, which versions they are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx
import pytest
from anthropic import NotFoundError

from freehold.app import create_app
from freehold.harness.skills import SkillFurnisher
from freehold.models import ScriptedModel
from freehold.ports.log import SessionSpec
from freehold.ports.model import ModelEvent, ModelRequest
from freehold.ports.sandbox import SandboxProvider, ToolOutcome
from freehold.ports.skills import RepositorySkill
from freehold.sandbox.process import ProcessSandboxProvider, bubblewrap_works
from freehold.sandbox.scripted import ScriptedSandboxProvider
from freehold.settings import Settings
from freehold.skills.prebuilt import catalog
from tests.api.conftest import refused, said, turn
from tests.docker_engine import text_of
from tests.support.running import BETA, serve_app

TOOLSET = {"type": "agent_toolset_20260401"}
CLOUD: Any = SimpleNamespace(environment={"type": "cloud"})
XLSX = {"type": "anthropic", "skill_id": "xlsx"}
RUN = b"#!/bin/sh\necho ran with $1\n"


def folder(name: str = "reports", description: str = "Writes reports.", text: str = "") -> Any:
    head = f"---\nname: {name}\ndescription: {description}\n---\n{text}\n".encode()
    return [(f"{name}/SKILL.md", head), (f"{name}/scripts/run.sh", RUN)]


class Listening(ScriptedModel):
    def __init__(self) -> None:
        super().__init__()
        self.requests: list[ModelRequest] = []

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        self.requests.append(request)
        async for event in super().stream(request):
            yield event

    @property
    def systems(self) -> list[list[str]]:
        return [[block["text"] for block in request.system] for request in self.requests]


class World:
    """A server that can be started again on the same sandboxes."""

    def __init__(self, tmp: Path, sandboxes: Callable[[], SandboxProvider], **options: Any) -> None:
        self.model = Listening()
        self._settings = Settings(data_dir=tmp / "data", model="scripted", scripted_latency=0)
        self._sandboxes, self._options = sandboxes, options
        self._serving: Any = None
        self.start()

    def start(self) -> None:
        sandboxes = self._sandboxes()
        app = create_app(self._settings, model=self.model, sandboxes=sandboxes, **self._options)
        self._serving = serve_app(app)
        served = self._serving.__enter__()
        self.sdk = served.client()
        self.http = httpx.Client(base_url=served.url, headers=BETA, timeout=60)

    def stop(self) -> None:
        self.sdk.close()
        self.http.close()
        self._serving.__exit__(None, None, None)

    def end(self) -> None:
        for session in self.sdk.beta.sessions.list():
            self.sdk.beta.sessions.delete(session.id)
        self.stop()

    def skill(self, **how: Any) -> Any:
        return self.sdk.beta.skills.create(files=folder(**how))

    def agent(self, *skills: Any) -> Any:
        wanted = [s if isinstance(s, dict) else custom(s.id) for s in skills]
        return self.sdk.beta.agents.create(
            name="Ada", model="claude-opus-5", system="You help.", tools=[TOOLSET], skills=wanted
        )

    def environment(self) -> str:
        made: str = self.sdk.beta.environments.create(name="e").id
        return made

    def session(self, *skills: Any) -> str:
        agent = self.agent(*skills)
        made = self.sdk.beta.sessions.create(agent=agent.id, environment_id=self.environment())
        return str(made.id)

    def bash(self, session_id: str, command: str) -> str:
        message = f"/tool bash {json.dumps({'command': command})}"
        events = turn(self.sdk, session_id, said(message))
        (result,) = [e for e in events if e.type == "agent.tool_result"]
        assert not [e for e in events if e.type == "session.error"]
        # What there is to say of the sandbox stands before what the tool said.
        return text_of(ToolOutcome([result.content[-1].model_dump()]))


def custom(skill_id: str, **version: str) -> dict[str, str]:
    return {"type": "custom", "skill_id": skill_id, **version}


@pytest.fixture(
    params=["scripted", "process", pytest.param("docker", marks=pytest.mark.docker)],
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "process":
        if not bubblewrap_works():
            pytest.skip("bubblewrap may not make a sandbox here")
        made = World(tmp_path, lambda: ProcessSandboxProvider(tmp_path / "data"))
    elif request.param == "scripted":
        machines = ScriptedSandboxProvider()
        made = World(tmp_path, machines.reopened)
    else:
        from freehold.sandbox.docker import DockerSandboxProvider

        image = request.getfixturevalue("docker_image")
        made = World(
            tmp_path, lambda: DockerSandboxProvider(owner=f"test-{tmp_path.name}", image=image)
        )
    yield made
    made.end()


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[World]:
    """Sandboxes of the scripted kind, for what does not depend on the kind."""
    made = World(tmp_path, ScriptedSandboxProvider().reopened)
    yield made
    made.end()


def test_a_skill_is_there_to_be_used_and_not_to_be_changed(world: World) -> None:
    session = world.session(world.skill(), XLSX)
    at = "/workspace/skills/reports"
    assert "description: Writes reports." in world.bash(session, f"cat {at}/SKILL.md")
    assert "Excel" in world.bash(session, "cat /workspace/skills/xlsx/SKILL.md")
    world.bash(session, f"echo x > {at}/SKILL.md; echo x > {at}/more; rm -rf {at}; rm -rf skills")
    assert "Writes reports." in world.bash(session, f"cat {at}/SKILL.md")
    # What is beside it is still the agent's.
    assert world.bash(session, "echo mine > note && cat note") == "mine"


def test_scripts_of_a_skill_run(world: World) -> None:
    if isinstance(world.model, Listening) and "scripted" in str(world._sandboxes):
        pytest.skip("runs no programs")
    session = world.session(world.skill())
    assert world.bash(session, "skills/reports/scripts/run.sh 7") == "ran with 7"


def test_the_model_is_told_the_same_each_time(world: World) -> None:
    skill = world.skill(description="Writes <reports> &\n more.")
    session = world.session(skill, XLSX)
    world.bash(session, "true")
    world.stop()
    world.start()
    world.bash(session, "true")
    systems = world.model.systems
    assert len(systems) == 4
    assert all(system == systems[0] for system in systems)
    own, environment, skills = systems[0]
    assert (own, environment[:17]) == ("You help.", "You have been inv")
    assert skills.startswith("# Skills usage policy\n")
    _, _, block = skills.partition("<available_skills>\n")
    assert block == (
        "<skill>\n<name>reports</name>\n"
        "<description>Writes &lt;reports&gt; &amp; more.</description>\n"
        "<location>/workspace/skills/reports/</location>\n</skill>\n"
        f"<skill>\n<name>xlsx</name>\n<description>{catalog()['xlsx'].description}</description>\n"
        "<location>/workspace/skills/xlsx/</location>\n</skill>\n</available_skills>"
    )


def test_a_session_keeps_the_version_that_it_began_with(world: World) -> None:
    skill = world.skill(text="one")
    session = world.session(skill)
    assert world.sdk.beta.sessions.retrieve(session).agent.skills[0].version == "latest"
    world.sdk.beta.skills.versions.create(skill.id, files=folder(text="two"))
    read = "tail -1 /workspace/skills/reports/SKILL.md"
    assert world.bash(session, read) == "one"
    world.stop()
    world.start()
    assert world.bash(session, read) == "one"
    agent = world.sdk.beta.sessions.retrieve(session).agent.id
    later = world.sdk.beta.sessions.create(agent=agent, environment_id=world.environment())
    assert world.bash(later.id, read) == "two"


def test_a_version_can_be_named(quick: World) -> None:
    skill = quick.skill(text="one")
    first = skill.latest_version_id
    quick.sdk.beta.skills.versions.create(skill.id, files=folder(text="two"))
    session = quick.session(custom(skill.id, version=first))
    assert quick.sdk.beta.sessions.retrieve(session).agent.skills[0].version == first
    assert quick.bash(session, "tail -1 /workspace/skills/reports/SKILL.md") == "one"


def test_two_skills_of_one_name_have_a_folder_each(quick: World) -> None:
    session = quick.session(quick.skill(text="one"), quick.skill(text="two"))
    command = "tail -1 skills/reports/SKILL.md; tail -1 skills/reports-2/SKILL.md"
    assert quick.bash(session, command).split() == ["one", "two"]


def test_an_agent_without_skills_has_no_block_and_no_folder(quick: World) -> None:
    session = quick.session()
    assert "No such file" in quick.bash(session, "ls /workspace/skills")
    assert len(quick.model.systems[0]) == 2


class TestGoneSkills:
    def test_no_session_begins_without_them(self, quick: World) -> None:
        skill = quick.skill()
        agent = quick.agent(skill)
        quick.sdk.beta.skills.delete(skill.id)
        body = {"agent": agent.id, "environment_id": quick.environment()}
        problem = f"Agent has invalid configuration: `skill_id` `{skill.id}` not found"
        refused(quick.http.post("/v1/sessions", json=body), 400, problem)
        changed = {"type": "agent_with_overrides", "id": agent.id, "skills": []}
        answer = quick.http.post("/v1/sessions", json={**body, "agent": changed})
        assert (answer.status_code, answer.json()["agent"]["skills"]) == (200, [])

    def test_nor_without_the_version(self, quick: World) -> None:
        skill = quick.skill()
        gone = skill.latest_version_id
        agent = quick.agent(custom(skill.id, version=gone))
        quick.sdk.beta.skills.versions.create(skill.id, files=folder(text="two"))
        quick.sdk.beta.skills.versions.delete(gone, skill_id=skill.id)
        body = {"agent": agent.id, "environment_id": quick.environment()}
        problem = (
            f"Agent has invalid configuration: `skill_id` `{skill.id}` version `{gone}` not found"
        )
        refused(quick.http.post("/v1/sessions", json=body), 400, problem)

    def test_overrides_are_held_to_the_same(self, quick: World) -> None:
        body = {"environment_id": quick.environment()}
        agent = {"type": "agent_with_overrides", "id": quick.agent().id}
        absent = "skill_011CZkZ1111111111111111q"
        answer = quick.http.post(
            "/v1/sessions", json={**body, "agent": {**agent, "skills": [custom(absent)]}}
        )
        problem = f"Agent has invalid configuration: `skill_id` `{absent}` not found"
        refused(answer, 400, problem)
        answer = quick.http.post(
            "/v1/sessions", json={**body, "agent": {**agent, "skills": [XLSX] * 21}}
        )
        assert answer.status_code == 400
        assert "must contain at most 20 items" in answer.json()["error"]["message"]

    def test_a_session_goes_on_without_them(self, quick: World) -> None:
        skill = quick.skill()
        session = quick.session(skill, XLSX)
        quick.bash(session, "true")
        quick.sdk.beta.skills.delete(skill.id)
        with pytest.raises(NotFoundError):
            quick.sdk.beta.skills.retrieve(skill.id)
        quick.stop()
        quick.start()
        assert quick.bash(session, "echo on") == "on"
        assert "<name>reports</name>" in quick.model.systems[0][-1]
        assert "<name>reports</name>" not in quick.model.systems[-1][-1]
        assert "<name>xlsx</name>" in quick.model.systems[-1][-1]


def test_an_update_of_the_session_leaves_them_as_they_are(quick: World) -> None:
    skill = quick.skill(text="one")
    session = quick.session(skill)
    quick.bash(session, "true")
    quick.sdk.beta.skills.versions.create(skill.id, files=folder(text="two"))
    quick.sdk.beta.sessions.update(session, agent={"tools": [TOOLSET]})
    changed = {
        "type": "custom",
        "name": "ask",
        "description": "d",
        "input_schema": {"type": "object"},
    }
    quick.sdk.beta.sessions.update(session, agent={"tools": [TOOLSET, changed]})
    assert quick.bash(session, "tail -1 /workspace/skills/reports/SKILL.md") == "one"
    assert quick.model.systems[0] == quick.model.systems[-1]
    answer = quick.http.post(f"/v1/sessions/{session}", json={"agent": {"skills": []}})
    refused(answer, 400, 'Failed to parse request body: unknown field "skills"')
    answer = quick.http.post(f"/v1/sessions/{session}", json={"agent": {"tools": []}})
    refused(answer, 400, "agent.skills: need the `read` tool enabled in `tools`")


def test_a_sandbox_that_takes_another_ones_place_has_them_too(tmp_path: Path) -> None:
    machines = ScriptedSandboxProvider()
    world = World(tmp_path, lambda: machines)
    try:
        session = world.session(world.skill(text="one"))
        read = "tail -1 /workspace/skills/reports/SKILL.md"
        assert world.bash(session, read) == "one"
        machines.lose(session)
        assert world.bash(session, read) == "one"
    finally:
        world.stop()


def test_where_nothing_can_be_kept_from_the_agent_the_session_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, lambda: ProcessSandboxProvider(tmp_path / "data", plain=True))
    try:
        body = {"agent": world.agent(XLSX).id, "environment_id": world.environment()}
        answer = world.http.post("/v1/sessions", json=body)
        assert answer.status_code == 400
        message = answer.json()["error"]["message"]
        assert message.startswith("agent: its skills (agent.skills) cannot be put into a sandbox")
        assert "install bubblewrap or use Docker" in message
        without = {"type": "agent_with_overrides", "id": body["agent"], "skills": []}
        answer = world.http.post("/v1/sessions", json={**body, "agent": without})
        assert answer.status_code == 200
    finally:
        world.end()


@pytest.mark.docker
def test_git_works_beside_skills(tmp_path: Path, docker_image: str) -> None:
    from freehold.sandbox.docker import DockerSandboxProvider

    owner = f"test-{tmp_path.name}"
    world = World(tmp_path, lambda: DockerSandboxProvider(owner=owner, image=docker_image))
    try:
        session = world.session(world.skill())
        command = "stat -c '%U %a' /workspace . skills; git init -q && git add -A && git status -s"
        said_ = world.bash(session, command).splitlines()
        assert said_[:3] == ["root 1777", "root 1777", "root 755"]
        assert said_[3:] == ["A  skills/reports/SKILL.md", "A  skills/reports/scripts/run.sh"]
    finally:
        world.end()


class TestRepositories:
    async def test_their_skills_are_told_of_behind_the_agents_own(self) -> None:
        def found(name: str, text: str) -> RepositorySkill:
            return RepositorySkill(f"/workspace/app/.claude/skills/{name}/SKILL.md", text.encode())

        class NoSkills:
            async def of_session(self, _: SessionSpec) -> list[Any]:
                return []

            async def files(self, *_: Any) -> list[Any]:
                return []

        async def listing(_: SessionSpec) -> Sequence[RepositorySkill]:
            return [
                found("release", "---\ndescription: Releases it.\n---\n"),
                found("broken", "no head at all"),
                found("lint", "---\nname: Linting\ndescription: Lints it.\n---\n"),
            ]

        furnisher = SkillFurnisher(NoSkills(), listing)
        text = await furnisher.describe(CLOUD)
        assert text is not None
        assert "broken" not in text
        lint = (
            "<skill>\n<name>Linting</name>\n<description>Lints it.</description>\n"
            "<location>/workspace/app/.claude/skills/lint/</location>\n</skill>\n"
        )
        assert lint in text
        assert text.index("<name>Linting</name>") < text.index("<name>release</name>")
        assert await SkillFurnisher(NoSkills()).describe(CLOUD) is None
