"""Tool calls: what the sandbox protocol costs beside ``docker exec``, and how long a cold start is.

    python -m tests.bench.tools [--sandbox docker] [--calls 300]

Prints the median of ``true`` through the sandbox's bash tool, of a ``docker exec true`` in the
same run, and of a new session's creation to its first tool result, image present: with a sandbox
that was ready (as the server does it by default), and with none, beside a bare ``docker start``.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from freehold.app import build_sandboxes
from freehold.ports.sandbox import SandboxSpec, ToolCall
from freehold.settings import Settings
from tests.bench.common import Listener, freehold, http, make_agent, make_session, ms, send

PAUSE = 1.5
"""Seconds between sessions in which the server makes the next sandbox ready."""


async def calls(settings: Settings, count: int) -> list[float]:
    """``true`` through the bash tool of one sandbox."""
    provider = build_sandboxes(settings)
    times = []
    try:
        sandbox = await provider.acquire(SandboxSpec(session_id="sesn_bench"))
        for n in range(count):
            begun = time.perf_counter()
            outcome = await sandbox.call(ToolCall(f"call_{n}", "bash", {"command": "true"}))
            times.append(time.perf_counter() - begun)
            if outcome.is_error:
                raise RuntimeError(str(outcome.content))
    finally:
        await provider.remove("sesn_bench")
        await provider.close()
    return times


def docker_execs(image: str, count: int) -> list[float]:
    """What one ``docker exec`` a call would cost."""
    import docker

    client = docker.from_env()
    container = client.containers.run(image, ["sleep", "600"], detach=True, entrypoint="")
    try:
        times = []
        for _ in range(count):
            begun = time.perf_counter()
            container.exec_run(["true"])
            times.append(time.perf_counter() - begun)
        return times
    finally:
        container.remove(force=True)
        client.close()


def docker_starts(image: str, count: int) -> list[float]:
    """What the engine takes by itself to start a container that does nothing."""
    import docker

    client = docker.from_env()
    times = []
    try:
        for _ in range(count):
            container = client.containers.create(image, ["600"], entrypoint=["sleep"])
            try:
                begun = time.perf_counter()
                container.start()
                times.append(time.perf_counter() - begun)
            finally:
                container.remove(force=True)
    finally:
        client.close()
    return times


async def first_results(url: str, count: int, pause: float) -> list[float]:
    """Session create to first tool result, the script asking for a tool at once.

    ``pause`` is the time between sessions in seconds, for the server to make a sandbox ready.
    """
    times = []
    async with http(url) as client:
        agent, environment = await make_agent(client, tools=True)
        for _ in range(count):
            await asyncio.sleep(pause)
            begun = time.perf_counter()
            session = await make_session(client, agent, environment)
            async with Listener(client, session) as listener:
                await send(client, session, "/run true")
                while listener.first_result is None:
                    await asyncio.sleep(0.001)
                times.append(listener.first_result - begun)
                while (await client.get(f"/v1/sessions/{session}")).json()["status"] != "idle":
                    await asyncio.sleep(0.01)
            await client.delete(f"/v1/sessions/{session}")
    return times


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sandbox", default="docker", choices=["docker", "process"])
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--starts", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder) / "direct", sandbox=options.sandbox)
        direct = await calls(settings, options.calls)
        print(f"`true` through bash ({options.sandbox})   {ms(direct)}")
        if options.sandbox == "docker":
            execs = docker_execs(settings.sandbox_image, 30)
            print(f"`docker exec true`              {ms(execs)}")
            ratio = statistics.median(execs) / statistics.median(direct)
            print(f"docker exec / tool call         {ratio:8.1f} x")
        medians = {}
        kinds = [("not ready", "0", 0.0)]
        if options.sandbox == "docker":
            kinds.insert(0, ("ready", "1", PAUSE))
        for kind, warm, pause in kinds:
            with freehold(
                Path(folder) / f"served-{warm}",
                FREEHOLD_SANDBOX=options.sandbox,
                FREEHOLD_SANDBOX_WARM=warm,
                FREEHOLD_MODEL="scripted",
                FREEHOLD_SCRIPTED_LATENCY="0",
            ) as (url, _):
                times = await first_results(url, options.starts, pause)
            medians[kind] = statistics.median(times)
            print(f"create to first result, {kind:<9} {ms(times)}")
        if options.sandbox == "docker":
            starts = docker_starts(settings.sandbox_image, options.starts)
            print(f"`docker start` alone             {ms(starts)}")
            for kind, median in medians.items():
                ratio = median / statistics.median(starts)
                print(f"{kind:<9} / docker start         {ratio:8.2f} x")


if __name__ == "__main__":
    asyncio.run(main())
