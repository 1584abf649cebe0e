"""The machine's own clock and entropy."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from freehold.core import ids


class SystemClock:
    """Wall time, and ids that no other process makes (:class:`ports.clock.Clock`).

    Ids minted by one clock ascend strictly, also when the wall clock stands still or is set back.
    One clock serves one event loop; it takes no lock.
    """

    def __init__(self) -> None:
        self._last_us = 0

    def now(self) -> datetime:
        """Aware UTC, with microseconds."""
        return datetime.now(UTC)

    def mint(self, prefix: ids.Prefix) -> str:
        """A new id that sorts after every id of the prefix that this clock minted before."""
        self._last_us = max(time.time_ns() // 1_000, self._last_us + 1)
        return ids.encode(prefix, self._last_us, os.urandom(ids.ENTROPY_BYTES))
