"""Where the server's git may connect to; see :mod:`freehold.guard`."""

from __future__ import annotations

import asyncio
import contextlib

from freehold.core.addresses import parse_address
from freehold.errors import RepositoryError
from freehold.guard import MOST_TRIED, Guard, Reason

_CONNECT_SECONDS = 10.0


class GitNetwork(Guard):
    """The guard for a program that makes its own connections: it is told a checked address."""

    def refusal(self, reason: Reason, host: str, port: int) -> RepositoryError:
        """See :class:`Guard`."""
        match reason:
            case "unresolved":
                return RepositoryError("clone", f"the name {host} could not be resolved")
            case "inward":
                return RepositoryError(
                    "clone",
                    f"{host} does not lead to a public address; the operator of this server can "
                    "open networks of its own (FREEHOLD_TRUSTED_NETWORKS)",
                )
            case "port" | "no host":
                return RepositoryError("clone", f"port {port} belongs to another protocol")

    async def pin(self, host: str, port: int) -> str:
        """An address of the host that may be connected to and answers.

        Raises:
            RepositoryError: there is none.
        """
        for address in (await self._checked(host, port))[:MOST_TRIED]:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CONNECT_SECONDS):
                    _, writer = await asyncio.open_connection(str(address), port)
                writer.close()
                return str(address)
        raise RepositoryError("clone", f"{host} cannot be reached at port {port}", retryable=True)


def resolve_option(host: str, port: int, address: str) -> str | None:
    """The value of git's ``http.curloptResolve``; ``None``: the host is the address."""
    if parse_address(host) is not None:
        return None
    shown = f"[{address}]" if ":" in address else address
    return f"{host}:{port}:{shown}"
