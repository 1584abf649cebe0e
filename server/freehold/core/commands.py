"""What a session may need done next.

Commands are imperatives, events past participles: carrying a command out yields drafts of the
events that say what came of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from freehold.core.drafts import Draft
from freehold.core.state import OpenCall


@dataclass(frozen=True)
class Write:
    """Append these; nothing has to be done in the world."""

    drafts: tuple[Draft, ...]


@dataclass(frozen=True)
class CallModel:
    """Append ``opening`` (what the model is about to read, and the span's start), then sample."""

    opening: tuple[Draft, ...]


@dataclass(frozen=True)
class Compact:
    """Append ``opening`` (the span's start), then have the model sum up the conversation."""

    opening: tuple[Draft, ...]


@dataclass(frozen=True)
class ListTools:
    """Ask these MCP servers for their tools; what they answer, or that they do not, is an event."""

    servers: tuple[str, ...]


@dataclass(frozen=True)
class RunTool:
    """Run this call, in the sandbox or on its MCP server."""

    call: OpenCall


Command = Write | CallModel | Compact | RunTool
