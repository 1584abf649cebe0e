"""The gate's programs: ``serve``, ``attach`` and ``control``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import resource
import sys
from pathlib import Path

FOLDER = Path("/run/freehold-gate")
STARTING = 15.0
"""Seconds that ``control`` waits for a gate that has just been started."""


def main() -> int:
    """Run one of them; its exit status."""
    parser = argparse.ArgumentParser(prog="gate")
    programs = parser.add_subparsers(dest="program", required=True)
    programs.add_parser("serve")
    programs.add_parser("control")
    attaching = programs.add_parser("attach")
    attaching.add_argument("--key", required=True)
    chosen = parser.parse_args()
    # Each imports what it needs: `attach` and `control` start for every sandbox.
    if chosen.program == "serve":
        return _serve()
    if chosen.program == "control":
        return asyncio.run(_control())
    from freehold.gate import attach, desk  # noqa: PLC0415 - as above

    return attach.main(str(FOLDER / desk.ATTACH), chosen.key)


def _serve() -> int:
    from freehold.gate.desk import Desk  # noqa: PLC0415 - as above
    from freehold.gate.proxy import Proxy  # noqa: PLC0415 - mitmproxy takes a second
    from freehold.gate.resolving import GuardedLoop, Rules  # noqa: PLC0415 - as above

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    os.umask(0o077)
    # Four descriptors for each sandbox and two for each connection: as many as there may be.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rules = Rules()

    async def run() -> None:
        proxy = Proxy(rules)
        await Desk(rules, proxy.serve, proxy.configure).open(FOLDER)
        await asyncio.Event().wait()

    loop = GuardedLoop(rules)
    asyncio.set_event_loop(loop)
    with contextlib.suppress(KeyboardInterrupt):
        loop.run_until_complete(run())
    return 0


async def _control() -> int:
    """Standard streams to the control socket and back."""
    from freehold.gate.desk import CONTROL, LONGEST_LINE  # noqa: PLC0415 - as above

    loop = asyncio.get_running_loop()
    deadline = loop.time() + STARTING
    while True:
        try:
            reader, writer = await asyncio.open_unix_connection(
                FOLDER / CONTROL, limit=LONGEST_LINE
            )
            break
        except OSError as error:
            # Just started: what it imports takes a while.
            if loop.time() > deadline:
                print(f"the gate does not serve: {error}", file=sys.stderr)
                return 1
        await asyncio.sleep(0.05)
    said = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(said), sys.stdin.buffer)

    async def listen() -> None:
        while data := await said.read(65536):
            writer.write(data)
            await writer.drain()

    async def speak() -> None:
        while data := await reader.read(65536):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    tasks = {asyncio.create_task(listen()), asyncio.create_task(speak())}
    _, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    return 0


if __name__ == "__main__":
    sys.exit(main())
