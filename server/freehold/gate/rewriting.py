"""Puts secrets into requests and takes them out of answers, as they pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mitmproxy import http

from freehold.gate.grants import Exchange
from freehold.gate.substitution import Replacer

WAITED_FOR = 2**20
"""Bytes up to which a body whose length is told is held until it is whole."""


def outgoing(request: http.Request, exchange: Exchange) -> None:
    """Put secrets into a request that is about to be sent.

    A small body is waited for, so that its length can be told. A larger one streams, and HTTP/1
    has to send it in chunks since its length is not known any more.
    """
    request.headers.fields = exchange.headers(request.headers.fields)
    replacer = exchange.body(request.headers.get("content-type", ""))
    length = _length(request.headers)
    if "content-encoding" in request.headers:
        replacer = None  # Packed, nothing is seen in it.
    if replacer is not None and length is not None and length > WAITED_FOR:
        if request.http_version == "HTTP/1.0":
            replacer = None  # It knows no chunks.
        else:
            del request.headers["content-length"]
            if request.http_version == "HTTP/1.1":
                request.headers["transfer-encoding"] = "chunked"
    bodiless = not length and request.method in {"GET", "HEAD"}
    if exchange.used or (replacer is not None and not bodiless):
        # Packed, a secret in the answer would not be seen.
        request.headers["accept-encoding"] = "identity"
    if replacer is None:
        request.stream = True
    elif length is None or length > WAITED_FOR:
        request.stream = _streamed(replacer)


def outgoing_body(request: http.Request, exchange: Exchange) -> None:
    """The same for a body that was waited for."""
    content = request.raw_content
    if request.stream or not content:
        return
    replacer = exchange.body(request.headers.get("content-type", ""))
    if replacer is not None:
        request.raw_content = replacer.whole(content)
        request.headers["content-length"] = str(len(request.raw_content))


def incoming(response: http.Response, exchange: Exchange, *, bodiless: bool) -> None:
    """Take secrets out of the head of an answer, and say how its body comes."""
    response.headers.fields = _masked(exchange.mask(), response.headers.fields)
    length = _length(response.headers)
    if bodiless or "content-encoding" in response.headers:
        response.stream = True
    elif length is None:
        response.stream = _streamed(exchange.mask())
    elif length > WAITED_FOR:
        response.stream = _streamed(exchange.mask(same_length=True))


def incoming_body(response: http.Response, exchange: Exchange) -> None:
    """The same for a body that was waited for, and for what follows one that was not."""
    mask = exchange.mask()
    if response.trailers:
        response.trailers.fields = _masked(mask, response.trailers.fields)
    content = response.raw_content
    if content and not response.stream:
        response.raw_content = mask.whole(content)
        if "content-length" in response.headers:
            response.headers["content-length"] = str(len(response.raw_content))


def _streamed(replacer: Replacer) -> Callable[[bytes], list[bytes]]:
    def take(data: bytes) -> list[bytes]:
        given = replacer.feed(data) if data else replacer.end()
        # Nothing, in chunks, would be the end.
        return [given] if given else []

    return take


def _masked(
    mask: Replacer, fields: Sequence[tuple[bytes, bytes]]
) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name, mask.whole(value)) for name, value in fields)


def _length(headers: http.Headers) -> int | None:
    try:
        return int(headers["content-length"])
    except (KeyError, ValueError):
        return None
