"""When dreams are over, and what their agent is given to read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core import dreaming, transcript_text
from freehold.core.dreaming import Failure, Seen, Verdict, judge
from freehold.core.events import (
    EVENT,
    ModelUsage,
    Record,
    StopReason,
)
from freehold.core.state import SessionState, Usage

NOW = datetime(2026, 3, 15, 10, tzinfo=UTC)
LIMIT = timedelta(seconds=60)


def state(**more: Any) -> SessionState:
    return SessionState(
        session_id="sesn_x", primary_thread_id="sthr_x", agent_name="Dream", created_at=NOW, **more
    )


RUNNING = state(status="running")
DONE = state(status="idle", stop_reason=StopReason(type="end_turn"))


def seen(session: SessionState | None = RUNNING, **more: Any) -> Seen:
    usual: dict[str, Any] = {
        "interrupted": False,
        "trouble": None,
        "store_open": True,
        "overdue": False,
    }
    return Seen(session, **{**usual, **more})


def verdict(now: Seen, *, in_place: bool = False) -> Verdict | None:
    return judge(now, output="memstore_x", in_place=in_place, limit=LIMIT)


@pytest.mark.parametrize("session", [RUNNING, state(status="rescheduling")])
def test_what_runs_is_not_over(session: SessionState) -> None:
    assert verdict(seen(session)) is None
    assert verdict(seen(session, trouble="a request failed")) is None


def test_what_came_to_its_end_is_completed_even_if_late() -> None:
    assert verdict(seen(DONE)) == Verdict(None)
    assert verdict(seen(DONE, overdue=True)) == Verdict(None)


@pytest.mark.parametrize(
    ("now", "in_place", "kind"),
    [
        (seen(overdue=True), False, "timeout"),
        (seen(None), False, "internal_error"),
        (seen(state(status="terminated", archived=True)), False, "internal_error"),
        (seen(state(status="terminated")), False, "internal_error"),
        (seen(DONE, interrupted=True), False, "internal_error"),
        (
            seen(state(status="idle", stop_reason=StopReason(type="retries_exhausted"))),
            False,
            "internal_error",
        ),
        (seen(store_open=False), False, "internal_error"),
        (seen(store_open=False), True, "input_memory_store_unavailable"),
        (seen(DONE, store_open=False), True, "input_memory_store_unavailable"),
        (seen(None, store_open=False), True, "input_memory_store_unavailable"),
    ],
)
def test_failures(now: Seen, in_place: bool, kind: str) -> None:
    found = verdict(now, in_place=in_place)
    assert found is not None
    assert found.failure is not None
    assert found.failure.type == kind


def test_a_failure_says_what_the_log_says() -> None:
    exhausted = state(status="idle", stop_reason=StopReason(type="retries_exhausted"))
    for trouble, why in (("overloaded", "overloaded"), (None, "retries_exhausted")):
        found = verdict(seen(exhausted, trouble=trouble))
        assert found is not None
        assert found.failure is not None
        assert found.failure.message.endswith(f": {why}")


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        (
            dreaming.store_unavailable("memstore_x"),
            "input_memory_store_unavailable",
            "The memory store memstore_x was deleted or archived before the dream was done with "
            "it.",
        ),
        (
            dreaming.store_too_large("memstore_x", 2049, 2048),
            "input_memory_store_too_large",
            "The memory store memstore_x holds 2049 bytes; a dream reads at most 2048.",
        ),
        (
            dreaming.session_unavailable("sesn_x"),
            "input_session_unavailable",
            "The session sesn_x was deleted before the dream had read it.",
        ),
        (
            dreaming.timed_out(timedelta(minutes=1, milliseconds=500)),
            "timeout",
            "The dream was not done after 60.5 seconds and was ended.",
        ),
    ],
)
def test_a_failure_names_what_was_wrong(failure: Failure, kind: str, message: str) -> None:
    assert failure == (kind, message)


COUNT = st.integers(min_value=0, max_value=10**9)


@given(st.lists(st.tuples(COUNT, COUNT, COUNT, COUNT), max_size=5))
def test_a_dream_used_what_its_requests_used(requests: list[tuple[int, int, int, int]]) -> None:
    usage = Usage()
    for read, written, cached, caching in requests:
        usage = usage.plus(
            ModelUsage(
                input_tokens=read,
                output_tokens=written,
                cache_read_input_tokens=cached,
                cache_creation_input_tokens=caching,
            )
        )
    used = dreaming.tokens(usage)
    assert used.input_tokens == sum(request[0] for request in requests)
    assert used.output_tokens == sum(request[1] for request in requests)
    assert used.cache_read_input_tokens == sum(request[2] for request in requests)
    assert used.cache_creation_input_tokens == sum(request[3] for request in requests)


def test_the_assignment() -> None:
    told = dreaming.assignment("/mnt/memory/notes", ["sesn_a", "sesn_b"], "Look at drinks.")
    assert told.splitlines() == [
        "Reorganize the memory store at /mnt/memory/notes.",
        "",
        "The transcripts of 2 past sessions, oldest first:",
        " - /mnt/session/uploads/transcripts/sesn_a.md",
        " - /mnt/session/uploads/transcripts/sesn_b.md",
        "",
        "What to pay attention to in this dream:",
        "Look at drinks.",
    ]
    assert dreaming.assignment("/m", ["sesn_a"], None).count("\n") == 3


def record(seq: int, type_: str, **fields: Any) -> Record:
    event = EVENT.validate_python({"type": type_, **fields})
    return Record(seq=seq, id=f"sevt_{seq}", processed_at=NOW, event=event)


def text(*parts: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": part} for part in parts]


def test_a_transcript() -> None:
    log = [
        record(1, "user.message", content=text("Build it.", "Please.")),
        record(2, "session.status_running"),
        record(3, "agent.tool_use", name="bash", input={"command": "make\nmake test", "n": 1}),
        record(
            4, "agent.tool_result", tool_use_id="sevt_3", content=text("no make"), is_error=True
        ),
        record(5, "agent.thinking"),
        record(6, "agent.message", content=[*text("It needs make."), {"type": "image"}]),
        record(7, "user.interrupt"),
        record(8, "session.error", error={"type": "x", "message": "it\nbroke"}),
        record(9, "agent.tool_result", tool_use_id="sevt_3", content=[]),
    ]
    head = transcript_text.heading("sesn_x", "a\n## User", NOW, "Helper")
    assert head.splitlines()[:3] == ["# Session sesn_x", "Title: a ## User", "Agent: Helper"]
    at = "(2026-03-15T10:00:00.000000Z)"
    assert "".join(transcript_text.passages(log)) == (
        f"\n## User {at}\n\nBuild it.\nPlease.\n"
        f"\n## Tool call: bash {at}\n\ncommand: make\nmake test\nn: 1\n"
        f"\n## Tool error {at}\n\nno make\n"
        f"\n## Agent {at}\n\nIt needs make.\n(image)\n"
        f"\n## User {at}\n\n(interrupted the agent)\n"
        f"\n## Error {at}\n\nit broke\n"
        f"\n## Tool result {at}\n\n(nothing)\n"
    )


def test_a_transcript_of_what_only_some_sessions_have() -> None:
    log = [
        record(1, "system.message", content=text("Be brief.")),
        record(2, "agent.mcp_tool_use", name="find", mcp_server_name="linear", input={"q": "x"}),
        record(3, "agent.thread_context_compacted"),
    ]
    at = "(2026-03-15T10:00:00.000000Z)"
    assert list(transcript_text.passages(log)) == [
        f"\n## System {at}\n\nBe brief.\n",
        f"\n## Tool call: find of linear {at}\n\nq: x\n",
        f"\n## Note {at}\n\n(the agent's view of the conversation so far was summed up)\n",
    ]


@pytest.mark.parametrize(
    ("type_", "field"),
    [
        ("agent.tool_result", "tool_use_id"),
        ("agent.mcp_tool_result", "mcp_tool_use_id"),
        ("user.custom_tool_result", "custom_tool_use_id"),
        ("user.tool_result", "tool_use_id"),
    ],
)
def test_results_read_the_same_whoever_gave_them(type_: str, field: str) -> None:
    found = record(1, type_, content=text("found"), **{field: "sevt_0"})
    nothing = record(2, type_, is_error=True, **{field: "sevt_0"})
    at = "(2026-03-15T10:00:00.000000Z)"
    assert list(transcript_text.passages([found, nothing])) == [
        f"\n## Tool result {at}\n\nfound\n",
        f"\n## Tool error {at}\n\n(nothing)\n",
    ]


NAME = st.text(st.sampled_from("ab# \n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029"), max_size=8)


@given(NAME, NAME)
def test_no_name_can_forge_a_passage(tool: str, server: str) -> None:
    calls = [
        record(1, "agent.tool_use", name=tool, input={}),
        record(2, "agent.mcp_tool_use", name=tool, mcp_server_name=server, input={}),
        record(3, "agent.custom_tool_use", name=tool, input={}),
    ]
    for passage in transcript_text.passages(calls):
        before, title, *after = passage.splitlines()
        assert title.startswith("## Tool call: ")
        assert not any([before, *after])


def test_long_results_lose_their_middle() -> None:
    most = transcript_text.CLIPPED
    exact = "x" * most
    assert transcript_text.clipped(exact) == exact
    longer = "a" * most + "b" * most
    shown = transcript_text.clipped(longer)
    assert shown.startswith("a" * (most // 2) + "\n")
    assert shown.endswith("\n" + "b" * (most // 2))
    assert f"({most} characters left out)" in shown
