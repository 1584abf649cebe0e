"""The tool ``grep`` (spec 4.6, 12.2): ripgrep where there is one, else our own search."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable

from .cancelling import Cancellation
from .filesystem import Place, reason
from .inputs import Input
from .outcomes import ToolError
from .searching import Options

OUTPUT_LIMIT = 100 * 1024
DEADLINE = 30.0
"""Seconds a search may take."""

_MESSAGE_LIMIT = 2000


def options_of(place: Place, given: Input) -> Options:
    """The options of a call; ``-A`` and ``-B`` win over ``-C``, which wins over ``context``."""
    around: int = given["-C"] if "-C" in given else given.get("context", 0)
    mode = given.get("output_mode", "content")
    content = mode == "content"
    return Options(
        pattern=given["pattern"],
        path=os.path.normpath(place.resolve(given.get("path") or place.workdir)),
        mode=mode,
        globs=given.get("glob", ""),
        kind=given.get("type", ""),
        ignore_case=bool(given.get("-i")),
        line_numbers=given.get("-n", True),
        before=given.get("-B", around) if content else 0,
        after=given.get("-A", around) if content else 0,
        multiline=bool(given.get("multiline")),
    )


def collected(lines: Iterable[str], given: Input) -> str:
    """The text of an answer: ``offset`` lines left out, then at most ``head_limit`` (0: all)."""
    skip = given.get("offset", 0)
    limit = given.get("head_limit", 0)
    chosen: list[str] = []
    budget = OUTPUT_LIMIT
    for number, line in enumerate(lines):
        if number < skip:
            continue
        budget -= len(line.encode("utf-8", "replace")) + 1
        if budget < 0:
            if not chosen:
                chosen.append(line[:OUTPUT_LIMIT])
            chosen.append(f"[output truncated at {OUTPUT_LIMIT} bytes]")
            break
        chosen.append(line)
        if limit and len(chosen) >= limit:
            break
    return "\n".join(chosen) or "no matches"


def grep(
    place: Place, given: Input, cancellation: Cancellation, environment: dict[str, str]
) -> str:
    """Search in a process of its own, which can be stopped whatever the pattern.

    Raises:
        ToolError: pattern, path or another option makes no sense; it took too long.
    """
    options = options_of(place, given)
    try:
        is_directory = place.files.stat(options.path).kind == "directory"
    except OSError as error:
        raise ToolError(f"grep: {given.get('path')}: {reason(error)}") from error
    program = _find("rg", environment.get("PATH", os.defpath))
    command = ripgrep_command(program, options) if program else _own_command(options)
    try:
        # ripgrep takes globs with a slash from the directory it stands in.
        search = _Search(command, environment, options.path if is_directory else "/")
    except OSError as error:
        raise ToolError(f"grep: {options.path}: {reason(error)}") from error
    cancellation.on_cancel(search.kill)
    timer = threading.Timer(DEADLINE, search.expire)
    timer.daemon = True
    timer.start()
    try:
        text = collected(search.lines(), given)
    finally:
        timer.cancel()
        message = search.finish()
    cancellation.check("grep")
    if search.expired:
        raise ToolError(f"grep: timed out after {DEADLINE:.0f}s")
    # ripgrep exits with 2 for one unreadable file among many, too; what it found still counts.
    if text == "no matches" and message:
        raise ToolError(f"grep: rg failed: {message}" if program else f"grep: {message}")
    return text


class _Search:
    def __init__(self, command: list[str], environment: dict[str, str], folder: str) -> None:
        self.expired = False
        self._process = subprocess.Popen(  # noqa: S603 - the arguments are a list, no shell
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._message = b""
        # Read aside, or a flood of complaints would block the search.
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def lines(self) -> Iterable[str]:
        output = self._process.stdout
        assert output is not None  # noqa: S101 - PIPE was asked for
        for raw in output:
            yield raw.rstrip(b"\r\n").decode("utf-8", "replace")

    def kill(self) -> None:
        self._process.kill()

    def expire(self) -> None:
        self.expired = True
        self.kill()

    def finish(self) -> str | None:
        """End the process; what it complained of if it failed of itself."""
        status = self._process.poll()
        if status is None:
            output = self._process.stdout
            at_end = output is None or not output.peek(1)  # type: ignore[attr-defined]
            if not at_end:
                self.kill()
            status = self._process.wait()
        self._listener.join(1)
        if self._process.stdout is not None:
            self._process.stdout.close()
        if status != 2:
            return None
        return self._message.decode("utf-8", "replace").strip()[:_MESSAGE_LIMIT]

    def _listen(self) -> None:
        errors = self._process.stderr
        assert errors is not None  # noqa: S101 - PIPE was asked for
        with errors:
            self._message = errors.read(_MESSAGE_LIMIT * 4)
            while errors.read(65536):
                pass


def ripgrep_command(program: str, options: Options) -> list[str]:
    """The command line that asks ripgrep for what the options say."""
    command = [program, "--no-config", "--no-heading", "--color=never", "--hidden", "--no-messages"]
    command += ["--with-filename", "--sort=path", "--crlf", "--glob=!.git"]
    if options.mode == "files_with_matches":
        command.append("--files-with-matches")
    elif options.mode == "count":
        command.append("--count")
    else:
        command.append("--line-number" if options.line_numbers else "--no-line-number")
        if options.before:
            command.append(f"--before-context={options.before}")
        if options.after:
            command.append(f"--after-context={options.after}")
    if options.ignore_case:
        command.append("--ignore-case")
    if options.multiline:
        command += ["--multiline", "--multiline-dotall"]
    if options.globs:
        command.append(f"--glob={options.globs}")
    if options.kind:
        command.append(f"--type={options.kind}")
    return [*command, "-e", options.pattern, "--", options.path]


def _own_command(options: Options) -> list[str]:
    package = __package__ or "toolbox"
    root = __file__
    for _ in range(len(package.split(".")) + 1):
        root = os.path.dirname(root)
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); "
        f"from {package}.searching import main; main()"
    )
    return [sys.executable, "-I", "-S", "-c", code, root, json.dumps(options._asdict())]


def _find(program: str, path: str) -> str | None:
    for folder in path.split(os.pathsep):
        candidate = os.path.join(folder, program)
        if folder.startswith("/") and os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    return None
