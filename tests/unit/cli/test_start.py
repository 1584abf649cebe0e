"""What a server loads before it answers: not what only some sessions need."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Each costs a start between a tenth of a second and half of its time.
LATE = ["alembic", "anthropic", "bs4", "docker", "lxml", "markdownify", "mcp", "mcp_types", "pypdf"]
START = (
    "import freehold.cli.program, freehold.cli.listening, freehold.app, sys; print(*sys.modules)"
)


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules of a server that has not begun."""
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("name", LATE)
def test_what_only_some_need_is_loaded_when_they_need_it(loaded: set[str], name: str) -> None:
    assert "fastapi" in loaded
    assert name not in loaded
