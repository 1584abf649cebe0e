"""Where a process sandbox keeps what it has, under the server's data directory."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_LABEL = "session.json"


@dataclass(frozen=True)
class Folders:
    """The folders of one session."""

    root: Path

    @classmethod
    def of(cls, base: Path, session_id: str) -> Folders:
        """The folders of a session, which need not exist."""
        if _PLAIN_NAME.fullmatch(session_id):
            return cls(base / session_id)
        # An id that is no safe name must not lead out of the base.
        return cls(base / ("x-" + hashlib.sha256(session_id.encode()).hexdigest()))

    @property
    def workspace(self) -> Path:
        """The agent's working directory."""
        return self.root / "workspace"

    @property
    def outputs(self) -> Path:
        """What the agent delivers, with bubblewrap."""
        return self.root / "outputs"

    @property
    def home(self) -> Path:
        """The agent's home, with bubblewrap."""
        return self.root / "home"

    @property
    def state(self) -> Path:
        """The toolbox's journal."""
        return self.root / "state"

    @property
    def run(self) -> Path:
        """The socket."""
        return self.root / "run"

    @property
    def socket(self) -> Path:
        """Where the toolbox listens, as seen from the server."""
        return self.run / "toolbox.sock"

    @property
    def log(self) -> Path:
        """What the toolbox complained of."""
        return self.root / "toolbox.log"

    @property
    def placed(self) -> Path:
        """What the server keeps in the sandbox: a folder for each root, by its number."""
        return self.root / "placed"

    @property
    def roots_record(self) -> Path:
        """The roots that the toolbox was started with."""
        return self.root / "roots.json"

    @property
    def process_record(self) -> Path:
        """Which process to kill; outside of what the agent can write."""
        return self.root / "process.json"

    def make(self, session_id: str) -> None:
        """Create what is missing; what is there stays.

        Raises:
            OSError: the data directory cannot be written.
        """
        for folder in (self.root, self.workspace, self.outputs, self.home, self.state, self.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        label = self.root / _LABEL
        if not label.exists():
            label.write_text(json.dumps({"session_id": session_id}), encoding="utf-8")

    def delete(self) -> None:
        """Delete everything, also what the agent made hard to delete."""
        if self.root.exists():
            shutil.rmtree(self.root, onerror=_unlock_and_retry)


def sessions(base: Path) -> Iterator[str]:
    """The sessions that have folders under ``base``."""
    if not base.is_dir():
        return
    for folder in sorted(base.iterdir()):
        try:
            yield str(json.loads((folder / _LABEL).read_text(encoding="utf-8"))["session_id"])
        except (OSError, ValueError, KeyError):
            continue


def _unlock_and_retry(operation: Callable[[str], object], path: str, _: object) -> None:
    parent = Path(path).parent
    for locked in (parent, Path(path)):
        if locked.is_dir() and not locked.is_symlink():
            locked.chmod(stat.S_IRWXU)
    if operation in (os.unlink, os.rmdir):
        operation(path)
    elif Path(path).is_dir():
        shutil.rmtree(path, ignore_errors=True)
