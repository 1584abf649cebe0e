"""A container that the engine can never start again: its session goes on with its files.

An engine that was killed while it started a container may say for ever that there is one already.
Here its answer alone is made up; ``test_engine_killed`` kills engines.
"""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from docker import DockerClient
from docker.api import APIClient
from docker.errors import APIError
from tests.docker_engine import MakeProvider, output

from freehold.errors import SandboxUnavailable
from freehold.ports.sandbox import SandboxSpec
from freehold.sandbox.docker import DockerSandboxProvider
from freehold.sandbox.docker.names import LABEL_OWNER, LABEL_RESCUED, container_name
from freehold.sandbox.docker.rescue import is_left_over

ONE = "1" * 64
TASK = "task %s: already exists"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"task {ONE}: already exists: unknown", True),
        (f'container "{ONE}": already exists', True),
        (f"OCI runtime create failed: container with id exists: {ONE}: unknown", True),
        (
            "failed to create task for container: failed to start shim: mkdir "
            f"/run/containerd/io.containerd.runtime.v2.task/moby/{ONE}: file exists",
            True,
        ),
        ("runc create failed: container with given ID already exists: unknown", True),
        ("Conflict: id already in use", True),
        (f"task {'2' * 64}: already exists", False),
        ("endpoint with name freehold-1-sesn_1 already exists in network bridge", False),
        (f"write /var/lib/docker/containers/{ONE}/.tmp: no space left on device", False),
        ("unknown or invalid runtime name: runsc", False),
    ],
)
def test_what_is_left_of_an_earlier_start(text: str, left: bool) -> None:
    assert is_left_over(APIError("500", explanation=text), ONE) is left


class Stuck:
    """The ids of containers that cannot be started, and how often it was tried."""

    def __init__(self) -> None:
        self.text = TASK
        self.tried: dict[str, int] = {}


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Stuck:
    """The engine's answer to the start of some containers."""
    state, start = Stuck(), APIClient.start

    def refuse(self: APIClient, container: str, *arguments: Any, **options: Any) -> Any:
        if container in state.tried:
            state.tried[container] += 1
            raise APIError("500 Server Error", explanation=state.text % container)
        return start(self, container, *arguments, **options)

    monkeypatch.setattr(APIClient, "start", refuse)
    return state


@pytest.fixture
def provider(make_docker_provider: MakeProvider) -> DockerSandboxProvider:
    return make_docker_provider()


@pytest.fixture
def spec() -> SandboxSpec:
    return SandboxSpec(f"sesn_{secrets.token_hex(6)}")


def rescued(client: DockerClient, provider: DockerSandboxProvider) -> list[Any]:
    """The images of kept files."""
    label = [f"{LABEL_OWNER}={provider.owner}", LABEL_RESCUED]
    return list(client.images.list(filters={"label": label}))


def own(client: DockerClient, provider: DockerSandboxProvider, spec: SandboxSpec) -> Any:
    """The session's container."""
    return client.containers.get(container_name(provider.owner, spec.session_id))


def names(client: DockerClient, provider: DockerSandboxProvider) -> list[str]:
    """Of all containers."""
    label = {"label": f"{LABEL_OWNER}={provider.owner}"}
    return [container.name for container in client.containers.list(all=True, filters=label)]


@pytest.mark.docker
async def test_the_session_goes_on_with_its_files(
    provider: DockerSandboxProvider, docker_client: DockerClient, stuck: Stuck, spec: SandboxSpec
) -> None:
    sandbox = await provider.acquire(spec)
    was = own(docker_client, provider, spec)
    identity, boot = sandbox.identity, sandbox.boot
    await output(sandbox, "echo line-0 > lines.txt; mkdir -m 700 own; ln -s lines.txt own/link")
    # It may happen to the one that took its place, too.
    for line in (1, 2):
        assert await provider.rest(spec.session_id)
        last = own(docker_client, provider, spec)
        stuck.tried[last.id] = 0
        sandbox = await provider.acquire(spec)
        assert stuck.tried[last.id] == 1
        now = own(docker_client, provider, spec)
        assert now.id != last.id
        assert names(docker_client, provider) == [now.name] == [was.name]
        assert now.labels.items() >= {LABEL_RESCUED: was.id}.items()
        # The same files, so that no older checkpoint is put over them; other processes.
        assert sandbox.identity == identity
        assert sandbox.boot != boot
        assert "lost its container" in (sandbox.ended or "")
        boot = sandbox.boot
        await output(sandbox, f"echo line-{line} >> lines.txt")
    asked = "cat lines.txt | tr '\\n' ' '; stat -c '%A %U' own; readlink own/link"
    expected = "line-0 line-1 line-2 drwx------ agent\nlines.txt"
    assert (await output(sandbox, asked)).replace("drwx--S---", "drwx------") == expected
    assert (now.attrs["Config"]["User"], now.attrs["HostConfig"]["CapDrop"]) == (
        was.attrs["Config"]["User"],
        was.attrs["HostConfig"]["CapDrop"],
    )
    # Found again, by its name, and as the same one: also by another server.
    await provider.rest(spec.session_id)
    again = await provider.acquire(spec)
    assert (again.identity, again.ended) == (identity, None)
    await provider.remove(spec.session_id)
    assert names(docker_client, provider) == []
    assert rescued(docker_client, provider) == []


@pytest.mark.docker
async def test_what_is_left_over_is_swept(
    make_docker_provider: MakeProvider, docker_client: DockerClient, stuck: Stuck, spec: SandboxSpec
) -> None:
    provider = make_docker_provider()
    sandbox = await provider.acquire(spec)
    await output(sandbox, "echo one > file")
    assert await provider.rest(spec.session_id)
    container = own(docker_client, provider, spec)
    stuck.tried[container.id] = 0
    await provider.acquire(spec)
    # What a server that died in the midst of it leaves.
    kept = own(docker_client, provider, spec)
    docker_client.api.commit(kept.id)
    kept.remove(force=True)
    assert rescued(docker_client, provider)
    await make_docker_provider().sweep({spec.session_id})
    assert rescued(docker_client, provider) == []


@pytest.mark.docker
async def test_volumes_of_the_image_go_along(
    make_docker_provider: MakeProvider,
    docker_client: DockerClient,
    stuck: Stuck,
    spec: SandboxSpec,
    volume_image: str,
) -> None:
    provider = make_docker_provider(image=volume_image)
    sandbox = await provider.acquire(spec)
    (volume,) = own(docker_client, provider, spec).attrs["Mounts"]
    await output(sandbox, "echo kept > /data/file")
    assert await provider.rest(spec.session_id)
    stuck.tried[own(docker_client, provider, spec).id] = 0
    assert await output(await provider.acquire(spec), "cat /data/file") == "kept"
    await provider.remove(spec.session_id)
    assert volume["Name"] not in {v.name for v in docker_client.volumes.list()}


@pytest.fixture
def volume_image(docker_client: DockerClient, docker_image: str) -> Iterator[str]:
    """A sandbox image with a volume."""
    tag = f"freehold-test:{secrets.token_hex(6)}"
    seed = docker_client.containers.create(docker_image, ["true"])
    try:
        # Ones that are made from it take its folder's mode and owner.
        changes = ["VOLUME /data"]
        seed.put_archive("/", folder_of_the_agents("data"))
        seed.commit(*tag.split(":"), changes=changes)
    finally:
        seed.remove(v=True)
    yield tag
    docker_client.images.remove(tag, force=True)


def folder_of_the_agents(name: str) -> bytes:
    """An archive with one folder that everybody may write to."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, 0o777
        tar.addfile(info)
    return buffer.getvalue()


@pytest.mark.docker
async def test_files_that_cannot_be_kept_are_given_up_for_a_new_sandbox(
    provider: DockerSandboxProvider,
    docker_client: DockerClient,
    stuck: Stuck,
    spec: SandboxSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its identity tells that the checkpoint is to be restored."""
    first = await provider.acquire(spec)
    assert await provider.rest(spec.session_id)
    container = own(docker_client, provider, spec)
    stuck.tried[container.id] = 0
    text = "write /var/lib/docker: no space left on device"

    def commit(*arguments: Any, **options: Any) -> Any:
        raise APIError("500 Server Error", explanation=text)

    monkeypatch.setattr(APIClient, "commit", commit)
    # Room can be made: nothing is given up for that.
    with pytest.raises(SandboxUnavailable, match="disk is full"):
        await provider.acquire(spec)
    assert own(docker_client, provider, spec).id == container.id
    text = "layer does not exist"
    second = await provider.acquire(spec)
    assert second.identity != first.identity
    assert len(names(docker_client, provider)) == 1


@pytest.mark.docker
async def test_other_refusals_copy_nothing(
    provider: DockerSandboxProvider,
    docker_client: DockerClient,
    stuck: Stuck,
    spec: SandboxSpec,
) -> None:
    await provider.acquire(spec)
    assert await provider.rest(spec.session_id)
    container = own(docker_client, provider, spec)
    stuck.tried[container.id], stuck.text = 0, "%s: no space left on device"
    with pytest.raises(SandboxUnavailable, match="disk is full"):
        await provider.acquire(spec)
    assert names(docker_client, provider) == [container.name]
    assert rescued(docker_client, provider) == []
