"""The head of a ``SKILL.md``: YAML between two lines of ``---`` (spec 16)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from freehold.core import limits
from freehold.core.skills import SKILL_FILE
from freehold.errors import InvalidRequest

_FENCE = "---"
_DEPTH = 32
"""Deepest nesting. The parser's time grows with the square of it, and its stack with it."""


@dataclass(frozen=True)
class Frontmatter:
    """What a ``SKILL.md`` says of itself."""

    name: str | None
    description: str


class _Loader(yaml.SafeLoader):
    """Safe also from what little text can cost much time: nesting, and mappings that are merged
    into each other again and again."""

    def fetch_flow_collection_start(self, token: Any) -> None:
        """A bracket or a brace opens."""
        if self.flow_level >= _DEPTH:
            raise yaml.MarkedYAMLError(problem="too deep", problem_mark=self.get_mark())
        super().fetch_flow_collection_start(token)

    def add_indent(self, column: int) -> bool:
        """A line, or a dash, is further in than what is around it."""
        if len(self.indents) >= _DEPTH:
            raise yaml.MarkedYAMLError(problem="too deep", problem_mark=self.get_mark())
        added: bool = super().add_indent(column)
        return added

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Mappings with ``<<`` would be merged here."""
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem="no merging", problem_mark=key.start_mark)


def parse(content: bytes) -> Frontmatter:
    """Read the head of a ``SKILL.md``.

    Raises:
        InvalidRequest: there is none, it is no YAML, or a field is missing or too long.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _bad("must be UTF-8 text") from None
    values = _load(_head(text))
    if not isinstance(values, dict):
        raise _bad("frontmatter must be a YAML mapping")
    name = values.get("name")
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise _bad("frontmatter `name` must be a string that is not empty")
    if isinstance(name, str) and len(name.strip()) > limits.SKILL_NAME:
        raise _bad(f"frontmatter `name` must be at most {limits.SKILL_NAME} characters long")
    description = values.get("description")
    if not isinstance(description, str) or not description.strip():
        raise _bad("frontmatter must have a `description`, a string that is not empty")
    description = description.strip()
    if len(description) > limits.SKILL_DESCRIPTION:
        raise _bad(
            f"frontmatter `description` must be at most {limits.SKILL_DESCRIPTION} characters long"
        )
    for field, value in (("name", name or ""), ("description", description)):
        if any(0xD800 <= ord(char) < 0xE000 or char == "\0" for char in value):
            raise _bad(f"frontmatter `{field}` must be valid Unicode without NUL characters")
    return Frontmatter(None if name is None else name.strip(), description)


def _head(text: str) -> str:
    lines = text.splitlines()
    if not lines or lines[0].rstrip() != _FENCE:
        raise _bad(f"must begin with YAML frontmatter between two lines of `{_FENCE}`")
    for index, line in enumerate(lines[1:], start=1):
        if line.rstrip() == _FENCE:
            head = "\n".join(lines[1:index])
            if len(head) > limits.SKILL_FRONTMATTER:
                raise _bad(f"frontmatter is longer than {limits.SKILL_FRONTMATTER} characters")
            return head
    raise _bad(f"frontmatter has no closing `{_FENCE}`")


def _load(head: str) -> object:
    try:
        return yaml.load(head, _Loader)  # noqa: S506 - a safe loader
    # Besides its own errors the parser lets through what dates and deep nesting bring forth.
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" (line {mark.line + 2})"
        raise _bad(f"frontmatter is not valid YAML{where}") from None


def _bad(problem: str) -> InvalidRequest:
    return InvalidRequest(f"{SKILL_FILE}: {problem}", should_retry=False)
