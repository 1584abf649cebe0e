"""What the server keeps in a process sandbox: folders of its own, bound read-only inside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import posixpath
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from freehold.errors import PlacementRefused
from freehold.ports.sandbox import Placed, Root
from freehold.sandbox.channel import ToolboxSandbox
from freehold.sandbox.placing import Ground, checked, within
from freehold.sandbox.process import bubblewrap
from freehold.sandbox.process.folders import Folders

OPEN_FOLDERS = (
    bubblewrap.LAYOUT.workdir,
    bubblewrap.LAYOUT.outputs,
    bubblewrap.HOME,
    "/tmp",  # noqa: S108 - inside
)


class Storehouse:
    """The roots of one session, on the server's disk.

    The agent cannot write in those that are not writable, not even a link: what the server finds
    there it put there itself. Those that are writable it never touches itself.
    """

    def __init__(self, folders: Folders, roots: Sequence[Root]) -> None:
        self.roots = tuple(sorted(roots, key=lambda root: root.path))
        self._folders = folders

    @property
    def binds(self) -> list[tuple[Path, Root]]:
        """The folder of each root."""
        return [(self._folder(root), root) for root in self.roots]

    @property
    def started_with_these(self) -> bool:
        """Whether the toolbox was started with just these roots."""
        try:
            known = json.loads(self._folders.roots_record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = []
        return bool(known == self._record())

    def make(self) -> None:
        """Make what the roots are bound to, and remember them.

        Raises:
            PlacementRefused: a root that cannot be one. OSError: the disk does not take it.
        """
        for folder, root in self.binds:
            checked(root.path)
            around = within(root.path, OPEN_FOLDERS)
            if around is not None and posixpath.dirname(root.path) != around:
                # What is bound cannot be renamed; an agent's folder above it can.
                raise PlacementRefused(
                    f"{root.path}: a process sandbox keeps files from the agent only directly in "
                    f"{around}, not in a folder of the agent's"
                )
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            outer = self._root_of(posixpath.dirname(root.path))
            if outer is not None:
                # Where it is bound to; nothing can be made there once the outer one is read-only.
                if outer.writable:
                    raise PlacementRefused(f"{root.path}: {outer.path} is given to the agent")
                self._inside(outer, root.path).mkdir(mode=0o755, parents=True, exist_ok=True)
        self._folders.roots_record.write_text(json.dumps(self._record()), encoding="utf-8")

    def put(self, files: Sequence[Placed]) -> None:
        """Put files where the agent sees and cannot change them.

        Raises:
            PlacementRefused: not in a root that is read-only. OSError: the disk does not take it.
        """
        targets = [self._target(file.path) for file in files]
        for file, target in zip(files, targets, strict=True):
            self._clear_the_way(target)
            if file.source is None:
                target.mkdir(mode=0o755, exist_ok=True)
                continue
            # The agent sees the old file or the new one, never half of one.
            fresh = target.with_name(f".{secrets.token_hex(8)}")
            if isinstance(file.source, bytes):
                fresh.write_bytes(file.source)
            else:
                shutil.copyfile(file.source, fresh)
            fresh.chmod(file.mode & 0o755)
            if target.is_dir():
                shutil.rmtree(target)
            fresh.replace(target)

    def delete(self, paths: Sequence[str]) -> list[str]:
        """Delete what lies in read-only roots; the paths that do not."""
        others = []
        for path in paths:
            root = self._root_of(checked(path))
            if root is None or root.writable:
                others.append(path)
                continue
            target = self._inside(root, path)
            if path == root.path:
                raise PlacementRefused(f"{path}: a root stays as long as the sandbox")
            if target.is_dir():
                shutil.rmtree(target)
            else:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    target.unlink()
        return others

    def _target(self, path: str) -> Path:
        root = self._root_of(checked(path))
        if root is None or root.writable or path == root.path:
            held = ", ".join(root.path for root in self.roots if not root.writable) or "none"
            raise PlacementRefused(
                f"{path}: a process sandbox keeps files from the agent in its read-only roots "
                f"alone ({held})"
            )
        return self._inside(root, path)

    def _clear_the_way(self, target: Path) -> None:
        for folder in reversed(target.parents):
            if self._folders.placed / "server" in folder.parents:
                if folder.is_file():
                    folder.unlink()
                folder.mkdir(mode=0o755, exist_ok=True)

    def _root_of(self, path: str) -> Root | None:
        holding = within(path, [root.path for root in self.roots])
        return next((root for root in self.roots if root.path == holding), None)

    def _inside(self, root: Root, path: str) -> Path:
        return self._folder(root) / path[len(root.path) :].lstrip("/")

    def _folder(self, root: Root) -> Path:
        # Never one folder for both: what was the agent's once may hold links of its making.
        name = root.path.strip("/").replace("_", "__").replace("/", "_-")
        return self._folders.placed / ("agent" if root.writable else "server") / name

    def _record(self) -> list[list[str]]:
        return [[root.path, "rw" if root.writable else "ro"] for root in self.roots]


class ProcessSandbox(ToolboxSandbox):
    """A toolbox in bubblewrap, or a plain one; see the port's ``Sandbox``."""

    storehouse: Storehouse | None = None
    """``None``: nothing stands between the agent and the machine."""

    async def place(self, files: Sequence[Placed], *, writable: bool = False) -> None:
        """Put files inside; see the port."""
        storehouse = self._storehouse()
        if not writable:
            await asyncio.to_thread(storehouse.put, files)
            return
        ground = Ground(OPEN_FOLDERS, storehouse.roots)
        for file in files:
            ground.for_the_agent(file.path)
        await self.hand_over(files)

    async def withdraw(self, paths: Sequence[str]) -> None:
        """Delete what was placed; see the port."""
        storehouse = self._storehouse()
        others = await asyncio.to_thread(storehouse.delete, paths)
        for path in others:
            if (
                path in OPEN_FOLDERS
                or Ground(OPEN_FOLDERS, storehouse.roots).for_the_agent(path) == path
            ):
                raise PlacementRefused(f"{path}: the agent's own folder")
            await self.delete(path)

    def _storehouse(self) -> Storehouse:
        if self.storehouse is None:
            raise PlacementRefused(
                "Sandboxes that are plain processes (FREEHOLD_SANDBOX=process without bubblewrap) "
                "share this machine's files: no files, skills or memories can be put into them. "
                "Install bubblewrap or use Docker."
            )
        return self.storehouse
