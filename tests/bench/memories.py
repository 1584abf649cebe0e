"""What a mounted memory store adds to a tool call.

    python -m tests.bench.memories [--sandbox docker] [--calls 200]

Prints the median of ``true`` through the sandbox's bash tool with a store mounted, everything done
that belongs to it before and after, beside the same call without, by turns in the same run; and how
long it took to fill the mount.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from freehold.app import build_sandboxes
from freehold.dispatch.clock import SystemClock
from freehold.harness.memory_mounts import MemoryMounts
from freehold.ports.log import SessionSpec
from freehold.ports.memory import Actor
from freehold.ports.sandbox import Sandbox, SandboxSpec, ToolCall
from freehold.settings import Settings
from freehold.store import memory_stores
from freehold.store.database import Database
from freehold.store.memory_copies import SqlMemoryCopies
from freehold.store.memory_files import SqlMemoryFiles
from freehold.store.memory_stores import MemoryStoreRow

CLOCK = SystemClock()
SIZES = (None, 0, 20, 500)
"""Memories of 1,000 bytes in the store; ``None``: no store."""


async def _spec(database: Database, size: int | None) -> SessionSpec:
    resources = []
    if size is not None:
        now = CLOCK.now()
        row = MemoryStoreRow(CLOCK.mint("memstore"), "w", "n", "", {}, now, now, None)
        async with database.write() as tx:
            await memory_stores.insert(tx, row)
        for number in range(size):
            await SqlMemoryFiles(database, CLOCK).write(
                "w",
                row.id,
                f"/folder/{number}.md",
                "x" * 1000,
                expected_sha256=None,
                actor=Actor("api_actor", "bench"),
            )
        resources.append(
            {
                "type": "memory_store",
                "memory_store_id": row.id,
                "access": "read_write",
                "name": "n",
                "description": "",
                "mount_path": "/mnt/memory/n",
            }
        )
    return SessionSpec(
        f"sesn_bench{size}",
        "w",
        "thread",
        {},
        "env",
        {},
        datetime.now(UTC),
        resources=tuple(resources),
    )


async def _measure(mounts: MemoryMounts, spec: SessionSpec, sandbox: Sandbox, count: int) -> str:
    begun = time.perf_counter()
    await mounts.furnish(spec, sandbox, fresh=True)
    filled = time.perf_counter() - begun
    await asyncio.sleep(2.5)  # until the files' times tell of changes
    mounted, bare = [], []
    for number in range(count):
        begun = time.perf_counter()
        await mounts.before(spec, sandbox)
        await sandbox.call(ToolCall(f"mounted{number}", "bash", {"command": "true"}))
        await mounts.after(spec, sandbox, "bash")
        mounted.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        await sandbox.call(ToolCall(f"bare{number}", "bash", {"command": "true"}))
        bare.append(time.perf_counter() - begun)
    one, other = statistics.median(mounted) * 1e3, statistics.median(bare) * 1e3
    return (
        f"filled in {filled * 1e3:.0f} ms; {one:.2f} ms, bare {other:.2f} ms, {one / other:.2f} x"
    )


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sandbox", default="process")
    parser.add_argument("--calls", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=Path(folder), model="scripted", sandbox=options.sandbox, sandbox_warm=0
        )
        provider = build_sandboxes(settings)
        database = Database(settings.resolved_database_url)
        await database.migrate()
        mounts = MemoryMounts(SqlMemoryFiles(database, CLOCK), SqlMemoryCopies(database))
        for size in SIZES:
            spec = await _spec(database, size)
            roots = tuple(await mounts.roots(spec))
            sandbox = await provider.acquire(SandboxSpec(spec.session_id, roots=roots))
            try:
                told = await _measure(mounts, spec, sandbox, options.calls)
            finally:
                await provider.remove(spec.session_id)
            print(f"{'no store' if size is None else f'{size} memories'}: {told}")
        await provider.close()
        await database.close()


if __name__ == "__main__":
    asyncio.run(main())
