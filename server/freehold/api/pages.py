"""Cursors of the lists that are sorted by time of creation (spec 1.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from freehold.core import cursors, times
from freehold.core.cursors import Cursor, Direction, Order
from freehold.errors import InvalidRequest
from freehold.store.keyset import Key

INVALID = "page: invalid or expired page cursor"
OTHER_ORDER = "page: the cursor was issued for another `order`"


class Placed(Protocol):
    """A row that has a place in such a list."""

    @property
    def id(self) -> str:
        """Breaks ties."""
        ...

    @property
    def created_at(self) -> datetime:
        """Sorts."""
        ...


RowT = TypeVar("RowT", bound=Placed)


def of(name: str, owner_id: str) -> str:
    """The name of a list that each ``owner_id`` has one of."""
    return f"{name}:{owner_id}"


def decode(text: str | None, name: str, order: Order) -> Cursor | None:
    """The cursor that a client sent for the list ``name``.

    Raises:
        InvalidRequest: it is none, or it belongs to another list or order.
    """
    if text is None or text == "":
        return None
    try:
        cursor = cursors.decode(text)
    except ValueError:
        raise InvalidRequest(INVALID) from None
    if cursor.list != name:
        raise InvalidRequest(INVALID)
    if cursor.order != order:
        raise InvalidRequest(OTHER_ORDER)
    return cursor


def key(cursor: Cursor | None) -> Key | None:
    """The place of a cursor in a list by time of creation.

    Raises:
        InvalidRequest: the cursor has no such place.
    """
    if cursor is None:
        return None
    match cursor.key:
        case (int(micros), str(row_id)):
            try:
                return Key(times.from_micros(micros), row_id)
            except OverflowError:
                raise InvalidRequest(INVALID) from None
    raise InvalidRequest(INVALID)


def cursor_at(row: Placed, name: str, order: Order = "desc", direction: Direction = "next") -> str:
    """The cursor of the place beside ``row``."""
    return cursors.encode(Cursor(name, order, direction, (times.to_micros(row.created_at), row.id)))


def forward(rows: Sequence[RowT], limit: int, name: str) -> tuple[Sequence[RowT], str | None]:
    """A page and its ``next_page`` from rows of which one more than ``limit`` was asked for."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], cursor_at(rows[limit - 1], name)


@dataclass(frozen=True)
class BothWays:
    """A page that can be left in both directions."""

    next_page: str | None
    prev_page: str | None
