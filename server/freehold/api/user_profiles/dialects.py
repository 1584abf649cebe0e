"""Which shape of user profiles a client speaks, by the betas that it names (spec 1.2, 19)."""

from __future__ import annotations

from collections.abc import Set
from enum import Enum


class Dialect(Enum):
    """The beta header's value; the newest is what there is without any."""

    MARCH = "user-profiles-2026-03-24"
    """``external_id``."""
    AUGUST = "user-profiles-2026-08-18"
    """``external_id``, ``external_user_onboarded_at`` and ``access_type``."""
    SEPTEMBER = "user-profiles-2026-09-04"
    """``external_user_details`` and ``access_type``."""
    CURRENT = ""
    """As September's, with programs and enforcement instead of ``trust_grants``."""


def spoken(betas: Set[str]) -> Dialect:
    """The dialect of a request; the newest wins, since SDKs add an older one by themselves."""
    for dialect in (Dialect.SEPTEMBER, Dialect.AUGUST, Dialect.MARCH):
        if dialect.value in betas:
            return dialect
    return Dialect.CURRENT
