"""Every member of the SDK's unions is produced, or docs/DIVERGENCES.md says why not.

The kinds are read from the installed SDK, so one that a new version brings fails here until it is
produced or listed. What is produced is what the scenarios in ``played`` (the core alone) and
``served`` (a running server and the official SDK) really showed; every value they saw was held to
the SDK's types, field by field.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union, get_args

import pytest
from anthropic._models import BaseModel, UnionDiscriminator
from anthropic.types.beta.sessions import (
    BetaManagedAgentsSessionEventType,
    BetaManagedAgentsSessionStatusIdleEvent,
)

from freehold.api.events.schemas import EventType
from tests.support.sdk_unions import LISTED, ROOTS, STREAM, THREAD_STREAM, Mismatch, kinds, shown
from tests.unions.ledger import DIVERGENCES, HEADING, complaints, listed, within
from tests.unions.played import PLAYED
from tests.unions.served import SERVED, world
from tests.unions.stage import Stage

SHOWN_BACK = frozenset({"session.updated/agent/agent"})
"""What a client configured, as other answers show it too; no turn decides what is in it."""
PREVIEWS = frozenset({"event_start", "event_delta"})
"""On streams only: no log has them, so nothing without a server shows them."""

KNOWN = frozenset().union(*(kinds(root, closed=SHOWN_BACK) for root in ROOTS))


@pytest.fixture(scope="module")
def played() -> Any:
    return PLAYED.run()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with world(tmp_path_factory.mktemp("unions")) as props:
        return SERVED.run(props)


def reasons() -> dict[str, str]:
    return listed(DIVERGENCES.read_text(encoding="utf-8"))


def known_of(found: set[str]) -> set[str]:
    """Without what is below a kind that is not looked into."""
    return {k for k in found if not any(within(k, s) and k != s for s in SHOWN_BACK)}


def test_every_kind_is_produced_by_a_server_or_listed_with_its_reason(served: Any) -> None:
    produced, _ = served
    assert complaints(KNOWN, known_of(produced), reasons()) == []


def test_the_scenarios_show_what_they_are_there_for(played: Any, served: Any) -> None:
    assert (played[1], served[1]) == ([], [])


def test_what_a_turn_decides_has_its_playbook(played: Any, served: Any) -> None:
    decided = {
        kind
        for kind in known_of(served[0]) - SHOWN_BACK
        if "/content/" not in kind and kind.split("/")[0] not in PREVIEWS
    }
    assert decided - played[0] == set()


def test_the_unions_of_both_streams_and_of_the_list_are_one() -> None:
    assert kinds(STREAM) == kinds(THREAD_STREAM)
    heads = {kind for kind in kinds(LISTED) if "/" not in kind}
    # The last event of a session can be seen and not asked for: its log goes with it.
    assert heads - set(get_args(BetaManagedAgentsSessionEventType)) == {"session.deleted"}
    assert set(get_args(BetaManagedAgentsSessionEventType)) <= heads
    assert set(get_args(EventType)) == set(get_args(BetaManagedAgentsSessionEventType))
    assert {kind for kind in kinds(STREAM) if "/" not in kind} - heads == PREVIEWS


# That all this can fail.


class Newcomer(BaseModel):
    """An event that a later SDK might bring."""

    id: str
    reason: Union[Literal["one", "two"], None] = None  # noqa: UP007 - as the SDK writes it
    type: Literal["session.newcomer"]


def test_a_type_that_the_sdk_gains_is_missed() -> None:
    later: Any = Annotated[Union[STREAM, Newcomer], UnionDiscriminator("type")]  # noqa: UP007
    gained = kinds(later, closed=SHOWN_BACK) - KNOWN
    assert gained == {
        "session.newcomer",
        "session.newcomer/reason/one",
        "session.newcomer/reason/two",
    }
    produced = {k for k in KNOWN if not any(within(k, above) for above in reasons())}
    assert complaints(KNOWN, produced, reasons()) == []
    assert complaints(KNOWN | gained, produced, reasons()) == [
        f"{kind} is neither produced nor listed" for kind in sorted(gained)
    ]


@pytest.mark.parametrize(
    ("known", "produced", "table", "told"),
    [
        ({"a", "a/b"}, {"a", "a/b"}, {}, []),
        ({"a", "a/b"}, {"a"}, {"a/b": "r"}, []),
        ({"a", "a/b"}, set(), {"a": "r"}, []),
        ({"a", "ab"}, set(), {"a": "r"}, ["ab is neither produced nor listed"]),
        ({"a", "a/b"}, {"a"}, {}, ["a/b is neither produced nor listed"]),
        ({"a", "a/b"}, {"a/b"}, {"a": "r"}, ["a is listed and a/b is produced"]),
        ({"a"}, {"a"}, {"a": "r"}, ["a is listed and a is produced"]),
        ({"a"}, {"a"}, {"b": "r"}, ["b is listed and the SDK does not know it"]),
        ({"a"}, set(), {"a": ""}, ["a is listed without a reason"]),
        ({"a"}, {"a", "b"}, {}, ["b is produced and the SDK does not know it"]),
    ],
)
def test_the_ledger_complains(
    known: set[str], produced: set[str], table: dict[str, str], told: list[str]
) -> None:
    assert complaints(known, produced, table) == told


def test_a_scenario_that_stops_producing_is_named() -> None:
    stage = Stage()
    stage.shows("a", "b")(lambda: {"a", "c"})
    assert stage.run() == ({"a", "c"}, ["<lambda> no longer shows b"])
    with pytest.raises(ValueError, match="twice"):
        stage.shows()(stage.scenarios["<lambda>"][1])


def test_the_table_is_read_strictly() -> None:
    table = (
        f"{HEADING}\n\n| Type | Why |\n| --- | --- |\n| `a`, `b/c` | r |\n\n## Next\n| `d` | r |\n"
    )
    assert listed(table) == {"a": "r", "b/c": "r"}
    with pytest.raises(ValueError, match="a is listed twice"):
        listed(f"{HEADING}\n| `a` | r |\n| `a` | s |\n")
    with pytest.raises(ValueError, match="no table"):
        listed("## Other\n| `a` | r |\n")


IDLE: dict[str, Any] = {
    "id": "sevt_1",
    "type": "session.status_idle",
    "processed_at": "2026-11-22T10:00:00.123456Z",
    "stop_reason": {"type": "end_turn"},
    "stop_details": None,
}


def test_a_value_shows_its_kinds() -> None:
    assert shown(LISTED, IDLE) == {
        "session.status_idle",
        "session.status_idle/stop_reason/end_turn",
    }
    assert shown(list[LISTED], [IDLE]) == shown(LISTED, IDLE)  # type: ignore[valid-type]
    assert shown(BetaManagedAgentsSessionStatusIdleEvent, IDLE) == shown(LISTED, IDLE)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"type": "session.dozing"}, "no type of the SDK is 'session.dozing'"),
        ({"stop_reason": {"type": "bored"}}, "no type of the SDK is 'bored'"),
        ({"stop_reason": {"type": "requires_action"}}, "event_ids is missing"),
        ({"stop_reason": {"type": "end_turn", "event_ids": []}}, r"does not know \['event_ids'\]"),
        ({"stop_reason": None}, "None is not"),
        ({"id": 1}, "1 is not"),
        ({"processed_at": "yesterday"}, "'yesterday' is not"),
        ({"more": 1}, r"does not know \['more'\]"),
        ({"stop_details": {"type": "refusal", "category": "rude"}}, "'rude' is not"),
    ],
)
def test_a_value_that_is_not_what_the_sdk_says_is_refused(change: Any, told: str) -> None:
    with pytest.raises(Mismatch, match=told):
        shown(LISTED, {**IDLE, **change})
