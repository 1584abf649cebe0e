"""Scheduled runs of deployments, with several servers on one database (spec 13.3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.clocks import Wall
from tests.support.deployments import SECRET_KEY, WORKSPACE, deployed, worker

from freehold.api.agents import service as agent_service
from freehold.api.deployments import service
from freehold.api.deployments.schemas import DeploymentUpdateParams
from freehold.api.deployments.starting import Starter
from freehold.api.deps import ApiServices
from freehold.api.memory_stores import service as memory_stores
from freehold.api.memory_stores.schemas import MemoryStoreCreateParams
from freehold.api.vaults import service as vaults
from freehold.api.vaults.schemas import VaultCreateParams
from freehold.core import schedule
from freehold.dispatch.schedules import Schedules
from freehold.errors import ApiError, RateLimited
from freehold.store import agents, deployment_runs, deployments, environments, tables
from freehold.store.deployment_runs import Filter, RunRow
from freehold.store.deployments import DeploymentRow, SqlDeploymentTokens, SqlTimetable
from freehold.store.sealing import Sealer
from freehold.store.units import WriteSession

NOON = datetime(2026, 10, 24, 12, tzinfo=UTC)
"""Of the day before Europe's clocks are set back."""
HOURLY = {"type": "cron", "expression": "0 * * * *", "timezone": "UTC"}
LONGEST = timedelta(minutes=9)

pytestmark = pytest.mark.timeout(600)


async def nothing(_: WriteSession, __: RunRow) -> None:
    """What is kept with a run that no request asked for."""


@pytest.fixture
def wall() -> Wall:
    return Wall(NOON)


@pytest.fixture
async def workers(
    database_url: str, tmp_path: Path, wall: Wall
) -> AsyncIterator[list[ApiServices]]:
    made = [worker(database_url, tmp_path / str(number), wall) for number in range(2)]
    yield made
    for behind in made:
        await behind.database.close()


@pytest.fixture
def behind(workers: list[ApiServices]) -> ApiServices:
    return workers[0]


async def now_is(behind: ApiServices, deployment_id: str) -> DeploymentRow:
    async with behind.database.read() as session:
        return await service.find(session, WORKSPACE, deployment_id)


async def runs_of(behind: ApiServices, deployment_id: str) -> list[RunRow]:
    """Oldest first."""
    async with behind.database.read() as session:
        found = await deployment_runs.page(
            session, WORKSPACE, Filter(deployment_id=deployment_id), after=None, limit=1000
        )
    return list(found)[::-1]


async def sessions_of(behind: ApiServices, deployment_id: str) -> list[str]:
    statement = sa.select(tables.sessions.c.id).where(
        tables.sessions.c.deployment_id == deployment_id
    )
    async with behind.database.read() as session:
        return [row["id"] for row in await session.all(statement)]


async def look(behind: ApiServices) -> None:
    """What the loop does when a time has come."""
    table = SqlTimetable(behind.database)
    await Schedules(table, Starter(behind).scheduled, behind.clock).fire()


async def change(
    behind: ApiServices, make: Callable[..., Any], deployment_id: str, *more: Any
) -> DeploymentRow:
    async with behind.database.write() as tx:
        row: DeploymentRow = await make(tx, WORKSPACE, deployment_id, *more)
        return row


def at(run: RunRow) -> str:
    assert run.scheduled_at is not None
    return f"{run.scheduled_at:%d %H:%M}"


async def test_a_run_starts_after_its_occurrence(behind: ApiServices, wall: Wall) -> None:
    made = await deployed(behind, schedule=HOURLY)
    assert made.scheduled_at == NOON + timedelta(hours=1)
    assert made.starts_at is not None
    assert timedelta(seconds=5) <= made.starts_at - made.scheduled_at <= LONGEST
    wall.go_to(made.starts_at - timedelta(seconds=4))
    await look(behind)
    assert await runs_of(behind, made.id) == []
    wall.go_to(made.starts_at)
    await look(behind)
    (run,) = await runs_of(behind, made.id)
    assert run.scheduled_at == made.scheduled_at
    assert [run.session_id] == await sessions_of(behind, made.id)
    row = await now_is(behind, made.id)
    assert row.last_run_at == run.created_at
    assert row.scheduled_at == made.scheduled_at + timedelta(hours=1)
    await look(behind)
    assert len(await runs_of(behind, made.id)) == 1


async def test_two_servers_across_a_change_of_clocks_and_an_outage(
    workers: list[ApiServices], wall: Wall
) -> None:
    nightly = {"type": "cron", "expression": "30 2 * * *", "timezone": "Europe/Oslo"}
    often = {"type": "cron", "expression": "*/10 * * * *", "timezone": "UTC"}
    night = await deployed(workers[0], schedule=nightly)
    ten = await deployed(workers[1], schedule=often)
    wall.go_to(datetime(2026, 10, 24, 23, 59, tzinfo=UTC))
    await asyncio.gather(*map(look, workers))
    for _ in range(30):  # five minutes at a time: every occurrence is seen
        wall.go_to(wall.now() + timedelta(minutes=5))
        await asyncio.gather(*map(look, workers))
    # Half past two comes twice in this night: at 00:30 and at 01:30 UTC.
    assert [at(run) for run in await runs_of(workers[0], night.id)] == [
        "25 00:30",
        "25 01:30",
    ]
    every = [at(run) for run in await runs_of(workers[0], ten.id)]
    assert len(every) == len(set(every))
    # From noon on nobody looked: the newest of the missed, then each one.
    assert every[0] == "24 23:50"
    assert every[1:15] == [f"25 {n // 6:02}:{n % 6 * 10:02}" for n in range(14)]
    # Nobody looks for two days: each catches up with one run.
    wall.go_to(datetime(2026, 10, 27, 12, 25, tzinfo=UTC))
    await asyncio.gather(*map(look, workers))
    assert at((await runs_of(workers[0], night.id))[-1]) == "27 01:30"
    assert len(await runs_of(workers[0], night.id)) == 3
    assert at((await runs_of(workers[0], ten.id))[-1]) == "27 12:20"
    for made in (night, ten):
        runs = await runs_of(workers[0], made.id)
        sessions = await sessions_of(workers[0], made.id)
        assert sorted(str(run.session_id) for run in runs) == sorted(sessions)


async def test_a_late_look_skips_nothing_that_is_about_to_start(
    behind: ApiServices, wall: Wall
) -> None:
    await switch_off_others(behind, "")
    made = await deployed(behind, schedule=HOURLY)
    wall.go_to(NOON + timedelta(hours=2, seconds=1))
    await look(behind)
    wall.go_to(NOON + timedelta(hours=2, minutes=10))
    await look(behind)
    assert [at(run) for run in await runs_of(behind, made.id)] == ["24 13:00", "24 14:00"]


async def test_everything_at_once(workers: list[ApiServices], wall: Wall) -> None:
    """Neither waits for the other forever, and what was archived starts nothing."""
    await switch_off_others(workers[0], "")
    one, two = workers
    for _ in range(5):
        wall.go_to(NOON)
        made = await deployed(one, schedule=HOURLY)
        wall.go_to(NOON + timedelta(hours=1, minutes=10))
        params = DeploymentUpdateParams.model_validate({"agent": made.agent_id, "name": "Other"})
        outcomes = await asyncio.gather(
            change(one, service.update, made.id, params, one),
            archive_agent(two, made.agent_id),
            look(one),
            look(two),
            Starter(two).manual(WORKSPACE, made.id, nothing),
            change(two, service.pause, made.id, wall.now()),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                assert isinstance(outcome, ApiError), outcome
                assert "rchived" in str(outcome)
        row = await now_is(one, made.id)
        assert (row.archived_at is not None, row.starts_at) == (True, None)
        before = await runs_of(one, made.id)
        assert len([run for run in before if run.scheduled_at]) <= 1
        wall.go_to(NOON + timedelta(hours=9))
        await asyncio.gather(look(one), look(two))
        assert await runs_of(one, made.id) == before


async def archive_agent(behind: ApiServices, agent_id: str) -> None:
    async with behind.database.write() as tx:
        await agent_service.archive(tx, WORKSPACE, agent_id, behind.clock)


class Died(BaseException):
    """The server's process ends here."""


_POINTS = [
    (deployment_runs, "exists"),
    (deployment_runs, "insert"),
    (deployments, "update"),
]


@contextlib.contextmanager
def dying(point: int) -> Any:
    module, name = _POINTS[point]

    async def die(*_: Any) -> None:
        raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, die)
        yield


@pytest.mark.parametrize("point", range(len(_POINTS)))
async def test_a_server_that_dies_leaves_the_run_to_the_others(
    workers: list[ApiServices], wall: Wall, point: int
) -> None:
    made = await deployed(workers[0], schedule=HOURLY)
    wall.go_to(NOON + timedelta(hours=1, minutes=10))
    with dying(point), pytest.raises(Died):
        await look(workers[0])
    assert await runs_of(workers[1], made.id) == []
    assert await sessions_of(workers[1], made.id) == []
    await look(workers[1])
    (run,) = await runs_of(workers[1], made.id)
    assert [run.session_id] == await sessions_of(workers[1], made.id)


STEPS = st.one_of(
    st.tuples(st.just("pass"), st.integers(1, 200)),
    st.tuples(st.just("look"), st.sampled_from([(0,), (1,), (0, 1), (1, 0, 1)])),
    st.tuples(st.just("die"), st.integers(0, len(_POINTS) - 1)),
    st.tuples(st.just("fail"), st.booleans()),
    st.tuples(st.sampled_from(["pause", "unpause"]), st.none()),
    st.tuples(st.just("change"), st.sampled_from(["*/20 1-3 * * *", "7 * * * *"])),
)


class Model:
    """What runs there should be."""

    def __init__(self, deployment_id: str, expression: str, now: datetime) -> None:
        self.id = deployment_id
        self.zone = ZoneInfo("Europe/Oslo")
        self.paused: str | None = None
        self.runs: list[tuple[datetime, bool]] = []
        self.change(expression, now)

    def change(self, expression: str, now: datetime) -> None:
        self.expression = expression
        self.after(now)

    def after(self, moment: datetime) -> None:
        cron = schedule.parse(self.expression)
        several = schedule.occurrences(cron, self.zone, moment)
        self.coming = [next(several) for _ in range(1000)]

    def starts_at(self, place: int) -> datetime:
        one, following = self.coming[place : place + 2]
        return one + schedule.delay(self.id, following - one)

    def look(self, now: datetime, failing: bool) -> None:
        if self.paused is not None or self.starts_at(0) > now:
            return
        place = 0
        while self.starts_at(place + 1) <= now:
            place += 1
        self.runs.append((self.coming[place], failing))
        self.after(self.coming[place])
        if failing:
            self.paused = "environment_archived_error"


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEPS, max_size=25))
async def test_however_two_servers_interleave_an_occurrence_has_one_run(
    workers: list[ApiServices], steps: list[tuple[str, Any]]
) -> None:
    wall = workers[0].clock._wall  # type: ignore[attr-defined]
    wall.go_to(NOON + timedelta(hours=10))
    expression = "*/20 1-3 * * *"
    made = await deployed(
        workers[0],
        schedule={"type": "cron", "expression": expression, "timezone": "Europe/Oslo"},
    )
    model = Model(made.id, expression, wall.now())
    failing = False
    for kind, what in steps:
        wall.go_to(wall.now().replace(second=30, microsecond=0))
        match kind:
            case "pass":
                wall.go_to(wall.now() + timedelta(minutes=what))
            case "look":
                await asyncio.gather(*(look(workers[number]) for number in what))
                model.look(wall.now(), failing)
            case "die":
                with dying(what), contextlib.suppress(Died):
                    await look(workers[0])
            case "fail":
                failing = what
                async with workers[0].database.write() as tx:
                    await tx.execute(
                        sa.update(tables.environments)
                        .where(tables.environments.c.id == made.environment_id)
                        .values(archived_at=wall.now() if failing else None)
                    )
            case "pause":
                await change(workers[0], service.pause, made.id, wall.now())
                model.paused = model.paused or "manual"
            case "unpause":
                row = await change(workers[1], service.unpause, made.id, wall.now())
                assert row.paused is None
                if model.paused is not None:
                    model.paused = None
                    model.after(wall.now())
            case "change":
                params = DeploymentUpdateParams.model_validate(
                    {"schedule": {"type": "cron", "expression": what, "timezone": "Europe/Oslo"}}
                )
                await change(workers[1], service.update, made.id, params, workers[1])
                if what != model.expression:
                    model.change(what, wall.now())
        row = await now_is(workers[1], made.id)
        assert row.paused == model.paused
        if row.paused is None:
            assert (row.scheduled_at, row.starts_at) == (model.coming[0], model.starts_at(0))
        else:
            assert (row.scheduled_at, row.starts_at) == (None, None)
        await switch_off_others(workers[0], made.id)
    runs = await runs_of(workers[0], made.id)
    assert [(run.scheduled_at, run.session_id is None) for run in runs] == model.runs
    sessions = await sessions_of(workers[0], made.id)
    assert sorted(str(run.session_id) for run in runs if run.session_id) == sorted(sessions)
    await switch_off_others(workers[0], "")


async def switch_off_others(behind: ApiServices, deployment_id: str) -> None:
    """Tests share a database: what another example left behind is not to run."""
    async with behind.database.write() as tx:
        await tx.execute(
            sa.update(tables.deployments)
            .where(tables.deployments.c.id != deployment_id)
            .values(scheduled_at=None, starts_at=None)
        )


class TestWhatGoesWrong:
    async def due(self, behind: ApiServices, wall: Wall, **more: Any) -> DeploymentRow:
        await switch_off_others(behind, "")
        made = await deployed(behind, schedule=HOURLY, **more)
        wall.go_to(NOON + timedelta(hours=1, minutes=10))
        return made

    async def failed(self, behind: ApiServices, made: DeploymentRow) -> tuple[str | None, str]:
        """The error of the only run, and what it did to the deployment."""
        await look(behind)
        (run,) = await runs_of(behind, made.id)
        assert run.session_id is None
        assert run.error_message is not None
        assert await sessions_of(behind, made.id) == []
        row = await now_is(behind, made.id)
        shown = service.shown(row, behind.clock.now()).model_dump(exclude_unset=True)
        if row.paused is None:
            assert (shown["status"], shown["paused_reason"]) == ("active", None)
            return run.error_type, "goes on"
        assert shown["status"] == "paused"
        assert shown["paused_reason"] == {"type": "error", "error": {"type": run.error_type}}
        assert row.starts_at is None
        assert shown["schedule"]["upcoming_runs_at"]
        return run.error_type, "paused"

    async def test_an_archived_environment(self, behind: ApiServices, wall: Wall) -> None:
        made = await self.due(behind, wall)
        async with behind.database.write() as tx:
            await tx.execute(sa.update(tables.environments).values(archived_at=NOON))
        assert await self.failed(behind, made) == ("environment_archived_error", "paused")
        # Paused is paused; what was missed meanwhile is not made up for.
        wall.go_to(NOON + timedelta(hours=7, minutes=30))
        await look(behind)
        assert len(await runs_of(behind, made.id)) == 1
        async with behind.database.write() as tx:
            await tx.execute(sa.update(tables.environments).values(archived_at=None))
        row = await change(behind, service.unpause, made.id, behind.clock.now())
        assert row.scheduled_at == NOON + timedelta(hours=8)
        wall.go_to(NOON + timedelta(hours=8, minutes=10))
        await look(behind)
        assert [at(run) for run in await runs_of(behind, made.id)] == ["24 13:00", "24 20:00"]

    async def test_no_environment(self, behind: ApiServices, wall: Wall) -> None:
        made = await self.due(behind, wall)
        async with behind.database.write() as tx:
            assert await environments.delete(tx, WORKSPACE, made.environment_id)
        assert await self.failed(behind, made) == ("environment_not_found_error", "paused")
        (run,) = await runs_of(behind, made.id)
        assert run.error_message == (
            f"session creation rejected: environment `{made.environment_id}` not found"
        )

    async def test_a_self_hosted_environment(self, behind: ApiServices, wall: Wall) -> None:
        repository = {"type": "github_repository", "url": "https://github.com/o/tool"}
        made = await self.due(behind, wall, resources=[repository])
        async with behind.database.write() as tx:  # which no client can do
            await tx.execute(sa.update(tables.environments).values(config={"type": "self_hosted"}))
        found = await self.failed(behind, made)
        assert found == ("self_hosted_resources_unsupported_error", "paused")

    async def test_a_vault(self, behind: ApiServices, wall: Wall) -> None:
        async with behind.database.write() as tx:
            params = VaultCreateParams(display_name="Keys")
            vault = await vaults.create(tx, WORKSPACE, params, behind.clock)
        made = await self.due(behind, wall, vault_ids=[vault.id])
        async with behind.database.write() as tx:
            await tx.execute(sa.update(tables.vaults).values(archived_at=NOON))
        assert await self.failed(behind, made) == ("vault_archived_error", "paused")

    async def test_a_memory_store(self, behind: ApiServices, wall: Wall) -> None:
        async with behind.database.write() as tx:
            given = MemoryStoreCreateParams(name="Notes")
            store = await memory_stores.create(tx, WORKSPACE, given, behind.clock)
        resource = {"type": "memory_store", "memory_store_id": store.id}
        made = await self.due(behind, wall, resources=[resource])
        async with behind.database.write() as tx:
            await memory_stores.archive(tx, WORKSPACE, store.id, behind.clock)
        assert await self.failed(behind, made) == ("memory_store_archived_error", "paused")

    async def test_an_archived_agent(self, behind: ApiServices, wall: Wall) -> None:
        made = await self.due(behind, wall)
        async with behind.database.write() as tx:  # without its deployments
            await agents.archive(tx, WORKSPACE, made.agent_id, NOON)
        assert await self.failed(behind, made) == ("agent_archived_error", "paused")

    async def test_a_deleted_agent_archives_without_a_run(
        self, behind: ApiServices, wall: Wall
    ) -> None:
        made = await self.due(behind, wall)
        async with behind.database.write() as tx:
            for table, column in (
                (tables.agent_versions, tables.agent_versions.c.agent_id),
                (tables.agents, tables.agents.c.id),
            ):
                await tx.execute(sa.delete(table).where(column == made.agent_id))
        await look(behind)
        assert await runs_of(behind, made.id) == []
        row = await now_is(behind, made.id)
        assert (row.archived_at is not None, row.starts_at) == (True, None)

    @pytest.mark.parametrize(
        ("raised", "becomes"),
        [
            (RateLimited("Too many sessions."), ("session_rate_limited_error", "goes on")),
            (ApiError("No."), ("session_creation_rejected_error", "goes on")),
            (RuntimeError("a bug"), ("unknown_error", "paused")),
        ],
    )
    async def test_refusals_at_the_last_moment(
        self, behind: ApiServices, wall: Wall, raised: Exception, becomes: tuple[str, str]
    ) -> None:
        made = await self.due(behind, wall)

        async def refuse(*_: Any) -> None:
            raise raised

        with pytest.MonkeyPatch.context() as patch:
            # When the session's row is written already.
            patch.setattr("freehold.store.skill_source.pin", refuse)
            assert await self.failed(behind, made) == becomes
        wall.go_to(NOON + timedelta(hours=2, minutes=10))
        await look(behind)
        runs = await runs_of(behind, made.id)
        later = [] if becomes[1] == "paused" else [False]
        assert [run.session_id is None for run in runs] == [True, *later]

    async def test_a_database_in_trouble_leaves_the_run_due(
        self, behind: ApiServices, wall: Wall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = await self.due(behind, wall)

        async def fail(*_: Any) -> None:
            raise sa.exc.OperationalError("INSERT", {}, Exception("disk full"))

        monkeypatch.setattr("freehold.store.skill_source.pin", fail)
        await look(behind)
        assert await runs_of(behind, made.id) == []
        monkeypatch.undo()
        await look(behind)
        (run,) = await runs_of(behind, made.id)
        assert run.session_id is not None

    async def test_a_time_zone_that_is_not_known_here(
        self, behind: ApiServices, wall: Wall
    ) -> None:
        made = await self.due(behind, wall)
        async with behind.database.write() as tx:
            await tx.execute(
                sa.update(tables.deployments)
                .where(tables.deployments.c.id == made.id)
                .values(timezone="Mars/Olympus")
            )
        await look(behind)
        (run,) = await runs_of(behind, made.id)
        assert (run.error_type, run.error_message) == (
            "unknown_error",
            "the time zone Mars/Olympus is not known",
        )
        row = await now_is(behind, made.id)
        assert (row.paused, row.starts_at) == ("unknown_error", None)
        assert service.shown(row, NOON).schedule is not None

    async def test_a_clock_that_is_set_back(self, behind: ApiServices, wall: Wall) -> None:
        made = await self.due(behind, wall)
        await look(behind)
        wall.go_to(NOON)
        every = {"schedule": {**HOURLY, "timezone": "Etc/UTC"}}
        params = DeploymentUpdateParams.model_validate(every)
        row = await change(behind, service.update, made.id, params, behind)
        assert row.scheduled_at == made.scheduled_at
        wall.go_to(NOON + timedelta(hours=1, minutes=10))
        await look(behind)
        assert len(await runs_of(behind, made.id)) == 1
        row = await now_is(behind, made.id)
        assert row.scheduled_at == NOON + timedelta(hours=2)


async def test_a_manual_run_is_not_one_of_the_schedule(behind: ApiServices, wall: Wall) -> None:
    await switch_off_others(behind, "")
    made = await deployed(behind, schedule=HOURLY)
    run = await Starter(behind).manual(WORKSPACE, made.id, nothing)
    assert run.scheduled_at is None
    row = await now_is(behind, made.id)
    assert (row.last_run_at, row.starts_at) == (None, made.starts_at)
    wall.go_to(NOON + timedelta(hours=1, minutes=10))
    await look(behind)
    runs = await runs_of(behind, made.id)
    assert [run.scheduled_at for run in runs] == [None, made.scheduled_at]
    assert len(await sessions_of(behind, made.id)) == 2


async def test_another_workspace_sees_nothing(behind: ApiServices) -> None:
    made = await deployed(behind, schedule=HOURLY)
    run = await Starter(behind).manual(WORKSPACE, made.id, nothing)
    other = "wrkspc_other"
    with pytest.raises(ApiError, match="Deployment not found"):
        await Starter(behind).manual(other, made.id, nothing)
    async with behind.database.write() as tx:
        for make in (service.archive, service.pause, service.unpause):
            with pytest.raises(ApiError, match="Deployment not found"):
                await make(tx, other, made.id, NOON)
        with pytest.raises(ApiError, match="Deployment not found"):
            await service.update(
                tx, other, made.id, DeploymentUpdateParams.model_validate({"name": "x"}), behind
            )
        assert await deployment_runs.get(tx, other, run.id) is None
        assert await deployment_runs.page(tx, other, Filter(), after=None, limit=9) == []
        assert await deployments.page(tx, other, after=None, limit=9) == []
        await deployments.archive_of_agent(tx, other, made.agent_id, NOON)
    assert (await now_is(behind, made.id)).archived_at is None


async def test_tokens_are_sealed_anew_with_the_newest_key(behind: ApiServices) -> None:
    repository = {
        "type": "github_repository",
        "url": "https://github.com/o/tool",
        "authorization_token": "canary",
    }
    made = await deployed(behind, resources=[{"type": "github_repository", **repository}])
    newest = "OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2NTQzMjEwOTg="
    sealer = Sealer.of_text(f"{newest},{SECRET_KEY}")
    assert await SqlDeploymentTokens(behind.database, sealer).reseal() == 1
    row = await now_is(behind, made.id)
    assert row.sealed is not None
    assert row.sealed != made.sealed
    assert Sealer.of_text(newest).open(made.id, row.sealed) == {"0": "canary"}
    # The server has the old key alone: the run says what is to be done.
    run = await Starter(behind).manual(WORKSPACE, made.id, nothing)
    assert run.error_type == "session_creation_rejected_error"
    assert "authorization_token" in str(run.error_message)
