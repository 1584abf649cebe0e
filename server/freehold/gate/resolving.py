"""Looks names up for the gate, and lets no connection go inward.

Looking up and connecting are one step: the event loop itself, which every connection of the gate
asks for addresses, gives none that lead inside. A name that answers differently the second time
(DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

from freehold.core.addresses import Address, Network, inward, parse_address


class Inward(OSError):
    """A name or address leads where no sandbox may go."""


class Unresolved(OSError):
    """A name leads nowhere."""

    passing = False
    """Whether the name servers failed, and may know it a moment later."""


class Rules:
    """Which addresses count as outside.

    Attributes:
        trusted: Ranges that the operator opened.
        own: Addresses of the machine itself, which stay closed even in ranges that are open.
    """

    def __init__(self) -> None:
        self.trusted: tuple[Network, ...] = ()
        self.own: frozenset[Address] = frozenset()

    def check(self, host: str, addresses: Sequence[Address]) -> None:
        """Raises:
        Inward: one of the addresses is inside; which of them is used is chance.
        """
        for address in addresses:
            if address in self.own or inward(address, self.trusted):
                raise Inward(f"{host} leads to a private or reserved address")

    def is_inward(self, host: str) -> bool:
        """Whether this is an address that no sandbox may reach; a name is not."""
        literal = parse_address(host)
        try:
            self.check(host, [] if literal is None else [literal])
        except Inward:
            return True
        return False


class GuardedLoop(asyncio.SelectorEventLoop):
    """An event loop whose look-ups answer outside addresses or raise :class:`Inward`."""

    _lookups = 48
    """At once: each waits for a name server, most for a millisecond and some for many seconds."""

    def __init__(self, rules: Rules) -> None:
        super().__init__()
        self.rules = rules
        self.set_default_executor(ThreadPoolExecutor(self._lookups, "names"))

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        """As the base class's; see above."""
        options["type"] = socket.SOCK_STREAM
        found = await super().getaddrinfo(host, port, **options)
        addresses = [parse_address(str(entry[4][0]).split("%")[0]) for entry in found]
        self.rules.check(str(host), [one for one in addresses if one is not None])
        return found


async def outside(
    rules: Rules, host: str, port: int, family: int = socket.AF_UNSPEC
) -> tuple[str, ...]:
    """The addresses of a host, all of them outside.

    Args:
        rules: Which those are.
        host: Name or address.
        port: Where to.
        family: ``AF_INET``: only addresses of IPv4 are asked for.

    Raises:
        Inward: one is not.
        Unresolved: there are none.
    """
    literal = parse_address(host)
    if literal is not None:
        rules.check(host, [literal])
        return (str(literal),)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, family=family)
    except Inward:
        raise
    except (OSError, UnicodeError) as error:
        unresolved = Unresolved(f"{host}: {error}")
        passing = (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM, socket.EAI_MEMORY)
        unresolved.passing = getattr(error, "errno", None) in passing
        raise unresolved from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def own_addresses() -> list[str]:
    """The addresses of the machine, or container, that this runs in, as far as its system tells."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        lines = Path("/proc/net/fib_trie").read_text(encoding="ascii").splitlines()
        for before, line in itertools.pairwise(lines):
            if "host LOCAL" in line:
                found.add(before.split()[-1])
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines():
            found.add(str(IPv6Address(int(line.split()[0], 16))))
    with contextlib.suppress(OSError):
        for entry in socket.getaddrinfo(socket.gethostname(), None):
            found.add(str(entry[4][0]).split("%")[0])
    return sorted(found)


def gateways() -> list[str]:
    """Where packets that leave this container go first: on a bridge of an engine, its host."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]:
            packed = struct.pack("=L", int(line.split()[2], 16))
            found.add(socket.inet_ntoa(packed))
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/ipv6_route").read_text(encoding="ascii").splitlines():
            found.add(str(IPv6Address(int(line.split()[4], 16))))
    return sorted(found - {"0.0.0.0", "::"})  # noqa: S104 - an address, and not bound to
