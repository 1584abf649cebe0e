"""Images with an environment's packages: built once, used from then on, removed when unused."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from docker import DockerClient
from tests.docker_engine import (
    MakeProvider,
    container_of,
    output,
    providers,
    with_stand_ins,
)
from tests.support.running import serve

from freehold.core.packages import Packages
from freehold.errors import SandboxUnavailable
from freehold.ports.sandbox import SandboxSpec
from freehold.sandbox.docker import DockerSandboxProvider
from freehold.sandbox.docker import pool as pooling
from freehold.sandbox.docker.names import LABEL_POOL
from freehold.sandbox.docker.packages import build as package_build
from freehold.sandbox.docker.packages import images as package_images
from freehold.sandbox.docker.packages.images import PackageImage, present
from freehold.sandbox.docker.pools import Kind

pytestmark = pytest.mark.docker

ONE_OF_EACH = {"apt": ["hello"], "npm": ["is-odd@3.0.1"], "pip": ["six==1.16.0"]}
SMALL = {"pip": ["six==1.16.0"]}


@pytest.fixture(autouse=True)
def an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image of another test is at hand: how the network is reached is part of a build."""
    monkeypatch.setenv("NO_PROXY", f"{secrets.token_hex(6)}.invalid")


@pytest_asyncio.fixture
async def make(docker_image: str, docker_client: DockerClient) -> AsyncIterator[MakeProvider]:
    """Makes providers; in the end their containers and their package images go."""
    owner = ""
    async with providers(docker_image) as maker:
        owner = maker().owner
        yield maker
    for image in images(docker_client, owner):
        docker_client.images.remove(image.tag, force=True)


def spec(session: str, packages: dict[str, list[str]]) -> SandboxSpec:
    config = {"type": "cloud", "networking": {"type": "unrestricted"}, "packages": packages}
    return SandboxSpec(f"sesn_{session}", config)


def images(client: DockerClient, owner: str) -> list[PackageImage]:
    return [image for image in present(client) if image.owner == owner]


def builds(caplog: pytest.LogCaptureFixture) -> int:
    return sum("building (" in record.getMessage() for record in caplog.records)


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "freehold.sandbox.docker")


async def test_one_package_of_each_kind_is_there_and_nothing_else(
    make: MakeProvider,
    docker_client: DockerClient,
    docker_image: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider = make()
    assert provider.installs_packages
    sandbox = await provider.acquire(spec("one", ONE_OF_EACH))
    assert await output(sandbox, "hello; id --user") == "Hello, world!\n1000"
    assert await output(sandbox, "python -c 'import six; print(six.__version__)'") == "1.16.0"
    odd = "node -p 'require(\"/home/agent/.npm-global/lib/node_modules/is-odd\")(3)'"
    assert await output(sandbox, odd) == "true"
    # What the build brought along has gone with it, and no file gives another user's rights.
    assert await output(sandbox, "find / -xdev -type f -perm /6000 2>&-; ls /opt /tmp") == (
        "/opt:\nfreehold\n\n/tmp:"
    )
    assert await output(sandbox, "find ~ ! -user agent; ls -d ~/.npm ~/.cache 2>&-; :") == (
        "(no output)"
    )
    # In order, and told.
    said = [r.getMessage() for r in caplog.records if " done in " in r.getMessage()]
    assert [m for m in ("apt", "npm", "pip") if any(f"install {m} done" in s for s in said)] == [
        "apt",
        "npm",
        "pip",
    ]
    positions = [
        next(i for i, s in enumerate(said) if f"install {m} done" in s)
        for m in ("apt", "npm", "pip")
    ]
    assert positions == sorted(positions)
    # The image is the base but for the packages: the variables of the build are not in it.
    (built,) = images(docker_client, provider.owner)
    made, base = docker_client.images.get(built.tag), docker_client.images.get(docker_image)
    assert made.attrs["Config"]["Env"] == base.attrs["Config"]["Env"]
    assert made.attrs["Config"]["User"] == "1000:1000"
    assert not made.attrs["Config"]["Entrypoint"]
    assert made.attrs["Config"]["Cmd"] == ["bash"]
    assert built.packages == str(Packages.of({"packages": ONE_OF_EACH}))
    findings = {finding.name: finding for finding in await provider.check()}
    assert built.tag in findings["packages"].detail


async def test_the_second_session_starts_from_the_image(
    make: MakeProvider, caplog: pytest.LogCaptureFixture, docker_client: DockerClient
) -> None:
    first = make()
    await first.acquire(spec("one", SMALL))
    assert builds(caplog) == 1
    two = await first.acquire(spec("two", {"pip": ["six==1.16.0", "six==1.16.0"], "apt": []}))
    # Another server, later.
    three = await make().acquire(spec("three", SMALL))
    assert builds(caplog) == 1
    for sandbox in (two, three):
        assert await output(sandbox, "python -c 'import six; print(1)'") == "1"
    plain = await first.acquire(SandboxSpec("sesn_plain"))
    assert "ModuleNotFoundError" in await output(plain, "python -c 'import six'")
    assert len(images(docker_client, first.owner)) == 1


async def test_sessions_and_servers_that_begin_at_once_build_once(
    make: MakeProvider, caplog: pytest.LogCaptureFixture, docker_client: DockerClient
) -> None:
    servers = [make(), make()]
    sandboxes = await asyncio.gather(
        *(servers[n % 2].acquire(spec(str(n), SMALL)) for n in range(4))
    )
    assert builds(caplog) == 1
    assert len({container_of(docker_client, s).attrs["Image"] for s in sandboxes}) == 1
    assert "another server builds them" in caplog.text


@pytest.mark.parametrize(
    ("manager", "package", "words"),
    [
        ("pip", "six==99.9", "No matching distribution found"),
        ("apt", "no-such-package", "Unable to locate package"),
        ("npm", "is-odd@999.0.0", "No matching version found"),
    ],
)
async def test_a_failure_is_told_in_the_manager_s_own_words(
    make: MakeProvider, caplog: pytest.LogCaptureFixture, manager: str, package: str, words: str
) -> None:
    provider = make()
    with pytest.raises(SandboxUnavailable, match=words) as failed:
        await provider.acquire(spec("one", {manager: [package]}))
    assert str(failed.value).startswith(f"config.packages.{manager}: ")
    # Asked again at once, the same is said without another build.
    with pytest.raises(SandboxUnavailable, match=words):
        await provider.acquire(spec("one", {manager: [package]}))
    assert builds(caplog) == 1
    client = provider._engine.client()
    assert images(client, provider.owner) == []
    assert [c for c in building(client) if is_of(c, provider.owner)] == []


def building(client: DockerClient) -> list[Any]:
    """The containers in which packages are being installed."""
    named = {"name": package_build.REPOSITORY}
    return list(client.containers.list(all=True, filters=named, ignore_removed=True))


def is_of(container: Any, owner: str) -> bool:
    return bool(container.labels[package_build.LABEL_OWNER] == owner)


async def until(condition: Any) -> None:
    async with asyncio.timeout(120):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.05)


BUILDER = """
import asyncio, sys
from freehold.sandbox.docker import DockerSandboxProvider
from freehold.ports.sandbox import SandboxSpec
spec = SandboxSpec("sesn_one", {"packages": {"pip": ["six==1.16.0"], "apt": ["hello"]}})
asyncio.run(DockerSandboxProvider(owner=sys.argv[1], image=sys.argv[2]).acquire(spec))
"""


async def test_a_builder_that_is_killed_leaves_nothing_and_the_next_one_builds(
    make: MakeProvider, docker_client: DockerClient, docker_image: str
) -> None:
    provider = make()

    def ours() -> list[Any]:
        return [c for c in building(docker_client) if is_of(c, provider.owner)]

    with subprocess.Popen(
        [sys.executable, "-c", BUILDER, provider.owner, docker_image],
        env={**os.environ, "PYTHONPATH": "server"},
    ) as builder:
        await until(lambda: any(c.status == "running" for c in ours()))
        builder.send_signal(signal.SIGKILL)
    await until(lambda: not ours())
    assert images(docker_client, provider.owner) == []
    sandbox = await provider.acquire(spec("one", {"pip": ["six==1.16.0"], "apt": ["hello"]}))
    assert await output(sandbox, "hello") == "Hello, world!"


async def test_closing_ends_a_build_at_once(
    make: MakeProvider, docker_client: DockerClient
) -> None:
    provider = make()
    asking = asyncio.create_task(provider.acquire(spec("one", ONE_OF_EACH)))
    await until(
        lambda: any(
            is_of(c, provider.owner) and c.status == "running" for c in building(docker_client)
        )
    )
    findings = {finding.name: finding for finding in await provider.check()}
    assert f"UTC: {Packages.of({'packages': ONE_OF_EACH})}" in findings["packages"].detail
    await provider.close()
    with pytest.raises(SandboxUnavailable, match="being stopped"):
        await asking
    assert images(docker_client, provider.owner) == []


async def test_a_session_keeps_its_container_when_its_image_is_another(
    make: MakeProvider, docker_client: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = make()
    sandbox = await provider.acquire(spec("one", SMALL))
    await output(sandbox, "echo kept > note")
    await provider.close()
    # The host now reaches the registries in another way, so today's image would be another.
    monkeypatch.setenv("NO_PROXY", "elsewhere.invalid")
    again = await make().acquire(spec("one", SMALL))
    assert again.identity == sandbox.identity
    assert await output(again, "cat note") == "kept"
    assert len(images(docker_client, provider.owner)) == 1


async def test_unused_images_are_removed_by_the_rule(
    make: MakeProvider, docker_client: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_images, "YOUNG", timedelta(0))
    keeping, forgetting = make(), make(keep_packages=timedelta(0))
    await keeping.acquire(spec("one", SMALL))
    (image,) = images(docker_client, keeping.owner)
    assert await forgetting.packages.sweep() == []  # A container uses it.
    await keeping.remove("sesn_one")
    assert await keeping.packages.sweep() == []  # A session asked for it lately.
    other = DockerSandboxProvider(
        owner="another-owner", image=keeping._image, keep_packages=timedelta(0)
    )
    assert await other.packages.sweep() == []  # It is not that installation's.
    await other.close()
    assert await forgetting.packages.sweep() == [image.packages]
    assert images(docker_client, keeping.owner) == []


async def test_asking_for_an_image_is_using_it(
    make: MakeProvider, docker_client: DockerClient
) -> None:
    provider = make()
    await provider.packages.ensure(Packages.of({"packages": SMALL}))
    (first,) = images(docker_client, provider.owner)
    await provider.packages.ensure(Packages.of({"packages": SMALL}))
    (second,) = images(docker_client, provider.owner)
    assert second.used > first.used


async def test_a_packaged_session_is_served_from_a_pool_of_its_image(
    make: MakeProvider, docker_client: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooling, "QUIET", 0.0)
    provider = make(warm=1)
    await provider.prepare()
    await provider.acquire(spec("one", SMALL))
    image = await provider.packages.ensure(Packages.of({"packages": SMALL}))
    pool = provider.sources.pools.of(Kind(image, gated=False))
    await until(lambda: pool.ready == 1 and provider.pool.ready == 1)
    assert await provider.sweep({"sesn_one"}) == []  # Neither pool's containers are orphans.
    two = await provider.acquire(spec("two", SMALL))
    taken = container_of(docker_client, two)
    assert LABEL_POOL in taken.labels
    assert taken.attrs["Image"] == docker_client.images.get(image).id
    assert await output(two, "python -c 'import six; print(1)'") == "1"
    await provider.close()
    owned = f"dev.freehold.owner={provider.owner}"
    names = {c.name for c in docker_client.containers.list(all=True, filters={"label": owned})}
    assert len(names) == 2


@pytest.fixture
def image_with_stand_ins(docker_client: DockerClient, docker_image: str) -> Iterator[str]:
    with with_stand_ins(docker_client, docker_image) as tag:
        yield tag


async def test_cargo_gem_and_go_are_started_in_their_order_as_the_agent(
    image_with_stand_ins: str, make: MakeProvider
) -> None:
    packages = {
        "go": ["example.com/tool@v1.2.3"],
        "gem": ["rake:13.0.0", "$(touch ~/pwned)"],
        "cargo": ["ripgrep@14.0.0"],
    }
    provider = make(image=image_with_stand_ins)
    sandbox = await provider.acquire(spec("one", packages))
    assert await output(sandbox, "cat ~/started; ls ~/pwned 2>&-; :") == (
        "cargo as agent in /home/agent:\n"
        " <install> <--version> <14.0.0> <--> <ripgrep>\n"
        "gem as agent in /home/agent:\n"
        " <install> <--no-document> <$(touch ~/pwned)> <rake:13.0.0>\n"
        "go as agent in /home/agent:\n"
        " <install> <example.com/tool@v1.2.3>"
    )
    await provider.close()
    await provider.remove("sesn_one")


def test_a_client_s_session_has_its_packages_or_hears_why(
    docker_client: DockerClient, docker_image: str, tmp_path: Path
) -> None:
    with serve(tmp_path / "data", sandbox="docker", sandbox_image=docker_image) as served:
        client = served.client()
        agent = client.beta.agents.create(
            name="A", model="m", tools=[{"type": "agent_toolset_20260401"}]
        )

        def events_of(packages: dict[str, list[str]], command: str) -> list[Any]:
            environment = client.beta.environments.create(
                name="E", config={"type": "cloud", "packages": packages}
            )
            text = {"type": "text", "text": f"/run {command}"}
            session = client.beta.sessions.create(
                agent=agent.id,
                environment_id=environment.id,
                initial_events=[{"type": "user.message", "content": [text]}],
            )
            deadline = time.monotonic() + 200
            while client.beta.sessions.retrieve(session.id).status != "idle":
                assert time.monotonic() < deadline
                time.sleep(0.1)
            return list(client.beta.sessions.events.list(session.id, order="asc"))

        said = events_of(SMALL, "python -c 'import six; print(six.__version__)'")
        (result,) = [event for event in said if event.type == "agent.tool_result"]
        assert (result.is_error, result.content[0].text) == (False, "1.16.0")
        said = events_of({"pip": ["six==99.9"]}, "true")
        (error,) = [event for event in said if event.type == "session.error"]
        assert error.error.type == "unknown_error"
        assert error.error.retry_status.type == "exhausted"
        assert error.error.message.startswith("config.packages.pip: ")
        assert "No matching distribution found for six==99.9" in error.error.message
        owner = served.app.state.sandboxes.owner
    for image in images(docker_client, owner):
        for container in docker_client.containers.list(all=True, filters={"ancestor": image.tag}):
            container.remove(force=True)
        docker_client.images.remove(image.tag, force=True)


async def test_the_build_network_is_never_the_host_s() -> None:
    from freehold.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="FREEHOLD_SANDBOX_BUILD_NETWORK"):
        DockerSandboxProvider(owner="x", build_network="host")
