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


@pytest.mark.parametrize("item", [b"{}", b"[]", b"1", b"1.5", b'""', b"null"])
def test_values_at_their_limit(item: bytes) -> None:
    def array(count: int) -> bytes:
        return b"[" + b",".join([item] * (count - 1)) + b"]"

    assert len(strict_json.loads(array(limits.JSON_VALUES))) == limits.JSON_VALUES - 1
    with pytest.raises(BadJson, match="more than 100000 values"):
        strict_json.loads(array(limits.JSON_VALUES + 1))


def test_values_of_fields_count() -> None:
    fields = ",".join(f'"{number}":[0,0]' for number in range(limits.JSON_VALUES // 3))
    strict_json.loads(f"{{{fields}}}".encode())
    with pytest.raises(BadJson, match="more than 100000 values"):
        strict_json.loads(f'{{{fields},"a":[0]}}'.encode())


def test_commas_in_texts_do_not_count() -> None:
    text = "," * 2 * limits.JSON_VALUES
    assert strict_json.loads(json.dumps([text]).encode()) == [text]
