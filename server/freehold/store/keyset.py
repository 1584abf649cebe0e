"""Pages by position, not by count: rows that come or go meanwhile neither repeat nor hide any.

What a page costs depends neither on how far into its list it is nor on how many rows a filter
passes over. For that, the rows that a filter tells apart are kept on *shelves*: indexes of their
own, each in the order of the list. A page merges the shelves that it is of, and starts on each of
them at its place. Whatever statistics a database has of its tables, it finds no better way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa


class Key(NamedTuple):
    """Where a row stands in a list by time of creation."""

    created_at: datetime
    id: str


@dataclass(frozen=True)
class Span:
    """The times of creation that a list is limited to; ``None`` is no limit."""

    gt: datetime | None = None
    gte: datetime | None = None
    lt: datetime | None = None
    lte: datetime | None = None


EVER = Span()


class _Cut(NamedTuple):
    """A place between two rows of a list, in the order of such places."""

    moment: datetime
    rank: int
    """-1: before all rows of that moment. 0: beside the row ``id``. 1: after all of them."""
    id: str = ""


def keyset(
    statement: sa.Select[Any],
    created_at: sa.ColumnElement[datetime],
    id_: sa.ColumnElement[str],
    after: Key | None,
    *,
    descending: bool,
    within: Span = EVER,
) -> sa.Select[Any]:
    """The rows beyond ``after`` and within a span, in order."""
    statement = _bounded(statement, created_at, id_, after, within, descending=descending)
    if descending:
        return statement.order_by(created_at.desc(), id_.desc())
    return statement.order_by(created_at.asc(), id_.asc())


@dataclass(frozen=True)
class Page:
    """The first ``limit`` rows of some shelves together, which have no rows in common."""

    shelves: Sequence[sa.Select[Any]]
    by: Sequence[sa.ColumnElement[Any]]
    """The columns that sort."""
    descending: bool
    limit: int

    def statement(self, dialect: sa.Dialect) -> sa.Select[Any] | sa.CompoundSelect[Any]:
        """The query, which merges the shelves and sorts nothing."""
        if len(self.shelves) == 1:
            return self._first_of(self.shelves[0])
        # SQLite merges what it finds in order, and takes no limits in parts. PostgreSQL merges
        # what is said to be in order, and reads no more of a part than it is told.
        parts = self.shelves
        if dialect.name != "sqlite":
            parts = [self._first_of(shelf) for shelf in self.shelves]
        by: list[sa.ColumnElement[Any]] = [sa.column(column.name) for column in self.by]
        return sa.union_all(*parts).order_by(*self._order(by)).limit(self.limit)

    def _first_of(self, shelf: sa.Select[Any]) -> sa.Select[Any]:
        return shelf.order_by(*self._order(self.by)).limit(self.limit)

    def _order(self, by: Sequence[sa.ColumnElement[Any]]) -> list[sa.ColumnElement[Any]]:
        return [column.desc() if self.descending else column.asc() for column in by]


def merged(
    shelves: Sequence[sa.Select[Any]],
    created_at: sa.ColumnElement[datetime],
    id_: sa.ColumnElement[str],
    after: Key | None,
    *,
    descending: bool,
    within: Span = EVER,
    limit: int,
) -> Page:
    """At most ``limit`` rows of all shelves: those beyond ``after`` and within a span."""
    bounded = [
        _bounded(shelf, created_at, id_, after, within, descending=descending) for shelf in shelves
    ]
    return Page(bounded, (created_at, id_), descending, limit)


def checked(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """The condition, but no way to rows: for what is narrower than it, and to be read instead."""
    return sa.case((condition, sa.true()), else_=sa.false())


def shelves(
    statement: sa.Select[Any], archived_at: sa.ColumnElement[Any], *, include_archived: bool
) -> list[sa.Select[Any]]:
    """Those of what is not archived, and of what is."""
    live = statement.where(archived_at.is_(None))
    return [live, statement.where(archived_at.is_not(None))] if include_archived else [live]


def _bounded(
    statement: sa.Select[Any],
    created_at: sa.ColumnElement[datetime],
    id_: sa.ColumnElement[str],
    after: Key | None,
    within: Span,
    *,
    descending: bool,
) -> sa.Select[Any]:
    # Of several limits on one side the narrowest alone is said: a database might start at another
    # one, and read all that is in between.
    place = [] if after is None else [_Cut(after.created_at, 0, after.id)]
    above = [] if descending else place
    above += [_Cut(moment, rank) for moment, rank in ((within.gt, 1), (within.gte, -1)) if moment]
    below = place if descending else []
    below += [_Cut(moment, rank) for moment, rank in ((within.lt, -1), (within.lte, 1)) if moment]

    def beside(cut: _Cut) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
        place = sa.tuple_(sa.literal(cut.moment, created_at.type), sa.literal(cut.id, id_.type))
        return sa.tuple_(created_at, id_), place

    if above:
        cut = max(above)
        if cut.rank == 0:
            mine, theirs = beside(cut)
            statement = statement.where(mine > theirs)
        else:
            after_it = cut.rank > 0
            statement = statement.where(
                created_at > cut.moment if after_it else created_at >= cut.moment
            )
    if below:
        cut = min(below)
        if cut.rank == 0:
            mine, theirs = beside(cut)
            statement = statement.where(mine < theirs)
        else:
            after_it = cut.rank > 0
            statement = statement.where(
                created_at <= cut.moment if after_it else created_at < cut.moment
            )
    return statement
