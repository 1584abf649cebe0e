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
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from freehold.core.addresses import parse_address, parse_network
from freehold.gate import dns
from freehold.gate.grants import NO_GRANTS
from freehold.gate.policy import NOTHING, Policy
from freehold.gate.resolving import Inward, Rules, Unresolved, outside

log = logging.getLogger(__name__)

ATTACH = "attach.sock"
CONTROL = "control.sock"
LONGEST_LINE = 8 * 2**20
_DNS_PORT = 53
_SO_ORIGINAL_DST = 80


class Attachment:
    """One sandbox's sockets, and what it may reach."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.policy: Policy = NOTHING
        self.servers: list[asyncio.AbstractServer] = []
        self.names: asyncio.DatagramTransport | None = None
        self.connections: set[asyncio.StreamWriter] = set()

    def close(self) -> None:
        """Serve it no longer, and end what is open."""
        for server in self.servers:
            server.close()
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
            listener, datagrams, names = sockets
        except (ValueError, KeyError, TypeError):
            for one in sockets:
                one.close()
            raise ValueError("not what the gate expects") from None
        for one in sockets:
            one.setblocking(False)
        self._forget_sockets(key)
        attachment = self._attached[key] = Attachment(key)
        attachment.policy = self._policies.get(key, NOTHING)
        task = asyncio.get_running_loop().create_task(
            self._listen(attachment, listener, datagrams, names)
        )
        task.add_done_callback(_tell)

    async def _listen(
        self,
        attachment: Attachment,
        listener: socket.socket,
        datagrams: socket.socket,
        names: socket.socket,
    ) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            attachment.connections.add(writer)
            try:
                await self._serve(attachment, reader, writer)
            finally:
                attachment.connections.discard(writer)

        async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            attachment.connections.add(writer)
            try:
                await self._name_stream(attachment, reader, writer)
            finally:
                attachment.connections.discard(writer)
                writer.close()

        loop = asyncio.get_running_loop()
        attachment.servers.append(await asyncio.start_server(connected, sock=listener))
        attachment.servers.append(await asyncio.start_server(asked, sock=names))
        attachment.names, _ = await loop.create_datagram_endpoint(
            lambda: _Names(self, attachment), sock=datagrams
        )
        if self._attached.get(attachment.key) is not attachment:
            attachment.close()

    async def _name_stream(
        self, attachment: Attachment, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            while True:
                head = await asyncio.wait_for(reader.readexactly(2), 10)
                (length,) = struct.unpack("!H", head)
                reply = await self.answer(attachment, await reader.readexactly(length))
                if reply is None:
                    return
                writer.write(struct.pack("!H", len(reply)) + reply)
                await writer.drain()

    async def answer(self, attachment: Attachment, data: bytes) -> bytes | None:
        """The reply to a name query of a sandbox; ``None``: it is none."""
        query = dns.parse(data)
        if query is None:
            return None
        policy = attachment.policy
        if policy.hosts is not None:
            return dns.answer(query, (dns.PLACEHOLDER,))
        if query.kind not in {dns.A, dns.ANY}:
            return dns.answer(query, ())
        try:
            found = await outside(self._rules, query.name, 0)
        except Inward:
            # Told in words to whoever connects.
            return dns.answer(query, (dns.PLACEHOLDER,))
        except Unresolved:
            return dns.failure(query, 3)
        return dns.answer(query, tuple(one for one in found if ":" not in one)[:8])

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
                self._rules.own = frozenset(one for one in own if one is not None)
                await self._configure(message["authority"])
            case "policy":
                policy = Policy.parse(message["policy"])
                key = str(message["key"])
                self._policies[key] = policy
                if (attachment := self._attached.get(key)) is not None:
                    attachment.policy = policy
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


class _Names(asyncio.DatagramProtocol):
    """Name queries by UDP."""

    _most = 64

    def __init__(self, desk: Desk, attachment: Attachment) -> None:
        self._desk = desk
        self._attachment = attachment
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: Any) -> None:
        # Beyond that they are dropped, as a busy resolver does.
        if len(self._tasks) < self._most:
            task = asyncio.get_running_loop().create_task(self._reply(data, address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _reply(self, data: bytes, address: Any) -> None:
        reply = await self._desk.answer(self._attachment, data)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, address)


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
