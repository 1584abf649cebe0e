"""What a scripted provider can tell from a request alone: where the conversation stands.

A :class:`Moment` is the state just before one answer. Everything in it comes from the request's
messages, so the provider needs no memory and a restarted server goes on at the same place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from freehold.core.events import Content, Json
from freehold.ports.model import ModelRequest


@dataclass(frozen=True)
class ToolResult:
    """What a tool gave back: its text blocks, joined with line ends."""

    tool_use_id: str
    text: str
    is_error: bool


@dataclass(frozen=True)
class Moment:
    """The state before one answer.

    ``text`` is the user's latest text block, ``turn`` counts the user messages that had text, from
    1, ``step`` the answers given since ``text`` came, from 0, ``request`` all answers before this
    one, from 0. ``results`` are the tool results this answer is the first to see, ``seen`` those
    before it since ``text`` came. ``answered`` is what the provider said at this moment, when it
    already did.
    """

    model: str
    tools: frozenset[str]
    text: str = ""
    turn: int = 0
    step: int = 0
    request: int = 0
    results: tuple[ToolResult, ...] = ()
    seen: tuple[ToolResult, ...] = ()
    answered: Content | None = field(default=None, compare=False)

    @property
    def last_result(self) -> ToolResult | None:
        """The newest tool result since ``text`` came."""
        for results in (self.results, self.seen):
            if results:
                return results[-1]
        return None


def moments(request: ModelRequest) -> Iterator[Moment]:
    """Every moment of the conversation in order; the last is the one to be answered."""
    tools = frozenset(str(tool["name"]) for tool in request.tools if "name" in tool)
    text, turn, step, answers = "", 0, 0, 0
    results: list[ToolResult] = []
    seen: list[ToolResult] = []
    in_user_message = False

    def moment(answered: Content | None) -> Moment:
        return Moment(
            model=request.model,
            tools=tools,
            text=text,
            turn=turn,
            step=step,
            request=answers,
            results=tuple(results),
            seen=tuple(seen),
            answered=answered,
        )

    for message in request.messages:
        content = as_blocks(message["content"])
        if message["role"] == "assistant":
            yield moment(content)
            step += 1
            answers += 1
            seen.extend(results)
            results.clear()
            in_user_message = False
        elif message["role"] == "user":
            had_text = in_user_message
            for block in content:
                if block["type"] == "text":
                    text, step = block["text"], 0
                    seen.clear()
                    if not had_text:
                        had_text = True
                        turn += 1
                elif block["type"] == "tool_result":
                    results.append(tool_result(block))
            in_user_message = had_text
    yield moment(None)


def now(request: ModelRequest) -> Moment:
    """The moment to be answered."""
    return deque(moments(request), maxlen=1)[0]


def tool_result(block: Json) -> ToolResult:
    """A ``tool_result`` block, reduced to its text."""
    content = as_blocks(block.get("content") or [])
    texts = [part["text"] for part in content if part.get("type") == "text"]
    others = [_shown(part) for part in content if part.get("type") != "text"]
    return ToolResult(
        tool_use_id=block["tool_use_id"],
        text="\n".join([*texts, *others]),
        is_error=bool(block.get("is_error")),
    )


def _shown(part: Json) -> str:
    """What a block that is not text says in text."""
    if part["type"] == "search_result":
        return f"{part['title']} <{part['source']}>"
    source = part.get("source")
    if part["type"] == "document" and isinstance(source, dict) and source.get("type") == "text":
        return str(source["data"])
    return f"[{part['type']}]"


def as_blocks(content: str | Content) -> Content:
    """Message content in its long form."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
