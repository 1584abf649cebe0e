"""What an environment asks to be installed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.packages import MANAGERS, Packages

SPEC = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).filter(
    lambda text: not text.startswith("-")
)
LISTS = st.dictionaries(st.sampled_from(MANAGERS), st.lists(SPEC, max_size=4))


def packages(**lists: list[str]) -> Packages:
    return Packages.of({"type": "cloud", "packages": lists})


@given(LISTS, st.randoms())
def test_order_and_repetition_mean_nothing(lists: dict[str, list[str]], chance: object) -> None:
    shuffled = {}
    for manager in reversed(list(lists)):
        specs = [*lists[manager], *lists[manager][:1]]
        chance.shuffle(specs)  # type: ignore[attr-defined]
        shuffled[manager] = [f" {spec} " for spec in specs]
    asked = Packages.of({"packages": lists})
    assert Packages.of({"packages": shuffled}) == asked
    assert {m: set(specs) for m, specs in asked} == {m: set(s) for m, s in lists.items() if s}


def test_managers_come_in_the_documented_order() -> None:
    asked = packages(pip=["a"], npm=["a"], go=["a"], gem=["a"], cargo=["a"], apt=["a"])
    assert [manager for manager, _ in asked] == ["apt", "cargo", "gem", "go", "npm", "pip"]


@pytest.mark.parametrize("config", [{"type": "self_hosted"}, {"packages": {"pip": []}}, {}])
def test_nothing_is_asked_for(config: dict[str, object]) -> None:
    assert not Packages.of(config)


@pytest.mark.parametrize("spec", ["--index-url=x", " -r", "-"])
def test_an_option_is_no_package(spec: str) -> None:
    with pytest.raises(ValueError, match=r"config\.packages\.pip"):
        packages(pip=[spec])


def test_a_line_for_people() -> None:
    asked = packages(pip=["a", "b", "c", "d"], apt=["jq"])
    assert str(asked) == "apt: jq; pip: a, b, c and 1 more"


def test_what_is_written_down_says_the_same() -> None:
    asked = packages(pip=["b", "a"], apt=["jq"])
    assert asked.as_json() == {"apt": ["jq"], "pip": ["a", "b"]}
    assert Packages.of({"packages": asked.as_json()}) == asked
