"""The words that the scripted shell knows."""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import Callable

from freehold.sandbox.scripted.interpreter import (
    Builtin,
    Exit,
    Failure,
    Interpreter,
    Streams,
)
from freehold.toolbox.filesystem import reason

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "0": "\0", "a": "\a", "e": "\033"}
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|0[0-7]{1,3}|[0-7]{1,3}|.)", re.DOTALL)
_DIRECTIVE = re.compile(r"%(-?0?[0-9]*)([sdbq%])")
_SIGNALLED = 143

COMMANDS: dict[str, Builtin] = {}
"""Name to function. A program that is not here is ``command not found``."""


def _known_as(*names: str) -> Callable[[Builtin], Builtin]:
    def register(function: Builtin) -> Builtin:
        for name in names:
            COMMANDS[name] = function
        return function

    return register


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _unescaped(text: str) -> bytes:
    out = bytearray()
    at = 0
    for match in _ESCAPE.finditer(text):
        out += _bytes(text[at : match.start()])
        at = match.end()
        code = match.group(1)
        if code[0] == "x" and len(code) > 1:
            out.append(int(code[1:], 16))
        elif code[0].isdigit():
            out.append(int(code, 8) & 0xFF)
        else:
            out += _bytes(_ESCAPES.get(code, "\\" + code))
    return bytes(out + _bytes(text[at:]))


def _options(arguments: list[str]) -> tuple[set[str], list[str]]:
    """Single-letter options before the first operand, and the operands."""
    flags: set[str] = set()
    for index, argument in enumerate(arguments):
        if argument == "--":
            return flags, arguments[index + 1 :]
        if not argument.startswith("-") or argument == "-":
            return flags, arguments[index:]
        flags.update(argument[1:])
    return flags, []


def _number(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Failure(f"{name}: {text}: numeric argument required", 2) from None


async def _each_input(
    shell: Interpreter, name: str, operands: list[str], streams: Streams
) -> tuple[list[bytes], int]:
    """What the named files hold, or standard input; and 1 if any is missing."""
    if not operands:
        return [streams.stdin], 0
    found: list[bytes] = []
    status = 0
    for operand in operands:
        path = shell.path(operand)
        try:
            if operand == "-":
                found.append(streams.stdin)
            elif shell.files.stat(path).kind == "directory":
                raise IsADirectoryError(operand)
            else:
                found.append(shell.files.read(path))
        except OSError as error:
            text = reason(error)
            streams.err.write(_bytes(f"{name}: {operand}: {text[0].upper()}{text[1:]}\n"))
            status = 1
    return found, status


@_known_as("true", ":", "set", "trap", "umask")
async def _true(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    return 0


@_known_as("false")
async def _false(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    return 1


@_known_as("echo")
async def _echo(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    newline, escapes = True, False
    while arguments and arguments[0] in ("-n", "-e", "-ne", "-en"):
        newline = newline and "n" not in arguments[0]
        escapes = escapes or "e" in arguments[0]
        arguments = arguments[1:]
    text = " ".join(arguments)
    streams.out.write((_unescaped(text) if escapes else _bytes(text)) + b"\n" * newline)
    return 0


@_known_as("printf")
async def _printf(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    if not arguments:
        raise Failure("printf: usage: printf format [arguments]", 2)
    template, rest = arguments[0], arguments[1:]
    while True:
        before = len(rest)

        def directive(match: re.Match[str]) -> str:
            nonlocal rest
            width, kind = match.groups()
            if kind == "%":
                return "%"
            value, rest = (rest[0], rest[1:]) if rest else ("", [])
            if kind == "d":
                return f"%{width}d" % _number(value or "0", "printf")
            # Escapes are for the format alone.
            return f"%{width}s" % value.replace("\\", "\\\\")

        streams.out.write(_unescaped(_DIRECTIVE.sub(directive, template)))
        if not rest or len(rest) == before:
            return 0


@_known_as("cat")
async def _cat(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    _, operands = _options(arguments)
    found, status = await _each_input(shell, "cat", operands, streams)
    for data in found:
        streams.out.write(data)
    return status


@_known_as("pwd")
async def _pwd(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    streams.print(shell.state.cwd + "\n")
    return 0


@_known_as("cd")
async def _cd(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    name = arguments[0] if arguments else shell.state.variables.get("HOME", "/")
    target = shell.state.variables.get("OLDPWD", "/") if name == "-" else shell.path(name)
    try:
        shell.files.scan(target)
    except OSError as error:
        text = reason(error)
        raise Failure(f"cd: {name}: {text[0].upper()}{text[1:]}") from None
    shell.state.variables["OLDPWD"] = shell.state.cwd
    shell.state.cwd = target
    return 0


@_known_as("export", "declare", "local", "readonly")
async def _export(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    for argument in arguments:
        name, given, value = argument.partition("=")
        if given:
            shell.state.variables[name] = value
        shell.state.exported.add(name)
    return 0


@_known_as("unset")
async def _unset(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    for name in arguments:
        shell.state.variables.pop(name, None)
        shell.state.functions.pop(name, None)
        shell.state.exported.discard(name)
    return 0


@_known_as("env", "printenv")
async def _env(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    for name in sorted(shell.state.exported):
        streams.print(f"{name}={shell.state.variables.get(name, '')}\n")
    streams.print(f"PWD={shell.state.cwd}\n")
    return 0


@_known_as("exit", "return")
async def _exit(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    raise Exit(_number(arguments[0], "exit") & 0xFF if arguments else shell.state.status)


@_known_as("sleep")
async def _sleep(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    try:
        seconds = sum(float(argument.removesuffix("s")) for argument in arguments)
    except ValueError:
        raise Failure("sleep: invalid time interval") from None
    await asyncio.sleep(seconds)
    return 0


@_known_as("wait")
async def _wait(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    waited = [int(pid) for pid in arguments if pid.isdigit()] or list(shell.jobs)
    own = asyncio.current_task()
    tasks = [shell.jobs[pid] for pid in waited if pid in shell.jobs and shell.jobs[pid] is not own]
    if tasks:
        await asyncio.wait(tasks)
    return 0


@_known_as("kill")
async def _kill(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    flags, operands = _options(arguments)
    status = 0
    for operand in operands:
        task = shell.jobs.get(int(operand)) if operand.isdigit() else None
        if operand == "100":
            raise Exit(_SIGNALLED)
        if task is None or task.done():
            streams.err.write(_bytes(f"bash: kill: ({operand}) - No such process\n"))
            status = 1
        elif flags != {"0"}:
            task.cancel()
    return status


@_known_as("bash", "sh")
async def _bash(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    flags, operands = _options(arguments)
    if "c" in flags:
        text = operands[0] if operands else ""
    elif operands:
        text = shell.files.read(shell.path(operands[0])).decode("utf-8", "surrogateescape")
    else:
        text = streams.stdin.decode("utf-8", "surrogateescape")
    inner = Streams(streams.stdin if operands else b"", streams.out, streams.err)

    async def run(child: Interpreter) -> int:
        child.state.variables = {
            name: value
            for name, value in child.state.variables.items()
            if name in child.state.exported
        }
        child.state.functions = {}
        child.state.positional = operands[1:]
        return await child.script(text, inner)

    return await shell.isolated(run)


@_known_as("eval")
async def _eval(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    return await shell.script(" ".join(arguments), streams)


@_known_as("read")
async def _read(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    _, names = _options(arguments)
    line = streams.stdin.partition(b"\n")[0].decode("utf-8", "surrogateescape")
    values = line.split(None, max(len(names) - 1, 0)) if len(names) > 1 else [line.strip()]
    for index, name in enumerate(names or ["REPLY"]):
        shell.state.variables[name] = values[index] if index < len(values) else ""
    return 0 if streams.stdin else 1


@_known_as("ls")
async def _ls(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    flags, operands = _options(arguments)
    status = 0
    for operand in operands or ["."]:
        path = shell.path(operand)
        try:
            if shell.files.stat(path).kind != "directory" or "d" in flags:
                streams.print(operand + "\n")
                continue
            entries = shell.files.scan(path)
        except OSError as error:
            text = reason(error)
            complaint = f"ls: cannot access '{operand}': {text[0].upper()}{text[1:]}\n"
            streams.err.write(_bytes(complaint))
            status = 2
            continue
        if len(operands) > 1:
            streams.print(f"{operand}:\n")
        for entry in entries:
            if not entry.name.startswith(".") or flags & {"a", "A"}:
                streams.print(entry.name + "\n")
    return status


@_known_as("mkdir")
async def _mkdir(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    flags, operands = _options(arguments)
    for operand in operands:
        path = shell.path(operand)
        if "p" not in flags:
            if shell.files.exists(path):
                raise Failure(f"mkdir: cannot create directory '{operand}': File exists")
            shell.files.scan(posixpath.dirname(path))
        shell.files.make_directory(path)
    return 0


@_known_as("rm", "rmdir")
async def _rm(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    flags, operands = _options(arguments)
    for operand in operands:
        path = shell.path(operand)
        if not shell.files.exists(path):
            if "f" in flags:
                continue
            raise Failure(f"rm: cannot remove '{operand}': No such file or directory")
        if shell.files.stat(path).kind == "directory" and not flags & {"r", "R"}:
            raise Failure(f"rm: cannot remove '{operand}': Is a directory")
        shell.files.delete(path)
    return 0


@_known_as("touch")
async def _touch(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    for operand in _options(arguments)[1]:
        shell.files.append(shell.path(operand), b"")
    return 0


@_known_as("cp", "mv")
async def _copy(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    _, operands = _options(arguments)
    if len(operands) != 2:
        raise Failure("cp and mv take one source and one destination here", 2)
    source, target = (shell.path(operand) for operand in operands)
    if shell.files.exists(target) and shell.files.stat(target).kind == "directory":
        target = posixpath.join(target, posixpath.basename(source))
    shell.files.write(target, shell.files.read(source))
    return 0


@_known_as("seq")
async def _seq(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    numbers = [_number(argument, "seq") for argument in arguments]
    if not 1 <= len(numbers) <= 3:
        raise Failure("seq: wrong number of operands")
    first = numbers[0] if len(numbers) > 1 else 1
    step = numbers[1] if len(numbers) == 3 else 1
    last = numbers[-1]
    if step == 0:
        raise Failure("seq: invalid zero increment")
    values = range(first, last + (1 if step > 0 else -1), step)
    streams.print("".join(f"{value}\n" for value in values))
    return 0


async def _part(shell: Interpreter, name: str, arguments: list[str], streams: Streams) -> int:
    count, unit = 10, "n"
    rest = list(arguments)
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        option = rest.pop(0)
        if option in ("-n", "-c"):
            unit = option[1]
            count = _number(rest.pop(0) if rest else "", name)
        elif option[1] in "nc":
            unit, count = option[1], _number(option[2:], name)
        else:
            count = _number(option[1:], name)
    found, status = await _each_input(shell, name, rest, streams)
    for data in found:
        if unit == "c":
            streams.out.write(data[:count] if name == "head" else data[max(len(data) - count, 0) :])
            continue
        pieces = data.splitlines(keepends=True)
        chosen = pieces[:count] if name == "head" else pieces[max(len(pieces) - count, 0) :]
        streams.out.write(b"".join(chosen))
    return status


@_known_as("head")
async def _head(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    return await _part(shell, "head", arguments, streams)


@_known_as("tail")
async def _tail(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    return await _part(shell, "tail", arguments, streams)


@_known_as("wc")
async def _wc(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    flags, operands = _options(arguments)
    found, status = await _each_input(shell, "wc", operands, streams)
    for index, data in enumerate(found):
        counts = {"l": data.count(b"\n"), "w": len(data.split()), "c": len(data)}
        shown = [str(counts[flag]) for flag in "lwc" if flag in (flags or counts)]
        name = f" {operands[index]}" if index < len(operands) else ""
        streams.print(" ".join(shown) + name + "\n")
    return status


@_known_as("sort")
async def _sort(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    flags, operands = _options(arguments)
    found, status = await _each_input(shell, "sort", operands, streams)
    lines = [line for data in found for line in data.splitlines()]
    lines = sorted(set(lines)) if "u" in flags else sorted(lines)
    if "n" in flags:
        lines.sort(key=lambda line: int(line) if line.strip().isdigit() else 0)
    if "r" in flags:
        lines.reverse()
    streams.out.write(b"".join(line + b"\n" for line in lines))
    return status


@_known_as("grep")
async def _grep(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    flags, operands = _options(arguments)
    if not operands:
        raise Failure("grep: a pattern is required", 2)
    try:
        regex = re.compile(_bytes(operands[0]), re.IGNORECASE if "i" in flags else 0)
    except re.error as error:
        raise Failure(f"grep: {error}", 2) from None
    found, status = await _each_input(shell, "grep", operands[1:], streams)
    lines = [line for data in found for line in data.splitlines()]
    hits = [line for line in lines if bool(regex.search(line)) is ("v" not in flags)]
    if "c" in flags:
        streams.print(f"{len(hits)}\n")
    elif "q" not in flags:
        streams.out.write(b"".join(line + b"\n" for line in hits))
    return 2 if status else int(not hits)


@_known_as("test", "[")
async def _test(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    words = arguments[:-1] if arguments and arguments[-1] == "]" else arguments
    if words and words[0] == "!":
        return int(not await _test(shell, words[1:], streams))
    return int(not _holds(shell, words))


def _holds(shell: Interpreter, words: list[str]) -> bool:
    if len(words) == 1:
        return bool(words[0])
    if len(words) == 2:
        check, operand = words
        if check in ("-z", "-n"):
            return bool(operand) is (check == "-n")
        path = shell.path(operand)
        if not shell.files.exists(path):
            return False
        found = shell.files.stat(path)
        return {
            "-e": True,
            "-f": found.kind == "file",
            "-d": found.kind == "directory",
            "-s": found.size > 0,
        }.get(check, False)
    if len(words) == 3:
        left, comparison, right = words
        if comparison in ("=", "==", "!="):
            return (left == right) is (comparison != "!=")
        a, b = _number(left, "test"), _number(right, "test")
        return {
            "-eq": a == b, "-ne": a != b, "-lt": a < b, "-le": a <= b, "-gt": a > b, "-ge": a >= b,
        }.get(comparison, False)  # fmt: skip
    return False


@_known_as("command", "type", "which")
async def _which(shell: Interpreter, arguments: list[str], streams: Streams) -> int:
    _, operands = _options(arguments)
    missing = 0
    for operand in operands:
        if shell.lookup(operand):
            streams.print(operand + "\n")
        else:
            missing = 1
    return missing
