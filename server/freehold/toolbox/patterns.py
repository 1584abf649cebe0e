"""Doublestar glob patterns as regular expressions."""

from __future__ import annotations

import re
from re import Pattern

_MAX_ALTERNATIVES = 1000


def expand_braces(pattern: str) -> list[str]:
    """``a{b,c}`` as ``ab`` and ``ac``; nested ones too. Braces without a comma stay as they are.

    Raises:
        ValueError: more alternatives than anyone means.
    """
    waiting = [pattern]
    done: list[str] = []
    while waiting:
        text = waiting.pop()
        found = _innermost_braces(text)
        if found is None:
            done.append(text)
        else:
            start, end = found
            waiting += [
                text[:start] + part + text[end + 1 :] for part in text[start + 1 : end].split(",")
            ]
        if len(waiting) + len(done) > _MAX_ALTERNATIVES:
            raise ValueError("too many alternatives in braces")
    return sorted(set(done))


def _innermost_braces(text: str) -> tuple[int, int] | None:
    start = -1
    for index, character in enumerate(text):
        if character == "{":
            start = index
        elif character == "}" and start >= 0:
            if "," in text[start:index]:
                return start, index
            start = -1
    return None


def segment_regex(segment: str) -> Pattern[str]:
    """One path segment (``*``, ``?``, ``[a-z]``, ``[!a]``) as a regular expression for a name.

    Raises:
        ValueError: a class in brackets makes no sense.
    """
    parts: list[str] = []
    index = 0
    while index < len(segment):
        character = segment[index]
        index += 1
        if character == "*":
            if not parts or parts[-1] != ".*":
                parts.append(".*")
        elif character == "?":
            parts.append(".")
        elif character == "\\" and index < len(segment):
            parts.append(re.escape(segment[index]))
            index += 1
        elif character == "[" and (end := _class_end(segment, index)) > 0:
            body = segment[index:end].replace("\\", "\\\\").replace("[", "\\[")
            parts.append(f"[^{body[1:]}]" if body[0] in "!^" else f"[{body}]")
            index = end + 1
        else:
            parts.append(re.escape(character))
    try:
        return re.compile("".join(parts) + r"\Z", re.DOTALL)
    except re.error as error:
        raise ValueError(f"invalid pattern {segment!r}: {error}") from None


def _class_end(segment: str, start: int) -> int:
    # A bracket that closes at once stands for itself: `[]a]`, `[!]a]`.
    first = start + 1 if segment[start : start + 1] in ("!", "^") else start
    return segment.find("]", first + 1)


class PathPattern:
    """A pattern for whole relative paths, as ``grep``'s ``glob`` takes it.

    A pattern without a slash is for the name alone; with one, for the path from the root of the
    search; ``**`` stands for any number of directories.
    """

    def __init__(self, pattern: str) -> None:
        """Raises ``ValueError`` for a pattern that makes no sense."""
        self._alternatives = [
            [None if part == "**" else segment_regex(part) for part in split_pattern(text)]
            for text in expand_braces(pattern if "/" in pattern else f"**/{pattern}")
        ]

    def matches(self, path: str) -> bool:
        """Whether the relative path fits."""
        names = path.split("/")
        return any(_fits(parts, names) for parts in self._alternatives)


def split_pattern(pattern: str) -> list[str]:
    """The segments, without empty and ``.`` ones and with runs of ``**`` made one."""
    parts: list[str] = []
    for part in pattern.split("/"):
        if part in ("", ".") or (part == "**" and parts and parts[-1] == "**"):
            continue
        parts.append(part)
    return parts


def _fits(parts: list[Pattern[str] | None], names: list[str]) -> bool:
    # `reachable` holds how many parts can have been used up after each name.
    reachable = _closure({0}, parts)
    for name in names:
        after = set()
        for used in reachable:
            if used < len(parts):
                part = parts[used]
                if part is None:
                    after.add(used)
                elif part.match(name):
                    after.add(used + 1)
        reachable = _closure(after, parts)
    # A trailing `**` means everything below.
    return len(parts) in reachable


def _closure(used: set[int], parts: list[Pattern[str] | None]) -> set[int]:
    result = set(used)
    for start in used:
        here = start
        while here < len(parts) and parts[here] is None:
            here += 1
            result.add(here)
    return result
