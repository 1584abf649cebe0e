"""Fetching one page: redirects, limits, and what it is (spec 12.6)."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

import httpcore2

from freehold import __version__
from freehold.core.web_rules import DomainRules
from freehold.errors import WebError
from freehold.ports.web import Page
from freehold.web.converting import Converter, Form
from freehold.web.decoding import ACCEPTED, decoder_for
from freehold.web.guard import GuardedNetwork
from freehold.web.target import Target, parse_target

MOST_REDIRECTS = 20
MOST_BYTES = 10 * 1024 * 1024
"""Of a body, as it comes and unpacked."""
FETCH_SECONDS = 30.0
"""From the first look-up to the last byte, redirects included: a trickle does not last longer."""
SILENCE_SECONDS = 10.0
"""For a connection, and between two pieces of an answer."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SNIFFED = 1_024
_AGENT = f"Freehold/{__version__} (web_fetch)"


@dataclass(frozen=True)
class Limits:
    """What one fetch may take."""

    redirects: int = MOST_REDIRECTS
    size: int = MOST_BYTES
    seconds: float = FETCH_SECONDS
    silence: float = SILENCE_SECONDS


@dataclass(frozen=True)
class _Body:
    target: Target
    media_type: str
    charset: str | None
    data: bytes


class Fetcher:
    """Fetches pages for agents.

    Every request stands for itself: no cookie, credential or referrer is ever sent, so there is
    nothing that a redirect could carry to another host.

    Args:
        network: Where connections come from; see :mod:`freehold.web.guard`.
        converter: What makes text of bodies.
        tls: Whom to trust.
        limits: What one fetch may take.
    """

    def __init__(
        self,
        network: GuardedNetwork,
        converter: Converter,
        tls: ssl.SSLContext,
        limits: Limits | None = None,
    ) -> None:
        self._network = network
        self._converter = converter
        self._tls = tls
        self._limits = limits or Limits()

    async def fetch(self, url: str, rules: DomainRules, *, longest: int) -> Page:
        """See :meth:`freehold.ports.web.Web.fetch`."""
        target = parse_target(url)
        try:
            async with asyncio.timeout(self._limits.seconds):
                body = await self._follow(target, rules)
        except TimeoutError:
            raise WebError("url_not_accessible", f"{target.host} took too long.") from None
        form = _form(body)
        if form is None:
            raise WebError(
                "unsupported_content_type",
                f"{body.media_type or 'data of an unknown type'} cannot be read as text.",
            )
        found = await self._converter.convert(
            form, body.data, charset=body.charset, url=body.target.url, longest=longest
        )
        return Page(
            url=body.target.url, title=found.title or body.target.url, text=found.text[:longest]
        )

    async def _follow(self, target: Target, rules: DomainRules) -> _Body:
        for _ in range(self._limits.redirects + 1):
            if (refusal := rules.refusal(target.host)) is not None:
                raise WebError("url_not_allowed", refusal)
            answer = await self._request(target)
            if isinstance(answer, _Body):
                return answer
            target = answer
        raise WebError("url_not_accessible", f"more than {self._limits.redirects} redirects.")

    async def _request(self, target: Target) -> _Body | Target:
        """The body, or where to look for it."""
        # A pool of its own: what one page opened is of no use to another, and may not be.
        pool = httpcore2.AsyncConnectionPool(
            ssl_context=self._tls,
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=self._network,
        )
        silence = self._limits.silence
        try:
            async with (
                pool,
                pool.stream(
                    b"GET",
                    httpcore2.URL(
                        scheme=target.scheme.encode(),
                        host=target.host.encode(),
                        port=target.port,
                        target=target.path,
                    ),
                    headers=_headers(target),
                    extensions={"timeout": dict.fromkeys(("connect", "read", "write"), silence)},
                ) as response,
            ):
                return await self._take(target, response)
        except httpcore2.TimeoutException:
            raise WebError("url_not_accessible", f"{target.host} did not answer in time.") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, ssl.SSLError, OSError) as error:
            reason = str(error).strip() or type(error).__name__
            raise WebError("url_not_accessible", f"{target.host}: {reason[:200]}.") from None

    async def _take(self, target: Target, response: httpcore2.Response) -> _Body | Target:
        headers = {name.lower(): value for name, value in reversed(response.headers)}

        def header(name: bytes) -> str:
            return headers.get(name, b"").decode("latin-1").strip()

        status = response.status
        if status in _REDIRECTS and (location := header(b"location")):
            return parse_target(_as_text(location), target)
        if status == 429:
            raise WebError("too_many_requests", f"{target.host} answers 429: try again later.")
        if not 200 <= status < 300:
            raise WebError("url_not_accessible", f"{target.host} answers with status {status}.")
        media_type, charset = _content_type(header(b"content-type"))
        decoder = decoder_for(header(b"content-encoding"))
        if decoder is None:
            raise WebError(
                "url_not_accessible", f"{target.host} sent an encoding nobody asked for."
            )
        length = header(b"content-length")
        most = self._limits.size
        if length.isdigit() and int(length[:20]) > most:
            raise _too_large(most)
        data = bytearray()
        wire = 0
        async for piece in response.aiter_stream():
            wire += len(piece)
            try:
                data += decoder.decode(piece, most - len(data))
            except ValueError:
                raise WebError("url_not_accessible", "the answer cannot be unpacked.") from None
            if wire > most or len(data) > most:
                raise _too_large(most)
        return _Body(target, media_type, charset, bytes(data))


def _too_large(most: int) -> WebError:
    return WebError("content_too_large", f"the page is larger than {most // 1024 // 1024} MiB.")


def _headers(target: Target) -> list[tuple[bytes, bytes]]:
    return [
        (b"Host", target.authority.encode()),
        (b"User-Agent", _AGENT.encode()),
        (b"Accept", b"text/html,application/xhtml+xml,text/*;q=0.9,application/pdf,*/*;q=0.5"),
        (b"Accept-Encoding", ACCEPTED.encode()),
        (b"Connection", b"close"),
    ]


def _as_text(location: str) -> str:
    """Headers are bytes; where those are UTF-8, that is what was meant."""
    try:
        return location.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return location


def _content_type(value: str) -> tuple[str, str | None]:
    media_type, *parameters = value.split(";")
    for parameter in parameters:
        name, _, given = parameter.partition("=")
        if name.strip().lower() == "charset":
            return media_type.strip().lower(), given.strip().strip("\"'") or None
    return media_type.strip().lower(), None


def _form(body: _Body) -> Form | None:
    """How to read a body: by its type, and where that says nothing by how it begins."""
    kind = body.media_type
    start = body.data[:_SNIFFED].lstrip()
    if kind == "application/pdf" or start.startswith(b"%PDF-"):
        return "pdf"
    if kind in {"text/html", "application/xhtml+xml"}:
        return "html"
    if kind in {"", "application/octet-stream", "binary/octet-stream"}:
        if b"\0" in start:
            return None
        head = start.lower()
        return "html" if head.startswith(b"<!doctype html") or b"<html" in head else "text"
    if kind.startswith("text/") or kind.endswith(("+json", "+xml", "+yaml")):
        return "text"
    if kind.removeprefix("application/") in _TEXTUAL:
        return "text"
    return None


_TEXTUAL = frozenset(
    {
        *("json", "xml", "yaml", "x-yaml", "toml", "javascript", "x-javascript", "ecmascript"),
        *("x-sh", "x-ndjson", "jsonl", "sql", "graphql", "x-tex"),
    }
)
