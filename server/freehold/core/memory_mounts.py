"""Memory stores as a session sees them: where they are mounted and what the model is told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

ROOT = "/mnt/memory"
"""The folder that holds the mounts; itself read-only (spec 22.1)."""

HEADING = "Available stores (write only inside the directories listed below):"

Access = Literal["read_write", "read_only"]

_OTHERS = re.compile("[^a-z0-9]+")


@dataclass(frozen=True)
class MountedStore:
    """A store as it was when the session was created (spec 9.2)."""

    memory_store_id: str
    name: str
    description: str
    access: Access
    instructions: str | None
    mount_path: str


def slug(name: str, memory_store_id: str) -> str:
    """The folder's name for a store: from its name, or from its id if that has no letters.

    Letters and digits are those of ASCII.
    """
    return _slugged(name) or _slugged(memory_store_id)


def _slugged(text: str) -> str:
    # Upper case of ASCII alone: others, such as the Kelvin sign, have lower case forms in ASCII.
    lower = "".join(char.lower() if char.isascii() else char for char in text)
    return _OTHERS.sub("-", lower).strip("-")


def mount_paths(stores: Iterable[tuple[str, str]]) -> list[str]:
    """Mount paths for the stores, given as name and id, of one session in their order.

    A slug that is taken gets ``-2``, ``-3`` and so on.
    """
    taken: set[str] = set()
    paths = []
    for name, memory_store_id in stores:
        base = candidate = slug(name, memory_store_id)
        number = 1
        while candidate in taken:
            number += 1
            candidate = f"{base}-{number}"
        taken.add(candidate)
        paths.append(f"{ROOT}/{candidate}")
    return paths


def prompt_block(stores: Sequence[MountedStore]) -> str | None:
    """What the system prompt says of a session's stores; ``None`` without any (spec 15.3)."""
    if not stores:
        return None
    lines = [HEADING]
    for store in stores:
        access = store.access.replace("_", "-")
        line = f' - "{store.name}" → {store.mount_path}/ ({access})'
        lines.append(f"{line}: {store.description}" if store.description else line)
        if store.instructions:
            lines.append(store.instructions)
    return "\n".join(lines)
