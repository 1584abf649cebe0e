"""Records in the making: what will happen, before it has a place in the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from freehold.core.events import Event, Json, Record
from freehold.core.fold import fold
from freehold.core.state import SessionState
from freehold.core.times import MICROSECOND


@dataclass(frozen=True)
class Draft:
    """An event to append. ``id`` is set where it is known before, as for an accepted input."""

    event: Event
    private: Json | None = None
    id: str | None = None


class Draughtsman:
    """Writes drafts down as records, folding as it goes.

    Every record is at least a microsecond later than the one before it, so that the order of
    ``processed_at`` is the order of the log (spec 6.4).
    """

    def __init__(
        self,
        state: SessionState,
        *,
        now: datetime,
        mint: Callable[[], str],
        origin: Literal["client", "runner"],
    ) -> None:
        self.state = state
        self.records: list[Record] = []
        self.mint = mint
        self._now = now
        self._origin = origin

    def copy(self) -> Draughtsman:
        """Another one at the same point, to be carried on in its place."""
        other = Draughtsman(self.state, now=self._now, mint=self.mint, origin=self._origin)
        other.records = list(self.records)
        return other

    def write(self, *drafts: Draft) -> list[Record]:
        """Append the drafts; the new records."""
        written: list[Record] = []
        for draft in drafts:
            last = self.state.last_at
            record = Record(
                seq=self.state.seq + 1,
                id=draft.id or self.mint(),
                processed_at=self._now if last is None or last < self._now else last + MICROSECOND,
                event=draft.event,
                private=draft.private,
                origin=self._origin,
            )
            self.state = fold(self.state, record)
            written.append(record)
        self.records += written
        return written

    @property
    def now(self) -> datetime:
        """The moment the next record will carry at the earliest."""
        return max(self._now, self.state.last_at or self._now)
