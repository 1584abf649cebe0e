"""``freehold demo`` in a process of its own, as `make run` runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.cli.demonstration import model_of
from freehold.settings import Settings


def demo(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FREEHOLD_") and name != "ANTHROPIC_API_KEY"
    }
    temporary = folder / "tmp"
    temporary.mkdir()
    return subprocess.run(
        [sys.executable, "-m", "freehold", "demo", *arguments],
        cwd=folder,
        env={
            **environment,
            "TMPDIR": str(temporary),
            "FREEHOLD_SCRIPTED_LATENCY": "0",
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_one_session_from_start_to_end(tmp_path: Path) -> None:
    done = demo(tmp_path, "--sandbox", "process")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout
    # What answers, what isolates, what happened, what was left, and how to go on.
    expected = [
        "scripted",
        "sandbox",
        "user",
        "thinking",
        "write",
        "bash",
        "output",
        "idle (end_turn)",
    ]
    expected += [
        "25 primes below 100",
        "primes.txt",
        "freehold serve",
        "Python",
        "TypeScript",
        "curl",
    ]
    assert [word for word in expected if word not in shown] == []
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (tmp_path / ".data").exists()


def test_it_works_where_nothing_isolates_and_says_so(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "cat", "env", "find", "python3", "sh", "sort", "tee"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    done = demo(tmp_path, PATH=str(programs), DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No Docker engine answers" in done.stdout
    assert "no isolation" in done.stdout
    assert "25 primes below 100" in done.stdout


def test_a_session_that_does_not_end_well_is_a_failure(tmp_path: Path) -> None:
    script = tmp_path / "refuses.yaml"
    script.write_text("rules:\n  - reply:\n      error: {kind: authentication}\n")
    done = demo(tmp_path, "--sandbox", "process", "--model", f"scripted:{script}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: the session stopped with ")
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("variables", "model"),
    [
        ({}, "scripted"),
        ({"ANTHROPIC_API_KEY": "key"}, "upstream"),
        ({"FREEHOLD_MODEL_API_KEY": "key"}, "upstream"),
        ({"FREEHOLD_MODEL_BASE_URL": "http://127.0.0.1:1"}, "upstream"),
        ({"FREEHOLD_MODEL": "upstream"}, "upstream"),
        ({"FREEHOLD_MODEL": "scripted:x.yaml", "ANTHROPIC_API_KEY": "key"}, "scripted:x.yaml"),
    ],
)
def test_the_model_by_what_is_at_hand(
    variables: dict[str, str], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert model_of(Settings()) == model
