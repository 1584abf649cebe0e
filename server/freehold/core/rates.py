"""Rate limits on requests: how many a minute, and what is left of them (spec 1.7).

A bucket holds a minute's requests and fills up again evenly. All that is kept of it is the time at
which it will be full, in microseconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["create", "read", "files"]
"""``read`` retrieves, lists and streams; ``create`` is every other request; ``files`` is both, of
the files."""

Rates = dict[Kind, int]
"""Requests a minute; a kind that is missing has no limit."""

HOSTED: Rates = {"create": 300, "read": 1_200, "files": 500}
"""Spec 1.7."""
MOST = 1_000_000

_MINUTE = 60_000_000
_EXPECTED = "must be `hosted`, or such as `create=300,read=1200,files=500`"


def parse(text: str) -> Rates:
    """The limits that a setting says; none if it is empty.

    Raises:
        ValueError: it says nothing that is a limit.
    """
    if text.strip() == "hosted":
        return dict(HOSTED)
    rates: Rates = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if not (name or number):
            continue
        kind = next((kind for kind in get_args(Kind) if kind == name), None)
        if kind is None or kind in rates or not (number.isascii() and number.isdigit()):
            raise ValueError(_EXPECTED)
        if not 1 <= int(number[:9]) <= MOST:
            raise ValueError(f"{name}: must be between 1 and {MOST:,}")
        rates[kind] = int(number)
    return rates


def kind_of(method: str, path: str) -> Kind | None:
    """What a request counts as; ``None``: not at all.

    What is passed on to a model's server is for that to limit.
    """
    family = path.removeprefix("/v1/").partition("/")[0]
    if family == "messages":
        return None
    if family == "files":
        return "files"
    return "read" if method in ("GET", "HEAD") else "create"


@dataclass(frozen=True)
class Bucket:
    """A minute's requests for one subject.

    Args:
        limit: how many it holds, and how many a minute come back.
        full_at: when it will be full, in microseconds; a time in the past: it is.
    """

    limit: int
    full_at: int = 0

    @property
    def _each(self) -> int:
        # Whole numbers: a limit that does not divide a minute fills a little faster than it says.
        return _MINUTE // self.limit

    def left(self, now: int) -> int:
        """How many requests can be taken at once."""
        waiting = max(self.full_at - now, 0)
        return max(self.limit - -(-waiting // self._each), 0)

    def take(self, count: int, now: int) -> tuple[int, Bucket]:
        """How many of the wanted requests there are, at most all of them, and what is left."""
        taken = min(count, self.left(now))
        return taken, Bucket(self.limit, max(self.full_at, now) + taken * self._each)

    def next_at(self, now: int) -> int:
        """When a request can be taken: now, or later."""
        return max(self.full_at - (self.limit - 1) * self._each, now)
