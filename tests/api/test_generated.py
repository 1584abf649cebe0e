"""Two thousand generated requests from the OpenAPI document (schemathesis).

No answer is a 5xx, every answer has a declared status and the declared shape, and nothing that
looks like a stack trace leaves the server.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running import Served

CHECKS = (
    "not_a_server_error,response_schema_conformance,status_code_conformance,"
    "content_type_conformance"
)
EXAMPLES = os.environ.get("FREEHOLD_TEST_EXAMPLES", "15")
WANTED = 2_000
BETAS = "managed-agents-2026-04-01,dreaming-2026-04-21,mcp-tunnels-2026-06-22"


def _configuration(server: Served) -> str:
    """Real ids for the paths, so that requests reach what lies behind the look-up."""
    client = server.client()
    toolset = [{"type": "agent_toolset_20260401"}]
    agent = client.beta.agents.create(name="generated", model="claude-opus-5", tools=toolset)
    environment = client.beta.environments.create(name="generated")
    session = client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    (thread,) = client.beta.sessions.threads.list(session.id)
    store = client.beta.memory_stores.create(name="generated")
    memory = client.beta.memory_stores.memories.create(store.id, path="/a/b", content="x")
    said = {"type": "user.message", "content": [{"type": "text", "text": "x"}]}
    deployment = client.beta.deployments.create(
        name="generated",
        agent=agent.id,
        environment_id=environment.id,
        initial_events=[said],  # type: ignore[list-item]
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
    return f"""
[[operations]]
include-path-regex = "/v1/dreams/.*(?<!archive)$"
parameters = {{ "path.dream_id" = "{dream.id}" }}

[[operations]]
include-path-regex = "/v1/deployment(s|_runs)/.*(?<!archive)$"
parameters = {{ "path.deployment_id" = "{deployment.id}", "path.deployment_run_id" = "{run.id}" }}

[[operations]]
include-path-regex = "/v1/(user_profiles|tunnels)/.*(?<!archive)$"
exclude-method = "DELETE"
parameters = {{ "path.user_profile_id" = "{profile.id}", "path.tunnel_id" = "{tunnel.id}" }}

[[operations]]
include-path-regex = "/v1/memory_stores/.*(?<!archive)$"
exclude-method = "DELETE"
parameters = {{ "path.memory_store_id" = "{store.id}", "path.memory_id" = "{memory.id}", "path.memory_version_id" = "{memory.memory_version_id}" }}

[[operations]]
include-path-regex = "/v1/(agents|sessions)/.*(?<!archive)$"
exclude-method = "DELETE"
parameters = {{ "path.agent_id" = "{agent.id}", "path.session_id" = "{session.id}", "path.thread_id" = "{thread.id}" }}

[[operations]]
include-path-regex = "/v1/environments/[^/]*$"
exclude-method = "DELETE"
parameters = {{ "path.environment_id" = "{environment.id}" }}
"""  # noqa: E501


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_generated_requests_are_answered_as_documented(server: Served, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(_configuration(server))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *("-H", "x-api-key: test", "-H", f"anthropic-beta: {BETAS}"),
            *("--exclude-path-regex", "stream$", "--phases", "examples,coverage,fuzzing"),
            *("--checks", CHECKS, "-n", EXAMPLES, "-w", "2", "--continue-on-failure"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    made = re.search(r"([\d,]+) generated", done.stdout)
    assert made is not None
    assert int(made[1].replace(",", "")) >= WANTED
    assert "Traceback" not in done.stdout
