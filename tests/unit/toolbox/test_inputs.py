"""Inputs: what is taken, what is refused, and that the model is told the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.toolset import BUILTIN_TOOLS
from freehold.toolbox.inputs import FIELDS, checked, fields_of
from freehold.toolbox.outcomes import ToolError

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("tool", BUILTIN_TOOLS)
def test_the_model_is_told_the_fields_that_are_checked(tool: str) -> None:
    definition = BUILTIN_TOOLS[tool]
    schema = definition["input_schema"]
    assert definition["name"] == tool
    assert tuple(schema["properties"]) and set(schema["properties"]) == set(fields_of(tool))
    assert schema["additionalProperties"] is False
    required = {name for name, field in FIELDS[tool].items() if field.required}
    # A restart needs no command, though the model is to give one.
    assert set(schema["required"]) == (required or {"command"})
    assert all(one["description"] for one in schema["properties"].values())


def test_every_tool_is_offered() -> None:
    assert BUILTIN_TOOLS.keys() == FIELDS.keys()


@given(st.sampled_from(sorted(FIELDS)), _json)
def test_any_input_is_taken_or_refused(tool: str, value: Any) -> None:
    try:
        accepted = checked(tool, value)
    except ToolError as error:
        assert str(error).startswith(f"{tool}: ")
    else:
        assert set(accepted) <= set(value)


@given(st.sampled_from([(tool, name) for tool in FIELDS for name in FIELDS[tool]]), _json)
def test_a_refusal_names_the_field(where: tuple[str, str], value: Any) -> None:
    tool, name = where
    good: dict[str, Any] = {
        "file_path": "/f", "content": "c", "old_string": "o", "new_string": "n", "pattern": "p",
    }  # fmt: skip
    given_input = {key: good[key] for key, field in FIELDS[tool].items() if field.required}
    given_input[name] = value
    try:
        checked(tool, given_input)
    except ToolError as error:
        assert str(error).startswith(f"{tool}: {name}")


def test_null_is_absent() -> None:
    assert checked("bash", {"command": "x", "restart": None}) == {"command": "x"}


@pytest.mark.parametrize("value", ["\ud800", "a\udfffb"])
def test_half_characters_are_refused(value: str) -> None:
    with pytest.raises(ToolError, match="content"):
        checked("write", {"file_path": "/f", "content": value})
