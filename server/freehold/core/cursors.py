"""Page cursors: opaque to clients, bound to one list and one order (spec 1.8)."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

_PREFIX = "page_"
_CHECK_BYTES = 4
_MAX_LENGTH = 8192
"""Some places are paths of up to 1,024 bytes, which JSON escapes may make six times as long."""

Order = Literal["asc", "desc"]
Direction = Literal["next", "prev"]


@dataclass(frozen=True)
class Cursor:
    """A place between two rows of a list.

    ``key`` is the sort key of the row that the place is beside: after it for ``next``, before
    it for ``prev``.
    """

    list: str
    order: Order
    direction: Direction
    key: tuple[int | str, ...]


def encode(cursor: Cursor) -> str:
    """The text that clients send back as ``page``."""
    body = json.dumps(
        [cursor.list, cursor.order, cursor.direction, *cursor.key], separators=(",", ":")
    ).encode()
    check = crc32(body).to_bytes(_CHECK_BYTES, "big")
    return _PREFIX + base64.urlsafe_b64encode(check + body).rstrip(b"=").decode()


def decode(text: str) -> Cursor:
    """The inverse of :func:`encode`.

    Raises:
        ValueError: the text is no cursor of ours.
    """
    if not text.startswith(_PREFIX) or len(text) > _MAX_LENGTH or not text.isascii():
        raise ValueError("not a page cursor")
    encoded = text[len(_PREFIX) :]
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("not a page cursor") from None
    check, body = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    if len(check) < _CHECK_BYTES or crc32(body).to_bytes(_CHECK_BYTES, "big") != check:
        raise ValueError("not a page cursor")
    try:
        name, order, direction, *key = json.loads(body)
    except (ValueError, TypeError):
        raise ValueError("not a page cursor") from None
    if (
        not isinstance(name, str)
        or order not in ("asc", "desc")
        or direction not in ("next", "prev")
        or not all(type(part) in (int, str) for part in key)
        or any(type(part) is int and not -(2**63) <= part < 2**63 for part in key)
    ):
        raise ValueError("not a page cursor")
    return Cursor(name, order, direction, tuple(key))
