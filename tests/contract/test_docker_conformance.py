"""Every named check of :mod:`freehold.sandbox.conformance`, on containers."""

from __future__ import annotations

import pytest
from tests.docker_engine import MakeProvider

from freehold.sandbox.conformance import run


# One test, so that workers of a parallel run do not each go through all of them.
@pytest.mark.docker
async def test_docker_conforms(make_docker_provider: MakeProvider) -> None:
    results = await run(make_docker_provider(), reopen=make_docker_provider)
    assert len(results) >= 50
    assert [f"{r.name}: {r.status} {r.detail}" for r in results if r.status != "passed"] == []
