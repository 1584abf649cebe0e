"""Pages by position, not by count: rows that come or go meanwhile neither repeat nor hide any."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa


class Key(NamedTuple):
    """Where a row stands in a list by time of creation."""

    created_at: datetime
    id: str


def keyset(
    statement: sa.Select[Any],
    created_at: sa.ColumnElement[datetime],
    id_: sa.ColumnElement[str],
    after: Key | None,
    *,
    descending: bool,
) -> sa.Select[Any]:
    """The rows beyond ``after``, in order."""
    if after is not None:
        mine = sa.tuple_(created_at, id_)
        theirs = sa.tuple_(
            sa.literal(after.created_at, created_at.type), sa.literal(after.id, id_.type)
        )
        statement = statement.where(mine < theirs if descending else mine > theirs)
    if descending:
        return statement.order_by(created_at.desc(), id_.desc())
    return statement.order_by(created_at.asc(), id_.asc())
