"""The conformance checks find what is wrong: providers broken on purpose must fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from freehold.ports.sandbox import Sandbox, SandboxSpec, ToolCall, ToolOutcome
from freehold.sandbox.conformance import CHECKS, run
from freehold.sandbox.scripted import ScriptedSandbox, ScriptedSandboxProvider

Twist = Callable[["Broken", ToolCall], ToolCall]


class Broken(ScriptedSandbox):
    """A sandbox that changes calls on their way, or outcomes on theirs."""

    twist: Twist = staticmethod(lambda sandbox, call: call)
    spoil: Callable[[ToolOutcome], ToolOutcome] = staticmethod(lambda outcome: outcome)
    asked = 0

    async def call(self, call: ToolCall) -> ToolOutcome:
        type(self).asked += 1
        return type(self).spoil(await super().call(type(self).twist(self, call)))

    async def cancel(self, call_id: str) -> None:
        """Does not."""


def _provider(
    twist: Twist | None = None, spoil: Callable[[ToolOutcome], ToolOutcome] | None = None
):
    class Made(Broken):
        pass

    if twist:
        Made.twist = staticmethod(twist)
    if spoil:
        Made.spoil = staticmethod(spoil)

    class Provider(ScriptedSandboxProvider):
        async def acquire(self, spec: SandboxSpec) -> Sandbox:  # type: ignore[override]
            await super().acquire(spec)
            return Made(self._machines[spec.session_id])

    return Provider()


async def _status(provider: ScriptedSandboxProvider, name: str) -> str:
    (result,) = await run(provider, checks=[CHECKS[name]])
    return result.status


async def test_a_provider_that_runs_an_id_twice_fails() -> None:
    def renamed(sandbox: Broken, call: ToolCall) -> ToolCall:
        return ToolCall(f"{call.id}.{sandbox.asked}", call.name, call.input)

    provider = _provider(twist=renamed)
    assert await _status(provider, "one_id_runs_once") == "failed"
    assert await _status(provider, "one_id_is_waited_for") == "failed"
    assert await _status(provider, "bash_returns_output") == "passed"


async def test_a_provider_that_hides_errors_fails() -> None:
    provider = _provider(spoil=lambda outcome: ToolOutcome(outcome.content))
    assert await _status(provider, "bash_failure_carries_output") == "failed"
    assert await _status(provider, "inputs_are_checked_by_name") == "failed"


async def test_a_provider_that_forgets_its_shell_fails() -> None:
    def apart(sandbox: Broken, call: ToolCall) -> ToolCall:
        if call.name != "bash" or "command" not in call.input:
            return call
        return ToolCall(call.id, "bash", {**call.input, "command": f"( {call.input['command']}\n)"})

    assert await _status(_provider(twist=apart), "bash_keeps_variables") == "failed"


async def test_a_provider_that_changes_output_fails() -> None:
    provider = _provider(spoil=lambda outcome: ToolOutcome([], outcome.is_error))
    assert await _status(provider, "bash_returns_output") == "failed"


@pytest.mark.parametrize(
    "name", ["a_new_server_finds_the_sandbox", "bash_finds_the_usual_programs"]
)
async def test_what_does_not_apply_is_skipped_with_a_reason(name: str) -> None:
    (result,) = await run(ScriptedSandboxProvider(), checks=[CHECKS[name]])
    assert result.status == "skipped"
    assert result.detail
