"""TLS and HTTP of the gate: mitmproxy's core between a sandbox and the host it asks for."""

from __future__ import annotations

import asyncio
import contextlib
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
from mitmproxy.proxy.layers.tls import parse_client_hello
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler

from freehold.core.addresses import parse_address
from freehold.gate import rewriting
from freehold.gate.desk import Attachment, original_destination
from freehold.gate.grants import Exchange
from freehold.gate.passing import relay, reset
from freehold.gate.policy import INWARD, host_of, plain
from freehold.gate.resolving import Inward, Rules, Unresolved, outside

log = logging.getLogger(__name__)

WEB_PORTS = (80, 443)
SYSTEM_TRUST = "/etc/ssl/certs/ca-certificates.crt"
_REFUSED_BODY = 65536
"""Bytes kept of the body of a request that is refused; the rest is thrown away as it comes."""
_EXCHANGE = "freehold.exchange"

Address = tuple[str, int]


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
        request, port = flow.request, flow.request.port
        reason = attachment.policy.refuses(request.scheme, host, port, request.path)
        if reason is not None:
            return reason
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

    def exchange(self, flow: http.HTTPFlow) -> Exchange | None:
        """What a request that may go on is given, by the policy as it is now.

        Only if the host it is for is the one that has to prove itself: a host that answers for
        another's name on one machine with it must not be trusted with what is the other's.
        """
        attachment = self._clients.get(flow.client_conn.id)
        request, sni = flow.request, flow.client_conn.sni
        host = request.data.host
        if attachment is None or (sni is not None and plain(sni) != host):
            return None
        if (request.scheme == "https") != bool(flow.client_conn.tls):
            return None
        return attachment.policy.exchange(request.scheme, host, request.port, request.path)

    def passes(self, client_id: str, destination: Address | None, sni: str | None) -> bool:
        """Whether a TLS connection goes to where it wants to unopened: under unrestricted
        networking, to a host outside that is given nothing."""
        attachment = self._clients.get(client_id)
        if attachment is None or destination is None:
            return False
        if attachment.policy.intercepts(plain(sni or destination[0])):
            return False
        # Who wants to go inside is told in words that he may not.
        return self.check_target(*destination[:2]) is None

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


class _Stream(HttpStream):  # type: ignore[misc] # its base is not installed here
    """One request; what is sent with a refused one fills no memory."""

    def make_server_connection(self) -> CommandGenerator[bool]:
        connected: bool = yield from super().make_server_connection()
        request = self.flow.request
        unframed = request.is_http2 and "content-length" not in request.headers
        if connected and unframed and request.stream and self.context.server.alpn != b"h2":
            # From HTTP/2, which has an end of its own, to HTTP/1.
            request.headers["transfer-encoding"] = "chunked"
        return connected

    def check_body_size(self, request: bool) -> CommandGenerator[bool]:
        if request and self.flow.response and len(self.request_body_buf) > _REFUSED_BODY:
            self.request_body_buf.clear()
        return (yield from super().check_body_size(request))


class _Http(layers.HttpLayer):  # type: ignore[misc] # its base is not installed here
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
            with contextlib.suppress(ValueError):
                hello = parse_client_hello(data.data_client())
                if hello is None:
                    return  # There is more to come.
                if self._proxy.passes(context.client.id, context.server.address, hello.sni):
                    data.layer = layers.TCPLayer(context, ignore=True)
                    return
            outer = layers.ServerTLSLayer(context)
            outer.child_layer = layers.ClientTLSLayer(context)
            data.layer = outer
        else:
            data.layer = _Http(context, HTTPMode.transparent)

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Refuse, or pass on as it comes, secrets put in."""
        reason = await self._proxy.refusal(flow)
        if reason is not None:
            flow.response = _refused(reason)
            return
        exchange = self._proxy.exchange(flow)
        if exchange is None:
            flow.request.stream = True
            return
        flow.metadata[_EXCHANGE] = exchange
        rewriting.outgoing(flow.request, exchange)

    def request(self, flow: http.HTTPFlow) -> None:
        """The body is there, if it is a small one that was waited for."""
        if (exchange := flow.metadata.get(_EXCHANGE)) is not None:
            rewriting.outgoing_body(flow.request, exchange)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Pass on as it comes, secrets taken out."""
        if flow.response is None or flow.response.raw_content is not None:
            return
        if (exchange := flow.metadata.get(_EXCHANGE)) is None:
            flow.response.stream = True
        else:
            rewriting.incoming(flow.response, exchange, bodiless=flow.request.method == "HEAD")

    def response(self, flow: http.HTTPFlow) -> None:
        """The same for a small body that was waited for, and for what follows a large one."""
        exchange = flow.metadata.get(_EXCHANGE)
        if exchange is not None and flow.response is not None:
            rewriting.incoming_body(flow.response, exchange)

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
