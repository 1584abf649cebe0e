"""Containers made ahead of the sessions: taken once, found again by their name, never left over."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from docker import DockerClient
from hypothesis import given
from hypothesis import strategies as st
from tests.docker_engine import MakeProvider, container_of, output, run, text_of
from tests.support.running import serve

from freehold.errors import SandboxUnavailable
from freehold.ports.sandbox import SandboxSpec
from freehold.sandbox.docker import DockerSandboxProvider, Limits
from freehold.sandbox.docker import pool as pooling
from freehold.sandbox.docker.container import Recipe
from freehold.sandbox.docker.engine import Engine
from freehold.sandbox.docker.names import (
    LABEL_OWNER,
    LABEL_POOL,
    LABEL_SESSION,
    container_name,
    is_pool_name,
    named_after,
    pool_name,
    session_of,
)
from freehold.sandbox.docker.opening import Opener

docker = pytest.mark.docker
ONE, TWO, THREE = SandboxSpec("sesn_one"), SandboxSpec("sesn_two"), SandboxSpec("sesn_three")
OWNER = "0123456789abcdef01234567"


# --- names


@given(st.text(max_size=100) | st.from_regex(r"(pool-|sesn_)?[A-Za-z0-9_.-]{1,90}", fullmatch=True))
def test_a_name_tells_its_session_or_the_label_must(session: str) -> None:
    name = container_name(OWNER, session)
    assert not is_pool_name(OWNER, name)
    if named_after(session):  # Only such a session is served from the pool.
        assert session_of(OWNER, name, {LABEL_POOL: "1"}) == session
    if session:
        assert session_of(OWNER, name, {LABEL_SESSION: session}) == session
    assert session_of(OWNER, name, {}) is None


@pytest.mark.parametrize(
    ("session", "plain"),
    [("sesn_01", True), ("a.b-c", True), ("pool-1", False), ("a/b", False), ("x" * 81, False)],
)
def test_which_ids_a_name_can_hold(session: str, plain: bool) -> None:
    assert named_after(session) is plain


def test_names_of_the_pool_are_new_and_nobodys() -> None:
    names = {pool_name(OWNER) for _ in range(100)}
    assert len(names) == 100
    for name in names:
        assert is_pool_name(OWNER, name)
        assert not is_pool_name("f" * 24, name)
        assert session_of(OWNER, name, {LABEL_POOL: "1"}) is None
    assert session_of(OWNER, "renamed-by-hand", {LABEL_POOL: "1"}) is None


# --- without an engine


@pytest_asyncio.fixture
async def engineless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[DockerSandboxProvider]:
    """A provider with a pool whose engine is not there."""
    monkeypatch.setattr(pooling, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(pooling, "LONGEST_PAUSE", 0.001)
    provider = DockerSandboxProvider(
        owner=OWNER, warm=2, engine=Engine(f"unix://{tmp_path}/none.sock")
    )
    yield provider
    await provider.close()


async def test_without_an_engine_the_pool_says_so_once_and_tries_on(
    engineless: DockerSandboxProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, pooling.__name__)
    await engineless.prepare()
    await until(lambda: len(caplog.records) > 3)
    assert [r.levelno for r in caplog.records[:4]] == [logging.WARNING, *[logging.DEBUG] * 3]
    assert "does not answer" in caplog.text
    with pytest.raises(SandboxUnavailable, match="does not answer"):
        await engineless.acquire(ONE)


class Failing:
    """Stands for what makes containers: fails for one reason after another."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self._reasons = iter(reasons)
        self.engine = self
        self.failed = 0

    def recipe(self) -> Recipe:
        return Recipe(OWNER, "image", Limits())

    async def run(self, call: Any) -> None:
        """Nothing was made that there would be to remove."""

    async def open(self, name: str, labels: Any) -> Any:
        self.failed += 1
        container = secrets.token_hex(32)
        reason = next(self._reasons).format(name=name, id=container, short=container[:12])
        raise SandboxUnavailable(reason)


async def test_the_pool_warns_of_each_reason_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Or an accident at the start would keep the true reason from the operator."""
    monkeypatch.setattr(pooling, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(pooling, "LONGEST_PAUSE", 0.001)
    caplog.set_level(logging.WARNING, pooling.__name__)
    network = "could not start {name} ({id}, {short}): there is no such network"
    opener = Failing(["timed out", *[network] * 3, "timed out", *["the disk is full"] * 1000])
    pool = pooling.Pool(cast("Opener", opener), 1)
    pool.start()
    await until(lambda: opener.failed > 8)
    await pool.close()
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 3
    for message, part in zip(told, ("timed out", "no such network", "disk is full"), strict=True):
        assert part in message


async def test_a_closed_pool_stays_empty(engineless: DockerSandboxProvider) -> None:
    await engineless.close()
    await engineless.prepare()
    assert engineless.pool.ready == 0
    assert await engineless.pool.take("sesn_one") is None


# --- with one


async def until(condition: Any) -> None:
    """Wait for it, patiently."""
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.01)


async def filled(provider: DockerSandboxProvider, count: int = 1) -> DockerSandboxProvider:
    """The provider, with as many containers ready."""
    await provider.prepare()
    await until(lambda: provider.pool.ready == count)
    return provider


def containers(client: DockerClient, owner: str) -> dict[str, Any]:
    """The owner's containers by name."""
    found = client.containers.list(all=True, filters={"label": f"{LABEL_OWNER}={owner}"})
    return {container.name: container for container in found}


@pytest.fixture
def no_refill(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken from the pool is not replaced while the test lasts."""
    monkeypatch.setattr(pooling, "QUIET", 600.0)
    monkeypatch.setattr(pooling, "LONGEST_QUIET", 600.0)


@docker
@pytest.mark.usefixtures("no_refill")
async def test_a_session_gets_the_container_that_is_ready_as_hard_as_any(
    make_docker_provider: MakeProvider, docker_client: DockerClient
) -> None:
    provider = await filled(make_docker_provider(warm=1))
    ((pooled, waiting),) = containers(docker_client, provider.owner).items()
    assert is_pool_name(provider.owner, pooled)
    assert LABEL_SESSION not in waiting.labels
    sandbox = await provider.acquire(ONE)
    assert container_of(docker_client, sandbox).id == waiting.id
    assert await provider.acquire(ONE) is sandbox
    assert await output(sandbox, "pwd; ls; hostname") == "/workspace\nsandbox"
    taken = container_of(docker_client, sandbox)
    assert taken.name == container_name(provider.owner, ONE.session_id)
    other = container_of(docker_client, await provider.acquire(TWO))
    assert other.labels[LABEL_SESSION] == TWO.session_id  # None was ready: made for it.
    # Apart from who is who, the engine has been told the same about both.
    for part, own in (("HostConfig", set()), ("Config", {"Labels"})):
        asked = [
            {k: v for k, v in container.attrs[part].items() if k not in own}
            for container in (taken, other)
        ]
        assert asked[0] == asked[1]
    assert taken.attrs["HostConfig"]["CapDrop"] == ["ALL"]


@docker
async def test_the_pool_fills_again_and_gives_each_session_its_own(
    make_docker_provider: MakeProvider,
    docker_client: DockerClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pooling, "QUIET", 0.0)
    provider = await filled(make_docker_provider(warm=1))
    one = await provider.acquire(ONE)
    await output(one, "echo secret > note; export A=b")
    await until(lambda: provider.pool.ready == 1)
    assert len(containers(docker_client, provider.owner)) == 2
    two = await provider.acquire(TWO)
    assert LABEL_POOL in container_of(docker_client, two).labels
    assert two.identity != one.identity
    assert await output(two, "ls; echo $A") == "(no output)"


@docker
@pytest.mark.usefixtures("no_refill")
async def test_sessions_that_begin_at_once_share_nothing(
    make_docker_provider: MakeProvider, docker_client: DockerClient
) -> None:
    provider = await filled(make_docker_provider(warm=1))
    specs = [SandboxSpec(f"sesn_{n}") for n in range(4)]
    sandboxes = await asyncio.gather(*(provider.acquire(spec) for spec in [*specs, *specs]))
    assert sandboxes[:4] == sandboxes[4:]
    assert len({sandbox.identity for sandbox in sandboxes}) == 4
    found = containers(docker_client, provider.owner)
    assert set(found) == {container_name(provider.owner, spec.session_id) for spec in specs}
    assert len([c for c in found.values() if LABEL_POOL in c.labels]) == 1


@docker
@pytest.mark.usefixtures("no_refill")
async def test_a_restarted_server_finds_the_container_its_journal_and_its_leftovers(
    make_docker_provider: MakeProvider, docker_client: DockerClient
) -> None:
    first = await filled(make_docker_provider(warm=2), 2)
    sandbox = await first.acquire(ONE)
    assert text_of(await run(sandbox, "echo once | tee -a log", "toolu_1")) == "once"
    # The first is not closed: it died, and left a container that no session has.
    second = make_docker_provider(warm=1)
    assert len(containers(docker_client, first.owner)) == 2
    assert await second.sweep({ONE.session_id}) == []
    assert set(containers(docker_client, first.owner)) == {
        container_name(first.owner, ONE.session_id)
    }
    await filled(second)
    again = await second.acquire(ONE)
    assert again.identity == sandbox.identity
    assert text_of(await run(again, "echo once | tee -a log", "toolu_1")) == "once"
    assert await output(again, "cat log") == "once"
    # It had one already, so the one that was ready still is.
    assert second.pool.ready == 1
    assert await output(await second.acquire(TWO), "ls") == "(no output)"
    assert second.pool.ready == 0


@docker
@pytest.mark.usefixtures("no_refill")
async def test_a_sweep_knows_containers_by_name_and_leaves_its_own_pool_alone(
    make_docker_provider: MakeProvider, docker_client: DockerClient
) -> None:
    provider = await filled(make_docker_provider(warm=3), 3)
    for spec in (ONE, TWO):
        await provider.acquire(spec)
    odd = SandboxSpec("odd one")
    labels = container_of(docker_client, await provider.acquire(odd)).labels
    assert labels[LABEL_SESSION] == odd.session_id  # Its name could not tell.
    assert await provider.sweep({TWO.session_id}) == [odd.session_id, ONE.session_id]
    assert provider.pool.ready == 1
    left = containers(docker_client, provider.owner)
    assert len(left) == 2
    assert container_name(provider.owner, TWO.session_id) in left
    await provider.remove(TWO.session_id)
    third = await provider.acquire(THREE)
    assert await output(third, "echo works") == "works"
    assert len(containers(docker_client, provider.owner)) == 1


@docker
@pytest.mark.usefixtures("no_refill")
@pytest.mark.parametrize("how", ["killed", "removed", "paused"])
async def test_a_container_that_died_waiting_is_replaced(
    make_docker_provider: MakeProvider,
    docker_client: DockerClient,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    monkeypatch.setattr(pooling, "PING_TIMEOUT", 0.2)
    provider = await filled(make_docker_provider(warm=1))
    ((name, waiting),) = containers(docker_client, provider.owner).items()
    match how:
        case "killed":
            waiting.kill()
        case "removed":
            waiting.remove(force=True)
        case "paused":
            waiting.pause()
    sandbox = await provider.acquire(ONE)
    assert await output(sandbox, "echo works") == "works"
    assert container_of(docker_client, sandbox).id != waiting.id
    await provider.close()
    assert name not in containers(docker_client, provider.owner)


@docker
@pytest.mark.usefixtures("no_refill")
async def test_a_container_of_yesterdays_image_is_not_used(
    make_docker_provider: MakeProvider, docker_client: DockerClient, docker_image: str
) -> None:
    tag = f"freehold-test:{secrets.token_hex(6)}"
    image = docker_client.images.get(docker_image)
    image.tag(tag)
    try:
        provider = await filled(make_docker_provider(image=tag, warm=1))
        seed = docker_client.containers.create(docker_image, ["true"])
        try:
            seed.commit(*tag.split(":"))
        finally:
            seed.remove()
        fresh = docker_client.images.get(tag).id
        assert fresh != image.id
        sandbox = await provider.acquire(ONE)
        assert container_of(docker_client, sandbox).attrs["Image"] == fresh
        await provider.close()
        await provider.remove(ONE.session_id)
    finally:
        docker_client.images.remove(tag, force=True)


@docker
async def test_closing_leaves_no_container_without_a_session(
    make_docker_provider: MakeProvider, docker_client: DockerClient
) -> None:
    provider = await filled(make_docker_provider(warm=2), 2)
    await provider.acquire(ONE)
    await provider.close()
    assert set(containers(docker_client, provider.owner)) == {
        container_name(provider.owner, ONE.session_id)
    }


@docker
async def test_closing_while_the_first_is_made_leaves_none(
    make_docker_provider: MakeProvider, docker_client: DockerClient
) -> None:
    provider = make_docker_provider(warm=1)
    await provider.prepare()
    await asyncio.sleep(0.02)  # The engine is at work.
    await provider.close()
    assert containers(docker_client, provider.owner) == {}


@docker
async def test_without_a_pool_nothing_is_made_ahead(
    make_docker_provider: MakeProvider, docker_client: DockerClient
) -> None:
    provider = make_docker_provider(warm=0)
    await provider.prepare()
    await provider.acquire(ONE)
    (container,) = containers(docker_client, provider.owner).values()
    assert LABEL_POOL not in container.labels


@docker
async def test_what_cannot_be_made_leaves_nothing_and_sessions_hear_why(
    make_docker_provider: MakeProvider,
    docker_client: DockerClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider = make_docker_provider(warm=1, limits=Limits(network="no-such-network"))
    await provider.prepare()
    await until(lambda: "FREEHOLD_SANDBOX_NETWORK" in caplog.text)
    assert containers(docker_client, provider.owner) == {}
    with pytest.raises(SandboxUnavailable, match="FREEHOLD_SANDBOX_NETWORK"):
        await provider.acquire(ONE)


@docker
def test_a_server_makes_one_ahead_and_takes_it_away_again(
    docker_client: DockerClient, docker_image: str, tmp_path: Path
) -> None:
    with serve(
        tmp_path / "data", sandbox="docker", sandbox_image=docker_image, sandbox_warm=1
    ) as served:
        provider = served.app.state.sandboxes
        deadline = time.monotonic() + 120
        while not provider.pool.ready:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert len(containers(docker_client, provider.owner)) == 1
    assert containers(docker_client, provider.owner) == {}
