"""Runs what :mod:`.syntax` has read, over files in memory."""

from __future__ import annotations

import ast
import asyncio
import operator
import posixpath
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from freehold.sandbox.scripted import syntax
from freehold.sandbox.scripted.memory import MemoryFiles
from freehold.sandbox.scripted.syntax import (
    AndOr,
    Command,
    For,
    Function,
    Group,
    If,
    List,
    Loop,
    Part,
    Pipeline,
    Redirect,
    Simple,
)
from freehold.toolbox.filesystem import reason
from freehold.toolbox.patterns import segment_regex

NOT_FOUND = 127
_LOOP_LIMIT = 1_000_000
_DEPTH_LIMIT = 40  # a level is some eight frames of ours, and callers have theirs


class Exit(Exception):
    """``exit``: ends the shell, or the subshell it was said in."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Failure(Exception):
    """A command failed; the text goes to its standard error."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


class Sink:
    """Where output goes; in the end a buffer or a file."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.write = write


@dataclass
class Streams:
    """What a command reads and writes."""

    stdin: bytes
    out: Sink
    err: Sink

    def print(self, text: str) -> None:
        """Write to standard output."""
        self.out.write(text.encode("utf-8", "surrogateescape"))


@dataclass
class State:
    """What a shell remembers; subshells have a copy."""

    cwd: str
    variables: dict[str, str] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    functions: dict[str, Command] = field(default_factory=dict)
    positional: list[str] = field(default_factory=list)
    status: int = 0

    def copy(self) -> State:
        """The same, apart."""
        return State(
            self.cwd,
            dict(self.variables),
            set(self.exported),
            dict(self.functions),
            list(self.positional),
            self.status,
        )


Builtin = Callable[["Interpreter", list[str], Streams], Awaitable[int]]


class Interpreter:
    """One shell, or one subshell of it."""

    def __init__(
        self,
        files: MemoryFiles,
        state: State,
        commands: dict[str, Builtin],
        jobs: dict[int, asyncio.Task[int]],
        depth: int = 0,
    ) -> None:
        self.files = files
        self.state = state
        self.jobs = jobs
        self._commands = commands
        self._depth = depth

    async def script(self, text: str, streams: Streams) -> int:
        """Run a script; its status.

        Raises:
            Exit: the script said so.
        """
        try:
            parsed = syntax.parse(text)
        except syntax.SyntaxProblem as problem:
            streams.err.write(f"bash: {problem}\n".encode())
            self.state.status = 2
            return 2
        return await self.run(parsed, streams)

    async def run(self, commands: List, streams: Streams) -> int:
        """Run commands one after another; the last one's status."""
        for item in commands.items:
            if item.background:
                self._start(item, streams)
                self.state.status = 0
            else:
                self.state.status = await self._and_or(item, streams)
        return self.state.status

    def subshell(self) -> Interpreter:
        """A copy whose changes stay its own.

        Raises:
            Failure: nested beyond all reason.
        """
        if self._depth >= _DEPTH_LIMIT:
            raise Failure("nested too deeply")
        return Interpreter(
            self.files, self.state.copy(), self._commands, self.jobs, self._depth + 1
        )

    def path(self, name: str) -> str:
        """The absolute form of a path."""
        return posixpath.normpath(posixpath.join(self.state.cwd, name))

    def lookup(self, name: str) -> bool:
        """Whether there is a command of this name."""
        return name in self._commands or name in self.state.functions

    async def isolated(self, work: Callable[[Interpreter], Awaitable[int]]) -> int:
        """Run in a subshell, whose ``exit`` ends nothing else."""
        try:
            return await work(self.subshell())
        except Exit as done:
            return done.status

    def _start(self, item: AndOr, streams: Streams) -> None:
        quiet = Streams(b"", streams.out, streams.err)
        pid = max(self.jobs, default=100) + 1
        self.jobs[pid] = asyncio.get_running_loop().create_task(
            self._job(item, quiet), name=f"job {pid}"
        )
        self.state.variables["!"] = str(pid)

    async def _job(self, item: AndOr, streams: Streams) -> int:
        return await self.isolated(lambda inner: inner._and_or(item, streams))

    async def _and_or(self, item: AndOr, streams: Streams) -> int:
        status = 0
        for joined, pipeline in item.steps:
            if (joined == "&&" and status) or (joined == "||" and not status):
                continue
            status = await self._pipeline(pipeline, streams)
            self.state.status = status
        return status

    async def _pipeline(self, pipeline: Pipeline, streams: Streams) -> int:
        if len(pipeline.commands) == 1:
            status = await self.command(pipeline.commands[0], streams)
        else:
            status = await self._piped(pipeline.commands, streams)
        return int(not status) if pipeline.negated else status

    async def _piped(self, commands: list[Command], streams: Streams) -> int:
        # One after another, with the whole output handed on: nothing here runs without end.
        data = streams.stdin
        status = 0
        for index, command in enumerate(commands):
            last = index == len(commands) - 1
            buffer = bytearray()
            out = streams.out if last else Sink(buffer.extend)
            inner = Streams(data, out, streams.err)

            async def run(
                shell: Interpreter, command: Command = command, inner: Streams = inner
            ) -> int:
                return await shell.command(command, inner)

            status = await self.isolated(run)
            data = bytes(buffer)
        return status

    async def command(self, command: Command, streams: Streams) -> int:
        """Run one command with its redirections; its status."""
        # Lets a timeout or another call in, whatever loop this is.
        await asyncio.sleep(0)
        try:
            for redirect in command.redirects:
                streams = await self._redirected(redirect, streams)
            return await self._what(command, streams)
        except Failure as failure:
            streams.err.write(f"bash: {failure}\n".encode("utf-8", "surrogateescape"))
            return failure.status
        except OSError as error:
            text = f"bash: {error.filename}: {reason(error)}\n"
            streams.err.write(text.encode("utf-8", "surrogateescape"))
            return 1

    async def _what(self, command: Command, streams: Streams) -> int:
        what = command.what
        if isinstance(what, Simple):
            return await self._simple(what, streams)
        if isinstance(what, Group):
            if what.subshell:
                return await self.isolated(lambda inner: inner.run(what.body, streams))
            return await self.run(what.body, streams)
        if isinstance(what, Function):
            self.state.functions[what.name] = what.body
            return 0
        if isinstance(what, For):
            return await self._for(what, streams)
        if isinstance(what, Loop):
            return await self._loop(what, streams)
        return await self._if(what, streams)

    async def _for(self, loop: For, streams: Streams) -> int:
        status = 0
        for value in await self.expand(loop.words, streams):
            self.state.variables[loop.name] = value
            status = await self.run(loop.body, streams)
        return status

    async def _loop(self, loop: Loop, streams: Streams) -> int:
        status = 0
        for _ in range(_LOOP_LIMIT):
            if (await self.run(loop.condition, streams) == 0) is loop.until:
                return status
            status = await self.run(loop.body, streams)
        raise Failure("a loop without end")

    async def _if(self, choice: If, streams: Streams) -> int:
        for condition, body in choice.branches:
            if await self.run(condition, streams) == 0:
                return await self.run(body, streams)
        return await self.run(choice.otherwise, streams) if choice.otherwise else 0

    async def _simple(self, simple: Simple, streams: Streams) -> int:
        status_before = self.state.status
        assigned = {name: await self._joined(parts, streams) for name, parts in simple.assignments}
        words = await self.expand(simple.words, streams)
        if not words:
            self.state.variables.update(assigned)
            return self.state.status if simple.assignments else status_before
        name, arguments = words[0], words[1:]
        saved = {key: self.state.variables.get(key) for key in assigned}
        self.state.variables.update(assigned)
        try:
            return await self._invoke(name, arguments, streams)
        finally:
            for key, value in saved.items():
                if value is None:
                    self.state.variables.pop(key, None)
                else:
                    self.state.variables[key] = value

    async def _invoke(self, name: str, arguments: list[str], streams: Streams) -> int:
        function = self.state.functions.get(name)
        if function is not None:
            if self._depth >= _DEPTH_LIMIT:
                raise Failure(f"{name}: nested too deeply")
            before, self.state.positional = self.state.positional, arguments
            self._depth += 1
            try:
                return await self.command(function, streams)
            finally:
                self._depth -= 1
                self.state.positional = before
        builtin = self._commands.get(posixpath.basename(name))
        if builtin is None:
            raise Failure(f"{name}: command not found", NOT_FOUND)
        return await builtin(self, arguments, streams)

    async def _redirected(self, redirect: Redirect, streams: Streams) -> Streams:
        if redirect.operator == "<<":
            text = await self._joined(redirect.target, streams)
            return Streams(text.encode("utf-8", "surrogateescape"), streams.out, streams.err)
        target = await self._joined(redirect.target, streams)
        if redirect.operator == "<<<":
            return Streams((target + "\n").encode(), streams.out, streams.err)
        if redirect.operator == "<":
            return Streams(self.files.read(self.path(target)), streams.out, streams.err)
        if redirect.operator == ">&" and target in ("1", "2"):
            sink = streams.out if target == "1" else streams.err
        else:
            sink = self._file_sink(self.path(target), append=redirect.operator == ">>")
        if redirect.operator == "&>":
            return Streams(streams.stdin, sink, sink)
        if redirect.descriptor == 2:
            return Streams(streams.stdin, streams.out, sink)
        return Streams(streams.stdin, sink, streams.err)

    def _file_sink(self, path: str, *, append: bool) -> Sink:
        # Unlike the tools, a shell does not make the parents.
        self.files.scan(posixpath.dirname(path))
        if append:
            self.files.append(path, b"")
        else:
            self.files.write(path, b"")
        return Sink(lambda data: self.files.append(path, data))

    async def expand(self, words: list[list[Part]], streams: Streams) -> list[str]:
        """The fields that words become: variables, substitutions, splitting, file names."""
        fields: list[str] = []
        for word in words:
            fields += await self._fields(word, streams)
        return fields

    async def _fields(self, word: list[Part], streams: Streams) -> list[str]:
        fields: list[str] = []
        current = ""
        present = False
        pattern = False
        for index, part in enumerate(word):
            if part.quoted and part.kind == "variable" and part.text == "@":
                values = self.state.positional
                if values:
                    current += values[0]
                    present = True
                    for value in values[1:]:
                        fields.append(current)
                        current = value
                continue
            value = await self._value(part, streams)
            if part.kind == "text" or part.quoted:
                if index == 0 and value == "~" and not part.quoted:
                    value = self.state.variables.get("HOME", "/")
                current += value
                present = present or part.quoted or bool(value)
                pattern = pattern or (not part.quoted and value in ("*", "?", "["))
                continue
            pieces = value.split()
            if value[:1].isspace() and current:
                fields.append(current)
                current = ""
            for number, piece in enumerate(pieces):
                if number:
                    fields.append(current)
                    current = ""
                current += piece
                present = True
        if present:
            fields.append(current)
        return self._names(fields[-1]) or fields if pattern and len(fields) == 1 else fields

    async def _joined(self, word: list[Part], streams: Streams) -> str:
        values = [await self._value(part, streams) for part in word]
        if word and word[0] == Part("text", "~", False):
            values[0] = self.state.variables.get("HOME", "/")
        return "".join(values)

    async def _value(self, part: Part, streams: Streams) -> str:
        if part.kind == "text":
            return part.text
        if part.kind == "variable":
            value = self._variable(part.text)
            return part.default if part.default is not None and not value else value
        if part.kind == "arithmetic":
            return str(self._arithmetic(part.text))
        buffer = bytearray()
        inner = Streams(b"", Sink(buffer.extend), streams.err)
        body = part.body or List([])
        self.state.status = await self.isolated(lambda shell: shell.run(body, inner))
        return buffer.decode("utf-8", "surrogateescape").rstrip("\n")

    def _variable(self, name: str) -> str:
        if name == "?":
            return str(self.state.status)
        if name == "$":
            return "100"
        if name == "#":
            return str(len(self.state.positional))
        if name in ("@", "*"):
            return " ".join(self.state.positional)
        if name == "PWD":
            return self.state.cwd
        if name.isdigit():
            number = int(name)
            if number == 0:
                return "bash"
            return self.state.positional[number - 1] if number <= len(self.state.positional) else ""
        return self.state.variables.get(name, "")

    def _arithmetic(self, text: str) -> int:
        names = syntax.NAME.sub(lambda match: self._variable(match.group()) or "0", text)
        names = names.replace("$", "").replace("/", "//")
        try:
            return _evaluate(ast.parse(names.strip() or "0", mode="eval").body)
        except (SyntaxError, ValueError, ZeroDivisionError, RecursionError):
            raise Failure(f"{text}: arithmetic syntax error") from None

    def _names(self, pattern: str) -> list[str]:
        """The paths that fit, if any; wildcards work in the last segment."""
        folder, _, last = pattern.rpartition("/")
        try:
            regex = segment_regex(last)
            entries = self.files.scan(
                self.path(folder or ("/" if pattern.startswith("/") else "."))
            )
        except (OSError, ValueError):
            return []
        prefix = pattern[: len(pattern) - len(last)]
        return [
            prefix + entry.name
            for entry in entries
            if regex.match(entry.name) and (last.startswith(".") or not entry.name.startswith("."))
        ]


_OPERATIONS: dict[type[ast.AST], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISONS: dict[type[ast.AST], Callable[[int, int], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def _evaluate(node: ast.expr) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_evaluate(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_evaluate(node.left), _evaluate(node.right))
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARISONS:
        compare = _COMPARISONS[type(node.ops[0])]
        return int(compare(_evaluate(node.left), _evaluate(node.comparators[0])))
    raise ValueError
