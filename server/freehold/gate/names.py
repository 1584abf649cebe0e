"""The name service of sandboxes.

A sandbox with limited networking is told one and the same address for every name, and nothing is
looked up: what it then connects to says, in TLS or HTTP, whom it wants, and the gate decides by
that. So a name carries nothing out, and a host that is not allowed is refused in words. One with
unrestricted networking is told the truth, but for names that lead inward: they have that address
too. There is no IPv6 in a sandbox, so names have no addresses of that kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

from freehold.gate import dns
from freehold.gate.policy import Policy
from freehold.gate.resolving import Inward, Rules, Unresolved, outside

_MOST_ADDRESSES = 8
_WAITING = 64
_AT_ONCE = 8
"""Look-ups of one sandbox: the others have theirs to make."""
_PATIENCE = 10.0
"""Seconds without a query after which a connection ends."""


class NameService:
    """Answers the queries of one sandbox.

    Args:
        rules: Which addresses are outside.
        policy: The sandbox's policy, asked for each query.
    """

    def __init__(self, rules: Rules, policy: Callable[[], Policy]) -> None:
        self._rules = rules
        self._policy = policy
        self._looking = asyncio.Semaphore(_AT_ONCE)

    async def answer(self, data: bytes) -> bytes | None:
        """The reply to a query; ``None``: it is none."""
        query = dns.parse(data)
        if query is None:
            return None
        if self._policy().hosts is not None:
            return dns.answer(query, (dns.PLACEHOLDER,))
        if query.kind in {dns.A, dns.ANY}:
            async with self._looking:
                return await self._look_up(query)
        if query.kind in {dns.AAAA, dns.HTTPS}:
            return dns.answer(query, ())
        return dns.failure(query, dns.NOT_IMPLEMENTED)

    async def _look_up(self, query: dns.Query) -> bytes:
        try:
            found = await outside(self._rules, query.name, 0, socket.AF_INET)
        except Inward:
            found = (dns.PLACEHOLDER,)
        except Unresolved as error:
            code = dns.SERVER_FAILURE if error.passing else dns.NO_SUCH_NAME
            return dns.failure(query, code)
        return dns.answer(query, found[:_MOST_ADDRESSES])

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes by TCP, to the connection's end."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            while True:
                head = await asyncio.wait_for(reader.readexactly(2), _PATIENCE)
                (length,) = struct.unpack("!H", head)
                data = await asyncio.wait_for(reader.readexactly(length), _PATIENCE)
                reply = await self.answer(data)
                if reply is None:
                    return
                writer.write(struct.pack("!H", len(reply)) + reply)
                await writer.drain()


class Datagrams(asyncio.DatagramProtocol):
    """Queries that come by UDP."""

    def __init__(self, service: NameService) -> None:
        self._service = service
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers go by."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: Any) -> None:
        """Answer, or drop it as a busy name server does."""
        if len(self._tasks) < _WAITING:
            task = asyncio.get_running_loop().create_task(self._reply(data, address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _reply(self, data: bytes, address: Any) -> None:
        reply = await self._service.answer(data)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, address)
