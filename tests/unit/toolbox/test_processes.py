"""Ending a process with everything it started."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from freehold.toolbox.processes import kill_tree

_TREES = 16


def test_nobody_goes_on_because_a_child_was_killed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill = os.kill

    def slow_kill(pid: int, number: int) -> None:
        kill(pid, number)
        time.sleep(0.01)  # a busy machine: others run between two signals

    monkeypatch.setattr(os, "kill", slow_kill)
    # Many small trees: which process of a tree is killed first depends on their numbers.
    line = "(touch up; sleep 60; touch late) & wait"
    for number in range(_TREES):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = subprocess.Popen(["/bin/bash", "-c", line], cwd=folder, start_new_session=True)
        deadline = time.monotonic() + 30
        while not _sleeps(process.pid) and time.monotonic() < deadline:
            time.sleep(0.005)
        kill_tree(process.pid)
        process.wait()
    time.sleep(0.3)
    assert len(list(tmp_path.glob("*/up"))) == _TREES
    assert list(tmp_path.glob("*/late")) == []


def _sleeps(session: int) -> bool:
    found = subprocess.run(
        ["/bin/ps", "-s", str(session), "-o", "comm="], capture_output=True, check=False
    )
    return b"sleep" in found.stdout


def test_what_left_the_session_dies_too(tmp_path: Path) -> None:
    process = subprocess.Popen(
        ["/bin/bash", "-c", "setsid bash -c 'echo $$ > pid; sleep 60; true' & wait"],
        cwd=tmp_path,
        start_new_session=True,
    )
    note = tmp_path / "pid"
    deadline = time.monotonic() + 30
    while not (note.exists() and note.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.01)
    left = int(note.read_text())
    kill_tree(process.pid)
    process.wait()
    deadline = time.monotonic() + 10
    while _runs(left) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(left)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
