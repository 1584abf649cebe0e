"""A persistent bash that runs one command at a time.

Commands do not travel over the shell's standard input, and the end of a command is not looked for
in its output. Bash runs a one-line loop that reads commands from a descriptor of its own and
reports statuses on another; both are closed while a command runs, so that neither the command nor
what it leaves in the background can hold or disturb them. An unfinished quote is therefore a
syntax error of that command and nothing worse, and a background process delays no answer.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import subprocess
import threading
from typing import NamedTuple

from .processes import kill_tree

OUTPUT_LIMIT = 1024 * 1024
"""Bytes of a command's output that are kept: the last. More than a model is shown at once, since
the server puts what is too long for it into a file (spec 12.3)."""

TRUNCATED = "[output truncated]\n"

_CHUNK = 64 * 1024
_FIRST_DESCRIPTOR = 200
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links
    r"|[PX^_][^\x1b]*\x1b\\"  # DCS and its like
    r"|[ -/]+[0-~]"  # character sets
    r"|[0-Z\\^-~])"  # single functions
)

# One line, so that bash counts the lines of its error messages from the command's first. Traces
# of the loop itself (after `set -x`) go nowhere. The token is read after the command has ended:
# what the command can have learned does not serve to forge the report.
_LOOP = (
    # Where memory runs out, the kernel is to kill what the agent runs and not the toolbox.
    "{{ builtin printf 1000 >/proc/self/oom_score_adj; }} 2>/dev/null; "
    'while {{ IFS= builtin read -r -d "" -u {commands} __toolbox_command; }} 2>/dev/null; do '
    'builtin eval "$__toolbox_command" </dev/null {commands}<&- {reports}>&-; '
    "{{ __toolbox_status=$?; "
    'IFS= builtin read -r -d "" -u {commands} __toolbox_token || builtin exit; '
    'builtin printf "%s %s\\0" "$__toolbox_token" "$__toolbox_status" >&{reports}; '
    "}} 2>/dev/null; done"
)


class Result(NamedTuple):
    """What came of a command."""

    output: str
    status: int | None
    """The exit status; ``None`` when the command was killed before it had one."""


class Shell:
    """One bash process and the thread that carries its bytes."""

    def __init__(self, workdir: str, environment: dict[str, str]) -> None:
        """Start the shell.

        Raises:
            OSError: there is no bash, or the directory is gone.
        """
        self._command_source, self._command_sink = _pipe(high=True)
        self._report_source, self._report_sink = _pipe(high=True)
        self._output_source, output_sink = _pipe()
        self._wake_source, self._wake_sink = _pipe()
        loop = _LOOP.format(commands=self._command_source, reports=self._report_sink)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - running commands is what this is for
                ["/bin/bash", "--noprofile", "--norc", "-c", loop],
                cwd=workdir,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output_sink,
                stderr=output_sink,
                pass_fds=(self._command_source, self._report_sink),
                start_new_session=True,
            )
        except OSError:
            for descriptor in (
                self._command_sink,
                self._report_source,
                self._output_source,
                self._wake_source,
                self._wake_sink,
            ):
                os.close(descriptor)
            raise
        finally:
            for descriptor in (self._command_source, self._report_sink, output_sink):
                os.close(descriptor)
        for descriptor in (self._command_sink, self._report_source, self._output_source):
            os.set_blocking(descriptor, False)
        self._lock = threading.Lock()
        self._pending = b""
        self._token = b""
        self._reports = bytearray()
        self._output = bytearray()
        self._dropped = False
        self._done = threading.Event()
        self._done.set()
        self._status: int | None = None
        self._dead = threading.Event()
        self._pump_thread = threading.Thread(target=self._pump, daemon=True)
        self._pump_thread.start()
        threading.Thread(target=self._await_death, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it can take a command."""
        return not self._dead.is_set() and self._process.poll() is None

    def run(self, command: str, timeout: float) -> Result:
        """Run a command to its end.

        Call it from one thread at a time. When the shell itself ends (``exit``), the status is
        the shell's.

        Raises:
            TimeoutError: it took longer than ``timeout`` seconds; the shell and all it started
                were killed. Its first argument is the output until then.
        """
        token = os.urandom(16).hex().encode()
        with self._lock:
            if self._dead.is_set():
                return Result("", None)
            self._token = token
            self._status = None
            self._done.clear()
            self._pending = command.encode("utf-8") + b"\0" + token + b"\0"
            # Most commands fit into the pipe at once and need no help from the other thread.
            self._feed()
            if self._pending:
                self._wake()
        if not self._done.wait(timeout):
            self.kill()
            raise TimeoutError(self._take_output())
        return Result(self._take_output(), self._status)

    def kill(self) -> None:
        """Kill the shell and everything it started; a command in flight ends without a status."""
        if self._process.poll() is None:
            kill_tree(self._process.pid)
        self._dead.wait(5)

    def _feed(self) -> None:
        while self._pending:
            try:
                sent = os.write(self._command_sink, self._pending)
            except BlockingIOError:
                return
            except OSError:
                self._pending = b""
                return
            self._pending = self._pending[sent:]

    def _wake(self) -> None:
        try:
            os.write(self._wake_sink, b"w")
        except OSError:
            pass

    def _await_death(self) -> None:
        self._process.wait()
        try:
            os.write(self._wake_sink, b"d")
        except OSError:
            pass

    def _pump(self) -> None:
        poller = select.poll()
        for source in (self._output_source, self._report_source, self._wake_source):
            poller.register(source, select.POLLIN)
        ended = False
        while not ended:
            ready = poller.poll()
            for descriptor, _ in ready:
                if descriptor == self._output_source:
                    if not self._read_output(once=True):
                        poller.unregister(self._output_source)
                elif descriptor == self._wake_source:
                    ended = b"d" in os.read(self._wake_source, 64)
                elif descriptor == self._report_source:
                    if not self._read_report():
                        poller.unregister(self._report_source)
                elif descriptor == self._command_sink:
                    with self._lock:
                        self._feed()
                        if not self._pending:
                            poller.unregister(self._command_sink)
            with self._lock:
                if self._pending:
                    poller.register(self._command_sink, select.POLLOUT)
        self._read_report()
        self._read_output(once=False)
        with self._lock:
            if not self._done.is_set() and self._status is None:
                code = self._process.returncode
                self._status = code if code is not None and code >= 0 else None
            self._pending = b""
            self._dead.set()
            self._done.set()
            for descriptor in (
                self._command_sink,
                self._report_source,
                self._output_source,
                self._wake_source,
                self._wake_sink,
            ):
                os.close(descriptor)

    def _read_report(self) -> bool:
        try:
            data = os.read(self._report_source, 4096)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._reports += data
        while b"\0" in self._reports:
            report, _, self._reports = self._reports.partition(b"\0")
            # A command that guesses the descriptor may write before the report, but not the token.
            before, _, status = report.rpartition(b" ")
            if before.endswith(self._token) and status.isdigit():
                # All that the command wrote is in the pipe by now: the report came after it.
                self._read_output(once=False)
                self._status = int(status)
                self._done.set()
        return bool(data)

    def _read_output(self, *, once: bool) -> bool:
        budget = 1 if once else 64
        while budget:
            budget -= 1
            try:
                data = os.read(self._output_source, _CHUNK)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            with self._lock:
                self._output += data
                if len(self._output) > 2 * OUTPUT_LIMIT:
                    del self._output[:-OUTPUT_LIMIT]
                    self._dropped = True
        return True

    def _take_output(self) -> str:
        with self._lock:
            raw, self._output = self._output, bytearray()
            truncated, self._dropped = self._dropped, False
        return presentable(raw, truncated=truncated)


def presentable(raw: bytes | bytearray, *, truncated: bool = False) -> str:
    """Output as the model is shown it: the last :data:`OUTPUT_LIMIT` bytes, without escapes.

    ``truncated`` says that something before ``raw`` was dropped already.
    """
    if len(raw) > OUTPUT_LIMIT:
        truncated = True
        raw = raw[-OUTPUT_LIMIT:]
    if truncated:
        # The cut may have fallen inside a character.
        start = 0
        while start < len(raw) and raw[start] & 0xC0 == 0x80:
            start += 1
        raw = raw[start:]
    text = _ESCAPES.sub("", raw.decode("utf-8", "replace")).rstrip("\n")
    return TRUNCATED + text if truncated else text


def _pipe(*, high: bool = False) -> tuple[int, int]:
    """A pipe that children do not inherit; ``high`` keeps clear of numbers that scripts use."""
    pair = os.pipe()
    if not high:
        return pair
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR) for end in pair)
    for end in pair:
        os.close(end)
    return moved[0], moved[1]
