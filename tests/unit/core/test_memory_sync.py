"""Which way changes go between a sandbox's copy of a memory store and the store."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.memory_sync import Incoming, Outgoing, covered, incoming, outgoing

PATHS = st.sampled_from(["/a", "/a/b", "/a/b/c", "/d", "/d/e", "/f"])
SIDE = st.dictionaries(PATHS, st.sampled_from(["1", "2", "3"]))


@given(base=SIDE, here=SIDE)
def test_what_goes_out_makes_the_base_what_is_here(
    base: dict[str, str], here: dict[str, str]
) -> None:
    out = outgoing(base, here)
    result = dict(base)
    for path in out.early:
        del result[path]
    for path in out.written:
        result[path] = here[path]
    for path in out.late:
        del result[path]
    assert result == here
    assert set(out.written) == {path for path in here if base.get(path) != here[path]}
    assert outgoing(here, here) == Outgoing()


@given(base=SIDE, here=SIDE)
def test_what_is_in_the_way_goes_first_and_nothing_else(
    base: dict[str, str], here: dict[str, str]
) -> None:
    out = outgoing(base, here)
    for path in out.early + out.late:
        in_the_way = any(
            one.startswith(path + "/") or path.startswith(one + "/") for one in out.written
        )
        assert (path in out.early) == in_the_way


@given(base=SIDE, there=SIDE, mine=st.sets(PATHS))
def test_what_comes_in_makes_the_base_what_is_there(
    base: dict[str, str], there: dict[str, str], mine: set[str]
) -> None:
    change = incoming(base, there, mine)
    result = dict(base)
    for path in change.deleted:
        del result[path]
    for path in change.written:
        result[path] = there[path]
    for path in {*base, *there}:
        expected = base if path in mine else there
        assert result.get(path) == expected.get(path)
    assert incoming(there, there) == Incoming()


@given(base=SIDE, unknown=st.sets(PATHS))
def test_nothing_is_deleted_of_which_nothing_is_known(
    base: dict[str, str], unknown: set[str]
) -> None:
    out = outgoing(base, {}, unknown)
    assert out.written == ()
    assert set(out.late) == {path for path in base if not covered(path, unknown)}


def test_what_cannot_be_compared_is_not_the_same() -> None:
    assert outgoing({"/a": "1"}, {"/a": None, "/b": None}).written == ("/a", "/b")


def test_without_room_the_deleted_go_first() -> None:
    assert outgoing({"/a": "1"}, {"/b": "1"}, room=1) == Outgoing((), ("/b",), ("/a",))
    assert outgoing({"/a": "1"}, {"/b": "1"}, room=0) == Outgoing(("/a",), ("/b",))
