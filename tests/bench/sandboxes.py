"""What it costs to stop, start again, keep and restore a Docker sandbox, and what limits cost.

python -m tests.bench.sandboxes [--limits] [IMAGE]
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from freehold.blobs.folder import FolderBlobs
from freehold.ports.sandbox import SandboxSpec, ToolCall
from freehold.sandbox.docker import DockerSandboxProvider
from freehold.sandbox.image_definition import DEFAULT_TAG
from tests.bench.common import Listener, freehold, http, make_agent, make_session, ms

ROUNDS = 3
LIMIT = 4 << 30

CONTENTS = {
    "64 MB of text in 6,400 files": (
        "for d in range(64):\n  os.makedirs(f'd{d}')\n"
        "  for n in range(100): open(f'd{d}/{n}','w').write(('line %d of a text\\n' % n) * 600)"
    ),
    "64 MB of noise in one file": "open('noise','wb').write(os.urandom(64 << 20))",
    "1 MB of text in 100 files": (
        "for n in range(100): open(str(n),'w').write(('line %d of a text\\n' % n) * 600)"
    ),
}

BOMBS = {
    "fork bomb": ":(){ :|:& };:",
    "memory bomb": "python3 -c 'x = bytearray(16 << 30)'",
    "disk fill": "while :; do head -c 64M /dev/zero > f.$RANDOM; done",
    "1 GB of output": "head -c 1G /dev/zero | tr '\\0' x",
    "10^6 files": (
        "python3 -c \"import os\nfor d in range(1000):\n  os.mkdir('d%d' % d)\n"
        "  for n in range(1000): os.close(os.open('d%d/%d' % (d, n), os.O_CREAT))\""
    ),
    "endless loop": "while :; do :; done",
}


async def bash(sandbox: Any, command: str, timeout_ms: int = 120_000) -> str:
    given = {"command": command, "timeout_ms": timeout_ms}
    outcome = await sandbox.call(ToolCall(f"toolu_{secrets.token_hex(8)}", "bash", given))
    return "".join(block["text"] for block in outcome.content)


async def costs(image: str) -> None:
    provider = DockerSandboxProvider(owner=f"bench-{secrets.token_hex(6)}", image=image)
    spec = SandboxSpec("sesn_bench")
    try:
        with tempfile.TemporaryDirectory() as folder:
            blobs = FolderBlobs(Path(folder))
            await blobs.prepare()
            sandbox = await provider.acquire(spec)
            stops, starts = [], []
            for _ in range(ROUNDS):
                await bash(sandbox, "true")
                begun = time.perf_counter()
                await provider.rest(spec.session_id)
                stops.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                sandbox = await provider.acquire(spec)
                await bash(sandbox, "true")
                starts.append(time.perf_counter() - begun)
            print("stop                          ", ms(stops))
            print("resume, to the first result   ", ms(starts))
            for name, script in CONTENTS.items():
                await bash(sandbox, f'rm -rf -- * && python3 -c "import os\n{script}"')
                await kept(provider, spec, sandbox, blobs, name)
                sandbox = await provider.acquire(spec)
    finally:
        await provider.sweep(())
        await provider.close()


async def kept(
    provider: DockerSandboxProvider, spec: SandboxSpec, sandbox: Any, blobs: Any, name: str
) -> None:
    packs, unpacks = [], []
    size = 0
    fresh = SandboxSpec("sesn_fresh")
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        size = await blobs.put("checkpoints/bench000000000001", sandbox.pack(LIMIT))
        packs.append(time.perf_counter() - begun)
        await provider.remove(fresh.session_id)
        begun = time.perf_counter()
        other = await provider.acquire(fresh)
        async with blobs.open("checkpoints/bench000000000001") as chunks:
            await other.unpack(_of(chunks), LIMIT)
        await bash(other, "true")
        unpacks.append(time.perf_counter() - begun)
    await provider.remove(fresh.session_id)
    print(f"{name}: {size / 1e6:.1f} MB kept")
    print("  checkpoint                  ", ms(packs))
    print("  new sandbox, restored, used ", ms(unpacks))


async def _of(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk


async def limits(image: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        variables = {
            "FREEHOLD_SANDBOX": "docker",
            "FREEHOLD_SANDBOX_IMAGE": image,
            "FREEHOLD_SANDBOX_DISK": "1g",
            "FREEHOLD_MODEL": "scripted",
            "FREEHOLD_SCRIPTED_LATENCY": "0",
        }
        with freehold(Path(folder), **variables) as (url, _):
            async with http(url) as client:
                agent, environment = await make_agent(client, tools=True)
                for name, command in {"at rest": "sleep 10", **BOMBS}.items():
                    session = await make_session(client, agent, environment)
                    await attack(client, session, name, command)
                    await client.delete(f"/v1/sessions/{session}")


async def attack(client: Any, session: str, name: str, command: str) -> None:
    import json

    def tool(line: str, timeout_ms: int) -> str:
        return f"/tool bash {json.dumps({'command': line, 'timeout_ms': timeout_ms})}"

    async with Listener(client, session) as listener:
        await listener.turn(tool("true", 5000))
        taken: list[float] = []
        over = asyncio.Event()

        async def watch() -> None:
            while not over.is_set():
                begun = time.perf_counter()
                (await client.get("/healthz")).raise_for_status()
                taken.append(time.perf_counter() - begun)
                await asyncio.sleep(0.05)

        watching = asyncio.create_task(watch())
        lasted = await listener.turn(tool(command, 20_000))
        answered = await listener.turn(tool("echo here", 20_000))
        over.set()
        await watching
    print(f"{name:15} {lasted:6.1f} s  next answer {answered:5.2f} s  /healthz{ms(taken)}")


async def main() -> None:
    names = [word for word in sys.argv[1:] if not word.startswith("-")]
    image = names[0] if names else os.environ.get("FREEHOLD_SANDBOX_IMAGE", DEFAULT_TAG)
    await (limits(image) if "--limits" in sys.argv else costs(image))


if __name__ == "__main__":
    asyncio.run(main())
