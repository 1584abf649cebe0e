"""The unions of the official SDK: which kinds of things there are, and which a value shows.

A *kind* is a path through the SDK's types: an event's ``type``, then the fields that lead to
another union, each with the member's ``type`` or the literal's value, as in
``session.status_idle/stop_reason/end_turn`` or ``session.error/error/billing_error``. Fields that
can have one value only are no kinds.
"""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from anthropic._models import BaseModel
from anthropic.types.beta import sessions
from pydantic.fields import FieldInfo

STREAM = sessions.BetaManagedAgentsStreamSessionEvents
THREAD_STREAM = sessions.BetaManagedAgentsStreamSessionThreadEvents
LISTED = sessions.BetaManagedAgentsSessionEvent
SENT = sessions.BetaManagedAgentsSendSessionEvents.model_fields["data"].annotation
"""The echoes that answer a request that sends events."""
ROOTS = (STREAM, THREAD_STREAM, LISTED, SENT)

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


class Mismatch(AssertionError):
    """A value that is not what the SDK's type says."""


def kinds(root: Any, *, closed: frozenset[str] = frozenset()) -> set[str]:
    """All kinds below a type; those of ``closed`` are not looked into."""
    return set(_kinds(root, "", (), closed))


def shown(root: Any, value: Any) -> set[str]:
    """The kinds that a JSON value shows.

    Raises:
        Mismatch: it has a field the type does not know, lacks one, or one has another type.
    """
    found: set[str] = set()
    _visit(root, value, "", found)
    return found


@functools.cache
def _members(annotation: Any) -> tuple[Any, ...]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return tuple(inner for member in get_args(annotation) for inner in _members(member))
    return (annotation,)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


@functools.cache
def _type_of(model: Any) -> str | None:
    """The one value that the model's ``type`` can have."""
    field = model.model_fields.get("type")
    values = _literals(field.annotation) if field is not None else ()
    return str(values[0]) if len(values) == 1 else None


@functools.cache
def _literals(annotation: Any) -> tuple[Any, ...]:
    return tuple(
        value
        for member in _members(annotation)
        if get_origin(member) is Literal
        for value in get_args(member)
    )


def _join(*parts: str | None) -> str:
    return "/".join(part for part in parts if part)


def _kinds(
    annotation: Any, path: str, above: tuple[Any, ...], closed: frozenset[str]
) -> Iterator[str]:
    for member in _members(annotation):
        if get_origin(member) is list:
            yield from _kinds(get_args(member)[0], path, above, closed)
        elif _is_model(member) and member not in above:
            here = _join(path, _type_of(member))
            if here != path:
                yield here
            if here in closed:
                continue
            for name, field in member.model_fields.items():
                values = _literals(field.annotation)
                if len(values) > 1:
                    yield from (_join(here, name, str(value)) for value in values)
                yield from _kinds(field.annotation, _join(here, name), (*above, member), closed)


@dataclass(frozen=True)
class _Plan:
    """What a value of a type can be, worked out once."""

    members: tuple[Any, ...]
    models: tuple[Any, ...]
    by_type: Mapping[str | None, Any]
    items: Any | None
    values: Any | None
    choices: frozenset[Any]


@functools.cache
def _plan(annotation: Any) -> _Plan:
    members = _members(annotation)
    models = tuple(member for member in members if _is_model(member))
    lists = [get_args(member)[0] for member in members if get_origin(member) is list]
    maps = [get_args(member)[1] for member in members if get_origin(member) is dict]
    literals = _literals(annotation)
    return _Plan(
        members=members,
        models=models,
        by_type={_type_of(model): model for model in reversed(models)},
        items=lists[0] if lists else None,
        values=maps[0] if maps else None,
        choices=frozenset(literals) if len(literals) > 1 else frozenset(),
    )


def _visit(annotation: Any, value: Any, path: str, found: set[str]) -> None:
    plan = _plan(annotation)
    if isinstance(value, dict):
        if plan.models:
            kind = value.get("type")
            named = plan.by_type.get(kind) if kind is None or isinstance(kind, str) else None
            if named is None and (len(plan.models) > 1 or _type_of(plan.models[0])):
                raise Mismatch(f"{path}: no type of the SDK is {kind!r}")
            _visit_model(named or plan.models[0], value, path, found)
            return
        if plan.values is not None:
            for name, item in value.items():
                _visit(plan.values, item, _join(path, name), found)
            return
    elif isinstance(value, list):
        if plan.items is not None:
            for item in value:
                _visit(plan.items, item, path, found)
            return
    elif plan.choices and value in plan.choices:
        found.add(_join(path, str(value)))
        return
    if not any(_is_a(member, value) for member in plan.members):
        raise Mismatch(f"{path}: {value!r} is not {annotation}")


def _visit_model(model: Any, value: dict[str, Any], path: str, found: set[str]) -> None:
    here = _join(path, _type_of(model))
    if here != path:
        found.add(here)
    fields = _fields(model)
    unknown = value.keys() - fields.keys()
    # Few types say that they take whatever else there is: JSON schemas do.
    if unknown and "__pydantic_extra__" not in vars(model).get("__annotations__", {}):
        raise Mismatch(f"{here}: the SDK does not know {sorted(unknown)}")
    for name, field in fields.items():
        if name in value:
            _visit(field.annotation, value[name], f"{here}/{name}" if here else name, found)
        elif field.is_required():
            raise Mismatch(f"{here}: {name} is missing")


@functools.cache
def _fields(model: Any) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _is_a(member: Any, value: Any) -> bool:
    origin = get_origin(member)
    if origin is Literal:
        return value in get_args(member)
    if origin is dict:
        kind = get_args(member)[1]
        return isinstance(value, dict) and all(_is_a(kind, item) for item in value.values())
    if member is datetime:
        return isinstance(value, str) and _TIME.fullmatch(value) is not None
    if member is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if member is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if member is object or member is Any:
        return True
    return isinstance(member, type) and isinstance(value, member)
