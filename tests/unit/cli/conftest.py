from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from freehold.cli.program import program

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but a test's own, and a folder of its own to work in."""
    for name in list(os.environ):
        if name.startswith("FREEHOLD_") or name in {"ANTHROPIC_API_KEY", "MODEL_API_KEY"}:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run() -> Run:
    """Run the command line in this process."""

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(program, arguments)

    return invoke
