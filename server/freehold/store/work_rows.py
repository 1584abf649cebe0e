"""Work items between the table and :mod:`freehold.core.work`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from freehold.core.events import Record
from freehold.core.state import SessionState
from freehold.core.work import Work, followed, settled
from freehold.store.statements import Statements
from freehold.store.tables import work

_W = work.c
_FIELDS = tuple(one.name for one in fields(Work))
_OF_SESSION = sa.select(work).where(_W.session_id == sa.bindparam("of_session")).with_for_update()


@dataclass(frozen=True)
class WorkRow:
    """A work item."""

    id: str
    workspace_id: str
    environment_id: str
    session_id: str
    metadata: dict[str, str]
    created_at: datetime
    work: Work


def row_of(found: RowMapping, now: datetime) -> WorkRow:
    """The item as it stands at ``now``."""
    stored = Work(**{name: found[name] for name in _FIELDS})
    return WorkRow(
        id=found["id"],
        workspace_id=found["workspace_id"],
        environment_id=found["environment_id"],
        session_id=found["session_id"],
        metadata=found["metadata"],
        created_at=found["created_at"],
        work=settled(stored, now),
    )


def values_of(item: Work) -> dict[str, Any]:
    """The columns that say how an item stands."""
    return asdict(item)


async def follow(tx: Statements, records: Sequence[Record], state: SessionState) -> None:
    """Have the item of a session know what its log has become.

    In the transaction that appends, so that a session which wants a worker has an item which is
    handed out, whatever dies in between.
    """
    found = await tx.first(_OF_SESSION, {"of_session": state.session_id})
    if found is None:
        return
    now = records[-1].processed_at
    before = row_of(found, now)
    after = followed(before.work, state, records, now)
    if after != Work(**{name: found[name] for name in _FIELDS}):
        await tx.execute(sa.update(work).where(_W.id == before.id).values(**values_of(after)))
