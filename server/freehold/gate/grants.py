"""What a sandbox's requests are given on the way out: secrets it does not know. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from freehold.gate.substitution import (
    Replacer,
    fitted,
    forms,
    header_forms,
    in_body,
    in_header,
)

MASKABLE = 8
"""Bytes from which on a secret is looked for in answers: shorter ones occur by chance."""
_MASK = b"[redacted]"
_FRAMING = frozenset(
    b"host content-length transfer-encoding connection te trailer upgrade expect "
    b"proxy-connection keep-alive".split()
)
"""Headers that say where a request goes and where it ends: never with a secret in them."""
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_UNSENDABLE = re.compile(r"[\0\r\n]")

Covers = Callable[[str, str], bool]


@dataclass(frozen=True)
class Variable:
    """An ``environment_variable`` credential (spec 14.4).

    Attributes:
        placeholder: What the sandbox has in its place.
        hosts: ``allowed_hosts`` of the credential, plain; ``None``: any.
        header: Whether it may go into headers.
        body: Whether it may go into bodies.
    """

    placeholder: bytes
    value: bytes = field(repr=False)
    hosts: tuple[str, ...] | None
    header: bool
    body: bool


@dataclass(frozen=True)
class Injection:
    """A header that requests to one place are given.

    Attributes:
        scheme: ``https``, or ``http``.
        host: Plain.
        path: Its own and all below it.
    """

    scheme: str
    host: str
    port: int
    path: str
    header: str
    value: str = field(repr=False)

    def fits(self, scheme: str, host: str, port: int, target: str) -> bool:
        """Whether a request is one of those; not if its path can be read in two ways."""
        if (scheme, host, port) != (self.scheme, self.host, self.port):
            return False
        path = target.partition("?")[0].partition("#")[0]
        return sound(path) and (path == self.path or path.startswith(self.path.rstrip("/") + "/"))


def sound(path: str) -> bool:
    """Whether every server reads this path as it is written: no ``..``, nothing hidden."""
    plain = path
    for _ in range(4):
        plain, before = unquote(plain), plain
        if plain == before:
            break
    else:
        return False
    segments = plain.split("/")
    return (
        path.startswith("/")
        and plain.count("/") == path.count("/")
        and not {"", ".", ".."}.intersection(segments[1:-1])
        and segments[-1] not in {".", ".."}
        and not any(char in plain for char in "\\;?#\0")
        and all(" " < char < "\x7f" for char in path)
    )


@dataclass(frozen=True)
class Grants:
    """All that one sandbox's requests are given."""

    variables: tuple[Variable, ...] = ()
    injections: tuple[Injection, ...] = ()

    @classmethod
    def parse(cls, value: Mapping[str, Any], plain: Callable[[str], str]) -> Grants:
        """The grants in a message of the server.

        Raises:
            ValueError, KeyError, TypeError: they are none.
        """
        return cls(
            variables=tuple(_variable(one, plain) for one in value.get("variables", ())),
            injections=tuple(_injection(one, plain) for one in value.get("injections", ())),
        )

    def names(self, host: str, covers: Covers) -> bool:
        """Whether a request to this host could be given anything over TLS."""
        return any(one.host == host and one.scheme == "https" for one in self.injections) or any(
            _covered(one, host, covers) for one in self.variables
        )

    def injected(self, scheme: str, host: str, port: int, target: str) -> Injection | None:
        """What a request is given of itself; of several the one with the longest path."""
        fitting = [one for one in self.injections if one.fits(scheme, host, port, target)]
        return max(fitting, key=lambda one: len(one.path), default=None)

    def exchange(
        self, scheme: str, host: str, port: int, target: str, covers: Covers
    ) -> Exchange | None:
        """What there is to do for a request and its answer; ``None``: nothing."""
        variables: tuple[Variable, ...] = ()
        if scheme == "https":
            variables = tuple(one for one in self.variables if _covered(one, host, covers))
        injection = self.injected(scheme, host, port, target)
        if not variables and injection is None:
            return None
        return Exchange(variables, injection)


NO_GRANTS = Grants()


class Exchange:
    """One request to a host that is trusted with secrets, and its answer."""

    def __init__(self, variables: Sequence[Variable], injection: Injection | None) -> None:
        self._header = {one.placeholder: one.value for one in variables if one.header}
        self._body = {one.placeholder: one.value for one in variables if one.body}
        self._injection = injection
        self._masks: dict[bytes, bytes] = {}
        for one in variables:
            self._masks |= dict.fromkeys(forms(one.value), one.placeholder)
        if injection is not None:
            self._masks |= dict.fromkeys(header_forms(injection.value.encode()), _MASK)
        self.used = False
        """Whether a header has a secret now."""

    def headers(self, fields: Sequence[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
        """The request's headers as they are sent."""
        given: list[tuple[bytes, bytes]] = []
        injected = None if self._injection is None else self._injection.header.lower().encode()
        for name, value in fields:
            lowered = name.lower()
            if lowered == injected:
                continue
            sent = value
            if lowered not in _FRAMING:
                sent = in_header(name, value, self._header)
            if sent != value:
                self.used = True
                # In Base64 it looks like nothing that is looked for otherwise.
                self._masks[sent] = value
                self._masks[sent.rpartition(b" ")[2]] = value.rpartition(b" ")[2]
            given.append((name, sent))
        if self._injection is not None and injected is not None:
            self.used = True
            given.append((injected, self._injection.value.encode()))
        return tuple(given)

    def body(self, content_type: str) -> Replacer | None:
        """Puts secrets into a body of this type; ``None``: none may go there."""
        return Replacer(in_body(content_type, self._body)) if self._body else None

    def mask(self, *, same_length: bool = False) -> Replacer:
        """Takes secrets out of an answer again."""
        pairs = {text: shown for text, shown in self._masks.items() if len(text) >= MASKABLE}
        return Replacer(fitted(pairs) if same_length else pairs)


def _covered(variable: Variable, host: str, covers: Covers) -> bool:
    return variable.hosts is None or any(covers(entry, host) for entry in variable.hosts)


def _variable(value: Mapping[str, Any], plain: Callable[[str], str]) -> Variable:
    hosts = value["hosts"]
    placeholder, secret = str(value["placeholder"]), str(value["value"])
    if not placeholder or not secret:
        raise ValueError("a variable needs a placeholder and a value")
    return Variable(
        placeholder=placeholder.encode(),
        value=secret.encode(),
        hosts=None if hosts is None else tuple(plain(str(host)) for host in hosts),
        header=bool(value["header"]),
        body=bool(value["body"]),
    )


def _injection(value: Mapping[str, Any], plain: Callable[[str], str]) -> Injection:
    found = Injection(
        scheme=str(value["scheme"]),
        host=plain(str(value["host"])),
        port=int(value["port"]),
        path=str(value["path"]),
        header=str(value["header"]),
        value=str(value["value"]),
    )
    if (
        found.scheme not in {"https", "http"}
        or not sound(found.path)
        or not _HEADER_NAME.fullmatch(found.header)
        or found.header.lower().encode() in _FRAMING
        or _UNSENDABLE.search(found.value)
    ):
        raise ValueError("an injection needs a scheme, a path and a header")
    return found
