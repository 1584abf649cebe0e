"""The egress gate: the only way from a sandbox to a network.

Runs in a container of its own, one a server, with mitmproxy's library core for TLS and HTTP. A
sandbox has a network namespace with nothing but loopback in it. ``attach`` runs once in that
namespace, turns connections that leave it to local sockets, and hands those sockets to the gate:
the gate accepts on them although it lives elsewhere, so there is no process per sandbox, no route,
and no address that anything inside could reach besides.

Needs the standard library, mitmproxy and :mod:`freehold.core.addresses`; nothing else of Freehold
is in its image.
"""
