"""Process sandboxes: deaths, restarts and walls."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.errors import SandboxLost, SandboxUnavailable
from freehold.ports.sandbox import Sandbox, SandboxSpec, ToolCall
from freehold.sandbox.process import ProcessSandboxProvider, bubblewrap_works, processes
from freehold.sandbox.process.folders import Folders

_SPEC = SandboxSpec("sesn_1")

needs_bubblewrap = pytest.mark.skipif(
    not bubblewrap_works(), reason="bubblewrap is not installed or may not make a sandbox here"
)


@pytest.fixture(params=[pytest.param(False, marks=needs_bubblewrap), True], ids=["bwrap", "plain"])
async def provider(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[ProcessSandboxProvider]:
    provider = ProcessSandboxProvider(tmp_path, plain=request.param)
    yield provider
    await provider.sweep(())
    await provider.close()


@pytest.fixture
async def walled(tmp_path: Path) -> AsyncIterator[ProcessSandboxProvider]:
    provider = ProcessSandboxProvider(tmp_path)
    yield provider
    await provider.sweep(())
    await provider.close()


async def _bash(sandbox: Sandbox, call_id: str, command: str) -> str:
    outcome = await sandbox.call(ToolCall(call_id, "bash", {"command": command}))
    return str(outcome.content[0]["text"])


async def _glob(sandbox: Sandbox, pattern: str) -> str:
    call = ToolCall(f"glob_{os.urandom(8).hex()}", "glob", {"pattern": pattern})
    return str((await sandbox.call(call)).content[0]["text"])


def _toolbox_pid(data_dir: Path) -> int:
    return int(json.loads((data_dir / "sandboxes/sesn_1/process.json").read_text())["pid"])


async def test_a_dead_toolbox_is_started_again_where_it_was(
    provider: ProcessSandboxProvider, tmp_path: Path
) -> None:
    sandbox = await provider.acquire(_SPEC)
    assert await _bash(sandbox, "1", "echo run >> runs; echo done") == "done"
    call = ToolCall("2", "bash", {"command": "echo > begun; sleep 60"})
    running = asyncio.ensure_future(sandbox.call(call))
    for _ in range(1000):
        if "begun" in await _glob(sandbox, "begun"):
            break
        await asyncio.sleep(0.01)
    await processes.end(_toolbox_pid(tmp_path), grace=0)
    with pytest.raises(SandboxLost):
        await running

    again = await provider.acquire(_SPEC)
    assert again.identity == sandbox.identity
    assert await _bash(again, "1", "echo run >> runs; echo done") == "done"
    interrupted = await again.call(call)
    assert interrupted.is_error
    assert "interrupted and may have partly run" in interrupted.content[0]["text"]
    assert await _bash(again, "3", "cat runs") == "run"


async def test_the_toolbox_is_not_tied_to_its_starter(
    provider: ProcessSandboxProvider, tmp_path: Path
) -> None:
    """It leads a session of its own: no signal to the server's group or terminal reaches it."""
    await provider.acquire(_SPEC)
    fields = Path(f"/proc/{_toolbox_pid(tmp_path)}/stat").read_text().rpartition(")")[2].split()
    assert int(fields[3]) != os.getsid(0)


async def test_an_unused_toolbox_ends_and_keeps_its_files(tmp_path: Path) -> None:
    provider = ProcessSandboxProvider(tmp_path, plain=True, idle_exit=0.05)
    sandbox = await provider.acquire(_SPEC)
    identity = sandbox.identity
    await _bash(sandbox, "1", "echo kept > file")
    pid = _toolbox_pid(tmp_path)
    await provider.close()
    for _ in range(1000):
        if processes.start_time(pid) is None:
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("the toolbox goes on")
    provider = ProcessSandboxProvider(tmp_path, plain=True)
    again = await provider.acquire(_SPEC)
    assert again.identity == identity
    assert await _bash(again, "2", "cat file") == "kept"
    await provider.remove("sesn_1")
    await provider.close()


async def test_removal_ends_detached_processes(
    provider: ProcessSandboxProvider, tmp_path: Path
) -> None:
    sandbox = await provider.acquire(_SPEC)
    pid = _toolbox_pid(tmp_path)
    marker = "61.625"
    await _bash(sandbox, "1", f"(setsid sleep {marker} >/dev/null 2>&1 &)")
    await provider.remove("sesn_1")
    assert processes.start_time(pid) is None
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert marker.encode() not in entry.read_bytes()
        except OSError:
            continue
    assert not (tmp_path / "sandboxes" / "sesn_1").exists()


async def test_removal_after_another_server_started_it(
    provider: ProcessSandboxProvider, tmp_path: Path
) -> None:
    await provider.acquire(_SPEC)
    pid = _toolbox_pid(tmp_path)
    other = ProcessSandboxProvider(tmp_path, plain=provider.isolation == "none")
    await other.remove("sesn_1")
    assert processes.start_time(pid) is None
    await other.close()


async def test_removal_without_a_record_asks_the_toolbox(
    provider: ProcessSandboxProvider, tmp_path: Path
) -> None:
    await provider.acquire(_SPEC)
    pid = _toolbox_pid(tmp_path)
    (tmp_path / "sandboxes/sesn_1/process.json").unlink()
    await provider.remove("sesn_1")
    for _ in range(1000):
        if processes.start_time(pid) is None:
            return
        await asyncio.sleep(0.01)
    pytest.fail("the toolbox goes on")


async def test_folders_that_the_agent_locked_are_removed(
    provider: ProcessSandboxProvider, tmp_path: Path
) -> None:
    sandbox = await provider.acquire(_SPEC)
    await _bash(
        sandbox, "1", "mkdir -p locked/inner && touch locked/inner/f && chmod 0 locked/inner locked"
    )
    await provider.remove("sesn_1")
    assert not (tmp_path / "sandboxes" / "sesn_1").exists()


async def test_folders_are_the_owners_alone(
    provider: ProcessSandboxProvider, tmp_path: Path
) -> None:
    await provider.acquire(_SPEC)
    assert stat.S_IMODE((tmp_path / "sandboxes/sesn_1").stat().st_mode) == 0o700


async def test_a_data_dir_that_cannot_be_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    provider = ProcessSandboxProvider(tmp_path / "file", plain=True)
    with pytest.raises(SandboxUnavailable, match="data directory"):
        await provider.acquire(_SPEC)
    assert any(one.status == "error" and one.mend for one in await provider.check())


async def test_deep_data_dirs_work(tmp_path: Path) -> None:
    provider = ProcessSandboxProvider(tmp_path / ("d" * 120), plain=True)
    sandbox = await provider.acquire(_SPEC)
    assert await _bash(sandbox, "1", "echo deep") == "deep"
    await provider.remove("sesn_1")
    await provider.close()


@needs_bubblewrap
async def test_inside_bubblewrap_the_server_cannot_be_seen(
    walled: ProcessSandboxProvider, tmp_path: Path
) -> None:
    (tmp_path / "freehold.db").write_text("canary")
    sandbox = await walled.acquire(_SPEC)
    assert walled.isolation == "bubblewrap"
    look = (
        f"ls {tmp_path} {Path.home()}/.ssh {Path.home()}/.bashrc 2>/dev/null; "
        f"cat {tmp_path}/freehold.db /etc/shadow /proc/*/environ 2>/dev/null | grep -ac canary; "
        f"cat /proc/[12]/cmdline | tr '\\0' '\\n' | grep -c '{tmp_path}'; "
        f"kill -0 {os.getpid()} 2>/dev/null && echo reached; true"
    )
    os.environ["CONFORMANCE_PROCESS"] = "canary"
    try:
        assert await _bash(sandbox, "1", look) == "0\n0"
    finally:
        del os.environ["CONFORMANCE_PROCESS"]


@needs_bubblewrap
@pytest.mark.parametrize(
    "attempt",
    [
        "touch /usr/x",
        "touch /etc/x && rm /etc/passwd",
        "mount -t tmpfs none /workspace",
        "unshare -m true",
        "mknod disk b 8 0 && dd if=disk count=1",
        "chown 12345 .",
        "echo x > /proc/sys/kernel/hostname",
        "echo 4 > /proc/sys/vm/drop_caches",
        "echo h > /proc/sysrq-trigger",
        "cat /proc/kmsg | grep .",
        "head -c 1 /proc/kcore | grep -a .",
        "unshare -Ur true",
        "ls /sys/kernel",
        "hostname changed",
        "chroot / true",
    ],
)
async def test_inside_bubblewrap_attempts_fail(
    walled: ProcessSandboxProvider, attempt: str
) -> None:
    sandbox = await walled.acquire(_SPEC)
    outcome = await sandbox.call(ToolCall("1", "bash", {"command": attempt}))
    assert outcome.is_error, outcome.content


@needs_bubblewrap
async def test_inside_bubblewrap_there_is_no_privilege(walled: ProcessSandboxProvider) -> None:
    sandbox = await walled.acquire(_SPEC)
    status = await _bash(
        sandbox, "1", "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; id -u"
    )
    assert status.split() == [
        "CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1", "1000",
    ]  # fmt: skip


@given(st.text(min_size=1, max_size=150))
def test_no_session_id_leads_out_of_the_base(session_id: str) -> None:
    base = Path("/base")
    root = Folders.of(base, session_id).root
    assert root.parent == base
    assert root.name not in (".", "..")
    assert not root.name.startswith(".")
    assert "\0" not in root.name


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_two_sessions_never_share_a_folder(one: str, other: str) -> None:
    base = Path("/base")
    assert (Folders.of(base, one) == Folders.of(base, other)) == (one == other)


def test_a_pid_that_was_used_again_is_not_the_process(tmp_path: Path) -> None:
    note = tmp_path / "process.json"
    processes.record(note, os.getpid())
    assert processes.recorded(note) == os.getpid()
    note.write_text(json.dumps({"pid": os.getpid(), "start": "1"}))
    assert processes.recorded(note) is None
    note.write_text("nonsense")
    assert processes.recorded(note) is None
    assert processes.recorded(tmp_path / "missing") is None


async def test_a_process_that_ignores_the_request_is_killed() -> None:
    program = "trap '' TERM; echo ready; while :; do sleep 1; done"
    with subprocess.Popen(["bash", "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        await processes.end(child.pid, grace=0.05)
        assert child.wait() == -signal.SIGKILL
