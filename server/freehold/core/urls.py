"""What URLs name: whether anything can be asked of one, and which two are the same (spec 12.5)."""

from __future__ import annotations

from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65_535


def http_url_problem(url: str) -> str | None:
    """Why nothing can be asked of this URL; ``None`` if it can."""
    if any(char <= " " or char == "\x7f" for char in url):
        return "must not contain spaces or control characters"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is not a valid URL"
    if parts.scheme.lower() not in DEFAULT_PORTS:
        return "must begin with https:// or http://"
    if not parts.hostname:
        return "must name a host"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user name or a password"
    if port is not None and not 0 < port <= _MAX_PORT:
        return "is not a valid URL"
    return None


def normalised(url: str) -> str:
    """The form under which a server and its credential are matched.

    Scheme and host in lower case, without default port, trailing slash and fragment. What is no
    URL stays as it is: it still equals itself.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    if not parts.hostname:
        return url
    scheme, host = parts.scheme.lower(), parts.hostname.lower()
    query = f"?{parts.query}" if parts.query else ""
    return f"{scheme}://{authority(scheme, host, port)}{parts.path.rstrip('/')}{query}"


def authority(scheme: str, host: str, port: int | None) -> str:
    """Host and port as a URL has them, without the port that the scheme means anyway."""
    if ":" in host:
        host = f"[{host}]"
    return host if port in {None, DEFAULT_PORTS.get(scheme)} else f"{host}:{port}"
