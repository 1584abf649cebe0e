"""Where webhooks may go, and the endpoints that the settings name (spec 20.1, 20.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from freehold.core import limits
from freehold.core.addresses import BAD_PORTS, Network, inward, parse_address
from freehold.core.domains import allowed_host_problem
from freehold.core.urls import DEFAULT_PORTS, http_url_problem
from freehold.core.webhooks import DATA_TYPES, secret_problem

_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_INSIDE = ("localhost", "local", "internal", "localdomain", "home.arpa")


def url_problem(url: str, opened: Sequence[Network]) -> str | None:
    """Why nothing is delivered to this URL; ``None`` if it may be tried.

    Outside there is only HTTPS on port 443. Where internal networks are ``opened``, a name may
    lead into them, and there plain HTTP and other ports are taken; whether it does is seen when
    it is connected to.
    """
    if len(url) > limits.WEBHOOK_URL:
        return f"must be at most {limits.WEBHOOK_URL} characters"
    if (problem := http_url_problem(url)) is not None:
        return problem
    if not url.isascii():
        return "must be ASCII; write names in punycode and escape the rest"
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").removesuffix(".")
    port = parts.port or DEFAULT_PORTS[scheme]
    address = parse_address(host)
    if address is not None:
        if inward(address, opened):
            return "must lead to a public address"
        inside = inward(address)
    else:
        inside = bool(opened)
        # What ends in a number is an address to resolvers, however it is written.
        if allowed_host_problem(host) is not None or _NUMBER.fullmatch(host.rpartition(".")[2]):
            return "must name a host"
        if not inside and (
            "." not in host or any(host == end or host.endswith(f".{end}") for end in _INSIDE)
        ):
            return "must name a public host"
    # On the port of HTTPS nothing tells a public address from an opened one.
    if scheme != "https" and (not inside or port == DEFAULT_PORTS["https"]):
        return "must begin with https://"
    if port != DEFAULT_PORTS["https"] and (not inside or port in BAD_PORTS):
        return "must use port 443"
    return None


class ConfiguredEndpoint(BaseModel):
    """One of ``[[webhooks]]`` in the settings file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=limits.WEBHOOK_NAME)
    """Tells endpoints of the settings apart; the id is made from it."""
    url: str
    secret: SecretStr
    """What deliveries are signed with: ``whsec_`` and base64."""
    events: tuple[str, ...] = Field(default=DATA_TYPES, min_length=1)
    """Which types are delivered. Default: all."""

    @field_validator("secret")
    @classmethod
    def _can_sign(cls, value: SecretStr) -> SecretStr:
        if (problem := secret_problem(value.get_secret_value())) is not None:
            raise ValueError(problem)
        return value

    @field_validator("events")
    @classmethod
    def _are_types(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if text not in DATA_TYPES:
                raise ValueError(f"{text}: no webhook has this type")
        return tuple(dict.fromkeys(value))

    def __str__(self) -> str:
        """Fit to be shown: neither the secret nor what a URL's path and query may hold of one."""
        host = urlsplit(self.url).hostname if http_url_problem(self.url) is None else None
        return f"{self.name} ({host or 'no URL'})"
