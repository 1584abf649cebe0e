"""Makes, finds and removes process sandboxes; see the package's docstring."""

from __future__ import annotations

import asyncio
import compileall
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Container
from pathlib import Path
from typing import Literal

from freehold.core.events import Json
from freehold.errors import SandboxLost, SandboxUnavailable
from freehold.ports.sandbox import Finding, Layout, SandboxSpec
from freehold.sandbox.channel import ToolboxSandbox
from freehold.sandbox.connection import Connect, Stream
from freehold.sandbox.process import bubblewrap, plain, processes
from freehold.sandbox.process.folders import Folders, sessions
from freehold.sandbox.process.storehouse import ProcessSandbox, Storehouse
from freehold.sandbox.toolbox_package import toolbox_files, toolbox_version
from freehold.toolbox.sockets import connect_unix

IDLE_EXIT = 900.0
"""Seconds without a connection after which a toolbox ends itself; its files stay."""

START_TIMEOUT = 20.0
_STEP = 0.002
_GRACE = 2.0
_STATE_IN_USE = 3
_LOG_TAIL = 2000
_LOW_DISK = 1 << 30


class ProcessSandboxProvider:
    """Sandboxes made of processes; implements :class:`freehold.ports.sandbox.SandboxProvider`.

    A toolbox is nobody's child in particular: it outlives a server that is killed, and the next
    server with the same data directory finds it by its socket. It ends when it is removed, or
    after ``idle_exit`` seconds without a connection; the next ``acquire`` starts it again on the
    same folders and the same journal.

    There are no limits on memory, processors or processes, and the network is the machine's own,
    loopback included: an agent can reach what listens there.
    """

    def __init__(
        self, data_dir: Path, *, plain: bool = False, idle_exit: float = IDLE_EXIT
    ) -> None:
        """``plain`` does without bubblewrap even where it works."""
        self._data_dir = data_dir
        self._base = data_dir / "sandboxes"
        self._bubblewrap = not plain and bubblewrap.bubblewrap_works()
        self._idle_exit = idle_exit
        self._sandboxes: dict[str, ProcessSandbox] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._children: list[subprocess.Popen[bytes]] = []

    @property
    def name(self) -> str:
        """``process``."""
        return "process"

    @property
    def isolation(self) -> Literal["bubblewrap", "none"]:
        """What stands between the agent and the machine."""
        return "bubblewrap" if self._bubblewrap else "none"

    @property
    def installs_packages(self) -> bool:
        """It does not: the machine's own programs are what there is."""
        return False

    @property
    def description(self) -> str:
        """One line for people."""
        if self._bubblewrap:
            return "processes in bubblewrap: own files, processes and /tmp; the network is shared"
        return "plain processes: a clean environment, but no isolation from this machine"

    @property
    def layout(self) -> Layout:
        """The paths inside. Those of plain sandboxes begin with ``~``, the session's own folder."""
        return bubblewrap.LAYOUT if self._bubblewrap else plain.LAYOUT

    def unenforceable(self, environment: Json) -> str | None:
        """Limits of networking cannot be enforced: the network is this machine's own."""
        if (environment.get("networking") or {}).get("type") == "limited":
            return "process sandboxes share this machine's network; use FREEHOLD_SANDBOX=docker"
        return None

    def unfurnishable(self) -> str | None:
        """Plain processes share the machine's files; see the port."""
        if self._bubblewrap:
            return None
        return (
            "sandboxes that are plain processes (FREEHOLD_SANDBOX=process without bubblewrap) "
            "share this machine's files; install bubblewrap or use Docker"
        )

    def ungrantable(self, environment: Json) -> str | None:
        """Nothing stands between its processes and the network."""
        return "process sandboxes share this machine's network; use FREEHOLD_SANDBOX=docker"

    async def regrant(self, session_id: str) -> None:
        """Nothing: requests are given nothing here."""

    async def package_hosts(self, environment: Json) -> tuple[str, ...]:
        """None: no networking is enforced here."""
        return ()

    async def prepare(self) -> None:
        """Nothing: a toolbox starts fast enough."""

    async def acquire(self, spec: SandboxSpec) -> ProcessSandbox:
        """The session's sandbox, found or started; see the port."""
        async with self._lock(spec.session_id):
            self._reap()
            folders = Folders.of(self._base, spec.session_id)
            storehouse = Storehouse(folders, spec.roots) if self._bubblewrap else None
            known = self._sandboxes.get(spec.session_id)
            if known is not None:
                fitting = storehouse is None or storehouse.started_with_these
                if fitting and await _answers(known):
                    return known
                del self._sandboxes[spec.session_id]
                await known.close()
            try:
                sandbox = await self._found_or_started(spec.session_id, folders, storehouse)
            except OSError as error:
                raise SandboxUnavailable(
                    f"cannot start a process sandbox under {self._base}: {error}. "
                    "Check that the data directory can be written and has space."
                ) from error
            self._sandboxes[spec.session_id] = sandbox
            return sandbox

    async def remove(self, session_id: str) -> None:
        """End the session's toolbox with all it started and delete its folders; see the port."""
        async with self._lock(session_id):
            known = self._sandboxes.pop(session_id, None)
            if known is not None:
                await known.close()
            folders = Folders.of(self._base, session_id)
            if folders.root.exists():
                await self._end(folders)
                await asyncio.to_thread(folders.delete)
            self._reap()
        self._locks.pop(session_id, None)

    async def sweep(self, keep: Container[str]) -> list[str]:
        """Remove the sandboxes of sessions not in ``keep``; see the port."""
        orphans = [session for session in sessions(self._base) if session not in keep]
        for session in orphans:
            await self.remove(session)
        return orphans

    async def check(self) -> list[Finding]:
        """Bubblewrap, the folder and its space."""
        return await asyncio.to_thread(self._findings)

    async def close(self) -> None:
        """Let go of the streams; the toolboxes go on."""
        known, self._sandboxes = self._sandboxes, {}
        for sandbox in known.values():
            await sandbox.close()
        self._reap()
        # Not ours to wait for any more. Kept, because a Popen that is dropped complains.
        _survivors.extend(self._children)
        self._children = []

    def _lock(self, session_id: str) -> asyncio.Lock:
        return self._locks.setdefault(session_id, asyncio.Lock())

    async def _found_or_started(
        self, session_id: str, folders: Folders, storehouse: Storehouse | None
    ) -> ProcessSandbox:
        folders.make(session_id)
        connect = _connect_to(folders.socket)
        if folders.socket.exists():
            if storehouse is None or storehouse.started_with_these:
                with contextlib.suppress(SandboxLost):
                    return _holding(await ProcessSandbox.open(connect), storehouse)
            # One that does not answer, is of another age, or cannot see what it is to see: its
            # files and its journal outlive its processes.
            await self._end(folders)
        if storehouse is not None:
            await asyncio.to_thread(storehouse.make)
        await self._start(folders, storehouse)
        try:
            return _holding(await ProcessSandbox.open(connect), storehouse)
        except SandboxLost as error:
            raise SandboxUnavailable(f"the toolbox ended at once: {_tail(folders.log)}") from error

    async def _start(self, folders: Folders, storehouse: Storehouse | None) -> None:
        toolbox = await asyncio.to_thread(_installed_toolbox, self._base)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_TIMEOUT
        before = _birth(folders.socket)
        child = await asyncio.to_thread(self._spawn, folders, toolbox, storehouse)
        while _birth(folders.socket) in (None, before):
            status = child.poll()
            if status == _STATE_IN_USE and loop.time() < deadline:
                # The one before has not quite ended.
                await asyncio.sleep(_STEP * 25)
                child = await asyncio.to_thread(self._spawn, folders, toolbox, storehouse)
            elif status is not None or loop.time() > deadline:
                raise SandboxUnavailable(
                    f"the toolbox does not start ({self.isolation}): {_tail(folders.log)}"
                )
            await asyncio.sleep(_STEP)

    def _spawn(
        self, folders: Folders, toolbox: Path, storehouse: Storehouse | None
    ) -> subprocess.Popen[bytes]:
        if storehouse is not None:
            return self._spawn_in_bubblewrap(folders, toolbox, storehouse)
        line = plain.command(folders, toolbox, idle_exit=self._idle_exit)
        child = self._popen(folders, line, plain.environment(folders), ())
        processes.record(folders.process_record, child.pid)
        return child

    def _spawn_in_bubblewrap(
        self, folders: Folders, toolbox: Path, storehouse: Storehouse
    ) -> subprocess.Popen[bytes]:
        report_source, report_sink = os.pipe()
        options_source, options_sink = os.pipe()
        with open(report_source, "rb") as report, open(options_sink, "wb") as options:  # noqa: PTH123
            try:
                command = bubblewrap.command(
                    folders,
                    toolbox,
                    self._data_dir,
                    storehouse.binds,
                    info=report_sink,
                    idle_exit=self._idle_exit,
                )
                child = self._popen(
                    folders,
                    command.line(options_source),
                    bubblewrap.environment(),
                    (report_sink, options_source),
                )
            finally:
                os.close(report_sink)
                os.close(options_source)
            # A bubblewrap that has died takes no options; its log says why.
            with contextlib.suppress(BrokenPipeError):
                options.write(command.serialized())
                options.close()
            told = report.read()
        with contextlib.suppress(ValueError, KeyError):
            # Killing the first process of the namespace kills them all.
            processes.record(folders.process_record, int(json.loads(told)["child-pid"]))
        return child

    def _popen(
        self, folders: Folders, line: list[str], environment: dict[str, str], keep: tuple[int, ...]
    ) -> subprocess.Popen[bytes]:
        with folders.log.open("wb") as log:
            child = subprocess.Popen(  # noqa: S603 - our own command line
                line,
                env=environment,
                cwd=folders.workspace,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=keep,
                start_new_session=True,
            )
        self._children.append(child)
        return child

    async def _end(self, folders: Folders) -> None:
        pid = processes.recorded(folders.process_record)
        if pid is not None:
            await processes.end(pid, grace=0 if self._bubblewrap else _GRACE)
        elif folders.socket.exists():
            with contextlib.suppress(SandboxLost):
                sandbox = await ToolboxSandbox.open(_connect_to(folders.socket))
                with contextlib.suppress(SandboxLost):
                    await sandbox.shutdown()
                await sandbox.close()
        if not self._bubblewrap:
            await asyncio.to_thread(processes.kill_by_home, plain.home_of(folders))

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]

    def _findings(self) -> list[Finding]:
        mend = "Install it: apt-get install bubblewrap (or dnf, apk, pacman)."
        if self._bubblewrap:
            findings = [Finding("bubblewrap", "ok", "works")]
        elif bubblewrap.bubblewrap_works():
            findings = [
                Finding("bubblewrap", "warning", "works, but plain processes were asked for")
            ]
        elif shutil.which("bwrap"):
            mend = "Allow unprivileged user namespaces, or use Docker."
            findings = [
                Finding("bubblewrap", "warning", "is here, but may not make a sandbox", mend)
            ]
        else:
            findings = [Finding("bubblewrap", "warning", "is not here: no isolation", mend)]
        try:
            self._base.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._base).free
            writable = os.access(self._base, os.W_OK)
        except OSError as error:
            mend = "Set FREEHOLD_DATA_DIR to a folder that can be written."
            return [*findings, Finding("sandbox folder", "error", str(error), mend)]
        if not writable:
            mend = "Set FREEHOLD_DATA_DIR to a folder that can be written."
            findings.append(Finding("sandbox folder", "error", f"{self._base}: read-only", mend))
        elif free < _LOW_DISK:
            detail = f"{free >> 20} MiB free at {self._base}"
            findings.append(Finding("sandbox folder", "warning", detail, "Make space."))
        else:
            detail = f"{self._base}, {free >> 30} GiB free"
            findings.append(Finding("sandbox folder", "ok", detail))
        return findings


def _holding(sandbox: ProcessSandbox, storehouse: Storehouse | None) -> ProcessSandbox:
    sandbox.storehouse = storehouse
    return sandbox


_survivors: list[subprocess.Popen[bytes]] = []


async def _answers(sandbox: ToolboxSandbox) -> bool:
    if sandbox.lost:
        return False
    if sandbox.connected:
        return True
    try:
        await sandbox.ping()
    except SandboxLost:
        return False
    return True


def _connect_to(path: Path) -> Connect:
    address = str(path.absolute())

    async def connect() -> Stream:
        reader, writer = await asyncio.open_unix_connection(sock=connect_unix(address))

        async def close() -> None:
            writer.close()
            await writer.wait_closed()

        return Stream(reader, writer, close)

    return connect


def _birth(path: Path) -> tuple[int, int] | None:
    """Tells one socket from the next under the same name; inode numbers alone are used again."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns


def _tail(log: Path) -> str:
    try:
        text = log.read_bytes()[-_LOG_TAIL:].decode("utf-8", "replace").strip()
    except OSError:
        text = ""
    return text or "it said nothing"


def _installed_toolbox(base: Path) -> Path:
    """The toolbox as a folder with its byte code, which starts faster than the archive."""
    folder = base / f".toolbox-{toolbox_version()[:16]}"
    if folder.exists():
        return folder
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    waiting = base / f".toolbox-{os.getpid()}-{os.urandom(4).hex()}.new"
    for name, data in toolbox_files().items():
        target = waiting / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    compileall.compile_dir(waiting, quiet=2, workers=1)
    try:
        waiting.rename(folder)
    except OSError:
        # Another server was faster.
        shutil.rmtree(waiting, ignore_errors=True)
    return folder
