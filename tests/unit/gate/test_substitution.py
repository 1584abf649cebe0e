"""What goes over a wire in pieces is replaced as if it were whole."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import parse_qs, urlencode

from hypothesis import given
from hypothesis import strategies as st

from freehold.gate.substitution import Replacer, fitted, forms, header_forms, in_body, in_header

# Few letters, so that needles overlap, begin alike and come in each other.
_TEXT = st.binary(max_size=40).map(lambda raw: bytes(b"abc"[byte % 3] for byte in raw))
_NEEDLE = st.binary(min_size=1, max_size=6).map(lambda raw: bytes(b"abc"[b % 3] for b in raw))
_PAIRS = st.dictionaries(_NEEDLE, st.binary(max_size=5), max_size=4)
PLACEHOLDER = b"fhsecret_0123456789"


def plainly(pairs: dict[bytes, bytes], text: bytes) -> bytes:
    """The same by other means: leftmost, then longest, never twice over one byte."""
    if not pairs:
        return text
    needles = sorted(pairs, key=len, reverse=True)
    return re.sub(b"|".join(map(re.escape, needles)), lambda found: pairs[found[0]], text)


def cut(text: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(place % (len(text) + 1) for place in places)
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


@given(_PAIRS, _TEXT, st.lists(st.integers(0, 100), max_size=12))
def test_any_pieces_give_what_the_whole_gives(
    pairs: dict[bytes, bytes], text: bytes, places: list[int]
) -> None:
    replacer = Replacer(pairs)
    got = b"".join(replacer.feed(piece) for piece in cut(text, places)) + replacer.end()
    assert got == plainly(pairs, text) == Replacer(pairs).whole(text)


@given(_PAIRS, _TEXT, st.lists(st.integers(0, 100), max_size=12))
def test_nothing_is_held_back_but_the_beginning_of_a_needle(
    pairs: dict[bytes, bytes], text: bytes, places: list[int]
) -> None:
    same = Replacer({needle: needle for needle in pairs})
    fed = given_out = b""
    for piece in cut(text, places):
        fed, given_out = fed + piece, given_out + same.feed(piece)
        kept = fed[len(given_out) :]
        assert fed.startswith(given_out)
        # What is kept begins one, and is not yet the whole.
        assert not kept or any(needle.startswith(kept) and needle != kept for needle in pairs)


@given(_PAIRS, _TEXT)
def test_fitted_replacements_keep_the_length(pairs: dict[bytes, bytes], text: bytes) -> None:
    assert len(Replacer(fitted(pairs)).whole(text)) == len(text)


@given(st.lists(st.binary(max_size=30), max_size=5), st.lists(st.integers(0, 10_000), max_size=12))
def test_no_placeholder_is_lost(between: list[bytes], places: list[int]) -> None:
    replacer = Replacer({PLACEHOLDER: b"the value"})
    text = PLACEHOLDER.join(between)
    got = b"".join(replacer.feed(piece) for piece in cut(text, places)) + replacer.end()
    assert PLACEHOLDER not in got
    assert got.count(b"the value") == max(0, len(between) - 1) == replacer.replaced


@given(st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_a_secret_arrives_in_json_and_in_forms_as_it_is(secret: str) -> None:
    pairs = {PLACEHOLDER: secret.encode()}
    shown = PLACEHOLDER.decode()
    body = Replacer(in_body("application/json; charset=utf-8", pairs)).whole(
        json.dumps({"key": f"a {shown} b"}).encode()
    )
    assert json.loads(body) == {"key": f"a {secret} b"}
    form = urlencode({"key": f"a {shown} b", "other": "1"}).encode()
    body = Replacer(in_body("application/x-www-form-urlencoded", pairs)).whole(form)
    assert parse_qs(body.decode()) == {"key": [f"a {secret} b"], "other": ["1"]}
    assert in_body("text/plain", pairs) == pairs


def test_a_header_is_filled_in_also_where_it_is_base64() -> None:
    pairs = {PLACEHOLDER: b"s3cret:value"}
    assert in_header(b"X-Key", b"Bearer " + PLACEHOLDER, pairs) == b"Bearer s3cret:value"
    basic = b"Basic " + base64.b64encode(b"me:" + PLACEHOLDER)
    filled = in_header(b"Authorization", basic, pairs)
    assert base64.b64decode(filled.removeprefix(b"Basic ")) == b"me:s3cret:value"
    # Elsewhere Base64 is not opened, and what holds no placeholder stays byte for byte.
    assert in_header(b"X-Key", basic, pairs) == basic
    assert in_header(b"Authorization", b"Basic bWU6eW91", pairs) == b"Basic bWU6eW91"
    assert in_header(b"Authorization", b"Basic !!!", pairs) == b"Basic !!!"


def test_a_secret_with_a_line_break_makes_no_second_header() -> None:
    pairs = {PLACEHOLDER: b"one\r\nHost: two"}
    assert in_header(b"X-Key", PLACEHOLDER, pairs) == PLACEHOLDER
    basic = b"Basic " + base64.b64encode(PLACEHOLDER)
    filled = in_header(b"Authorization", basic, pairs)
    assert base64.b64decode(filled.partition(b" ")[2]) == b"one\r\nHost: two"


def test_forms_in_which_a_secret_is_quoted() -> None:
    assert {b'a"b c/\xc3\xa9', b'a\\"b c/\xc3\xa9', b'a\\"b c/\\u00e9'} <= set(
        forms('a"b c/é'.encode())
    )
    assert b"a%22b%20c%2F%C3%A9" in set(forms('a"b c/é'.encode()))
    value = b"Basic " + base64.b64encode(b"x-access-token:ghs_123")
    assert {value, value[6:], b"x-access-token:ghs_123", b"ghs_123"} <= set(header_forms(value))
    assert {b"Bearer t", b"t"} == set(header_forms(b"Bearer t"))
