"""What the agent is told of its memories, beside the result of the call that changed them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from freehold.core.events import Json
from freehold.core.memory_mounts import MountedStore
from freehold.ports.memory import Written

MOST = 20
"""Lines of one note."""
_LONGEST = 300

GONE = "the store was deleted"
TOO_LARGE = "a memory has at most 102400 bytes"
NO_TEXT = "it is not UTF-8 text"
NO_FILE = "it is not a regular file that can be read any more; the memory stays as it was"


def refused(store: MountedStore, path: str, reason: str) -> str:
    """The store does not take a file."""
    return f"{_at(store, path)}: not stored, it is in this sandbox alone: {reason}."


def gone(store: MountedStore) -> str:
    """There is nothing to store in any more."""
    return f"{store.mount_path}: {GONE}; what you change there stays in this sandbox alone."


def veiled(store: MountedStore, path: str) -> str:
    """A memory's file became something else."""
    return f"{_at(store, path)}: {NO_FILE}."


def unnamed(store: MountedStore, count: int) -> str:
    """Names that no memory can have."""
    return f"{store.mount_path}: {count} names are not UTF-8; what has them is not stored."


def too_many(store: MountedStore, reason: str) -> str:
    """There is more than is looked at."""
    return f"{store.mount_path}: nothing in it is stored while it is so full: {reason}."


def full(store: MountedStore, count: int, limit: int) -> str:
    """More new files than the store can take."""
    return (
        f"{store.mount_path}: {count} new files are not stored, they are in this sandbox alone: "
        f"a store has at most {limit} memories."
    )


def kept(store: MountedStore, path: str) -> str:
    """Somebody changed what the agent deleted."""
    return (
        f"{_at(store, path)}: you deleted it, but it was changed elsewhere in the meantime. It "
        "stays, with that change."
    )


def blocked(store: MountedStore, path: str, reason: str) -> str:
    """Somebody's change cannot be shown."""
    return f"{_at(store, path)}: it was changed elsewhere, which cannot be shown here: {reason}."


def written(store: MountedStore, path: str, result: Written) -> str | None:
    """What came of a write, if that is not what the agent expects."""
    if result.outcome == "merged":
        return (
            f"{_at(store, path)}: it was changed elsewhere in the meantime. Your change and that "
            "one were merged; the file has both."
        )
    if result.outcome == "set_aside" and result.aside is not None:
        place = _at(store, result.aside.path)
        if result.current is None:
            return (
                f"{_at(store, path)}: another memory was made elsewhere whose path does not leave "
                f"room for this one. What you wrote was kept as {place}."
            )
        return (
            f"{_at(store, path)}: it was changed elsewhere at the same time and in the same "
            f"place. The file has that change; what you wrote was kept as {place}."
        )
    return None


def later(store: MountedStore) -> str:
    """Something went wrong on the way."""
    return (
        f"{store.mount_path}: it and its store could not be brought into step completely; it will "
        "be tried again after your next call."
    )


def block(notes: Sequence[str]) -> list[Json]:
    """The content block that tells them; none, no block."""
    if not notes:
        return []
    lines = [f"- {note}" for note in notes[:MOST]]
    if len(notes) > MOST:
        lines.append(f"- … and {len(notes) - MOST} more of that kind.")
    return [{"type": "text", "text": "\n".join(["Memory stores:", *lines])}]


def _at(store: MountedStore, path: str) -> str:
    """The path in the sandbox, on one line whatever the agent called it."""
    shown = "".join("\N{REPLACEMENT CHARACTER}" if _odd(char) else char for char in path)
    if len(shown) > _LONGEST:
        shown = shown[:_LONGEST] + "…"
    return store.mount_path + shown


def _odd(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
