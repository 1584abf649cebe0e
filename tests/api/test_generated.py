"""Generated requests from the OpenAPI document (schemathesis), one upon the other.

No answer is a 5xx, every answer has a declared status, the declared headers and the declared
shape, and nothing that looks like a stack trace leaves the server. Requests use the ids that
earlier answers told of (:mod:`tests.support.generated_hooks`), so that they reach what lies behind
the look-up.

By default some thousand. ``FREEHOLD_TEST_SCHEMATHESIS=10000`` (``make test-schemathesis``) makes
that many at the least: boundary values of every field, more of the generated ones, and for each
family of resources sequences that follow the document's links.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support import generated_hooks
from tests.support.running import Served

ROOT = Path(__file__).parents[2]
CHECKS = (
    "not_a_server_error,response_schema_conformance,status_code_conformance,"
    "content_type_conformance,response_headers_conformance"
)
WANTED = int(os.environ.get("FREEHOLD_TEST_SCHEMATHESIS", "0"))
FAMILIES = (
    "agents",
    "environments",
    "sessions",
    "vaults",
    "memory_stores",
    "deployments",
    "dreams",
    "files",
    "skills",
    "tunnels",
    "user_profiles",
    "organizations",
)
# What generated requests do not get to 200: most need an object in a state of its own, a worker,
# a key that was issued, an upload that is an archive, or a server out there.
SUCCEED = 60


def _seeds(server: Served) -> dict[str, str]:
    """One object of each kind, by the name that paths give its id."""
    client = server.client()
    toolset: Any = [{"type": "agent_toolset_20260401"}]
    agent = client.beta.agents.create(name="generated", model="claude-opus-5", tools=toolset)
    environment = client.beta.environments.create(name="generated")
    session = client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    (thread,) = client.beta.sessions.threads.list(session.id)
    file = client.beta.files.upload(file=("a.txt", b"a", "text/plain"))
    resource = client.beta.sessions.resources.add(session.id, file_id=file.id, type="file")
    store = client.beta.memory_stores.create(name="generated")
    memory = client.beta.memory_stores.memories.create(store.id, path="/a/b", content="x")
    vault = client.beta.vaults.create(display_name="generated")
    credential = client.beta.vaults.credentials.create(
        vault.id,
        auth={"type": "static_bearer", "token": "x", "mcp_server_url": "https://mcp.test/a"},
    )
    said: Any = {"type": "user.message", "content": [{"type": "text", "text": "x"}]}
    deployment = client.beta.deployments.create(
        name="generated", agent=agent.id, environment_id=environment.id, initial_events=[said]
    )
    run = client.beta.deployments.run(deployment.id)
    profile = client.user_profiles.create(name="generated")
    tunnel = client.beta.tunnels.create(display_name="generated")
    dream = client.beta.dreams.create(
        inputs=[
            {"type": "memory_store", "memory_store_id": store.id},
            {"type": "sessions", "session_ids": [session.id]},
        ],
        model="claude-opus-5",
    )
    events: Any = ["session.created"]  # of which the SDK's type knows nothing
    webhook = client.beta.organization.webhooks.with_raw_response.create(
        name="generated", url="https://hooks.test/a", enabled_events=events
    )
    return {
        "agent_id": agent.id,
        "environment_id": environment.id,
        "session_id": session.id,
        "thread_id": thread.id,
        "resource_id": resource.id,
        "file_id": file.id,
        "memory_store_id": store.id,
        "memory_id": memory.id,
        "memory_version_id": memory.memory_version_id,
        "vault_id": vault.id,
        "credential_id": credential.id,
        "deployment_id": deployment.id,
        "deployment_run_id": run.id,
        "dream_id": dream.id,
        "tunnel_id": tunnel.id,
        "user_profile_id": profile.id,
        "webhook_endpoint_id": webhook.http_response.json()["id"],
    }


def _played(server: Served, folder: Path, *options: str) -> Counter[str]:
    """Run schemathesis; how many requests there were, by operation and status."""
    counts = folder / f"counts-{len(list(folder.iterdir()))}.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *("-H", "x-api-key: test", "--exclude-path-regex", "stream$", "--checks", CHECKS),
            *("-w", "2", "--continue-on-failure", "--warnings", "off", *options),
        ],
        cwd=folder,
        env=os.environ
        | {
            "SCHEMATHESIS_HOOKS": generated_hooks.__name__,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            generated_hooks.SEEDS_VARIABLE: json.dumps(_seeds(server)),
            generated_hooks.COUNTS_VARIABLE: str(counts),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "Traceback" not in done.stdout
    return Counter(json.loads(counts.read_text()))


def _operations(server: Served) -> set[str]:
    described = server.app.openapi()["paths"]
    return {
        f"{method.upper()} {path}"
        for path, item in described.items()
        for method in item
        if not path.endswith("stream")
    }


def _told(counts: Counter[str], server: Served) -> set[str]:
    """Print how many answers had each status; the operations of which one succeeded.

    None may have been left out. What is generated also has methods that a path does not take.
    """
    statuses: Counter[str] = Counter()
    for name, count in counts.items():
        statuses[name.rsplit(" ", 1)[1]] += count
    operations = _operations(server)
    assert operations <= {name.rsplit(" ", 1)[0] for name in counts}
    succeeded = operations & {name.rsplit(" ", 1)[0] for name in counts if name.endswith(" 200")}
    print(f"{counts.total()} requests to {len(operations)} operations: {dict(statuses)}")
    print(f"{len(succeeded)} of them succeeded; never: {sorted(operations - succeeded)}")
    return succeeded


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(WANTED > 0, reason="more are asked for")
def test_generated_requests_are_answered_as_documented(server: Served, tmp_path: Path) -> None:
    counts = _played(
        server, tmp_path, "--phases", "fuzzing", "-n", "5", "--generation-deterministic"
    )
    assert len(_told(counts, server)) >= SUCCEED


@pytest.mark.timeout(7200)
@pytest.mark.skipif(not WANTED, reason="FREEHOLD_TEST_SCHEMATHESIS says how many requests")
def test_so_many_generated_requests_are_answered_as_documented(
    server: Served, tmp_path: Path
) -> None:
    examples = str(max(WANTED // 400, 8))
    counts = _played(server, tmp_path, "--phases", "coverage,fuzzing", "-n", examples)
    steps = tmp_path / "schemathesis.toml"
    steps.write_text("[phases.stateful]\nmax-steps = 12\n")
    for family in FAMILIES:
        chosen = ("--include-path-regex", f"^/v1/{family}")
        followed = ("--checks", f"{CHECKS},use_after_free", "-n", str(max(WANTED // 200, 8)))
        counts += _played(server, tmp_path, "--phases", "stateful", *chosen, *followed)
    assert len(_told(counts, server)) >= SUCCEED
    assert counts.total() >= WANTED
