"""Paths, slugs, prompt text and merging of memories (spec 9.2, 15.3, 22.4)."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.memory_mounts import HEADING, MountedStore, mount_paths, prompt_block, slug
from freehold.core.memory_paths import (
    ancestors,
    aside,
    content_problem,
    folder,
    merged,
    path_problem,
    rolled_up,
)

STORE = "memstore_01Abc4DefGh5JkLmNpQrStU1"


@pytest.mark.parametrize(
    "path",
    [
        "/a",
        "/notes/todo.md",
        "/...",
        "/.hidden",
        "/.anthropic-memory-store",
        "/with space/ü",
        "/" + "/".join("s" * 20),
        "/" + "x" * 1023,
    ],
)
def test_paths_that_are(path: str) -> None:
    assert path_problem(path) is None


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "must start with /"),
        ("notes", "must start with /"),
        ("/", "empty segments"),
        ("/a/", "empty segments"),
        ("/a//b", "empty segments"),
        ("/./a", "as a segment"),
        ("/a/..", "as a segment"),
        ("/" + "/".join("s" * 21), "at most 20 segments"),
        ("/a\tb", "control characters"),
        ("/a\x7f", "control characters"),
        ("/a\u200b", "format characters"),
        ("/a\u2028", "U+2028"),
        ("/a\u2029", "U+2029"),
        ("/\ud800", "control characters"),
        ("/u\u0308", "Normalization Form C"),
        ("/" + "x" * 1024, "at most 1024 bytes"),
        ("/" + "ü" * 512, "at most 1024 bytes"),
    ],
)
def test_paths_that_are_not(path: str, problem: str) -> None:
    found = path_problem(path)
    assert found is not None
    assert problem in found


def test_contents() -> None:
    assert content_problem("") is None
    assert content_problem("x" * 102_400) is None
    assert content_problem("ü" * 51_200) is None
    assert content_problem("x" * 102_401) == "content must be at most 102400 bytes"
    assert content_problem("ü" * 51_201) == "content must be at most 102400 bytes"
    assert content_problem("a\0b") is not None
    assert content_problem("\udc80") is not None


def test_folders() -> None:
    assert (folder("/a"), folder("/a/b/c")) == ("/", "/a/b/")
    assert (ancestors("/a"), ancestors("/a/b/c")) == ([], ["/a", "/a/b"])
    assert rolled_up(["/", "/b/", "/a/x/y/", "/a/"], "/") == ["/a/", "/b/"]
    assert rolled_up(["/a/x/y/", "/a/", "/a/z/"], "/a/") == ["/a/x/", "/a/z/"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Notes", "notes"),
        ("My  Team's (Notes)!", "my-team-s-notes"),
        ("Größe 2", "gr-e-2"),
        ("K\u212a", "k"),  # the Kelvin sign is no letter of ASCII
        ("日本語", "memstore-01abc4defgh5jklmnpqrstu1"),
        ("---", "memstore-01abc4defgh5jklmnpqrstu1"),
    ],
)
def test_slugs(name: str, expected: str) -> None:
    assert slug(name, STORE) == expected


def test_slugs_that_collide_are_numbered() -> None:
    names = ["Notes", "notes", "Notes 2", "NOTES!"]
    assert mount_paths((name, STORE) for name in names) == [
        "/mnt/memory/notes",
        "/mnt/memory/notes-2",
        "/mnt/memory/notes-2-2",
        "/mnt/memory/notes-3",
    ]


@given(st.lists(st.text(max_size=8), max_size=8))
def test_mount_paths_are_distinct_and_plain(names: list[str]) -> None:
    paths = mount_paths((name, STORE) for name in names)
    assert len(set(paths)) == len(names)
    for path in paths:
        name = path.removeprefix("/mnt/memory/")
        assert name.strip("-") == name != ""
        assert name.isascii()
        assert name.replace("-", "").isalnum()
        assert name == name.lower()


def test_the_block_of_the_system_prompt() -> None:
    stores = [
        MountedStore(STORE, "Notes", "What we know", "read_write", "Read first.", "/mnt/memory/a"),
        MountedStore(STORE, "Rules", "", "read_only", None, "/mnt/memory/b"),
    ]
    assert prompt_block(stores) == (
        "Available stores (write only inside the directories listed below):\n"
        ' - "Notes" → /mnt/memory/a/ (read-write): What we know\n'
        "Read first.\n"
        ' - "Rules" → /mnt/memory/b/ (read-only)'
    )
    assert prompt_block(stores).startswith(HEADING)  # type: ignore[union-attr]
    assert prompt_block([]) is None


def test_setting_aside() -> None:
    tag = ".conflict-ba7816bf8f01"  # sha256("abc")
    assert aside("/a/notes.md", 1, "abc") == f"/a/notes{tag}.md"
    assert aside("/a/.hidden", 1, "abc") == f"/a/.hidden{tag}"
    assert aside("/a.d/b", 0, "abc") == f"/a.d{tag}/b"


def test_merging() -> None:
    base = "one\ntwo\nthree\nfour\n"
    ours = "ONE\ntwo\nthree\nfour\n"
    theirs = "one\ntwo\nthree\nFOUR\nfive\n"
    assert merged(base, ours, theirs) == "ONE\ntwo\nthree\nFOUR\nfive\n"
    assert merged(base, theirs, ours) == "ONE\ntwo\nthree\nFOUR\nfive\n"
    assert merged(base, base + "mine\n", base + "yours\n") is None
    assert merged(base, "one\nTWO\nthree\nfour\n", "one\ntwo\nTHREE\nfour\n") is None
    assert merged("", "mine", "yours") is None


LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d"]), max_size=7).map("".join)


@given(LINES, LINES, LINES)
def test_merging_is_the_same_from_both_sides(base: str, ours: str, theirs: str) -> None:
    assert merged(base, ours, theirs) == merged(base, theirs, ours)


@given(LINES, LINES)
def test_merging_with_no_change_is_the_change(base: str, theirs: str) -> None:
    assert merged(base, base, theirs) == theirs
    assert merged(base, theirs, theirs) == theirs


@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=8, unique=True),
    st.data(),
)
def test_changes_apart_are_both_kept(numbers: list[int], data: st.DataObject) -> None:
    base = [f"line {number}\n" for number in numbers]
    middle = data.draw(st.integers(1, len(base) - 1))
    first = data.draw(st.integers(0, middle - 1))
    last = data.draw(st.integers(middle, len(base) - 1))
    ours, theirs = list(base), list(base)
    ours[first] = "mine\n"
    theirs[last] = "yours\n"
    both = merged("".join(base), "".join(ours), "".join(theirs))
    if last > first + 1:
        assert both == "".join(
            "mine\n" if i == first else "yours\n" if i == last else line
            for i, line in enumerate(base)
        )
    else:
        assert both is None


@given(st.text(max_size=12))
def test_a_path_that_is_taken_can_stand_in_a_file_system(text: str) -> None:
    path = "/" + text
    if path_problem(path) is None:
        assert all(part not in ("", ".", "..") for part in path[1:].split("/"))
        assert unicodedata.normalize("NFC", path) == path
        assert path_problem(aside(path, path.count("/") - 1, "x")) is None
