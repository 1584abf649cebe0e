"""Name queries and their answers, as bytes (RFC 1035). Pure."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

PLACEHOLDER = "198.18.0.1"
"""Of the range for benchmarks (RFC 2544): nobody's address. Whoever connects to it is told by the
gate, in words, why there is no other."""

A, AAAA, HTTPS, ANY = 1, 28, 65, 255
SERVER_FAILURE, NO_SUCH_NAME, NOT_IMPLEMENTED = 2, 3, 4
TTL = 5
MOST = 512
"""Bytes of a query; names are at most 255."""


@dataclass(frozen=True)
class Query:
    """One question."""

    ident: bytes
    flags: int
    name: str
    kind: int
    question: bytes
    """As it came, to be repeated in the answer."""


def parse(data: bytes) -> Query | None:
    """The question in a message; ``None``: not a plain query with one question."""
    if not 17 <= len(data) <= MOST:
        return None
    ident, flags, questions = data[:2], *struct.unpack("!HH", data[2:6])
    # Opcode 0 is a query; answers have the first bit.
    if flags & 0xF800 or questions != 1:
        return None
    at, labels = 12, []
    while True:
        if at >= len(data):
            return None
        length = data[at]
        if length == 0:
            break
        if length > 63 or at + 1 + length > len(data):
            return None
        labels.append(data[at + 1 : at + 1 + length])
        at += 1 + length
    if at + 5 > len(data):
        return None
    kind, family = struct.unpack("!HH", data[at + 1 : at + 5])
    if family != 1:
        return None
    name = b".".join(labels).decode("ascii", "replace").lower()
    return Query(ident, flags, name, kind, data[12 : at + 5])


def answer(query: Query, addresses: tuple[str, ...]) -> bytes:
    """The reply with these IPv4 addresses; without any: the name exists and has none."""
    wanted = addresses if query.kind in {A, ANY} else ()
    records = b"".join(
        b"\xc0\x0c" + struct.pack("!HHIH", A, 1, TTL, 4) + socket.inet_aton(address)
        for address in wanted
    )
    return _head(query, 0, len(wanted)) + query.question + records


def failure(query: Query, code: int) -> bytes:
    """The reply with an error code, one of those above."""
    return _head(query, code, 0) + query.question


def _head(query: Query, code: int, answers: int) -> bytes:
    # Response, recursion desired as asked, recursion available.
    flags = 0x8080 | (query.flags & 0x0100) | code
    return query.ident + struct.pack("!HHHHH", flags, 1, answers, 0, 0)
