"""Glob patterns."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.toolbox.patterns import PathPattern, expand_braces, segment_regex

_names = st.text("ab.-[]", min_size=1, max_size=6)
_simple = st.text("ab.*?-", min_size=1, max_size=6)


@given(_simple, _names)
def test_a_segment_matches_what_fnmatch_matches(pattern: str, name: str) -> None:
    assert bool(segment_regex(pattern).match(name)) == fnmatch.fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.py", "deep/er/a.py", True),
        ("*.py", "a.pyc", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/deep/a.py", False),
        ("src/**/*.py", "src/a.py", True),
        ("src/**/*.py", "src/x/y/a.py", True),
        ("src/**", "src/x/y", True),
        ("**/test/**", "a/test/b/c", True),
        ("**/test/**", "a/b/c", False),
        ("{a,b/c}/*", "b/c/d", True),
        ("*.{ts,tsx}", "x/App.tsx", True),
        ("[!a]x", "bx", True),
        ("[!a]x", "ax", False),
        ("[]]", "]", True),
        ("[", "[", True),
        ("a\\*", "a*", True),
        ("a\\*", "ab", False),
        ("a{b}", "a{b}", True),
    ],
)
def test_paths(pattern: str, path: str, fits: bool) -> None:
    assert PathPattern(pattern).matches(path) is fits


def test_braces_expand_inside_out() -> None:
    assert expand_braces("a{b,c{d,e}}f") == ["abf", "acdf", "acef"]
    assert expand_braces("plain") == ["plain"]
    assert expand_braces("{,x}y") == ["xy", "y"]


def test_braces_do_not_explode() -> None:
    with pytest.raises(ValueError, match="too many"):
        expand_braces("{a,b}" * 30)


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_text_is_a_pattern_or_refused(pattern: str, path: str) -> None:
    try:
        fitting = PathPattern(pattern)
    except ValueError:
        return
    assert fitting.matches(path) in (True, False)
