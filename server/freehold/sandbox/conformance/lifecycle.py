"""Checks of a provider: making, finding, losing and removing sandboxes."""

from __future__ import annotations

import asyncio

from freehold.errors import SandboxLost
from freehold.ports.sandbox import Finding, Sandbox, SandboxSpec, ToolOutcome
from freehold.sandbox.conformance.subject import (
    CheckFailed,
    Subject,
    check,
    expect,
    expect_equal,
    text_of,
)


async def _bash(subject: Subject, sandbox: Sandbox, command: str) -> str:
    outcome = await sandbox.call(subject.tool_call("bash", {"command": command}))
    expect(not outcome.is_error, f"{command!r} failed: {text_of(outcome)!r}")
    return text_of(outcome)


@check
async def provider_describes_itself(subject: Subject) -> None:
    """A provider has a name, a line about itself, and findings of its health, none bad."""
    expect(subject.provider.name and subject.provider.description, "no name or no description")
    findings = await subject.provider.check()
    expect(findings and all(isinstance(one, Finding) for one in findings), f"{findings}")
    expect(all(one.status != "error" for one in findings), f"{findings}")


@check
async def layout_is_known_before(subject: Subject) -> None:
    """The provider's paths mean, to the tools, what the sandbox says it has."""
    known, actual = subject.provider.layout, subject.sandbox.layout
    for before, path in ((known.workdir, actual.workdir), (known.outputs, actual.outputs)):
        probe = "layout-probe"
        await subject.succeed("write", file_path=f"{before}/{probe}", content=before)
        expect_equal(await subject.bash(f"cat {path}/{probe}"), before, f"{path}")
        expect_equal(await subject.bash(f"cat {before}/{probe}"), before, f"{before}")
        await subject.bash(f"rm {path}/{probe}")


@check
async def outputs_reach_the_server(subject: Subject) -> None:
    """What the agent puts into the outputs folder, the server can read."""
    path = f"{subject.sandbox.layout.outputs}/result.txt"
    await subject.bash(f"echo product > {path}")
    expect_equal(await subject.sandbox.read_file(path), b"product\n", "the file")
    await subject.bash(f"rm {path}")


@check
async def acquire_finds_the_same(subject: Subject) -> None:
    """A session has one sandbox, however often and by how many it is asked for."""
    spec = subject.spec()
    made = await asyncio.gather(*(subject.provider.acquire(spec) for _ in range(5)))
    again = await subject.provider.acquire(spec)
    expect_equal({one.identity for one in made}, {again.identity}, "the identities")
    await _bash(subject, made[0], "X=kept; echo data > file")
    expect_equal(await _bash(subject, again, "echo $X; cat file"), "kept\ndata", "what it holds")


@check
async def sessions_are_apart(subject: Subject) -> None:
    """Two sessions share neither files nor shells."""
    async with subject.fresh() as one, subject.fresh() as other:
        expect(one.identity != other.identity, "one identity for two sandboxes")
        await _bash(subject, one, "X=mine; echo secret > private")
        seen = await _bash(subject, other, "echo [$X]; ls; ls private 2>/dev/null || true")
        expect("private" not in seen and seen.startswith("[]"), f"the other sees {seen!r}")


@check
async def sessions_work_at_once(subject: Subject) -> None:
    """A command in one session does not hold up another."""
    async with subject.fresh() as one, subject.fresh() as other:
        slow = subject.tool_call("bash", {"command": "sleep 60"})
        running = asyncio.ensure_future(one.call(slow))
        expect_equal(await _bash(subject, other, "echo quick"), "quick", "the other's output")
        expect(not running.done(), "the slow command had ended")
        await one.cancel(slow.id)
        await running


@check
async def remove_deletes_everything(subject: Subject) -> None:
    """After ``remove`` the session's next sandbox is another one and empty."""
    spec = subject.spec()
    before = await subject.provider.acquire(spec)
    call = subject.tool_call("bash", {"command": "echo data > file; mkdir dir; echo run"})
    await before.call(call)
    await subject.provider.remove(spec.session_id)
    after = await subject.provider.acquire(spec)
    expect(after.identity != before.identity, "the identity is the same")
    text = await _bash(subject, after, "ls file dir 2>/dev/null; echo end")
    expect_equal(text, "end", "what it holds")


@check
async def remove_ends_what_runs(subject: Subject) -> None:
    """A call that is running when its sandbox is removed raises SandboxLost, soon."""
    spec = subject.spec()
    sandbox = await subject.provider.acquire(spec)
    await _bash(subject, sandbox, "true")
    running = asyncio.ensure_future(
        sandbox.call(subject.tool_call("bash", {"command": "sleep 60"}))
    )
    await asyncio.sleep(0.05)
    await subject.provider.remove(spec.session_id)
    try:
        outcome: ToolOutcome = await asyncio.wait_for(running, 20)
    except SandboxLost:
        return
    raise CheckFailed(f"the call had an outcome: {outcome}")


@check
async def removed_sandboxes_say_so(subject: Subject) -> None:
    """Whoever still holds a removed sandbox gets SandboxLost from every method."""
    spec = subject.spec()
    sandbox = await subject.provider.acquire(spec)
    await subject.provider.remove(spec.session_id)
    for attempt in (
        sandbox.call(subject.tool_call("bash", {"command": "true"})),
        sandbox.cancel("sevt_none"),
        sandbox.read_file("/etc/passwd"),
        sandbox.write_file("/tmp/x", b"x"),  # noqa: S108 - inside the sandbox
    ):
        try:
            await attempt
        except SandboxLost:
            continue
        raise CheckFailed("a removed sandbox answered")


@check
async def remove_of_nothing_is_nothing(subject: Subject) -> None:
    """Removing what does not exist, or twice, does nothing."""
    spec = subject.spec()
    await subject.provider.remove(spec.session_id)
    await subject.provider.acquire(spec)
    await subject.provider.remove(spec.session_id)
    await subject.provider.remove(spec.session_id)


@check
async def sweep_keeps_what_is_named(subject: Subject) -> None:
    """``sweep`` removes orphans, tells whose they were, and leaves the others alone."""
    kept, orphan = subject.spec(), subject.spec()
    sandbox = await subject.provider.acquire(kept)
    await subject.provider.acquire(orphan)

    class Keep:
        """Everything but the orphan: other sessions are not ours to remove."""

        def __contains__(self, session: object) -> bool:
            return session != orphan.session_id

    swept = await subject.provider.sweep(Keep())
    expect_equal(swept, [orphan.session_id], "what was swept")
    expect_equal(await _bash(subject, sandbox, "echo alive"), "alive", "the kept sandbox")
    expect_equal(await subject.provider.sweep(Keep()), [], "what was swept again")


@check
async def any_session_id_will_do(subject: Subject) -> None:
    """An id is a name and nothing else: dots and slashes lead nowhere."""
    for session in ("../escape", "a/b", "sesn with space", "ü"):
        sandbox = await subject.provider.acquire(SandboxSpec(session))
        try:
            expect_equal(await _bash(subject, sandbox, "echo in"), "in", f"{session!r}")
        finally:
            await subject.provider.remove(session)


@check
async def a_new_server_finds_the_sandbox(subject: Subject) -> None:
    """Another provider, as after a restart, finds the same sandbox and what it executed."""
    spec = subject.spec()
    sandbox = await subject.provider.acquire(spec)
    call = subject.tool_call("bash", {"command": "echo run >> runs; X=kept; echo result"})
    outcome = await sandbox.call(call)
    other = subject.another_provider()
    try:
        found = await other.acquire(spec)
        expect_equal(found.identity, sandbox.identity, "the identity")
        expect_equal(await found.call(call), outcome, "the outcome")
        expect_equal(await _bash(subject, found, "cat runs; echo $X"), "run\nkept", "what it holds")
    finally:
        await other.close()


@check
async def a_new_server_finds_the_running_call(subject: Subject) -> None:
    """A call that was running when its server went is picked up by the next, and runs once."""
    first, second = subject.another_provider(), subject.another_provider()
    spec = subject.spec()
    try:
        sandbox = await first.acquire(spec)
        command = "echo run >> runs; sleep 0.5; echo finished"
        call = subject.tool_call("bash", {"command": command})
        running = asyncio.ensure_future(sandbox.call(call))
        await asyncio.sleep(0.2)
        running.cancel()
        await asyncio.wait({running})
        await first.close()
        found = await second.acquire(spec)
        expect_equal(text_of(await found.call(call)), "finished", "the outcome")
        expect_equal(await _bash(subject, found, "cat runs"), "run", "what ran")
    finally:
        await second.remove(spec.session_id)
        await second.close()
