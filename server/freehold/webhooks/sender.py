"""One attempt to deliver a webhook: where it may go, and what counts as arrived (spec 20.2)."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

import httpcore2

from freehold import __version__
from freehold.core import times, webhooks
from freehold.core.urls import DEFAULT_PORTS, authority, http_url_problem
from freehold.errors import FreeholdError
from freehold.guard import Guard, Reason
from freehold.ports.clock import Clock
from freehold.ports.webhooks import Delivery, Outcome

_AGENT = f"Freehold/{__version__} (webhooks)"
_HTTPS = DEFAULT_PORTS["https"]


class _Refused(FreeholdError):
    """No connection is made."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class WebhookNetwork(Guard):
    """The guard with the one port that webhooks go to; in opened networks they go to others."""

    def admits(self, port: int, *, opened: bool) -> bool:
        """See :class:`Guard`."""
        return super().admits(port, opened=opened) and (opened or port == _HTTPS)

    def refusal(self, reason: Reason, host: str, port: int) -> Exception:
        """See :class:`Guard`."""
        return _Refused(reason)


class HttpSender:
    """Posts deliveries, signed (:class:`ports.webhooks.Sender`).

    Each attempt has a connection of its own, follows no redirect and reads nothing but the
    answer's head: what an endpoint says besides its status is of no use here.

    Args:
        network: Where connections come from.
        tls: Whom to trust.
        clock: Dates signatures.
        organization_id: Stands in every event.
        seconds: For the whole attempt.
    """

    def __init__(
        self,
        network: WebhookNetwork,
        tls: ssl.SSLContext,
        clock: Clock,
        organization_id: str,
        seconds: float,
    ) -> None:
        self._network = network
        self._tls = tls
        self._clock = clock
        self._organization_id = organization_id
        self._seconds = seconds

    async def send(self, delivery: Delivery) -> Outcome:
        """See :class:`ports.webhooks.Sender`."""
        try:
            async with asyncio.timeout(self._seconds):
                status = await self._post(delivery)
        except _Refused as refusal:
            if refusal.reason == "unresolved":
                return Outcome("failed", "the name could not be resolved")
            return Outcome("hopeless", webhooks.NOT_PUBLIC)
        except (TimeoutError, httpcore2.TimeoutException):
            return Outcome("failed", "no answer in time")
        except (
            httpcore2.NetworkError,
            httpcore2.ProtocolError,
            ssl.SSLError,
            OSError,
            ValueError,
        ) as error:
            return Outcome("failed", type(error).__name__)
        if 200 <= status < 300:
            return Outcome("delivered")
        if 300 <= status < 400:
            return Outcome("hopeless", webhooks.REDIRECTED)
        return Outcome("failed", f"status {status}")

    async def _post(self, delivery: Delivery) -> int:
        if http_url_problem(delivery.url) is not None:
            raise ValueError("not a URL")
        parts = urlsplit(delivery.url)
        scheme, host = parts.scheme.lower(), parts.hostname or ""
        target = parts.path or "/"
        if parts.query:
            target += f"?{parts.query}"
        content = self._content(delivery)
        pool = httpcore2.AsyncConnectionPool(
            ssl_context=self._tls,
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=self._network,
        )
        url = httpcore2.URL(
            scheme=scheme.encode(),
            host=host.encode(),
            port=parts.port or DEFAULT_PORTS[scheme],
            target=target.encode(),
        )
        headers = self._headers(delivery, authority(scheme, host, parts.port), content)
        extensions = {"timeout": dict.fromkeys(("connect", "read", "write"), self._seconds)}
        async with (
            pool,
            pool.stream(
                b"POST", url, headers=headers, content=content, extensions=extensions
            ) as response,
        ):
            return response.status

    def _content(self, delivery: Delivery) -> bytes:
        data = {**delivery.data, "organization_id": self._organization_id}
        return webhooks.body(delivery.event_id, delivery.occurred_at, data)

    def _headers(self, delivery: Delivery, host: str, content: bytes) -> list[tuple[bytes, bytes]]:
        timestamp = times.to_micros(self._clock.now()) // 1_000_000
        signature = webhooks.signature(delivery.secrets, delivery.event_id, timestamp, content)
        named = {
            "Host": host,
            "User-Agent": _AGENT,
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            "Connection": "close",
            "webhook-id": delivery.event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature,
        }
        return [(name.encode(), value.encode()) for name, value in named.items()]
