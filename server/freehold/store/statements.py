"""What a transaction runs, for those that write along with it (:mod:`freehold.store.units`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping


class Statements(Protocol):
    """The part of a transaction that followers of the log need: they append nothing to it."""

    async def all(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[RowMapping]:
        """Every row."""
        ...

    async def first(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None
    ) -> RowMapping | None:
        """The first row, or ``None``."""
        ...

    async def execute(
        self,
        statement: sa.Executable,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> int:
        """Run a statement that changes rows; how many it changed."""
        ...
