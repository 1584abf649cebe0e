"""Where the server may put things into a sandbox, and who owns the folders above them."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

from freehold.core.mounts import SYSTEM_FOLDERS
from freehold.errors import PlacementRefused
from freehold.ports.sandbox import Root


def checked(path: str) -> str:
    """The path, if it is one where things may be placed.

    Raises:
        PlacementRefused: not absolute, not normalized, or the system's.
    """
    top = path.split("/")[1] if path.startswith("/") else ""
    if not top or "\0" in path or posixpath.normpath(path) != path:
        raise PlacementRefused(f"{path!r}: not an absolute, normalized path")
    if top in SYSTEM_FOLDERS:
        raise PlacementRefused(f"{path}: /{top} belongs to the sandbox's system")
    return path


def above(path: str) -> list[str]:
    """The folders above a path, from the top, without ``/``."""
    parts = path.split("/")[1:-1]
    return ["/" + "/".join(parts[: end + 1]) for end in range(len(parts))]


def within(path: str, folders: Iterable[str]) -> str | None:
    """The deepest of the folders that holds the path, or is it."""
    holding = [folder for folder in folders if path == folder or path.startswith(folder + "/")]
    return max(holding, key=len, default=None)


@dataclass(frozen=True)
class Ground:
    """A sandbox's folders, by who may write in them."""

    open: tuple[str, ...]
    """The agent's folders, where the server may put things between its own."""
    roots: tuple[Root, ...] = ()

    @property
    def writable(self) -> tuple[str, ...]:
        """The roots that are the agent's."""
        return tuple(root.path for root in self.roots if root.writable)

    def for_the_agent(self, path: str) -> str | None:
        """The writable root of a path that is to be the agent's; ``None``: an open folder holds it.

        Raises:
            PlacementRefused: neither does.
        """
        checked(path)
        holding = within(path, [*self.open, *self.writable])
        if holding is None:
            raise PlacementRefused(f"{path}: not in a folder of the agent's")
        return None if holding in self.open else holding

    def for_the_server(self, path: str) -> None:
        """Insist that a path can be kept from the agent.

        Raises:
            PlacementRefused: it lies in a folder that was given to the agent, or is open.
        """
        checked(path)
        if path in self.open:
            raise PlacementRefused(f"{path}: the agent's own folder")
        holding = within(path, self.writable)
        if holding is not None:
            raise PlacementRefused(f"{path}: {holding} was given to the agent")


async def chunks(source: bytes | Path, size: int) -> AsyncIterator[bytes]:
    """A source's bytes in pieces; one empty piece if there are none."""
    if isinstance(source, bytes):
        for offset in range(0, max(len(source), 1), size):
            yield source[offset : offset + size]
        return
    with await asyncio.to_thread(source.open, "rb") as file:
        data = await asyncio.to_thread(file.read, size)
        yield data
        while data and (data := await asyncio.to_thread(file.read, size)):
            yield data
