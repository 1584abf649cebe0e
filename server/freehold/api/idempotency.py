"""``Idempotency-Key``: a POST that is sent again is not carried out again.

Our addition; the hosted API does not know the header. A client that lost an answer sends the same
request with the same key and gets the first answer, for a day, also if the server was killed in
between: the answer is kept in the transaction of the change that it tells of. So a route builds
its answer inside of its transaction and hands it to :func:`kept`::

    async with behind.database.write() as tx:
        row = await service.create(tx, …)
        answer = await kept(request, tx, responses.shown(service.shown(row)))
    return answer

Only successes are kept. A refusal changed nothing, so the request is simply tried again.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import timedelta

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freehold.api.reach import is_organization
from freehold.core.keys import Principal
from freehold.errors import Conflict, InvalidRequest, NotSupported, SecretUnreadable
from freehold.ports.clock import Clock
from freehold.store import idempotency
from freehold.store.database import Database
from freehold.store.idempotency import Kept
from freehold.store.locks import KeyedLocks
from freehold.store.sealing import Sealer
from freehold.store.units import WriteSession

HEADER = "idempotency-key"
REPLAYED = (b"idempotent-replayed", b"true")
"""Tells a client that the answer is the one of an earlier request."""

LIFETIME = timedelta(days=1)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_PASSED_ON = "/v1/messages"
_BOUNDARY = re.compile(r'boundary="?([^";,]+)', re.IGNORECASE)
_ORGANIZATION = "organization"


class Idempotency:
    """ASGI middleware inside of the gate, which knows by then who asks."""

    def __init__(self, app: ASGIApp, *, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._app = app
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._locks = KeyedLocks()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        named = headers.getlist(HEADER)
        if not named or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        pending = _Pending(self._sealer, self._clock, scope, receive, _checked(scope, named))
        # Those that come meanwhile wait for the first, and are given its answer.
        async with self._locks.hold(f"{pending.workspace_id} {pending.key}"):
            if await self._replay(pending, scope, receive, send):
                return
            scope["state"]["idempotency"] = pending
            answer = _Answer(send, pending, self._database)
            try:
                await self._app(scope, pending.receive, answer)
            except _Taken:
                # By another process, which has committed by now.
                if not await self._replay(pending, scope, receive, send):
                    raise Conflict(
                        f"Idempotency-Key `{pending.key}` is in use by another request.",
                        should_retry=True,
                    ) from None

    async def _replay(self, pending: _Pending, scope: Scope, receive: Receive, send: Send) -> bool:
        async with self._database.read() as session:
            found = await idempotency.find(
                session, pending.workspace_id, pending.key, self._clock.now() - LIFETIME
            )
        if found is None:
            return False
        if found.fingerprint != await pending.fingerprint():
            raise InvalidRequest(
                f"Idempotency-Key `{pending.key}` was used before with another request; use a new "
                "one for each request, and the same only to repeat it."
            )
        await pending.opened(found)(scope, receive, send)
        return True


async def kept(request: Request, tx: WriteSession, answer: Response) -> Response:
    """Keep an answer with the change that it tells of, if the client gave a key."""
    pending: _Pending | None = getattr(request.state, "idempotency", None)
    if pending is not None:
        await pending.keep(
            tx, answer.status_code, bytes(answer.body), answer.headers["content-type"]
        )
    return answer


class _Taken(Exception):
    """Another process carried out a request with this key."""


class _Pending:
    """A request with a key: what it says, and where its answer goes."""

    def __init__(
        self, sealer: Sealer, clock: Clock, scope: Scope, receive: Receive, key: str
    ) -> None:
        self.key = key
        path: str = scope["path"]
        state = scope["state"]
        self.workspace_id: str = _ORGANIZATION if is_organization(path) else state["workspace_id"]
        self.is_kept = False
        self._sealer = sealer
        self._clock = clock
        self._body = _Body(receive, scope, state["principal"])

    async def receive(self) -> Message:
        """The request's body."""
        return await self._body.receive()

    async def fingerprint(self) -> str:
        """What the request says, after the rest of its body was read."""
        return await self._body.fingerprint()

    async def keep(self, tx: WriteSession, status: int, body: bytes, content_type: str) -> None:
        """Keep the answer in ``tx``."""
        value = {
            "status": status,
            "body": base64.b64encode(body).decode(),
            "content_type": content_type,
        }
        answer = Kept(await self.fingerprint(), self._sealer.seal(self._owner, value))
        now = self._clock.now()
        if not await idempotency.keep(
            tx, self.workspace_id, self.key, answer, now=now, since=now - LIFETIME
        ):
            raise _Taken
        self.is_kept = True

    def opened(self, found: Kept) -> Response:
        """The first answer.

        Raises:
            Conflict: it cannot be read any more.
        """
        try:
            value = self._sealer.open(self._owner, found.answer)
        except SecretUnreadable:
            raise Conflict(
                f"The request with the Idempotency-Key `{self.key}` was carried out, but its "
                "answer was sealed with a key that the server has no longer.",
                should_retry=False,
            ) from None
        answer = Response(
            base64.b64decode(value["body"]),
            status_code=value["status"],
            headers={"content-type": value["content_type"]},
        )
        answer.raw_headers.append(REPLAYED)
        return answer

    @property
    def _owner(self) -> str:
        return f"idempotency {self.workspace_id} {self.key}"


class _Body:
    """``receive`` that hashes the body as it is read.

    The boundary of a form is left out: clients make a new one each time they send the same form.
    """

    def __init__(self, receive: Receive, scope: Scope, principal: Principal) -> None:
        headers = Headers(scope=scope)
        content_type = headers.get("content-type", "")
        media_type = content_type.partition(";")[0].strip().lower()
        found = _BOUNDARY.search(content_type) if media_type.startswith("multipart/") else None
        self._boundary = found[1].strip().encode("latin-1") if found else b""
        self._receive = receive
        self._ended = False
        self._rest = b""
        self._hash = hashlib.sha256()
        for part in (
            scope["method"],
            scope["path"],
            scope["query_string"].decode("latin-1"),
            ",".join(headers.getlist("anthropic-beta")),
            media_type,
            # Another kind of key may be told other things.
            f"{principal.kind} {principal.environment_id} {principal.session_id}",
        ):
            self._hash.update(part.encode("utf-8", "surrogateescape") + b"\0")

    async def receive(self) -> Message:
        """The next message."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._feed(message.get("body", b""))
            self._ended = not message.get("more_body", False)
        return message

    async def fingerprint(self) -> str:
        """Of the whole request; what was not read of it yet is read."""
        while not self._ended:
            if (await self.receive())["type"] != "http.request":
                raise ClientDisconnect
        whole = self._hash.copy()
        whole.update(self._rest)
        return whole.hexdigest()

    def _feed(self, data: bytes) -> None:
        if not self._boundary:
            self._hash.update(data)
            return
        *parts, rest = (self._rest + data).split(self._boundary)
        for part in parts:
            self._hash.update(part + b"\0boundary\0")
        # A boundary may begin at the end of what came and end in what comes.
        held = len(self._boundary) - 1
        self._rest = rest[-held:] if held else b""
        self._hash.update(rest[: len(rest) - len(self._rest)])


class _Answer:
    """``send`` that keeps a success which its route did not keep, before it goes out.

    For routes that change something elsewhere and nothing in the database, such as a probe.
    """

    def __init__(self, send: Send, pending: _Pending, database: Database) -> None:
        self._send = send
        self._pending = pending
        self._database = database
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._wanted(message):
            self._start = message
            return
        if self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        content_type = Headers(raw=self._start["headers"]).get("content-type", "")
        async with self._database.write() as tx:
            await self._pending.keep(tx, self._start["status"], self._body, content_type)
        start, self._start = self._start, None
        await self._send(start)
        await self._send({"type": "http.response.body", "body": self._body})

    def _wanted(self, start: Message) -> bool:
        return not self._pending.is_kept and 200 <= start["status"] < 300


def _checked(scope: Scope, named: list[str]) -> str:
    path = scope["path"]
    if path == _PASSED_ON or path.startswith(_PASSED_ON + "/"):
        raise NotSupported(
            "Idempotency-Key is not supported on /v1/messages: requests to models are passed on, "
            "and their answers are not kept. Leave it out."
        )
    if len(named) != 1 or _KEY.fullmatch(named[0]) is None:
        raise InvalidRequest(
            "Idempotency-Key must be one value of 1 to 255 visible ASCII characters"
        )
    return named[0]
