"""How long to wait before a failed model request is tried again (spec 25, question 26)."""

from __future__ import annotations

import random
from dataclasses import dataclass

from freehold.errors import ModelError

LONGEST_WISH = 600.0
"""Seconds; a provider that wants a longer pause than this has in effect said no."""


@dataclass(frozen=True)
class Backoff:
    """Exponential, with full jitter above half of the step.

    Attributes:
        base: Seconds before the first retry, on average three quarters of it.
        longest: Seconds that no pause exceeds, unless the provider asks for more.
        retries: How many requests may follow the first one before the turn is given up.
    """

    base: float = 1.0
    longest: float = 60.0
    retries: int = 5

    def pause(self, failures: int, error: ModelError) -> float | None:
        """Seconds to wait after ``failures`` earlier ones and this; ``None``: give up.

        A provider's own wish (``retry-after``) is honoured.
        """
        if not error.retryable or failures >= self.retries:
            return None
        wish = error.retry_after or 0.0
        if wish > LONGEST_WISH:
            return None
        step = min(self.longest, self.base * float(1 << failures))
        return max(wish, step * (0.5 + random.random() / 2))  # noqa: S311 no secret is at stake
