"""What a check is given, and how checks are collected and run."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from freehold.core.events import Json
from freehold.ports.sandbox import (
    Root,
    Sandbox,
    SandboxProvider,
    SandboxSpec,
    ToolCall,
    ToolOutcome,
)

Reopen = Callable[[], SandboxProvider]
"""Another provider over the same sandboxes, as the next process of a server would make it."""


class CheckFailed(AssertionError):
    """The provider does not do what it must; the message says what it did."""


class NotApplicable(Exception):
    """The check has no meaning for this provider; the message says why."""


def expect(condition: object, message: str) -> None:
    """Insist.

    Raises:
        CheckFailed: the condition does not hold.
    """
    if not condition:
        raise CheckFailed(message)


def expect_equal(actual: object, expected: object, what: str) -> None:
    """Insist on equality.

    Raises:
        CheckFailed: the two differ.
    """
    expect(actual == expected, f"{what} is {actual!r}, not {expected!r}")


def expect_in(part: str, whole: str) -> None:
    """Insist that a text contains another.

    Raises:
        CheckFailed: it does not.
    """
    expect(part in whole, f"{part!r} is not in {whole[:500]!r}")


def text_of(outcome: ToolOutcome) -> str:
    """The text of an outcome that has one text block and nothing else.

    Raises:
        CheckFailed: it has another shape.
    """
    block = outcome.content[0] if len(outcome.content) == 1 else {}
    expect(block.get("type") == "text", f"not one text block: {outcome.content!r:.300}")
    return str(block["text"])


class Subject:
    """A provider under test and one sandbox that most checks share.

    Checks run one after another, each in a directory of its own.
    """

    def __init__(self, provider: SandboxProvider, reopen: Reopen | None = None) -> None:
        self.provider = provider
        self._reopen = reopen
        self._shared: Sandbox | None = None
        self._numbers = itertools.count(1)
        self._run = os.urandom(4).hex()
        self._sessions: list[str] = []
        self._here = ""

    @property
    def sandbox(self) -> Sandbox:
        """The shared sandbox."""
        assert self._shared is not None  # noqa: S101 - `begin` was called
        return self._shared

    async def begin(self, check: Check) -> None:
        """Get ready for a check: the shared sandbox, a directory, a shell that stands in it."""
        if self._shared is None:
            self._shared = await self.provider.acquire(self.spec())
        self._here = f"{self.sandbox.layout.workdir}/checks/{check.name}"
        await self.bash(f"mkdir -p '{self._here}' && cd '{self._here}'")

    async def end(self) -> None:
        """Remove every sandbox that was made, and let go of the provider."""
        for session in self._sessions:
            await self.provider.remove(session)
        await self.provider.close()

    def spec(self, *roots: Root) -> SandboxSpec:
        """A session that nobody has used; its sandbox is removed at the end."""
        session = f"sesn_conformance_{self._run}_{next(self._numbers)}"
        self._sessions.append(session)
        return SandboxSpec(session_id=session, roots=roots)

    def another_provider(self) -> SandboxProvider:
        """The provider that the next process would have.

        Raises:
            NotApplicable: nobody said how to make one.
        """
        if self._reopen is None:
            raise NotApplicable("no way was given to open the provider again")
        return self._reopen()

    @contextlib.asynccontextmanager
    async def fresh(self, *roots: Root) -> AsyncIterator[Sandbox]:
        """A sandbox for this check alone."""
        spec = self.spec(*roots)
        try:
            yield await self.provider.acquire(spec)
        finally:
            await self.provider.remove(spec.session_id)

    def path(self, name: str) -> str:
        """A path in the check's own directory."""
        return f"{self._here}/{name}"

    def tool_call(self, tool: str, given: Json | Any) -> ToolCall:
        """A call with a new id."""
        return ToolCall(f"sevt_{self._run}_{next(self._numbers)}", tool, given)

    async def outcome(self, tool: str, given: Json | Any) -> ToolOutcome:
        """The outcome of a new call."""
        return await self.sandbox.call(self.tool_call(tool, given))

    async def succeed(self, tool: str, **given: Any) -> str:
        """The text of a call that must succeed.

        Raises:
            CheckFailed: it did not.
        """
        outcome = await self.outcome(tool, given)
        text = text_of(outcome)
        expect(not outcome.is_error, f"{tool} failed: {text[:500]!r}")
        return text

    async def fail(self, tool: str, **given: Any) -> str:
        """The text of a call that must fail.

        Raises:
            CheckFailed: it did not.
        """
        outcome = await self.outcome(tool, given)
        text = text_of(outcome)
        expect(outcome.is_error, f"{tool} succeeded: {text[:500]!r}")
        return text

    async def bash(self, command: str, **given: Any) -> str:
        """The output of a command that must succeed."""
        return await self.succeed("bash", command=command, **given)

    async def write(self, name: str, content: str) -> str:
        """Write a file in the check's directory; its path."""
        await self.succeed("write", file_path=self.path(name), content=content)
        return self.path(name)

    async def needs_programs(self) -> None:
        """Go on only where real programs run.

        Raises:
            NotApplicable: the sandbox only plays at running commands.
        """
        outcome = await self.outcome("bash", {"command": "uname"})
        if outcome.is_error:
            raise NotApplicable("this sandbox runs no real programs")


@dataclass(frozen=True)
class Check:
    """One named check."""

    name: str
    purpose: str
    function: Callable[[Subject], Awaitable[None]]

    async def __call__(self, subject: Subject) -> None:
        """Run it.

        Raises:
            CheckFailed: the provider does not pass. NotApplicable: it need not.
        """
        await subject.begin(self)
        await self.function(subject)


CHECKS: dict[str, Check] = {}
"""Every check by name, in the order in which they run."""


def check(function: Callable[[Subject], Awaitable[None]]) -> Callable[[Subject], Awaitable[None]]:
    """Register a check under its function's name; its docstring is its purpose."""
    name = str(getattr(function, "__name__", ""))
    assert name not in CHECKS, name  # noqa: S101 - a name names one thing
    CHECKS[name] = Check(name, (function.__doc__ or "").strip(), function)
    return function


@dataclass(frozen=True)
class CheckResult:
    """How a check went."""

    name: str
    status: Literal["passed", "failed", "skipped"]
    detail: str
    seconds: float


async def run(
    provider: SandboxProvider,
    *,
    reopen: Reopen | None = None,
    checks: Iterable[Check] | None = None,
) -> list[CheckResult]:
    """Run all checks, or those given, and clean up. Never raises for what a provider does."""
    subject = Subject(provider, reopen)
    results = []
    try:
        for one in CHECKS.values() if checks is None else checks:
            results.append(await _result(one, subject))
    finally:
        await subject.end()
    return results


async def _result(one: Check, subject: Subject) -> CheckResult:
    began = time.monotonic()
    status: Literal["passed", "failed", "skipped"]
    try:
        await one(subject)
        status, detail = "passed", ""
    except NotApplicable as reason:
        status, detail = "skipped", str(reason)
    except Exception as error:  # a provider may fail in any way
        status, detail = "failed", f"{type(error).__name__}: {error}"
    return CheckResult(one.name, status, detail, time.monotonic() - began)
