"""Heads of skills that cost more than they look like."""

from __future__ import annotations

import pytest

from freehold.errors import InvalidRequest
from freehold.skills import frontmatter

GOOD = "name: a\ndescription: d\n"


def parse(head: str) -> frontmatter.Frontmatter:
    return frontmatter.parse(f"---\n{head}---\n".encode())


def merged(levels: int) -> str:
    """Mappings each of which is nine times the one before."""
    lines = ["a0: &a0 {x: y}\n"]
    for level in range(1, levels):
        others = ",".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} {{<<: [{others}]}}\n")
    return "".join(lines) + GOOD


@pytest.mark.parametrize(
    "head",
    [
        "name: " + "[" * 10_000 + "\n",
        "name: " + "[a," * 10_000 + "\n",
        "name: " + "{a: " * 10_000 + "\n",
        "? " * 10_000 + "\n",
        "- " * 10_000 + "\n",
        "".join(" " * depth + "a:\n" for depth in range(300)),
        merged(9),
    ],
    ids=["brackets", "lists", "mappings", "keys", "dashes", "indents", "merging"],
)
def test_refused_before_it_costs_much(head: str) -> None:
    with pytest.raises(InvalidRequest, match=r"SKILL\.md: frontmatter is not valid YAML"):
        parse(head)


def test_what_people_write_is_taken() -> None:
    deep = "metadata:\n" + "".join("  " * depth + "a:\n" for depth in range(1, 20))
    flow = "more: " + "[" * 20 + "]" * 20 + "\n"
    alias = "first: &x [1, 2]\nsecond: *x\n"
    found = parse(GOOD + deep + flow + alias)
    assert (found.name, found.description) == ("a", "d")
