"""Limits on how many requests are taken a minute (spec 1.3, 1.7); none unless they are set.

What counts is in the database, so that several processes keep one limit together. Each takes a
fiftieth of a minute's requests at a time and hands them out itself: a request that is let through
costs no transaction, but for one in some. Fewer than that many can lie unused in another process
while this one refuses, for as long as :data:`KEPT`; more than the limit are never taken.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol

from freehold.core import times
from freehold.core.rates import Bucket, Kind, Rates, kind_of
from freehold.errors import RateLimited
from freehold.ports.clock import Clock

Per = Literal["organization", "workspace", "key"]

KEPT = 5_000_000
"""Microseconds for which requests that were taken and not used are kept."""
_SHARE = 50
_SUBJECTS = 10_000

_NAMES: dict[Kind, str] = {
    "create": "creating and changing",
    "read": "reading",
    "files": "files",
}
_OWNERS: dict[Per, str] = {
    "organization": "organization",
    "workspace": "workspace",
    "key": "API key",
}


class Counts(Protocol):
    """Where the buckets are; the store has the one there is."""

    async def take(
        self, subject: str, kind: str, limit: int, count: int, now: int
    ) -> tuple[int, Bucket]:
        """Take up to ``count`` requests; how many there were, and what is left of the bucket."""
        ...


@dataclass
class _Share:
    """What this process has taken of a bucket, and how that stood then."""

    bucket: Bucket
    left: int = 0
    taken_at: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class RateLimits:
    """The limits in force.

    Args:
        rates: requests a minute, by kind.
        per: who has them: all together, each workspace or each key.
        counts: the buckets.
        clock: the time.
    """

    def __init__(self, rates: Rates, per: Per, counts: Counts, clock: Clock) -> None:
        self._rates = rates
        self._per = per
        self._counts = counts
        self._clock = clock
        self._shares: dict[tuple[str, Kind], _Share] = {}

    async def admit(
        self, method: str, path: str, *, workspace_id: str, key_id: str
    ) -> tuple[list[tuple[bytes, bytes]], RateLimited | None]:
        """Count a request: the headers of its answer, and the refusal if there is none left."""
        kind = kind_of(method, path)
        if kind is None or kind not in self._rates:
            return [], None
        limit = self._rates[kind]
        subject = {"organization": "", "workspace": workspace_id, "key": key_id}[self._per]
        share = self._share(subject, kind, limit)
        async with share.lock:
            now = times.to_micros(self._clock.now())
            if share.left and now - share.taken_at > KEPT:
                share.left = 0
            if not share.left and share.bucket.left(now):
                want = max(limit // _SHARE, 1)
                share.left, share.bucket = await self._counts.take(subject, kind, limit, want, now)
                share.taken_at = now
            refusal = None
            if share.left:
                share.left -= 1
            else:
                refusal = self._refusal(kind, limit, share.bucket.next_at(now) - now)
            return self._headers(share, now), refusal

    def _share(self, subject: str, kind: Kind, limit: int) -> _Share:
        share = self._shares.get((subject, kind))
        if share is None:
            if len(self._shares) >= _SUBJECTS:
                # What they had taken is lost to them, for a minute at most.
                self._shares.clear()
            share = self._shares[subject, kind] = _Share(Bucket(limit))
        return share

    def _refusal(self, kind: Kind, limit: int, wait: int) -> RateLimited:
        return RateLimited(
            f"This request would exceed your {_OWNERS[self._per]}'s rate limit of {limit:,} "
            f"requests per minute for {_NAMES[kind]}.",
            retry_after=max(wait / 1_000_000, 1.0),
        )

    @staticmethod
    def _headers(share: _Share, now: int) -> list[tuple[bytes, bytes]]:
        full = datetime.fromtimestamp(max(share.bucket.full_at, now) // 1_000_000 + 1, UTC)
        return [
            (b"anthropic-ratelimit-requests-limit", str(share.bucket.limit).encode()),
            (
                b"anthropic-ratelimit-requests-remaining",
                str(share.bucket.left(now) + share.left).encode(),
            ),
            (b"anthropic-ratelimit-requests-reset", full.strftime("%Y-%m-%dT%H:%M:%SZ").encode()),
        ]
