"""The only way from ``web_fetch`` to the network; see :mod:`freehold.guard`."""

from __future__ import annotations

from freehold.errors import WebError
from freehold.guard import Guard, Reason
from freehold.web.target import WEB_PORTS


class GuardedNetwork(Guard):
    """The guard with the web's ports, and refusals that are for the model (:class:`WebError`)."""

    def admits(self, port: int, *, opened: bool) -> bool:
        """Only the web's ports, and in trusted networks others; see :class:`Guard`."""
        return super().admits(port, opened=opened) and (opened or port in WEB_PORTS)

    def refusal(self, reason: Reason, host: str, port: int) -> WebError:
        """See :class:`Guard`."""
        match reason:
            case "unresolved":
                return WebError("url_not_accessible", f"the name {host} could not be resolved.")
            case "inward":
                return WebError(
                    "url_not_allowed",
                    f"{host} does not lead to a public address. Retrying this or other URLs on "
                    "that host will not work.",
                )
            case "port":
                return WebError(
                    "url_not_allowed", f"port {port} is not one that web pages are served on."
                )
            case "no host":
                return WebError("url_not_allowed", "only hosts of the web can be fetched.")
