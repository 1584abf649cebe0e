"""Brings a container up and says hello to the toolbox in it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime

from docker import DockerClient
from docker.errors import APIError, DockerException

from freehold.errors import PlacementRefused, SandboxLost, SandboxUnavailable
from freehold.ports.sandbox import Placed, Root, SandboxSpec
from freehold.sandbox.channel import ToolboxSandbox
from freehold.sandbox.connection import Connect, Stream
from freehold.sandbox.docker.archives import Archives
from freehold.sandbox.docker.container import (
    Recipe,
    Running,
    ensure_running,
    how_it_ended,
    inspect_at_end,
    remove,
    restart,
)
from freehold.sandbox.docker.engine import Engine, is_conflict, is_missing
from freehold.sandbox.docker.names import LABEL_CREATED
from freehold.sandbox.docker.storehouse import OPEN_FOLDERS, Storehouse
from freehold.sandbox.docker.transport import EngineRefusal, ExecStream, open_attach, open_exec
from freehold.sandbox.placing import Ground, checked

_ATTACH_TIMEOUT = 20.0
"""Seconds the engine may take to hand out the streams of a container."""


class DockerSandbox(ToolboxSandbox):
    """A container and the toolbox in it; see the port's ``Sandbox``."""

    container: str = ""
    """The container's id."""
    image: str = ""
    """The id of the image it was made from."""
    first: str = ""
    """The id of the container in which its files began, if that was another."""
    gated: bool = False
    """Whether it has no network but what the egress gate gives it."""
    storehouse: Storehouse
    """Puts things into the container that are not the agent's."""
    roots: tuple[Root, ...] = ()
    """What the session's sandbox was asked for with."""
    spec: SandboxSpec | None = None
    """What it was last asked for with."""
    links: list[None] | None = None
    """Grows with each connection to the toolbox."""
    _seen = 0

    def connected_anew(self) -> bool:
        """Whether there was a new connection since this was last asked: then the container may
        have been started anew too."""
        seen, self._seen = self._seen, len(self.links or ())
        return seen != self._seen

    fell: str | None = None
    archives: Archives
    """Takes the agent's files out as a whole, and puts them back."""

    @property
    def ended(self) -> str | None:
        """Why the container had ended; see the port."""
        return self.fell

    async def pack(self, limit: int) -> AsyncIterator[bytes]:
        """The agent's own files; see :class:`freehold.ports.checkpoints.Archived`."""
        async for chunk in self.archives.pack(self.layout, limit):
            yield chunk

    async def unpack(self, chunks: AsyncIterator[bytes], limit: int) -> None:
        """Put them back; see :class:`freehold.ports.checkpoints.Archived`."""
        await self.archives.unpack(self.layout, chunks, limit)

    @property
    def identity(self) -> str:
        """The container and the journal in it."""
        return f"{(self.first or self.container)[:12]}-{super().identity}"

    async def place(self, files: Sequence[Placed], *, writable: bool = False) -> None:
        """Put files inside; see the port."""
        ground = Ground(OPEN_FOLDERS, self.roots)
        if not writable:
            for file in files:
                ground.for_the_server(file.path)
            await self.storehouse.put(self.container, ground, files)
            return
        roots = {ground.for_the_agent(file.path) for file in files}
        if missing := sorted(root for root in roots if root is not None):
            await self.storehouse.open_roots(self.container, missing)
        await self.hand_over(files)

    async def withdraw(self, paths: Sequence[str]) -> None:
        """Delete what was placed; see the port."""
        for path in paths:
            if checked(path) in OPEN_FOLDERS:
                raise PlacementRefused(f"{path}: the agent's own folder")
        await self.storehouse.delete(self.container, paths)


class Opener:
    """Makes sandboxes of containers.

    Args:
        engine: where the containers are.
        recipe: how they are made; asked each time, because the owner's id may not be known yet.
    """

    def __init__(self, engine: Engine, recipe: Callable[[], Recipe]) -> None:
        self.engine = engine
        self.recipe = recipe

    async def open(self, name: str, labels: Mapping[str, str]) -> DockerSandbox:
        """The container of this name, found, started or made with these labels.

        Args:
            name: see :mod:`freehold.sandbox.docker.names`.
            labels: of a new container.

        Raises:
            SandboxUnavailable: there can be none, or its toolbox does not answer.
        """
        await self.prepare()
        recipe = self.recipe()
        labels = {**labels, LABEL_CREATED: datetime.now(UTC).isoformat(timespec="seconds")}
        loop = asyncio.get_running_loop()
        streams: list[ExecStream] = []

        def listen(client: DockerClient, container: str) -> None:
            opening = self._listen(container, str(client.api.api_version))
            stream = asyncio.run_coroutine_threadsafe(opening, loop).result(_ATTACH_TIMEOUT)
            if stream is not None:
                streams.append(stream)

        def new_client(timeout: int) -> DockerClient:
            return self.engine.new_client(timeout=timeout)

        running = await self.engine.run(
            lambda client: ensure_running(
                client, recipe, name, labels, before_start=listen, new_client=new_client
            )
        )
        joining = asyncio.create_task(self.join(running))
        try:
            sandbox = await self._hello(running, streams)
        except BaseException:
            await asyncio.wait({joining})
            joining.exception()  # Seen; the other one is told.
            raise
        try:
            await joining
        except BaseException:
            await sandbox.close()
            raise
        return sandbox

    async def prepare(self) -> None:
        """Have what the recipe needs, before it is asked for."""

    async def join(self, running: Running) -> None:
        """Do what a container needs besides, while its toolbox starts."""

    async def release(self, sandbox: DockerSandbox) -> None:
        """Undo it, since the container is about to be removed. Never raises."""

    async def _hello(self, running: Running, streams: Sequence[ExecStream]) -> DockerSandbox:
        try:
            return await self._attach(running, streams)
        except SandboxLost:
            if running.started:
                raise await self._unusable(running) from None
        # A container from before that does not answer, or whose toolbox is of another age:
        # its file system and journal outlive its processes.
        image = self.recipe().image
        await self.engine.run(lambda client: restart(client, running.id, image))
        try:
            return await self._attach(running)
        except SandboxLost:
            raise await self._unusable(running) from None

    async def reach(self, running: Running) -> DockerSandbox:
        """A container that runs, as it is.

        Raises:
            SandboxLost: its toolbox does not answer.
        """
        return await self._attach(running)

    async def _listen(self, container: str, api_version: str) -> ExecStream | None:
        """The main process's own streams, which spare a new container the first exec."""
        try:
            return await open_attach(self.engine.endpoint, container, api_version=api_version)
        except (EngineRefusal, OSError):
            return None

    async def _attach(self, running: Running, streams: Sequence[ExecStream] = ()) -> DockerSandbox:
        links: list[None] = []
        sandbox = await DockerSandbox.open(self._connector(running, links, streams))
        sandbox.links = links
        sandbox.container, sandbox.image = running.id, running.image
        sandbox.gated, sandbox.first = running.gated, running.first
        sandbox.storehouse = Storehouse(self.engine, running.python, self.recipe().limits)
        sandbox.fell = running.ended
        sandbox.archives = Archives(self.engine, running.id, running.python)
        return sandbox

    def _connector(
        self, running: Running, links: list[None], streams: Sequence[ExecStream] = ()
    ) -> Connect:
        ready = list(streams)

        async def connect() -> Stream:
            links.append(None)
            if ready:
                stream = ready.pop()
                return Stream(stream.reader, stream.writer, stream.close)
            try:
                exec_id: str = await self.engine.run(
                    lambda client: client.api.exec_create(
                        running.id, running.connect_command, stdin=True
                    )["Id"]
                )
                stream = await open_exec(
                    self.engine.endpoint, exec_id, api_version=await self._api_version()
                )
            except (DockerException, EngineRefusal, SandboxUnavailable, OSError) as error:
                raise SandboxLost(await self._ending(running, error)) from error
            return Stream(stream.reader, stream.writer, stream.close)

        return connect

    async def _api_version(self) -> str:
        return await self.engine.run(lambda client: str(client.api.api_version))

    async def _ending(self, running: Running, error: Exception | None) -> str:
        """Why the container does not serve, as well as the engine can tell."""
        if error is not None and not _about_container(error):
            return str(error)
        try:
            found = await self.engine.run(lambda client: inspect_at_end(client, running.id))
        except (DockerException, SandboxUnavailable) as trouble:
            return str(trouble)
        return how_it_ended(found, self.recipe().limits)

    async def _unusable(self, running: Running) -> SandboxUnavailable:
        ending = await self._ending(running, None)
        if running.made:
            with contextlib.suppress(DockerException, SandboxUnavailable):
                await self.engine.run(lambda client: remove(client, running.id))
        return SandboxUnavailable(
            f"The sandbox was started and cannot be used: {ending}. The image "
            f"{self.recipe().image} needs a python3 from 3.9; `freehold image build` makes one "
            "that has it."
        )


def _about_container(error: Exception) -> bool:
    """Whether an error says that the container is gone or stopped, not that the engine is."""
    if isinstance(error, APIError):
        return is_missing(error) or is_conflict(error)
    return isinstance(error, EngineRefusal)
