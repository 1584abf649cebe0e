"""Paths and contents of memories (spec 15.3).

A store is a flat set of paths that must be able to stand in a file system: so none is a prefix,
by whole segments, of another.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence

from freehold.core import limits

MARKER = "/.anthropic-memory-store"
"""Where workers keep their notes in a mounted store; an ordinary path to the API (spec 22.5)."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def path_problem(path: str) -> str | None:
    """What is wrong with a path; ``None`` if nothing is."""
    if not path.startswith("/"):
        return "must start with /"
    segments = path[1:].split("/")
    if len(segments) > limits.MEMORY_PATH_SEGMENTS:
        return f"must have at most {limits.MEMORY_PATH_SEGMENTS} segments"
    if "" in segments:
        return "must not have empty segments or end with /"
    if "." in segments or ".." in segments:
        return "must not have . or .. as a segment"
    if any(unicodedata.category(char) in _FORBIDDEN for char in path):
        return "must not contain control characters, format characters, U+2028 or U+2029"
    if not unicodedata.is_normalized("NFC", path):
        return "must be in Unicode Normalization Form C"
    if len(path.encode()) > limits.MEMORY_PATH_BYTES:
        return f"must be at most {limits.MEMORY_PATH_BYTES} bytes"
    return None


def content_problem(content: str) -> str | None:
    """What is wrong with a content, as a whole sentence; ``None`` if nothing is."""
    if "\0" in content:
        return "content must not contain NUL characters"
    if _SURROGATE.search(content):
        return "content must be valid Unicode text"
    if len(content.encode()) > limits.MEMORY_CONTENT_BYTES:
        return f"content must be at most {limits.MEMORY_CONTENT_BYTES} bytes"
    return None


def sha256(content: str) -> str:
    """The hash that clients compute too: of the UTF-8 bytes, in lower-case hexadecimal."""
    return hashlib.sha256(content.encode()).hexdigest()


def folder(path: str) -> str:
    """The path up to and with its last ``/``."""
    return path[: path.rindex("/") + 1]


def ancestors(path: str) -> list[str]:
    """Every path that cannot be a memory's while this one is, outermost first."""
    return [path[:index] for index, char in enumerate(path) if char == "/" and index]


def rolled_up(folders: Iterable[str], prefix: str) -> list[str]:
    """The folders right below ``prefix`` that hold something at any depth, sorted.

    ``folders`` are folders of memories that start with ``prefix``; ``prefix`` ends with ``/``.
    """
    start = len(prefix)
    return sorted({f[: f.index("/", start) + 1] for f in folders if len(f) > start})


def aside(path: str, segment: int, content: str) -> str:
    """Where a content goes whose path somebody else has taken meanwhile.

    The segment with that index (from 0) gets the hash of the content into its name, before its
    extension if it is the last: the same content goes to the same place again.
    """
    segments = path[1:].split("/")
    name = segments[segment]
    tag = f".conflict-{sha256(content)[:12]}"
    stem, dot, extension = name.rpartition(".")
    if stem and segment == len(segments) - 1:
        name = f"{stem}{tag}{dot}{extension}"
    else:
        name += tag
    segments[segment] = name
    return "/" + "/".join(segments)


def merged(base: str, ours: str, theirs: str) -> str | None:
    """Both changes of ``base`` in one text, if they are in different places; else ``None``.

    Each side's change is all between the lines that it left alone at the beginning and at the
    end; the two may neither overlap nor touch. It takes time in proportion to the text.
    """
    if ours in (base, theirs):
        return theirs
    if theirs == base:
        return ours
    lines, mine, other = (text.splitlines(keepends=True) for text in (base, ours, theirs))
    my_start, my_end = _changed(lines, mine)
    other_start, other_end = _changed(lines, other)
    my_lines = mine[my_start : len(mine) - (len(lines) - my_end)]
    other_lines = other[other_start : len(other) - (len(lines) - other_end)]
    if my_end < other_start:
        first, second = (my_start, my_end, my_lines), (other_start, other_end, other_lines)
    elif other_end < my_start:
        first, second = (other_start, other_end, other_lines), (my_start, my_end, my_lines)
    else:
        return None
    return "".join(
        [
            *lines[: first[0]],
            *first[2],
            *lines[first[1] : second[0]],
            *second[2],
            *lines[second[1] :],
        ]
    )


def _changed(base: Sequence[str], changed: Sequence[str]) -> tuple[int, int]:
    """From which line of ``base`` to before which it was changed."""
    shorter = min(len(base), len(changed))
    start = 0
    while start < shorter and base[start] == changed[start]:
        start += 1
    tail = 0
    while tail < shorter - start and base[-1 - tail] == changed[-1 - tail]:
        tail += 1
    return start, len(base) - tail
