"""Reading requests: bodies and query strings into Pydantic models."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin

from annotated_types import MaxLen
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from freehold.api import strict_json
from freehold.api.validation import PLAIN, Dialect, refusal
from freehold.core import times
from freehold.errors import InvalidRequest

_INT_DIGITS = 10


class Params(BaseModel):
    """Part of a request body: exact types, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True)
    most_items: ClassVar[dict[str, int]] = {}
    """How many items its lists may have."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Note the limits of its lists."""
        found = {name: _most_items(field) for name, field in cls.model_fields.items()}
        cls.most_items = {name: most for name, most in found.items() if most is not None}

    @model_validator(mode="before")
    @classmethod
    def _cut(cls, data: Any) -> Any:
        """Keep one unknown field, and one item too many, of what may be a hundred thousand.

        One is enough for the refusal; Pydantic would describe them all first.
        """
        if not isinstance(data, dict):
            return data
        if len(data) > len(cls.model_fields):
            given = data
            unknown = [name for name in given if name not in cls.model_fields]
            data = {name: value for name, value in data.items() if name in cls.model_fields}
            if unknown:
                data[unknown[0]] = given[unknown[0]]
        for name, most in cls.most_items.items():
            items = data.get(name)
            if isinstance(items, list) and len(items) > most:
                data = {**data, name: items[: most + 1]}
        return data


def _most_items(field: FieldInfo) -> int | None:
    """The limit of a field that is a list, with ``None`` beside it or not."""
    pending: list[tuple[Any, Sequence[Any]]] = [(field.annotation, field.metadata)]
    while pending:
        annotation, metadata = pending.pop()
        origin = get_origin(annotation)
        if origin is list:
            for one in metadata:
                for inner in one.metadata if isinstance(one, FieldInfo) else (one,):
                    if isinstance(inner, MaxLen):
                        return inner.max_length
        elif origin is Annotated:
            pending.append((annotation.__origin__, annotation.__metadata__))
        elif origin in (Union, UnionType):
            pending.extend((part, ()) for part in get_args(annotation))
    return None


class Query(BaseModel):
    """A query string. Parameters that nobody knows are ignored."""

    model_config = ConfigDict(extra="ignore")


ParamsT = TypeVar("ParamsT", bound=Params)
QueryT = TypeVar("QueryT", bound=Query)


async def read(request: Request, model: type[ParamsT], dialect: Dialect | None = None) -> ParamsT:
    """The body of a request that must have one.

    Raises:
        InvalidRequest: it is missing, not JSON, or not what ``model`` says.
    """
    value = await _json(request)
    if value is _ABSENT:
        raise InvalidRequest("Failed to parse request body: the body is empty")
    return check(model, value, dialect or Dialect())


async def read_or(
    request: Request, model: type[ParamsT], dialect: Dialect | None = None
) -> ParamsT:
    """The body of an action that may have none, which is the same as ``{}``.

    Raises:
        InvalidRequest: it is not JSON, or not what ``model`` says.
    """
    value = await _json(request)
    return check(model, {} if value in (_ABSENT, None) else value, dialect or Dialect())


def check(model: type[ParamsT], value: Any, dialect: Dialect) -> ParamsT:
    """A parsed body as its model.

    Raises:
        InvalidRequest: it is not what ``model`` says.
    """
    if not isinstance(value, dict):
        raise InvalidRequest(
            "Failed to parse request body: must be an object", should_retry=dialect.should_retry
        )
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise refusal(error, value, dialect) from None


async def read_nothing(request: Request) -> None:
    """The body of an action: none, or ``{}`` (spec 1.1).

    Raises:
        InvalidRequest: it holds something.
    """
    value = await _json(request)
    if value is _ABSENT or value is None:
        return
    if not isinstance(value, dict):
        raise InvalidRequest("Failed to parse request body: must be an object")
    for name in value:
        raise InvalidRequest(f'Failed to parse request body: unknown field "{name[:200]}"')


_ABSENT = object()


async def _json(request: Request) -> Any:
    check_encoding(request.headers.get("content-encoding"))
    data = await request.body()
    if not data.strip():
        return _ABSENT
    _check_media_type(request.headers.get("content-type"))
    try:
        return strict_json.loads(data)
    except strict_json.BadJson as error:
        raise InvalidRequest(f"Failed to parse request body: {error}") from None


def check_encoding(encoding: str | None) -> None:
    """Refuse bodies that are compressed.

    Raises:
        InvalidRequest: the header says so.
    """
    if encoding is not None and encoding.strip().lower() not in ("", "identity"):
        raise InvalidRequest(
            "Content-Encoding is not supported on this endpoint; send the body uncompressed",
            details={"error_code": "request_body_encoding_unsupported"},
        )


def _check_media_type(header: str | None) -> None:
    media_type, *parameters = (header or "").lower().split(";")
    media_type = media_type.strip()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise InvalidRequest("Content-Type must be application/json")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8"):
            raise InvalidRequest(
                "Content-Type charset must be utf-8", details={"error_code": "unsupported_charset"}
            )


def query(request: Request, model: type[QueryT]) -> QueryT:
    """The query string as its model. Lists come as ``name[]``, repeated, or as ``name``.

    Raises:
        InvalidRequest: a parameter's value is not one it takes.
    """
    values: dict[str, Any] = {}
    lists = {
        field.alias or name
        for name, field in model.model_fields.items()
        if _is_list(field.annotation)
    }
    for name, value in request.query_params.multi_items():
        key = name if name in lists else f"{name}[]"
        if key in lists:
            values.setdefault(key, []).append(value)
        else:
            values[name] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _query_refusal(error, model) from None


def _is_list(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is list


def _query_refusal(error: ValidationError, model: type[Query]) -> InvalidRequest:
    finding = error.errors(include_url=False)[0]
    if finding["type"] == PLAIN:
        return InvalidRequest(finding["msg"])
    name = str(finding["loc"][0])
    path = name.removesuffix("[]")
    for part in finding["loc"][1:]:
        path += f"[{part}]"
    kind = finding["type"]
    if kind in ("greater_than_equal", "less_than_equal", "int_parsing", "int_type"):
        described = model.model_json_schema(by_alias=True)["properties"][name]
        bounds = described.get("anyOf", [described])[0]
        if "maximum" not in bounds:
            return InvalidRequest(
                f"{path}: Input should be greater than or equal to {bounds['minimum']}"
            )
        return InvalidRequest(
            f"{path}: value must be greater than or equal to {bounds['minimum']} "
            f"and less than or equal to {bounds['maximum']}"
        )
    if kind == "literal_error":
        return InvalidRequest(
            f'Failed to parse request: {path}: "{str(finding["input"])[:200]}" is not a valid value'
        )
    if kind == "too_long":
        return InvalidRequest(f"{path}: must contain at most {finding['ctx']['max_length']} items")
    return InvalidRequest(f"{path}: {finding['msg'].removeprefix('Value error, ')}")


def _integer(value: Any) -> Any:
    # Pydantic would take "1_0" and " 5"; beyond ten digits the limits refuse it anyway.
    if isinstance(value, str):
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            raise PydanticCustomError("int_parsing", "must be an integer")
        return int(value[: _INT_DIGITS + 1])
    return value


def _boolean(value: Any) -> Any:
    if value in ("true", "false"):
        return value == "true"
    if isinstance(value, bool):
        return value
    raise ValueError("must be true or false")


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return times.parse(value.replace(" ", "+"))
        except (ValueError, OverflowError):
            raise ValueError("must be an RFC 3339 time such as 2026-03-15T10:00:00Z") from None
    return value


INTEGER = BeforeValidator(_integer)
"""Reads an integer parameter; put it behind the bounds."""
Boolean = Annotated[bool, BeforeValidator(_boolean)]
Moment = Annotated[datetime, BeforeValidator(_moment)]

VERSION_MAX = 2**31 - 1
