"""Servers that start in a moment: forks of a process that has loaded all they import.

``python -m tests.support.forking`` is that process: it loads, holds no state of its own, and
forks a server for each request on its standard input. What it forks is a process like any other,
to be killed at will.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class Forked:
    """A process that another one forked, in the terms of :class:`subprocess.Popen`."""

    def __init__(self, template: Template, pid: int) -> None:
        self.pid = pid
        self._template = template
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, as soon as there is one."""
        if self._code is None:
            self._code = self._template.ask({"poll": self.pid})
        return self._code

    def wait(self, timeout: float) -> int:
        """Wait for the end."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("forked server", timeout)
            time.sleep(0.005)
        return code

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Send it unless the process is gone."""
        if self.poll() is None:
            os.kill(self.pid, number)


class Template:
    """The process that forks servers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def spawn(self, command: list[str], environment: Mapping[str, str], log: Path) -> Forked:
        """Run ``python -m freehold`` with the arguments of ``command`` behind it."""
        arguments = command[command.index("freehold") + 1 :]
        start = {"start": arguments, "environment": dict(environment), "log": str(log)}
        return Forked(self, self.ask(start))

    def ask(self, request: dict[str, Any]) -> Any:
        """Its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextlib.contextmanager
def template() -> Iterator[Template]:
    """One that has loaded everything, until the block ends."""
    command = [sys.executable, "-m", "tests.support.forking"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        made = Template(process)
        made.ask({"poll": 0})
        try:
            yield made
        finally:
            # Else it would be waited for, for ever.
            assert process.stdin is not None
            process.stdin.close()


def _become(arguments: list[str], environment: dict[str, str], log: str) -> None:
    """Be the server; never returns."""
    from freehold.cli.program import program

    code: object = 1
    try:
        for descriptor, path, flags in (
            (0, os.devnull, os.O_RDONLY),
            (1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        ):
            os.dup2(os.open(path, flags, 0o600), descriptor)
        os.dup2(1, 2)
        os.environ.clear()
        os.environ.update(environment)
        program(arguments)
    except SystemExit as exit_:
        code = exit_.code or 0
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 1)


def _poll(pid: int) -> int | None:
    if pid == 0:
        return None
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def main() -> None:
    """Load, then do as asked until nobody is there to ask."""
    import uvloop
    from uvicorn.protocols.http import httptools_impl

    from freehold import app
    from freehold.cli import listening, program
    from freehold.mcp import client

    assert all((uvloop, httptools_impl, app, listening, program, client))
    running: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        if "start" in request:
            pid = os.fork()
            if pid == 0:
                _become(request["start"], request["environment"], request["log"])
            running.add(pid)
            answer: int | None = pid
        else:
            answer = _poll(request["poll"])
            if answer is not None:
                running.discard(request["poll"])
        print(json.dumps(answer), flush=True)
    # Whoever asked may have been killed.
    for pid in running:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
