"""The search behind ``grep`` where there is no ripgrep: the same options, the same output."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from re import Pattern
from typing import Any, NamedTuple

from .filesystem import FileSystem
from .patterns import PathPattern

FILE_LIMIT = 50_000
LINE_LIMIT = 2000
"""Bytes; longer lines are skipped, since a pattern may take forever on them."""
MULTILINE_LIMIT = 10 * 1024 * 1024

_SKIPPED = frozenset({".git", "node_modules"})

_TYPES = {
    "c": "*.c *.h",
    "cpp": "*.cpp *.cc *.cxx *.hpp *.hh *.hxx *.h *.inl",
    "cs": "*.cs",
    "css": "*.css *.scss",
    "csv": "*.csv",
    "docker": "*Dockerfile*",
    "go": "*.go",
    "html": "*.html *.htm *.ejs",
    "java": "*.java *.jsp",
    "js": "*.js *.jsx *.cjs *.mjs *.vue",
    "json": "*.json",
    "kotlin": "*.kt *.kts",
    "log": "*.log",
    "make": "Makefile makefile *.mk *.mak GNUmakefile",
    "markdown": "*.md *.markdown *.mdown *.mdx",
    "md": "*.md *.markdown *.mdown *.mdx",
    "php": "*.php",
    "py": "*.py *.pyi",
    "python": "*.py *.pyi",
    "ruby": "*.rb *.gemspec Gemfile Rakefile",
    "rust": "*.rs",
    "sh": "*.sh *.bash *.zsh .bashrc .profile",
    "sql": "*.sql",
    "swift": "*.swift",
    "tex": "*.tex *.bib *.sty *.cls",
    "toml": "*.toml Cargo.lock",
    "ts": "*.ts *.tsx *.cts *.mts",
    "typescript": "*.ts *.tsx *.cts *.mts",
    "txt": "*.txt",
    "xml": "*.xml *.xsd *.xsl",
    "yaml": "*.yaml *.yml",
}


class Options(NamedTuple):
    """What to look for and how to show it."""

    pattern: str
    path: str
    mode: str = "content"
    globs: str = ""
    kind: str = ""
    ignore_case: bool = False
    line_numbers: bool = True
    before: int = 0
    after: int = 0
    multiline: bool = False


class SearchError(Exception):
    """The search cannot begin; the text says why."""


def search(files: FileSystem, options: Options) -> Iterator[str]:
    """The lines of the answer, file after file.

    Raises:
        SearchError: the pattern, the glob or the type makes no sense.
        OSError: the path cannot be looked at.
    """
    flags = re.IGNORECASE if options.ignore_case else 0
    if options.multiline:
        flags |= re.MULTILINE | re.DOTALL
    try:
        regex = re.compile(options.pattern, flags)
    except re.error as error:
        raise SearchError(f"invalid regex: {error}") from None
    except RecursionError:
        raise SearchError("invalid regex: nested too deeply") from None
    chosen = _Choice(options)
    separate = bool(options.before or options.after)
    shown_any = False
    for path in _files(files, options.path, chosen):
        text = _text(files, path, options)
        if text is None:
            continue
        lines = text.split("\n")
        if lines and not lines[-1]:
            lines.pop()
        hits = _hits(regex, text, lines, options)
        if not hits:
            continue
        if options.mode == "files_with_matches":
            yield path
        elif options.mode == "count":
            yield f"{path}:{len(hits)}"
        else:
            if separate and shown_any:
                yield "--"
            shown_any = True
            yield from _shown(path, lines, hits, options)


class _Choice:
    """Which files count, by ``glob`` and ``type``."""

    def __init__(self, options: Options) -> None:
        negated = options.globs.startswith("!")
        self._negated = negated
        try:
            self._glob = PathPattern(options.globs[negated:]) if options.globs else None
        except ValueError as error:
            raise SearchError(f"glob: {error}") from None
        if options.kind and options.kind not in _TYPES:
            raise SearchError(f"type: unrecognized file type: {options.kind}")
        self._kinds = [PathPattern(text) for text in _TYPES.get(options.kind, "").split()]

    def takes(self, relative: str) -> bool:
        if self._glob is not None and self._glob.matches(relative) == self._negated:
            return False
        return not self._kinds or any(kind.matches(relative) for kind in self._kinds)


def _files(files: FileSystem, root: str, chosen: _Choice) -> Iterator[str]:
    if files.stat(root).kind == "file":
        yield root
        return
    seen = 0
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            entries = files.scan(folder)
        except OSError:
            if folder == root:
                raise
            continue
        folders: list[str] = []
        for entry in entries:
            if entry.is_link:
                continue
            path = os.path.join(folder, entry.name)
            if entry.is_directory and entry.name not in _SKIPPED:
                folders.append(path)
            elif entry.is_file and chosen.takes(os.path.relpath(path, root)):
                seen += 1
                if seen > FILE_LIMIT:
                    return
                yield path
        waiting.extend(reversed(folders))


def _text(files: FileSystem, path: str, options: Options) -> str | None:
    try:
        if options.multiline and files.stat(path).size > MULTILINE_LIMIT:
            return None
        if b"\0" in files.read(path, 0, 1024):
            return None
        return files.read(path).decode("utf-8", "replace")
    except OSError:
        return None


def _hits(regex: Pattern[str], text: str, lines: list[str], options: Options) -> list[int]:
    """Indexes of the lines that match, or that a match spans."""
    if not options.multiline:
        return [
            index
            for index, line in enumerate(lines)
            if len(line) <= LINE_LIMIT and regex.search(line.rstrip("\r"))
        ]
    hits: set[int] = set()
    for match in regex.finditer(text):
        first = text.count("\n", 0, match.start())
        last = first + text.count("\n", match.start(), max(match.start(), match.end() - 1))
        hits.update(range(first, min(last + 1, len(lines))))
    return sorted(hits)


def _shown(path: str, lines: list[str], hits: list[int], options: Options) -> Iterator[str]:
    matching = set(hits)
    shown: list[int] = []
    for hit in hits:
        start = max(hit - options.before, shown[-1] + 1 if shown else 0)
        shown.extend(range(start, min(hit + options.after + 1, len(lines))))
    previous = -1
    for index in shown:
        if previous >= 0 and index > previous + 1 and (options.before or options.after):
            yield "--"
        previous = index
        mark = ":" if index in matching else "-"
        number = f"{index + 1}{mark}" if options.line_numbers else ""
        yield f"{path}{mark}{number}" + lines[index].rstrip("\r")


def main() -> None:
    """Search as a process of its own, which can be killed: options as JSON in the arguments.

    Exits like ripgrep: 0 found, 1 not found, 2 with the reason on standard error.
    """
    given: dict[str, Any] = json.loads(sys.argv[1])
    found = False
    try:
        for line in search(FileSystem(), Options(**given)):
            found = True
            sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape") + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(0)
    except (SearchError, OSError) as error:
        sys.stderr.write(str(error))
        sys.exit(2)
    sys.exit(0 if found else 1)
