"""The server's end of the stream to a toolbox, for every provider whose sandbox runs one.

A provider says how to get a stream; :class:`ToolboxSandbox` speaks the toolbox's protocol over it
(:mod:`freehold.toolbox`) and is the port's ``Sandbox``. When a stream breaks it asks for another,
once, and repeats every open request: calls carry their id, so that asking again is harmless.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from freehold import toolbox
from freehold.core.events import Json
from freehold.errors import FileChanged, SandboxError, SandboxLost, TooManyFiles
from freehold.ports.sandbox import (
    LISTING_LIMIT,
    Exchange,
    Exchanged,
    Found,
    Layout,
    Placed,
    Survey,
    ToolCall,
    ToolOutcome,
)
from freehold.sandbox import mirroring
from freehold.sandbox.connection import Connect, Connection, StreamBroke
from freehold.sandbox.placing import chunks

HELLO_TIMEOUT = 20.0
"""Seconds a toolbox may take to answer the first frame; starting one is included."""

FILE_CHUNK = 4 * 1024 * 1024
"""Bytes of a file that one frame carries."""

STREAM_CHUNK = 1024 * 1024
"""The same for a file that is streamed: small, so that others get their turn in between."""

_ATTEMPTS = 4
_BLOCKS = ("text", "image", "document")


class ToolboxSandbox:
    """A sandbox behind a toolbox; implements :class:`freehold.ports.sandbox.Sandbox`.

    Make one with :meth:`open`. It belongs to the event loop it was made in.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._identity: str | None = None
        self._boot = ""
        self._layout = Layout()
        self._lost: str | None = None
        self._varied: dict[str, str] = {}

    @classmethod
    async def open(cls, connect: Connect, *, identity: str | None = None) -> Self:
        """Connect and learn who is there.

        ``identity`` is the one to insist on, when the sandbox is known from before.

        Raises:
            SandboxLost: nobody answers, or another sandbox does.
        """
        sandbox = cls(connect)
        sandbox._identity = identity
        await sandbox._connected(None)
        return sandbox

    @property
    def identity(self) -> str:
        """Names this sandbox's file system and journal."""
        assert self._identity is not None  # noqa: S101 - set by `open`
        return self._identity

    @property
    def boot(self) -> str:
        """Names the present run of its processes; none for toolboxes of an earlier version."""
        return self._boot

    @property
    def ended(self) -> str | None:
        """Why the run before this one ended, where that is known."""
        return None

    @property
    def layout(self) -> Layout:
        """The paths that the toolbox was started with."""
        return self._layout

    @property
    def lost(self) -> bool:
        """Whether it is known that this sandbox cannot be reached any more."""
        return self._lost is not None

    @property
    def connected(self) -> bool:
        """Whether a stream stands at this moment."""
        return self._connection is not None and self._connection.open

    async def call(self, call: ToolCall) -> ToolOutcome:
        """Run the tool, or wait for or repeat what its id is known for; see the port."""
        result = await self._request(
            {"op": "call", "id": call.id, "name": call.name, "input": call.input}
        )
        with _sense():
            content, is_error = result["content"], result["is_error"]
            if not isinstance(is_error, bool) or not all(map(_is_block, content)):
                raise TypeError
            return ToolOutcome(content=content, is_error=is_error)

    async def cancel(self, call_id: str) -> None:
        """Stop a running call; see the port."""
        await self._request({"op": "cancel", "id": call_id})

    async def read_file(self, path: str) -> bytes:
        """The bytes of a file inside; see the port."""
        return b"".join([part async for part, _ in self._parts(path)])

    async def read_stream(self, path: str) -> AsyncIterator[bytes]:
        """The bytes of one version of a file inside; see the port."""
        first: str | None = None
        async for part, version in self._parts(path, STREAM_CHUNK):
            if first is not None and version != first:
                raise FileChanged(f"{path} changed while it was read")
            first = version
            yield part

    async def listing(self, folder: str) -> list[Found]:
        """The regular files under a folder; see the port."""
        result = await self._request({"op": "list", "path": folder, "limit": LISTING_LIMIT})
        with _sense():
            files = [
                Found(
                    path=str(file["path"]),
                    size=int(file["size"]),
                    modified=datetime.fromtimestamp(file["modified"], UTC),
                    sha256=str(file["sha256"]),
                )
                for file in result["files"]
            ]
            if len(files) > LISTING_LIMIT:
                raise ValueError
        return files

    async def survey(self, folder: str, *, largest: int, fresh: bool = False) -> Survey:
        """What is under a folder; see the port."""
        return await mirroring.survey(self._request, folder, largest=largest, fresh=fresh)

    async def exchange(self, folder: str, changes: Sequence[Exchange]) -> list[Exchanged]:
        """Change files that are as expected; see the port."""
        return await mirroring.exchange(self._request, folder, changes)

    async def vary(self, variables: Mapping[str, str], *, fresh: bool) -> None:
        """Give the tools' processes these environment variables besides their own. ``fresh``:
        the toolbox may be a new one, which was told nothing.

        Raises:
            SandboxLost: the sandbox is gone.
        """
        wanted = dict(variables)
        if fresh or wanted != self._varied:
            await self._request({"op": "environment", "variables": wanted})
            self._varied = wanted

    async def delete(self, path: str) -> None:
        """Delete a file or folder inside with the agent's own rights. Not there: no-op.

        Raises:
            OSError: the agent could not. SandboxLost: the sandbox is gone.
        """
        with contextlib.suppress(FileNotFoundError):
            await self._request({"op": "delete", "path": path})

    async def hand_over(self, files: Sequence[Placed]) -> None:
        """Put files inside with the agent's own rights.

        Raises:
            OSError: the agent could not write there, or a source cannot be read.
            SandboxLost: the sandbox is gone.
        """
        for file in files:
            if file.source is None:
                await self._request({"op": "mkdir", "path": file.path})
                continue
            waiting: bytes | None = None
            offset = 0
            async for data in chunks(file.source, FILE_CHUNK):
                if waiting is not None:
                    await self._write(file.path, offset, waiting)
                    offset += len(waiting)
                waiting = data
            # Its mode comes last, as it may close the file to its owner.
            await self._write(file.path, offset, waiting or b"", mode=file.mode)

    async def _write(self, path: str, offset: int, data: bytes, mode: int | None = None) -> None:
        encoded = base64.b64encode(data).decode("ascii")
        frame: Json = {"op": "write", "path": path, "offset": offset, "data": encoded}
        await self._request(frame if mode is None else {**frame, "mode": mode})

    async def _parts(self, path: str, chunk: int = FILE_CHUNK) -> AsyncIterator[tuple[bytes, str]]:
        """The file's pieces, each with the version that it belongs to."""
        offset = 0
        while True:
            result = await self._request(
                {"op": "read", "path": path, "offset": offset, "length": chunk}
            )
            with _sense():
                data, version = (
                    base64.b64decode(result["data"], validate=True),
                    str(result["version"]),
                )
                ended = bool(result["eof"])
                if len(data) > chunk or not (data or ended):
                    raise ValueError
            yield data, version
            offset += len(data)
            if ended:
                return

    async def write_file(self, path: str, data: bytes) -> None:
        """Create or replace a file inside; see the port."""
        for offset in range(0, max(len(data), 1), FILE_CHUNK):
            await self._write(path, offset, data[offset : offset + FILE_CHUNK])

    async def ping(self) -> None:
        """Ask for a sign of life.

        Raises:
            SandboxLost: there is none.
        """
        await self._request({"op": "ping"})

    async def rest(self) -> bool:
        """Have the toolbox end unless a call runs in it; whether it does.

        Raises:
            SandboxLost: it is gone already.
        """
        return bool((await self._request({"op": "rest"}))["resting"])

    async def shutdown(self) -> None:
        """Have the toolbox end, and with it whatever the agent left running.

        Raises:
            SandboxLost: it is gone already.
        """
        await self._request({"op": "shutdown"})

    async def close(self) -> None:
        """Let go of the stream. The sandbox goes on; requests from now on raise SandboxLost."""
        self._lost = self._lost or "the connection was closed"
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _request(self, frame: Json) -> Json:
        connection = self._connection
        if connection is None or not connection.open:
            connection = await self._connected(connection)
        for attempt in range(_ATTEMPTS):
            try:
                reply = await connection.request(frame)
            except StreamBroke:
                # A request that breaks every stream would otherwise go round for ever.
                if attempt == _ATTEMPTS - 1:
                    break
                connection = await self._connected(connection)
                continue
            if reply.get("ok"):
                with _sense():
                    result: Json = reply["result"]
                    return result
            with _sense():
                refusal = _refusal(reply["error"], frame)
            raise refusal
        raise SandboxLost("the stream to the sandbox broke again and again")

    async def _connected(self, broken: Connection | None) -> Connection:
        """A connection other than ``broken``; concurrent requests share the attempt."""
        async with self._connecting:
            if self._lost is not None:
                raise SandboxLost(self._lost)
            current = self._connection
            if current is not None and current is not broken and current.open:
                return current
            try:
                async with asyncio.timeout(HELLO_TIMEOUT):
                    return await self._introduced(broken or current)
            except (OSError, SandboxError, StreamBroke) as error:
                self._lost = (
                    f"the sandbox is gone: {error}" if str(error) else "the sandbox is gone"
                )
                raise SandboxLost(self._lost) from error

    async def _introduced(self, broken: Connection | None) -> Connection:
        if broken is not None:
            await broken.close()
        connection = Connection(await self._connect())
        try:
            hello = await connection.request({"op": "hello"})
            with _sense():
                self._accept(hello["result"])
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        return connection

    def _accept(self, hello: dict[str, Any]) -> None:
        if hello["protocol"] != toolbox.PROTOCOL:
            raise SandboxLost(f"its toolbox speaks protocol {hello['protocol']}")
        if self._identity is not None and hello["identity"] != self._identity:
            raise SandboxLost("another sandbox has taken its place")
        self._identity = str(hello["identity"])
        self._boot = str(hello.get("boot", ""))
        self._layout = Layout(
            workdir=str(hello["workdir"]), outputs=str(hello["outputs"] or self._layout.outputs)
        )


@contextlib.contextmanager
def _sense() -> Iterator[None]:
    """What a toolbox answers is what the agent lets it answer: nonsense is a sandbox that is lost,
    and never an error of the server's.

    Raises:
        SandboxLost: the answer is not of the protocol.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
        raise SandboxLost("its toolbox answers what is not of the protocol") from error


def _is_block(block: object) -> bool:
    """Whether this is a content block that a tool can have for its result."""
    if not isinstance(block, dict) or block.get("type") not in _BLOCKS:
        return False
    part, kind = ("text", str) if block["type"] == "text" else ("source", dict)
    return isinstance(block.get(part), kind)


def _refusal(error: Json, frame: Json) -> Exception:
    path = frame.get("path", "")
    kinds: dict[str, type[OSError]] = {
        "not_found": FileNotFoundError,
        "is_directory": IsADirectoryError,
        "permission": PermissionError,
    }
    kind = kinds.get(error["kind"])
    if kind is not None:
        return kind(f"{path}: {error['message']}")
    if error["kind"] == "too_many":
        return TooManyFiles(f"{path}: over {LISTING_LIMIT} entries")
    if error["kind"] == "bad_request":
        return ValueError(error["message"])
    return OSError(f"{path}: {error['message']}")
