"""What a sandbox may use up: each limit is told, and the sandbox answers after it was hit.

The figures (how soon, and what the server's own health check notices of it) are measured by
``tests.bench.limits``; here only that it holds.
"""

from __future__ import annotations

import os
import secrets
import time
from typing import Any

import pytest
from tests.docker_engine import MakeProvider, container_of, output, run, text_of

from freehold.core.events import Json
from freehold.ports.sandbox import Sandbox, SandboxSpec, ToolCall, ToolOutcome
from freehold.sandbox.docker.hardening import Limits

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

PATIENCE = 120.0
"""Seconds after which a sandbox does not answer any more: generous, since machines are busy."""


async def sandbox_of(make: MakeProvider, **limits: Any) -> tuple[Any, Sandbox, SandboxSpec]:
    provider = make(limits=Limits(**limits))
    spec = SandboxSpec(f"sesn_{secrets.token_hex(6)}")
    return provider, await provider.acquire(spec), spec


async def bash(sandbox: Sandbox, **given: Any) -> ToolOutcome:
    shape: Json = given
    return await sandbox.call(ToolCall(f"toolu_{secrets.token_hex(8)}", "bash", shape))


async def answers(provider: Any, spec: SandboxSpec) -> Sandbox:
    """The session's sandbox, the same or another, does its work."""
    begun = time.monotonic()
    sandbox: Sandbox = await provider.acquire(spec)
    assert await output(sandbox, "echo here") == "here"
    assert time.monotonic() - begun < PATIENCE
    return sandbox


async def test_a_command_that_takes_too_much_memory_is_told_so(
    make_docker_provider: MakeProvider,
) -> None:
    provider, sandbox, spec = await sandbox_of(make_docker_provider, memory="256m")
    eat = "python3 -c 'x = bytearray(1 << 30)'"
    outcome = await run(sandbox, eat)
    assert outcome.is_error
    assert "memory limit of 256 MiB was reached" in text_of(outcome)
    # Also when the command that was killed is not the one that the shell waited for.
    outcome = await run(sandbox, f"{eat} & wait; echo went on")
    assert "went on" in text_of(outcome)
    assert "memory limit of 256 MiB was reached" in text_of(outcome)
    again = await answers(provider, spec)
    assert again.boot == sandbox.boot
    assert text_of(await run(again, "true")) == "(no output)"


async def test_the_shell_itself_is_told_too(make_docker_provider: MakeProvider) -> None:
    provider, sandbox, spec = await sandbox_of(make_docker_provider, memory="256m")
    outcome = await run(sandbox, "x=$(head -c 400M /dev/zero | tr '\\0' x); x=$x$x$x$x")
    assert outcome.is_error
    assert "memory limit of 256 MiB was reached" in text_of(outcome)
    await answers(provider, spec)


async def test_many_hogs_leave_the_toolbox_alive_or_it_is_started_again(
    make_docker_provider: MakeProvider,
) -> None:
    provider, sandbox, spec = await sandbox_of(make_docker_provider, memory="256m")
    identity = sandbox.identity
    hogs = "for n in $(seq 30); do python3 -c 'x = bytearray(100 << 20); input()' & done; wait"
    outcome = await bash(sandbox, command=hogs, timeout_ms=60_000)
    assert "memory limit of 256 MiB was reached" in text_of(outcome)
    assert (await answers(provider, spec)).identity == identity


async def test_a_container_that_was_killed_says_why(
    make_docker_provider: MakeProvider, docker_client: Any
) -> None:
    provider, sandbox, spec = await sandbox_of(make_docker_provider)
    await output(sandbox, "echo kept > a")
    container_of(docker_client, sandbox).kill()
    again = await answers(provider, spec)
    assert again.identity == sandbox.identity
    assert again.boot != sandbox.boot
    assert again.ended is not None
    assert "exit status 137" in again.ended
    assert await output(again, "cat a") == "kept"


@pytest.mark.parametrize(
    "bomb",
    [
        ":(){ :|:& };:",
        "b(){ setsid bash -c 'while :; do sleep 600 & done' & }; b; b; wait",
        "python3 -c 'import os\nwhile True:\n  try: os.fork()\n  except OSError: pass'",
        "python3 -c 'import threading, time\n"
        "while True:\n  try: threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "  except RuntimeError: time.sleep(0.1)'",
    ],
)
async def test_a_fork_bomb_ends(make_docker_provider: MakeProvider, bomb: str) -> None:
    provider, sandbox, spec = await sandbox_of(make_docker_provider, pids=128)
    await output(sandbox, "echo kept > a")
    outcome = await bash(sandbox, command=bomb, timeout_ms=60_000)
    told = text_of(outcome)
    # The first one is left behind at once: its call may be over before the limit is reached.
    left_behind = bomb.endswith("};:") and told == "(no output)"
    assert "limit of 128 processes" in told or "no room for another" in told or left_behind
    # What was still growing when the call ended is ended when the next one begins.
    await output(await provider.acquire(spec), "sleep 2")
    again = await answers(provider, spec)
    assert again.identity == sandbox.identity
    assert await output(again, "cat a") == "kept"
    # What was killed takes a moment to go, where there is little time to share.
    few = "until (($(ls -d /proc/[0-9]* | wc -l) < 20)); do sleep 0.1; done; echo few"
    outcome = await bash(again, command=few, timeout_ms=60_000)
    assert text_of(outcome) == "few"


async def test_the_disk_is_limited(make_docker_provider: MakeProvider) -> None:
    provider, sandbox, spec = await sandbox_of(make_docker_provider, disk="64m")
    fill = "while :; do head -c 8M /dev/urandom > /workspace/f.$RANDOM; sleep 0.05; done"
    outcome = await bash(sandbox, command=fill, timeout_ms=60_000)
    assert outcome.is_error
    assert "disk limit of 64 MiB was reached" in text_of(outcome)
    again = await answers(provider, spec)
    used = int((await output(again, "du -sm /workspace")).split()[0])
    assert used < 2048
    # Room can be made, and then there is room.
    assert "limit" not in await output(again, "rm f.*; echo gone; sleep 1.5")
    assert "limit" not in await output(again, "head -c 8M /dev/urandom > f; sleep 1.5")


async def test_deleted_files_that_are_held_open_count(make_docker_provider: MakeProvider) -> None:
    provider, sandbox, spec = await sandbox_of(make_docker_provider, disk="64m")
    hold = "exec 7>hidden; rm hidden; while :; do head -c 8M /dev/urandom >&7; sleep 0.05; done"
    outcome = await bash(sandbox, command=hold, timeout_ms=60_000)
    assert "disk limit of 64 MiB was reached" in text_of(outcome)
    await answers(provider, spec)


async def test_a_gigabyte_of_output_is_cut(make_docker_provider: MakeProvider) -> None:
    provider, sandbox, spec = await sandbox_of(make_docker_provider, memory="256m")
    outcome = await run(sandbox, "head -c 1G /dev/zero | tr '\\0' x; echo the end")
    assert not outcome.is_error
    text = text_of(outcome)
    assert text.startswith("[output truncated]")
    assert text.endswith("the end")
    assert len(text) <= 1024 * 1024 + 100
    await answers(provider, spec)


FOLDERS = int(os.environ.get("FREEHOLD_TEST_FOLDERS", "200"))
"""Folders of a thousand files each; 1,000 make the million."""


@pytest.mark.slow
async def test_very_many_files(make_docker_provider: MakeProvider) -> None:
    provider, sandbox, spec = await sandbox_of(make_docker_provider)
    make = (
        f"import os\nfor d in range({FOLDERS}):\n  os.mkdir(f'd{{d}}')\n"
        "  for n in range(1000): os.close(os.open(f'd{d}/{n}', os.O_CREAT))\n"
    )
    await output(sandbox, f'python3 -c "{make}"')
    again = await answers(provider, spec)
    found = await again.call(ToolCall("toolu_glob", "glob", {"pattern": "**/999"}))
    assert "999" in text_of(found)
    await answers(provider, spec)


async def test_a_loop_without_end_is_ended(make_docker_provider: MakeProvider) -> None:
    provider, sandbox, spec = await sandbox_of(make_docker_provider)
    outcome = await bash(sandbox, command="echo begun; while :; do :; done", timeout_ms=1000)
    assert outcome.is_error
    assert "timed out after 1.0s" in text_of(outcome)
    assert "begun" in text_of(outcome)
    again = await answers(provider, spec)
    assert again.boot == sandbox.boot
