"""What every request passes: identity, key, betas, size, and the one place that catches errors.

Plain ASGI, because streams and the events routes are hot: nothing is buffered or wrapped twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freehold import telemetry
from freehold.api import auth, betas, errors, reach, workers
from freehold.api.rates import RateLimits
from freehold.core import limits
from freehold.errors import ApiError, NotFound, RequestTooLarge

if TYPE_CHECKING:
    from freehold.core.ids import Prefix

log = logging.getLogger(__name__)

API_ROOT = "/v1"
UPLOADS = "/v1/files"
_SLASHES = "/v1/models/"
"""What is below is one id, in which slashes are as good as other characters."""
_FORM_BYTES = 1 << 20
"""What a form may have besides the file."""


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: auth.Keys,
        access: workers.WorkerAccess | None = None,
        organization_id: str,
        mint: Callable[[Prefix], str],
        file_bytes: int = limits.BODY_BYTES,
        rates: RateLimits | None = None,
    ) -> None:
        self._app = app
        self._keys = keys
        self._access = access
        self._organization = organization_id.encode()
        self._mint = mint
        self._file_bytes = file_bytes
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._mint("req")
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        # The web server serves each request in a task of its own, so this ends with the request.
        telemetry.bind(request_id=request_id)
        answer = _Answer(
            send,
            [
                (b"request-id", request_id.encode()),
                (b"anthropic-organization-id", self._organization),
            ],
        )
        body = _Body(receive, self._limit(scope))
        try:
            if _is_api(scope["path"]):
                await self._admit(scope, answer)
                if self._rates is not None:
                    await self._count(self._rates, scope, answer)
                body.check_declared(scope)
            await self._app(scope, body, answer)
        except ApiError as error:
            if answer.started:
                raise
            await errors.render(error, request_id)(scope, receive, answer)
        except ClientDisconnect:
            return  # hung up before it had said what it wants; nobody listens to an answer
        except Exception:
            log.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
            if answer.started:
                raise
            await errors.render_unexpected(request_id)(scope, receive, answer)

    def _limit(self, scope: Scope) -> int:
        if scope["path"] == UPLOADS and scope["method"] == "POST":
            return self._file_bytes + _FORM_BYTES
        return limits.BODY_BYTES

    async def _admit(self, scope: Scope, answer: _Answer) -> None:
        single: dict[bytes, str] = {}
        named: list[str] = []
        for name, value in scope["headers"]:
            if name == b"anthropic-beta":
                named.append(value.decode("latin-1"))
            elif name in (b"x-api-key", b"authorization", b"anthropic-workspace-id"):
                single[name] = value.decode("latin-1")
        path: str = scope["path"]
        x_api_key, authorization = single.get(b"x-api-key"), single.get(b"authorization")
        worker: workers.Worker | None = None
        token = workers.token_of(x_api_key, authorization)
        if token is not None and self._access is not None and not self._keys.knows(token):
            worker = await self._access.admit(token, scope["method"], path)
            principal = worker.principal
        else:
            principal = await self._keys.check(x_api_key, authorization)
        workspace_id = await self._keys.workspace(
            principal, single.get(b"anthropic-workspace-id"), path
        )
        scope["state"] |= {
            "principal": principal,
            "api_key_id": principal.key_id,
            "workspace_id": workspace_id,
            "worker": worker,
        }
        if not reach.is_organization(path):
            answer.headers.append((b"anthropic-workspace-id", workspace_id.encode()))
        reach.check(principal, path)
        betas.check(path, named)
        if b"%2f" in scope.get("raw_path", b"").lower() and not path.startswith(_SLASHES):
            # An id with a slash in it, which would lead to another route than was meant.
            raise NotFound("Not found", should_retry=False)

    @staticmethod
    async def _count(rates: RateLimits, scope: Scope, answer: _Answer) -> None:
        state = scope["state"]
        if state["worker"] is not None:
            return  # a fleet of them must not stop for what others ask
        headers, refusal = await rates.admit(
            scope["method"],
            scope["path"],
            workspace_id=state["workspace_id"],
            key_id=state["api_key_id"],
        )
        answer.headers += headers
        if refusal is not None:
            raise refusal


def _is_api(path: str) -> bool:
    return path == API_ROOT or path.startswith(API_ROOT + "/")


class _Answer:
    """``send`` that adds headers and remembers whether anything went out."""

    def __init__(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        self._send = send
        self.headers = headers
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message = {**message, "headers": [*message.get("headers", ()), *self.headers]}
        await self._send(message)


class _Body:
    """``receive`` that counts the bytes of the request's body as they come."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._count = 0

    def check_declared(self, scope: Scope) -> None:
        """Refuse a body that says beforehand that it is too large."""
        for name, value in scope["headers"]:
            if name == b"content-length" and int(value) > self._limit:
                raise self._too_large()

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._count += len(message.get("body", b""))
            if self._count > self._limit:
                raise self._too_large()
        return message

    def _too_large(self) -> RequestTooLarge:
        return RequestTooLarge(
            f"Request body exceeds the maximum of {self._limit // 2**20} MB", should_retry=False
        )
