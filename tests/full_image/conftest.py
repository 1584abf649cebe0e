"""The full sandbox image, used through a server of its own and the official SDK.

It takes many minutes to build, so these tests run where ``FREEHOLD_TEST_FULL_IMAGE`` names one that
``freehold image build --full`` made, and are skipped elsewhere.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic
from docker import DockerClient

from tests.api.conftest import said, turn
from tests.support.running import serve

OUT = "/mnt/session/outputs"
BETAS = ["managed-agents-2026-04-01", "files-api-2025-04-14"]
DOCUMENTS = ("xlsx", "docx", "pptx", "pdf")
_END = "exit status: "


@pytest.fixture(scope="session")
def full_image(docker_client: DockerClient) -> str:
    """Its name."""
    name = os.environ.get("FREEHOLD_TEST_FULL_IMAGE")
    if not name:
        pytest.skip("FREEHOLD_TEST_FULL_IMAGE names no full image")
    docker_client.images.get(name)
    return name


class Desk:
    """A session whose agent has the document skills."""

    def __init__(self, sdk: Anthropic) -> None:
        self.sdk = sdk
        agent = sdk.beta.agents.create(
            name="Clerk",
            model="claude-opus-5",
            tools=[{"type": "agent_toolset_20260401"}],
            skills=[{"type": "anthropic", "skill_id": name} for name in DOCUMENTS],
        )
        environment = sdk.beta.environments.create(name="desk")
        self.id = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id).id

    def tried(self, command: str) -> tuple[int, str]:
        """Exit status of a command that the agent runs, and what it printed."""
        script = f"({command}\n) < /dev/null 2>&1; status=$?; echo; echo '{_END}'$status"
        given = {"command": script, "timeout_ms": 600_000}
        message = f"/tool bash {json.dumps(given)}"
        events = turn(self.sdk, self.id, said(message))
        assert not [event.error for event in events if event.type == "session.error"]
        (result,) = [event for event in events if event.type == "agent.tool_result"]
        text = "".join(block.text for block in result.content)
        printed, _, status = text.rpartition(_END)
        return int(status), printed.strip()

    def run(self, command: str) -> str:
        """What a command printed that succeeds."""
        status, printed = self.tried(command)
        assert status == 0, f"{command}\n{printed}"
        return printed

    def put(self, path: str, content: str | bytes) -> None:
        """Write a file as the agent does."""
        data = base64.b64encode(content.encode() if isinstance(content, str) else content)
        self.run(f"base64 -d > {path} <<'END'\n{data.decode()}\nEND")

    def delivered(self, *paths: str) -> list[bytes]:
        """The contents of files, handed over and downloaded as a client does."""
        names = [path.rpartition("/")[2] for path in paths]
        self.run(f"cp {' '.join(paths)} {OUT}/")
        found = {
            file.filename: file.id  # the newest comes first
            for file in reversed(list(self.sdk.beta.files.list(scope_id=self.id, betas=BETAS)))
        }
        return [self.sdk.beta.files.download(found[name], betas=BETAS).read() for name in names]


@pytest.fixture(scope="module")
def desk(full_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A session in the full image."""
    yield from _desk(full_image, tmp_path_factory)


@pytest.fixture(scope="module")
def plain_desk(docker_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A session in the base image."""
    yield from _desk(docker_image, tmp_path_factory)


def _desk(image: str, folders: pytest.TempPathFactory) -> Iterator[Desk]:
    options: dict[str, Any] = {"sandbox": "docker", "sandbox_image": image}
    with serve(folders.mktemp("desk") / "data", **options) as served, served.client() as sdk:
        made = Desk(sdk.with_options(timeout=600))
        yield made
        sdk.beta.sessions.delete(made.id)
