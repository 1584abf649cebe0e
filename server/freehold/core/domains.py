"""Host names as the API takes them: for web tools (spec 12.6) and for networking (spec 3.2)."""

from __future__ import annotations

import ipaddress
import re

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_MAX_HOST = 253

_PRIVATE_SUFFIXES = ("local", "internal", "localdomain", "invalid", "localhost")

# Public suffixes of two labels that people are likeliest to write by mistake. The whole list
# has ten thousand entries and changes weekly; single labels are refused in any case.
_PUBLIC_SUFFIXES = frozenset(
    f"{second}.{top}"
    for top, seconds in {
        "uk": "co org ac gov me ltd plc net sch nhs",
        "au": "com net org edu gov id asn",
        "nz": "co net org ac govt geek school",
        "jp": "co ne or ac go ed ad gr lg",
        "br": "com net org gov edu",
        "in": "co net org ac gov firm gen ind",
        "za": "co net org ac gov web",
        "kr": "co ne or ac go re pe",
        "cn": "com net org gov edu ac",
        "tw": "com net org gov edu idv",
        "hk": "com net org gov edu idv",
        "sg": "com net org gov edu per",
        "mx": "com net org gob edu",
        "ar": "com net org gob edu",
        "tr": "com net org gov edu",
        "il": "co net org ac gov muni",
        "io": "github gitlab",
        "app": "netlify vercel web pages",
        "com": "herokuapp blogspot",
        "dev": "pages workers",
    }.items()
    for second in seconds.split()
)


def web_domain_problem(text: str, *, path: bool) -> str | None:
    """Why a web tool cannot take this domain; ``None`` if it can.

    ``path`` allows a path after the host, as ``web_search`` does.
    """
    host, slash, rest = text.partition("/")
    problem: str | None = None
    if not text.isascii():
        problem = "only ASCII domains are supported; write the name in punycode"
    elif "://" in text:
        problem = "a scheme is not supported; use a plain hostname like docs.example.com"
    elif slash and not path:
        problem = "a path is not supported; use a plain hostname like docs.example.com"
    elif slash and re.search(r"[\s?#*]", rest):
        problem = "a path may not have spaces, wildcards, a query or a fragment"
    elif "*" in host:
        problem = "wildcards are not supported; a domain covers its subdomains"
    elif is_ip(host):
        problem = "IP addresses are not supported; use a plain hostname like docs.example.com"
    elif ":" in host:
        problem = "a port is not supported; use a plain hostname like docs.example.com"
    elif not _is_host(host):
        problem = "not a valid hostname"
    else:
        labels = host.lower().split(".")
        if labels[-1] in _PRIVATE_SUFFIXES:
            problem = f"names under .{labels[-1]} are not supported"
        elif len(labels) == 1:
            problem = "single-label names are not supported"
        elif host.lower() in _PUBLIC_SUFFIXES:
            problem = "public suffixes are not supported; use a registrable domain"
    return problem


def allowed_host_problem(text: str) -> str | None:
    """Why ``allowed_hosts`` cannot take this entry; ``None`` if it can."""
    host = text.removeprefix("*.")
    problem: str | None = None
    if "://" in text:
        problem = "a scheme is not allowed; use a bare host or *.domain"
    elif "/" in text:
        problem = "a path is not allowed; use a bare host or *.domain"
    elif "*" in host:
        problem = "a wildcard is only allowed as the first label, as in *.example.com"
    elif not is_ip(text) and ":" in host:
        problem = "a port is not allowed; use a bare host or *.domain"
    elif host != text and (is_ip(host) or "." not in host):
        problem = "a wildcard needs a domain, as in *.example.com"
    elif not is_ip(text) and not _is_host(host):
        problem = "not a valid host"
    return problem


def covers(entry: str, host: str) -> bool:
    """Whether an ``allowed_hosts`` entry covers a host (spec 3.2).

    An entry is a host or ``*.domain``, which covers every depth below the domain and never the
    domain itself.
    """
    entry, host = entry.lower().removesuffix("."), host.lower().removesuffix(".")
    if entry.startswith("*."):
        return host.endswith(entry[1:]) and len(host) >= len(entry)
    return host == entry


def is_ip(text: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address, with or without brackets."""
    try:
        ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return re.fullmatch(r"[0-9.]+", text) is not None
    return True


def _is_host(text: str) -> bool:
    return len(text) <= _MAX_HOST and _HOST.fullmatch(text) is not None
