"""What a key looks like."""

from __future__ import annotations

import re

_KEY = re.compile(r"[A-Za-z0-9_-]{1,32}/[A-Za-z0-9_-]{2,128}")


def checked(key: str) -> str:
    """The key, if it is one.

    Raises:
        ValueError: it is none. Keys are made by the server, so this is a bug.
    """
    if _KEY.fullmatch(key) is None:
        raise ValueError(f"not a key of a blob: {key!r}")
    return key
