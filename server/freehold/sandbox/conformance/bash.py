"""Checks of the tool ``bash``."""

from __future__ import annotations

import asyncio
import os

from freehold.ports.sandbox import SandboxSpec
from freehold.sandbox.conformance.subject import (
    Subject,
    check,
    expect,
    expect_equal,
    expect_in,
    text_of,
)

_LIMIT = 1024 * 1024
_MARK = "[output truncated]\n"
_LATE = 2.0  # long after the kill, also on a machine that is busy


@check
async def bash_returns_output(subject: Subject) -> None:
    """What a command prints is the result, without the last line break."""
    expect_equal(await subject.bash("echo one; echo two"), "one\ntwo", "the output")


@check
async def bash_merges_streams_in_order(subject: Subject) -> None:
    """Standard output and standard error come back as one, in the order of writing."""
    output = await subject.bash("echo a; echo b >&2; echo c")
    expect_equal(output, "a\nb\nc", "the output")


@check
async def bash_says_when_there_is_no_output(subject: Subject) -> None:
    """No output is said in words, since the model's API takes no empty text."""
    expect_equal(await subject.bash("true"), "(no output)", "the output")
    expect(await subject.fail("bash", command="false"), "an empty error text")


@check
async def bash_failure_carries_output(subject: Subject) -> None:
    """A non-zero exit status makes an error whose text is the output."""
    text = await subject.fail("bash", command="echo before; (exit 3)")
    expect_equal(text, "before", "the output")


@check
async def bash_unknown_command_is_an_error(subject: Subject) -> None:
    """A command that does not exist is an error that names it."""
    expect_in("no-such-command-here", await subject.fail("bash", command="no-such-command-here"))


@check
async def bash_keeps_directory(subject: Subject) -> None:
    """The working directory survives to the next call."""
    await subject.bash("mkdir deep && cd deep")
    expect_equal(await subject.bash("pwd"), subject.path("deep"), "the directory")


@check
async def bash_keeps_variables(subject: Subject) -> None:
    """Variables survive to the next call, spaces and all."""
    await subject.bash("KEPT='a  b'")
    expect_equal(await subject.bash('echo "$KEPT"'), "a  b", "the variable")


@check
async def bash_keeps_functions(subject: Subject) -> None:
    """Functions survive to the next call."""
    await subject.bash('greet() { echo "hello $1"; }')
    expect_equal(await subject.bash("greet you"), "hello you", "what the function said")


@check
async def bash_exports_reach_children(subject: Subject) -> None:
    """Exported variables reach child processes, others do not."""
    await subject.bash("export SHOWN=yes; HIDDEN=no")
    output = await subject.bash("bash -c 'echo [$SHOWN] [$HIDDEN]'")
    expect_equal(output, "[yes] []", "what the child saw")


@check
async def bash_restart_forgets(subject: Subject) -> None:
    """``restart`` begins a new shell in the working directory, without the old variables."""
    await subject.bash("FORGOTTEN=1; cd /")
    expect_equal(await subject.succeed("bash", restart=True), "bash session restarted", "the text")
    output = await subject.bash('echo "[$FORGOTTEN]"; pwd')
    expect_equal(output, f"[]\n{subject.sandbox.layout.workdir}", "the new shell")


@check
async def bash_survives_exit(subject: Subject) -> None:
    """``exit`` ends the shell with its status; the next call has a new one."""
    await subject.bash("GONE=1")
    text = await subject.fail("bash", command="echo bye; exit 3")
    expect_equal(text, "bye", "the output")
    expect_equal(await subject.bash("echo [$GONE]"), "[]", "the new shell")
    expect_equal(await subject.bash("echo fine; exit 0"), "fine", "the output of exit 0")


@check
async def bash_timeout_is_an_error(subject: Subject) -> None:
    """A command that takes too long ends with an error, and a new shell is there."""
    text = await subject.fail("bash", command="sleep 60", timeout_ms=100)
    expect_equal(text.splitlines()[0], "bash: bash command timed out after 0.1s", "the text")
    expect_equal(await subject.bash("echo here"), "here", "the next call")


@check
async def bash_timeout_tells_output_so_far(subject: Subject) -> None:
    """What a command said before it was killed is not lost."""
    text = await subject.fail("bash", command="echo progress; sleep 60", timeout_ms=300)
    expect_in("progress", text)


@check
async def bash_timeout_kills_children(subject: Subject) -> None:
    """A timeout kills what the command started, in the background too."""
    late = f"(sleep {_LATE}; echo late > late1) & bash -c 'sleep {_LATE}; echo late > late2'"
    await subject.fail("bash", command=late, timeout_ms=150)
    await asyncio.sleep(_LATE + 0.1)
    output = await subject.bash(f"ls '{subject.path('')}'")
    expect_equal(output, "(no output)", "what was left running wrote")


@check
async def bash_background_does_not_delay(subject: Subject) -> None:
    """A background process does not hold up the reply, though it holds the output open."""
    output = await subject.bash("sleep 60 & echo started", timeout_ms=20_000)
    expect_equal(output, "started", "the output")
    output = await subject.bash("(sleep 60; echo never) & echo again", timeout_ms=20_000)
    expect_equal(output, "again", "the output of a subshell's parent")
    await subject.succeed("bash", restart=True)


@check
async def bash_background_goes_on(subject: Subject) -> None:
    """A background process goes on after the reply, and can be waited for."""
    await subject.bash("(sleep 0.1; echo done > result) &")
    expect_equal(await subject.bash("wait; cat result"), "done", "what it wrote")


@check
async def bash_stdin_is_empty(subject: Subject) -> None:
    """A command that reads standard input meets its end at once."""
    output = await subject.bash("cat; echo end", timeout_ms=20_000)
    expect_equal(output, "end", "the output")


@check
async def bash_syntax_error_harms_nothing(subject: Subject) -> None:
    """An unfinished quote is an error of that call only; the shell keeps what it knew."""
    await subject.bash("STILL=here")
    await subject.fail("bash", command="echo 'unfinished", timeout_ms=20_000)
    await subject.fail("bash", command="echo }; )", timeout_ms=20_000)
    expect_equal(await subject.bash("echo $STILL"), "here", "the variable")


@check
async def bash_runs_scripts(subject: Subject) -> None:
    """Several lines, loops and here-documents work as in a file."""
    script = "total=0\nfor i in 1 2 3; do\n  total=$((total + i))\ndone\ncat <<END\nsum $total\nEND"
    expect_equal(await subject.bash(script), "sum 6", "the output")


@check
async def bash_braces_do_not_confuse(subject: Subject) -> None:
    """Text that looks like the shell's own punctuation is only text."""
    output = await subject.bash('echo "} ; {" ; # } comment')
    expect_equal(output, "} ; {", "the output")


@check
async def bash_truncates_to_the_tail(subject: Subject) -> None:
    """Of long output the last 1 MiB is kept, and it is said that some is missing."""
    output = await subject.bash("seq 1 200000; echo the-end")
    expect(output.startswith(_MARK), f"it begins with {output[:40]!r}")
    expect(output.endswith("200000\nthe-end"), f"it ends with {output[-40:]!r}")
    size = len(output.encode()) - len(_MARK)
    expect(_LIMIT - 10 <= size <= _LIMIT, f"{size} bytes were kept")


@check
async def bash_keeps_output_below_the_limit(subject: Subject) -> None:
    """Output that fits comes back whole."""
    output = await subject.bash("seq 1 15000")
    expect_equal(output, "\n".join(str(n) for n in range(1, 15001)), "the output")


@check
async def bash_speaks_unicode(subject: Subject) -> None:
    """Any script passes through unharmed, in both directions."""
    text = "Grüße, 世界, 🦊, שלום, é"
    expect_equal(await subject.bash(f"echo '{text}'"), text, "the output")


@check
async def bash_replaces_invalid_utf8(subject: Subject) -> None:
    """Bytes that are not UTF-8, and NUL, become replacement characters."""
    output = await subject.bash(r"printf 'a\xffb\x00c'")
    expect_equal(output, "a\ufffdb\ufffdc", "the output")


@check
async def bash_strips_escapes(subject: Subject) -> None:
    """Terminal escapes are not shown to the model."""
    output = await subject.bash(r"printf '\033[1;31mred\033[0m \033]0;title\007plain'")
    expect_equal(output, "red plain", "the output")


@check
async def bash_takes_large_commands(subject: Subject) -> None:
    """A command of 200,000 characters runs."""
    output = await subject.bash("printf '%s' '" + "x" * 200_000 + "' | wc -c")
    expect_equal(output.strip(), "200000", "the count")


@check
async def bash_needs_a_command(subject: Subject) -> None:
    """A call without a command, or with an empty one, says what is missing."""
    expect_equal(await subject.fail("bash"), "bash: command is required", "the text")
    expect_equal(await subject.fail("bash", command=""), "bash: command is required", "the text")


@check
async def bash_refuses_nul(subject: Subject) -> None:
    """A NUL in a command is refused by name, not cut off at."""
    expect_in("command", await subject.fail("bash", command="echo a\0b"))


@check
async def bash_begins_in_workdir(subject: Subject) -> None:
    """A new sandbox's shell stands in the working directory."""
    async with subject.fresh() as sandbox:
        outcome = await sandbox.call(subject.tool_call("bash", {"command": "pwd"}))
        expect_equal(text_of(outcome), sandbox.layout.workdir, "the directory")


@check
async def bash_inherits_nothing_of_the_server(subject: Subject) -> None:
    """The server's environment is not the agent's."""
    canary = os.urandom(8).hex()
    names = ("FREEHOLD_CONFORMANCE", "ANTHROPIC_API_KEY_CONFORMANCE", "CONFORMANCE_CANARY")
    os.environ.update(dict.fromkeys(names, canary))
    spec = subject.spec()
    try:
        sandbox = await subject.provider.acquire(SandboxSpec(spec.session_id))
        outcome = await sandbox.call(subject.tool_call("bash", {"command": "env"}))
    finally:
        for name in names:
            del os.environ[name]
        await subject.provider.remove(spec.session_id)
    expect_in("PATH=", text_of(outcome))
    expect(canary not in text_of(outcome), "a variable of the server was passed on")
    for name in ("ANTHROPIC_", "FREEHOLD_"):
        expect(name not in text_of(outcome), f"there is a variable {name}…")


@check
async def bash_home_can_be_written(subject: Subject) -> None:
    """The agent has a home of its own."""
    expect_equal(await subject.bash("echo x > ~/conformance && cat ~/conformance"), "x", "the file")


@check
async def bash_finds_the_usual_programs(subject: Subject) -> None:
    """Where real programs run, the common ones are there."""
    await subject.needs_programs()
    await subject.bash("command -v ls cat sed awk grep find tar env python3")
