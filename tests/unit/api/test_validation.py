"""From findings to the API's texts."""
# ruff: noqa: E501 - in the table a case is a line

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from freehold.api.requests import Params, check
from freehold.api.validation import Dialect
from freehold.errors import InvalidRequest


class Cat(Params):
    type: Literal["a.cat"]
    name: Annotated[str, Field(min_length=2)]


class Dog(Params):
    type: Literal["a.dog"]
    dog: int


class Zoo(Params):
    cages: list[Annotated[Cat | Dog, Field(discriminator="type")]] = Field(default=[])
    star: Annotated[Cat | Dog, Field(discriminator="type")] | None = None
    labels: dict[str, str] = Field(default={})
    size: Annotated[int, Field(ge=1)] = 1
    open: bool = True


def text(body: Any, dialect: Dialect | None = None) -> str:
    with pytest.raises(InvalidRequest) as caught:
        check(Zoo, body, dialect or Dialect())
    return caught.value.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"cages": [{"type": "a.cat", "name": "x"}]}, "cages.0.a_cat.name: minimum string length is 2"),
        ({"cages": [{"type": "a.cat"}]}, "cages.0.a_cat.name: Field required"),
        ({"cages": [{"type": "a.dog", "dog": "x"}]}, "Failed to parse request: cages[0].dog: must be an integer (got string)"),
        ({"cages": [{"type": "a.dog", "dog": 1.5}]}, "Failed to parse request: cages[0].dog: must be an integer (got number)"),
        ({"cages": [{"type": "a.dog", "dog": True}]}, "Failed to parse request: cages[0].dog: must be an integer (got boolean)"),
        ({"cages": [{"type": "cow"}]}, 'Failed to parse request: cages[0].type: "cow" is not a valid value'),
        ({"cages": [{"type": {}}]}, "Failed to parse request: cages[0].type: {} is not a valid value"),
        ({"cages": [[]]}, "Failed to parse request: cages[0]: must be an object (got array)"),
        ({"star": {"type": "a.cat", "name": "x"}}, "star.a_cat.name: minimum string length is 2"),
        ({"star": {}}, "star.type: Field required"),
        ({"labels": {"type": 1}}, "Failed to parse request: labels.type: must be a string (got number)"),
        ({"labels": {"type": "x", "x": 1}}, "Failed to parse request: labels.x: must be a string (got number)"),
        ({"size": 0}, "size: value must be greater than or equal to 1"),
        ({"open": 1}, "Failed to parse request: open: must be a boolean (got number)"),
        ({"open": "true"}, "Failed to parse request: open: must be a boolean (got string)"),
        ({"size": 0, "open": 1, "bogus": 1}, 'Failed to parse request body: unknown field "bogus"'),
        ({"size": 0, "open": 1}, "Failed to parse request: open: must be a boolean (got number)"),
        ([], "Failed to parse request body: must be an object"),
    ],
)  # fmt: skip
def test_texts(body: Any, message: str) -> None:
    assert text(body) == message


def test_a_prefix_goes_before_every_path() -> None:
    dialect = Dialect(prefix=("agent",))
    assert text({"size": 0}, dialect).startswith("agent.size: ")
    assert "agent.cages[0].type" in text({"cages": [{"type": "cow"}]}, dialect)


def test_pydantic_s_own_words() -> None:
    dialect = Dialect(pydantic=True)
    assert text({"star": {"type": "a.cat"}}, dialect) == "star.name: Field required"
    assert text({"bogus": 1}, dialect) == "bogus: Extra inputs are not permitted"


def test_long_values_are_cut() -> None:
    assert len(text({"star": {"type": "x" * 10_000}})) < 400


class Crowd(Params):
    heads: Annotated[list[Cat], Field(max_length=2)] | None = None
    tails: list[Annotated[int, Field(le=5)]] = Field(default=[], max_length=3)
    free: list[int] = Field(default=[])


def described(body: Any) -> list[tuple[Any, ...]]:
    with pytest.raises(ValidationError) as caught:
        Crowd.model_validate(body)
    return [finding["loc"] for finding in caught.value.errors()]


def test_of_very_many_mistakes_few_are_looked_at() -> None:
    unknown = {f"field{number}": 0 for number in range(100_000)}
    assert described(unknown) == [("field0",)]
    assert described({"heads": [], **unknown, "tails": []}) == [("field0",)]
    assert len(described({"heads": [{}] * 100_000})) <= 6
    assert described({"tails": [1] * 100_000}) == [("tails",)]


def test_what_is_within_the_limits_is_not_cut() -> None:
    cats = [{"type": "a.cat", "name": f"cat {number}"} for number in range(2)]
    taken = Crowd.model_validate({"heads": cats, "tails": [1, 2, 3], "free": list(range(1000))})
    assert taken.model_dump() == {"heads": cats, "tails": [1, 2, 3], "free": list(range(1000))}
    assert Crowd.most_items == {"heads": 2, "tails": 3}


def test_the_text_is_the_same_as_without_cutting() -> None:
    for count in (3, 100_000):
        with pytest.raises(InvalidRequest) as caught:
            check(Crowd, {"heads": [{"type": "a.cat", "name": "Tom"}] * count}, Dialect())
        assert caught.value.message == "heads: must contain at most 2 items"
