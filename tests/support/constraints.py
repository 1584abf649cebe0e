"""The limits that the schemas of requests declare, found by walking them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from annotated_types import BaseMetadata, GroupedMetadata
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import freehold.api
from freehold.api.requests import Params, Query

_BOUNDS = ("min_length", "max_length", "ge", "le", "gt", "lt", "multiple_of")


class Constraint(NamedTuple):
    """One limit: ``AgentCreateParams.name``, ``max_length``, 256. Items of a list are ``[]``."""

    field: str
    kind: str
    value: int


def declared() -> frozenset[Constraint]:
    """Every limit of every body and query string that the API reads."""
    for module in pkgutil.walk_packages(freehold.api.__path__, "freehold.api."):
        importlib.import_module(module.name)
    found: set[Constraint] = set()
    for model in (*_below(Params), *_below(Query)):
        # A field that a model has from its base is the base's.
        for name in model.__annotations__:
            if (field := model.model_fields.get(name)) is not None:
                found.update(_of_field(f"{model.__name__}.{name}", field))
    return frozenset(found)


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for sub in model.__subclasses__():
        if sub.__module__.startswith("freehold."):
            yield sub
        yield from _below(sub)


def _of_field(place: str, field: FieldInfo) -> Iterator[Constraint]:
    for one in field.metadata:
        yield from _of_metadata(place, one)
    yield from _of_type(place, field.annotation)


def _of_type(place: str, annotation: Any) -> Iterator[Constraint]:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        for one in metadata:
            yield from _of_metadata(place, one)
        yield from _of_type(place, inner)
    elif origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _of_type(place, part)
    elif origin in (list, dict):
        for part in get_args(annotation):
            yield from _of_type(f"{place}[]", part)


def _of_metadata(place: str, one: Any) -> Iterator[Constraint]:
    if isinstance(one, FieldInfo):
        for inner in one.metadata:
            yield from _of_metadata(place, inner)
    elif isinstance(one, GroupedMetadata):
        for inner in one:
            yield from _of_metadata(place, inner)
    elif isinstance(one, BaseMetadata) or hasattr(one, "__dict__"):
        for kind in _BOUNDS:
            if isinstance(value := getattr(one, kind, None), int):
                yield Constraint(place, kind, value)
