"""The persistent shell, where the conformance checks do not reach."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.toolbox.processes import kill_tree
from freehold.toolbox.shell import OUTPUT_LIMIT, TRUNCATED, Shell, presentable
from freehold.toolbox.tools import shell_environment

_ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/"}


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(str(tmp_path), _ENVIRONMENT)
    yield shell
    shell.kill()


def _open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_a_command_sees_no_descriptors_but_its_own(shell: Shell) -> None:
    assert shell.run("ls /proc/self/fd", 20).output.split() == ["0", "1", "2", "3"]


def test_a_command_cannot_forge_its_end(shell: Shell) -> None:
    forged = shell.run("for n in $(seq 3 255); do echo 'x 0' >&$n; done 2>/dev/null; false", 20)
    assert forged.status == 1
    assert shell.run("echo fine", 20) == ("fine", 0)


def test_redirecting_the_shell_itself_keeps_the_answers(shell: Shell, tmp_path: Path) -> None:
    assert shell.run("exec >log 2>&1; echo into the file", 20) == ("", 0)
    assert shell.run("false", 20) == ("", 1)
    assert (tmp_path / "log").read_text() == "into the file\n"


def test_tracing_shows_the_command_and_not_the_loop(shell: Shell) -> None:
    shell.run("set -x", 20)
    assert "toolbox" not in shell.run("echo traced", 20).output


def test_errors_count_lines_from_the_commands_first(shell: Shell) -> None:
    assert "line 2: nowhere" in shell.run("true\nnowhere", 20).output


def test_a_shell_that_kills_itself_has_no_status(shell: Shell) -> None:
    assert shell.run("echo last; kill -9 $$", 20) == ("last", None)
    assert not shell.alive
    assert shell.run("echo more", 20) == ("", None)


def test_killing_reaches_what_left_the_session(shell: Shell, tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        shell.run("setsid bash -c 'echo $$ > pid; exec sleep 60' & while :; do sleep 0.05; done", 1)
    assert not _runs(int((tmp_path / "pid").read_text()))


def test_output_of_a_background_process_does_not_stop_it(shell: Shell, tmp_path: Path) -> None:
    """More than a pipe holds, while nobody calls."""
    shell.run("(sleep 0.1; seq 1 100000; echo > finished) &", 20)
    deadline = time.monotonic() + 20
    while not (tmp_path / "finished").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert shell.run("wait", 20).output.endswith("100000")


def test_a_shell_leaves_no_descriptors_and_threads(tmp_path: Path) -> None:
    before, threads = _open_descriptors(), threading.active_count()
    for _ in range(5):
        shell = Shell(str(tmp_path), _ENVIRONMENT)
        shell.run("true", 20)
        shell.kill()
    deadline = time.monotonic() + 20
    while _open_descriptors() > before or threading.active_count() > threads:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_missing_directory_leaves_no_descriptors(tmp_path: Path) -> None:
    before = _open_descriptors()
    with pytest.raises(OSError, match="missing"):
        Shell(str(tmp_path / "missing"), _ENVIRONMENT)
    assert _open_descriptors() == before


def test_killing_a_process_that_is_gone_is_nothing() -> None:
    kill_tree(2**22 - 1)


@given(st.binary(max_size=300))
def test_presented_output_is_always_storable(raw: bytes) -> None:
    presentable(raw).encode("utf-8")


@given(st.text(st.characters(exclude_categories=["C"]), max_size=5), st.integers(0, 3))
def test_the_cut_never_splits_a_character(text: str, more: int) -> None:
    unit = (text or "é").encode()
    raw = b"x" * more + unit * (OUTPUT_LIMIT // len(unit) + 2)
    shown = presentable(raw)
    assert shown.startswith(TRUNCATED)
    assert "\ufffd" not in shown.removeprefix(TRUNCATED).replace(text, "")
    assert len(shown.encode()) <= OUTPUT_LIMIT + len(TRUNCATED)


def test_the_servers_variables_are_left_out() -> None:
    given_environment = {
        "PATH": "/bin",
        "ANTHROPIC_API_KEY": "k",
        "FREEHOLD_DATA_DIR": "/d",
        "BASH_ENV": "/evil",
        "BASH_FUNC_ls%%": "() { :; }",
    }
    kept = shell_environment(given_environment)
    assert kept == {"PATH": "/bin", "PS1": "", "PS2": "", "TERM": "dumb"}
