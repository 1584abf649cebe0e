"""Ending a process with everything it started."""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

_PASSES = 20
"""How often to look again; only what forks faster than it is stopped needs more than two."""


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

    All are stopped before the first is killed: a script whose child is killed would otherwise go
    on to its next command. What was forked meanwhile is found by looking again.
    """
    own = os.getpid()
    stopped: set[int] = set()
    for _ in range(_PASSES):
        try:
            found = _tree(root) - {own} - stopped
        except OSError:
            # No /proc to look in: the process group has to do.
            _signal_group(root)
            break
        if not found:
            break
        _signal(found, signal.SIGSTOP)
        stopped |= found
    _signal(stopped, signal.SIGKILL)


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            continue


def _signal_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except OSError:
        pass
