"""What every dispatcher promises: no wake lost, no two runs of one session at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from freehold.core.events import AgentThinking, Record
from freehold.core.state import SessionState, Status
from freehold.dispatch.clock import SystemClock
from freehold.dispatch.inprocess import InProcessDispatcher
from freehold.ports.dispatcher import Handler
from freehold.store.database import Database
from freehold.store.event_log import SqlEventLog
from freehold.store.tables import sessions

CLOCK = SystemClock()
START = datetime(2026, 3, 15, 10, tzinfo=UTC)


@pytest.fixture
async def log(sqlite_url: str) -> AsyncIterator[SqlEventLog]:
    database = Database(sqlite_url)
    async with database.write() as tx:
        await tx.execute(sa.update(sessions).values(needs_work=False))  # another test's
    yield SqlEventLog(database)
    await database.close()


@pytest.fixture
def dispatcher(log: SqlEventLog) -> InProcessDispatcher:
    return InProcessDispatcher(log, retry_delays=(0.001, 0.002))


@asynccontextmanager
async def serving(dispatcher: InProcessDispatcher, handler: Handler) -> AsyncIterator[None]:
    task = asyncio.create_task(dispatcher.serve(handler))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def wake(dispatcher: InProcessDispatcher, log: SqlEventLog, *session_ids: str) -> None:
    async with log.transaction() as tx:
        for session_id in session_ids:
            await dispatcher.wake(session_id, tx)


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait for something that must come about; pytest's own timeout is the limit."""
    while True:
        answer = condition()
        if answer if isinstance(answer, bool) else await answer:
            return
        await asyncio.sleep(0.001)


async def session_with(log: SqlEventLog, status: Status) -> str:
    """A stored session that stands as ``status``."""
    empty = SessionState(
        session_id=CLOCK.mint("sesn"), primary_thread_id="sthr_1", agent_name="a", created_at=START
    )
    record = Record(
        seq=1,
        id=CLOCK.mint("sevt"),
        processed_at=START + timedelta(microseconds=1),
        event=AgentThinking(),
    )
    async with log.transaction() as tx:
        await tx.execute(
            sa.insert(sessions).values(
                id=empty.session_id,
                workspace_id="wrkspc_1",
                agent_id="agent_1",
                agent_version=1,
                agent={},
                environment_id="env_1",
                environment={},
                primary_thread_id="sthr_1",
                metadata={},
                status="idle",
                head_seq=0,
                state=empty.model_dump_json(),
                needs_work=False,
                created_at=START,
                updated_at=START,
            )
        )
        await tx.append(
            empty.session_id,
            0,
            [record],
            empty.model_copy(update={"seq": 1, "status": status, "last_at": record.processed_at}),
        )
    return empty.session_id


async def test_a_storm_of_wakes_overlaps_nothing_and_loses_no_last_wake(
    dispatcher: InProcessDispatcher, log: SqlEventLog
) -> None:
    rng = random.Random(7)
    committed: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    running: set[str] = set()
    runs: Counter[str] = Counter()

    async def handler(session_id: str) -> None:
        assert session_id not in running
        running.add(session_id)
        runs[session_id] += 1
        seen[session_id] = committed[session_id]
        for _ in range(rng.randrange(6)):
            await asyncio.sleep(0)
        running.discard(session_id)

    async def storm(session_id: str) -> None:
        for _ in range(50):
            async with log.transaction() as tx:
                # Counted as part of the commit, as an event would be, before the wake.
                tx.on_commit(lambda: committed.update([session_id]))
                await dispatcher.wake(session_id, tx)
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)

    names = [f"sesn_{n}" for n in range(20)]
    async with serving(dispatcher, handler):
        await asyncio.gather(*map(storm, names))
        await until(lambda: dispatcher.running == 0)
    assert committed == Counter(dict.fromkeys(names, 50))
    assert seen == committed
    assert all(1 <= runs[name] <= 50 for name in names)


async def test_wakes_during_a_run_make_one_more_run(
    dispatcher: InProcessDispatcher, log: SqlEventLog
) -> None:
    gate, runs = asyncio.Event(), 0

    async def handler(_: str) -> None:
        nonlocal runs
        runs += 1
        await gate.wait()

    async with serving(dispatcher, handler):
        await wake(dispatcher, log, "sesn_1")
        await until(lambda: runs == 1)
        for _ in range(5):
            await wake(dispatcher, log, "sesn_1")
        assert runs == 1
        gate.set()
        await until(lambda: dispatcher.running == 0)
    assert runs == 2


async def test_a_wake_from_within_the_handler_is_not_lost(
    dispatcher: InProcessDispatcher, log: SqlEventLog
) -> None:
    runs = 0

    async def handler(session_id: str) -> None:
        nonlocal runs
        runs += 1
        if runs < 5:
            await wake(dispatcher, log, session_id)

    async with serving(dispatcher, handler):
        await wake(dispatcher, log, "sesn_1")
        await until(lambda: runs == 5 and dispatcher.running == 0)


async def test_sessions_run_side_by_side(dispatcher: InProcessDispatcher, log: SqlEventLog) -> None:
    together = asyncio.Barrier(3)

    async def handler(_: str) -> None:
        await together.wait()

    async with serving(dispatcher, handler):
        await wake(dispatcher, log, "sesn_1", "sesn_2", "sesn_3")
        await until(lambda: dispatcher.running == 0)


async def test_a_wake_that_is_rolled_back_or_not_yet_committed_does_nothing(
    dispatcher: InProcessDispatcher, log: SqlEventLog
) -> None:
    ran: list[str] = []

    async def handler(session_id: str) -> None:
        ran.append(session_id)

    async with serving(dispatcher, handler):
        with pytest.raises(ZeroDivisionError):
            async with log.transaction() as tx:
                await dispatcher.wake("sesn_rolled_back", tx)
                raise ZeroDivisionError
        async with log.transaction() as tx:
            await dispatcher.wake("sesn_late", tx)
            await asyncio.sleep(0.01)
            assert ran == []
        await until(lambda: ran == ["sesn_late"] and dispatcher.running == 0)


async def test_serving_starts_with_the_unfinished_sessions_and_earlier_wakes(
    dispatcher: InProcessDispatcher, log: SqlEventLog
) -> None:
    unfinished = [await session_with(log, "running"), await session_with(log, "rescheduling")]
    await session_with(log, "idle")
    await wake(dispatcher, log, "sesn_early")
    ran: list[str] = []

    async def handler(session_id: str) -> None:
        ran.append(session_id)

    async with serving(dispatcher, handler):
        await until(lambda: len(ran) >= 3 and dispatcher.running == 0)
    assert sorted(ran) == sorted([*unfinished, "sesn_early"])


async def test_a_failing_handler_is_tried_again_until_it_succeeds(
    dispatcher: InProcessDispatcher, log: SqlEventLog
) -> None:
    failures: list[BaseException] = [
        ZeroDivisionError(),
        asyncio.CancelledError(),  # its own, not ours
        ValueError(),
        KeyError(),
    ]
    ran: Counter[str] = Counter()

    async def handler(session_id: str) -> None:
        ran[session_id] += 1
        if session_id == "sesn_bad" and failures:
            raise failures.pop(0)

    async with serving(dispatcher, handler):
        await wake(dispatcher, log, "sesn_bad", "sesn_good")
        await until(lambda: dispatcher.running == 0)
        assert ran == {"sesn_bad": 5, "sesn_good": 1}
        await wake(dispatcher, log, "sesn_bad")
        await until(lambda: ran["sesn_bad"] == 6 and dispatcher.running == 0)


async def test_failures_are_spaced_further_and_further_apart(
    log: SqlEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher = InProcessDispatcher(log, retry_delays=(1.0, 2.0, 4.0))
    pauses: list[float] = []
    outcomes = iter([*[False] * 5, True, False, True])
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds >= 1:
            pauses.append(seconds)
        await real_sleep(0)

    async def handler(_: str) -> None:
        if not next(outcomes):
            # A wake, as of the steps that did succeed, must not cut the pause short.
            await wake(dispatcher, log, "sesn_1")
            raise ZeroDivisionError

    monkeypatch.setattr("freehold.dispatch.inprocess.asyncio.sleep", sleep)
    async with serving(dispatcher, handler):
        await wake(dispatcher, log, "sesn_1")
        while dispatcher.running:
            await real_sleep(0.001)
        assert pauses == [1.0, 2.0, 4.0, 4.0, 4.0]
        await wake(dispatcher, log, "sesn_1")
        while dispatcher.running:
            await real_sleep(0.001)
    assert pauses[5:] == [1.0]


async def test_stopping_cancels_handlers_and_waits_for_them(
    dispatcher: InProcessDispatcher, log: SqlEventLog
) -> None:
    started, tidied = asyncio.Event(), False

    async def handler(_: str) -> None:
        nonlocal tidied
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            tidied = True

    async with serving(dispatcher, handler):
        await wake(dispatcher, log, "sesn_1")
        await started.wait()
    assert tidied
    assert dispatcher.running == 0


async def test_a_handler_that_never_began_can_be_stopped_and_served_again(
    dispatcher: InProcessDispatcher, log: SqlEventLog
) -> None:
    session_id = await session_with(log, "running")
    ran: list[str] = []

    async def handler(woken: str) -> None:
        ran.append(woken)

    first = asyncio.create_task(dispatcher.serve(handler))
    await until(lambda: dispatcher.running == 1 or bool(ran))
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    before = len(ran)
    async with serving(dispatcher, handler):
        await until(lambda: len(ran) > before and dispatcher.running == 0)
    assert set(ran) == {session_id}


async def test_it_is_served_by_one_at_a_time(
    dispatcher: InProcessDispatcher, log: SqlEventLog
) -> None:
    async def handler(_: str) -> None: ...

    async with serving(dispatcher, handler):
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already"):
            await dispatcher.serve(handler)


async def test_a_run_does_not_inherit_the_context_of_the_request_that_woke_it(
    dispatcher: InProcessDispatcher, log: SqlEventLog
) -> None:
    import structlog

    seen: list[dict[str, object]] = []

    async def handler(_: str) -> None:
        seen.append(dict(structlog.contextvars.get_contextvars()))

    async with serving(dispatcher, handler):
        await asyncio.sleep(0)
        with structlog.contextvars.bound_contextvars(request_id="req_1"):
            await wake(dispatcher, log, "sesn_1")
        await until(lambda: bool(seen))
    assert seen == [{}]
