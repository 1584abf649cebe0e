"""Repositories in real sandboxes: checked out by the git inside, as the agent's own files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.docker_engine import output
from tests.support.certificates import Authority
from tests.support.git_server import GitServer

from freehold import tls
from freehold.core.addresses import parse_network
from freehold.errors import SandboxLost, SecretUnreadable
from freehold.git import GitCache, GitNetwork
from freehold.harness.repositories import (
    RepositoryFurnisher,
    RepositoryGrants,
    RepositorySkillFinder,
)
from freehold.harness.repository_fetching import RepositoryFetching
from freehold.ports.log import SessionSpec
from freehold.ports.sandbox import Sandbox, SandboxProvider, SandboxSpec
from freehold.ports.skills import RepositorySkill
from freehold.sandbox.process import ProcessSandboxProvider, bubblewrap_works
from freehold.sandbox.scripted import ScriptedSandboxProvider
from freehold.store.database import Database
from freehold.store.repository_skills import SqlRepositorySkills

TOKEN = "tok-canary-4711"
LOOPBACK = parse_network("127.0.0.0/8")


class Tokens:
    def __init__(self) -> None:
        self.of: dict[str, str] = {}
        self.locked = False

    async def tokens(self, _: str) -> Mapping[str, str]:
        if self.locked:
            raise SecretUnreadable("the secret of sesrsc_1 was sealed with another key")
        return dict(self.of)


class World:
    """A git host, the furnisher, and sandboxes to try it in."""

    def __init__(self, host: GitServer, cache: GitCache, provider: SandboxProvider) -> None:
        self.host, self.provider, self.tokens = host, provider, Tokens()
        self.furnisher = RepositoryFurnisher(
            cache, self.tokens, RepositoryFetching(cache, pauses=())
        )
        self._count = 0

    def spec(self, *mounts: dict[str, Any], session: str = "sesn_1") -> SessionSpec:
        return SessionSpec(
            session_id=session,
            workspace_id="w1",
            primary_thread_id="sthr_1",
            agent={},
            environment_id="env_1",
            environment={},
            created_at=datetime(2026, 11, 22, tzinfo=UTC),
            resources=({"type": "file"}, *mounts),
        )

    def mount(self, name: str, token: str | None = TOKEN, **fields: Any) -> dict[str, Any]:
        self._count += 1
        made = {
            "id": f"sesrsc_{self._count}",
            "type": "github_repository",
            "url": self.host.url(name),
            "mount_path": f"/workspace/{name.split('/')[1]}",
            "checkout": None,
            **fields,
        }
        if token is not None:
            self.tokens.of[made["id"]] = token
        return made

    async def sandbox(self, spec: SessionSpec) -> Sandbox:
        roots = tuple(await self.furnisher.roots(spec))
        return await self.provider.acquire(SandboxSpec(spec.session_id, roots=roots))

    async def furnish(
        self, spec: SessionSpec, sandbox: Sandbox, *, fresh: bool = True
    ) -> list[Any]:
        return list(await self.furnisher.furnish(spec, sandbox, fresh=fresh) or ())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "git")


@pytest.fixture
def host(authority: Authority, tmp_path: Path) -> Iterator[GitServer]:
    made = GitServer(tmp_path / "host")
    with made.serving(authority.certificate("localhost").context()):
        yield made


@pytest.fixture
def cache(authority: Authority, host: GitServer, tmp_path: Path) -> GitCache:
    trust = tls.context(authority.file)
    return GitCache(tmp_path / "git", GitNetwork([LOOPBACK]), tls=trust, hosts=[host.authority])


@pytest_asyncio.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
async def world(
    request: pytest.FixtureRequest, host: GitServer, cache: GitCache, tmp_path: Path
) -> AsyncIterator[World]:
    if request.param == "docker":
        from tests.docker_engine import providers

        image = request.getfixturevalue("docker_image")
        async with providers(image) as make:
            yield World(host, cache, make())
        return
    if not bubblewrap_works():
        pytest.skip("bubblewrap may not make a sandbox here")
    provider = ProcessSandboxProvider(tmp_path / "data")
    made = World(host, cache, provider)
    yield made
    await provider.sweep(())
    await provider.close()


async def test_the_agent_can_work_in_it(world: World) -> None:
    world.host.create("ada/engine", TOKEN)
    world.host.commit("ada/engine", {"src/run.sh": "echo hi\n", "link:there": "src/run.sh"})
    spec = world.spec(world.mount("ada/engine"))
    sandbox = await world.sandbox(spec)
    assert await world.furnish(spec, sandbox) == []
    # Asked again before any call: no harm.
    assert await world.furnish(spec, sandbox) == []
    told = await output(
        sandbox,
        "pwd; cd engine && git status -sb && cat there && stat -c %u . .git .git/config README.md"
        " | sort -u; id -u; git -c user.name=A -c user.email=a@b commit -qam x --allow-empty"
        " && git log --format=%s",
    )
    assert told.splitlines() == [
        *("/workspace", "## main...origin/main", "echo hi", "1000", "1000", "x", "change")
    ]
    url = world.host.url("ada/engine")
    told = await output(sandbox, "cd /workspace/engine && git remote -v && cat .git/config && env")
    assert f"origin\t{url} (fetch)" in told
    assert f"github\t{url} (push)" in told
    told = await output(sandbox, f"grep -rl {TOKEN} /workspace /home /tmp /etc 2>/dev/null; echo .")
    assert told.strip() == "."
    await world.provider.remove(spec.session_id)


async def test_what_was_restored_is_the_agents(world: World) -> None:
    """In a sandbox that takes the place of a lost one, no call was begun; its files came before."""
    world.host.create("ada/engine", TOKEN)
    world.host.create("ada/other", TOKEN)
    spec = world.spec(world.mount("ada/engine"), world.mount("ada/other"))
    sandbox = await world.sandbox(spec)
    assert await world.furnish(spec, sandbox) == []
    await output(
        sandbox,
        "cd engine && git checkout -qb side && echo mine > README.md && echo new > new &&"
        " git -c user.name=A -c user.email=a@b commit -qam work && echo more >> README.md;"
        " rm -rf ../other",
    )
    world.host.commit("ada/engine", {"later": "x"})
    assert await world.furnish(spec, sandbox) == []
    told = await output(
        sandbox, "cd /workspace/engine && git log -1 --format=%s && cat README.md && git status -sb"
    )
    assert told.splitlines() == ["work", "mine", "more", "## side", " M README.md", "?? new"]
    # A checkpoint may be from before there was one; and nobody can tell who removed it.
    assert await output(sandbox, "cat /workspace/other/README.md") == "# ada/other"
    await world.provider.remove(spec.session_id)


async def test_what_broke_off_half_way_is_done_again(world: World) -> None:
    world.host.create("ada/engine", TOKEN)
    spec = world.spec(world.mount("ada/engine"))
    sandbox = await world.sandbox(spec)
    place = sandbox.place
    for count in range(1, 12):

        async def breaking(files: Any, *, writable: bool = False, count: int = count) -> None:
            await place(list(files)[:count], writable=writable)
            raise SandboxLost("gone")

        sandbox.place = breaking  # type: ignore[method-assign]
        with pytest.raises(SandboxLost):
            await world.furnish(spec, sandbox)
    sandbox.place = place  # type: ignore[method-assign]
    assert await world.furnish(spec, sandbox) == []
    told = await output(sandbox, "cd engine && git status -sb && ls -A . && ls .git")
    assert told.splitlines()[:3] == ["## main...origin/main", ".git", "README.md"]
    assert "freehold" not in told
    await world.provider.remove(spec.session_id)


async def test_mounts_elsewhere_and_checkouts(world: World) -> None:
    world.host.create("ada/engine", TOKEN)
    old = world.host.head("ada/engine")
    world.host.commit("ada/engine", {"x": "y"}, branch="feature/one")
    branch, commit = {"type": "branch", "name": "feature/one"}, {"type": "commit", "sha": old[:9]}
    spec = world.spec(
        world.mount("ada/engine", checkout=branch, mount_path="/srv/it's here"),
        world.mount("ada/engine", checkout=commit, mount_path="/workspace/a/b"),
    )
    sandbox = await world.sandbox(spec)
    assert await world.furnish(spec, sandbox) == []
    told = await output(sandbox, 'cd "/srv/it\'s here" && git status -sb && touch new && ls')
    assert told.splitlines() == ["## feature/one...origin/feature/one", "new", "x"]
    told = await output(sandbox, "cd /workspace/a/b && git status -sb && git rev-parse HEAD && ls")
    assert told.splitlines() == ["## HEAD (no branch)", old, "README.md"]
    await world.provider.remove(spec.session_id)


async def test_hostile_trees_harm_nobody(world: World) -> None:
    for name, files in {
        "hooks": {".git/hooks/post-checkout": "#!/bin/sh\ntouch /tmp/owned\n"},
        "parent": {"../escaped": "x"},
        "link": {"link:a": "/tmp", "b": "x"},
        "modules": {".gitmodules": '[submodule "m"]\n\tpath = m\n\turl = file:///etc\n'},
        "filters": {".gitattributes": "* filter=evil\n*.bin filter=lfs\n", "a.bin": "version x"},
    }.items():
        world.host.create(f"eve/{name}", TOKEN)
        world.host.commit(f"eve/{name}", files)
    mounts = [world.mount(f"eve/{n}") for n in ("hooks", "parent", "link", "modules", "filters")]
    spec = world.spec(*mounts)
    sandbox = await world.sandbox(spec)
    errors = await world.furnish(spec, sandbox)
    assert [error["type"] for error in errors] == ["repository_checkout_error"] * 2
    assert [error["repository_url"] for error in errors] == [m["url"] for m in mounts[:2]]
    assert "invalid path" in errors[0]["message"]
    told = await output(
        sandbox,
        "ls /tmp/owned escaped hooks/.git/hooks 2>/dev/null; readlink link/a; cat filters/a.bin",
    )
    assert told.splitlines() == ["/tmp", "version x"]
    await world.provider.remove(spec.session_id)


async def test_what_fails_is_told_and_mended_by_another_token(world: World) -> None:
    world.host.create("ada/engine", TOKEN)
    world.host.create("ada/open")
    bad = world.mount("ada/engine", "wrong")
    spec = world.spec(bad, world.mount("ada/open", None), world.mount("ada/none", None))
    world.host.tokens["ada/none"] = None
    sandbox = await world.sandbox(spec)
    first, second = await world.furnish(spec, sandbox)
    assert first == {
        "type": "repository_authentication_error",
        "repository_url": bad["url"],
        "message": f"{bad['url']} does not accept the authorization_token",
        "retry_status": {"type": "retrying"},
    }
    assert second["type"] == "repository_not_found_error"
    assert (await output(sandbox, "ls")).split() == ["open"]
    await output(sandbox, "rm -rf open")
    world.tokens.of[bad["id"]] = TOKEN
    (again,) = await world.furnish(replace(spec), sandbox, fresh=False)
    assert again["type"] == "repository_not_found_error"
    # What the agent deleted is not put back; what it lacked is there now.
    assert (await output(sandbox, "ls")).split() == ["engine"]
    await world.provider.remove(spec.session_id)


async def test_a_token_that_cannot_be_opened(world: World) -> None:
    spec = world.spec(world.mount("ada/engine"))
    world.tokens.locked = True
    sandbox = await world.sandbox(spec)
    (error,) = await world.furnish(spec, sandbox)
    assert error["type"] == "repository_authentication_error"
    await world.provider.remove(spec.session_id)


async def test_sandboxes_without_git_or_walls_say_so(
    host: GitServer, cache: GitCache, tmp_path: Path
) -> None:
    host.create("ada/engine", TOKEN)
    plain = ProcessSandboxProvider(tmp_path / "plain", plain=True)
    for provider, kind in ((ScriptedSandboxProvider(), "checkout"), (plain, "clone")):
        world = World(host, cache, provider)
        spec = world.spec(world.mount("ada/engine"))
        sandbox = await world.sandbox(spec)
        (error,) = await world.furnish(spec, sandbox)
        assert error["type"] == f"repository_{kind}_error"
        await provider.remove(spec.session_id)
        await provider.close()


async def test_the_gate_is_told_of_the_newest_token(host: GitServer, cache: GitCache) -> None:
    world = World(host, cache, ScriptedSandboxProvider())
    mounts = [world.mount("ada/engine"), world.mount("ada/open", None), world.mount("ada/engine")]
    asked = RepositoryGrants(world.tokens, [host.authority])

    async def given() -> dict[str, str]:
        found = (await asked.grants(world.spec(*mounts))).injections
        place = {(one.scheme, one.host, one.port, one.header) for one in found}
        assert place == {("https", "localhost", host.port, "Authorization")}
        assert TOKEN not in repr(found)
        return {one.path: one.value for one in found}

    first = await given()
    assert set(first) == {
        f"/ada/{name}/{path}"
        for name in ("engine", "engine.git")
        for path in ("info/refs", "git-upload-pack", "git-receive-pack", "info/lfs")
    }
    assert set(first.values()) == {"Basic eC1hY2Nlc3MtdG9rZW46dG9rLWNhbmFyeS00NzEx"}
    world.tokens.of[mounts[0]["id"]] = "ada:new"
    assert set((await given()).values()) == {"Basic YWRhOm5ldw=="}
    assert (await asked.grants(world.spec())).injections == ()
    world.tokens.locked = True
    assert (await asked.grants(world.spec(*mounts))).injections == ()


async def test_skills_stay_what_they_were_at_the_start(
    host: GitServer, cache: GitCache, database: Database
) -> None:
    host.create("ada/engine", TOKEN)
    path = ".claude/skills/review/SKILL.md"
    host.commit("ada/engine", {path: "first"})
    world = World(host, cache, ScriptedSandboxProvider())
    bad = world.mount("ada/none", mount_path="/workspace/none")
    session = f"sesn_{host.port}"
    spec = world.spec(world.mount("ada/engine"), bad, session=session)
    found = RepositorySkillFinder(cache, world.tokens, SqlRepositorySkills(database))
    first = await found(spec)
    assert first == [RepositorySkill(f"/workspace/engine/{path}", b"first")]
    host.commit("ada/engine", {path: "second"})
    later = RepositorySkillFinder(cache, world.tokens, SqlRepositorySkills(database))
    assert await later(spec) == first
    assert await SqlRepositorySkills(database).keep(session, []) == first
    assert await found(world.spec(session="sesn_none")) == ()
    await found.close()
    slow = RepositorySkillFinder(cache, world.tokens, SqlRepositorySkills(database), patience=0)
    spec = world.spec(world.mount("ada/engine"), session=f"{session}b")
    assert await slow(spec) == []
    await slow.close()
    world.tokens.locked = True
    assert await found(world.spec(world.mount("ada/engine"), session=f"{session}c")) == []
