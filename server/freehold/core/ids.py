"""Identifiers of the API (spec 1.9).

An id is a prefix, ``01`` and 22 base58 characters. The characters encode 128 bits: 56 of
microseconds since the epoch, then 72 of entropy, so ids of one kind sort by time of creation.
"""

from __future__ import annotations

import re
from typing import Literal

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BODY_LENGTH = 22
ENTROPY_BYTES = 9
_TIME_BITS = 56

Prefix = Literal[
    "agent", "env", "sesn", "sevt", "sthr", "sesrsc", "outc", "req", "vlt", "vcrd", "wrkspc",
    "memstore", "mem", "memver", "skill", "skver", "file", "depl", "drun", "work", "apikey",
    "whe", "whep",
    "uprof", "tnl", "tcrt", "tnltok", "drm",
]  # fmt: skip

_BODY = re.compile(rf"01[{ALPHABET}]{{{BODY_LENGTH}}}")


def encode(prefix: Prefix, time_us: int, entropy: bytes) -> str:
    """The id of ``prefix`` for a moment in microseconds and ``ENTROPY_BYTES`` of entropy.

    Raises:
        ValueError: the entropy has another length, or the time is out of range.
    """
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"need {ENTROPY_BYTES} bytes of entropy, got {len(entropy)}")
    if not 0 <= time_us < 1 << _TIME_BITS:
        raise ValueError(f"time out of range: {time_us}")
    number = (time_us << (ENTROPY_BYTES * 8)) | int.from_bytes(entropy, "big")
    digits: list[str] = []
    for _ in range(BODY_LENGTH):
        number, digit = divmod(number, 58)
        digits.append(ALPHABET[digit])
    return f"{prefix}_01{''.join(reversed(digits))}"


def is_id(prefix: Prefix, value: str) -> bool:
    """Whether ``value`` has the form of an id of that prefix."""
    head, _, body = value.rpartition("_")
    return head == prefix and _BODY.fullmatch(body) is not None
