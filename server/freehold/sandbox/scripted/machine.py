"""One scripted sandbox's insides: its files, its shell and what it has executed."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from typing import Any

from freehold.core.events import Json
from freehold.ports.sandbox import Layout, ToolCall, ToolOutcome
from freehold.sandbox.scripted.commands import COMMANDS
from freehold.sandbox.scripted.interpreter import Exit, Interpreter, Sink, State, Streams
from freehold.sandbox.scripted.memory import MemoryFiles
from freehold.toolbox import bash
from freehold.toolbox.cancelling import Cancellation, cancelled_text
from freehold.toolbox.files import edit, read, write
from freehold.toolbox.filesystem import Place, reason
from freehold.toolbox.globbing import glob
from freehold.toolbox.grepping import collected, options_of
from freehold.toolbox.inputs import checked
from freehold.toolbox.outcomes import ToolError, failure, success
from freehold.toolbox.searching import SearchError, search
from freehold.toolbox.shell import OUTPUT_LIMIT, presentable

Outcomes = Mapping[str | re.Pattern[str], ToolOutcome]
"""What commands answer instead of being run: by the exact command, or by a pattern in it."""

HOME = "/home/agent"


class Lost(Exception):
    """The machine was thrown away."""


class Machine:
    """Executes calls, each id once, and keeps their outcomes."""

    def __init__(self, layout: Layout, outcomes: Outcomes) -> None:
        self.identity = os.urandom(16).hex()
        self.boot = os.urandom(8).hex()
        self.executed: list[ToolCall] = []
        self.files = MemoryFiles()
        for folder in (layout.workdir, layout.outputs, HOME):
            self.files.make_directory(folder)
        self.place = Place(self.files, layout.workdir, HOME)
        self._layout = layout
        self._outcomes = outcomes
        self._calls: dict[str, asyncio.Task[ToolOutcome]] = {}
        self._shell_turn = asyncio.Lock()
        self._shell: Interpreter | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def call(self, call: ToolCall) -> ToolOutcome:
        """The outcome of a call, run now or known.

        Raises:
            Lost: the machine was thrown away first.
        """
        if self._gone.done():
            raise Lost
        task = self._calls.get(call.id)
        if task is None:
            self.executed.append(call)
            task = asyncio.get_running_loop().create_task(self._executed(call))
            self._calls[call.id] = task
        waited: set[asyncio.Future[Any]] = {task, self._gone}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if self._gone.done():
            raise Lost
        return task.result()

    def cancel(self, call_id: str) -> None:
        """Stop a call if it is running."""
        task = self._calls.get(call_id)
        if task is not None:
            task.cancel()

    def lose(self) -> None:
        """Throw the machine away: running calls end without a result."""
        if not self._gone.done():
            self._gone.set_result(None)
        for task in self._calls.values():
            task.cancel()
        self._end_shell()

    @property
    def gone(self) -> bool:
        """Whether it was thrown away."""
        return self._gone.done()

    async def _executed(self, call: ToolCall) -> ToolOutcome:
        scripted = self._scripted(call)
        if scripted is not None:
            return scripted
        try:
            outcome = success(await self._run(call.name, call.input))
        except ToolError as error:
            outcome = failure(str(error))
        except asyncio.CancelledError:
            # It was still waiting for its turn.
            outcome = failure(cancelled_text(call.name))
        return ToolOutcome(outcome["content"], outcome["is_error"])

    def _scripted(self, call: ToolCall) -> ToolOutcome | None:
        given: object = call.input
        command = given.get("command") if isinstance(given, dict) else None
        if call.name != "bash" or not isinstance(command, str):
            return None
        for match, outcome in self._outcomes.items():
            if command == match if isinstance(match, str) else match.search(command):
                return outcome
        return None

    async def _run(self, name: str, given: Any) -> str | list[Json]:
        accepted = checked(name, given)
        if name == "bash":
            return await self._bash(accepted)
        if name == "read":
            return read(self.place, accepted)
        if name == "write":
            return write(self.place, accepted)
        if name == "edit":
            return edit(self.place, accepted)
        if name == "glob":
            return glob(self.place, accepted, Cancellation())
        return self._grep(accepted)

    def _grep(self, given: Json) -> str:
        options = options_of(self.place, given)
        try:
            return collected(search(self.files, options), given)
        except SearchError as error:
            raise ToolError(f"grep: {error}") from None
        except OSError as error:
            raise ToolError(f"grep: {given.get('path')}: {reason(error)}") from error

    async def _bash(self, given: Json) -> str:
        async with self._shell_turn:
            if given.get("restart"):
                self._end_shell()
                return "bash session restarted"
            command: str = given.get("command") or ""
            if not command:
                raise ToolError("bash: command is required")
            return await self._command(command, bash.timeout_of(given.get("timeout_ms") or 0))

    async def _command(self, command: str, timeout: float) -> str:
        output = bytearray()

        def keep(data: bytes) -> None:
            output.extend(data)
            # Longer than what is shown, so that the cut is marked.
            if len(output) > 4 * OUTPUT_LIMIT:
                del output[: -2 * OUTPUT_LIMIT]

        shell = self._shell = self._shell or self._new_shell()
        sink = Sink(keep)
        try:
            async with asyncio.timeout(timeout):
                status = await shell.script(command, Streams(b"", sink, sink))
        except TimeoutError:
            self._end_shell()
            raise bash.timed_out(timeout, presentable(output)) from None
        except asyncio.CancelledError:
            self._end_shell()
            raise bash.cancelled(presentable(output)) from None
        except Exit as done:
            self._shell = None
            status = done.status
        return bash.finished(presentable(output), status)

    def _new_shell(self) -> Interpreter:
        variables = {"HOME": HOME, "PATH": "/usr/bin:/bin", "USER": "agent", "LANG": "C.UTF-8"}
        state = State(self._layout.workdir, variables, set(variables))
        return Interpreter(self.files, state, COMMANDS, {})

    def _end_shell(self) -> None:
        shell, self._shell = self._shell, None
        if shell is not None:
            for job in shell.jobs.values():
                job.cancel()
