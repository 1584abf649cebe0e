"""Undoing ``Content-Encoding`` without ever holding more than was asked for."""

from __future__ import annotations

import zlib
from typing import Protocol

ACCEPTED = "gzip, deflate"


class Decoder(Protocol):
    """Turns what came over the wire into the body, piece by piece."""

    def decode(self, data: bytes, room: int) -> bytes:
        """At most ``room + 1`` bytes more of the body: one too many says that there is too much.

        Raises:
            ValueError: the data is not what it claims to be.
        """
        ...


class Identity:
    """No encoding."""

    def decode(self, data: bytes, room: int) -> bytes:
        """See :class:`Decoder`."""
        return data[: room + 1]


class Inflate:
    """gzip, zlib, or the bare deflate that some servers send under the name of zlib."""

    def __init__(self) -> None:
        # 32: gzip and zlib by their headers.
        self._inflate = zlib.decompressobj(32 + zlib.MAX_WBITS)
        self._first = True

    def decode(self, data: bytes, room: int) -> bytes:
        """See :class:`Decoder`."""
        if self._inflate.eof:
            return b""
        try:
            found = self._inflate.decompress(data, room + 1)
        except zlib.error as error:
            if not self._first:
                raise ValueError(str(error)) from None
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                found = self._inflate.decompress(data, room + 1)
            except zlib.error:
                raise ValueError(str(error)) from None
        self._first = self._first and not data
        # What is left over only exists where the room was not enough, which ends the fetch.
        return found


def decoder_for(encoding: str) -> Decoder | None:
    """The decoder of a ``Content-Encoding``; ``None`` for one that was not asked for."""
    match encoding.strip().lower():
        case "" | "identity":
            return Identity()
        case "gzip" | "x-gzip" | "deflate":
            return Inflate()
        case _:
            return None
