"""Checks a tool's input before the tool sees it; every complaint names the field.

The same fields stand, in words for the model, in :mod:`freehold.core.toolset`; a test compares
the two. Fields that are ``null`` count as absent unless they are required.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .outcomes import ToolError

Input = dict[str, Any]
_Check = Callable[[Any], "str | None"]

_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_INTEGER = 2**31 - 1


def _string(value: Any) -> str | None:
    if not isinstance(value, str):
        return "must be a string"
    if _SURROGATE.search(value):
        return "holds characters that are not valid Unicode"
    return None


def _path(value: Any) -> str | None:
    wrong = _string(value)
    if wrong:
        return wrong
    if not value:
        return "must not be empty"
    return "must not contain NUL characters" if "\0" in value else None


def _command(value: Any) -> str | None:
    return _string(value) or ("must not contain NUL characters" if "\0" in value else None)


def _nonempty(value: Any) -> str | None:
    return _string(value) or (None if value else "must have at least 1 character")


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _integer(value: Any) -> str | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return "must be an integer"
    if not 0 <= value <= _MAX_INTEGER:
        return f"must be between 0 and {_MAX_INTEGER}"
    return None


def _line_pair(value: Any) -> str | None:
    if (
        not isinstance(value, list)
        or len(value) != 2
        or any(not isinstance(line, int) or isinstance(line, bool) for line in value)
    ):
        return "must be [start_line, end_line]"
    return None


def _one_of(*allowed: str) -> _Check:
    def check(value: Any) -> str | None:
        return None if value in allowed else "must be one of " + ", ".join(allowed)

    return check


class Field(NamedTuple):
    """How one field of an input must look."""

    check: _Check
    required: bool = False


_PATH = Field(_path)
_COUNT = Field(_integer)
_FLAG = Field(_boolean)

FIELDS: dict[str, dict[str, Field]] = {
    "bash": {"command": Field(_command), "restart": _FLAG, "timeout_ms": _COUNT},
    "read": {"file_path": Field(_path, True), "view_range": Field(_line_pair)},
    "write": {"file_path": Field(_path, True), "content": Field(_string, True)},
    "edit": {
        "file_path": Field(_path, True),
        "old_string": Field(_nonempty, True),
        "new_string": Field(_string, True),
        "replace_all": _FLAG,
    },
    "glob": {"pattern": Field(_path, True), "path": _PATH},
    "grep": {
        "pattern": Field(_string, True),
        "path": _PATH,
        "glob": Field(_path),
        "type": Field(_nonempty),
        "output_mode": Field(_one_of("content", "files_with_matches", "count")),
        "-i": _FLAG,
        "-n": _FLAG,
        "-A": _COUNT,
        "-B": _COUNT,
        "-C": _COUNT,
        "context": _COUNT,
        "head_limit": _COUNT,
        "offset": _COUNT,
        "multiline": _FLAG,
    },
}


def checked(tool: str, given: Any) -> Input:
    """The input without nulls, once every field is known to be right.

    Raises:
        ToolError: the tool is unknown, or a field is missing, unknown or of the wrong type.
    """
    fields: Mapping[str, Field] | None = FIELDS.get(tool)
    if fields is None:
        raise ToolError(f"unknown tool: {tool}")
    if not isinstance(given, dict):
        raise ToolError(f"{tool}: input must be an object")
    for name in given:
        if name not in fields:
            raise ToolError(f"{tool}: {name}: Extra inputs are not permitted")
    accepted: Input = {}
    for name, field in fields.items():
        value = given.get(name)
        if value is None:
            if field.required:
                raise ToolError(f"{tool}: {name}: Field required")
            continue
        wrong = field.check(value)
        if wrong:
            raise ToolError(f"{tool}: {name} {wrong}")
        accepted[name] = value
    return accepted


def fields_of(tool: str) -> tuple[str, ...]:
    """The names of a tool's fields, in their order."""
    return tuple(FIELDS[tool])
