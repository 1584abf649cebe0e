"""The life of a work item: examples, and laws over any order of what workers and clients do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.events import (
    InputAccepted,
    Record,
    SessionArchived,
    SessionStatusRunning,
    UserMessage,
    UserToolResult,
)
from freehold.core.state import OpenCall, SessionState
from freehold.core.work import (
    MAX_TTL,
    NO_HEARTBEAT,
    LeaseLost,
    NotQueued,
    Work,
    acknowledged,
    beaten,
    can_offer,
    enqueued,
    followed,
    offered,
    settled,
    stopped,
)

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
RECLAIM = timedelta(seconds=5)
IDLE = SessionState(
    session_id="sesn_1",
    primary_thread_id="sthr_1",
    agent_name="a",
    created_at=START,
    self_hosted=True,
)
CALL = OpenCall(id="sevt_1", kind="worker", name="bash", input={}, seq=1, permission="allow")
WAITING = IDLE.model_copy(update={"calls": (CALL,)})
RUNNING = IDLE.model_copy(update={"status": "running"})
OVER = IDLE.model_copy(update={"status": "terminated", "archived": True})

MESSAGE = InputAccepted(
    input_id="sevt_9", event=UserMessage(content=[{"type": "text", "text": "x"}])
)


def record(event: object, origin: str = "client") -> Record:
    return Record(seq=1, id="sevt_2", processed_at=START, origin=origin, event=event)  # type: ignore[arg-type]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_who_wants_a_worker() -> None:
    assert not IDLE.wants_worker
    assert RUNNING.wants_worker
    assert WAITING.wants_worker
    asked = CALL.model_copy(update={"permission": "ask"})
    assert not WAITING.model_copy(update={"calls": (asked,)}).wants_worker
    allowed = asked.model_copy(update={"verdict": "allow"})
    assert WAITING.model_copy(update={"calls": (allowed,)}).wants_worker
    assert not OVER.wants_worker
    assert not RUNNING.model_copy(update={"self_hosted": False}).wants_worker


def test_a_worker_that_gives_up_again_and_again_is_asked_less_and_less_often() -> None:
    work = followed(enqueued(START), WAITING, [record(MESSAGE)], START)
    pauses = []
    for _ in range(12):
        now = work.available_at
        work = stopped(acknowledged(work, now), now, force=True, by_worker=True)
        assert work.state == "queued"
        pauses.append((work.available_at - now).total_seconds())
    assert pauses == [0, 1, 3, 7, 15, 31, 60, 60, 60, 60, 60, 60]
    assert not can_offer(work, now, RECLAIM)
    assert can_offer(followed(work, RUNNING, [record(MESSAGE)], now), now, RECLAIM)
    result = UserToolResult(tool_use_id="sevt_1")
    work = followed(work, WAITING, [record(result)], now)
    assert work.failures == 0


def test_a_stop_of_the_owner_holds_until_there_is_something_new() -> None:
    work = followed(enqueued(START), WAITING, [record(MESSAGE)], START)
    work = stopped(work, START, force=True, by_worker=False)
    assert work.state == "stopped"
    running = record(SessionStatusRunning(), "runner")
    assert followed(work, RUNNING, [running], START).state == "stopped"
    assert followed(work, RUNNING, [record(MESSAGE)], START).state == "queued"


def test_a_second_graceful_stop_ends_it() -> None:
    work = stopped(enqueued(START), at(1), force=False, by_worker=True)
    assert work.state == "stopping"
    work = stopped(work, at(2), force=False, by_worker=True)
    assert (work.state, work.stop_requested_at, work.stopped_at) == ("stopped", at(1), at(2))


def test_what_is_stopping_and_forgotten_stops() -> None:
    work = acknowledged(enqueued(START, ttl=10), START)
    work = stopped(work, at(1), force=False, by_worker=True)
    assert settled(work, at(9.9)).state == "stopping"
    assert settled(work, at(10)).state == "stopped"
    wanted = replace(work, wanted=True)
    assert settled(wanted, at(10)).state == "queued"
    assert settled(replace(wanted, held=True), at(10)).state == "stopped"


def test_a_dead_workers_item_is_queued_again_from_when_its_lease_ran_out() -> None:
    taken = acknowledged(offered(enqueued(START, ttl=10), START), START)
    assert settled(taken, at(9.9)) == taken
    again = settled(taken, at(60))
    assert again == replace(enqueued(START, ttl=10), started_at=at(10), available_at=at(10))
    held = beaten(taken, at(5), NO_HEARTBEAT, None).work
    assert settled(held, at(14.9)) == held
    assert settled(held, at(60)).started_at == at(15)


def test_an_item_is_handed_out_again_unless_it_was_acknowledged() -> None:
    work = enqueued(START)
    assert can_offer(work, START, RECLAIM)
    work = offered(work, START)
    assert not can_offer(work, at(4.9), RECLAIM)
    assert can_offer(work, at(5), RECLAIM)
    work = acknowledged(work, at(1))
    assert not can_offer(work, at(5), RECLAIM)
    with pytest.raises(NotQueued):
        acknowledged(work, at(2))


def test_only_the_last_heartbeat_extends_the_lease() -> None:
    first = beaten(acknowledged(enqueued(START), START), at(1), NO_HEARTBEAT, 30)
    assert first.extended
    assert (first.work.state, first.work.lease_until) == ("active", at(31))
    # A second worker believes that nobody has it; and one comes late with a text of before.
    for expected in (NO_HEARTBEAT, "", "2026-11-22T09:00:00Z"):
        with pytest.raises(LeaseLost) as lost:
            beaten(first.work, at(2), expected, 30)
        assert lost.value.work == first.work
    second = beaten(first.work, at(2), first.work.last_heartbeat, 30)
    assert second.work.lease_until == at(32)
    with pytest.raises(LeaseLost):
        beaten(second.work, at(3), first.work.last_heartbeat, 30)
    assert beaten(second.work, at(3), None, 30).extended


def test_heartbeats_of_one_moment_have_different_texts() -> None:
    first = beaten(enqueued(START), START, NO_HEARTBEAT, None).work
    for now in (START, at(-5)):  # a clock that was set back, too
        second = beaten(first, now, first.last_heartbeat, None).work
        assert second.latest_heartbeat_at == START + timedelta(microseconds=1)
        assert second.last_heartbeat != first.last_heartbeat


def test_a_heartbeat_of_what_is_stopped_extends_nothing_whatever_it_expects() -> None:
    work = beaten(enqueued(START), START, NO_HEARTBEAT, None).work
    work = stopped(work, at(1), force=False, by_worker=False)
    for ending in (work, stopped(work, at(2), force=True, by_worker=True)):
        beat = beaten(ending, at(3), "another's", 20)
        assert (beat.work, beat.extended, beat.ttl) == (ending, False, 20)


def test_a_stop_of_what_has_stopped_changes_nothing() -> None:
    work = stopped(enqueued(START), at(1), force=True, by_worker=True)
    assert work.state == "stopped"
    for force in (True, False):
        assert stopped(work, at(2), force=force, by_worker=False) == work


def test_the_end_of_a_session_ends_its_item() -> None:
    end = [record(SessionArchived(), "runner")]
    deleted = IDLE.model_copy(update={"deleted": True})
    queued = enqueued(START)
    taken = acknowledged(queued, START)
    for state in (OVER, deleted):
        nobodys = followed(queued, state, end, at(1))
        assert (nobodys.state, nobodys.stopped_at) == ("stopped", at(1))
        # Whoever has it hears of it by the next heartbeat, or is dead when the lease runs out.
        for had in (taken, beaten(taken, START, NO_HEARTBEAT, None).work):
            ending = followed(had, state, end, at(1))
            assert (ending.state, ending.stop_requested_at) == ("stopping", at(1))
            assert ending.lease_until == had.lease_until
            assert not beaten(ending, at(2), ending.last_heartbeat, None).extended
            assert settled(ending, at(MAX_TTL)).state == "stopped"
            assert followed(ending, state, end, at(3)) == ending
        assert followed(nobodys, state, end, at(3)) == nobodys


# --- any order of doings ----------------------------------------------------------------------

WORKERS = ("a", "b")
_DOINGS = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([0.5, 4.0, 6.0, 40.0, 400.0, 700.0])),
    st.tuples(st.just("poll"), st.sampled_from(WORKERS)),
    st.tuples(st.just("ack"), st.sampled_from(WORKERS)),
    st.tuples(st.just("beat"), st.sampled_from(WORKERS)),
    st.tuples(st.just("stop"), st.sampled_from(WORKERS)),
    st.tuples(st.just("release"), st.sampled_from(WORKERS)),
    st.tuples(st.just("owner"), st.booleans()),
    st.tuples(st.just("follow"), st.sampled_from(["idle", "waiting", "running", "over"])),
    st.tuples(st.just("message"), st.just("")),
    st.tuples(st.just("die"), st.sampled_from(WORKERS)),
)


@dataclass
class Holder:
    """What a worker knows."""

    polled: bool = False
    last: str | None = None
    """Its last heartbeat's text; it believes to hold the lease."""


class Story:
    """A queue of one item, workers that follow the protocol, a session, and a clock."""

    def __init__(self) -> None:
        self.now = START
        self.work: Work = enqueued(START)
        self.state = IDLE
        self.workers = {name: Holder() for name in WORKERS}
        self.texts: set[str] = set()

    def do(self, doing: str, what: object) -> None:
        self.work = settled(self.work, self.now)
        getattr(self, f"_{doing}")(what)
        self.check()

    def _pass(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def _poll(self, name: str) -> None:
        if can_offer(self.work, self.now, RECLAIM):
            self.work = offered(self.work, self.now)
            assert not can_offer(self.work, self.now, RECLAIM)
            self.workers[name] = Holder(polled=True)

    def _ack(self, name: str) -> None:
        if not self.workers[name].polled:
            return
        try:
            self.work = acknowledged(self.work, self.now)
        except NotQueued:
            assert self.work.state != "queued"
            self.workers[name] = Holder()

    def _beat(self, name: str) -> None:
        worker = self.workers[name]
        if not worker.polled:
            return
        try:
            beat = beaten(self.work, self.now, worker.last or NO_HEARTBEAT, None)
        except LeaseLost:
            assert self.work.last_heartbeat != worker.last
            self.workers[name] = Holder()
            return
        if not beat.extended:
            assert self.work.state in ("stopping", "stopped")
            self.workers[name] = Holder()
            return
        # Nobody else can believe to hold it from now on: their texts are another.
        self.work = beat.work
        worker.last = self.work.last_heartbeat
        assert worker.last is not None
        assert worker.last not in self.texts
        self.texts.add(worker.last)

    def _stop(self, name: str) -> None:
        if self.workers[name].polled:
            self.work = stopped(self.work, self.now, force=True, by_worker=True)
            self.workers[name] = Holder()

    def _release(self, name: str) -> None:
        if self.workers[name].polled:
            self.work = stopped(self.work, self.now, force=False, by_worker=True)

    def _owner(self, force: bool) -> None:
        before = self.work
        self.work = stopped(before, self.now, force=force, by_worker=False)
        if force or before.state in ("stopping", "stopped"):
            assert self.work.state == "stopped"

    def _follow(self, kind: str) -> None:
        if self.state is OVER:
            return
        states = {"idle": IDLE, "waiting": WAITING, "running": RUNNING, "over": OVER}
        self.state = states[kind]
        event = SessionArchived() if kind == "over" else SessionStatusRunning()
        self.work = followed(self.work, self.state, [record(event, "runner")], self.now)

    def _message(self, _: object) -> None:
        if self.state is OVER:
            return
        self.state = RUNNING
        self.work = followed(self.work, self.state, [record(MESSAGE)], self.now)
        assert not self.work.held
        assert self.work.state != "stopped"

    def _die(self, name: str) -> None:
        self.workers[name] = Holder()

    def check(self) -> None:
        work = self.work
        assert work.wanted == self.state.wants_worker
        assert settled(settled(work, self.now), self.now) == settled(work, self.now)
        if work.state in ("starting", "active", "stopping"):
            assert work.lease_until is not None
            assert work.lease_until <= self.now + timedelta(seconds=MAX_TTL)
        else:
            assert work.lease_until is None
        assert (work.state == "stopped") == (work.stopped_at is not None)
        assert (work.stop_requested_at is None) or work.state in ("stopping", "stopped")
        assert (work.latest_heartbeat_at is None) or work.state not in ("queued", "starting")
        # The session never sticks: if it wants a worker, its item is there to be taken, or held
        # by one who has to show signs of life, or its owner said no.
        if self.state.wants_worker and work.state == "stopped":
            assert work.held
        if self.state is OVER:
            assert work.state in ("stopping", "stopped")

    def outwait(self) -> None:
        """Every worker is dead. What is wanted is handed out in the end, and nothing is held."""
        for _ in range(4):
            self.now += timedelta(seconds=MAX_TTL + 1)
            self.work = settled(self.work, self.now)
        if self.state.wants_worker and not self.work.held:
            assert can_offer(self.work, self.now, RECLAIM)
        else:
            assert self.work.state in ("queued", "stopped")


@settings(max_examples=300, deadline=None)
@given(st.lists(_DOINGS, max_size=40))
def test_whatever_happens_a_wanted_item_can_be_had(doings: list[tuple[str, object]]) -> None:
    story = Story()
    for doing, what in doings:
        story.do(doing, what)
    story.outwait()


@settings(max_examples=200, deadline=None)
@given(st.lists(_DOINGS, max_size=40))
def test_at_most_one_worker_can_extend_the_lease(doings: list[tuple[str, object]]) -> None:
    story = Story()
    for doing, what in doings:
        story.do(doing, what)
        current = settled(story.work, story.now)
        entitled = []
        for name, worker in story.workers.items():
            if worker.last is None:
                continue
            try:
                if beaten(current, story.now, worker.last, None).extended:
                    entitled.append(name)
            except LeaseLost:
                pass
        assert len(entitled) <= 1


@pytest.mark.parametrize("wish", [1, 120, 600, 601, 10_000])
def test_wishes_for_a_lease(wish: int) -> None:
    beat = beaten(enqueued(START), START, None, wish)
    assert beat.ttl == min(wish, MAX_TTL)
    assert beat.work.lease_until == START + timedelta(seconds=beat.ttl)
