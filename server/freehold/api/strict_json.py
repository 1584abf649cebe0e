"""JSON as a request may hold it: stricter than the standard library.

Refused, because something behind us could not keep it unchanged: duplicate keys, NaN and
infinities, numbers outside 64 bits, NUL characters, lone surrogates. Deep nesting and great numbers
of values are refused because of the time that they take.
"""

from __future__ import annotations

import json
import math
from typing import Any

from freehold.core import limits

_LARGEST_INT = 2**63 - 1
_MAX_DIGITS = 20


class BadJson(ValueError):
    """The text is not JSON that we take; the message says why."""


def loads(data: bytes) -> Any:
    """The value of a request body.

    Raises:
        BadJson: it has none.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise BadJson("body is not valid UTF-8") from None
    try:
        value = _Decoder().decode(text)
    except json.JSONDecodeError as error:
        raise BadJson(f"invalid JSON: {error.msg} at position {error.pos}") from None
    except RecursionError:
        raise BadJson(f"nested deeper than {limits.JSON_DEPTH} levels") from None
    _inspect(value)
    return value


class _Decoder:
    """Reads one text."""

    def __init__(self) -> None:
        self._left = limits.JSON_VALUES

    def decode(self, text: str) -> Any:
        """The text's value."""
        return json.JSONDecoder(
            object_pairs_hook=self._pairs,
            parse_constant=_constant,
            parse_int=self._integer,
            parse_float=self._float,
        ).decode(text)

    def _count(self) -> None:
        # What is costly to read is counted while it is read, the rest afterwards.
        self._left -= 1
        if self._left < 0:
            raise _too_many()

    def _pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self._count()
        made = dict(pairs)
        if len(made) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    raise BadJson(f"duplicate field {json.dumps(key[:100])}")
                seen.add(key)
        return made

    def _integer(self, digits: str) -> int:
        self._count()
        if len(digits) <= _MAX_DIGITS and abs(value := int(digits)) <= _LARGEST_INT:
            return value
        raise BadJson("a number is out of range")

    def _float(self, digits: str) -> float:
        self._count()
        value = float(digits)
        if not math.isfinite(value):
            raise BadJson("a number is out of range")
        return value


def _constant(name: str) -> Any:
    raise BadJson(f"{name} is not a JSON number")


def _too_many() -> BadJson:
    return BadJson(f"more than {limits.JSON_VALUES} values")


def _inspect(root: Any) -> None:
    """Look at every text and the depth without recursing, and count."""
    count = 1
    pending: list[tuple[Any, int]] = [(root, 1)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, (dict, list)):
            if depth > limits.JSON_DEPTH:
                raise BadJson(f"nested deeper than {limits.JSON_DEPTH} levels")
            count += len(value)
            if count > limits.JSON_VALUES:
                raise _too_many()
            if isinstance(value, dict):
                for key in value:
                    _check_text(key)
                pending.extend((item, depth + 1) for item in value.values())
            else:
                pending.extend((item, depth + 1) for item in value)


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise BadJson("NUL characters are not allowed")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadJson("lone surrogates are not allowed") from None
