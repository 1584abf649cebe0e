"""Sandboxes behind the egress gate through the ends and returns of all that is involved, and those
that are attached to it before their session is known.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any

import pytest
from docker.api import APIClient
from docker.errors import APIError
from tests.docker_engine import MakeProvider, container_of, output
from tests.docker_gate import Hosts, limited, reached, unrestricted

from freehold.errors import SandboxUnavailable
from freehold.ports.sandbox import Sandbox
from freehold.sandbox.docker import DockerSandboxProvider, Limits
from freehold.sandbox.docker import pool as pooling

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]
GATE = Limits(network="gate")


async def test_it_persists_after_a_restart_of_the_sandbox(
    provider: DockerSandboxProvider, docker_client: Any
) -> None:
    wanted = limited("sesn_again", allowed_hosts=["allowed.test"])
    container = container_of(docker_client, await provider.acquire(wanted))
    container.restart(timeout=0)
    box = await provider.acquire(wanted)
    assert reached(await output(box, "curl -sS https://allowed.test/"))
    assert "not in allowlist" in await output(box, "curl -sS https://other.test/")


async def test_without_the_gate_there_is_nothing_and_then_there_is_again(
    provider: DockerSandboxProvider, docker_client: Any
) -> None:
    wanted = limited("sesn_gateless", allowed_hosts=["allowed.test"])
    box = await provider.acquire(wanted)
    gate_of(docker_client, provider).kill()
    said = await output(box, "curl -sS -m 5 https://allowed.test/ 2>&1; echo; exit 0")
    assert "reached" not in said
    assert await provider.acquire(wanted) is box
    assert reached(await output(box, "curl -sS https://allowed.test/"))


async def test_another_server_takes_gate_and_sandboxes_over(
    make: MakeProvider, hosts: Hosts, data_dir: Path
) -> None:
    settings = hosts.settings(data_dir)
    wanted = limited("sesn_over", allowed_hosts=["allowed.test"])
    first = make(gate=settings)
    container = (await first.acquire(wanted)).identity.split("-")[0]
    await first.close()
    box = await make(gate=settings).acquire(wanted)
    assert box.identity.startswith(container)
    assert reached(await output(box, "curl -sS https://allowed.test/"))


async def test_without_its_image_the_sandbox_cannot_be_had(
    make: MakeProvider, hosts: Hosts, data_dir: Path
) -> None:
    provider = make(
        owner="test-" + secrets.token_hex(4), gate=hosts.settings(data_dir, image="nowhere:none")
    )
    with pytest.raises(
        SandboxUnavailable, match=r"no gate image nowhere:none.*freehold image build"
    ):
        await provider.acquire(limited())
    await provider.sweep(())


async def test_the_gate_goes_with_the_last_sandbox_it_served(
    make: MakeProvider, hosts: Hosts, data_dir: Path, docker_client: Any
) -> None:
    owner = f"test-{secrets.token_hex(4)}"
    provider = make(owner=owner, gate=hosts.settings(data_dir))
    wanted = limited(allowed_hosts=["allowed.test"])
    await provider.acquire(wanted)
    mine = {"label": [f"dev.freehold.owner={owner}", "dev.freehold.gate"]}
    await provider.sweep({wanted.session_id})
    assert len(docker_client.containers.list(filters=mine)) == 1
    await provider.sweep(())
    assert docker_client.containers.list(all=True, filters=mine) == []


def gate_of(client: Any, provider: DockerSandboxProvider) -> Any:
    """The SDK's container of the provider's gate."""
    (gate,) = client.containers.list(
        filters={"label": [f"dev.freehold.owner={provider.owner}", "dev.freehold.gate=gate"]}
    )
    return gate


async def until_reached(box: Sandbox, host: str) -> None:
    """Wait, patiently, for a sandbox to reach a host that is open to it."""
    async with asyncio.timeout(120):
        while "reached" not in await output(box, f"curl -sS -m 5 http://{host}/ 2>&1; exit 0"):
            await asyncio.sleep(0.1)


async def test_one_call_brings_all_back_that_a_dead_gate_served(
    provider: DockerSandboxProvider, docker_client: Any
) -> None:
    calling, waiting = limited(allowed_hosts=["allowed.test"]), unrestricted()
    boxes = [await provider.acquire(spec) for spec in (calling, waiting)]
    assert reached(await output(boxes[1], "curl -sS http://other.test/"))
    gate_of(docker_client, provider).kill(signal="KILL")
    assert await provider.acquire(calling) is boxes[0]
    assert reached(await output(boxes[0], "curl -sS https://allowed.test/"))
    # Nobody asked for this one; programs that run in it may need their network all the same.
    await until_reached(boxes[1], "other.test")
    assert "not in allowlist" in await output(boxes[0], "curl -sS http://other.test/")


async def test_what_takes_the_place_of_a_container_that_cannot_be_started_has_its_network_only(
    provider: DockerSandboxProvider, docker_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = limited("sesn_stuck", allowed_hosts=["allowed.test"])
    box = await provider.acquire(wanted)
    assert await provider.rest(wanted.session_id)
    stuck, start = box.container, APIClient.start

    def refuse(self: APIClient, container: str, *arguments: Any, **options: Any) -> Any:
        if container == stuck:
            raise APIError("500 Server Error", explanation=f"task {stuck}: already exists")
        return start(self, container, *arguments, **options)

    monkeypatch.setattr(APIClient, "start", refuse)
    again = await provider.acquire(wanted)
    assert again.container != stuck
    assert (again.identity, again.gated) == (box.identity, True)
    found = docker_client.api.inspect_container(again.container)
    assert found["HostConfig"]["NetworkMode"] == "none"
    assert reached(await output(again, "curl -sS https://allowed.test/"))
    assert "not in allowlist" in await output(again, "curl -sS https://other.test/")
    await provider.remove(wanted.session_id)


async def test_a_gate_that_was_removed_is_made_anew(
    provider: DockerSandboxProvider, docker_client: Any
) -> None:
    wanted = unrestricted()
    box = await provider.acquire(wanted)
    gate_of(docker_client, provider).remove(force=True)
    assert await provider.acquire(wanted) is box
    assert reached(await output(box, "curl -sS http://allowed.test/"))


@pytest.fixture
def no_refill(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken from the pool is not replaced while the test lasts."""
    monkeypatch.setattr(pooling, "QUIET", 600.0)
    monkeypatch.setattr(pooling, "LONGEST_QUIET", 600.0)


async def filled(provider: DockerSandboxProvider, count: int) -> list[str]:
    """The ids of the containers that wait in the provider's pool, once there are so many."""
    await provider.prepare()
    async with asyncio.timeout(120):
        while provider.pool.ready != count:
            await asyncio.sleep(0.02)
    assert provider.gate is not None
    return [key.partition("@")[0] for key in provider.gate.attached]


@pytest.mark.usefixtures("no_refill")
async def test_those_kept_ready_are_attached_and_reach_nothing_until_a_session_takes_them(
    make: MakeProvider, hosts: Hosts, data_dir: Path, docker_client: Any
) -> None:
    owner = f"test-{secrets.token_hex(4)}"
    provider = make(owner=owner, gate=hosts.settings(data_dir), limits=GATE, warm=3)
    waiting = await filled(provider, 3)
    assert len(waiting) == 3
    before = len(hosts.heard(hosts.open))
    for command in (
        "curl -sS -m 5 http://allowed.test/",
        "curl -sS -m 5 https://allowed.test/",
        "curl -sS -m 5 telnet://allowed.test:2222 </dev/null",
    ):
        said = docker_client.containers.get(waiting[0]).exec_run(["sh", "-c", command])
        assert b"reached" not in said.output
        assert b"220" not in said.output
    assert len(hosts.heard(hosts.open)) == before
    few = await provider.acquire(limited(allowed_hosts=["allowed.test"]))
    all_ = await provider.acquire(unrestricted())
    assert {container_of(docker_client, box).id for box in (few, all_)} < set(waiting)
    assert provider.pool.ready == 1
    assert "not in allowlist" in await output(few, "curl -sS http://other.test/")
    assert reached(await output(few, "curl -sS https://allowed.test/"))
    assert "220" in await output(all_, "timeout 60 bash -c 'head -c 3 </dev/tcp/other.test/2222'")
    # The last one waited through the gate's death.
    gate_of(docker_client, provider).kill(signal="KILL")
    late = await provider.acquire(unrestricted())
    assert reached(await output(late, "curl -sS http://other.test/"))
    await provider.close()
    await provider.sweep(())
    label = {"label": f"dev.freehold.owner={owner}"}
    assert docker_client.containers.list(all=True, filters=label) == []


async def test_a_server_that_stops_takes_a_gate_with_it_that_serves_nobody(
    make: MakeProvider, hosts: Hosts, data_dir: Path, docker_client: Any
) -> None:
    owner = f"test-{secrets.token_hex(4)}"
    provider = make(owner=owner, gate=hosts.settings(data_dir), limits=GATE, warm=1)
    await filled(provider, 1)
    await provider.close()
    label = {"label": f"dev.freehold.owner={owner}"}
    assert docker_client.containers.list(all=True, filters=label) == []


async def test_sockets_of_sandboxes_that_are_gone_are_let_go(
    provider: DockerSandboxProvider, docker_client: Any
) -> None:
    assert provider.gate is not None
    kept, gone = [await provider.acquire(unrestricted()) for _ in range(2)]
    container_of(docker_client, gone).remove(force=True)
    await provider.gate.prune()
    served = {key[:12] for key in provider.gate.attached}
    assert kept.identity[:12] in served
    assert gone.identity[:12] not in served


async def test_a_sandbox_keeps_the_network_it_was_made_with(
    make: MakeProvider, hosts: Hosts, data_dir: Path
) -> None:
    settings = hosts.settings(data_dir)
    direct, gated = make(gate=settings, limits=Limits(network=hosts.network)), make(gate=settings)
    box = await direct.acquire(unrestricted("sesn_direct"))
    assert "220" in await output(box, "timeout 60 bash -c 'head -c 3 </dev/tcp/inside.test/2222'")
    await direct.close()
    through = make(gate=settings, limits=GATE)
    again = await through.acquire(unrestricted("sesn_direct"))
    assert again.identity == box.identity
    assert "220" in await output(again, "timeout 60 bash -c 'head -c 3 </dev/tcp/inside.test/2222'")
    hosts.forget(hosts.inside)
    # But never one of limited networking.
    with pytest.raises(SandboxUnavailable, match="another kind of network"):
        await gated.acquire(limited("sesn_direct"))


async def test_all_ends_at_once_as_with_the_engine_itself(
    provider: DockerSandboxProvider, docker_client: Any
) -> None:
    specs = [limited(allowed_hosts=["allowed.test"]), unrestricted()]
    boxes = [await provider.acquire(wanted) for wanted in specs]
    await output(boxes[0], "echo kept > note")
    for container in [container_of(docker_client, box) for box in boxes]:
        container.kill()
    gate_of(docker_client, provider).kill()
    few, all_ = [await provider.acquire(wanted) for wanted in specs]
    assert await output(few, "cat note") == "kept"
    assert reached(await output(few, "curl -sS https://allowed.test/"))
    assert "not in allowlist" in await output(few, "curl -sS https://other.test/")
    assert reached(await output(all_, "curl -sS http://other.test/"))
