"""The offline provider: a deterministic stand-in for the Messages API, for any model id.

What it says comes from a :class:`~freehold.models.scripted.replies.Script`; where the
conversation stands comes from the request alone. Its one memory is how often a request failed on
purpose, so that "fail twice, then work" can be played; a restart forgets it, and the failures
begin again.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson

from freehold.core.events import Content, Json, ModelUsage
from freehold.errors import ModelError
from freehold.models.scripted import checks, tokens
from freehold.models.scripted.directives import BuiltinScript
from freehold.models.scripted.replies import Failure, Reply, Script
from freehold.models.scripted.search import runs_on_server, search_blocks
from freehold.ports.model import (
    BlockStarted,
    ModelEvent,
    ModelRequest,
    ModelResponse,
    TextDelta,
)
from freehold.ports.sandbox import Finding

_REMEMBERED = 1_024
_PIECES = re.compile(r"(?:\S+\s*|\s+){1,4}")


@dataclass(frozen=True)
class Answer:
    """What the provider does with one request: all but ``partial`` is void when it fails."""

    content: Content
    stop_reason: str
    usage: ModelUsage
    stop_details: Json | None = None
    failure: Failure | None = None


class ScriptedModel:
    """Answers from a script.

    Args:
        script: what to say; None is the built-in script, which obeys directives.
        latency: seconds before every answer.
    """

    def __init__(self, script: Script | None = None, *, latency: float = 0.0) -> None:
        self._script: Script = script or BuiltinScript()
        self._latency = latency
        self._failed: OrderedDict[bytes, int] = OrderedDict()

    @property
    def description(self) -> str:
        """Which script answers."""
        return f"offline scripted model ({self._script.name})"

    async def answer(self, request: ModelRequest) -> Answer:
        """Decide, and take the time the script asks for.

        Raises:
            ModelError: the request is one the real API refuses.
        """
        checks.check(request)
        key = _key(request) if self._failed else None
        attempt = self._failed.get(key, 0) if key else 0
        reply = self._script.reply(request, attempt)
        failure = reply.failure(attempt)
        if failure is not None:
            self._remember(key or _key(request), attempt + 1)
        elif key:
            self._failed.pop(key, None)
        if delay := self._latency + reply.delay:
            await asyncio.sleep(delay)
        content = _content(request, reply)
        usage = tokens.usage(request, content)
        if request.speed is not None:
            usage = usage.model_copy(update={"speed": request.speed})
        return Answer(
            content=content,
            stop_reason=_stop_reason(reply, content),
            usage=usage.model_copy(update=dict(reply.usage)),
            stop_details=_stop_details(reply),
            failure=failure,
        )

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Sample once; see :meth:`freehold.ports.model.Model.stream`."""
        answer = await self.answer(request)
        if answer.failure is not None:
            failure = answer.failure
            if failure.partial:
                yield BlockStarted(0, "text")
                yield TextDelta(0, failure.partial)
            raise ModelError(failure.kind, failure.message, retry_after=failure.retry_after)
        for index, block in enumerate(answer.content):
            yield BlockStarted(index, block["type"])
            if block["type"] == "text":
                for piece in pieces(block["text"]):
                    yield TextDelta(index, piece)
        yield ModelResponse(
            content=answer.content,
            stop_reason=answer.stop_reason,
            usage=answer.usage,
            stop_details=answer.stop_details,
        )

    async def check(self) -> list[Finding]:
        """Always well."""
        return [Finding("model provider", "ok", self.description)]

    async def close(self) -> None:
        """Nothing to let go of."""

    def _remember(self, key: bytes, attempts: int) -> None:
        self._failed[key] = attempts
        self._failed.move_to_end(key)
        while len(self._failed) > _REMEMBERED:
            self._failed.popitem(last=False)


def pieces(text: str) -> list[str]:
    """The text as it is streamed: a few words at a time."""
    return _PIECES.findall(text)


def _content(request: ModelRequest, reply: Reply) -> Content:
    blocks: Content = []
    if reply.thinking.strip():
        blocks.append(
            {
                "type": "thinking",
                "thinking": reply.thinking,
                "signature": checks.signature(reply.thinking),
            }
        )
    if reply.text.strip():
        blocks.append({"type": "text", "text": reply.text})
    seed = _seed(request)
    if reply.stop_reason == "pause_turn":
        # The API pauses while one of its own tools is at work, and says so in the answer.
        call_id = "srv" + _call_id(seed, 0)
        blocks.append({"type": "server_tool_use", "id": call_id, "name": "web_search", "input": {}})
    if reply.tool_uses and reply.refusal is None:
        made = [(_call_id(seed, place), use) for place, use in enumerate(reply.tool_uses)]
        here = [(call_id, use) for call_id, use in made if runs_on_server(use, request.tools)]
        blocks += search_blocks([(f"srv{call_id}", use) for call_id, use in here], request.tools)
        blocks += [
            {"type": "tool_use", "id": call_id, "name": use.name, "input": use.input}
            for call_id, use in made
            if (call_id, use) not in here
        ]
    return blocks


def _stop_reason(reply: Reply, content: Content) -> str:
    if reply.refusal is not None:
        return "refusal"
    if reply.stop_reason is not None:
        return reply.stop_reason
    return "tool_use" if any(b["type"] == "tool_use" for b in content) else "end_turn"


def _stop_details(reply: Reply) -> Json | None:
    if reply.refusal is None:
        return None
    return {
        "type": "refusal",
        "category": reply.refusal.category,
        "explanation": reply.refusal.explanation,
    }


def _key(request: ModelRequest) -> bytes:
    body = orjson.dumps([request.model, request.system, request.messages])
    return hashlib.blake2b(body, digest_size=16).digest()


def _seed(request: ModelRequest) -> bytes:
    # The same request gives the same ids, another place in the conversation others: the tail tells
    # it apart from the same words said before, which had fewer messages.
    tail = orjson.dumps([len(request.messages), request.messages[-2:]])
    return hashlib.blake2b(tail, digest_size=12).digest()


def _call_id(seed: bytes, position: int) -> str:
    return "toolu_" + hashlib.blake2b(seed + bytes([position % 256]), digest_size=12).hexdigest()
