"""What a script says at one moment, before it is put into the API's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from freehold.core.events import Json
from freehold.errors import ModelErrorKind
from freehold.models.scripted.moments import Moment
from freehold.ports.model import ModelRequest

RefusalCategory = Literal["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"]

StopReason = Literal[
    "end_turn",
    "tool_use",
    "max_tokens",
    "stop_sequence",
    "pause_turn",
    "model_context_window_exceeded",
]

STOP_REASONS: tuple[StopReason, ...] = get_args(StopReason)
ERROR_KINDS: tuple[ModelErrorKind, ...] = get_args(ModelErrorKind)
REFUSAL_CATEGORIES: tuple[RefusalCategory, ...] = get_args(RefusalCategory)

RESULT_MARK = "\x00result\x00"
"""Stands in a reply's text for what the last tool returned."""

DEFAULT_MESSAGES: dict[ModelErrorKind, str] = {
    "overloaded": "Overloaded",
    "rate_limited": "This request would exceed your rate limit.",
    "server": "Internal server error",
    "connection": "Connection error.",
    "authentication": "invalid x-api-key",
    "billing": "Your credit balance is too low to access the API.",
    "invalid_request": "The request is invalid.",
}


@dataclass(frozen=True)
class ToolUse:
    """One tool call."""

    name: str
    input: Json


@dataclass(frozen=True)
class Failure:
    """The request fails. ``times``: for so many attempts at the same request; None: always.

    ``partial`` is text that is streamed before the failure; with it, the failure comes in the
    middle of a stream instead of in its place.
    """

    kind: ModelErrorKind
    message: str
    retry_after: float | None = None
    times: int | None = None
    partial: str = ""


@dataclass(frozen=True)
class Refusal:
    """The answer ends with ``stop_reason: refusal``."""

    category: RefusalCategory | None = None
    explanation: str | None = None


@dataclass(frozen=True)
class Reply:
    """One answer. ``delay`` is in seconds; ``usage`` replaces single counts."""

    text: str = ""
    thinking: str = ""
    tool_uses: tuple[ToolUse, ...] = ()
    failures: tuple[Failure, ...] = ()
    refusal: Refusal | None = None
    delay: float = 0.0
    usage: Mapping[str, int] = field(default_factory=dict)
    stop_reason: str | None = None

    def failure(self, attempt: int) -> Failure | None:
        """How attempt number ``attempt``, from 0, fails; None when it succeeds."""
        for failure in self.failures:
            if failure.times is None or attempt < failure.times:
                return failure
            attempt -= failure.times
        return None


class Script(Protocol):
    """Decides what is said."""

    @property
    def name(self) -> str:
        """For people: which script this is."""
        ...

    def reply(self, request: ModelRequest, attempt: int) -> Reply:
        """The answer to this request; ``attempt`` counts failures of this very request so far."""
        ...


def summary(moment: Moment) -> str:
    """A closing sentence about what the tools gave back."""
    last = moment.last_result
    if last is None:
        return "Done."
    count = len(moment.results) + len(moment.seen)
    calls = "The tool" if count == 1 else f"{count} tool calls done; the last one"
    verb = "failed with" if last.is_error else "returned"
    text = last.text.strip()
    if not text:
        return f"{calls} {verb} no output."
    return f"{calls} {verb}:\n\n{clip(text, 2_000)}"


def clip(text: str, limit: int) -> str:
    """At most ``limit`` characters, with a sign where the rest was."""
    return text if len(text) <= limit else text[:limit].rstrip() + " …"
