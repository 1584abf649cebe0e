"""The previews of one answer: what the model says, while it says it (spec 6.9)."""

from __future__ import annotations

from dataclasses import dataclass, field

from freehold.ports.clock import Clock
from freehold.ports.dispatcher import Fanout, Preview
from freehold.ports.model import BlockStarted, TextDelta


@dataclass
class EventIds:
    """The ids under which an answer's events were announced before they were complete."""

    message: str | None = None
    thinking: list[str] = field(default_factory=list)


class Sketch:
    """Announces an answer's events and shows the text of its message as it grows.

    ``after`` is where the log ends while the answer is made.
    """

    def __init__(self, session_id: str, after: int, fanout: Fanout, clock: Clock) -> None:
        self.ids = EventIds()
        self._session_id = session_id
        self._after = after
        self._fanout = fanout
        self._clock = clock
        self._places: dict[int, int] = {}
        self._blank: dict[int, str] = {}

    def add(self, part: BlockStarted | TextDelta) -> None:
        """Take in a piece of the answer."""
        if isinstance(part, TextDelta):
            if part.text:
                self._say(part)
        elif part.kind in {"thinking", "redacted_thinking"}:
            event_id = self._clock.mint("sevt")
            self.ids.thinking.append(event_id)
            self._show(Preview(self._after, event_id, "agent.thinking"))

    def _say(self, part: TextDelta) -> None:
        text = part.text
        if part.index not in self._places:
            # A block that stays blank has no place in the message, so it is not shown before
            # there is more to it.
            text = self._blank.pop(part.index, "") + text
            if not text.strip():
                self._blank[part.index] = text
                return
        if self.ids.message is None:
            self.ids.message = self._clock.mint("sevt")
            self._show(Preview(self._after, self.ids.message, "agent.message"))
        # Blocks without text have no place in the message, so places are given as text comes.
        place = self._places.setdefault(part.index, len(self._places))
        self._show(Preview(self._after, self.ids.message, "agent.message", place, text))

    def _show(self, preview: Preview) -> None:
        self._fanout.preview(self._session_id, preview)
