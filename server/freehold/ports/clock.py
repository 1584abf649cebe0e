"""Time and identity, the two things a pure core cannot make for itself."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from freehold.core.ids import Prefix


class Clock(Protocol):
    """Where times and ids come from."""

    def now(self) -> datetime:
        """Aware UTC, with microseconds."""
        ...

    def mint(self, prefix: Prefix) -> str:
        """A new id, later in sort order than those minted a microsecond before."""
        ...
