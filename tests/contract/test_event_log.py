"""What every event log keeps, whichever database is below it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import orjson
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.core import events as ev
from freehold.core import times
from freehold.core.events import Event, Record
from freehold.core.state import OpenCall, PendingInput, SessionState
from freehold.dispatch.clock import SystemClock
from freehold.errors import SequenceConflict
from freehold.store import event_log, tables
from freehold.store.database import Database, WriteSession
from freehold.store.event_log import EventReader, SqlEventLog, page_of
from freehold.store.keyset import Span

CLOCK = SystemClock()
START = datetime(2026, 3, 15, 10, tzinfo=UTC)
TEXT = [{"type": "text", "text": "hello"}]
NASTY = "NUL \0, quotes \" \\ ', line\u2028, é, 🏡, \x1b[0m, \\u0000"
END = ev.StopReason(type="end_turn")

EVERY_EVENT: list[Event] = [
    ev.UserMessage(content=[{"type": "text", "text": NASTY}]),
    ev.UserInterrupt(session_thread_id="sthr_1"),
    ev.UserToolConfirmation(tool_use_id="sevt_1", result="deny", deny_message="no"),
    ev.UserCustomToolResult(custom_tool_use_id="sevt_1", content=TEXT, is_error=False),
    ev.UserToolResult(tool_use_id="sevt_1", content=[]),
    ev.UserDefineOutcome(description="d", rubric={"type": "text"}, outcome_id="outc_1"),
    ev.SystemMessage(content=TEXT),
    ev.AgentMessage(content=TEXT),
    ev.AgentThinking(),
    ev.AgentToolUse(name="bash", input={"command": NASTY, "nothing": None, "deep": [{"x": None}]}),
    ev.AgentToolResult(tool_use_id="sevt_1", content=TEXT, is_error=True),
    ev.AgentMcpToolUse(name="n", mcp_server_name="s", input={}, evaluated_permission="ask"),
    ev.AgentMcpToolResult(mcp_tool_use_id="sevt_1"),
    ev.AgentCustomToolUse(name="n", input={"n": 2**53, "f": 0.1}),
    ev.AgentThreadContextCompacted(),
    ev.SessionStatusRunning(),
    ev.SessionStatusIdle(
        stop_reason=ev.StopReason(type="requires_action", event_ids=["sevt_1"]),
    ),
    ev.SessionStatusRescheduled(),
    ev.SessionStatusTerminated(),
    ev.ThreadStatusRunning(session_thread_id="sthr_1", agent_name="a"),
    ev.ThreadStatusIdle(session_thread_id="sthr_1", agent_name="a", stop_reason=END),
    ev.ThreadStatusRescheduled(session_thread_id="sthr_1", agent_name="a"),
    ev.ThreadStatusTerminated(session_thread_id="sthr_1", agent_name="a"),
    ev.SessionError(error={"type": "unknown_error", "retry_status": {"type": "terminal"}}),
    ev.SessionUpdated(title="t", metadata={"k": "v"}),
    ev.SessionUsage(usage={"input_tokens": 1}),
    ev.SessionDeleted(),
    ev.SessionArchived(),
    ev.ModelRequestStart(),
    ev.ModelRequestEnd(model_request_start_id="sevt_1", model_usage=ev.ModelUsage(input_tokens=3)),
    ev.InputAccepted(input_id="sevt_9", event=ev.UserMessage(content=TEXT)),
    ev.SandboxAttached(sandbox_id="box"),
    ev.CallStarted(call_id="sevt_call"),
    ev.McpToolsListed(server="linear", tools=[{"name": "find"}]),
    ev.ModelAsked(purpose="search", model="m", usage=ev.ModelUsage(input_tokens=3)),
]


@pytest.fixture
def log(database: Database) -> SqlEventLog:
    return SqlEventLog(database)


def fresh() -> SessionState:
    return SessionState(
        session_id=CLOCK.mint("sesn"), primary_thread_id="sthr_1", agent_name="a", created_at=START
    )


async def create(database: Database, tx: WriteSession | None = None) -> SessionState:
    """A session row with an empty log."""
    if tx is None:
        async with database.write() as own:
            return await create(database, own)
    state = fresh()
    await tx.execute(
        sa.insert(tables.sessions).values(
            id=state.session_id,
            workspace_id="wrkspc_1",
            agent_id="agent_1",
            agent_version=1,
            agent={"name": "a", "system": NASTY},
            environment_id="env_1",
            environment={"type": "cloud"},
            primary_thread_id=state.primary_thread_id,
            metadata={"nul": "\0"},
            status=state.status,
            head_seq=0,
            state=state.model_dump_json(),
            needs_work=False,
            created_at=START,
            updated_at=START,
        )
    )
    return state


def records(after: int, events: Sequence[Event], **more: Any) -> list[Record]:
    return [
        Record(
            seq=seq,
            id=CLOCK.mint("sevt"),
            processed_at=START + timedelta(microseconds=seq),
            event=event,
            **more,
        )
        for seq, event in enumerate(events, start=after + 1)
    ]


def grown(state: SessionState, made: Sequence[Record], **changes: Any) -> SessionState:
    last = made[-1]
    return state.model_copy(update={"seq": last.seq, "last_at": last.processed_at, **changes})


async def add(
    log: SqlEventLog, state: SessionState, events: Sequence[Event], **changes: Any
) -> SessionState:
    """Append in a transaction of its own."""
    made = records(state.seq, events)
    after = grown(state, made, **changes)
    async with log.transaction() as tx:
        assert await tx.lock_session(state.session_id) == state.seq
        await tx.append(state.session_id, state.seq, made, after)
    return after


async def public(database: Database, session_id: str, **filters: Any) -> list[int]:
    async with database.read() as session:
        page = await EventReader().page(session, session_id, **{"limit": 1000, **filters})
    return [event.seq for event in page]


class TestRoundTrip:
    def test_the_list_above_holds_every_type_of_event(self) -> None:
        union = get_args(get_args(Event)[0])
        assert {type(event) for event in EVERY_EVENT} == set(union)

    async def test_every_event_comes_back_as_it_went_in(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        made = records(0, EVERY_EVENT, private={"content": [{"signature": NASTY, "n": None}]})
        async with log.transaction() as tx:
            await tx.append(state.session_id, 0, made, grown(state, made))
        assert await log.read(state.session_id) == made

    async def test_origin_and_the_absence_of_private_come_back(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        made = records(0, [ev.UserInterrupt()], origin="client")
        async with log.transaction() as tx:
            await tx.append(state.session_id, 0, made, grown(state, made))
        assert await log.read(state.session_id) == made
        assert made[0].private is None

    async def test_clients_get_the_wire_form_of_public_events(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        made = records(0, EVERY_EVENT)
        async with log.transaction() as tx:
            await tx.append(state.session_id, 0, made, grown(state, made))
        async with database.read() as session:
            page = await EventReader().page(session, state.session_id, limit=100)
        shown = [record for record in made if record.public]
        assert [orjson.loads(event.body) for event in page] == [
            ev.wire(record.id, record.event, record.processed_at) for record in shown
        ]
        assert [(e.seq, e.id, e.type) for e in page] == [
            (record.seq, record.id, record.event.type) for record in shown
        ]
        assert all(b"\0" not in event.body for event in page)

    async def test_state_and_spec_come_back(self, database: Database, log: SqlEventLog) -> None:
        state = await create(database)
        call = OpenCall(id="sevt_1", kind="builtin", name="bash", input={"command": NASTY}, seq=1)
        waiting = PendingInput(id="sevt_2", event=ev.UserMessage(content=[{"text": NASTY}]))
        after = await add(
            log, state, [ev.AgentThinking()], calls=(call,), inputs=(waiting,), status="running"
        )
        assert await log.state(state.session_id) == after
        spec = await log.spec(state.session_id)
        assert spec is not None
        assert spec.agent == {"name": "a", "system": NASTY}
        assert spec.environment == {"type": "cloud"}
        assert spec.created_at == START
        assert (spec.session_id, spec.primary_thread_id) == (state.session_id, "sthr_1")
        assert (spec.workspace_id, spec.environment_id) == ("wrkspc_1", "env_1")

    async def test_text_without_a_utf8_form_cannot_stop_a_session(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        broken = {"command": "a\ud800b", "big": 2**70}
        call = OpenCall(id="sevt_1", kind="builtin", name="bash", input=broken, seq=1)
        await add(log, state, [ev.AgentToolUse(name="bash", input=broken)], calls=(call,))
        [record] = await log.read(state.session_id)
        kept = await log.state(state.session_id)
        assert isinstance(record.event, ev.AgentToolUse)
        assert kept is not None
        assert record.event.input["command"] == "a\ufffdb"
        assert kept.calls[0].input["command"] == "a\ufffdb"

    async def test_what_is_absent_reads_as_absent(self, log: SqlEventLog) -> None:
        assert await log.spec("sesn_none") is None
        assert await log.state("sesn_none") is None
        assert await log.read("sesn_none") == []
        async with log.transaction() as tx:
            assert await tx.lock_session("sesn_none") is None
            with pytest.raises(LookupError):
                await tx.read_state("sesn_none")
            made = records(0, [ev.AgentThinking()])
            with pytest.raises(LookupError):
                await tx.append(
                    "sesn_none",
                    0,
                    made,
                    grown(fresh(), made).model_copy(update={"session_id": "sesn_none"}),
                )

    @pytest.mark.parametrize("chunk", [1, 2, 7, 250])
    async def test_reading_goes_on_where_it_stopped(
        self, database: Database, log: SqlEventLog, monkeypatch: pytest.MonkeyPatch, chunk: int
    ) -> None:
        monkeypatch.setattr(event_log, "READ_CHUNK", chunk)
        state = await create(database)
        await add(log, state, [ev.AgentThinking()] * 7)
        assert [r.seq for r in await log.read(state.session_id, after=3)] == [4, 5, 6, 7]
        assert [r.seq for r in await log.read(state.session_id, after=3, limit=2)] == [4, 5]
        assert [r.seq for r in await log.read(state.session_id)] == list(range(1, 8))
        assert await log.read(state.session_id, after=7) == []
        assert await log.read(state.session_id, limit=0) == []


class TestTransactions:
    async def test_expected_seq_must_be_where_the_log_ends(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        after = await add(log, state, [ev.AgentThinking(), ev.AgentThinking()])
        for locked in (True, False):
            made = records(1, [ev.AgentThinking()])
            with pytest.raises(SequenceConflict) as caught:
                async with log.transaction() as tx:
                    if locked:
                        await tx.lock_session(state.session_id)
                    await tx.append(state.session_id, 1, made, grown(state, made))
            assert (caught.value.expected, caught.value.actual) == (1, 2)
        assert await log.state(state.session_id) == after
        assert len(await log.read(state.session_id)) == 2

    async def test_a_conflict_leaves_the_transaction_usable(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        wrong, right = records(4, [ev.AgentThinking()]), records(0, [ev.AgentThinking()])
        async with log.transaction() as tx:
            with pytest.raises(SequenceConflict):
                await tx.append(state.session_id, 4, wrong, grown(state, wrong))
            await tx.append(state.session_id, 0, right, grown(state, right))
        assert await log.read(state.session_id) == right

    async def test_of_writers_that_expect_the_same_end_one_wins(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)

        async def write(n: int) -> bool:
            made = records(0, [ev.AgentMessage(content=[{"n": n}])])
            try:
                async with log.transaction() as tx:
                    await tx.append(state.session_id, 0, made, grown(state, made))
            except SequenceConflict:
                return False
            return True

        assert sum(await asyncio.gather(*map(write, range(12)))) == 1
        assert [record.seq for record in await log.read(state.session_id)] == [1]

    async def test_a_lock_lets_writers_follow_each_other(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)

        async def write(count: int) -> None:
            async with log.transaction() as tx:
                head = await tx.lock_session(state.session_id)
                assert head is not None
                seen = await tx.read_state(state.session_id)
                assert seen.seq == head
                made = records(head, [ev.AgentThinking()] * count)
                await tx.append(state.session_id, head, made, grown(seen, made))

        await asyncio.gather(*(write(1 + n % 3) for n in range(30)))
        assert [r.seq for r in await log.read(state.session_id)] == list(range(1, 61))

    async def test_another_process_cannot_write_behind_a_lock(
        self, database: Database, log: SqlEventLog, database_url: str
    ) -> None:
        state = await create(database)
        elsewhere = Database(database_url)
        order: list[str] = []

        async def other() -> None:
            made = records(1, [ev.AgentThinking()])
            async with SqlEventLog(elsewhere).transaction() as tx:
                assert await tx.lock_session(state.session_id) == 1
                order.append("other")
                await tx.append(state.session_id, 1, made, grown(state, made))

        try:
            async with log.transaction() as tx:
                assert await tx.lock_session(state.session_id) == 0
                waiting = asyncio.create_task(other())
                made = records(0, [ev.AgentThinking()])
                await asyncio.sleep(0.05)  # long enough for a lock that does not hold to show
                await tx.append(state.session_id, 0, made, grown(state, made))
                order.append("first")
            await waiting
        finally:
            await elsewhere.close()
        assert order == ["first", "other"]
        assert [record.seq for record in await log.read(state.session_id)] == [1, 2]

    async def test_a_transaction_reads_what_it_wrote(
        self, database: Database, log: SqlEventLog
    ) -> None:
        async with log.transaction() as tx:
            state = await create(database, tx)
            first = records(0, [ev.AgentThinking()])
            second = records(1, [ev.AgentThinking()])
            assert await tx.read_state(state.session_id) == state
            await tx.append(state.session_id, 0, first, grown(state, first))
            await tx.append(state.session_id, 1, second, grown(state, second))
            assert await tx.read_state(state.session_id) == grown(state, second)
            assert await tx.lock_session(state.session_id) == 2
            assert await tx.event_type(state.session_id, first[0].id) == "agent.thinking"
            assert await tx.event_type("sesn_other", first[0].id) is None
        assert await log.read(state.session_id) == first + second

    async def test_nothing_is_seen_before_the_commit(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        made = records(0, [ev.AgentThinking()])
        async with log.transaction() as tx:
            await tx.append(state.session_id, 0, made, grown(state, made))
            assert await log.read(state.session_id) == []
        assert await log.read(state.session_id) == made

    async def test_a_read_session_sees_one_moment(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        reader = EventReader()
        async with database.read() as session:
            assert await reader.latest_seq(session, state.session_id) == 0
            await add(log, state, [ev.AgentThinking()])
            assert await reader.latest_seq(session, state.session_id) == 0
            assert await reader.page(session, state.session_id, limit=5) == []
        async with database.read() as session:
            assert await reader.latest_seq(session, state.session_id) == 1

    async def test_a_read_session_cannot_write(self, database: Database) -> None:
        state = await create(database)
        async with database.read() as session:
            with pytest.raises(sa.exc.DBAPIError):
                await session.all(
                    sa.delete(tables.sessions)
                    .where(tables.sessions.c.id == state.session_id)
                    .returning(tables.sessions.c.id)
                )

    @pytest.mark.parametrize("failure", [ZeroDivisionError, asyncio.CancelledError])
    async def test_an_exception_takes_everything_back(
        self, database: Database, log: SqlEventLog, failure: type[BaseException]
    ) -> None:
        state = await create(database)
        made = records(0, [ev.AgentThinking()])
        told: list[int] = []
        with pytest.raises(failure):
            async with log.transaction() as tx:
                await tx.append(state.session_id, 0, made, grown(state, made, status="running"))
                tx.on_commit(lambda: told.append(1))
                raise failure
        assert await log.read(state.session_id) == []
        assert await log.state(state.session_id) == state
        assert told == []
        await add(log, state, [ev.AgentThinking()])

    async def test_a_failed_commit_calls_nobody_back(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        made = records(0, [ev.AgentThinking()])
        told: list[int] = []
        with pytest.raises(sa.exc.IntegrityError):
            async with log.transaction() as tx:
                tx.on_commit(lambda: told.append(1))
                twins = [*made, made[0].model_copy(update={"seq": 2})]
                await tx.append(state.session_id, 0, twins, grown(state, twins))
        assert (told, await log.read(state.session_id)) == ([], [])

    async def test_callbacks_run_in_order_and_before_the_next_writer(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        told: list[str] = []

        def broken() -> None:
            told.append("broken")
            raise ZeroDivisionError

        async def write(name: str) -> None:
            async with log.transaction() as tx:
                head = await tx.lock_session(state.session_id)
                assert head is not None
                told.append(f"{name} begins")
                made = records(head, [ev.AgentThinking()])
                await tx.append(state.session_id, head, made, grown(state, made))
                tx.on_commit(lambda: told.append(f"{name} 1"))
                tx.on_commit(broken)
                tx.on_commit(lambda: told.append(f"{name} 2"))

        await asyncio.gather(*(write(str(n)) for n in range(3)))
        order = [line[0] for line in told if line.endswith("begins")]
        assert sorted(order) == ["0", "1", "2"]
        assert told == [
            line for n in order for line in (f"{n} begins", f"{n} 1", "broken", f"{n} 2")
        ]

    async def test_a_cancelled_commit_still_tells_what_it_did(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        made = records(0, [ev.AgentThinking()])
        told: list[int] = []

        async def write() -> None:
            me = asyncio.current_task()
            assert me is not None
            async with log.transaction() as tx:
                await tx.append(state.session_id, 0, made, grown(state, made))
                tx.on_commit(lambda: told.append(1))
                # Takes effect at the next await, which is the commit's.
                me.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(write())
        assert told == [1]
        assert await log.read(state.session_id) == made

    async def test_cancelling_at_any_await_loses_or_doubles_nothing(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        told: list[int] = []

        async def write() -> None:
            async with log.transaction() as tx:
                head = await tx.lock_session(state.session_id)
                assert head is not None
                made = records(head, [ev.AgentThinking()])
                await tx.append(state.session_id, head, made, grown(state, made))
                tx.on_commit(lambda: told.append(head + 1))

        for rounds in range(40):
            task = asyncio.create_task(write())
            for _ in range(rounds):
                await asyncio.sleep(0)
            await asyncio.sleep(0.0002 * rounds)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await write()
        seqs = [record.seq for record in await log.read(state.session_id)]
        assert seqs == told == list(range(1, len(seqs) + 1))

    async def test_transactions_do_not_nest(self, database: Database, log: SqlEventLog) -> None:
        async with log.transaction():
            with pytest.raises(RuntimeError, match="nest"):
                async with log.transaction():
                    pass  # pragma: no cover
        async with log.transaction():
            pass

    async def test_sessions_are_locked_in_the_order_of_their_ids(
        self, database: Database, log: SqlEventLog
    ) -> None:
        first, second = await create(database), await create(database)
        async with log.transaction() as tx:
            assert await tx.lock_session(first.session_id) == 0
            assert await tx.lock_session(second.session_id) == 0
            assert await tx.lock_session(first.session_id) == 0
        async with log.transaction() as tx:
            assert await tx.lock_session(second.session_id) == 0
            with pytest.raises(ValueError, match="order"):
                await tx.lock_session(first.session_id)


class TestGapFreeness:
    @pytest.mark.parametrize("shift", [-1, 1, 5], ids=["before the end", "one ahead", "far ahead"])
    async def test_records_that_do_not_continue_the_log_are_refused(
        self, database: Database, log: SqlEventLog, shift: int
    ) -> None:
        state = await create(database)
        after = await add(log, state, [ev.AgentThinking()] * 2)
        made = records(after.seq + shift, [ev.AgentThinking()])
        async with log.transaction() as tx:
            with pytest.raises(ValueError, match="needs"):
                await tx.append(state.session_id, after.seq, made, grown(after, made))

    async def test_an_empty_append_and_a_state_of_another_moment_are_refused(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        made = records(0, [ev.AgentThinking()])
        async with log.transaction() as tx:
            with pytest.raises(ValueError, match="needs records"):
                await tx.append(state.session_id, 0, [], state)
            with pytest.raises(ValueError, match="folds to"):
                await tx.append(state.session_id, 0, made, state)
            with pytest.raises(ValueError, match="folds to"):
                await tx.append(state.session_id, 0, made, grown(fresh(), made))

    @settings(
        max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        steps=st.lists(
            st.tuples(
                st.integers(1, 4),  # records
                st.integers(-1, 1),  # error of the expectation
                st.sampled_from(["commit", "rollback"]),
            ),
            max_size=12,
        )
    )
    async def test_a_log_is_always_one_to_its_head(
        self,
        database: Database,
        log: SqlEventLog,
        steps: list[tuple[int, int, str]],
    ) -> None:
        state = await create(database)
        model = 0
        for count, error, end in steps:
            expected = model + error
            made = records(expected, [ev.AgentThinking()] * count)
            with contextlib.suppress(SequenceConflict, ZeroDivisionError):
                async with log.transaction() as tx:
                    await tx.append(state.session_id, expected, made, grown(state, made))
                    if end == "rollback":
                        raise ZeroDivisionError
                model += count
                assert error == 0
        assert [r.seq for r in await log.read(state.session_id)] == list(range(1, model + 1))
        kept = await log.state(state.session_id)
        assert kept is not None
        assert kept.seq == model


class TestPublicPages:
    async def test_private_records_are_never_shown(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        note = ev.SandboxAttached(sandbox_id="box")
        after = await add(log, state, [note, ev.AgentThinking(), note, ev.AgentThinking(), note])
        session_id = state.session_id
        assert await public(database, session_id) == [2, 4]
        assert await public(database, session_id, descending=True) == [4, 2]
        assert await public(database, session_id, types=["sandbox.attached"]) == []
        assert await public(database, session_id, types=["sandbox.attached", "agent.thinking"]) == [
            2,
            4,
        ]
        notes = [record for record in await log.read(session_id) if not record.public]
        async with database.read() as session:
            reader = EventReader()
            assert [e.seq for e in await reader.since(session, session_id, 2, 10)] == [4]
            assert await reader.latest_seq(session, session_id) == after.seq == 5
            assert await reader.latest_seq(session, "sesn_none") is None
            assert await reader.seq_of(session, session_id, notes[0].id) is None

    async def test_an_event_is_found_by_its_id_in_its_own_session_only(
        self, database: Database, log: SqlEventLog
    ) -> None:
        one, two = await create(database), await create(database)
        await add(log, one, [ev.AgentThinking()] * 3)
        wanted = (await log.read(one.session_id))[1]
        async with database.read() as session:
            assert await EventReader().seq_of(session, one.session_id, wanted.id) == 2
            assert await EventReader().seq_of(session, two.session_id, wanted.id) is None

    async def test_filters(self, database: Database, log: SqlEventLog) -> None:
        state = await create(database)
        await add(log, state, [ev.AgentThinking(), ev.AgentMessage(content=TEXT)] * 5)

        async def seqs(**filters: Any) -> list[int]:
            return await public(database, state.session_id, **filters)

        def at(seq: int) -> datetime:
            return START + timedelta(microseconds=seq)

        assert await seqs(types=["agent.message"]) == [2, 4, 6, 8, 10]
        assert await seqs(types=["agent.message", "agent.message"], limit=1) == [2]
        assert await seqs(types=["agent.message", "agent.thinking"]) == list(range(1, 11))
        assert await seqs(types=["session.error"]) == []
        assert await seqs(types=[]) == []
        assert await seqs(processed=Span(gt=at(3))) == [4, 5, 6, 7, 8, 9, 10]
        assert await seqs(processed=Span(gte=at(9))) == [9, 10]
        assert await seqs(processed=Span(lt=at(2))) == [1]
        assert await seqs(processed=Span(lte=at(2))) == [1, 2]
        assert await seqs(
            processed=Span(gt=at(2), lt=at(8)), types=["agent.message"], descending=True
        ) == [6, 4]
        assert await seqs(after_seq=2, before_seq=6) == [3, 4, 5]
        assert await seqs(after_seq=2, before_seq=6, descending=True, limit=2) == [5, 4]
        assert await seqs(limit=3) == [1, 2, 3]

    @pytest.mark.parametrize("descending", [False, True])
    async def test_pages_cut_anywhere_join_to_the_whole(
        self, database: Database, log: SqlEventLog, descending: bool
    ) -> None:
        state = await create(database)
        pattern = [ev.AgentThinking(), ev.SandboxAttached(sandbox_id="b"), ev.SessionDeleted()]
        await add(log, state, pattern * 6)
        whole = await public(database, state.session_id, descending=descending)
        side = "before_seq" if descending else "after_seq"
        for size in (1, 2, 5, len(whole)):
            joined: list[int] = []
            while page := await public(
                database,
                state.session_id,
                descending=descending,
                limit=size,
                **({side: joined[-1]} if joined else {}),
            ):
                joined += page
            assert joined == whole

    async def test_paging_and_streaming_under_concurrent_appends_miss_nothing(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        total = 120
        written = asyncio.Event()

        async def write() -> None:
            after = state
            while after.seq < total:
                events: list[Event] = [ev.AgentThinking(), ev.SandboxAttached(sandbox_id="b")]
                after = await add(log, after, [*events, ev.AgentThinking()])
            written.set()

        async def page() -> list[int]:
            seen: list[int] = []
            while True:
                last = written.is_set()
                more = await public(
                    database, state.session_id, limit=4, **({"after_seq": seen[-1]} if seen else {})
                )
                seen += more
                if last and not more:
                    return seen

        async def stream() -> list[int]:
            reader, seen, cursor = EventReader(), [], 0
            while cursor < total:
                async with database.read() as session:
                    head = await reader.latest_seq(session, state.session_id)
                assert head is not None
                async with database.read() as session:
                    events = await reader.since(session, state.session_id, cursor, 5)
                seen += [event.seq for event in events]
                cursor = events[-1].seq if len(events) == 5 else max(head, *seen, cursor)
            return seen

        _, paged, streamed = await asyncio.gather(write(), page(), stream())
        assert paged == [seq for seq in range(1, total + 1) if seq % 3 != 2]
        assert streamed == paged

    @pytest.mark.parametrize(
        ("filters", "index"),
        [
            ({}, "pk"),
            ({"after_seq": 900}, "pk"),
            ({"before_seq": 900, "descending": True}, "pk"),
            ({"types": ["agent.message"]}, "type"),
            ({"types": ["agent.message"], "after_seq": 90, "descending": True}, "type"),
            ({"types": ["agent.message", "agent.thinking"]}, "type"),
        ],
        ids=str,
    )
    async def test_pages_come_from_an_index_without_a_sort(
        self, planned: Database, filters: dict[str, Any], index: str
    ) -> None:
        plan = await explain(planned, page_of(**filters, limit=21).statement(planned.dialect))
        names = {
            "pk": ("sqlite_autoindex_session_events_1", "pk_session_events"),
            "type": (
                "ix_session_events_session_id_type_seq",
                "ix_session_events_session_id_type_seq",
            ),
        }
        assert names[index][0 if planned.is_sqlite else 1] in plan
        assert "TEMP B-TREE" not in plan
        assert "Sort  (" not in plan
        assert "SCAN" not in plan
        assert "Seq Scan" not in plan

    async def test_the_sweep_reads_only_who_has_work(self, planned: Database) -> None:
        plan = await explain(planned, event_log._UNFINISHED)
        assert "ix_sessions_needs_work" in plan


@pytest.fixture
async def planned(database: Database) -> Database:
    """Enough rows, and statistics, for a planner to mean what it says."""
    async with database.read() as session:
        count = await session.scalar(sa.select(sa.func.count()).select_from(tables.session_events))
    if count < 4_000:
        log = SqlEventLog(database)
        for _ in range(3):
            state = await create(database)
            await add(log, state, [ev.AgentThinking(), ev.AgentMessage(content=TEXT)] * 1000)
        for _ in range(300):
            await create(database)
        async with database.write() as tx:
            await tx.execute(sa.text("ANALYZE"))
    return database


async def explain(database: Database, statement: sa.Executable) -> str:
    async with database.read() as session:
        some = await session.scalar(sa.select(sa.func.max(tables.session_events.c.session_id)))
        explained = sa.text(
            ("EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN ")
            + str(
                statement.params(of_session=some).compile(
                    dialect=database.dialect, compile_kwargs={"literal_binds": True}
                )
            ).replace(":", r"\:")
        )
        return "\n".join(" ".join(map(str, row.values())) for row in await session.all(explained))


class TestWork:
    async def test_the_sweep_finds_sessions_with_work_and_no_others(
        self, database: Database, log: SqlEventLog
    ) -> None:
        thought = [ev.AgentThinking()]
        waiting = (PendingInput(id="sevt_1", event=ev.UserMessage(content=TEXT)),)
        idle = await add(log, await create(database), thought)
        running = await add(log, await create(database), thought, status="running")
        retrying = await add(log, await create(database), thought, status="rescheduling")
        queued = await add(log, await create(database), thought, inputs=waiting)
        ended = await add(log, await create(database), thought, status="terminated", inputs=waiting)
        deleted = await add(log, await create(database), thought, status="running", deleted=True)
        done = await add(log, await create(database), thought, status="running")
        await add(log, done, thought, status="idle")
        mine = {s.session_id for s in (idle, running, retrying, queued, ended, deleted, done)}
        found = await log.unfinished()
        assert [s for s in found if s in mine] == [
            running.session_id,
            retrying.session_id,
            queued.session_id,
        ]
        for state in (running, queued):
            await add(log, state, thought, status="idle", inputs=())
        assert [s for s in await log.unfinished() if s in mine] == [retrying.session_id]

    async def test_the_row_shows_what_the_state_says(
        self, database: Database, log: SqlEventLog
    ) -> None:
        after = await add(log, await create(database), [ev.AgentThinking()], status="running")
        async with database.read() as session:
            row = await session.first(
                sa.select(tables.sessions).where(tables.sessions.c.id == after.session_id)
            )
        assert row is not None
        assert (row["status"], row["head_seq"], row["needs_work"]) == ("running", 1, True)
        assert (row["updated_at"], row["deleted_at"]) == (after.last_at, None)
        assert row["metadata"] == {"nul": "\0"}


class TestDeletion:
    async def test_a_deleted_session_is_gone_but_its_log_can_be_told_to_the_end(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await add(log, await create(database), [ev.AgentThinking()])
        assert state.session_id in await log.alive()
        gone = await add(log, state, [ev.SessionDeleted()], deleted=True)
        assert await log.spec(gone.session_id) is None
        assert await log.state(gone.session_id) is None
        assert gone.session_id not in await log.alive()
        async with log.transaction() as tx:
            assert await tx.lock_session(gone.session_id) is None
        async with database.read() as session:
            events = await EventReader().since(session, gone.session_id, 1, 10)
        assert [event.type for event in events] == ["session.deleted"]

    async def test_archived_sessions_are_not_alive(
        self, database: Database, log: SqlEventLog
    ) -> None:
        state = await create(database)
        async with database.write() as tx:
            await tx.execute(
                sa.update(tables.sessions)
                .where(tables.sessions.c.id == state.session_id)
                .values(archived_at=START)
            )
        assert state.session_id not in await log.alive()
        assert await log.state(state.session_id) == state

    async def test_the_purge_erases_what_was_deleted_long_ago(
        self, database: Database, log: SqlEventLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(event_log, "PURGE_CHUNK", 2)
        gone = await add(log, await create(database), [ev.AgentThinking()] * 5, deleted=True)
        kept = await add(log, await create(database), [ev.AgentThinking()] * 5)
        moment = gone.last_at
        assert moment is not None
        await log.purge_deleted(moment)
        assert len(await log.read(gone.session_id)) == 5
        assert await log.purge_deleted(moment + times.MICROSECOND) >= 1
        assert await log.read(gone.session_id) == []
        async with database.read() as session:
            assert await EventReader().latest_seq(session, gone.session_id) is None
        assert len(await log.read(kept.session_id)) == 5
        assert await log.purge_deleted(moment + times.MICROSECOND) == 0
