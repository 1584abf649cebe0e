"""The SDK's own ``EnvironmentWorker`` in a process of its own, which tests may kill.

``python -m tests.support.python_worker``: with ``POLL`` it serves an environment's queue until its
standard input ends, else the one item that the ``ANTHROPIC_*`` variables name.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys

from anthropic.lib.environments import EnvironmentWorker

from tests.support.workers import async_client

IDLE = 0.3
"""Seconds that a worker stays with a session that rests."""


async def main() -> None:
    """Serve."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    async with async_client(os.environ["BASE_URL"]) as client:
        if not os.environ.get("POLL"):
            await EnvironmentWorker(
                client, workdir=os.environ["WORKDIR"], max_idle=IDLE
            ).handle_item()
            return
        worker = EnvironmentWorker(
            client,
            environment_id=os.environ["ANTHROPIC_ENVIRONMENT_ID"],
            environment_key=os.environ["ANTHROPIC_ENVIRONMENT_KEY"],
            workdir=os.environ["WORKDIR"],
            max_idle=IDLE,
        )
        running = asyncio.create_task(worker.run())
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


if __name__ == "__main__":
    asyncio.run(main())
    print("done")
