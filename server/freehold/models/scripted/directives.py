"""The built-in script: directives in the user's text, one a line (docs/OFFLINE.md).

The language in one rule: tool calls that follow one another directly are made in one answer, in
parallel; whatever comes after them belongs to the next answer, made when their results are in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from freehold.core import judging, model_search
from freehold.core.web_rules import WEB_SEARCH
from freehold.models.scripted.demo import demo_replies
from freehold.models.scripted.moments import Moment, now
from freehold.models.scripted.replies import (
    DEFAULT_MESSAGES,
    ERROR_KINDS,
    REFUSAL_CATEGORIES,
    RESULT_MARK,
    STOP_REASONS,
    Failure,
    Refusal,
    Reply,
    ToolUse,
    clip,
    summary,
)
from freehold.ports.model import ModelRequest

SHELL_TOOL = "bash"
LONGEST_WAIT = 3_600.0

_DIRECTIVE = re.compile(
    r"^[ \t]*/(run|tool|say|think|wait|fail|stop|tokens|then)(?:[ \t]+(.*?))?[ \t]*$"
)
_JUDGE = re.compile(r"^[ \t]*/judge[ \t]+(\S+)[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[\w.+-]*[ \t]*$")
_TOOL = re.compile(r"^(?P<name>[A-Za-z0-9_-]{1,128})(?:\s+(?P<input>.*))?$", re.DOTALL)
_FAIL_OPTION = re.compile(r"^(?:x(?P<times>\d{1,3})|retry_after=(?P<after>\d+(?:\.\d+)?))(?:\s+|$)")
_GREETING = re.compile(
    r"^\W*(hello|hi|hey|good (?:morning|day|afternoon|evening))\b", re.IGNORECASE
)

OFFLINE = "I am Freehold's offline scripted model"
HELP = (
    "I do not understand language, but I obey directives, one a line: /run COMMAND, "
    "/tool NAME {json}, /say TEXT, /think TEXT, /wait SECONDS, /fail KIND, /stop REASON, "
    "/tokens COUNT, /then."
)


class ScriptError(ValueError):
    """A directive that cannot be read; the message names its line."""


@dataclass(frozen=True)
class Directive:
    """One directive and the line it is on, from 1."""

    name: str
    argument: str
    line: int


class BuiltinScript:
    """Obeys directives; answers other text by saying what it is."""

    name = "built-in directives"

    def reply(self, request: ModelRequest, attempt: int) -> Reply:
        """See :class:`freehold.models.scripted.replies.Script`."""
        system = request.system[0].get("text") if request.system else None
        if system == judging.SYSTEM:
            return _judgement(request)
        if system == model_search.SYSTEM:
            return Reply(tool_uses=(ToolUse(WEB_SEARCH, orjson.loads(now(request).text)),))
        return answer(now(request))


def answer(moment: Moment) -> Reply:
    """What the built-in script says at this moment."""
    demo = demo_replies(moment.text)
    if demo is not None:
        replies = demo
    else:
        try:
            replies = compile_script(moment.text)
        except ScriptError as err:
            return Reply(text=f"{OFFLINE} and cannot read your script: {err}")
    if moment.step < len(replies):
        reply = replies[moment.step]
        if not (reply.text or reply.tool_uses or reply.refusal):
            return replace(reply, text=summary(moment))
        return replace(reply, text=reply.text.replace(RESULT_MARK, _result(moment)))
    if moment.step or moment.last_result:
        return Reply(text=summary(moment))
    return Reply(text=_small_talk(moment.text))


def _result(moment: Moment) -> str:
    last = moment.last_result
    return clip(last.text.strip(), 2_000) if last else ""


def compile_script(text: str) -> list[Reply]:
    """The answers that the directives in ``text`` ask for, in order; empty without directives.

    Raises:
        ScriptError: a directive cannot be read.
    """
    replies: list[Reply] = []
    draft = _Draft()
    for directive in parse(text):
        if draft.tool_uses and directive.name not in {"run", "tool", "stop"}:
            replies.append(draft.reply())
            draft = _Draft()
        draft.obey(directive)
        if draft.stop_reason is not None:
            replies.append(draft.reply())
            draft = _Draft()
        if draft.refusal is not None:
            break
    if not draft.empty:
        replies.append(draft.reply())
    return replies


def parse(text: str) -> list[Directive]:
    """The directives in ``text``.

    A directive with nothing behind it on its line takes the fenced block that follows it.
    """
    found: list[Directive] = []
    lines = text.splitlines()
    index = 0
    while index < len(lines):
        match = _DIRECTIVE.match(lines[index])
        index += 1
        if match is None:
            continue
        name, argument, line = match[1], match[2] or "", index
        bare = name in {"run", "say", "think"} and not argument
        bare = bare or (name == "tool" and bool(argument) and " " not in argument)
        if bare and index < len(lines) and (fence := _FENCE.match(lines[index])):
            end = index + 1
            while end < len(lines) and lines[end].strip() != fence[1]:
                end += 1
            block = "\n".join(lines[index + 1 : end])
            argument = f"{argument} {block}" if name == "tool" else block
            index = end + 1
        found.append(Directive(name, argument, line))
    return found


@dataclass
class _Draft:
    """An answer under construction."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    tool_uses: list[ToolUse] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    refusal: Refusal | None = None
    delay: float | None = None
    stop_reason: str | None = None
    usage: dict[str, int] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (
            self.texts
            or self.thoughts
            or self.tool_uses
            or self.failures
            or self.refusal
            or self.delay is not None
            or self.usage
        )

    def reply(self) -> Reply:
        return Reply(
            text="\n".join(self.texts),
            thinking="\n".join(self.thoughts),
            tool_uses=tuple(self.tool_uses),
            failures=tuple(self.failures),
            refusal=self.refusal,
            delay=self.delay or 0.0,
            stop_reason=self.stop_reason,
            usage=self.usage,
        )

    def obey(self, directive: Directive) -> None:
        match directive.name:
            case "run":
                _need(directive, "a command")
                self.tool_uses.append(ToolUse(SHELL_TOOL, {"command": directive.argument}))
            case "tool":
                self.tool_uses.append(_tool_use(directive))
            case "say":
                self.texts.append(directive.argument)
            case "think":
                self.thoughts.append(directive.argument)
            case "wait":
                self.delay = (self.delay or 0.0) + _seconds(directive)
            case "fail":
                self._fail(directive)
            case "stop":
                self.stop_reason = _stop_reason(directive)
            case "tokens":
                self.usage = {"input_tokens": _count(directive)}
            case _:  # then: what it separates is separate already
                pass

    def _fail(self, directive: Directive) -> None:
        kind, _, rest = directive.argument.partition(" ")
        rest = rest.strip()
        if kind == "refusal":
            first, _, explanation = rest.partition(" ")
            if first in REFUSAL_CATEGORIES:
                self.refusal = Refusal(first, explanation.strip() or None)
            else:
                self.refusal = Refusal(None, rest or None)
            return
        if kind not in ERROR_KINDS:
            raise ScriptError(
                f"line {directive.line}: /fail takes one of {', '.join(ERROR_KINDS)}, refusal; "
                f"not {kind!r}"
            )
        times: int | None = None
        retry_after: float | None = None
        while option := _FAIL_OPTION.match(rest):
            if option["times"]:
                times = int(option["times"])
            else:
                retry_after = float(option["after"])
            rest = rest[option.end() :]
        self.failures.append(
            Failure(
                kind=kind,
                message=rest or DEFAULT_MESSAGES[kind],
                retry_after=retry_after,
                times=times,
                partial="\n".join(self.texts),
            )
        )


def _need(directive: Directive, what: str) -> None:
    if not directive.argument:
        raise ScriptError(f"line {directive.line}: /{directive.name} needs {what} behind it")


def _tool_use(directive: Directive) -> ToolUse:
    match = _TOOL.match(directive.argument)
    if match is None:
        raise ScriptError(f"line {directive.line}: /tool needs the name of a tool behind it")
    source = (match["input"] or "").strip()
    try:
        value: Any = orjson.loads(source) if source else {}
    except orjson.JSONDecodeError as err:
        raise ScriptError(
            f"line {directive.line}: the input of /tool {match['name']} is not JSON: {err}"
        ) from None
    if not isinstance(value, dict):
        raise ScriptError(
            f"line {directive.line}: the input of /tool {match['name']} must be a JSON object"
        )
    return ToolUse(match["name"], value)


def _seconds(directive: Directive) -> float:
    try:
        seconds = float(directive.argument)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_WAIT:
        raise ScriptError(
            f"line {directive.line}: /wait takes seconds, 0 to {LONGEST_WAIT:.0f}, "
            f"not {directive.argument!r}"
        )
    return seconds


def _stop_reason(directive: Directive) -> str:
    if directive.argument not in STOP_REASONS:
        raise ScriptError(
            f"line {directive.line}: /stop takes one of {', '.join(STOP_REASONS)}, "
            f"not {directive.argument!r}"
        )
    return directive.argument


def _count(directive: Directive) -> int:
    if not (directive.argument.isascii() and directive.argument.isdigit()):
        raise ScriptError(
            f"line {directive.line}: /tokens takes a whole number, not {directive.argument!r}"
        )
    return int(directive.argument[:12])


def _judgement(request: ModelRequest) -> Reply:
    """A verdict on a tool call, as the last `/judge` of the user's messages tells; else allowed."""
    question = orjson.loads(now(request).text)
    told = _JUDGE.findall("\n".join(question["user_messages"]))
    verdict = told[-1] if told else "allow"
    if verdict in ERROR_KINDS:
        return Reply(failures=(Failure(kind=verdict, message=DEFAULT_MESSAGES[verdict]),))
    if verdict in {"allow", "deny", "ask"}:
        return Reply(text=f"So the script says.\nVERDICT: {verdict}")
    return Reply(text=verdict)


def _small_talk(text: str) -> str:
    if _GREETING.match(text):
        return f"Hello! {OFFLINE}. {HELP}"
    if not text.strip():
        return f"{OFFLINE}. {HELP}"
    return f"{OFFLINE}. You wrote: “{clip(' '.join(text.split()), 200)}”. {HELP}"
