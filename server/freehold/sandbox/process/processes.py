"""Finding and ending a toolbox's process, also one that an earlier server started."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

_STEP = 0.005


def start_time(pid: int) -> str | None:
    """When the process began, in the kernel's ticks; ``None`` if there is none that runs.

    With the pid it names a process for good: pids are used again.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in b"ZX" else fields[19].decode()


def record(path: Path, pid: int) -> None:
    """Note which process it is.

    Raises:
        OSError: the file cannot be written.
    """
    waiting = path.with_suffix(".new")
    waiting.write_text(json.dumps({"pid": pid, "start": start_time(pid)}), encoding="ascii")
    waiting.rename(path)


def recorded(path: Path) -> int | None:
    """The pid of the noted process, if that very process still runs."""
    try:
        noted = json.loads(path.read_text(encoding="ascii"))
        pid = int(noted["pid"])
        return pid if noted["start"] and start_time(pid) == noted["start"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def end(pid: int, *, grace: float) -> None:
    """Ask the process to end, kill it after ``grace`` s (0: at once), wait until it is gone."""
    began = start_time(pid)
    if began is None:
        return
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGTERM if grace else signal.SIGKILL)
    waited = 0.0
    while start_time(pid) == began:
        await asyncio.sleep(_STEP)
        waited += _STEP
        if grace and waited > grace:
            grace = 0
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def kill_by_home(home: Path) -> None:
    """Kill every process whose environment says that ``home`` is its home.

    A plain sandbox has no other bound: what it started in the background, detached from
    everything, still carries this mark unless it went out of its way.
    """
    mark = b"\0HOME=" + os.fsencode(home) + b"\0"
    own = os.getpid()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(entry.name) != own and mark in b"\0" + (entry / "environ").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
