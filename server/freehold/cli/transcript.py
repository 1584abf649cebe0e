"""A session's events as a person reads them, line by line, as they happen."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax
from rich.text import Text

_MOST_LINES = 24
"""Lines of a tool's input or output that are printed; the rest is told as a number."""

_WIDEST = 160


class Transcript:
    """Prints events in the form of the official SDK's types; other events print nothing."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printers = {
            "user.message": self._user,
            "agent.thinking": self._thinking,
            "agent.message": self._message,
            "agent.tool_use": self._tool_use,
            "agent.tool_result": self._tool_result,
            "span.model_request_end": self._tokens,
            "session.error": self._error,
            "session.usage": self._usage,
            "session.status_running": self._running,
            "session.status_rescheduled": self._rescheduled,
            "session.status_idle": self._idle,
            "session.status_terminated": self._terminated,
        }

    def show(self, event: Any) -> None:
        """Print one event."""
        printer = self._printers.get(event.type)
        if printer is not None:
            printer(event)

    def text(self, label: str, style: str, text: str) -> None:
        """A label, and text that may have several lines."""
        first, *rest = text.splitlines() or [""]
        self._console.print(f"[{style}]{label:>9}[/]  {escape(first)}")
        for line in rest:
            self._console.print(f"{'':>9}  {escape(line)}")

    def _user(self, event: Any) -> None:
        self.text("user", "bold cyan", _words(event.content))

    def _thinking(self, event: Any) -> None:
        self.text("thinking", "dim italic", "…")

    def _message(self, event: Any) -> None:
        self.text("agent", "bold green", _words(event.content))

    def _tool_use(self, event: Any) -> None:
        given = event.input or {}
        if event.name == "bash" and isinstance(given.get("command"), str):
            code, language = given["command"], "bash"
        elif event.name == "write" and isinstance(given.get("content"), str):
            code, language = given["content"], "python"
        else:
            code, language = json.dumps(given, indent=2, ensure_ascii=False), "json"
        path = given.get("file_path") or given.get("path")
        self.text(event.name, "bold yellow", str(path) if path and language != "json" else "")
        self._code(code, language)

    def _tool_result(self, event: Any) -> None:
        failed = bool(event.is_error)
        shown, hidden = _clip(_words(event.content or []))
        self.text("failed" if failed else "output", "bold red" if failed else "yellow", shown)
        if hidden:
            self._console.print(f"{'':>9}  [dim]… {hidden} more lines[/]")

    def _tokens(self, event: Any) -> None:
        usage = event.model_usage
        cached = usage.cache_read_input_tokens
        self.text(
            "model",
            "dim",
            f"{usage.input_tokens} tokens in, {usage.output_tokens} out"
            + (f", {cached} from the cache" if cached else ""),
        )

    def _error(self, event: Any) -> None:
        error = event.error
        self.text("error", "bold red", f"{error.type}: {getattr(error, 'message', '')}")

    def _usage(self, event: Any) -> None:
        usage = event.usage
        self.text(
            "usage",
            "dim",
            f"{usage.input_tokens or 0} tokens in, {usage.output_tokens or 0} out, "
            "the whole session",
        )

    def _running(self, event: Any) -> None:
        self.text("session", "magenta", "running")

    def _rescheduled(self, event: Any) -> None:
        self.text("session", "magenta", "waits to try again")

    def _idle(self, event: Any) -> None:
        self.text("session", "magenta", f"idle ({event.stop_reason.type})")

    def _terminated(self, event: Any) -> None:
        self.text("session", "bold red", "terminated")

    def _code(self, code: str, language: str) -> None:
        shown, hidden = _clip(code)
        for line in highlighted(shown, language):
            self._console.print(Text(f"{'':>9}  ").append_text(line))
        if hidden:
            self._console.print(f"{'':>9}  [dim]… {hidden} more lines[/]")


def highlighted(code: str, language: str) -> list[Text]:
    """Lines of code, coloured, as wide as they are: what is printed can be copied."""
    syntax = Syntax(code, language, theme="ansi_dark", background_color="default")
    text = syntax.highlight(code)
    text.rstrip()
    return list(text.split("\n"))


def _clip(text: str) -> tuple[str, int]:
    """The first lines of ``text``, and how many there are beyond them."""
    lines = text.rstrip("\n").split("\n")
    shown = [line if len(line) <= _WIDEST else line[:_WIDEST] + "…" for line in lines[:_MOST_LINES]]
    return "\n".join(shown), len(lines) - len(shown)


def _words(content: Any) -> str:
    """The text of content blocks; other blocks by their kind."""
    return "\n".join(block.text if block.type == "text" else f"[{block.type}]" for block in content)
