"""What was executed, on disk: one line when a call starts, one when it has its outcome.

A line is in the file and synced before what it announces happens: ``started`` before the tool
runs, ``finished`` before the outcome is told. Outcomes are not kept in memory; the index says
where in the file they lie.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading

from .outcomes import Outcome, failure

INTERRUPTED = (
    "{name}: the sandbox was restarted while this call was running. It was interrupted and may "
    "have partly run; it was not run again."
)


class JournalBusy(Exception):
    """Another toolbox keeps this journal."""


class Journal:
    """The journal in a directory; one process at a time."""

    def __init__(self, folder: str) -> None:
        """Open or begin the journal and take it for this process.

        Calls that an earlier process started and did not finish are finished here, as errors.

        Raises:
            JournalBusy: another process has it. OSError: the folder cannot be written.
        """
        os.makedirs(folder, mode=0o700, exist_ok=True)
        path = os.path.join(folder, "journal.jsonl")
        self.resumed = os.path.exists(path)
        """Whether it was begun by an earlier process."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise JournalBusy(path) from None
        self._lock = threading.Lock()
        self._finished: dict[str, tuple[int, int]] = {}
        self._end = 0
        self.identity = _identity(folder)
        for call_id, name in self._load(path).items():
            self.finished(call_id, failure(INTERRUPTED.format(name=name)))

    def started(self, call_id: str, name: str) -> None:
        """Note that a call is about to run. Durable on return."""
        self._append({"started": call_id, "name": name})

    def finished(self, call_id: str, outcome: Outcome) -> None:
        """Note a call's outcome. Durable on return."""
        self._finished[call_id] = self._append({"finished": call_id, "outcome": outcome})

    def outcome(self, call_id: str) -> Outcome | None:
        """The outcome of a call that has one."""
        where = self._finished.get(call_id)
        if where is None:
            return None
        line = os.pread(self._descriptor, where[1], where[0])
        outcome: Outcome = json.loads(line)["outcome"]
        return outcome

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._descriptor)

    def _append(self, record: dict[str, object]) -> tuple[int, int]:
        line = json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"
        with self._lock:
            start = self._end
            try:
                written = 0
                while written < len(line):
                    written += os.pwrite(self._descriptor, line[written:], start + written)
                os.fdatasync(self._descriptor)
            except OSError:
                # The disk is full: no half line may stay for the next one to lie across.
                os.ftruncate(self._descriptor, start)
                raise
            self._end = start + len(line)
        return start, len(line)

    def _load(self, path: str) -> dict[str, str]:
        """Fill the index; the calls that started and did not finish, with their tools' names."""
        unfinished: dict[str, str] = {}
        with open(path, "rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    # The process died within this write: what it announced did not happen.
                    break
                start, self._end = self._end, self._end + len(line)
                try:
                    record = json.loads(line)
                    if "started" in record:
                        unfinished[record["started"]] = record["name"]
                    else:
                        self._finished[record["finished"]] = (start, len(line))
                        unfinished.pop(record["finished"], None)
                except (ValueError, KeyError, TypeError):
                    continue
        os.ftruncate(self._descriptor, self._end)
        return unfinished


def _identity(folder: str) -> str:
    path = os.path.join(folder, "identity")
    try:
        with open(path, encoding="ascii") as file:
            known = file.read().strip()
        if known:
            return known
    except FileNotFoundError:
        pass
    identity = os.urandom(16).hex()
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(identity + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)
    return identity
