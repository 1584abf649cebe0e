"""What the kernel says of this sandbox's limits: counters of its control group, version 1 or 2."""

from __future__ import annotations

from typing import NamedTuple

_MEMORY_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
_MEMORY_LIMIT = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_PIDS_EVENTS = ("/sys/fs/cgroup/pids.events", "/sys/fs/cgroup/pids/pids.events")
_PIDS_CURRENT = ("/sys/fs/cgroup/pids.current", "/sys/fs/cgroup/pids/pids.current")
_PIDS_LIMIT = ("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max")
_NO_LIMIT = 1 << 60
"""Version 1 writes a number near this where there is none."""

ROOM = 16
"""Processes below the limit at which the sandbox counts as full: a shell needs a few."""


class Hits(NamedTuple):
    """How often limits were hit since the control group was made."""

    memory: int
    processes: int


def hits() -> Hits:
    """The counters now; 0 where the kernel does not tell."""
    return Hits(_counter(_MEMORY_EVENTS, "oom_kill"), _counter(_PIDS_EVENTS, "max"))


def told(before: Hits, after: Hits) -> str:
    """What the model is to know of limits that were hit in between; nothing: none was."""
    lines = []
    if after.memory > before.memory:
        limit = _number(_MEMORY_LIMIT)
        size = f" of {limit >> 20} MiB" if limit is not None and limit < _NO_LIMIT else ""
        lines.append(
            f"[The sandbox's memory limit{size} was reached: the kernel killed a process "
            "(status 137, SIGKILL).]"
        )
    if after.processes > before.processes:
        limit = _number(_PIDS_LIMIT)
        count = f" of {limit}" if limit is not None else ""
        lines.append(
            f"[The sandbox's limit{count} processes and threads was reached: some could not be "
            "started.]"
        )
    return "\n".join(lines)


def crowded() -> bool:
    """Whether hardly another process could be started."""
    current, limit = _number(_PIDS_CURRENT), _number(_PIDS_LIMIT)
    return current is not None and limit is not None and current > max(1, limit - ROOM)


def _counter(paths: tuple[str, ...], name: str) -> int:
    for line in (_read(paths) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return 0


def _number(paths: tuple[str, ...]) -> int | None:
    text = (_read(paths) or "").strip()
    return int(text) if text.isdigit() else None


def _read(paths: tuple[str, ...]) -> str | None:
    for path in paths:
        try:
            with open(path, encoding="ascii") as file:
                return file.read()
        except (OSError, ValueError):
            continue
    return None
