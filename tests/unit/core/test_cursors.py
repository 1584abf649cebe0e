from __future__ import annotations

import base64
from zlib import crc32

import pytest

from freehold.core import cursors


def _sealed(body: bytes) -> str:
    """A text with a right checksum over whatever ``body`` is."""
    whole = crc32(body).to_bytes(4, "big") + body
    return "page_" + base64.urlsafe_b64encode(whole).rstrip(b"=").decode()


@pytest.mark.parametrize("body", [b"", b"{", b"7", b"[]", b'["a"]', b'["a","up","next"]'])
def test_a_checksum_alone_makes_no_cursor(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a page cursor"):
        cursors.decode(_sealed(body))


def test_the_seal_of_this_test_is_the_one_that_is_used() -> None:
    assert cursors.decode(_sealed(b'["agents","asc","next",1]')).key == (1,)
