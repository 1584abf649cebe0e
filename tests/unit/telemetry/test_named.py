"""However an answer comes in pieces, the key is in none of them and no other byte changes."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from freehold.telemetry import starred

KEY = b"aabaac"
_pieces = st.lists(st.text("abc", max_size=8).map(str.encode), max_size=12)


async def passed_on(pieces: list[bytes]) -> list[bytes]:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return [piece async for piece in starred(body(), KEY)]


@given(_pieces, st.lists(st.integers(0, 40), max_size=4))
async def test_the_key_never_passes(pieces: list[bytes], cuts: list[int]) -> None:
    whole = KEY.join(pieces)
    places = sorted({0, *(cut for cut in cuts if cut < len(whole)), len(whole)})
    split = [whole[a:b] for a, b in itertools.pairwise(places)]
    passed = await passed_on(split)
    assert b"".join(passed) == whole.replace(KEY, b"******")
    assert all(passed)


async def test_what_is_no_key_does_not_wait() -> None:
    assert await passed_on([b"data: x\n\n", b"data: aab", b"aab"]) == [
        b"data: x\n\n",
        b"data: ",
        b"aab",
        b"aab",
    ]
