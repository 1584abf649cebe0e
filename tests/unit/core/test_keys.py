"""Keys: what is kept of them finds them and nothing else, and what they reach makes sense."""

from __future__ import annotations

import hashlib
from itertools import product
from math import log2
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core import keys
from freehold.core.ids import ALPHABET
from freehold.core.keys import Kind, Scope

PREFIXES: dict[Kind, str] = {
    "workspace": "sk-ant-api03-",
    "admin": "sk-ant-admin01-",
    "environment": "sk-ant-oat01-",
}
SECRET = 44
KINDS = st.sampled_from(get_args(Kind))
LETTERS = st.sampled_from(ALPHABET)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_new_key_tells_its_kind_and_is_found_again(kind: Kind) -> None:
    fresh = keys.generate(kind)
    body = fresh.text.removeprefix(PREFIXES[kind])
    assert body != fresh.text
    assert set(body) <= set(ALPHABET)
    assert keys.lookup(fresh.text) == fresh.lookup
    assert fresh.lookup.startswith(PREFIXES[kind])
    assert keys.matches(fresh.text, fresh.digest)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_what_is_kept_and_shown_of_a_key_leaves_it_unknown(kind: Kind) -> None:
    fresh = keys.generate(kind)
    assert fresh.text.startswith(fresh.lookup)
    assert len(fresh.text) - len(fresh.lookup) == SECRET
    assert SECRET * log2(len(ALPHABET)) > 257
    body = fresh.text.removeprefix(PREFIXES[kind])
    assert fresh.hint == f"{PREFIXES[kind]}{body[:3]}...{body[-4:]}"
    assert fresh.digest == hashlib.sha256(fresh.text.encode()).hexdigest()


def test_no_two_keys_share_anything_but_their_prefix() -> None:
    made = [keys.generate("workspace") for _ in range(100)]
    assert len({fresh.lookup for fresh in made}) == 100
    assert len({fresh.text[-SECRET:] for fresh in made}) == 100
    # Every place of a key is chance: none has the same character in all of them.
    for place in zip(*(fresh.text.removeprefix("sk-ant-api03-") for fresh in made), strict=True):
        assert len(set(place)) > 1


@given(KINDS, st.integers(0, SECRET - 1), LETTERS)
def test_another_secret_is_found_and_does_not_match(kind: Kind, place: int, letter: str) -> None:
    fresh = keys.generate(kind)
    at = len(fresh.lookup) + place
    other = fresh.text[:at] + letter + fresh.text[at + 1 :]
    assert keys.lookup(other) == fresh.lookup
    assert keys.matches(other, fresh.digest) == (other == fresh.text)


@given(KINDS, st.text(max_size=80))
def test_only_whole_keys_of_ours_are_looked_for(kind: Kind, text: str) -> None:
    for asked in (text, PREFIXES[kind] + text):
        found = keys.lookup(asked)
        if found is not None:
            assert asked.isascii()
            assert asked.startswith(found)
            assert len(asked) - len(found) == SECRET


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_key_that_is_cut_or_longer_or_of_other_characters_is_none_of_ours(kind: Kind) -> None:
    text = keys.generate(kind).text
    for other in ("", text[:-1], text + "1", f" {text}", text[1:], PREFIXES[kind]):
        assert keys.lookup(other) is None
    # As long, but the lookup goes to the database as it is: only ASCII does.
    assert keys.lookup(text[:-1] + "é") is None
    assert keys.lookup(PREFIXES[kind] + "é" + text[len(PREFIXES[kind]) + 1 :]) is None
    assert keys.lookup(text.replace("sk-ant-", "sk-Ant-")) is None


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_a_digest_is_of_the_bytes_that_were_sent(one: bytes, other: bytes) -> None:
    text = one.decode("utf-8", "surrogateescape")
    assert keys.digest(text) == hashlib.sha256(one).hexdigest()
    kept = keys.digest(other.decode("utf-8", "surrogateescape"))
    assert keys.matches(text, kept) == (one == other)


@pytest.mark.parametrize(
    ("kind", "in_workspace", "in_environment"),
    list(product(get_args(Kind), (False, True), (False, True))),
)
def test_a_key_reaches_what_its_kind_says(
    kind: Kind, in_workspace: bool, in_environment: bool
) -> None:
    workspace_id = "wrkspc_1" if in_workspace else None
    environment_id = "env_1" if in_environment else None
    good = {
        ("admin", False, False),
        ("workspace", True, False),
        ("environment", True, True),
    }
    if (kind, in_workspace, in_environment) in good:
        scope = Scope(kind, workspace_id, environment_id)
        assert (scope.workspace_id, scope.environment_id) == (workspace_id, environment_id)
    else:
        with pytest.raises(ValueError, match=f"no scope of a key of kind {kind}: "):
            Scope(kind, workspace_id, environment_id)
