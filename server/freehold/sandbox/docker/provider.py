"""Sandboxes that are Docker containers, one a session."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable, Container, Sequence
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakValueDictionary

from docker import DockerClient
from docker.errors import APIError, DockerException

from freehold.errors import ConfigurationError, SandboxLost, SandboxUnavailable
from freehold.ports.sandbox import Finding, Layout, Sandbox, SandboxSpec
from freehold.sandbox.channel import Connect, Stream, ToolboxSandbox
from freehold.sandbox.docker import check as checking
from freehold.sandbox.docker import cleanup
from freehold.sandbox.docker.container import (
    LAYOUT,
    Recipe,
    Running,
    ensure_running,
    how_it_ended,
    inspect_at_end,
    remove,
    restart,
)
from freehold.sandbox.docker.engine import Engine, is_conflict, is_missing
from freehold.sandbox.docker.hardening import Limits
from freehold.sandbox.docker.transport import (
    EngineRefusal,
    ExecStream,
    open_attach,
    open_exec,
)
from freehold.sandbox.image_definition import DEFAULT_TAG
from freehold.settings import Settings

PING_TIMEOUT = 20.0
"""Seconds a sandbox in use may take to give a sign of life before it is looked for anew."""

INSTALLATION_FILE = "installation"
"""File in the data directory with the id that tells this installation's containers apart."""


class DockerSandbox(ToolboxSandbox):
    """A container's toolbox; see the port's ``Sandbox``."""

    container: str = ""

    @property
    def identity(self) -> str:
        """The container and the journal in it."""
        return f"{self.container[:12]}-{super().identity}"


class DockerSandboxProvider:
    """Implements :class:`freehold.ports.sandbox.SandboxProvider`.

    Args:
        owner: id of this installation, or how to get it; labels every container, and only
            containers with it are ever touched.
        image: the sandboxes' image.
        limits: what a sandbox may use.
        extra_ca_certs: what :meth:`check` compares the image's certificates with.
        engine: default: the environment's.
    """

    def __init__(
        self,
        *,
        owner: str | Callable[[], str],
        image: str = DEFAULT_TAG,
        limits: Limits | None = None,
        extra_ca_certs: Path | None = None,
        engine: Engine | None = None,
    ) -> None:
        self._owner = owner
        self._image = image
        self._limits = limits or Limits()
        self._extra_ca_certs = extra_ca_certs
        self._engine = engine or Engine()
        self._sandboxes: dict[str, DockerSandbox] = {}
        self._acquiring: set[asyncio.Task[DockerSandbox]] = set()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        if self._limits.network == "host":
            raise ConfigurationError(
                "FREEHOLD_SANDBOX_NETWORK: sandboxes must not share the host's network; use "
                "bridge, none, or a network of your own."
            )

    @classmethod
    def from_settings(cls, settings: Settings) -> DockerSandboxProvider:
        """The provider the settings describe. Contacts nothing.

        Raises:
            ConfigurationError: the settings would share the host's network.
        """
        return cls(
            owner=lambda: installation_id(settings.data_dir),
            image=settings.sandbox_image,
            limits=Limits(
                memory=settings.sandbox_memory,
                cpus=settings.sandbox_cpus,
                pids=settings.sandbox_pids,
                network=settings.sandbox_network,
                runtime=settings.sandbox_runtime,
                root=settings.sandbox_root,
            ),
            extra_ca_certs=settings.extra_ca_certs,
        )

    @property
    def name(self) -> str:
        """``docker``."""
        return "docker"

    @property
    def description(self) -> str:
        """One line for people."""
        who = "root" if self._limits.root else "an unprivileged user"
        runtime = f" under {self._limits.runtime}" if self._limits.runtime else ""
        return f"a Docker container a session ({self._image}{runtime}), tools run as {who}"

    @property
    def layout(self) -> Layout:
        """The paths every container has."""
        return LAYOUT

    @property
    def owner(self) -> str:
        """The installation's id."""
        if not isinstance(self._owner, str):
            self._owner = self._owner()
        return self._owner

    async def acquire(self, spec: SandboxSpec) -> Sandbox:
        """The session's sandbox; see the port."""
        # In a task of its own: if the caller is cancelled, the engine is at work all the same, and
        # nobody else may touch the session's container until it is done.
        task = asyncio.create_task(self._acquire(spec.session_id))
        self._acquiring.add(task)
        task.add_done_callback(self._acquired)
        return await asyncio.shield(task)

    async def remove(self, session_id: str) -> None:
        """Delete the session's container; see the port.

        Raises:
            SandboxUnavailable: the engine does not answer, or could not.
        """
        async with self._lock(session_id):
            await self._forget(session_id)
            await cleanup.remove_session(self._engine, self.owner, session_id, self._image)

    async def sweep(self, keep: Container[str]) -> list[str]:
        """Delete containers of sessions not in ``keep``; see the port.

        Raises:
            SandboxUnavailable: the engine does not answer, or could not.
        """
        swept = await cleanup.sweep(self._engine, self.owner, keep, self._image)
        for session_id in swept:
            await self._forget(session_id)
        return swept

    async def check(self) -> list[Finding]:
        """How engine and image stand; see the port."""
        return await checking.examine(self._engine, self._image, self._limits, self._extra_ca_certs)

    async def close(self) -> None:
        """Drop the connections; containers run on."""
        if self._acquiring:
            await asyncio.wait(self._acquiring)
        for session_id in list(self._sandboxes):
            await self._forget(session_id)
        await asyncio.to_thread(self._engine.drop_client)

    async def _acquire(self, session_id: str) -> DockerSandbox:
        async with self._lock(session_id):
            current = self._sandboxes.get(session_id)
            if current is not None:
                # Asked each time, at a third of a millisecond: that a container has died may not
                # have come through yet.
                with contextlib.suppress(SandboxLost, TimeoutError):
                    async with asyncio.timeout(PING_TIMEOUT):
                        await current.ping()
                    return current
                await current.close()
                del self._sandboxes[session_id]
            sandbox = await self._open(session_id)
            self._sandboxes[session_id] = sandbox
            return sandbox

    def _acquired(self, task: asyncio.Task[DockerSandbox]) -> None:
        self._acquiring.discard(task)
        if not task.cancelled():
            task.exception()  # Seen, also when the caller no longer is there to see it.

    def _lock(self, session_id: str) -> asyncio.Lock:
        lock = self._locks.get(session_id)
        if lock is None:
            lock = self._locks[session_id] = asyncio.Lock()
        return lock

    async def _forget(self, session_id: str) -> None:
        sandbox = self._sandboxes.pop(session_id, None)
        if sandbox is not None:
            await sandbox.close()

    async def _open(self, session_id: str) -> DockerSandbox:
        """Bring the container up and say hello to its toolbox."""
        recipe = Recipe(self.owner, self._image, self._limits)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        loop = asyncio.get_running_loop()
        streams: list[ExecStream] = []

        def listen(client: DockerClient, container: str) -> None:
            opening = self._listen(container, str(client.api.api_version))
            stream = asyncio.run_coroutine_threadsafe(opening, loop).result(PING_TIMEOUT)
            if stream is not None:
                streams.append(stream)

        running = await self._engine.run(
            lambda client: ensure_running(
                client, recipe, session_id, created=created, before_start=listen
            )
        )
        try:
            return await self._attach(running, streams)
        except SandboxLost:
            if running.started:
                raise await self._unusable(running) from None
        # A container from before that does not answer, or whose toolbox is of another age:
        # its file system and journal outlive its processes.
        await self._engine.run(lambda client: restart(client, running.id, self._image))
        try:
            return await self._attach(running)
        except SandboxLost:
            raise await self._unusable(running) from None

    async def _listen(self, container: str, api_version: str) -> ExecStream | None:
        """The main process's own streams, which spare a new container the first exec."""
        try:
            return await open_attach(self._engine.endpoint, container, api_version=api_version)
        except (EngineRefusal, OSError):
            return None

    async def _attach(self, running: Running, streams: Sequence[ExecStream] = ()) -> DockerSandbox:
        sandbox = await DockerSandbox.open(self._connector(running, streams))
        sandbox.container = running.id
        return sandbox

    def _connector(self, running: Running, streams: Sequence[ExecStream] = ()) -> Connect:
        ready = list(streams)

        async def connect() -> Stream:
            if ready:
                stream = ready.pop()
                return Stream(stream.reader, stream.writer, stream.close)
            try:
                exec_id: str = await self._engine.run(
                    lambda client: client.api.exec_create(
                        running.id, running.connect_command, stdin=True
                    )["Id"]
                )
                stream = await open_exec(
                    self._engine.endpoint, exec_id, api_version=await self._api_version()
                )
            except (DockerException, EngineRefusal, SandboxUnavailable, OSError) as error:
                raise SandboxLost(await self._ending(running, error)) from error
            return Stream(stream.reader, stream.writer, stream.close)

        return connect

    async def _api_version(self) -> str:
        return await self._engine.run(lambda client: str(client.api.api_version))

    async def _ending(self, running: Running, error: Exception | None) -> str:
        """Why the container does not serve, as well as the engine can tell."""
        if error is not None and not _about_container(error):
            return str(error)
        try:
            found = await self._engine.run(lambda client: inspect_at_end(client, running.id))
        except (DockerException, SandboxUnavailable) as trouble:
            return str(trouble)
        return how_it_ended(found, self._limits)

    async def _unusable(self, running: Running) -> SandboxUnavailable:
        ending = await self._ending(running, None)
        if running.made:
            with contextlib.suppress(DockerException, SandboxUnavailable):
                await self._engine.run(lambda client: remove(client, running.id))
        return SandboxUnavailable(
            f"The sandbox was started and cannot be used: {ending}. The image {self._image} needs "
            "a python3 from 3.9; `freehold image build` makes one that has it."
        )


def installation_id(data_dir: Path) -> str:
    """The id of the installation that lives in ``data_dir``; made on first use.

    Raises:
        ConfigurationError: the data directory cannot be written.
    """
    path = data_dir / INSTALLATION_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        # A name of our own, then a link: whoever comes first decides, and nobody reads half an id.
        fresh = path.with_name(f".{INSTALLATION_FILE}-{secrets.token_hex(6)}")
        if not path.exists():
            fresh.write_text(secrets.token_hex(12), encoding="ascii")
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
            fresh.unlink()
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigurationError(
            f"FREEHOLD_DATA_DIR: {data_dir} cannot be written ({error}); give a folder that can."
        ) from error


def _about_container(error: Exception) -> bool:
    """Whether an error says that the container is gone or stopped, not that the engine is."""
    if isinstance(error, APIError):
        return is_missing(error) or is_conflict(error)
    return isinstance(error, EngineRefusal)
