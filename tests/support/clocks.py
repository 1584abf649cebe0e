"""Clocks that tests set."""

from __future__ import annotations

from datetime import datetime, timedelta

from freehold.dispatch.clock import SystemClock


class Wall:
    """The time on the wall, for all who look at it; it goes on by itself."""

    def __init__(self, moment: datetime) -> None:
        self.ahead = timedelta()
        self.go_to(moment)

    def go_to(self, moment: datetime) -> None:
        """It is that moment now."""
        self.ahead = moment - SystemClock().now()

    def now(self) -> datetime:
        """Aware UTC, with microseconds."""
        return SystemClock().now() + self.ahead

    def clock(self) -> WallClock:
        """A clock that shows it, for one server."""
        return WallClock(self)


class WallClock(SystemClock):
    """Shows the time on the wall."""

    def __init__(self, wall: Wall) -> None:
        super().__init__()
        self._wall = wall

    def now(self) -> datetime:
        """Aware UTC, with microseconds."""
        return self._wall.now()
