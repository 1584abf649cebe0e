"""From Pydantic's findings to the texts of the API (spec 1.4, appendix D).

Two dialects are on the wire: most routes answer in the one, environments in Pydantic's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from freehold.errors import InvalidRequest

PLAIN = "plain"
"""Type of a custom error whose message is the whole text."""
HERE = "here"
"""Type of a custom error whose message follows the path."""

_CONTENT_TAGS = frozenset({"text", "image", "document", "search_result", "redacted"})
_MAX_SHOWN = 200

_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "a boolean",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dataclass_type": "an object",
    "list_type": "an array",
}


@dataclass(frozen=True)
class Dialect:
    """How a route words its refusals."""

    prefix: tuple[str, ...] = ()
    """Put before every path, as ``agent`` on agent updates."""
    pydantic: bool = False
    """Pydantic's own wording."""
    should_retry: bool | None = None
    error_code: str | None = None


def refusal(error: ValidationError, body: Any, dialect: Dialect) -> InvalidRequest:
    """The first thing wrong with a body: of another type than is taken here, unknown fields, bad
    values, limits."""
    findings = sorted(error.errors(include_url=False, include_context=True), key=_rank)
    finding = findings[0]
    text = _pydantic(finding, body) if dialect.pydantic else _text(finding, body, dialect)
    return InvalidRequest(text, should_retry=dialect.should_retry)


def _rank(finding: ErrorDetails) -> int:
    kind = finding["type"]
    if kind == "literal_error" and finding["loc"] == ("type",):
        return -1  # what is unknown belongs to that type
    if kind == "extra_forbidden":
        return 0
    if kind in _EXPECTED or kind in ("literal_error", "union_tag_invalid", "union_tag_not_found"):
        return 1
    return 2


@dataclass(frozen=True)
class _Step:
    part: str | int
    tag: bool


def _walk(location: tuple[int | str, ...], body: Any) -> list[_Step]:
    """Tell the fields of a location from the union tags that Pydantic puts between them."""
    steps: list[_Step] = []
    current = body
    tagged = False
    for part in location:
        if isinstance(current, dict):
            kinds = (current.get("type"), current.get("name"))
            if not tagged and part in kinds and _has_tag(current, part, location, len(steps)):
                steps.append(_Step(part, tag=True))
                tagged = True
                continue
            current = current.get(part) if isinstance(part, str) else None
        elif isinstance(current, list) and isinstance(part, int) and part < len(current):
            current = current[part]
        else:
            current = None
        steps.append(_Step(part, tag=False))
        tagged = False
    return steps


def _has_tag(
    current: dict[str, Any], part: int | str, location: tuple[int | str, ...], index: int
) -> bool:
    # A dictionary of names may have a key equal to one of its own values; the location's next
    # part tells: after a tag comes a field of this object, or one that is missing from it.
    return part not in current or index + 1 < len(location)


def _dotted(steps: list[_Step], dialect: Dialect) -> str:
    parts = [
        str(step.part).replace(".", "_")
        for step in steps
        if not (step.tag and step.part in _CONTENT_TAGS)
    ]
    if parts[:2] == ["agent", "agent_with_overrides"]:
        parts.insert(2, "config")
    return ".".join([*dialect.prefix, *parts]) or "body"


def _bracketed(steps: list[_Step], dialect: Dialect, *more: str) -> str:
    text = ".".join(dialect.prefix)
    for part in (*(step.part for step in steps if not step.tag), *more):
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text or "body"


def _text(finding: ErrorDetails, body: Any, dialect: Dialect) -> str:
    kind = finding["type"]
    context: dict[str, Any] = finding.get("ctx", {})
    steps = _walk(finding["loc"], body)
    if kind == PLAIN:
        return finding["msg"]
    if kind == "extra_forbidden":
        return _unknown_field(finding, body)
    if kind in ("literal_error", "enum"):
        return f"Failed to parse request: {_bracketed(steps, dialect)}: {_shown(finding['input'])}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _bad_tag(finding, steps, dialect)
    if kind in _EXPECTED:
        return (
            f"Failed to parse request: {_bracketed(steps, dialect)}: must be {_EXPECTED[kind]} "
            f"(got {_json_type(finding['input'])})"
        )
    return f"{_dotted(steps, dialect)}: {_complaint(kind, context, finding, steps)}"


def _complaint(
    kind: str, context: dict[str, Any], finding: ErrorDetails, steps: list[_Step]
) -> str:
    in_event = bool(steps) and steps[0].part in ("events", "initial_events")
    overriding = [step.part for step in steps[:2]] == ["agent", "agent_with_overrides"]
    match kind:
        case "missing":
            return "Field required"
        case "string_too_short" if in_event and context["min_length"] == 1:
            return "value is required"
        case "string_too_short":
            return f"minimum string length is {context['min_length']}"
        case "string_too_long" if overriding:
            return f"must be at most {context['max_length']} characters"
        case "string_too_long":
            return f"maximum string length is {context['max_length']}"
        case "string_pattern_mismatch":
            return f"must match pattern {context['pattern']}"
        case "too_short":
            return f"must contain at least {_items(context['min_length'])}"
        case "too_long":
            return f"must contain at most {_items(context['max_length'])}"
        case "greater_than_equal":
            return f"value must be greater than or equal to {context['ge']}"
        case "less_than_equal":
            return f"value must be less than or equal to {context['le']}"
        case "value_error":
            return str(context["error"])
        case _:
            return finding["msg"]


def _items(count: int) -> str:
    return f"{count} item" if count == 1 else f"{count} items"


def _unknown_field(finding: ErrorDetails, body: Any) -> str:
    location = finding["loc"]
    name = str(location[-1])[:_MAX_SHOWN]
    if "configs" in location and "agent_toolset_20260401" in location:
        place = location.index("configs")
        tool = location[place + 2] if len(location) > place + 3 else None
        if tool is not None and len(location) == place + 4:
            return (
                f"configs[{location[place + 1]}].{name}: Extra inputs are not permitted for name "
                f"{json.dumps(tool)}"
            )
    return f"Failed to parse request body: unknown field {json.dumps(name, ensure_ascii=False)}"


def _bad_tag(finding: ErrorDetails, steps: list[_Step], dialect: Dialect) -> str:
    discriminator = str(finding.get("ctx", {}).get("discriminator", "'type'")).strip("'")
    given = finding["input"]
    if not isinstance(given, dict):
        return (
            f"Failed to parse request: {_bracketed(steps, dialect)}: must be an object "
            f"(got {_json_type(given)})"
        )
    if discriminator not in given:
        return f"{_dotted([*steps, _Step(discriminator, tag=False)], dialect)}: Field required"
    path = _bracketed(steps, dialect, discriminator)
    return f"Failed to parse request: {path}: {_shown(given[discriminator])}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > _MAX_SHOWN:
        text = text[:_MAX_SHOWN] + "…"
    return f"{text} is not a valid value"


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    for types, name in (
        (bool, "boolean"),
        ((int, float), "number"),
        (str, "string"),
        (list, "array"),
    ):
        if isinstance(value, types):
            return name
    return "object"


def _pydantic(finding: ErrorDetails, body: Any) -> str:
    if finding["type"] == PLAIN:
        return finding["msg"]
    steps = [step for step in _walk(finding["loc"], body) if not step.tag]
    return f"{_dotted(steps, Dialect())}: {finding['msg'].removeprefix('Value error, ')}"
