"""Whether a refused request left anything behind."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

AnswerT = TypeVar("AnswerT")


class Untouched:
    """What a server on SQLite keeps: its database and the files beside it."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._database = data_dir / "freehold.db"
        self._connection = sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)

    def close(self) -> None:
        self._connection.close()

    def by(self, ask: Callable[[], AnswerT], patience: float = 90) -> AnswerT:
        """The answer to a request that writes nothing.

        Sessions of earlier tests may still be at work, which is why a request that seems to have
        written is made again: one that writes does so each time.
        """
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            commits, files = self._commits(), self._files()
            answer = ask()
            if self._commits() == commits and self._come_to(files):
                return answer
            time.sleep(0.25)
        raise AssertionError("the request left something behind")

    def _commits(self) -> int:
        # It changes with every commit of another connection.
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def _come_to(self, files: frozenset[tuple[str, int]]) -> bool:
        """Whether these are the files, once what an upload left was cleared away."""
        deadline = time.monotonic() + 5
        while self._files() != files:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _files(self) -> frozenset[tuple[str, int]]:
        found: set[tuple[str, int]] = set()
        for path in self._data_dir.rglob("*"):
            if not path.name.startswith(self._database.name):
                with contextlib.suppress(FileNotFoundError):
                    if path.is_file():
                        found.add((str(path), path.stat().st_size))
        return frozenset(found)
