"""The machine's clock."""

from __future__ import annotations

from datetime import UTC, timedelta
from itertools import pairwise

import pytest

from freehold.core import ids
from freehold.dispatch.clock import SystemClock


def test_now_is_aware_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)
    assert SystemClock().now().tzinfo is UTC


@pytest.mark.parametrize("steps", [[0], [5, 4, 3, 2, 1]], ids=["standing still", "set back"])
def test_ids_ascend_whatever_the_wall_clock_does(
    monkeypatch: pytest.MonkeyPatch, steps: list[int]
) -> None:
    moments = iter(steps * 400)
    monkeypatch.setattr(
        "freehold.dispatch.clock.time.time_ns", lambda: 10**18 + next(moments) * 10**9
    )
    clock = SystemClock()
    made = [clock.mint("sevt") for _ in range(300)]
    assert all(a < b for a, b in pairwise(made))
    assert all(ids.is_id("sevt", value) for value in made)


def test_two_clocks_make_different_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.dispatch.clock.time.time_ns", lambda: 10**18)
    assert SystemClock().mint("sesn") != SystemClock().mint("sesn")
