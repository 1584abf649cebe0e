"""Servers of tests end with their tests, however those end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import running
from tests.support.running import ServerProcess

FOREVER = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_one_that_is_not_waited_for_to_the_end_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[subprocess.Popen[bytes]] = []

    def spawn(_: list[str], environment: Mapping[str, str], log: Path) -> running.Process:
        made.append(subprocess.Popen(FOREVER))
        return made[-1]

    def interrupted(_: ServerProcess) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(ServerProcess, "answers", interrupted)
    with pytest.raises(KeyboardInterrupt), ServerProcess(tmp_path / "data", spawn=spawn):
        pass
    assert made[0].poll() is not None


def test_nor_does_one_whose_end_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[subprocess.Popen[bytes]] = []

    def spawn(_: list[str], environment: Mapping[str, str], log: Path) -> running.Process:
        made.append(subprocess.Popen(FOREVER))
        return made[-1]

    def interrupted(_: ServerProcess) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(ServerProcess, "answers", lambda _: True)
    monkeypatch.setattr(ServerProcess, "stop", interrupted)
    with pytest.raises(KeyboardInterrupt), ServerProcess(tmp_path / "data", spawn=spawn):
        pass
    assert made[0].poll() is not None


@pytest.mark.skipif(running._SETPRIV is None, reason="needs setpriv")
def test_it_goes_with_tests_that_are_killed(tmp_path: Path) -> None:
    script = (
        "import os, sys, time; from pathlib import Path; from tests.support.running import _spawn\n"
        f"print(_spawn({FOREVER!r}, os.environ, Path(sys.argv[1])).pid, flush=True)\n"
        "time.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        pid = int(tests.stdout.readline())
        os.kill(pid, 0)
        tests.kill()
    deadline = time.monotonic() + 60
    while _alive(pid):
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    """Whether it runs; one that nobody waits for has ended all the same."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    return False
