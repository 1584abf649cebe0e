"""Looks names up for the gate, and lets no connection go inward.

Looking up and connecting are one step: the event loop itself, which every connection of the gate
asks for addresses, gives none that lead inside. A name that answers differently the second time
(DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from freehold.core.addresses import Address, Network, inward, parse_address


class Inward(OSError):
    """A name or address leads where no sandbox may go."""


class Unresolved(OSError):
    """A name leads nowhere."""


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


class GuardedLoop(asyncio.SelectorEventLoop):
    """An event loop whose look-ups answer outside addresses or raise :class:`Inward`."""

    rules: Rules | None = None

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        """As the base class's; see above."""
        options["type"] = socket.SOCK_STREAM
        found = await super().getaddrinfo(host, port, **options)
        if self.rules is None:
            raise Inward("the gate has no rules yet")
        addresses = [parse_address(str(entry[4][0]).split("%")[0]) for entry in found]
        self.rules.check(str(host), [one for one in addresses if one is not None])
        return found


async def outside(rules: Rules, host: str, port: int) -> tuple[str, ...]:
    """The addresses of a host, all of them outside.

    Raises:
        Inward: one is not.
        Unresolved: there are none.
    """
    literal = parse_address(host)
    if literal is not None:
        rules.check(host, [literal])
        return (str(literal),)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port)
    except Inward:
        raise
    except (OSError, UnicodeError) as error:
        raise Unresolved(f"{host}: {error}") from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
