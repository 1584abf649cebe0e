"""What a sandbox of processes cannot enforce, promise by promise: it refuses, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.errors import PlacementRefused
from freehold.ports.sandbox import Placed, Root, SandboxSpec
from freehold.sandbox.process import ProcessSandboxProvider, bubblewrap_works

LIMITED = {"networking": {"type": "limited", "allowed_hosts": ["example.com"]}}


@pytest.fixture(params=["plain", "bubblewrap"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> ProcessSandboxProvider:
    if request.param == "bubblewrap" and not bubblewrap_works():
        pytest.skip("bubblewrap is not installed or may not make a sandbox here")
    return ProcessSandboxProvider(tmp_path, plain=request.param == "plain")


def test_limited_networking(provider: ProcessSandboxProvider) -> None:
    reason = provider.unenforceable(LIMITED) or ""
    assert "share this machine's network" in reason
    assert "FREEHOLD_SANDBOX=docker" in reason
    assert provider.unenforceable({"networking": {"type": "unrestricted"}}) is None


def test_packages(provider: ProcessSandboxProvider) -> None:
    assert provider.installs_packages is False


def test_it_says_what_does_not_isolate(provider: ProcessSandboxProvider) -> None:
    words = "no isolation" if provider.isolation == "none" else "the network is shared"
    assert words in provider.description


async def test_files_that_the_agent_must_not_change(tmp_path: Path) -> None:
    provider = ProcessSandboxProvider(tmp_path, plain=True)
    sandbox = await provider.acquire(SandboxSpec("sesn_x", roots=(Root("/mnt/session/uploads"),)))
    try:
        with pytest.raises(PlacementRefused, match="plain processes"):
            await sandbox.place([Placed("/mnt/session/uploads/file", b"kept")])
    finally:
        await provider.remove("sesn_x")
        await provider.close()


@pytest.mark.skipif(not bubblewrap_works(), reason="bubblewrap makes no sandbox here")
async def test_read_only_places_among_the_agents_own(tmp_path: Path) -> None:
    provider = ProcessSandboxProvider(tmp_path)
    sandbox = await provider.acquire(SandboxSpec("sesn_x"))
    try:
        with pytest.raises(PlacementRefused, match="a process sandbox keeps files"):
            await sandbox.place([Placed("/mnt/elsewhere/file", b"kept")])
    finally:
        await provider.remove("sesn_x")
        await provider.close()
