"""Cron schedules: what is taken, and every occurrence against a model that tries each minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core import schedule
from freehold.core.schedule import Timetable

MINUTE = timedelta(minutes=1)
ZONES = [
    "UTC",
    "Europe/Oslo",
    "America/New_York",
    "America/St_Johns",  # set back at one minute past midnight until 2011
    "America/Havana",  # set back to midnight
    "America/Scoresbysund",
    "Australia/Lord_Howe",  # by half an hour
    "Antarctica/Troll",  # by two hours
    "Africa/Casablanca",  # four times a year
    "Asia/Kathmandu",
    "Pacific/Apia",  # had no 30 December 2011
    "Asia/Pyongyang",
]


@cache
def settings_of_clocks(name: str) -> tuple[datetime, ...]:
    """The hours in which the zone's clocks were or will be set."""
    zone = ZoneInfo(name)
    found = []
    for first, last in ((2008, 2012), (2015, 2019), (2025, 2028)):
        moment = datetime(first, 1, 1, tzinfo=UTC)
        before = moment.astimezone(zone).utcoffset()
        while moment.year < last:
            moment += timedelta(hours=1)
            offset = moment.astimezone(zone).utcoffset()
            if offset != before:
                found.append(moment)
            before = offset
    return tuple(found) or (datetime(2026, 3, 29, tzinfo=UTC),)


def field(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """A field's text, and the numbers that it means."""
    numbers = st.integers(low, high)
    single = numbers.map(lambda one: (str(one), frozenset({one})))
    spans = st.tuples(numbers, numbers).map(sorted)
    stepped = st.tuples(spans, st.integers(1, 20)).map(
        lambda drawn: (
            f"{drawn[0][0]}-{drawn[0][1]}/{drawn[1]}",
            frozenset(range(drawn[0][0], drawn[0][1] + 1, drawn[1])),
        )
    )
    span = spans.map(lambda two: (f"{two[0]}-{two[1]}", frozenset(range(two[0], two[1] + 1))))
    everything = st.just(("*", frozenset(range(low, high + 1))))
    every = st.integers(1, 20).map(lambda n: (f"*/{n}", frozenset(range(low, high + 1, n))))
    listed = st.lists(st.one_of(single, span, stepped), min_size=1, max_size=3).map(
        lambda parts: (
            ",".join(text for text, _ in parts),
            frozenset().union(*(numbers for _, numbers in parts)),
        )
    )
    return st.one_of(everything, every, listed)


@st.composite
def expressions(draw: st.DrawFn) -> tuple[str, list[frozenset[int]]]:
    drawn = [draw(field(*span)) for span in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))]
    if drawn[2][0] != "*" and drawn[4][0] != "*":
        free = draw(st.sampled_from([(2, 1, 31), (4, 0, 7)]))
        drawn[free[0]] = ("*", frozenset(range(free[1], free[2] + 1)))
    return " ".join(text for text, _ in drawn), [numbers for _, numbers in drawn]


def matches(fields: list[frozenset[int]], wall: datetime) -> bool:
    minutes, hours, days, months, weekdays = fields
    return (
        wall.minute in minutes
        and wall.hour in hours
        and wall.day in days
        and wall.month in months
        and bool({wall.isoweekday(), wall.isoweekday() % 7} & weekdays)
    )


@settings(max_examples=150, deadline=None)
@given(drawn=expressions(), name=st.sampled_from(ZONES), data=st.data())
def test_what_occurs_is_what_a_clock_on_the_wall_shows(
    drawn: tuple[str, list[frozenset[int]]], name: str, data: st.DataObject
) -> None:
    text, fields = drawn
    zone = ZoneInfo(name)
    near = data.draw(st.sampled_from(settings_of_clocks(name)))
    after = near - timedelta(seconds=data.draw(st.integers(0, 36 * 3600)))
    within = timedelta(seconds=data.draw(st.integers(0, 60 * 3600)))
    model = []
    moment = after.replace(second=0, microsecond=0)
    while moment <= after + within:
        if moment > after and matches(fields, moment.astimezone(zone)):
            model.append(moment)
        moment += MINUTE
    assert list(schedule.occurrences(schedule.parse(text), zone, after, within)) == model


@settings(max_examples=60, deadline=None)
@given(
    months=st.sets(st.integers(1, 12), min_size=1, max_size=3),
    days=st.sets(st.integers(1, 31), min_size=1, max_size=3),
    hour=st.integers(0, 23),
    name=st.sampled_from(ZONES),
    start=st.integers(0, 366 * 24 * 60),
)
def test_what_occurs_seldom_is_found_over_the_years(
    months: set[int], days: set[int], hour: int, name: str, start: int
) -> None:
    zone = ZoneInfo(name)
    after = datetime(2026, 1, 1, tzinfo=UTC) + start * MINUTE
    within = timedelta(days=1000)
    model = set()
    for ahead in range(-2, 1003):
        wall = (after + timedelta(days=ahead)).replace(hour=hour, minute=30, second=0, tzinfo=None)
        if wall.month not in months or wall.day not in days:
            continue
        for fold in (0, 1):
            moment = wall.replace(fold=fold, tzinfo=zone).astimezone(UTC)
            shown = moment.astimezone(zone).replace(tzinfo=None, fold=0)
            if shown == wall and after < moment <= after + within:
                model.add(moment)
    text = f"30 {hour} {','.join(map(str, days))} {','.join(map(str, months))} *"
    found = list(schedule.occurrences(schedule.parse(text), zone, after, within))
    assert found == sorted(model)


def at(text: str, zone: str, after: str, count: int = 5) -> list[str]:
    found = schedule.upcoming(
        schedule.parse(text), ZoneInfo(zone), datetime.fromisoformat(after), count
    )
    return [f"{moment:%Y-%m-%dT%H:%M}" for moment in found]


def test_a_skipped_time_does_not_occur() -> None:
    assert at("30 2 * * *", "Europe/Oslo", "2026-03-27T12:00:00+00:00", 3) == [
        "2026-03-28T01:30",
        "2026-03-30T00:30",
        "2026-03-31T00:30",
    ]


def test_a_doubled_time_occurs_twice() -> None:
    assert at("30 2 * * *", "Europe/Oslo", "2026-10-24T12:00:00+00:00", 3) == [
        "2026-10-25T00:30",
        "2026-10-25T01:30",
        "2026-10-26T01:30",
    ]


def test_a_day_that_a_zone_left_out() -> None:
    assert at("0 9 29,30,31 12 *", "Pacific/Apia", "2011-12-01T00:00:00+00:00", 2) == [
        "2011-12-29T19:00",
        "2011-12-30T19:00",
    ]


def test_days_of_the_week_by_number_and_name() -> None:
    monday = "2026-11-23T00:00:00+00:00"
    assert at("0 0 * * 7", "UTC", monday, 1) == at("0 0 * * 0", "UTC", monday, 1)
    assert at("0 0 * * SUN", "UTC", monday, 1) == ["2026-11-29T00:00"]
    assert at("0 0 * * Mon-Fri", "UTC", monday) == at("0 0 * * 1-5", "UTC", monday)
    assert at("0 0 1 jan,JUL *", "UTC", monday, 2) == ["2027-01-01T00:00", "2027-07-01T00:00"]


def test_what_is_far_away_is_found() -> None:
    leap = at("0 0 29 2 *", "UTC", "2096-03-01T00:00:00+00:00", 1)
    assert leap == ["2104-02-29T00:00"]
    assert at("0 0 30 2 *", "UTC", "2026-01-01T00:00:00+00:00") == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not a valid 5-field cron expression: expected 5 fields, got 0"),
        ("* * * *", "is not a valid 5-field cron expression: expected 5 fields, got 4"),
        ("0 0 * * * *", "is not a valid 5-field cron expression: expected 5 fields, got 6"),
        ("@daily", "is not a valid 5-field cron expression: expected 5 fields, got 1"),
        ("0 0 1 * 1", "cannot restrict both day-of-month and day-of-week; use `*` for one"),
        ("0 0 */2 * 1", "cannot restrict both day-of-month and day-of-week; use `*` for one"),
    ],
)
def test_recorded_refusals(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as refused:
        schedule.parse(text)
    assert str(refused.value) == problem


@pytest.mark.parametrize(
    "text",
    [
        *("60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8"),
        *("*/0 * * * *", "5/10 * * * *", "30-10 * * * *", "- * * * *", "1- * * * *", ", * * * *"),
        *("* * L * *", "* * * * 5L", "* * 15W * *", "* * * * 1#2", "* * ? * *", "* * * * fri-mon"),
        *("* * * foo *", "-1 * * * *", "1.5 * * * *", "٣ * * * *", "*\u00a0* * * *", "mon * * * *"),
        *("** * * * *", "*/* * * * *", "1-2-3 * * * *", "100 * * * *", "* * * * *\n0"),
    ],
)
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is not a valid 5-field cron expression: "):
        schedule.parse(text)


@settings(max_examples=300)
@given(st.text(alphabet="0123456789*/-, LW#?@abcJANmon\t\n", max_size=40) | st.text(max_size=20))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        cron = schedule.parse(text)
    except ValueError:
        return
    assert cron.minutes
    assert cron.hours
    assert cron.days
    assert cron.months
    assert cron.weekdays


@pytest.mark.parametrize("name", ["Europe/Oslo", "UTC", "America/Argentina/Ushuaia", "Etc/GMT+5"])
def test_zones(name: str) -> None:
    assert schedule.zone_of(name).key == name


@pytest.mark.parametrize(
    "name",
    ["", "europe/oslo", "Mars/Olympus", "../UTC", "/etc/passwd", "posix/UTC", "localtime", "CET+1"],
)
def test_what_is_no_zone(name: str) -> None:
    with pytest.raises(ValueError, match=r"^is not a known IANA time zone: "):
        schedule.zone_of(name)


@given(st.text(max_size=20), st.none() | st.timedeltas(timedelta(minutes=1), timedelta(days=3000)))
def test_delays_are_short_and_stay_the_same(seed: str, interval: timedelta | None) -> None:
    found = schedule.delay(seed, interval)
    assert found == schedule.delay(seed, interval)
    assert timedelta(seconds=5) <= found <= timedelta(minutes=9)
    if interval is not None:
        assert found <= interval * 0.15


def test_delays_differ() -> None:
    assert len({schedule.delay(str(n), timedelta(hours=1)) for n in range(50)}) == 50


TEXTS = ["* * * * *", "*/7 * * * *", "30 2 * * *", "0 9 * * 1", "15 3 1 * *", "0 0 1 1 *"]


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(TEXTS),
    st.sampled_from(ZONES),
    st.integers(0, 3 * 365 * 24 * 60 * 60),
    st.sampled_from([60, 3_000, 80_000, 700_000, 20_000_000]).flatmap(
        lambda most: st.integers(0, most)
    ),
    st.text(max_size=3),
)
def test_of_what_was_missed_the_newest_is_made_up_for(
    text: str, name: str, start: int, outage: int, seed: str
) -> None:
    table = Timetable(seed, schedule.parse(text), ZoneInfo(name))
    due = table.after(datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=start))
    assert due is not None
    now = due.starts_at + timedelta(seconds=outage)
    several = islice(
        schedule.occurrences(table.cron, table.zone, due.scheduled_at - MINUTE), 20_000
    )
    model = due.scheduled_at
    for one, following in pairwise(several):
        if one > now:
            assert table.newest(due.scheduled_at, now) == model
            return
        if one + schedule.delay(seed, following - one) <= now:
            model = one
    hypothesis.reject()  # too much was missed for the model


def test_a_run_starts_before_the_next_occurrence() -> None:
    table = Timetable("x", schedule.parse("* * * * *"), ZoneInfo("UTC"))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(100):
        due = table.after(moment)
        assert due is not None
        assert moment < due.scheduled_at < due.starts_at < due.scheduled_at + MINUTE
        moment = due.starts_at


def test_a_schedule_without_occurrences() -> None:
    table = Timetable("x", schedule.parse("0 0 30 2 *"), ZoneInfo("UTC"))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert table.after(moment) is None
    assert table.newest(moment, moment + timedelta(days=2)) == moment
    assert table.newest(moment, moment + timedelta(days=10_000)) == moment


def test_what_was_due_before_it_could_start() -> None:
    table = Timetable("x", schedule.parse("0 0 1 1 *"), ZoneInfo("UTC"))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert table.newest(moment, moment + timedelta(seconds=1)) == moment
    long_after = moment + timedelta(days=20_000)
    assert table.newest(moment, long_after) == datetime(2080, 1, 1, tzinfo=UTC)
