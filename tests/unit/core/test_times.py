from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core import times

_moments = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 hypothesis wants naive bounds
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(_moments)
def test_text_and_micros_keep_every_microsecond(moment: datetime) -> None:
    assert times.parse(times.render(moment)) == moment
    assert times.from_micros(times.to_micros(moment)) == moment


def test_the_form_is_the_apis() -> None:
    moment = datetime(2026, 3, 15, 10, tzinfo=UTC)
    assert times.render(moment) == "2026-03-15T10:00:00.000000Z"
    assert times.render(datetime(987, 1, 2, tzinfo=UTC)) == "0987-01-02T00:00:00.000000Z"


def test_other_offsets_are_taken_and_none_is_refused() -> None:
    assert times.parse("2026-03-15T12:00:00+02:00") == datetime(2026, 3, 15, 10, tzinfo=UTC)
    with pytest.raises(ValueError, match="offset"):
        times.parse("2026-03-15T12:00:00")
