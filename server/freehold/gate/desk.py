"""Where sandboxes are known to the gate: their sockets, their policies, and who tells of them.

Two sockets in a folder that only the gate's container and :mod:`freehold.gate.attach` see: at
``attach`` come the sockets of a namespace, at ``control`` the server speaks, in lines of JSON.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import logging
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from freehold.core.addresses import parse_address, parse_network
from freehold.gate.grants import NO_GRANTS
from freehold.gate.names import Datagrams, NameService
from freehold.gate.passing import reset
from freehold.gate.policy import NOTHING, Policy
from freehold.gate.resolving import Rules, gateways, own_addresses

log = logging.getLogger(__name__)

ATTACH = "attach.sock"
CONTROL = "control.sock"
LONGEST_LINE = 8 * 2**20
MOST_CONNECTIONS = 1024
"""Of one sandbox at a time: the gate's descriptors are for all."""
_WAITING = 128
_SO_ORIGINAL_DST = 80


class Attachment:
    """One sandbox's sockets, and what it may reach."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.policy: Policy = NOTHING
        self.servers: list[asyncio.AbstractServer] = []
        self.names: asyncio.DatagramTransport | None = None
        self.connections: set[asyncio.StreamWriter] = set()
        self.other: socket.socket | None = None
        """For ports other than the web's; refuses them until it listens."""

    def close(self) -> None:
        """Serve it no longer, and end what is open."""
        for server in self.servers:
            server.close()
        if self.other is not None:
            self.other.close()
        if self.names is not None:
            self.names.close()
        for writer in list(self.connections):
            writer.transport.abort()


Serve = Callable[[Attachment, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What handles a connection that a sandbox made."""


class Desk:
    """All sandboxes of the gate.

    Args:
        rules: Which addresses are outside; the server sets them.
        serve: Handles connections.
        configure: Takes the authority (PEM, key and certificate) on the first message of a server.
    """

    def __init__(
        self, rules: Rules, serve: Serve, configure: Callable[[str], Awaitable[None]]
    ) -> None:
        self.incarnation = secrets.token_hex(8)
        self._rules = rules
        self._serve = serve
        self._configure = configure
        self._attached: dict[str, Attachment] = {}
        self._policies: dict[str, Policy] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        here = (parse_address(text) for text in (*own_addresses(), *gateways()))
        self._here = frozenset(one for one in here if one is not None)
        """The gate's own addresses, and its host's: closed even in ranges that are open."""
        self._server: str | None = None

    async def open(self, folder: Path) -> None:
        """Begin to listen in ``folder``."""
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.setblocking(False)
        for name in (ATTACH, CONTROL):
            with contextlib.suppress(FileNotFoundError):
                (folder / name).unlink()
        line.bind(str(folder / ATTACH))
        # `attach` runs as another user; the folder is shared with nobody else.
        (folder / ATTACH).chmod(0o666)
        line.listen(16)
        asyncio.get_running_loop().add_reader(line.fileno(), self._accept, line)
        await asyncio.start_unix_server(self._talk, folder / CONTROL, limit=LONGEST_LINE)
        (folder / CONTROL).chmod(0o600)

    # --- sockets of namespaces

    def _accept(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError):
            peer, _ = line.accept()
            peer.settimeout(5)
            with peer:
                try:
                    self._take(peer)
                except (OSError, ValueError, KeyError) as error:
                    peer.send(str(error).encode()[:1000])
                else:
                    peer.send(b"ok")

    def _take(self, peer: socket.socket) -> None:
        room = socket.CMSG_SPACE(8 * array.array("i").itemsize)
        data, control, _, _ = peer.recvmsg(4096, room)
        fds = array.array("i")
        for level, kind, payload in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
        sockets = [socket.socket(fileno=fd) for fd in fds]
        try:
            key = json.loads(data)["key"]
            web, other, datagrams, names = sockets
        except (ValueError, KeyError, TypeError):
            for one in sockets:
                one.close()
            raise ValueError("not what the gate expects") from None
        for one in sockets:
            one.setblocking(False)
        self._forget_sockets(key)
        attachment = self._attached[key] = Attachment(key)
        attachment.policy = self._policies.get(key, NOTHING)
        attachment.other = other
        self._go_on(self._listen(attachment, web, datagrams, names))
        self._open_other(attachment)

    async def _listen(
        self,
        attachment: Attachment,
        web: socket.socket,
        datagrams: socket.socket,
        names: socket.socket,
    ) -> None:
        async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            attachment.connections.add(writer)
            try:
                await service.converse(reader, writer)
            finally:
                attachment.connections.discard(writer)
                writer.close()

        service = NameService(self._rules, lambda: attachment.policy)
        loop = asyncio.get_running_loop()
        await self._accept_on(attachment, web)
        attachment.servers.append(await asyncio.start_server(asked, sock=names))
        attachment.names, _ = await loop.create_datagram_endpoint(
            lambda: Datagrams(service), sock=datagrams
        )
        if self._attached.get(attachment.key) is not attachment:
            attachment.close()

    def _open_other(self, attachment: Attachment) -> None:
        """Serve all ports of a sandbox whose networking is unrestricted, once that is known."""
        if attachment.policy.hosts is None and attachment.other is not None:
            other, attachment.other = attachment.other, None
            other.listen(_WAITING)
            self._go_on(self._accept_on(attachment, other))

    async def _accept_on(self, attachment: Attachment, listener: socket.socket) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if len(attachment.connections) >= MOST_CONNECTIONS:
                reset(writer)
                return
            attachment.connections.add(writer)
            try:
                await self._serve(attachment, reader, writer)
            finally:
                attachment.connections.discard(writer)

        server = await asyncio.start_server(connected, sock=listener, backlog=_WAITING)
        attachment.servers.append(server)
        if self._attached.get(attachment.key) is not attachment:
            attachment.close()

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_tell)

    # --- the server

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := await reader.readline():
                message = json.loads(line)
                try:
                    reply = {"ok": True, **await self._obey(message)}
                except Exception as error:
                    # Not its text: it might repeat what was in the message.
                    reply = {"ok": False, "error": type(error).__name__}
                writer.write(json.dumps({"id": message.get("id"), **reply}).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _obey(self, message: dict[str, Any]) -> dict[str, Any]:
        match message["op"]:
            case "configure":
                if message.get("server") != self._server:
                    # What the server before it granted may have been changed since.
                    self._forget_grants()
                self._server = message.get("server")
                self._rules.trusted = tuple(parse_network(text) for text in message["trusted"])
                own = (parse_address(text) for text in message["own"])
                self._rules.own = self._here | {one for one in own if one is not None}
                await self._configure(message["authority"])
            case "policy":
                policy = Policy.parse(message["policy"])
                key = str(message["key"])
                self._policies[key] = policy
                if (attachment := self._attached.get(key)) is not None:
                    attachment.policy = policy
                    self._open_other(attachment)
            case "forget":
                key = str(message["key"])
                self._policies.pop(key, None)
                self._forget_sockets(key)
            case "state":
                pass
            case other:
                raise ValueError(other)
        return {"incarnation": self.incarnation, "attached": sorted(self._attached)}

    def _forget_grants(self) -> None:
        self._policies = {k: replace(p, grants=NO_GRANTS) for k, p in self._policies.items()}
        for attachment in self._attached.values():
            attachment.policy = replace(attachment.policy, grants=NO_GRANTS)

    def _forget_sockets(self, key: str) -> None:
        if (attachment := self._attached.pop(key, None)) is not None:
            attachment.close()


def original_destination(line: socket.socket) -> tuple[str, int]:
    """Where a connection that was turned to the gate wanted to go.

    Raises:
        OSError: it was not turned.
    """
    packed = line.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16)
    port, address = struct.unpack("!2xH4s8x", packed)
    return socket.inet_ntoa(address), port


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a sandbox's sockets cannot be served: %s", error)
