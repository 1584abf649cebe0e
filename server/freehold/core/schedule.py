"""Cron schedules on the wall clocks of IANA zones (spec 13.2).

An expression matches what a clock on the wall shows: a time that is skipped when clocks are set
forward does not occur, one that comes twice when they are set back occurs twice. Instants are
aware UTC on whole minutes. Exact for times after 1972, since when zones differ from UTC by whole
minutes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import chain, islice, pairwise
from zoneinfo import ZoneInfo, available_timezones

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

YEAR = timedelta(days=366)
"""A schedule must occur within this time from now to be taken."""
HORIZON = timedelta(days=9 * 366)
"""How far ahead is looked: the 29th of February may be eight years away."""
UPCOMING = 5
"""Occurrences that are told ahead."""

DELAY_SHARE = 0.15
DELAY_MIN, DELAY_MAX = timedelta(seconds=5), timedelta(minutes=9)
"""By how much a run may start later than its occurrence: a share of the time until the next one,
and never less or more than these."""

_WINDOWS = (HOUR, DAY, 8 * DAY, 32 * DAY, YEAR, HORIZON)
"""How far back is looked for what was missed, one after the other: no window holds many."""

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_WEEKDAYS = {
    name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))
}
_PART = re.compile(r"(\*|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?")
_NOT_A_PLACE = frozenset({"Factory", "localtime"})
"""Entries of time zone databases that name no zone, or another one on every machine."""


@dataclass(frozen=True)
class Cron:
    """What a five-field expression matches."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday, 6 is Saturday."""

    def on(self, day: date) -> bool:
        """Whether anything matches on this day."""
        return (
            day.month in self.months
            and day.day in self.days
            and day.isoweekday() % 7 in self.weekdays
        )

    def between(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        """The matching wall-clock times from ``begin`` until before ``end``; all naive."""
        day = begin.date()
        while day <= end.date():
            if self.on(day):
                for hour in self.hours:
                    for minute in self.minutes:
                        moment = datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001
                        if moment >= end:
                            return
                        if moment >= begin:
                            yield moment
            day += DAY


def parse(expression: str) -> Cron:
    """Read an expression: minute, hour, day of the month, month, day of the week.

    Each field is ``*`` or a list of numbers and ranges, with steps; months and days of the week
    may be named by three letters. Sunday is 0 and 7.

    Raises:
        ValueError: it is none, or it restricts both kinds of days; the text begins where the name
            of the field ends.
    """
    fields = [part for part in re.split(r"[ \t]+", expression.strip(" \t")) if part]
    if len(fields) != 5:
        raise ValueError(
            f"is not a valid 5-field cron expression: expected 5 fields, got {len(fields)}"
        )
    minutes = _field(fields[0], "minute", 0, 59)
    hours = _field(fields[1], "hour", 0, 23)
    days = _field(fields[2], "day-of-month", 1, 31)
    months = _field(fields[3], "month", 1, 12, _MONTHS)
    weekdays = _field(fields[4], "day-of-week", 0, 7, _WEEKDAYS)
    if fields[2] != "*" and fields[4] != "*":
        raise ValueError("cannot restrict both day-of-month and day-of-week; use `*` for one")
    return Cron(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(number % 7 for number in weekdays),
    )


def _field(
    text: str, field: str, low: int, high: int, names: Mapping[str, int] | None = None
) -> set[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(
                f"is not a valid 5-field cron expression: {_quoted(text)} is not a {field}"
            )
        whole, first, last, step = match.groups()
        if whole == "*":
            begin, end = low, high
        else:
            begin = _number(first, names or {}, text, field)
            end = begin if last is None else _number(last, names or {}, text, field)
            if step is not None and last is None:
                raise ValueError(
                    f"is not a valid 5-field cron expression: a step needs `*` or a range, "
                    f"got {_quoted(text)} as {field}"
                )
        every = 1 if step is None else int(step)
        if every == 0:
            raise ValueError(
                f"is not a valid 5-field cron expression: {_quoted(text)} has a step of 0"
            )
        if not low <= begin <= end <= high:
            raise ValueError(
                f"is not a valid 5-field cron expression: {_quoted(text)} is outside of {field}, "
                f"which goes from {low} to {high}"
            )
        found.update(range(begin, end + 1, every))
    return found


def _number(text: str, names: Mapping[str, int], whole: str, field: str) -> int:
    if text.isdigit():
        return int(text)
    if text not in names:
        raise ValueError(
            f"is not a valid 5-field cron expression: {_quoted(whole)} is not a {field}"
        )
    return names[text]


def _quoted(text: str) -> str:
    return f'"{text[:40]}"'


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones()) - _NOT_A_PLACE


def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name, written as the database writes it.

    Raises:
        ValueError: there is none of this name; the text begins where the name of the field ends.
    """
    if name not in _names():
        raise ValueError(f"is not a known IANA time zone: {_quoted(name)}")
    return ZoneInfo(name)


def occurrences(
    cron: Cron, zone: ZoneInfo, after: datetime, within: timedelta = HORIZON
) -> Iterator[datetime]:
    """The instants at which the expression matches, ascending: later than ``after``, but by no
    more than ``within``."""
    begin = _minute(after) + MINUTE
    end = _minute(after + within) + MINUTE
    while begin < end:
        midnight = begin.replace(hour=0, minute=0) + DAY
        today = begin.date()
        # No clock is a day or more away from UTC.
        if cron.on(today) or cron.on(today - DAY) or cron.on(today + DAY):
            yield from _in_a_day(cron, zone, begin, min(midnight, end))
        elif today.month not in cron.months and today.day > 1:
            midnight = max(midnight, _last_of_month(midnight - DAY))
        begin = midnight


def _last_of_month(day: datetime) -> datetime:
    return (day.replace(day=28) + 4 * DAY).replace(day=1) - DAY


def _minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def _in_a_day(cron: Cron, zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Those from ``begin`` until before ``end``: one after the other for each stretch in which
    the zone's clocks are not set."""
    while begin < end:
        offset = _offset(zone, begin)
        change = _change(zone, begin, end)
        wall = (begin + offset).replace(tzinfo=None)
        for moment in cron.between(wall, (change + offset).replace(tzinfo=None)):
            yield (moment - offset).replace(tzinfo=UTC)
        begin = change


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _change(zone: ZoneInfo, begin: datetime, end: datetime) -> datetime:
    """The first minute after ``begin`` with another offset; ``end`` if there is none before."""
    offset = _offset(zone, begin)
    same = begin
    while same < end:
        # No zone's clocks are set twice within an hour.
        other = min(same + HOUR, end)
        if _offset(zone, other) != offset:
            while other - same > MINUTE:
                middle = same + (other - same) // MINUTE // 2 * MINUTE
                if _offset(zone, middle) == offset:
                    same = middle
                else:
                    other = middle
            return other
        same = other
    return end


def upcoming(cron: Cron, zone: ZoneInfo, after: datetime, count: int = UPCOMING) -> list[datetime]:
    """The next occurrences."""
    return list(islice(occurrences(cron, zone, after), count))


def delay(seed: str, until_next: timedelta | None) -> timedelta:
    """How much later than an occurrence a run starts; the same for one ``seed`` and interval.

    Schedules that all name the full hour do not all start at once.
    """
    most = DELAY_MAX if until_next is None else until_next * DELAY_SHARE
    most = max(DELAY_MIN, min(DELAY_MAX, most))
    share = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:6], "big") / (1 << 48)
    return DELAY_MIN + (most - DELAY_MIN) * share


@dataclass(frozen=True)
class Due:
    """An occurrence, and when its run starts."""

    scheduled_at: datetime
    starts_at: datetime


@dataclass(frozen=True)
class Timetable:
    """When the runs of one schedule start."""

    seed: str
    """Makes its delays its own."""
    cron: Cron
    zone: ZoneInfo

    def after(self, moment: datetime) -> Due | None:
        """The first occurrence later than ``moment``; ``None``: none in sight."""
        found = upcoming(self.cron, self.zone, moment, 2)
        if not found:
            return None
        return self._due(found[0], found[1] if len(found) > 1 else None)

    def newest(self, scheduled_at: datetime, now: datetime) -> datetime:
        """Of the occurrences from ``scheduled_at`` on whose runs should have started by ``now``,
        the newest: after an outage one run makes up for all that were missed."""
        for window in _WINDOWS:
            begin = max(scheduled_at, now - window)
            if (found := self._newest(begin, now)) is not None:
                return found
            if begin == scheduled_at:
                break
        return scheduled_at

    def _newest(self, begin: datetime, now: datetime) -> datetime | None:
        newest: datetime | None = None
        several = occurrences(self.cron, self.zone, begin - MINUTE)
        for one, following in pairwise(chain(several, (None,))):
            if one is None or one > now:
                break
            if self._due(one, following).starts_at <= now:
                newest = one
        return newest

    def _due(self, scheduled_at: datetime, following: datetime | None) -> Due:
        interval = None if following is None else following - scheduled_at
        return Due(scheduled_at, scheduled_at + delay(self.seed, interval))
