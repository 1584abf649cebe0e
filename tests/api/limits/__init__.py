"""Every limit of a field that clients send, with where it is from.

The numbers stand here as the specification has them, not as the code does: the test compares the
two. A source is ``A`` for the appendix of lengths, ``D`` for that of recorded refusals, a chapter
of the specification for others, and ``ours`` where no source names a limit and we set one.
"""

from __future__ import annotations

from tests.api.limits import (
    agents,
    deployments,
    dreams,
    environments,
    events,
    files,
    memory,
    metadata,
    organization,
    profiles,
    sessions,
    vaults,
    work,
)
from tests.api.limits.kinds import Row

ROWS: list[Row] = [
    *agents.ROWS,
    *environments.ROWS,
    *sessions.ROWS,
    *events.ROWS,
    *vaults.ROWS,
    *memory.ROWS,
    *files.ROWS,
    *metadata.ROWS,
    *deployments.ROWS,
    *work.ROWS,
    *organization.ROWS,
    *profiles.ROWS,
    *dreams.ROWS,
]
