"""Calls by id: each runs once, whoever asks and however often."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .cancelling import Cancellation
from .cgroup import hits, told
from .journal import Journal
from .outcomes import Outcome, failure, noted
from .tools import Tools
from .warden import Warden

Answer = Callable[[Outcome], None]


class _Running:
    def __init__(self) -> None:
        self.cancellation = Cancellation()
        self.answers: list[Answer] = []


class Calls:
    """The calls that run now, and the journal of all."""

    def __init__(self, tools: Tools, journal: Journal, warden: Warden) -> None:
        self._tools = tools
        self._journal = journal
        self._warden = warden
        self._resting = False
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._unkept: dict[str, Outcome] = {}

    @property
    def busy(self) -> bool:
        """Whether any call is running."""
        return bool(self._running)

    def rest(self) -> bool:
        """Begin no call any more; ``False`` if one is running, and then nothing changes."""
        with self._lock:
            self._resting = not self._running
            return self._resting

    def call(self, call_id: str, name: str, given: Any, answer: Answer) -> None:
        """Have ``answer`` told the outcome: the one there is, or of the run that this begins.

        Once at rest nothing is answered: whoever asks will ask again when this one has ended.
        """
        with self._lock:
            if self._resting:
                return
            running = self._running.get(call_id)
            if running is not None:
                running.answers.append(answer)
                return
            known = self._unkept.get(call_id) or self._journal.outcome(call_id)
            if known is None:
                running = self._running[call_id] = _Running()
                running.answers.append(answer)
        if known is not None:
            answer(known)
        elif running is not None:
            try:
                self._warden.start(self._run, call_id, name, given, running)
            except RuntimeError:
                text = f"{name}: the sandbox has no room for another thread; the call did not run"
                self._finish(call_id, running, failure(text))

    def cancel(self, call_id: str) -> None:
        """Stop a call if it is running."""
        running = self._running.get(call_id)
        if running is not None:
            running.cancellation.cancel()

    def _run(self, call_id: str, name: str, given: Any, running: _Running) -> None:
        try:
            self._journal.started(call_id, name)
        except OSError as error:
            # Without the note it must not run: a second asking could not tell that it had.
            self._finish(call_id, running, failure(f"{name}: the sandbox's disk: {error.strerror}"))
            return
        self._warden.begin()
        before = hits()
        outcome = self._tools.run(name, given, running.cancellation)
        outcome = noted(outcome, told(before, hits()), self._warden.end())
        try:
            self._journal.finished(call_id, outcome)
        except OSError:
            # The disk is full: remembered for as long as this process lives.
            self._unkept[call_id] = outcome
        self._finish(call_id, running, outcome)

    def _finish(self, call_id: str, running: _Running, outcome: Outcome) -> None:
        with self._lock:
            del self._running[call_id]
        for answer in running.answers:
            answer(outcome)
