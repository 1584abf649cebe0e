"""Containers as sandboxes: found again, started again, lost and removed; and what errors say."""

from __future__ import annotations

import asyncio
import io
import secrets
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from docker import DockerClient
from docker.errors import NotFound
from tests.docker_engine import MakeProvider, container_of, output, run, text_of

from freehold.errors import SandboxLost, SandboxUnavailable
from freehold.ports.sandbox import SandboxSpec, ToolCall
from freehold.sandbox.docker import DockerSandboxProvider, Limits, engine_answers
from freehold.sandbox.docker.engine import Engine
from freehold.sandbox.docker.installation import installation_id
from freehold.sandbox.docker.names import LABEL_OWNER, LABEL_SESSION, container_name
from freehold.sandbox.image_definition import LABEL_DEFINITION, LABEL_TOOLBOX

docker = pytest.mark.docker
SPEC = SandboxSpec(session_id="sesn_one")


# --- without an engine


@pytest_asyncio.fixture
async def engineless(tmp_path: Path) -> AsyncIterator[DockerSandboxProvider]:
    """A provider whose engine is not there."""
    provider = DockerSandboxProvider(owner="x", engine=Engine(f"unix://{tmp_path}/none.sock"))
    yield provider
    await provider.close()


async def test_no_engine_is_said_with_a_way_to_mend_it(engineless: DockerSandboxProvider) -> None:
    with pytest.raises(SandboxUnavailable, match=r"does not answer.*Start it"):
        await engineless.acquire(SPEC)
    (finding,) = await engineless.check()
    assert (finding.name, finding.status) == ("engine", "error")
    assert "FREEHOLD_SANDBOX=process" in (finding.mend or "")


def test_whether_an_engine_answers(tmp_path: Path) -> None:
    assert not engine_answers(f"unix://{tmp_path}/none.sock")
    assert not engine_answers("ssh://nobody@nowhere.invalid")


def test_an_installation_keeps_its_id(tmp_path: Path) -> None:
    first = installation_id(tmp_path / "new" / "data")
    assert len(first) == 24
    assert installation_id(tmp_path / "new" / "data") == first
    assert installation_id(tmp_path / "other") != first
    assert [p.name for p in (tmp_path / "other").iterdir()] == ["installation"]


def test_names_of_containers_are_allowed_and_differ() -> None:
    odd = ["a/b", "a b", "", "x" * 200, "ümlaut"]
    names = {container_name("0" * 24, session) for session in [*odd, "sesn_1"]}
    assert len(names) == 6
    assert all(name.isascii() and len(name) < 120 and "/" not in name for name in names)


# --- with one


@pytest.fixture
def provider(make_docker_provider: MakeProvider) -> DockerSandboxProvider:
    return make_docker_provider()


@docker
async def test_it_describes_itself(provider: DockerSandboxProvider, docker_image: str) -> None:
    assert provider.name == "docker"
    assert docker_image in provider.description
    findings = {f.name: f for f in await provider.check()}
    assert {
        "engine",
        "image",
        "packages",
        "storage",
        "runtime",
        "limits",
        "isolation",
        "network",
        "users",
    } == {*findings}
    assert not [f for f in findings.values() if f.status == "error"]


@docker
async def test_check_tells_what_the_settings_ask_in_vain(
    make_docker_provider: MakeProvider,
) -> None:
    provider = make_docker_provider(
        image="freehold-sandbox:absent",
        limits=Limits(runtime="no-such-runtime", network="no-such-network", root=True),
    )
    found = {f.name: f.status for f in await provider.check()}
    assert found["image"] == found["runtime"] == found["network"] == "error"
    assert found["isolation"] == "warning"


@docker
async def test_a_sandbox_is_found_again_by_another_process(
    make_docker_provider: MakeProvider, docker_client: DockerClient
) -> None:
    first, second = make_docker_provider(), make_docker_provider()
    sandbox = await first.acquire(SPEC)
    await output(sandbox, "echo kept > note; export MOOD=good")
    assert await first.acquire(SPEC) is sandbox
    await first.close()
    assert container_of(docker_client, sandbox).status == "running"
    again = await second.acquire(SPEC)
    assert again.identity == sandbox.identity
    assert await output(again, "cat note; echo $MOOD") == "kept\ngood"


@docker
async def test_concurrent_askers_get_one_container(
    make_docker_provider: MakeProvider, docker_client: DockerClient
) -> None:
    first, second = make_docker_provider(), make_docker_provider()
    sandboxes = await asyncio.gather(*(p.acquire(SPEC) for p in (first, second, first, second)))
    assert len({s.identity for s in sandboxes}) == 1
    assert sandboxes[0] is sandboxes[2]
    label = f"{LABEL_OWNER}={first.owner}"
    (container,) = docker_client.containers.list(all=True, filters={"label": label})
    assert container.labels[LABEL_SESSION] == SPEC.session_id


@docker
async def test_a_cancelled_acquire_leaves_nothing_behind_a_remove(
    provider: DockerSandboxProvider,
) -> None:
    acquiring = asyncio.create_task(provider.acquire(SPEC))
    await asyncio.sleep(0.01)  # The engine is at work.
    acquiring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await acquiring
    await provider.remove(SPEC.session_id)
    assert await provider.sweep(()) == []


@docker
async def test_a_container_whose_maker_died_before_its_start_is_started(
    make_docker_provider: MakeProvider,
    docker_client: DockerClient,
    foreign_image: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("freehold.sandbox.docker.container._PATIENCE", 0.2)
    provider = make_docker_provider(image=foreign_image)
    docker_client.containers.create(
        foreign_image,
        name=container_name(provider.owner, SPEC.session_id),
        entrypoint=["python3", "-I", "-S", "/opt/freehold/toolbox.pyz"],
        command="serve --state /var/lib/freehold --socket /var/lib/freehold/toolbox.sock "
        "--workdir /workspace --outputs /mnt/session/outputs",
        user="1000:1000",
        labels={LABEL_OWNER: provider.owner, LABEL_SESSION: SPEC.session_id},
    )
    assert await output(await provider.acquire(SPEC), "echo works") == "works"


@docker
async def test_a_stopped_container_is_started_again_with_its_files_and_its_journal(
    provider: DockerSandboxProvider, docker_client: DockerClient
) -> None:
    sandbox = await provider.acquire(SPEC)
    assert text_of(await run(sandbox, "echo once | tee -a log", "toolu_1")) == "once"
    container_of(docker_client, sandbox).stop(timeout=2)
    again = await provider.acquire(SPEC)
    assert again.identity == sandbox.identity
    assert text_of(await run(again, "echo once | tee -a log", "toolu_1")) == "once"
    assert await output(again, "cat log") == "once"


@docker
async def test_a_container_that_dies_in_a_call_is_lost_and_the_next_one_is_another(
    provider: DockerSandboxProvider, docker_client: DockerClient
) -> None:
    sandbox = await provider.acquire(SPEC)
    call = asyncio.create_task(
        sandbox.call(ToolCall("toolu_1", "bash", {"command": "touch began; sleep 60"}))
    )
    while True:
        try:
            await sandbox.read_file("/workspace/began")
            break
        except FileNotFoundError:
            await asyncio.sleep(0.02)
    container_of(docker_client, sandbox).remove(force=True)
    with pytest.raises(SandboxLost, match="container was removed"):
        await call
    with pytest.raises(SandboxLost):
        await sandbox.read_file("/workspace/began")
    again = await provider.acquire(SPEC)
    assert again.identity != sandbox.identity
    assert await output(again, "ls") == "(no output)"


@docker
async def test_a_killed_toolbox_is_lost_and_its_files_are_not(
    provider: DockerSandboxProvider,
) -> None:
    sandbox = await provider.acquire(SPEC)
    await sandbox.write_file("/workspace/kept", b"kept")
    with pytest.raises(SandboxLost, match="gone"):
        await run(sandbox, "kill -9 -1", "toolu_1")
    again = await provider.acquire(SPEC)
    assert await again.read_file("/workspace/kept") == b"kept"
    # The call that killed it is known, and does not kill it again.
    assert (await run(again, "kill -9 -1", "toolu_1")).is_error


@docker
async def test_removing_deletes_all_and_nothing_is_a_no_op(
    provider: DockerSandboxProvider, docker_client: DockerClient
) -> None:
    sandbox = await provider.acquire(SPEC)
    container = container_of(docker_client, sandbox)
    await asyncio.gather(provider.remove(SPEC.session_id), provider.remove(SPEC.session_id))
    with pytest.raises(NotFound):
        container.reload()
    with pytest.raises(SandboxLost):
        await output(sandbox, "true")
    await provider.remove(SPEC.session_id)
    await provider.remove("sesn_never")


@docker
async def test_a_sweep_takes_its_own_orphans_only(make_docker_provider: MakeProvider) -> None:
    mine, other = make_docker_provider(), make_docker_provider(owner=secrets.token_hex(12))
    kept = await mine.acquire(SandboxSpec("sesn_kept"))
    await mine.acquire(SandboxSpec("sesn_gone"))
    theirs = await other.acquire(SandboxSpec("sesn_gone"))
    try:
        assert await mine.sweep({"sesn_kept"}) == ["sesn_gone"]
        assert await mine.sweep({"sesn_kept"}) == []
        assert await output(kept, "echo here") == "here"
        assert await output(theirs, "echo here") == "here"
    finally:
        assert await other.sweep(()) == ["sesn_gone"]


@docker
async def test_a_missing_image_is_said_with_the_command_that_builds_it(
    make_docker_provider: MakeProvider,
) -> None:
    with pytest.raises(SandboxUnavailable, match="freehold image build"):
        await make_docker_provider(image="freehold-sandbox:absent").acquire(SPEC)


@docker
async def test_a_missing_network_or_runtime_is_said_and_leaves_no_container(
    make_docker_provider: MakeProvider,
) -> None:
    for limits, setting in (
        (Limits(network="no-such-network"), "FREEHOLD_SANDBOX_NETWORK"),
        (Limits(runtime="no-such-runtime"), "FREEHOLD_SANDBOX_RUNTIME"),
    ):
        provider = make_docker_provider(limits=limits)
        with pytest.raises(SandboxUnavailable, match=setting):
            await provider.acquire(SPEC)
        assert await provider.sweep(()) == []


# --- other people's images


def build(client: DockerClient, dockerfile: str) -> str:
    """An image made from these lines; its name."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(dockerfile)
        tar.addfile(info, io.BytesIO(dockerfile.encode()))
    tag = f"freehold-test:{secrets.token_hex(6)}"
    client.images.build(
        fileobj=io.BytesIO(context.getvalue()), custom_context=True, tag=tag, rm=True
    )
    return tag


@pytest.fixture
def foreign_image(docker_client: DockerClient, docker_image: str) -> Iterator[str]:
    """An image with python3 and nothing of ours: no label, no folders, no toolbox."""
    tag = build(
        docker_client,
        f"FROM {docker_image}\nUSER root\n"
        "RUN rm -rf /opt/freehold /workspace /mnt/session /var/lib/freehold\n"
        f'LABEL {LABEL_DEFINITION}="" {LABEL_TOOLBOX}=""\n',
    )
    yield tag
    docker_client.images.remove(tag, force=True)


@docker
async def test_an_image_with_python_gets_what_it_lacks(
    make_docker_provider: MakeProvider, foreign_image: str
) -> None:
    provider = make_docker_provider(image=foreign_image)
    sandbox = await provider.acquire(SPEC)
    said = await output(
        sandbox,
        "pwd; echo out > /mnt/session/outputs/f && id -u; umask; "
        "stat -c %u:%a /workspace /mnt/session/outputs /opt/freehold /var/lib",
    )
    assert said.splitlines() == [
        *("/workspace", "1000", "0022", "1000:755", "1000:755", "0:755", "0:755")
    ]
    findings = {f.name: f for f in await provider.check()}
    assert "not built by Freehold" in findings["image"].detail


@docker
async def test_an_older_toolbox_is_replaced_before_the_start(
    make_docker_provider: MakeProvider, docker_client: DockerClient, docker_image: str
) -> None:
    tag = build(
        docker_client,
        f"FROM {docker_image}\nUSER root\nRUN echo broken > /opt/freehold/toolbox.pyz\n"
        f'LABEL {LABEL_TOOLBOX}="old"\nUSER 1000:1000\n',
    )
    try:
        sandbox = await make_docker_provider(image=tag).acquire(SPEC)
        assert await output(sandbox, "echo works") == "works"
    finally:
        await make_docker_provider().sweep(())
        docker_client.images.remove(tag, force=True)


@docker
async def test_an_image_without_python_is_said_and_leaves_no_container(
    make_docker_provider: MakeProvider, docker_client: DockerClient
) -> None:
    tag = build(docker_client, "FROM scratch\nCOPY Dockerfile /\n")
    try:
        provider = make_docker_provider(image=tag)
        with pytest.raises(SandboxUnavailable, match="has no python3"):
            await provider.acquire(SPEC)
        assert await provider.sweep(()) == []
    finally:
        docker_client.images.remove(tag, force=True)


@docker
async def test_a_toolbox_that_cannot_run_is_said(
    make_docker_provider: MakeProvider, docker_client: DockerClient, docker_image: str
) -> None:
    tag = build(
        docker_client,
        f"FROM {docker_image}\nUSER root\nRUN echo broken > /opt/freehold/toolbox.pyz\n",
    )
    try:
        with pytest.raises(SandboxUnavailable, match="cannot be used: its main process ended"):
            await make_docker_provider(image=tag).acquire(SPEC)
    finally:
        await make_docker_provider().sweep(())
        docker_client.images.remove(tag, force=True)
