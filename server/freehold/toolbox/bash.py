"""The tool ``bash`` (spec 4.6): one shell for the sandbox, one command at a time."""

from __future__ import annotations

import shlex
import threading

from .cancelling import Cancellation, cancelled_text
from .filesystem import reason
from .inputs import Input
from .outcomes import NO_OUTPUT, ToolError
from .shell import Shell

_CHANGING = 10.0
"""Seconds that a shell may take to change its variables."""
DEFAULT_TIMEOUT = 120.0
"""Seconds a command may take when the call does not say."""


class Bash:
    """The persistent shell behind the tool; made at the first call, and again after it died."""

    def __init__(self, workdir: str, environment: dict[str, str]) -> None:
        self._workdir = workdir
        self._environment = environment
        self._turn = threading.Lock()
        self._shell: Shell | None = None
        self._variables: dict[str, str] = {}
        self._given: dict[str, str] = {}
        """What of them the shell has."""

    def vary(self, variables: dict[str, str]) -> None:
        """Give the shell these variables before its next command, in the place of earlier ones."""
        self._variables = dict(variables)

    def run(self, given: Input, cancellation: Cancellation) -> str:
        """Run a command, or restart the shell. Calls that come meanwhile wait for their turn.

        Raises:
            ToolError: the command failed, took too long or was cancelled.
        """
        with self._turn:
            cancellation.check("bash")
            if given.get("restart"):
                self.close()
                self._started()
                return "bash session restarted"
            command: str = given.get("command") or ""
            if not command:
                raise ToolError("bash: command is required")
            return self._command(command, given.get("timeout_ms") or 0, cancellation)

    def close(self) -> None:
        """End the shell and everything it started."""
        shell, self._shell = self._shell, None
        if shell is not None:
            shell.kill()

    def _started(self) -> Shell:
        wanted = self._variables
        if self._shell is not None and self._shell.alive and wanted != self._given:
            try:
                self._shell.run(_changing(self._given, wanted), _CHANGING)
                self._given = wanted
            except TimeoutError:
                pass  # Killed, and started anew with them.
        if self._shell is None or not self._shell.alive:
            try:
                self._shell = Shell(self._workdir, {**self._environment, **wanted})
                self._given = wanted
            except OSError as error:
                raise ToolError(f"bash: cannot start the shell: {reason(error)}") from error
        return self._shell

    def _command(self, command: str, timeout_ms: int, cancellation: Cancellation) -> str:
        timeout = timeout_of(timeout_ms)
        shell = self._started()
        cancellation.on_cancel(shell.kill)
        try:
            output, status = shell.run(command, timeout)
        except TimeoutError as error:
            raise timed_out(timeout, str(error)) from None
        if cancellation.cancelled:
            raise cancelled(output)
        return finished(output, status)


def _changing(before: dict[str, str], after: dict[str, str]) -> str:
    """The command that brings a shell from some variables to others. What the agent itself has
    put in the place of one that is withdrawn stays."""
    lines = [
        f'[ "${{{name}-}}" = {shlex.quote(value)} ] && unset {name}'
        for name, value in before.items()
        if name not in after
    ]
    lines += [
        f"export {name}={shlex.quote(value)}"
        for name, value in after.items()
        if before.get(name) != value
    ]
    return "{ " + "; ".join([*lines, "true"]) + "; } >/dev/null 2>&1"


def timeout_of(timeout_ms: int) -> float:
    """Seconds that a call may take; 0 milliseconds mean the default."""
    return timeout_ms / 1000.0 if timeout_ms else DEFAULT_TIMEOUT


def finished(output: str, status: int | None) -> str:
    """What the model is told of a command that ended.

    Raises:
        ToolError: its status is not 0, or it has none since its shell was killed.
    """
    if status == 0:
        return output
    if status is None:
        text = "bash: the shell was killed; the next call starts a new one"
        raise ToolError(_with_output(text, output))
    raise ToolError(output or f"{NO_OUTPUT[:-1]}, exit status {status})")


def timed_out(timeout: float, output: str) -> ToolError:
    """What the model is told of a command that took longer than ``timeout`` seconds."""
    return ToolError(_with_output(f"bash: bash command timed out after {timeout}s", output))


def cancelled(output: str) -> ToolError:
    """What the model is told of a command that was cancelled."""
    return ToolError(_with_output(cancelled_text("bash"), output))


def _with_output(text: str, output: str) -> str:
    return f"{text}\nIts output until then:\n{output}" if output else text
