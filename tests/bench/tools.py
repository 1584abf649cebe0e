"""Tool calls: what the sandbox protocol costs beside ``docker exec``, and how long a cold start is.

    python -m tests.bench.tools [--sandbox docker] [--calls 300]

Prints the median of ``true`` through the sandbox's bash tool, of a ``docker exec true`` in the
same run, and of a new session's creation to its first tool result, image present.
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


async def first_results(url: str, count: int) -> list[float]:
    """Session create to first tool result, the script asking for a tool at once."""
    times = []
    async with http(url) as client:
        agent, environment = await make_agent(client, tools=True)
        for _ in range(count):
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
        with freehold(
            Path(folder) / "served",
            FREEHOLD_SANDBOX=options.sandbox,
            FREEHOLD_MODEL="scripted",
            FREEHOLD_SCRIPTED_LATENCY="0",
        ) as (url, _):
            starts = await first_results(url, options.starts)
            print(f"session create to first result  {ms(starts)}")


if __name__ == "__main__":
    asyncio.run(main())
