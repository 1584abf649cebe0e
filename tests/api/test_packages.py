"""Packages of environments (spec 3.3), from a client's point of view: through the official SDK, on
an engine, from the registries."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic
from docker import DockerClient

from freehold.core.packages import Packages
from freehold.sandbox.docker.packages.images import present
from tests.api.conftest import said, turn
from tests.support.running import serve

pytestmark = pytest.mark.docker

ONE_OF_EACH = {"apt": ["hello=2.10-3"], "npm": ["is-odd@3.0.1"], "pip": ["six==1.16.0"]}
"""Of the registries that the tests can count on; the others' are in ``tests/full_image``."""
USE = (
    "dpkg-query -W -f '${Version}\\n' hello; python -c 'import six; print(six.__version__)'; "
    "node -p 'require(\"/home/agent/.npm-global/lib/node_modules/is-odd/package.json\").version'"
)


@pytest.fixture(autouse=True)
def an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image of another test is at hand: how the network is reached is part of a build."""
    monkeypatch.setenv("NO_PROXY", f"{secrets.token_hex(6)}.invalid")


@pytest.fixture
def sdk(tmp_path: Path, docker_image: str, docker_client: DockerClient) -> Iterator[Anthropic]:
    """A server of the test's own; its containers and package images go with it."""
    before = {image.tag for image in present(docker_client)}
    data = tmp_path / "data"
    with (
        serve(data, sandbox="docker", sandbox_image=docker_image) as served,
        served.client(timeout=600) as client,
    ):
        yield client
        for session in client.beta.sessions.list():
            client.beta.sessions.delete(session.id)
    from freehold.sandbox.docker.installation import installation_id

    owner = installation_id(data)
    for image in present(docker_client):
        if image.owner == owner and image.tag not in before:
            docker_client.images.remove(image.tag, force=True)


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "freehold.sandbox.docker")


def builds(caplog: pytest.LogCaptureFixture) -> int:
    return sum("building (" in record.getMessage() for record in caplog.records)


def environment(sdk: Anthropic, packages: dict[str, list[str]]) -> str:
    made = sdk.beta.environments.create(
        name="packed", config={"type": "cloud", "packages": packages}
    )
    return made.id


def session(sdk: Anthropic, environment_id: str) -> str:
    agent = sdk.beta.agents.create(
        name="a", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
    )
    return sdk.beta.sessions.create(agent=agent.id, environment_id=environment_id).id


def events(sdk: Anthropic, session_id: str, command: str) -> list[Any]:
    return list(turn(sdk, session_id, said(f"/tool bash {json.dumps({'command': command})}")))


def bash(sdk: Anthropic, session_id: str, command: str) -> str:
    found = events(sdk, session_id, command)
    assert [event.error for event in found if event.type == "session.error"] == []
    (result,) = [event for event in found if event.type == "agent.tool_result"]
    return str(result.content[0].text)


def test_one_of_each_kind_and_the_second_session_from_the_cache(
    sdk: Anthropic, caplog: pytest.LogCaptureFixture
) -> None:
    made = environment(sdk, ONE_OF_EACH)
    first = session(sdk, made)
    shown = sdk.beta.environments.retrieve(made).config
    assert shown.type == "cloud"
    assert (shown.packages.apt, shown.packages.pip) == (["hello=2.10-3"], ["six==1.16.0"])
    expected = ["2.10-3", "1.16.0", "3.0.1"]
    assert bash(sdk, first, USE).splitlines() == expected
    # What is going on is told, step by step.
    messages = [record.getMessage() for record in caplog.records]
    told = str(Packages.of({"packages": ONE_OF_EACH}))
    assert any(f"building ({told})" in message for message in messages)
    for manager in ONE_OF_EACH:
        assert any(f"install {manager} done in " in message for message in messages)
    assert any(": built in " in message for message in messages)
    assert bash(sdk, session(sdk, made), USE).splitlines() == expected
    # Another environment that says the same in another way.
    same = {manager: [*packages, *packages] for manager, packages in reversed(ONE_OF_EACH.items())}
    assert bash(sdk, session(sdk, environment(sdk, same)), USE).splitlines() == expected
    assert builds(caplog) == 1


def test_sessions_that_begin_at_once_build_once(
    sdk: Anthropic, caplog: pytest.LogCaptureFixture
) -> None:
    made = environment(sdk, {"pip": ["six==1.16.0"]})
    sessions = [session(sdk, made) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda each: bash(sdk, each, "python -c 'import six'"), sessions)
        assert set(found) == {"(no output)"}
    assert builds(caplog) == 1


@pytest.mark.parametrize(
    ("manager", "package", "words"),
    [
        ("apt", "no-such-package", "E: Unable to locate package no-such-package"),
        ("apt", "hello=99", "E: Version '99' for 'hello' was not found"),
        ("npm", "is-odd@999.0.0", "No matching version found for is-odd@999.0.0"),
        ("pip", "six==99.9", "ERROR: No matching distribution found for six==99.9"),
    ],
)
def test_a_failure_is_the_session_s_error_in_the_manager_s_own_words(
    sdk: Anthropic, manager: str, package: str, words: str
) -> None:
    broken = session(sdk, environment(sdk, {manager: [package]}))
    found = events(sdk, broken, "true")
    (error,) = [event.error for event in found if event.type == "session.error"]
    assert (error.type, error.retry_status.type) == ("unknown_error", "exhausted")
    assert error.message.startswith(f"config.packages.{manager}: installing failed")
    assert words in error.message
    (result,) = [event for event in found if event.type == "agent.tool_result"]
    assert result.is_error
    assert "this call did not run" in result.content[0].text
    assert found[-1].type == "session.status_idle"
    # The environment is mended, and the next session has what it asks for.
    fixed = environment(sdk, {})
    assert bash(sdk, session(sdk, fixed), "echo works") == "works"
