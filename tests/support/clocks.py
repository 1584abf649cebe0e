"""Clocks that tests set."""

from __future__ import annotations

from datetime import datetime, timedelta

from freehold.dispatch.clock import SystemClock


class MovedClock(SystemClock):
    """Goes like the machine's own, from another moment on."""

    def __init__(self, moment: datetime) -> None:
        super().__init__()
        self._shift = moment - super().now()

    def now(self) -> datetime:
        """Aware UTC, with microseconds."""
        return super().now() + self._shift

    def go_to(self, moment: datetime) -> None:
        """It is that moment now."""
        self._shift = moment - super().now()

    def pass_by(self, time: timedelta) -> None:
        """It is so much later now."""
        self._shift += time
