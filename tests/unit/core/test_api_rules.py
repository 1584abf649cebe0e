"""Cursors, metadata and host names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core import cursors, limits
from freehold.core.cursors import Cursor
from freehold.core.domains import allowed_host_problem, web_domain_problem
from freehold.core.ids import is_id
from freehold.core.merge import metadata_problem, patch_metadata
from freehold.core.workspaces import DEFAULT_WORKSPACE

KEYS = st.lists(st.integers(-(2**63), 2**63 - 1) | st.text(max_size=30), max_size=3).map(tuple)
BAG = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=5)


@given(
    st.builds(
        Cursor,
        st.sampled_from(["agents", "sessions"]),
        st.sampled_from(["asc", "desc"]),
        st.sampled_from(["next", "prev"]),
        KEYS,
    )
)
def test_cursors_come_back(cursor: Cursor) -> None:
    text = cursors.encode(cursor)
    assert text.startswith("page_")
    assert text.isascii()
    assert cursors.decode(text) == cursor


@given(st.text(max_size=80) | st.text(alphabet="page_AZaz09-=", max_size=80).map("page_".__add__))
def test_other_texts_are_refused_cleanly(text: str) -> None:
    with pytest.raises(ValueError, match="not a page cursor"):
        cursors.decode(text)


@given(st.integers(0, 40), st.sampled_from("ABab09-_"))
def test_a_changed_cursor_is_refused(index: int, letter: str) -> None:
    text = cursors.encode(Cursor("agents", "desc", "next", (1_700_000_000_000_000, "agent_x")))
    place = 5 + index
    changed = text[:place] + letter + text[place + 1 :]
    if changed != text:
        with pytest.raises(ValueError, match="not a page cursor"):
            cursors.decode(changed)


def test_a_cursor_with_a_foreign_key_is_refused() -> None:
    made: Any = Cursor("agents", "desc", "next", (2**63,))
    with pytest.raises(ValueError, match="not a page cursor"):
        cursors.decode(cursors.encode(made))


@given(BAG, st.dictionaries(st.text(max_size=5), st.none() | st.text(max_size=5), max_size=5))
def test_patching(stored: dict[str, str], patch: dict[str, str | None]) -> None:
    before = dict(stored)
    merged = patch_metadata(stored, patch)
    assert stored == before
    for key in {*stored, *patch}:
        expected = patch.get(key, stored.get(key))
        assert merged.get(key) == expected
        assert (key in merged) == (expected is not None)
    assert patch_metadata(merged, patch) == merged
    emptied = patch_metadata(stored, patch, empty_deletes=True)
    assert emptied == {
        key: value for key, value in merged.items() if not (key in patch and value == "")
    }


def test_metadata_at_its_limits() -> None:
    full = {f"{n:0{limits.METADATA_KEY}}": "v" * limits.METADATA_VALUE for n in range(16)}
    assert metadata_problem(full) is None
    assert metadata_problem({}) is None
    assert "17 entries" in str(metadata_problem({**full, "k": ""}))
    assert metadata_problem({"k" * 65: ""}) is not None
    assert metadata_problem({"": ""}) is not None
    assert metadata_problem({"k": "v" * 513}) is not None


@pytest.mark.parametrize(
    "host", ["example.com", "docs.example.com", "EXAMPLE.com", "xn--bcher-kva.example", "a-b.co"]
)
def test_domains_that_web_tools_take(host: str) -> None:
    assert web_domain_problem(host, path=False) is None
    assert web_domain_problem(f"{host}/guide/x", path=True) is None


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("bücher.example", "ASCII"),
        ("https://example.com", "scheme"),
        ("example.com/x", "path"),
        ("*.example.com", "wildcards"),
        ("10.0.0.1", "IP addresses"),
        ("::1", "IP addresses"),
        ("1.2.3", "IP addresses"),
        ("example.com:80", "port"),
        ("example..com", "hostname"),
        ("-x.com", "hostname"),
        ("example.com.", "hostname"),
        ("a" * 64 + ".com", "hostname"),
        ("", "hostname"),
        ("printer.local", ".local"),
        ("localhost", ".localhost"),
        ("x.internal", ".internal"),
        ("intranet", "single-label"),
        ("co.uk", "public suffixes"),
        ("github.io", "public suffixes"),
    ],
)
def test_domains_that_they_do_not(host: str, reason: str) -> None:
    assert reason in str(web_domain_problem(host, path=False))


@pytest.mark.parametrize("path", ["x y", "a?b", "a#b", "*"])
def test_paths_that_they_do_not(path: str) -> None:
    assert web_domain_problem(f"example.com/{path}", path=True) is not None


@pytest.mark.parametrize(
    "host", ["example.com", "*.example.com", "localhost", "192.0.2.1", "2001:db8::1", "a_b.example"]
)
def test_hosts_that_networking_takes(host: str) -> None:
    assert allowed_host_problem(host) is None


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("https://example.com", "scheme"),
        ("example.com/x", "path"),
        ("a.*.com", "wildcard"),
        ("*", "wildcard"),
        ("*.com", "wildcard needs a domain"),
        ("*.10.0.0.1", "wildcard needs a domain"),
        ("example.com:443", "port"),
        ("", "not a valid host"),
        ("a b", "not a valid host"),
    ],
)
def test_hosts_that_it_does_not(host: str, reason: str) -> None:
    assert reason in str(allowed_host_problem(host))


def test_the_workspace_is_an_id_and_stays() -> None:
    assert DEFAULT_WORKSPACE == "wrkspc_01" + "1" * 22
    assert is_id("wrkspc", DEFAULT_WORKSPACE)
