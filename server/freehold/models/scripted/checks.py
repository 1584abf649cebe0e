"""What the real API refuses in ``messages``, so that offline runs find a broken conversation too.

Only rules that a server can break by building its requests wrongly are played: roles, empty
texts, pairing of calls and results, altered thinking.
"""

from __future__ import annotations

import base64
import hashlib

from freehold.core.events import Content, Json
from freehold.errors import ModelError
from freehold.models.scripted.moments import as_blocks
from freehold.ports.model import ModelRequest

_SIGNATURE_PREFIX = "c2NyaXB0ZWQ"  # "scripted" in base64: other providers' signatures pass


def signature(thinking: str) -> str:
    """The signature the scripted provider puts under a thinking block."""
    digest = hashlib.blake2b(thinking.encode(), digest_size=24).digest()
    return base64.b64encode(b"scripted:" + digest).decode()


def check(request: ModelRequest) -> None:
    """Refuse what the real API would.

    Raises:
        ModelError: ``invalid_request`` with the API's kind of message.
    """
    messages = request.messages
    if not messages:
        _refuse("messages: at least one message is required")
    called: set[str] = set()
    for index, message in enumerate(messages):
        role = message.get("role")
        content = as_blocks(message.get("content") or [])
        if role == "system":
            _check_system(messages, index)
            continue
        if role not in {"user", "assistant"}:
            _refuse(f"messages.{index}.role: Input should be 'user', 'assistant' or 'system'")
        if not content:
            _refuse(f"messages.{index}: content must not be empty")
        if role == "assistant":
            if called:
                _unanswered(index - 1, called)
            called = _check_assistant(index, content)
        else:
            called = _check_user(index, content, called)
            if called and index + 1 < len(messages) and messages[index + 1]["role"] != "user":
                _unanswered(index - 1, called)
    if messages[-1]["role"] == "assistant" and not _paused(messages[-1]):
        _refuse(
            "This model does not support assistant message prefill. The conversation must end "
            "with a user message."
        )
    if called:
        _unanswered(len(messages) - 2, called)


def _check_system(messages: list[Json], index: int) -> None:
    before = messages[index - 1]["role"] if index else None
    after = messages[index + 1]["role"] if index + 1 < len(messages) else "assistant"
    if before != "user" or after != "assistant":
        _refuse(
            f"messages.{index}: a `system` message must follow a `user` message and be last or be "
            "followed by an `assistant` message"
        )


def _paused(message: Json) -> bool:
    """Whether this answer stopped with ``pause_turn``: it goes back to be gone on with."""
    return any(block["type"] == "server_tool_use" for block in as_blocks(message["content"]))


def _check_assistant(index: int, content: Content) -> set[str]:
    called: set[str] = set()
    for position, block in enumerate(content):
        _check_text(index, position, block)
        if block["type"] == "tool_use":
            if block["id"] in called:
                _refuse(f"messages.{index}.content.{position}: `tool_use` ids must be unique")
            called.add(block["id"])
        elif block["type"] == "thinking":
            _check_thinking(index, position, block)
    return called


def _check_user(index: int, content: Content, called: set[str]) -> set[str]:
    open_calls = set(called)
    for position, block in enumerate(content):
        _check_text(index, position, block)
        if block["type"] != "tool_result":
            continue
        call = block["tool_use_id"]
        if call not in open_calls:
            _refuse(
                f"messages.{index}.content.{position}: unexpected `tool_use_id` found in "
                f"`tool_result` blocks: {call}. Each `tool_result` block must have a corresponding "
                "`tool_use` block in the previous message."
            )
        open_calls.discard(call)
        for part in as_blocks(block.get("content") or []):
            _check_text(index, position, part)
    return open_calls


def _check_text(index: int, position: int, block: Json) -> None:
    if block["type"] == "text" and not block["text"].strip():
        _refuse(
            f"messages.{index}.content.{position}: text content blocks must contain "
            "non-whitespace text"
        )


def _check_thinking(index: int, position: int, block: Json) -> None:
    given = block.get("signature")
    if not given:
        _refuse(f"messages.{index}.content.{position}.thinking.signature: Field required")
    elif given.startswith(_SIGNATURE_PREFIX) and given != signature(block["thinking"]):
        _refuse(f"messages.{index}.content.{position}: Invalid `signature` in `thinking` block")


def _unanswered(index: int, called: set[str]) -> None:
    ids = ", ".join(sorted(called))
    _refuse(
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately "
        f"after: {ids}. Each `tool_use` block must have a corresponding `tool_result` block in the "
        "next message."
    )


def _refuse(message: str) -> None:
    raise ModelError("invalid_request", message)
