"""Watches over what runs in a sandbox that is the toolbox's own, and makes room in it.

Only where the toolbox has a process namespace to itself: there "every process but my own" is what
the agent started. Memory, processor and processes are the kernel's to limit; the warden ends what
would keep a full sandbox from answering, and limits the disk where no quota does.
"""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterable

from . import cgroup

LOOK_EVERY = 0.5
"""Seconds between two looks while a call runs."""
CROWDED_LOOKS = 3
"""Looks at a sandbox without room for another process after which all in it are ended."""
_GRACE = 2.0
"""Seconds that processes have to end by themselves before a rest."""
_STEP = 0.05
_SLACK = 8 * 1024 * 1024
"""Bytes that a call may add to a disk that is full already, to make room on it."""
_MEASURE_SHARE = 10
"""A measurement may take one part in so many of the time."""
_ATTEMPTS = 40


class Warden:
    """Counts what runs, and steps in.

    Args:
        alone: whether every other process in sight is the agent's.
        disk: bytes that the agent's files may take; 0: no limit of ours.
        places: the folders that the agent can write to.
        resumed: whether files of an earlier run are here.
    """

    def __init__(self, *, alone: bool, disk: int, places: Iterable[str], resumed: bool) -> None:
        self.alone = alone
        self._disk = disk if alone else 0
        self._places = tuple(places)
        self._lock = threading.Lock()
        self._calls = 0
        self._wanted = threading.Event()
        self._reasons: list[str] = []
        self._used: int | None = None if resumed else 0
        self._free_then = _free(self._places)
        self._at_begin = 0
        self._next_measure = 0.0
        self._crowded = 0
        if alone:
            threading.Thread(target=self._watch, daemon=True).start()

    def begin(self) -> None:
        """A call begins."""
        with self._lock:
            if not self._calls:
                self._at_begin = self._used or 0
                self._reasons = []
            self._calls += 1
        self._wanted.set()
        if self.alone and cgroup.crowded():
            # What an earlier call left behind has grown: this one could not start anything.
            self._clear_crowd()
            time.sleep(_STEP)

    def end(self) -> str:
        """A call has ended; what the model is to know of what was done about it."""
        # Crowded by what it left behind: no shell could start, and no server look in.
        if self.alone and cgroup.crowded():
            self._clear_crowd()
        with self._lock:
            self._calls -= 1
            if not self._calls:
                self._wanted.clear()
            return "\n".join(dict.fromkeys(self._reasons))

    def start(self, target: Callable[..., None], *arguments: object) -> None:
        """Run something in a thread; if there is no room for one, make some.

        Raises:
            RuntimeError: there is none all the same.
        """
        for attempt in range(_ATTEMPTS):
            try:
                threading.Thread(target=target, args=arguments, daemon=True).start()
            except RuntimeError:
                if not self.alone or attempt == _ATTEMPTS - 1:
                    raise
                self._clear_crowd()
                time.sleep(_STEP)
            else:
                return

    def dismiss(self) -> None:
        """Ask what runs to end, and wait a moment for it."""
        if not self.alone:
            return
        own = _relays()
        for pid in _others() - own:
            _signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        while _others() - own and time.monotonic() < deadline:
            time.sleep(_STEP)

    def _watch(self) -> None:
        while True:
            self._wanted.wait()
            time.sleep(LOOK_EVERY)
            try:
                self._look()
            except OSError:
                continue

    def _look(self) -> None:
        self._crowded = self._crowded + 1 if cgroup.crowded() else 0
        if self._crowded >= CROWDED_LOOKS:
            self._crowded = 0
            self._clear_crowd()
        if self._disk and self._full():
            self._reasons.append(
                f"[The sandbox's disk limit of {self._disk >> 20} MiB was reached "
                f"({(self._used or 0) >> 20} MiB are in use): everything that ran was ended. "
                "Delete files before you go on.]"
            )
            _kill_all()

    def _clear_crowd(self) -> None:
        reason = (
            "[The sandbox had no room for another process: everything that ran in it was ended.]"
        )
        if reason not in self._reasons:
            self._reasons.append(reason)
        _kill_all()

    def _full(self) -> bool:
        """Whether the agent's files are over the limit, and have grown in this call.

        The files are looked at only when the file system's own count says that they may have
        grown that much: it is shared with others, whose writing costs a look and nothing more.
        """
        now = time.monotonic()
        if now < self._next_measure:
            return False
        grown = max(0, self._free_then - _free(self._places))
        known = self._used
        if known is not None and known + 2 * grown < self._disk and grown < self._disk // 8:
            return False
        self._used = used(self._places)
        self._free_then = _free(self._places)
        if known is None:
            self._at_begin = min(self._used, self._disk)
        self._next_measure = now + (time.monotonic() - now) * _MEASURE_SHARE
        return self._used > max(self._disk, self._at_begin + _SLACK)


def used(places: Iterable[str]) -> int:
    """Bytes on the disk of the agent's files in ``places``, and of deleted ones that are open."""
    owner = os.geteuid()
    seen: set[tuple[int, int]] = set()
    total = 0
    waiting = list(places)
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append(entry.path)
                    if found.st_uid == owner and _new(found, seen):
                        total += found.st_blocks * 512
        except OSError:
            continue
    for pid in _others():
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in names:
            try:
                found = os.stat(f"/proc/{pid}/fd/{name}")
            except OSError:
                continue
            deleted = found.st_nlink == 0 and stat.S_ISREG(found.st_mode)
            if deleted and _new(found, seen):
                total += found.st_blocks * 512
    return total


def _new(found: os.stat_result, seen: set[tuple[int, int]]) -> bool:
    if found.st_nlink == 1 or stat.S_ISDIR(found.st_mode):
        return True
    key = (found.st_dev, found.st_ino)
    if key in seen:
        return False
    seen.add(key)
    return True


def _free(places: tuple[str, ...]) -> int:
    try:
        found = os.statvfs(places[0] if places else "/")
    except OSError:
        return 0
    return found.f_bfree * found.f_frsize


def _others() -> set[int]:
    own = {1, os.getpid()}
    try:
        return {int(name) for name in os.listdir("/proc") if name.isdigit()} - own
    except OSError:
        return set()


def _relays() -> set[int]:
    """The processes that carry the server's connections."""
    found = set()
    for pid in _others():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if b"connect" in words and b"--socket" in words:
            found.add(pid)
    return found


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass


def _kill_all() -> None:
    # At once and without a table: what forks meanwhile is hit as well. Neither the first process
    # of the namespace nor the caller is.
    try:
        os.kill(-1, signal.SIGKILL)
    except OSError:
        pass
