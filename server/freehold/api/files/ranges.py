"""The ``Range`` header (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from freehold.errors import RangeNotSatisfiable

_ONE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True)
class Extent:
    """Bytes from ``start`` up to, not including, ``end``."""

    start: int
    end: int


def wanted(header: str | None, size: int) -> Extent | None:
    """The part that a client asks for; ``None``: all of it.

    What is no range, and several ranges in one header, ask for all, as the standard lets a server
    choose.

    Raises:
        RangeNotSatisfiable: the range has no byte of the file.
    """
    match = _ONE.fullmatch((header or "").replace(" ", "").lower())
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        extent = Extent(max(0, size - int(last)), size)
    else:
        extent = Extent(int(first), min(size, int(last) + 1) if last else size)
        if last and int(last) < int(first):
            return None
    if extent.start >= extent.end:
        raise RangeNotSatisfiable(
            f"Range: the file has {size} bytes, none of them in the range", should_retry=False
        )
    return extent
