"""What endpoints answer, held against what was recorded and against snapshots.

`make parity-update` rewrites the snapshots; what changed in them is then there to be reviewed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.parity.script import Script, changes, path_of, written
from tests.parity.scripts import SCRIPTS
from tests.parity.world import World, in_workspace, world
from tests.support.running import Served

UPDATE = "FREEHOLD_TEST_PARITY_UPDATE"


@pytest.fixture(scope="module")
def parity_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with world(tmp_path_factory.mktemp("parity")) as made:
        yield made.server


@pytest.fixture
def alone(parity_server: Served, request: pytest.FixtureRequest) -> Iterator[World]:
    """A world in a workspace of its own, so that lists have what its script made alone."""
    with in_workspace(parity_server, request.node.name) as made:
        yield made


@pytest.mark.parametrize("resource", SCRIPTS)
def test_answers_are_as_recorded_and_as_before(alone: World, resource: str) -> None:
    script = Script(alone, resource)
    SCRIPTS[resource](script)
    assert not script.complaints, "\n".join(script.complaints)
    if os.environ.get(UPDATE):
        path_of(resource).write_text(written(script.kept), encoding="utf-8")
    changed = changes(resource, script.kept)
    assert not changed, f"if that is meant: make parity-update\n{changed}"
