"""The tool ``glob`` (spec 4.6): paths that match a pattern, newest first."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from re import Pattern

from .cancelling import Cancellation
from .filesystem import Place, reason
from .inputs import Input
from .outcomes import ToolError
from .patterns import expand_braces, segment_regex, split_pattern

RESULT_LIMIT = 200
MATCH_LIMIT = 50_000
DEADLINE = 30.0
"""Seconds a search may take."""


def glob(place: Place, given: Input, cancellation: Cancellation) -> str:
    """The newest paths that match, one a line.

    Raises:
        ToolError: the pattern is absolute, leads upwards or makes no sense; the root is missing.
    """
    pattern: str = given["pattern"]
    if pattern.startswith("/"):
        raise ToolError(
            "glob: absolute pattern not permitted; pass a relative pattern (and optionally path)"
        )
    if ".." in pattern.split("/"):
        raise ToolError("glob: '..' is not permitted in the pattern")
    name: str = given.get("path") or place.workdir
    root = os.path.normpath(place.resolve(name))
    try:
        alternatives = [
            [None if part == "**" else segment_regex(part) for part in split_pattern(text)]
            for text in expand_braces(pattern)
        ]
        if place.files.stat(root).kind != "directory":
            raise ToolError(f"glob: {name}: not a directory")
    except ValueError as error:
        raise ToolError(f"glob: pattern: {error}") from None
    except OSError as error:
        raise ToolError(f"glob: {name}: {reason(error)}") from error
    walk = _Walk(place, cancellation)
    matches: dict[str, float] = {}
    for parts in alternatives:
        for path in walk.matches(root, parts):
            if path not in matches:
                matches[path] = _modified(place, path)
            if len(matches) >= MATCH_LIMIT:
                break
    # Equal times fall back to the name, so that an answer does not depend on the disk's order.
    newest = sorted(matches, key=lambda path: (-matches[path], path))
    return "\n".join(newest[:RESULT_LIMIT]) or "no matches"


def _modified(place: Place, path: str) -> float:
    try:
        return place.files.stat(path).modified
    except OSError:
        return 0.0


class _Walk:
    def __init__(self, place: Place, cancellation: Cancellation) -> None:
        self._files = place.files
        self._cancellation = cancellation
        self._deadline = time.monotonic() + DEADLINE

    def matches(self, folder: str, parts: Sequence[Pattern[str] | None]) -> Iterator[str]:
        """Paths below ``folder`` that fit. ``**`` does not follow symbolic links."""
        if not parts:
            return
        self._cancellation.check("glob")
        if time.monotonic() > self._deadline:
            raise ToolError(f"glob: timed out after {DEADLINE:.0f}s")
        part, rest = parts[0], parts[1:]
        if part is None and rest:
            yield from self.matches(folder, rest)
        try:
            entries = self._files.scan(folder)
        except OSError:
            return
        deeper: list[str] = []
        for entry in entries:
            path = os.path.join(folder, entry.name)
            if part is None:
                if not rest:
                    yield path
                if entry.is_directory and not entry.is_link:
                    deeper.append(path)
            elif part.match(entry.name):
                if not rest:
                    yield path
                elif entry.is_directory:
                    yield from self.matches(path, rest)
        for path in deeper:
            yield from self.matches(path, parts)
