"""The same conversation from the TypeScript SDK, on Node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.running import Served

HERE = Path(__file__).parent.parent / "typescript"


@pytest.fixture(scope="session")
def node() -> str:
    """Node with the SDK installed as locked."""
    program = shutil.which("node")
    if program is None or shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("node and npm are needed in CI")
        pytest.skip("node and npm are not installed")
    if not (HERE / "node_modules" / "@anthropic-ai" / "sdk").is_dir():
        subprocess.run(["npm", "ci", "--no-fund", "--no-audit"], cwd=HERE, check=True, timeout=300)
    return program


def test_the_article_program_from_typescript(server: Served, node: str) -> None:
    done = subprocess.run(
        [node, "conversation.mjs"],
        cwd=HERE,
        env={**os.environ, "BASE_URL": server.url, "MESSAGE": "/run echo hello\n/say All done."},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["echoed"] == ["user.message"]
    assert told["types"] == told["listed"]
    assert told["types"] == [
        "session.status_running",
        "session.thread_status_running",
        "user.message",
        "span.model_request_start",
        "agent.tool_use",
        "span.model_request_end",
        "agent.tool_result",
        "span.model_request_start",
        "agent.message",
        "span.model_request_end",
        "session.thread_status_idle",
        "session.usage",
        "session.status_idle",
    ]
    assert "All done." in told["said"]
    assert told["status"] == "idle"
    assert told["usage"]["output_tokens"] > 0
    assert told["missing"] == {"name": "NotFoundError", "status": 404}
