"""Memory stores as a session's sandbox uses them (spec 15, 22.1).

A sandbox holds a copy of the store's files. What the agent changes is brought to the store with
the hash that the copy had before, so that the store can tell whether somebody else was there in
between. Nothing is ever lost silently:

* Both changed the file in different places: the two changes are merged, and the copy gets both.
* Both changed it in the same place, or one made a file where the other made a folder: the
  store's content stays, the session's goes into a memory beside it, and both are told of.
* Somebody deleted what the session changed: the session's content is written again.
* Somebody changed what the session deleted: it stays.
* Every content that was ever stored is in the memory's versions.

Whether a session may write to a store at all (``read_only``) is for the caller to enforce.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

ActorType = Literal["session_actor", "api_actor", "user_actor", "service_account_actor"]


@dataclass(frozen=True)
class Actor:
    """Who changes a memory: a session, a key, a user or a service account, by its id."""

    type: ActorType
    id: str


@dataclass(frozen=True)
class MemoryFile:
    """A memory as a file."""

    path: str
    """Within the store; starts with ``/``."""
    content: str
    content_sha256: str
    memory_id: str
    memory_version_id: str


@dataclass(frozen=True)
class Written:
    """What came of a write."""

    outcome: Literal["created", "modified", "unchanged", "merged", "set_aside"]
    current: MemoryFile | None
    """What the store has at the path now, for the sandbox's copy; ``None``: nothing. That is so if
    the path goes on where another memory's ends or the other way round (``set_aside``), or if
    somebody deleted a file that the session did not change (``unchanged``)."""
    aside: MemoryFile | None = None
    """Where the session's content went instead (``set_aside``)."""


@dataclass(frozen=True)
class Deleted:
    """What came of a deletion."""

    outcome: Literal["deleted", "absent", "kept"]
    current: MemoryFile | None = None
    """What somebody else wrote meanwhile (``kept``), for the sandbox's copy."""


class MemoryFiles(Protocol):
    """The files of memory stores. Each call is a transaction of its own."""

    async def snapshot(
        self, workspace_id: str, memory_store_id: str
    ) -> Mapping[str, MemoryFile] | None:
        """Every file by its path, all of one moment; ``None``: the store is gone."""
        ...

    async def write(
        self,
        workspace_id: str,
        memory_store_id: str,
        path: str,
        content: str,
        *,
        expected_sha256: str | None,
        actor: Actor,
    ) -> Written:
        """Bring a file to the store.

        Args:
            expected_sha256: The hash that the file had when the sandbox last had it from the
                store; ``None`` if it is new.

        Raises:
            NotFound: no such store.
            InvalidRequest: the store is archived or full, or the path or the content is none that
                a memory can have. Nothing was written.
            MemoryPathConflict: the content had to be set aside, and the place for that is taken
                too. Nothing was written.
        """
        ...

    async def delete(
        self,
        workspace_id: str,
        memory_store_id: str,
        path: str,
        *,
        expected_sha256: str,
        actor: Actor,
    ) -> Deleted:
        """Delete a file, unless it has changed since the sandbox had it with that hash.

        Raises:
            NotFound: no such store.
        """
        ...
