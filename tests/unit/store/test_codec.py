"""JSON that every database can keep."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.events import AgentToolUse, Record, SandboxAttached
from freehold.store import codec

TEXT = st.text(st.characters(exclude_categories=[]))  # lone surrogates too
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)


def well_formed(value: Any) -> Any:
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value)
    if isinstance(value, list):
        return [well_formed(item) for item in value]
    if isinstance(value, dict):
        return {well_formed(key): well_formed(item) for key, item in value.items()}
    return value


@given(JSON)
def test_any_json_becomes_text_without_nul_that_means_the_same(value: Any) -> None:
    text = codec.dumps(value)
    text.encode()
    assert "\0" not in text
    assert json.loads(text) == codec.loads(text) == well_formed(value)


def test_what_is_no_number_becomes_null() -> None:
    assert codec.dumps([float("inf"), float("nan")]) == "[null,null]"
    assert codec.dumps(["\ud800", float("inf"), (1,)]) == '["\ufffd",null,[1]]'


@given(st.dictionaries(st.text(), JSON, max_size=4).map(well_formed))
def test_records_come_back(input_: dict[str, Any]) -> None:
    for event in (AgentToolUse(name="n", input=input_), SandboxAttached(sandbox_id=None)):
        record = Record(
            seq=1,
            id="sevt_1",
            processed_at=datetime(2026, 3, 15, 10, 0, 0, 1, tzinfo=UTC),
            event=event,
            private={"x": input_},
        )
        assert codec.from_row(codec.to_row("sesn_1", record)) == record
