"""What this process remembers of the sessions it works on.

A handle caches a session's fold and transcript, so that a turn costs what it adds and not what
came before it. The database stays the truth: every change begins by locking the session and
ends by telling the cache what was committed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from weakref import WeakValueDictionary

from freehold.core.drafts import Draughtsman
from freehold.core.events import Record
from freehold.core.state import SessionState
from freehold.core.transcript import Transcript
from freehold.errors import FreeholdError
from freehold.ports.dispatcher import Fanout
from freehold.ports.log import EventLog, SessionSpec, Transaction

DEFAULT_CAPACITY = 512


class SessionGone(FreeholdError):
    """The session does not exist any more."""


class Fenced(FreeholdError):
    """Another runner has taken the session over; this one must stop."""


class SessionHandle:
    """One session, as far as this process knows it."""

    def __init__(self, session_id: str, log: EventLog, fanout: Fanout) -> None:
        self.session_id = session_id
        self._log = log
        self._fanout = fanout
        self._state: SessionState | None = None
        self._spec: SessionSpec | None = None
        self._updates = 0
        self._transcript: Transcript | None = None

    @property
    def seq(self) -> int:
        """How far into the log this handle has seen; 0 if not at all."""
        return self._state.seq if self._state is not None else 0

    async def lock(self, tx: Transaction, *, as_runner: bool = False) -> SessionState:
        """Take the session for writing within ``tx``; its state as of now.

        Raises:
            SessionGone: it was deleted, or never was.
            Fenced: ``as_runner``, and another runner wrote since this handle last looked.
        """
        head = await tx.lock_session(self.session_id)
        if head is None:
            raise SessionGone(self.session_id)
        if self._state is None or self._state.seq != head:
            if as_runner and self._state is not None:
                await self._check_for_other_runners(self._state.seq)
            self._state = await tx.read_state(self.session_id)
        return self._state

    async def _check_for_other_runners(self, after: int) -> None:
        for record in await self._log.read(self.session_id, after=after):
            if record.origin == "runner":
                raise Fenced(f"{self.session_id} was carried on by another runner")

    async def save(self, tx: Transaction, pen: Draughtsman) -> None:
        """Append what ``pen`` wrote; once committed, remember it and tell the listeners."""
        if not pen.records:
            return
        records, state = list(pen.records), pen.state
        await tx.append(self.session_id, records[0].seq - 1, records, state)
        tx.on_commit(lambda: self._committed(records, state))

    def _committed(self, records: Sequence[Record], state: SessionState) -> None:
        if self._state is None or state.seq > self._state.seq:
            self._state = state
        if self._transcript is not None and self._transcript.seq >= records[0].seq - 1:
            for record in records:
                self._transcript.extend(record)
        self._fanout.publish(self.session_id, state.seq)

    async def state(self, at_least: int = 0) -> SessionState:
        """The committed state, read again if the cached one is older than ``at_least``.

        Raises:
            SessionGone: the session was deleted.
        """
        if self._state is None or self._state.seq < at_least:
            state = await self._log.state(self.session_id)
            if state is None:
                raise SessionGone(self.session_id)
            if self._state is None or self._state.seq < state.seq:
                self._state = state
        return self._state

    async def spec(self) -> SessionSpec:
        """What the session is made of.

        Raises:
            SessionGone: the session was deleted.
        """
        if self._spec is not None:
            return self._spec
        updates = self._updates
        spec = await self._log.spec(self.session_id)
        if spec is None:
            raise SessionGone(self.session_id)
        if self._updates == updates:  # else it may be of before the update
            self._spec = spec
        return spec

    def forget_spec(self) -> None:
        """The session was updated; read it anew when next needed."""
        self._updates += 1
        self._spec = None

    async def transcript(self) -> Transcript:
        """The conversation up to the newest record this handle knows of."""
        transcript = self._transcript or Transcript()
        if transcript.seq < self.seq:
            for record in await self._log.read(self.session_id, after=transcript.seq):
                transcript.extend(record)
        self._transcript = transcript
        return transcript


class Sessions:
    """The handles of this process. The most recently used are kept, and all that are in use."""

    def __init__(self, log: EventLog, fanout: Fanout, capacity: int = DEFAULT_CAPACITY) -> None:
        self._log = log
        self._fanout = fanout
        self._capacity = capacity
        self._all: WeakValueDictionary[str, SessionHandle] = WeakValueDictionary()
        self._recent: OrderedDict[str, SessionHandle] = OrderedDict()

    def handle(self, session_id: str) -> SessionHandle:
        """The one handle of this session."""
        handle = self._all.get(session_id)
        if handle is None:
            handle = SessionHandle(session_id, self._log, self._fanout)
            self._all[session_id] = handle
        self._recent[session_id] = handle
        self._recent.move_to_end(session_id)
        if len(self._recent) > self._capacity:
            self._recent.popitem(last=False)
        return handle

    def forget(self, session_id: str) -> None:
        """Drop what is cached of a session that will not be used again."""
        self._recent.pop(session_id, None)
        self._all.pop(session_id, None)
