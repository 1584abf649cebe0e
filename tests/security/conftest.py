"""Providers whose sandboxes are behind an egress gate, for the tests of what it lets through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.docker_engine import MakeProvider, providers
from tests.docker_gate import Hosts

from freehold.sandbox.docker import DockerSandboxProvider, Limits


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def make(docker_image: str) -> AsyncIterator[MakeProvider]:
    async with providers(docker_image) as made:
        yield made


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installation's: providers with one owner share its authority."""
    return tmp_path_factory.mktemp("data")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(make: MakeProvider, hosts: Hosts, data_dir: Path) -> DockerSandboxProvider:
    """As the settings have it by default: all goes through the gate."""
    return make(gate=hosts.settings(data_dir), limits=Limits(network="gate"))
