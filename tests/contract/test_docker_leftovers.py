"""Sessions come and go, the server with them: the engine has what it had before.

``FREEHOLD_TEST_SESSIONS`` says how many; a hundred is what is promised.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from tests.docker_engine import MakeProvider, output

from freehold.ports.sandbox import SandboxSpec
from freehold.sandbox.docker.names import LABEL_OWNER

SESSIONS = int(os.environ.get("FREEHOLD_TEST_SESSIONS") or 20)


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_nothing_is_left(make_docker_provider: MakeProvider, docker_client: Any) -> None:
    first = make_docker_provider(warm=1)
    label = {"label": f"{LABEL_OWNER}={first.owner}"}
    await first.prepare()
    gate = asyncio.Semaphore(4)

    async def session(number: int) -> None:
        async with gate:
            spec = SandboxSpec(f"sesn_leftover{number}")
            sandbox = await first.acquire(spec)
            if number % 10 == 0:
                await output(sandbox, "sleep 600 & echo x > /workspace/x")
            if number % 3 == 0:
                assert await first.rest(spec.session_id)
            elif number % 3 == 1:
                await first.remove(spec.session_id)

    before = {volume.id for volume in docker_client.volumes.list()}
    await asyncio.gather(*(session(number) for number in range(SESSIONS)))
    present = await first.present()
    assert len(present) == sum(number % 3 != 1 for number in range(SESSIONS))
    assert {awake.running for awake in present} == {True, False}
    # The server dies; the next one knows none of them.
    await first.close()
    second = make_docker_provider()
    assert len(await second.sweep(())) == len(present)
    assert docker_client.containers.list(all=True, filters=label) == []
    assert docker_client.networks.list(filters=label) == []
    assert docker_client.images.list(filters=label) == []
    # Volumes have no label of ours because there are none.
    own = [v for v in docker_client.volumes.list() if v.id not in before]
    assert not [v for v in own if "freehold" in v.name]
    assert await second.present() == []
