"""TLS and HTTP of the gate: mitmproxy's core between a sandbox and the host it asks for."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from pathlib import Path

from mitmproxy import http, options
from mitmproxy.addons import proxyserver, tlsconfig
from mitmproxy.master import Master
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import events, layer, layers, mode_specs, server_hooks
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.http import HTTPMode, HttpStream
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler

from freehold.core.addresses import parse_address
from freehold.gate.desk import Attachment, original_destination
from freehold.gate.passing import relay, reset
from freehold.gate.policy import INWARD, host_of
from freehold.gate.resolving import Inward, Rules, Unresolved, outside

log = logging.getLogger(__name__)

WEB_PORTS = (80, 443)
SYSTEM_TRUST = "/etc/ssl/certs/ca-certificates.crt"
_REFUSED_BODY = 65536
"""Bytes kept of the body of a request that is refused; the rest is thrown away as it comes."""


class Proxy:
    """Serves connections of sandboxes. Nothing is served before :meth:`configure`."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._master: Master | None = None
        self._authority: str | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="authority-"))
        self._clients: dict[str, Attachment] = {}
        self._mode = mode_specs.ProxyMode.parse("transparent")

    async def configure(self, authority: str) -> None:
        """Sign with this authority: a PEM with key and certificate."""
        if authority == self._authority:
            return
        path = self._folder / "mitmproxy-ca.pem"
        fresh = path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(authority)
        fresh.replace(path)
        chosen = options.Options()
        master = Master(chosen)
        # Told what it does not find, which is meant: see Gatekeeper.next_layer.
        logging.getLogger("mitmproxy.addons.proxyserver").setLevel(logging.ERROR)
        master.addons.add(proxyserver.Proxyserver(), tlsconfig.TlsConfig(), Gatekeeper(self))
        # After the addons are there, which learn of each option now.
        chosen.update(
            confdir=str(self._folder),
            server=False,
            connection_strategy="lazy",
            upstream_cert=False,
            ssl_verify_upstream_trusted_ca=SYSTEM_TRUST,
            http3=False,
        )
        self._master, self._authority = master, authority

    async def serve(
        self, attachment: Attachment, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One connection, to its end."""
        try:
            destination = original_destination(writer.get_extra_info("socket"))
        except OSError:
            writer.transport.abort()
            return
        if self._master is None:
            writer.transport.abort()
        elif self._unopened(attachment, destination):
            await relay(reader, writer, *destination)
        elif destination[1] in WEB_PORTS:
            # Told in words what is not open, too.
            await self._web(self._master, attachment, destination, reader, writer)
        else:
            reset(writer)

    def _unopened(self, attachment: Attachment, destination: tuple[str, int]) -> bool:
        """Whether a connection goes where it wants to, whatever is in it."""
        host, port = destination
        if attachment.policy.hosts is not None or self._rules.is_inward(host):
            return False
        return attachment.policy.passes_all or port not in WEB_PORTS

    async def _web(
        self,
        master: Master,
        attachment: Attachment,
        destination: tuple[str, int],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        handler = ProxyConnectionHandler(master, reader, writer, master.options, self._mode)
        context = handler.layer.context
        handler.layer = modes.TransparentProxy(context)
        context.client.sockname = destination
        context.server.address = destination
        self._clients[context.client.id] = attachment
        try:
            await handler.handle_client()
        finally:
            self._clients.pop(context.client.id, None)

    async def refusal(self, flow: http.HTTPFlow) -> str | None:
        """Why this request may not go on; ``None``: it may, and the flow says where to.

        The policy is looked up here, for each request anew.
        """
        attachment = self._clients.get(flow.client_conn.id)
        wanted = flow.request.host_header
        if wanted is None:
            wanted = flow.client_conn.sni or flow.request.host
        host = host_of(wanted)
        if attachment is None or host is None:
            return f"Host not in allowlist: {wanted}"
        if attachment.policy.hosts is None and self._rules.is_inward(flow.client_conn.sockname[0]):
            # It was led there by an address, or by a name that has no other.
            return INWARD
        if (reason := attachment.policy.refusal(host)) is not None:
            return reason
        port = flow.request.port
        try:
            await outside(self._rules, host, port)
        except Inward:
            return INWARD
        except Unresolved:
            # Told by the attempt to connect, as any proxy does.
            pass
        # Not by its own setter, which would write the Host header anew.
        flow.request.data.host = host
        return None

    def check_target(self, host: str, port: int) -> str | None:
        """Why a connection may not be made; names are checked when they are looked up."""
        literal = parse_address(host)
        if port not in WEB_PORTS:
            return "not a port of the web"
        if literal is not None:
            try:
                self._rules.check(host, [literal])
            except Inward as error:
                return str(error)
        return None


class _Stream(HttpStream):  # type: ignore[misc]
    """One request; what is sent with a refused one fills no memory."""

    def check_body_size(self, request: bool) -> CommandGenerator[bool]:
        if request and self.flow.response and len(self.request_body_buf) > _REFUSED_BODY:
            self.request_body_buf.clear()
        return (yield from super().check_body_size(request))


class _Http(layers.HttpLayer):  # type: ignore[misc]
    """HTTP whose requests are :class:`_Stream`."""

    def make_stream(self, stream_id: int) -> CommandGenerator[None]:
        self.streams[stream_id] = _Stream(self.context.fork(), stream_id)
        yield from self.event_to_child(self.streams[stream_id], events.Start())


class Gatekeeper:
    """The addon: where mitmproxy asks what to do."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def next_layer(self, data: layer.NextLayer) -> None:
        """TLS, else HTTP; there is no third."""
        context = data.context
        if data.layer is not None or not data.data_client():
            return
        outermost = len(context.layers) == 1
        if outermost and starts_like_tls_record(data.data_client()):
            outer = layers.ServerTLSLayer(context)
            outer.child_layer = layers.ClientTLSLayer(context)
            data.layer = outer
        else:
            data.layer = _Http(context, HTTPMode.transparent)

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Refuse, or pass on as it comes."""
        reason = await self._proxy.refusal(flow)
        if reason is not None:
            flow.response = _refused(reason)
        else:
            flow.request.stream = True

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Pass on as it comes."""
        if flow.response is not None and flow.response.raw_content is None:
            flow.response.stream = True

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Nobody uses the gate as an explicit proxy."""
        flow.kill()

    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """The last look before a socket is made."""
        address = data.server.address
        reason = self._proxy.check_target(address[0], address[1]) if address else "nowhere"
        if reason is not None:
            data.server.error = reason


def _refused(reason: str) -> http.Response:
    return http.Response.make(403, reason, {"content-type": "text/plain; charset=utf-8"})
