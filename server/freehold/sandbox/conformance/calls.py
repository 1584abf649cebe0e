"""Checks of what a call's id promises, of calls at the same time, and of cancelling."""

from __future__ import annotations

import asyncio
import contextlib

from freehold.ports.sandbox import ToolCall
from freehold.sandbox.conformance.subject import (
    Subject,
    check,
    expect,
    expect_equal,
    expect_in,
    text_of,
)

_LATE = 2.0  # long after the kill, also on a machine that is busy


async def _until(subject: Subject, name: str) -> None:
    """Wait for a file that a running command makes."""
    for _ in range(500):
        with contextlib.suppress(FileNotFoundError):
            await subject.sandbox.read_file(subject.path(name))
            return
        await asyncio.sleep(0.01)
    expect(False, f"the command never made {name}")


@check
async def one_id_runs_once(subject: Subject) -> None:
    """Asking again for an id gives the same outcome and does nothing."""
    call = subject.tool_call("bash", {"command": "echo run >> runs; echo result"})
    first = await subject.sandbox.call(call)
    second = await subject.sandbox.call(call)
    expect_equal(second, first, "the second outcome")
    expect_equal(await subject.bash("cat runs"), "run", "what ran")


@check
async def one_id_keeps_its_errors(subject: Subject) -> None:
    """An error is an outcome like others: asked again, it is told again."""
    call = subject.tool_call("read", {"file_path": subject.path("appears")})
    first = await subject.sandbox.call(call)
    await subject.write("appears", "too late")
    expect_equal(await subject.sandbox.call(call), first, "the second outcome")


@check
async def one_id_is_waited_for(subject: Subject) -> None:
    """Asking for an id that is running waits for that run."""
    call = subject.tool_call("bash", {"command": "echo run >> runs; sleep 0.2; echo result"})
    outcomes = await asyncio.gather(*(subject.sandbox.call(call) for _ in range(3)))
    expect(all(text_of(outcome) == "result" for outcome in outcomes), f"{outcomes}")
    expect_equal(await subject.bash("cat runs"), "run", "what ran")


@check
async def an_id_ignores_another_input(subject: Subject) -> None:
    """The id alone names the call; another input under it is not run."""
    call = subject.tool_call("bash", {"command": "echo first"})
    await subject.sandbox.call(call)
    other = ToolCall(call.id, "bash", {"command": "echo second"})
    expect_equal(text_of(await subject.sandbox.call(other)), "first", "the outcome")


@check
async def large_outcomes_are_repeated(subject: Subject) -> None:
    """A large outcome comes back whole, and again."""
    content = "0123456789\n" * 20_000
    path = await subject.write("large", content)
    call = subject.tool_call("read", {"file_path": path})
    for _ in range(2):
        expect(text_of(await subject.sandbox.call(call)) == content, "the content differs")


@check
async def many_calls_at_once(subject: Subject) -> None:
    """Forty calls at the same time each get their own outcome."""

    async def one(number: int) -> None:
        path = await subject.write(f"file{number}", f"content {number}")
        tool, given = (
            ("read", {"file_path": path}) if number % 2 else ("bash", {"command": f"cat '{path}'"})
        )
        text = text_of(await subject.outcome(tool, given))
        expect_equal(text, f"content {number}", f"call {number}")

    await asyncio.gather(*(one(number) for number in range(40)))


@check
async def commands_take_turns(subject: Subject) -> None:
    """Commands sent at the same time run one after another in the one shell."""
    command = "echo begin >> turns; sleep 0.05; echo end >> turns"
    await asyncio.gather(*(subject.bash(command) for _ in range(3)))
    expect_equal(await subject.bash("cat turns"), "\n".join(["begin", "end"] * 3), "the turns")


@check
async def files_do_not_wait_for_commands(subject: Subject) -> None:
    """The file tools and the server's own files work while a command runs."""
    await subject.write("file", "there")
    call = subject.tool_call("bash", {"command": "echo x > begun; sleep 60"})
    running = asyncio.ensure_future(subject.sandbox.call(call))
    await _until(subject, "begun")
    text = await subject.succeed("read", file_path=subject.path("file"))
    expect_equal(text, "there", "the content")
    expect(not running.done(), "the command had ended")
    await subject.sandbox.cancel(call.id)
    await running


@check
async def cancel_stops_a_command(subject: Subject) -> None:
    """A cancelled call ends with an error, for everyone who asks; the next has a new shell."""
    call = subject.tool_call("bash", {"command": "echo x > begun; echo so-far; sleep 60"})
    running = asyncio.ensure_future(subject.sandbox.call(call))
    await _until(subject, "begun")
    await subject.sandbox.cancel(call.id)
    outcome = await running
    expect(outcome.is_error, "the outcome is no error")
    expect_in("cancel", text_of(outcome))
    expect_equal(await subject.sandbox.call(call), outcome, "the outcome told again")
    expect_equal(await subject.bash("echo here"), "here", "the next call")


@check
async def cancel_kills_children(subject: Subject) -> None:
    """Cancelling kills what the command started."""
    behind = f"(sleep {_LATE}; echo late > late1) &"
    command = f"{behind} echo x > begun; bash -c 'sleep {_LATE}; echo late > late2'"
    call = subject.tool_call("bash", {"command": command})
    running = asyncio.ensure_future(subject.sandbox.call(call))
    await _until(subject, "begun")
    await subject.sandbox.cancel(call.id)
    await running
    await asyncio.sleep(_LATE + 0.1)
    text = await subject.succeed("glob", pattern="late*", path=subject.path(""))
    expect_equal(text, "no matches", "what was left running wrote")


@check
async def cancel_reaches_waiting_calls(subject: Subject) -> None:
    """A command that waits for its turn can be cancelled; the one before it goes on."""
    first = subject.tool_call("bash", {"command": "echo x > begun; sleep 0.4; echo first"})
    second = subject.tool_call("bash", {"command": "echo second > ran"})
    running = asyncio.ensure_future(subject.sandbox.call(first))
    await _until(subject, "begun")
    waiting = asyncio.ensure_future(subject.sandbox.call(second))
    # Settles the order: this call is answered after the second was taken.
    await subject.succeed("glob", pattern="begun", path=subject.path(""))
    await subject.sandbox.cancel(second.id)
    expect((await waiting).is_error, "the waiting call succeeded")
    expect_equal(text_of(await running), "first", "the call before it")
    text = await subject.succeed("glob", pattern="ran", path=subject.path(""))
    expect_equal(text, "no matches", "what the cancelled call wrote")


@check
async def cancel_of_others_is_nothing(subject: Subject) -> None:
    """Cancelling an unknown or a finished call does nothing."""
    call = subject.tool_call("bash", {"command": "echo done"})
    outcome = await subject.sandbox.call(call)
    await subject.sandbox.cancel(call.id)
    await subject.sandbox.cancel("sevt_never_heard_of")
    expect_equal(await subject.sandbox.call(call), outcome, "the outcome")


@check
async def leaving_does_not_cancel(subject: Subject) -> None:
    """When the one who asked goes away, the call runs on, and its outcome is kept."""
    call = subject.tool_call("bash", {"command": "echo x > begun; sleep 0.3; echo survived"})
    running = asyncio.ensure_future(subject.sandbox.call(call))
    await _until(subject, "begun")
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    expect_equal(text_of(await subject.sandbox.call(call)), "survived", "the outcome")
