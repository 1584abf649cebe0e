"""The model: one streamed request at a time, in the Messages API's own vocabulary."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from freehold.core.events import Content, Json, ModelUsage
from freehold.ports.sandbox import Finding


@dataclass(frozen=True)
class ModelRequest:
    """What one sampling needs. ``messages``, ``system`` and ``tools`` are in the wire's form."""

    model: str
    messages: list[Json]
    system: list[Json] = field(default_factory=list)
    tools: list[Json] = field(default_factory=list)
    effort: str | None = None
    speed: Literal["standard", "fast"] | None = None
    inference_geo: str | None = None


@dataclass(frozen=True)
class BlockStarted:
    """Content block ``index`` begins; ``kind`` is ``text``, ``thinking``, ``tool_use`` …"""

    index: int
    kind: str


@dataclass(frozen=True)
class TextDelta:
    """More text of block ``index``."""

    index: int
    text: str


@dataclass(frozen=True)
class ModelResponse:
    """The whole answer; always the last thing a stream yields.

    ``content`` is exactly what must be sent back in the next request, signatures included.
    """

    content: Content
    stop_reason: str
    usage: ModelUsage
    stop_details: Json | None = None
    billed_as: str | None = None
    """The id to look the price up under, where another model than the requested one answered."""


ModelEvent = BlockStarted | TextDelta | ModelResponse


@dataclass(frozen=True)
class Relayed:
    """A provider's answer, passed on byte by byte. ``close`` must be called in the end."""

    status: int
    headers: list[tuple[str, str]]
    body: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]


@runtime_checkable
class Relay(Protocol):
    """A provider that takes whole requests of the Messages API from clients."""

    async def relay(self, path: str, body: bytes, headers: Mapping[str, str]) -> Relayed:
        """POST ``body``, a JSON object, to ``path`` with the server's own key.

        ``path`` may have a query string.

        Raises:
            ModelError: no answer came; every answer is passed on, also one that refuses.
        """
        ...


class Model(Protocol):
    """A provider of the Messages API, or something that behaves like one."""

    @property
    def description(self) -> str:
        """One line for people: which provider this is."""
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Sample once. Closing the iterator early abandons the request.

        Raises:
            ModelError: the request failed; nothing that was yielded counts.
        """
        ...

    async def check(self) -> list[Finding]:
        """How the provider stands; never raises, costs no tokens."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
