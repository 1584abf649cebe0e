"""Puts one text in the place of another in what streams by, whatever its pieces. Pure.

Used both ways: on the way out secrets take the place of their placeholders, on the way back
placeholders that of secrets.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

_BASIC = re.compile(rb"(?i)(basic[ \t]+)([A-Za-z0-9+/]+={0,2})[ \t]*")
_UNSENDABLE = re.compile(rb"[\0\r\n]")


class Replacer:
    """Replaces needles in a stream; of those that begin at one place the longest.

    What it gives does not depend on how the stream is cut into pieces. It holds back no more
    than the beginning of a needle that a piece may have been cut in.

    Args:
        pairs: What is put in the place of what. A needle has at least one byte.
    """

    def __init__(self, pairs: Mapping[bytes, bytes]) -> None:
        self._pairs = {needle: pairs[needle] for needle in sorted(pairs, key=len, reverse=True)}
        self._longest = max(map(len, pairs), default=0)
        self._kept = b""
        self.replaced = 0
        """How often something was replaced."""

    def feed(self, data: bytes) -> bytes:
        """The next piece of what comes out."""
        return self._take(self._kept + data, final=False)

    def end(self) -> bytes:
        """The rest of it."""
        return self._take(self._kept, final=True)

    def whole(self, data: bytes) -> bytes:
        """All of a text at once."""
        return self._take(data, final=True)

    def _take(self, data: bytes, *, final: bool) -> bytes:
        found = {needle: data.find(needle) for needle in self._pairs}
        found = {needle: at for needle, at in found.items() if at >= 0}
        open_ends = () if final else self._open_ends(data)
        if not found and not open_ends:
            self._kept = b""
            return data
        done, given = 0, []
        while True:
            # Longest first, so that the first of the leftmost is the one.
            needle = min(found, key=found.__getitem__, default=None)
            limit = next((at for at in open_ends if at >= done), len(data))
            if needle is None or found[needle] >= limit:
                break
            given += [data[done : found[needle]], self._pairs[needle]]
            done = found[needle] + len(needle)
            self.replaced += 1
            found = _searched_on(data, found, done)
        self._kept = data[limit:]
        given.append(data[done:limit])
        return b"".join(given)

    def _open_ends(self, data: bytes) -> list[int]:
        """Where a needle may begin whose end is not there yet, in order."""
        start = max(0, len(data) - self._longest + 1)
        places: set[int] = set()
        for needle in self._pairs:
            at = data.find(needle[:1], max(start, len(data) - len(needle) + 1))
            while at >= 0:
                if needle.startswith(data[at:]):
                    places.add(at)
                at = data.find(needle[:1], at + 1)
        return sorted(places)


def _searched_on(data: bytes, found: Mapping[bytes, int], done: int) -> dict[bytes, int]:
    onward = {needle: at if at >= done else data.find(needle, done) for needle, at in found.items()}
    return {needle: at for needle, at in onward.items() if at >= 0}


def in_header(name: bytes, value: bytes, secrets: Mapping[bytes, bytes]) -> bytes:
    """A header's value with secrets in it; also inside the Base64 of ``Basic`` (RFC 7617).

    A secret that no header can hold, since it has a line break, is left out.
    """
    sendable = {p: secret for p, secret in secrets.items() if not _UNSENDABLE.search(secret)}
    changed = Replacer(sendable).whole(value)
    if name.lower() not in {b"authorization", b"proxy-authorization"}:
        return changed
    match = _BASIC.fullmatch(value)
    decoded = None if match is None else _decoded(match[2])
    if match is None or decoded is None:
        return changed
    replacer = Replacer(secrets)
    plain = replacer.whole(decoded)
    return match[1] + base64.b64encode(plain) if replacer.replaced else changed


def in_body(content_type: str, secrets: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The secrets as they are written in a body of this type, so that it stays what it is."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return {p: quote_plus(secret).encode() for p, secret in secrets.items()}
    if kind == "application/json" or kind.endswith("+json"):
        return {p: _in_json(secret) for p, secret in secrets.items()}
    return dict(secrets)


def forms(secret: bytes) -> Iterable[bytes]:
    """The ways in which a server may quote a secret that it was sent."""
    return dict.fromkeys(
        [
            secret,
            _in_json(secret),
            _in_json(secret, ascii_only=True),
            quote_plus(secret).encode(),
            quote(secret, safe="").encode(),
        ]
    )


def header_forms(value: bytes) -> Iterable[bytes]:
    """The same of a header's value that is a secret: with its scheme and without, and the
    password of ``Basic``."""
    scheme, space, token = value.partition(b" ")
    found = [value]
    if space:
        found.append(token)
    if scheme.lower() == b"basic" and (decoded := _decoded(token)) is not None:
        password = decoded.partition(b":")[2]
        found += [decoded, *forms(password)]
    return dict.fromkeys(found)


def fitted(pairs: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """The same pairs, what is put in cut or filled to the length of what it replaces."""
    return {needle: text[: len(needle)].ljust(len(needle), b"*") for needle, text in pairs.items()}


def _in_json(secret: bytes, *, ascii_only: bool = False) -> bytes:
    text = secret.decode("utf-8", "surrogateescape")
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode("utf-8", "surrogateescape")


def _decoded(token: bytes) -> bytes | None:
    try:
        return base64.b64decode(token + b"=" * (-len(token) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
