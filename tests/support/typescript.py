"""Node with the TypeScript SDK as locked."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent.parent / "typescript"


def installed_node() -> str:
    """Node's program, once the SDK is there; skips the test where Node is not."""
    program = shutil.which("node")
    if program is None or shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("node and npm are needed in CI")
        pytest.skip("node and npm are not installed")
    # Test processes that start together must not install over one another.
    lock = Path(tempfile.gettempdir()) / f"freehold-typescript-{os.getuid()}.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not (HERE / "node_modules" / "@anthropic-ai" / "sdk").is_dir():
            command = ["npm", "ci", "--no-fund", "--no-audit"]
            subprocess.run(command, cwd=HERE, check=True, timeout=300)
    return program
