"""The scripted sandbox: what it can be told to do."""

from __future__ import annotations

import asyncio
import re

import pytest

from freehold.errors import SandboxLost, SandboxUnavailable
from freehold.ports.sandbox import SandboxSpec, ToolCall, ToolOutcome
from freehold.sandbox.scripted import ScriptedSandbox, ScriptedSandboxProvider

_SPEC = SandboxSpec("sesn_1")


def _call(call_id: str, command: str) -> ToolCall:
    return ToolCall(call_id, "bash", {"command": command})


async def _output(sandbox: ScriptedSandbox, call_id: str, command: str) -> str:
    return str((await sandbox.call(_call(call_id, command))).content[0]["text"])


async def test_commands_can_be_given_outcomes() -> None:
    exact = ToolOutcome([{"type": "text", "text": "by name"}])
    pattern = ToolOutcome([{"type": "text", "text": "by pattern"}], is_error=True)
    provider = ScriptedSandboxProvider({"make": exact, re.compile(r"^git\b"): pattern})
    sandbox = await provider.acquire(_SPEC)
    assert await sandbox.call(_call("1", "make")) == exact
    assert await sandbox.call(_call("2", "git status")) == pattern
    assert await _output(sandbox, "3", "echo make") == "make"
    assert await _output(sandbox, "1", "something else") == "by name"
    assert [call.id for call in sandbox.executed] == ["1", "2", "3"]


async def test_acquire_can_be_made_to_fail() -> None:
    provider = ScriptedSandboxProvider()
    provider.fail_acquire("no engine", times=2)
    for _ in range(2):
        with pytest.raises(SandboxUnavailable, match="no engine"):
            await provider.acquire(_SPEC)
    assert await _output(await provider.acquire(_SPEC), "1", "echo ok") == "ok"


async def test_losing_a_sandbox_loses_what_runs_and_what_it_held() -> None:
    provider = ScriptedSandboxProvider()
    sandbox = await provider.acquire(_SPEC)
    await _output(sandbox, "1", "echo data > file")
    running = asyncio.ensure_future(sandbox.call(_call("2", "sleep 60")))
    await asyncio.sleep(0)
    provider.lose("sesn_1")
    with pytest.raises(SandboxLost):
        await running
    with pytest.raises(SandboxLost):
        await sandbox.call(_call("1", "again"))
    after = await provider.acquire(_SPEC)
    assert after.identity != sandbox.identity
    assert await _output(after, "1", "ls") == "(no output)"
    provider.lose("unknown")


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("echo a'b c'\"d $((1+2*3))\"", "ab cd 7"),
        ("X=1; (X=2; echo $X); echo $X", "2\n1"),
        ("echo one | cat | wc -l", "1"),
        ("false || echo or; true && echo and; ! false && echo not", "or\nand\nnot"),
        ("for x in a 'b c'; do echo [$x]; done", "[a]\n[b c]"),
        ("i=0; until [ $i -ge 2 ]; do i=$((i+1)); done; echo $i", "2"),
        ("if false; then echo 1; elif true; then echo 2; else echo 3; fi", "2"),
        ("cat <<'E'\n$X `no`\nE", "$X `no`"),
        ('X=v; cat <<E\n$X "q"\nE', 'v "q"'),
        ("cat <<< word", "word"),
        ("f() { echo $# $1; }; f 'a b' c", "2 a b"),
        ("echo ${NONE:-default} ${HOME}", "default /home/agent"),
        ("touch b a; echo *; echo '*'", "a b\n*"),
        ("ls /none 2>/dev/null; echo $?", "2"),
        ("{ echo out; echo err >&2; } > both 2>&1; cat both", "out\nerr"),
        ("echo x &> f; cat < f", "x"),
        ("printf '%s=%d;' a 1 b 2", "a=1;b=2;"),
        ("echo $(echo inner $(echo most))", "inner most"),
        ("seq 5 | tail -2 | head -1; seq 2 2 6 | sort -rn", "4\n6\n4\n2"),
        ("mkdir -p d/e; cp d /tmp 2>/dev/null || echo failed", "failed"),
        ("cd /tmp; cd - > /dev/null; pwd; cd ~; pwd", "/workspace\n/home/agent"),
        ("sleep 60 & kill $!; wait; echo killed", "killed"),
        ("echo a # comment", "a"),
        ("echo a \\\n  b", "a b"),
        ("bash -c 'exit 3'; echo $?", "3"),
        ("X=set env | grep '^X='; echo [$X]", "[]"),
        ("command -v seq nosuch; echo $?", "seq\n1"),
        ("test -d / && [ ! -f / ]; echo $?", "0"),
        ("echo hello > f; grep -c l f; grep -q z f; echo $?", "1\n1"),
    ],
)
async def test_the_shell_speaks_the_common_language(command: str, output: str) -> None:
    sandbox = await ScriptedSandboxProvider().acquire(_SPEC)
    assert await _output(sandbox, "1", command) == output


@pytest.mark.parametrize(
    "command",
    [
        "echo 'a",
        'echo "a',
        "echo $(a",
        "( echo",
        "for x in",
        "if true; then",
        "&&",
        "a ||",
        "echo >",
        ")",
    ],
)
async def test_what_is_no_command_is_an_error(command: str) -> None:
    sandbox = await ScriptedSandboxProvider().acquire(_SPEC)
    outcome = await sandbox.call(_call("1", command))
    assert outcome.is_error
    assert "bash: " in outcome.content[0]["text"]
    assert await _output(sandbox, "2", "echo fine") == "fine"


async def test_recursion_ends() -> None:
    sandbox = await ScriptedSandboxProvider().acquire(_SPEC)
    outcome = await sandbox.call(_call("1", "f() { f; }; f"))
    assert outcome.is_error
    assert "nested too deeply" in outcome.content[0]["text"]
