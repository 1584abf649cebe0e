"""Rate limits: what a setting says, what a request counts as, how a bucket empties and fills."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.rates import HOSTED, MOST, Bucket, kind_of, parse

MINUTE = 60_000_000
NOW = 1_760_000_000_000_000


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("", {}),
        (" , ", {}),
        ("hosted", HOSTED),
        ("create=1", {"create": 1}),
        (" read = 5 , files=1000000", {"read": 5, "files": MOST}),
    ],
)
def test_settings(text: str, rates: dict[str, int]) -> None:
    assert parse(text) == rates


@pytest.mark.parametrize(
    "text",
    [
        *("on", "create", "create=", "=5", "create=x", "create=-1", "create=1.5", "write=5"),
        *("create=1,create=2", "create=0", "create=1000001", "create=" + "9" * 400, "create=٣"),
    ],
)
def test_settings_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse(text)


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/v1/agents", "read"),
        ("GET", "/v1/sessions/sesn_1/events/stream", "read"),
        ("POST", "/v1/sessions", "create"),
        ("POST", "/v1/sessions/sesn_1/events", "create"),
        ("DELETE", "/v1/sessions/sesn_1", "create"),
        ("GET", "/v1/files/file_1/content", "files"),
        ("POST", "/v1/files", "files"),
        ("POST", "/v1/messages", None),
        ("POST", "/v1/messages/count_tokens", None),
        ("GET", "/v1/nothing", "read"),
        ("GET", "/v1", "read"),
    ],
)
def test_kinds(method: str, path: str, kind: str | None) -> None:
    assert kind_of(method, path) == kind


limits = st.integers(1, MOST)


@given(limits)
def test_a_full_bucket_holds_its_limit_and_not_one_more(limit: int) -> None:
    taken, bucket = Bucket(limit).take(limit + 1, NOW)
    assert (taken, bucket.left(NOW)) == (limit, 0)
    assert bucket.take(1, NOW)[0] == 0
    assert NOW < bucket.next_at(NOW) <= NOW + MINUTE // limit
    assert bucket.left(bucket.next_at(NOW)) == 1
    assert bucket.left(bucket.next_at(NOW) - 1) == 0


@given(limits)
def test_it_is_full_again_after_a_minute(limit: int) -> None:
    _, bucket = Bucket(limit).take(limit, NOW)
    assert bucket.left(NOW + MINUTE) == limit
    assert bucket.full_at <= NOW + MINUTE
    assert bucket.next_at(NOW + MINUTE) == NOW + MINUTE


@given(limits, st.lists(st.tuples(st.integers(1, 200), st.integers(0, MINUTE)), max_size=20))
def test_more_than_a_full_bucket_and_what_came_back_is_never_taken(
    limit: int, wanted: list[tuple[int, int]]
) -> None:
    bucket, now, total = Bucket(limit), NOW, 0
    for count, pause in wanted:
        left = bucket.left(now)
        taken, bucket = bucket.take(count, now)
        assert taken == min(count, left)
        assert bucket.left(now) == left - taken
        total += taken
        now += pause
    # What fills a little faster than it says, because times are whole, is below this.
    each = MINUTE // limit
    assert total <= limit + (now - NOW) // each
