"""The server's line to the egress gate: an exec of the engine, with questions in lines of JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json

from freehold.core.events import Json
from freehold.sandbox.docker.egress.container import PROGRAM
from freehold.sandbox.docker.engine import Engine
from freehold.sandbox.docker.transport import EngineRefusal, ExecStream, open_exec

_STARTING = 90.0
"""Seconds until a gate that was started answers."""
_ANSWERING = 20.0
_PAUSE = 0.1


class Silent(Exception):
    """The gate did not answer, or hung up."""


class Line:
    """One connection, which is opened anew when it broke."""

    def __init__(self, engine: Engine) -> None:
        self.attached: frozenset[str] = frozenset()
        """The keys of the sandboxes whose sockets the gate has, as it last said."""
        self._engine = engine
        self._stream: ExecStream | None = None
        self._lock = asyncio.Lock()
        self._asked = 0

    @property
    def open(self) -> bool:
        """Whether it stands, as far as is known."""
        return self._stream is not None and not self._stream.reader.at_eof()

    async def connect(self, container: str, greeting: Json) -> None:
        """Connect to the gate in this container and say this first.

        Raises:
            Silent: it does not answer.
            DockerException: the engine could not.
        """
        async with self._lock:
            await self._hang_up()
            self.attached = frozenset()
            deadline = asyncio.get_running_loop().time() + _STARTING
            while True:
                try:
                    self._stream = await self._dial(container)
                    await self._ask(greeting)
                    return
                except (Silent, EngineRefusal, OSError) as error:
                    await self._hang_up()
                    if asyncio.get_running_loop().time() > deadline:
                        raise Silent(str(error) or "it does not start") from error
                await asyncio.sleep(_PAUSE)

    async def ask(self, message: Json) -> None:
        """Tell the gate something; what it says of itself is noted.

        Raises:
            Silent: it does not answer, or would not.
        """
        async with self._lock:
            await self._ask(message)

    async def close(self) -> None:
        """Let go; the gate goes on."""
        async with self._lock:
            await self._hang_up()

    async def _dial(self, container: str) -> ExecStream:
        exec_id, version = await self._engine.run(
            lambda client: (
                client.api.exec_create(container, [*PROGRAM, "control"], stdin=True)["Id"],
                str(client.api.api_version),
            )
        )
        return await open_exec(self._engine.endpoint, exec_id, api_version=version)

    async def _ask(self, message: Json) -> None:
        """Tell the gate; what it says of itself is noted."""
        stream = self._stream
        if stream is None:
            raise Silent("there is no connection")
        self._asked += 1
        ident = self._asked
        try:
            async with asyncio.timeout(_ANSWERING):
                stream.writer.write(json.dumps({"id": ident, **message}).encode() + b"\n")
                await stream.writer.drain()
                line = await stream.reader.readline()
            reply = json.loads(line) if line else {}
        except (TimeoutError, OSError, ValueError) as error:
            await self._hang_up()
            raise Silent(str(error) or "no answer in time") from error
        except BaseException:
            # An answer may be on its way that the next question would take for its own.
            await self._hang_up()
            raise
        if reply.get("id") != ident or not reply.get("ok"):
            said = reply.get("error") or stream.stderr[-300:] or "it hung up"
            await self._hang_up()
            raise Silent(str(said))
        self.attached = frozenset(reply["attached"])

    async def _hang_up(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                await stream.close()
