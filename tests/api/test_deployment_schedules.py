"""Schedules on running servers: two of them on one database, a clock that tests set."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic

from freehold.app import create_app
from tests.api.conftest import said
from tests.support.clocks import Wall
from tests.support.deployments import settings
from tests.support.running import serve_app

EVENING = datetime(2026, 10, 24, 22, 1, tzinfo=UTC)
"""Before the night in which Europe's clocks are set back."""


def until(done: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 60
    while not (found := done()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


@pytest.mark.timeout(300)
def test_two_servers_on_one_database(database_url: str, tmp_path: Path) -> None:
    wall = Wall(EVENING)
    with contextlib.ExitStack() as stack:
        first, second = [
            stack.enter_context(
                stack.enter_context(
                    serve_app(
                        create_app(settings(database_url, tmp_path / name), clock=wall.clock())
                    )
                ).client()
            )
            for name in ("one", "two")
        ]
        made = _deploy(first, "30 2 * * *")
        assert made.schedule.upcoming_runs_at[:3] == [
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
            datetime(2026, 10, 26, 1, 30, tzinfo=UTC),
        ]

        def scheduled(sdk: Anthropic) -> list[datetime]:
            runs = list(sdk.beta.deployment_runs.list(deployment_id=made.id))
            found = []
            for run in runs[::-1]:
                assert run.trigger_context.type == "schedule"
                found.append(run.trigger_context.scheduled_at)
            return found

        expected = []
        for due in made.schedule.upcoming_runs_at[:3]:
            wall.go_to(due + timedelta(minutes=10))
            expected.append(due)
            until(lambda: scheduled(second) == expected, f"{due}: {scheduled(second)}")
        # Nobody was there for three days: one run makes up for them.
        wall.go_to(datetime(2026, 10, 29, 12, tzinfo=UTC))
        expected.append(datetime(2026, 10, 29, 1, 30, tzinfo=UTC))
        until(lambda: scheduled(first) == expected, f"{scheduled(first)}")
        found = first.beta.deployments.retrieve(made.id).schedule
        assert found is not None
        assert found.last_run_at is not None
        assert found.last_run_at > wall.now() - timedelta(minutes=2)
        runs = list(first.beta.deployment_runs.list(deployment_id=made.id, trigger_type="schedule"))
        sessions = list(first.beta.sessions.list(deployment_id=made.id))
        assert {run.session_id for run in runs} == {session.id for session in sessions}
        assert len(sessions) == len(runs) == 4
        for session in sessions:
            # The server that created it runs it, too.
            until(
                lambda session_id=session.id: (
                    first.beta.sessions.retrieve(session_id).status == "idle"
                ),
                "a session does not end",
            )
            types = [event.type for event in first.beta.sessions.events.list(session.id)]
            assert "agent.message" in types

        # A failing run pauses; after that nothing happens until somebody unpauses.
        first.beta.environments.archive(made.environment_id)
        wall.go_to(datetime(2026, 10, 30, 2, tzinfo=UTC))
        until(
            lambda: second.beta.deployments.retrieve(made.id).status == "paused",
            "the deployment is not paused",
        )
        paused = second.beta.deployments.retrieve(made.id)
        assert paused.paused_reason is not None
        assert paused.paused_reason.to_dict() == {
            "type": "error",
            "error": {"type": "environment_archived_error"},
        }
        (failed,) = second.beta.deployment_runs.list(deployment_id=made.id, has_error=True)
        assert failed.error is not None
        assert failed.error.type == "environment_archived_error"
        assert second.beta.deployments.unpause(made.id).status == "active"


def _deploy(sdk: Anthropic, expression: str) -> Any:
    agent = sdk.beta.agents.create(name="Helper", model="claude-opus-5")
    environment = sdk.beta.environments.create(name="plain")
    return sdk.beta.deployments.create(
        name="Nightly",
        agent=agent.id,
        environment_id=environment.id,
        initial_events=[said("/say Done.")],  # type: ignore[list-item]
        schedule={"type": "cron", "expression": expression, "timezone": "Europe/Oslo"},
    )
