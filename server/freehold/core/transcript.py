"""The conversation as the model must be shown it, built from the log record by record.

What the model said goes back word for word, signatures included: it is kept in the private part
of each request's end. What it is told is built from the public events.
"""

from __future__ import annotations

from freehold.core.events import (
    AgentCustomToolUse,
    AgentMcpToolResult,
    AgentMcpToolUse,
    AgentThreadContextCompacted,
    AgentToolResult,
    AgentToolUse,
    Content,
    Json,
    McpToolsListed,
    ModelRequestEnd,
    Record,
    SessionUpdated,
    SystemMessage,
    UserCustomToolResult,
    UserMessage,
    UserToolResult,
)

EMPTY_RESULT = "(no output)"
EMPTY_MESSAGE = "(empty message)"


class Transcript:
    """The messages of one thread up to ``seq``.

    Grows only, earlier messages never change, until a compaction puts a summary in their place.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.messages: list[Json] = []
        self.mcp_tools: dict[str, list[Json]] = {}
        """What each MCP server answered when it was asked for its tools."""
        self.user_texts: list[str] = []
        """What the user wrote, and nobody else: what calls are judged by (spec 12.4)."""
        self._provider_ids: dict[str, str] = {}
        self._held: Content = []

    def extend(self, record: Record) -> None:
        """Take in the next record; those already seen are passed over.

        Raises:
            ValueError: a record is missing in between.
        """
        if record.seq <= self.seq:
            return
        if record.seq != self.seq + 1:
            raise ValueError(f"record {record.seq} does not follow {self.seq}")
        self.seq = record.seq
        match record.event:
            case UserMessage(content=content):
                self.user_texts += [block["text"] for block in content if block["type"] == "text"]
                self._say_user(_sendable(content, EMPTY_MESSAGE))
            case SystemMessage(content=content):
                self._held += _sendable(content, EMPTY_MESSAGE)
                self._release()
            case AgentToolUse() | AgentMcpToolUse() | AgentCustomToolUse():
                self._provider_ids[record.id] = (record.private or {})["tool_use_id"]
            case ModelRequestEnd(is_error=True):
                self._provider_ids.clear()
            case ModelRequestEnd():
                self._say_assistant((record.private or {}).get("content", []))
            case AgentThreadContextCompacted():
                summary = (record.private or {})["summary"]
                self.messages = [{"role": "user", "content": [{"type": "text", "text": summary}]}]
            case McpToolsListed(server=server, tools=tools):
                self.mcp_tools[server] = tools
            case SessionUpdated(agent=agent) if agent is not None:
                self.mcp_tools.clear()
            case AgentToolResult(tool_use_id=call_id, content=content, is_error=failed):
                self._answer(call_id, content, failed)
            case AgentMcpToolResult(mcp_tool_use_id=call_id, content=content, is_error=failed):
                self._answer(call_id, content, failed)
            case UserCustomToolResult(custom_tool_use_id=call_id, content=content, is_error=failed):
                self._answer(call_id, content, failed)
            case UserToolResult(tool_use_id=call_id, content=content, is_error=failed):
                self._answer(call_id, content, failed)
            case _:
                pass

    def _say_user(self, content: Content) -> None:
        if self.messages and self.messages[-1]["role"] == "system":
            self._held = self.messages.pop()["content"] + self._held
        if self.messages and self.messages[-1]["role"] == "user":
            self.messages[-1]["content"].extend(content)
        else:
            self.messages.append({"role": "user", "content": list(content)})
        self._release()

    def _release(self) -> None:
        """System messages stand between all that the user said and the answer: those that came
        before any wait for it, and those that came in between move to its end."""
        if not self._held or not self.messages or self.messages[-1]["role"] == "assistant":
            return
        if self.messages[-1]["role"] == "system":
            self.messages[-1]["content"].extend(self._held)
        else:
            self.messages.append({"role": "system", "content": self._held})
        self._held = []

    def _say_assistant(self, content: Content) -> None:
        # An answer without content is legal to receive and not to send back.
        if content:
            self.messages.append({"role": "assistant", "content": content})

    def _answer(self, call_id: str, content: Content | None, failed: bool | None) -> None:
        provider_id = self._provider_ids.pop(call_id, None)
        if provider_id is None:
            return
        block: Json = {
            "type": "tool_result",
            "tool_use_id": provider_id,
            "content": _sendable(content or [], EMPTY_RESULT),
        }
        if failed:
            block["is_error"] = True
        self._say_user([block])


def _sendable(content: Content, instead: str) -> Content:
    """Without blank texts, which the Messages API refuses; ``instead`` if nothing else is there."""
    kept = [block for block in content if block["type"] != "text" or block["text"].strip()]
    return kept or [{"type": "text", "text": instead}]
