"""What strict JSON takes it gives back unchanged."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.api import strict_json
from freehold.api.strict_json import BadJson
from freehold.core import limits

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(VALUES)
def test_takes_what_can_be_kept(value: Any) -> None:
    assert strict_json.loads(json.dumps(value, ensure_ascii=False).encode()) == value
    assert strict_json.loads(json.dumps(value).encode()) == value


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\ud80019.eE+-ntrue ').map(str.encode))
def test_never_fails_otherwise_and_never_takes_what_cannot_be_kept(data: bytes) -> None:
    try:
        value = strict_json.loads(data)
    except BadJson:
        return
    assert orjson.loads(orjson.dumps(value)) == value


def test_depth_at_its_limit() -> None:
    def nested(depth: int) -> bytes:
        return b"[" * depth + b"]" * depth

    strict_json.loads(nested(limits.JSON_DEPTH))
    with pytest.raises(BadJson):
        strict_json.loads(nested(limits.JSON_DEPTH + 1))
