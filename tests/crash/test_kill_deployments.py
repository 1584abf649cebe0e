"""SIGKILL while runs start: every occurrence has one run, and every run its session."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic

from freehold.core import times
from tests.crash.support import dice, how_often, until, user
from tests.support.running import ServerProcess, client_of

KILLS = how_often(4)
DEPLOYMENTS = 60
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_that_was_due_starts_once(tmp_path: Path) -> None:
    rng = dice()
    data_dir = tmp_path / "data"
    database = data_dir / "freehold.db"
    with ServerProcess(data_dir, FREEHOLD_SANDBOX="scripted") as server:
        with client_of(server.url) as sdk:
            _deploy(sdk)
        server.kill()
        moment = times.to_micros(NEW_YEAR)
        _run(database, "UPDATE deployments SET scheduled_at = ?1, starts_at = ?1", moment)
        started, lively = 0, 0
        for _ in range(KILLS):
            server.launch()
            wanted = started + rng.randint(1, 4)
            until(lambda wanted=wanted: _count(database) >= wanted, "no run starts")
            time.sleep(rng.uniform(0, 0.02))
            server.kill()
            lively += _count(database) < DEPLOYMENTS
            started = min(_count(database), DEPLOYMENTS - 4)
        assert lively, "no kill came while runs were starting"
        server.start()
        overdue = "SELECT id FROM deployments WHERE starts_at = ?1"
        until(lambda: not _run(database, overdue, moment), "runs stay due")
        with client_of(server.url) as sdk:
            runs = list(sdk.beta.deployment_runs.list(limit=1000))
            sessions = list(sdk.beta.sessions.list(limit=100))
    assert len({run.deployment_id for run in runs}) == len(runs) == DEPLOYMENTS
    for run in runs:
        assert run.error is None
        assert run.trigger_context.type == "schedule"
        assert run.trigger_context.scheduled_at == NEW_YEAR
    assert {run.session_id for run in runs} == {session.id for session in sessions}
    assert len(sessions) == DEPLOYMENTS


def _deploy(sdk: Anthropic) -> None:
    agent = sdk.beta.agents.create(name="Helper", model="claude-opus-5")
    environment = sdk.beta.environments.create(name="plain")
    for number in range(DEPLOYMENTS):
        sdk.beta.deployments.create(
            name=f"Yearly {number}",
            agent=agent.id,
            environment_id=environment.id,
            initial_events=[user("/say Done.")],  # type: ignore[list-item]
            schedule={"type": "cron", "expression": "0 0 1 1 *", "timezone": "UTC"},
        )


def _count(database: Path) -> int:
    return len(_run(database, "SELECT id FROM deployment_runs"))


def _run(database: Path, statement: str, *values: int) -> list[Any]:
    connection = sqlite3.connect(database, timeout=30)
    try:
        with connection:
            return connection.execute(statement, values).fetchall()
    finally:
        connection.close()
