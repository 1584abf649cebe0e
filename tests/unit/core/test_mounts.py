"""Where resources are mounted: one form for every path, and nothing inside of anything else."""

from __future__ import annotations

import posixpath
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.mounts import UPLOADS, of_file, of_repository, overlap

PARTS = st.sampled_from(
    ["", ".", "..", "a", "b", "data.csv", "mnt", "session", "uploads", "é", " "]
)
PATHS = st.one_of(
    st.lists(PARTS, max_size=7).map(lambda parts: "/" + "/".join(parts)),
    st.lists(PARTS, max_size=4).map(lambda parts: UPLOADS + "/" + "/".join(parts)),
    st.lists(PARTS, max_size=4).map("/".join),
    st.text(max_size=40),
)


def taken(path: str) -> str | None:
    try:
        return of_file("file_1", path)
    except ValueError:
        return None


@given(PATHS)
def test_a_file_is_mounted_in_one_form_under_the_uploads(path: str) -> None:
    found = taken(path)
    if found is None:
        parts = path.split("/")
        assert (
            ".." in parts
            or any(ord(char) < 32 or ord(char) == 127 for char in path)
            or posixpath.normpath("/" + path).replace("//", "/") == "/"
            or posixpath.normpath(path).replace("//", "/") == UPLOADS
        )
        return
    assert found.startswith(UPLOADS + "/")
    assert posixpath.normpath(found) == found
    assert of_file("file_2", found) == found
    plain = posixpath.normpath("/" + path.lstrip("/"))
    assert found in (plain, UPLOADS + plain)
    absolute = path.startswith("/")
    assert (found == plain) == (absolute and plain.startswith(UPLOADS + "/"))


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), max_size=6))
def test_overlaps_are_found_whatever_the_order(parts: list[list[str]]) -> None:
    paths = ["/" + "/".join(one) for one in parts]

    def inside(one: str, other: str) -> bool:
        return (one + "/").startswith(other + "/") or (other + "/").startswith(one + "/")

    clashes = {
        (one, other)
        for one, other in combinations(range(len(paths)), 2)
        if inside(paths[one], paths[other])
    }
    found = overlap(paths)
    assert found in clashes if clashes else found is None


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        (None, f"{UPLOADS}/file_1"),
        ("/data.csv", f"{UPLOADS}/data.csv"),
        (f"{UPLOADS}/data.csv", f"{UPLOADS}/data.csv"),
        (f"{UPLOADS}x/data.csv", f"{UPLOADS}{UPLOADS}x/data.csv"),
        ("//a/./b/", f"{UPLOADS}/a/b"),
        ("/workspace/data.csv", f"{UPLOADS}/workspace/data.csv"),
        # As the SDKs' own examples write it.
        ("data.csv", f"{UPLOADS}/data.csv"),
        ("./a//data.csv", f"{UPLOADS}/a/data.csv"),
        (UPLOADS[1:], f"{UPLOADS}{UPLOADS}"),
    ],
)
def test_places_of_files(wanted: str | None, path: str) -> None:
    assert of_file("file_1", wanted) == path


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("", "must name more than the root"),
        (".", "must name more than the root"),
        ("a/../b", 'must not contain ".."'),
        ("/", "must name more than the root"),
        ("/./", "must name more than the root"),
        (UPLOADS, f"must name a file in {UPLOADS}"),
        (f"{UPLOADS}/.", f"must name a file in {UPLOADS}"),
        ("/a/../b", 'must not contain ".."'),
        ("/a\nb", "must not contain control characters"),
        ("/a\0b", "must not contain control characters"),
        ("/" + "é" * 128, "no part of it may be longer than 255 bytes"),
        ("/a" * 2040, "must be at most 4095 bytes"),  # with the folder in front
    ],
)
def test_no_places_for_files(wanted: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        of_file("file_1", wanted)


def test_places_of_repositories() -> None:
    assert of_repository("tool", None) == "/workspace/tool"
    assert of_repository("tool", "/workspace//src/") == "/workspace/src"
    assert of_repository("tool", "/home/agent/src") == "/home/agent/src"
    assert of_repository("skills", None) == "/workspace/skills"


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("/workspace", "must name a folder in /workspace"),
        ("/etc/tool", "/etc belongs to the sandbox's system"),
        ("/mnt", "/mnt/session is not for repositories"),
        (f"{UPLOADS}/tool", "/mnt/session is not for repositories"),
        ("/mnt/session/outputs", "/mnt/session is not for repositories"),
        ("/mnt/memory/notes", "/mnt/memory is not for repositories"),
        ("/workspace/../etc", r'must not contain "\.\."'),
        # Relative to what, nobody says: unlike files, repositories have no folder of their own.
        ("tool", "must be an absolute path"),
        ("", "must be an absolute path"),
    ],
)
def test_no_places_for_repositories(wanted: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        of_repository("tool", wanted)


def test_a_repository_cannot_take_the_place_of_skills() -> None:
    with pytest.raises(ValueError, match="/workspace/skills is not for repositories"):
        of_repository("skills", None, has_skills=True)
    with pytest.raises(ValueError, match="/workspace/skills is not for repositories"):
        of_repository("tool", "/workspace/skills/tool", has_skills=True)
