"""HTTP as uvicorn speaks it, with an end to how long a request's head may be.

Whatever the parser refuses never reaches the application, so it is answered here, in the words of
the API all the same.
"""

from __future__ import annotations

import contextlib
import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from freehold.api.errors import envelope
from freehold.dispatch.clock import SystemClock

HEAD_BYTES = 64 * 1024
"""Longest request line and headers together. Ours: the hosted API's are not known."""
LINGER = 1.0
"""Seconds for which a refused client may go on sending. A connection that is closed at once takes
the answer with it."""

_BETWEEN = len(": \r\n")
_REASONS = {400: "Bad Request", 431: "Request Header Fields Too Large"}


class Protocol(HttpToolsProtocol):
    """One connection."""

    _head = 0
    """Bytes of a head that is not complete."""
    _in_head = True
    _refused = False

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless the head grows too long or was refused already."""
        if self._refused:
            return
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        # The bytes of a body in the same packet count only until its head is known to be over.
        if self._in_head and self._head > HEAD_BYTES:
            self._refuse(431, f"The request line and headers exceed {HEAD_BYTES // 1024} KB")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Go on with what is not too long."""
        self._in_head = False
        self._head = 0
        lines = sum(len(name) + len(value) + _BETWEEN for name, value in self.headers)
        if len(self.url) + lines > HEAD_BYTES:
            self._refuse(431, f"The request line and headers exceed {HEAD_BYTES // 1024} KB")
        if not self._refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on what belongs to a request that is served."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End what is served."""
        if not self._refused:
            super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Ignore what is not offered, as a server may; it is no news for the operator."""

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, msg)

    def _refuse(self, status: int, message: str) -> None:
        if self._refused:
            return
        self._refused = True
        request_id = SystemClock().mint("req")
        body = json.dumps(envelope("invalid_request_error", message, None, request_id)).encode()
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            f"request-id: {request_id}\r\n"
            "x-should-retry: false\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        with contextlib.suppress(NotImplementedError, RuntimeError):  # TLS has no half-closing
            self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)
