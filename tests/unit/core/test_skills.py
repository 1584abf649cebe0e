"""What the model and the sandbox are told of skills (spec 16, 22.4)."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.skills import (
    AnnouncedSkill,
    folders,
    location,
    path_problem,
    slug,
    system_block,
)

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]))


def test_no_skills_no_block() -> None:
    assert system_block([]) is None


def test_the_block_names_each_skill_under_the_policy() -> None:
    block = system_block([AnnouncedSkill("pdf", "Reads & <writes>.", location("pdf"))])
    assert block is not None
    assert block.startswith("# Skills usage policy\n")
    assert block.endswith(
        "<available_skills>\n<skill>\n<name>pdf</name>\n"
        "<description>Reads &amp; &lt;writes&gt;.</description>\n"
        "<location>/workspace/skills/pdf/</location>\n</skill>\n</available_skills>"
    )


@given(st.lists(TEXT, min_size=1, max_size=5))
def test_no_description_can_forge_a_skill(descriptions: list[str]) -> None:
    block = system_block([AnnouncedSkill("a", text, "/a/") for text in descriptions])
    assert block is not None
    root = ElementTree.fromstring(block[block.index("<available_skills>") :])  # noqa: S314
    found = [node.text or "" for node in root.iter("description")]
    assert found == [" ".join(text.split()) for text in descriptions]


@given(TEXT)
def test_a_slug_is_kebab_case_and_stays(text: str) -> None:
    made = slug(text)
    assert re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*)?", made)
    assert slug(made) == made


@given(st.lists(st.sampled_from(["a", "a-2", "b"]), max_size=8))
def test_folders_are_never_shared(names: list[str]) -> None:
    made = folders(names)
    assert len(set(made)) == len(names)
    assert all(folder.startswith(name) for folder, name in zip(made, names, strict=True))


@given(st.lists(st.sampled_from(["a", "..", ".", "", "b c", "\\", "c:", "\0"]), max_size=4))
def test_a_path_without_problem_stays_below(parts: list[str]) -> None:
    path = "/".join(parts)
    if path_problem(path) is None:
        assert path
        assert not path.startswith("/")
        assert not {"", ".", ".."} & set(path.split("/"))
        assert not set("\\\0") & set(path)


@pytest.mark.parametrize(
    "path", ["a/" + "\u00e9" * 128, "a/\ud800", "a\x7f", "c:/a", "/a", "a//b", ""]
)
def test_paths_that_no_file_can_have(path: str) -> None:
    assert path_problem(path) is not None
