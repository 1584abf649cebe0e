"""Fixtures that every suite may use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from anthropic import Anthropic

    from tests.support.running import Served

pytest_plugins = ["tests.docker_engine", "tests.docker_gate", "tests.postgres"]


def _fail_with_faults() -> None:
    # Not imported here: what has not been imported has not seen an answer.
    seen = sys.modules.get("tests.support.answers")
    faults = list(dict.fromkeys(seen.FAULTS)) if seen else []
    if seen and faults:
        seen.FAULTS.clear()
        pytest.fail("answers that the SDK's types do not have:\n" + "\n".join(faults))


@pytest.fixture(scope="session", autouse=True)
def late_answers_are_what_the_sdk_knows() -> Iterator[None]:
    """The same for answers that came when no test ran any more."""
    yield
    _fail_with_faults()


@pytest.fixture(autouse=True)
def answers_are_what_the_sdk_knows() -> Iterator[None]:
    """Fail with a test that a server answered with anything but what the SDK's types say."""
    yield
    _fail_with_faults()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """A server with the scripted model and the scripted sandbox on an SQLite file."""
    # Imported here: unit tests need neither the server nor what it brings along.
    from tests.support.running import serve

    with serve(tmp_path / "data") as served:
        yield served


@pytest.fixture
def client(server: Served) -> Anthropic:
    """The official SDK, strict, pointed at ``server``."""
    return server.client()
