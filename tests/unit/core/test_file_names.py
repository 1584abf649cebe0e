"""Names and types of files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.file_names import (
    fitting,
    last_component,
    mime_type_of,
    name_problem,
    unnamed,
)


@given(st.text(alphabet=st.characters(), max_size=600), st.sampled_from(["text/plain", "a/b", ""]))
def test_a_fitting_name_has_no_problem(name: str, mime_type: str) -> None:
    assert name_problem(fitting(name, mime_type)) is None


@given(st.text(max_size=300).filter(lambda name: name_problem(name) is None))
def test_a_name_without_a_problem_fits_as_it_is(name: str) -> None:
    assert fitting(name, "a/b") == name
    assert last_component(name) == name


@given(st.text(), st.text())
def test_a_type_always_looks_like_one(declared: str, name: str) -> None:
    kind, slash, rest = mime_type_of(declared, name).partition("/")
    assert kind
    assert slash
    assert rest
    assert len(kind) + len(rest) < 255


@pytest.mark.parametrize(
    ("mime_type", "name"),
    [
        ("text/plain", "unnamed.txt"),
        ("image/jpeg", "unnamed.jpg"),
        ("application/pdf", "unnamed.pdf"),
        ("application/octet-stream", "unnamed"),
        ("what/ever", "unnamed"),
    ],
)
def test_files_without_a_name(mime_type: str, name: str) -> None:
    assert unnamed(mime_type) == name


@pytest.mark.parametrize(
    ("declared", "name", "mime_type"),
    [
        ("Text/CSV; header=present", "a.bin", "text/csv"),
        (None, "REPORT.PDF", "application/pdf"),
        (None, "archive.tar.gz", "application/gzip"),
        (None, "a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (None, "README", "application/octet-stream"),
        ("nonsense", "a.png", "image/png"),
    ],
)
def test_types(declared: str | None, name: str, mime_type: str) -> None:
    assert mime_type_of(declared, name) == mime_type


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "characters long"),
        ("x" * 256, "characters long"),
        ("..", "must be the name of a file"),
        ("a/b", "must not contain any of"),
        ("a\ud800", "must be valid Unicode"),
    ],
)
def test_names_with_a_problem(name: str, problem: str) -> None:
    assert problem in (name_problem(name) or "")


def test_a_long_name_keeps_its_ending() -> None:
    assert fitting("x" * 600 + ".md", "text/markdown").endswith("x.md")
    assert fitting("x" * 600, "text/plain") == "x" * 255
    assert fitting("a\ud800?.txt", "text/plain") == "a__.txt"
