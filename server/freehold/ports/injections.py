"""Headers that the egress gate adds to a session's own requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from freehold.ports.log import SessionSpec


@dataclass(frozen=True)
class Injection:
    """A header that requests over TLS to one path and all below it are given, in the place of
    what they have under its name. They may go there whatever the networking says."""

    scheme: str
    host: str
    port: int
    path: str
    """Absolute; the path itself and all below it."""
    header: str
    value: str = field(repr=False)


class InjectionSource(Protocol):
    """Knows what sessions' requests are given, of one kind."""

    async def injections(self, spec: SessionSpec) -> Sequence[Injection]:
        """What it is at this moment. What cannot be had is left out; nothing is raised for it."""
        ...
