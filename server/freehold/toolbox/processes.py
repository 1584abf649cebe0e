"""Ending a process with everything it started."""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

_PASSES = 5


class _Process(NamedTuple):
    parent: int
    session: int
    alive: bool


def _table() -> dict[int, _Process]:
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # The command name stands in parentheses and may hold anything, these too.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        found[int(name)] = _Process(int(fields[1]), int(fields[3]), fields[0] not in b"ZX")
    return found


def _tree(root: int) -> set[int]:
    """The living members of the session that ``root`` leads, and all descendants of both."""
    table = _table()
    tree = {pid for pid, process in table.items() if process.session == root}
    tree.add(root)
    grown = True
    while grown:
        more = {pid for pid, process in table.items() if process.parent in tree} - tree
        tree |= more
        grown = bool(more)
    return {pid for pid in tree if pid in table and table[pid].alive}


def kill_tree(root: int) -> None:
    """Kill the session leader ``root``, its session, and descendants that left the session.

    Looks again until none is left, since a process may fork while its siblings die.
    """
    own = os.getpid()
    for _ in range(_PASSES):
        try:
            victims = _tree(root) - {own}
        except OSError:
            # No /proc to look in: the process group has to do.
            victims = set()
            _signal_group(root)
        if not victims:
            return
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue


def _signal_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except OSError:
        pass
