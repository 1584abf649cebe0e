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

from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class Mark:
    """Where a store stands: two equal marks, no change in between."""

    revision: int
    """Rises with every change of a memory."""
    archived: bool


@dataclass(frozen=True)
class Heads:
    """What a store has at one moment."""

    mark: Mark
    files: Mapping[str, str]
    """The SHA-256 of each file by its path."""


@dataclass(frozen=True)
class Copy:
    """The copies of stores in the sandbox of a session; another sandbox has other copies."""

    session_id: str
    sandbox_id: str


@dataclass(frozen=True)
class Held:
    """What a copy is known to hold at a path: what the store had too when they were in step."""

    sha256: str | None
    """``None``: nothing."""
    coming: str | None = None
    """What was about to be put there in its place, which may have been done or not: a hash,
    ``GONE`` for nothing. ``None``: nothing was under way."""


GONE = ""


class MemoryCopies(Protocol):
    """What sandboxes hold of memory stores, so that a server that died knows what an agent changed.

    Each call is a transaction of its own. A copy that another sandbox of the session had is
    forgotten as soon as something is noted of this one's.
    """

    async def held(self, copy: Copy, memory_store_id: str) -> Mapping[str, Held]:
        """What the copy holds, by path."""
        ...

    async def begin(self, copy: Copy, memory_store_id: str) -> None:
        """The copy is new, and holds nothing."""
        ...

    async def coming(
        self, copy: Copy, memory_store_id: str, files: Mapping[str, str | None]
    ) -> None:
        """These files are about to be put there, with these hashes; ``None``: deleted."""
        ...

    async def came(self, copy: Copy, memory_store_id: str, files: Mapping[str, str | None]) -> None:
        """They are there; ``None``: they are not."""
        ...


class MemoryFiles(Protocol):
    """The files of memory stores. Each call is a transaction of its own.

    A change with a ``copy`` notes in the same transaction what that copy holds at the path: what
    it brought is never brought twice, whoever died in between.
    """

    async def marks(self, workspace_id: str, memory_store_ids: Sequence[str]) -> Mapping[str, Mark]:
        """Where these stores stand; those that are gone are missing."""
        ...

    async def heads(self, workspace_id: str, memory_store_id: str) -> Heads | None:
        """Every file's hash, all of one moment; ``None``: the store is gone."""
        ...

    async def contents(
        self, workspace_id: str, memory_store_id: str, paths: Sequence[str]
    ) -> Mapping[str, MemoryFile]:
        """The files at these paths as they are now; those that are gone are missing."""
        ...

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
        copy: Copy | None = None,
    ) -> Written:
        """Bring a file to the store.

        Args:
            expected_sha256: The hash that the file had when the sandbox last had it from the
                store; ``None`` if it is new.
            copy: Holds the content from now on, whatever came of the write.

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
        copy: Copy | None = None,
    ) -> Deleted:
        """Delete a file, unless it has changed since the sandbox had it with that hash.

        ``copy`` holds nothing at the path from now on, whatever came of it.

        Raises:
            NotFound: no such store.
        """
        ...
