"""The same conversation from the TypeScript SDK, on Node."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.receiver import SECRET, receiver
from tests.support.running import Served, serve
from tests.support.typescript import HERE, installed_node


@pytest.fixture(scope="session")
def node() -> str:
    """Node with the SDK installed as locked."""
    return installed_node()


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
    assert told["files"] == ["notes.md"]
    assert (told["uploaded"]["mime_type"], told["uploaded"]["size_bytes"]) == ("text/markdown", 7)
    assert told["deleted"] == {"id": told["uploaded"]["id"], "type": "file_deleted"}
    assert told["missing"] == {"name": "NotFoundError", "status": 404}


def test_a_webhook_is_taken_by_the_typescript_sdk(node: str, tmp_path: Path) -> None:
    with receiver() as inbox:
        named = {"name": "n", "url": inbox.url, "secret": SECRET}
        with serve(tmp_path / "data", webhooks=[named]) as served:
            agent = served.client().beta.agents.create(name="a", model="claude-opus-5")
            post = inbox.first("agent.created", id=agent.id)

    def unwrap(body: str) -> subprocess.CompletedProcess[str]:
        given = {"body": body, "headers": post.headers, "key": SECRET}
        return subprocess.run(
            [node, "unwrap.mjs"],
            cwd=HERE,
            env={**os.environ, "POST": json.dumps(given)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    done = unwrap(post.body)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(post.body)
    changed = unwrap(post.body.replace("created", "deleted"))
    assert changed.returncode != 0
    assert "WebhookVerificationError" in changed.stderr
