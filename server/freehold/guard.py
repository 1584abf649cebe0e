"""The guard against server-side request forgery: look up, check, connect to what was checked.

Everything that the server connects to because a client, a model or a page said so goes through
here: pages, MCP servers, token endpoints. Looking up and connecting are one step, so a name that
answers differently the second time (DNS rebinding) is never asked a second time. TLS and HTTP are
told the name, as ever; only the socket is given the address.
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal

import httpcore2

from freehold.core.addresses import BAD_PORTS, Address, Network, inward, parse_address

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a name and a port to addresses. Raises OSError where there are none."""

Reason = Literal["inward", "port", "unresolved", "no host"]
"""Why no connection is made; ``no host``: a socket of this machine was asked for."""

MOST_TRIED = 4
"""Addresses of one host that are tried one after the other."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """The machine's own resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Guard(httpcore2.AsyncNetworkBackend, ABC):
    """Connects to outside addresses, and to those that ``trusted`` opens.

    Args:
        trusted: Internal ranges that the operator opened.
        resolver: How names are looked up.
        network: What makes the sockets; it is only ever given addresses.
    """

    def __init__(
        self,
        trusted: Sequence[Network] = (),
        resolver: Resolve = resolve,
        network: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        self._trusted = tuple(trusted)
        self._resolve = resolver
        self._network = network or httpcore2.AnyIOBackend()

    @abstractmethod
    def refusal(self, reason: Reason, host: str, port: int) -> Exception:
        """What is raised; nobody must learn from it where a name leads inside."""

    def admits(self, port: int, *, opened: bool) -> bool:
        """Whether this port may be connected to; ``opened``: in trusted networks."""
        return port not in BAD_PORTS

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the host if all that it stands for may be connected to.

        Raises:
            Exception: it may not; see :meth:`refusal`.
            httpcore2.ConnectError, httpcore2.ConnectTimeout: nobody answers.
        """
        addresses = await self._checked(host, port)
        failure: Exception | None = None
        for address in addresses[:MOST_TRIED]:
            try:
                return await self._network.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore2.ConnectError("no address")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never.

        Raises:
            Exception: always; see :meth:`refusal`.
        """
        raise self.refusal("no host", "", 0)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def _checked(self, host: str, port: int) -> list[Address]:
        literal = parse_address(host)
        if literal is not None:
            addresses = [literal]
        else:
            try:
                texts = await self._resolve(host, port)
            except (OSError, UnicodeError):
                texts = ()
            addresses = [one for one in map(parse_address, texts) if one is not None]
            if not addresses or len(addresses) != len(texts):
                raise self.refusal("unresolved", host, port)
        # One inward address among many is enough: which of them is used is chance.
        if any(inward(address, self._trusted) for address in addresses):
            raise self.refusal("inward", host, port)
        if not self.admits(port, opened=all(map(self._opened, addresses))):
            raise self.refusal("port", host, port)
        return addresses

    def _opened(self, address: Address) -> bool:
        return any(
            address in network for network in self._trusted if network.version == address.version
        )
