"""What the egress gate opens and adds for a session's own requests, besides its environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Injection:
    """Requests to one place, over https, which a sandbox may make whatever its networking."""

    host: str
    port: int
    path: str
    """The path itself and all below it."""
    authorization: str | None = field(repr=False)
    """The ``Authorization`` header that they are given; ``None``: none, they are only let through.
    """


class Injections(Protocol):
    """Tells what a session's requests are given."""

    async def injections(self, session_id: str) -> Sequence[Injection]:
        """What holds for the session now; no such session: nothing."""
        ...
