"""What brings a sandbox's copy of a memory store and the store itself together.

Three sides, each a hash by path: what the sandbox had when it was last in step with the store
(the base), what it has now, and what the store has now. The store itself decides about what both
changed (:meth:`freehold.ports.memory.MemoryFiles.write`), so that here only the direction matters:
what the sandbox changed goes to the store first, and what the store has then comes back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from freehold.core.memory_paths import ancestors

Hashes = Mapping[str, str]
"""The SHA-256 of each file by its path."""


@dataclass(frozen=True)
class Outgoing:
    """What a sandbox's copy has that its store does not know of. Paths are sorted."""

    early: tuple[str, ...] = ()
    """Files to delete before any is written, since one of those goes where they are."""
    written: tuple[str, ...] = ()
    """New and changed files."""
    late: tuple[str, ...] = ()
    """Files to delete after that: what was renamed is never in neither place."""


def outgoing(
    base: Hashes,
    here: Mapping[str, str | None],
    unknown: Collection[str] = (),
    room: int | None = None,
) -> Outgoing:
    """What the sandbox changed since it was in step.

    Args:
        base: What it had then.
        here: What it has; ``None``: something that cannot be compared, and is not the same.
        unknown: Paths of which, and below which, nothing is known: they count as unchanged.
        room: How many files the store can still take. If there are more new ones, the deleted
            ones go first.
    """
    written = changed(base, here)
    gone = sorted(path for path in base if path not in here and not covered(path, unknown))
    if room is not None and sum(path not in base for path in written) > room:
        return Outgoing(tuple(gone), tuple(written))
    places = set(written)
    above = {ancestor for path in written for ancestor in ancestors(path)}
    early = [path for path in gone if path in above or not places.isdisjoint(ancestors(path))]
    return Outgoing(
        tuple(early), tuple(written), tuple(path for path in gone if path not in set(early))
    )


def changed(base: Hashes, here: Mapping[str, str | None]) -> list[str]:
    """The files that are new or other than they were, sorted."""
    return sorted(p for p, digest in here.items() if digest is None or base.get(p) != digest)


@dataclass(frozen=True)
class Incoming:
    """What a store has that a sandbox's copy does not. Paths are sorted; deletions come first, as
    a folder may take a file's place and a file a folder's."""

    deleted: tuple[str, ...] = ()
    written: tuple[str, ...] = ()


def incoming(base: Hashes, there: Hashes, changed_here: Collection[str] = ()) -> Incoming:
    """What the store changed since the sandbox was in step, but for what the sandbox changed too
    and has not sent yet."""
    return Incoming(
        tuple(sorted(path for path in base if path not in there and path not in changed_here)),
        tuple(
            sorted(
                path
                for path, digest in there.items()
                if base.get(path) != digest and path not in changed_here
            )
        ),
    )


def covered(path: str, places: Collection[str]) -> bool:
    """Whether a path is one of the places, or below one."""
    return bool(places) and (
        path in places or any(ancestor in places for ancestor in ancestors(path))
    )
