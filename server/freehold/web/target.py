"""What a URL asks for, and whether asking is allowed before anything is looked up.

One parser (httpx2's) reads the URL, and what is checked is what is connected to: there is no second
reading that could come to another host.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx2

from freehold.core.addresses import BAD_PORTS, parse_address
from freehold.core.urls import DEFAULT_PORTS, authority
from freehold.errors import WebError

LONGEST_URL = 2_000
"""Characters. The Messages API's own tool takes 250; pages have longer ones."""

WEB_PORTS = frozenset({80, 443, 8000, 8080, 8443, 8888})
"""Where strangers' web servers listen. Trusted networks may use others too."""

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True)
class Target:
    """One address to fetch.

    Attributes:
        url: As it is shown, without a fragment.
        scheme: ``http`` or ``https``.
        host: A name in lower-case ASCII without a final dot, or an IP address.
        port: With the scheme's default filled in.
        path: Path and query, encoded for the request line.
    """

    url: str
    scheme: str
    host: str
    port: int
    path: bytes

    @property
    def authority(self) -> str:
        """The ``Host`` header."""
        return authority(self.scheme, self.host, self.port)


def parse_target(text: str, base: Target | None = None) -> Target:
    """Read a URL, or the ``Location`` of a redirect seen at ``base``.

    Raises:
        WebError: it cannot be read, or it asks for what is never fetched.
    """
    if len(text) > LONGEST_URL:
        raise WebError("url_too_long", f"the URL is longer than {LONGEST_URL} characters.")
    try:
        url = httpx2.URL(text.strip())
        if base is not None:
            url = httpx2.URL(base.url).join(url)
        url = url.copy_with(fragment=None)
    except (httpx2.InvalidURL, ValueError, TypeError) as error:
        raise WebError("invalid_tool_input", f"the URL cannot be read: {error}.") from None
    if url.scheme not in DEFAULT_PORTS:
        raise WebError("url_not_allowed", "only http and https URLs can be fetched.")
    if url.userinfo:
        raise WebError("url_not_allowed", "a URL with a user name or password is not fetched.")
    host = _host(url.raw_host)
    port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
    if not 0 < port < 65536:
        raise WebError("invalid_tool_input", f"{port} is not a port.")
    if port in BAD_PORTS:
        raise WebError("url_not_allowed", f"port {port} is not one that web pages are served on.")
    return Target(url=str(url), scheme=url.scheme, host=host, port=port, path=url.raw_path)


def _host(raw: bytes) -> str:
    """The host in the one form that is used from here on.

    Raises:
        WebError: it is not a host, or an address written in a way that hides what it is.
    """
    host = raw.decode("ascii").lower()
    if not host:
        raise WebError("invalid_tool_input", "the URL names no host.")
    if "%" not in host and parse_address(host) is not None:
        return host
    host = host.removesuffix(".")
    labels = host.split(".")
    # Resolvers read 0x7f.1, 017700000001 and 2130706433 as 127.0.0.1; nobody means well by them.
    if _NUMBER.fullmatch(labels[-1]):
        raise WebError(
            "url_not_allowed", "a host that is a number is only taken as a plain IPv4 address."
        )
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise WebError("invalid_tool_input", "the URL's host is not a host name.")
    return host
