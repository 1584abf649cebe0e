"""Every sandbox provider that ships passes every conformance check."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from freehold.errors import SandboxUnavailable
from freehold.sandbox.conformance import CHECKS, Check, NotApplicable, Subject
from freehold.sandbox.conformance.__main__ import providers
from freehold.sandbox.process import bubblewrap_works

pytestmark = pytest.mark.asyncio(loop_scope="module")

_PLACING = (
    "place_shows_files",
    "placed_files_are_out_of_reach",
    "placing_leaves_the_agent_its_folders",
    "place_replaces",
    "place_is_not_led_astray",
    "place_refuses_what_it_cannot_keep",
    "writable_files_are_the_agents",
    "withdraw_deletes",
    "placing_survives_a_restart",
)
_SKIPPED_BY = {
    "bash_finds_the_usual_programs": {"scripted"},
    "listing_skips_what_is_no_file": {"scripted"},
    "listing_is_bounded": {"scripted"},
    "survey_names_what_is_no_file": {"scripted"},
    "survey_is_bounded": {"scripted"},
    "exchange_is_not_led_astray": {"scripted"},
    **{name: {"plain"} for name in _PLACING},
    # No links.
    "place_is_not_led_astray": {"plain", "scripted"},
}
"""What a provider may leave out; anything else must apply to it."""


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=["scripted", "plain", "process", pytest.param("docker", marks=pytest.mark.docker)],
)
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "process" and not bubblewrap_works():
        pytest.skip("bubblewrap is not installed or may not make a sandbox here")
    if request.param == "docker":
        await _need_docker()
    with tempfile.TemporaryDirectory(prefix="freehold-") as folder:
        provider, reopen = providers(request.param, Path(folder))
        subject = Subject(provider, reopen)
        yield subject
        await subject.end()


async def _need_docker() -> None:
    from freehold.sandbox.docker import DockerSandboxProvider
    from freehold.settings import Settings

    with tempfile.TemporaryDirectory(prefix="freehold-") as folder:
        provider = DockerSandboxProvider.from_settings(Settings(data_dir=Path(folder)))
        try:
            found = await provider.check()
        except SandboxUnavailable as error:
            pytest.skip(f"no Docker engine: {error}")
        finally:
            await provider.close()
    wrong = [f"{one.name}: {one.detail}" for one in found if one.status == "error"]
    if wrong:
        pytest.skip("Docker cannot give sandboxes here: " + "; ".join(wrong))


@pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))
async def test_provider_passes(subject: Subject, check: Check) -> None:
    try:
        await check(subject)
    except NotApplicable:
        plain = "plain" in subject.provider.description
        name = "plain" if plain else subject.provider.name
        assert name in _SKIPPED_BY.get(check.name, set())


async def test_there_are_enough_checks() -> None:
    assert len(CHECKS) >= 50
    assert all(check.purpose for check in CHECKS.values())
