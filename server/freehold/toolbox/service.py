"""``serve``: the toolbox as the main process of a sandbox."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import PROTOCOL
from .calls import Calls
from .filesystem import TooMany, reason
from .journal import Journal, JournalBusy
from .relay import pump
from .sockets import bind_unix
from .tools import Tools, own_environment
from .warden import Warden

if TYPE_CHECKING:
    from .mirror import Digests

FRAME_LIMIT = 64 * 1024 * 1024
"""Bytes of one frame; a peer that sends a longer one is cut off."""

_CHUNK = 256 * 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SCRATCH = ("/tmp", "/var/tmp")  # noqa: S108 - what else an agent can write to
_ATTENTION = 1.0
"""Seconds between looks at the clock while nobody is connected."""

_FILE_WORK = ("read", "write", "mkdir", "delete", "list", "survey", "exchange")

Frame = dict[str, Any]


class _BadRequest(Exception):
    """A frame that the protocol does not know."""


class Service:
    """Answers the frames of any number of connections."""

    def __init__(
        self,
        *,
        state: str,
        workdir: str,
        outputs: str | None,
        alone: bool = False,
        disk: int = 0,
    ) -> None:
        self._journal = Journal(state)
        self._boot = os.urandom(8).hex()
        os.makedirs(workdir, exist_ok=True)
        if outputs:
            os.makedirs(outputs, exist_ok=True)
        self._workdir = workdir
        self._outputs = outputs
        self._tools = Tools(workdir, own_environment())
        places = [workdir, *filter(None, [outputs, os.environ.get("HOME")]), *_SCRATCH]
        self._warden = Warden(
            alone=alone, disk=disk, places=dict.fromkeys(places), resumed=self._journal.resumed
        )
        self._calls = Calls(self._tools, self._journal, self._warden)
        self._digests: Digests | None = None
        self._surveying = threading.Lock()
        self._connections = 0
        self._lock = threading.Lock()
        self._stop_source, self._stop_sink = os.pipe()

    def run(self, listener: socket.socket, idle_exit: float) -> None:
        """Serve until told to stop, or until nobody was connected for ``idle_exit`` s (0: ever)."""
        poller = select.poll()
        poller.register(listener, select.POLLIN)
        poller.register(self._stop_source, select.POLLIN)
        last_used = time.monotonic()
        while True:
            ready = poller.poll(_ATTENTION * 1000 if idle_exit else None)
            if any(descriptor == self._stop_source for descriptor, _ in ready):
                return
            if ready:
                peer, _ = listener.accept()
                with self._lock:
                    self._connections += 1
                self._warden.start(self._attend, peer)
            if self._connections or self._calls.busy:
                last_used = time.monotonic()
            elif idle_exit and time.monotonic() - last_used > idle_exit:
                return

    def adopt(self, source: int, sink: int) -> None:
        """Serve a pair of descriptors as if they were an accepted connection."""
        ours, theirs = socket.socketpair()
        with self._lock:
            self._connections += 1
        threading.Thread(target=self._attend, args=(ours,), daemon=True).start()
        threading.Thread(target=pump, args=(theirs, source, sink), daemon=True).start()

    def stop(self) -> None:
        """End :meth:`run`. Safe in a signal handler."""
        os.write(self._stop_sink, b"s")

    def close(self) -> None:
        """Kill what the agent left running and let go of the journal."""
        self._tools.close()
        self._journal.close()

    def _attend(self, peer: socket.socket) -> None:
        connection = _Connection(peer)
        try:
            connection.read(lambda frame: self._take(connection, frame))
        except OSError:
            pass
        finally:
            peer.close()
            with self._lock:
                self._connections -= 1

    def _take(self, connection: _Connection, frame: Frame) -> None:
        rid = frame.get("rid")
        operation = frame.get("op")
        try:
            if operation == "call":
                self._calls.call(
                    _string(frame, "id"),
                    _string(frame, "name"),
                    frame.get("input"),
                    lambda outcome: connection.reply(rid, outcome),
                )
            elif operation == "cancel":
                self._calls.cancel(_string(frame, "id"))
                connection.reply(rid, {})
            elif operation in _FILE_WORK:
                work = {
                    "read": self._read,
                    "write": self._write,
                    "mkdir": self._mkdir,
                    "delete": self._delete,
                    "list": self._list,
                    "survey": self._survey,
                    "exchange": self._exchange,
                }[operation]
                # A slow disk must not keep other frames waiting.
                self._warden.start(_guarded, connection, rid, work, frame)
            elif operation == "environment":
                self._tools.vary(_variables(frame))
                connection.reply(rid, {})
            elif operation == "hello":
                connection.reply(
                    rid,
                    {
                        "protocol": PROTOCOL,
                        "identity": self._journal.identity,
                        "boot": self._boot,
                        "workdir": self._workdir,
                        "outputs": self._outputs,
                    },
                )
            elif operation == "ping":
                connection.reply(rid, {})
            elif operation == "rest":
                self._warden.start(self._rest, connection, rid)
            elif operation == "shutdown":
                connection.reply(rid, {})
                self.stop()
            else:
                connection.refuse(rid, "bad_request", f"unknown op: {operation}")
        except _BadRequest as error:
            connection.refuse(rid, "bad_request", str(error))

    def _rest(self, connection: _Connection, rid: Any) -> None:
        resting = self._calls.rest()
        if resting:
            self._warden.dismiss()
        connection.reply(rid, {"resting": resting})
        if resting:
            self.stop()

    def _read(self, frame: Frame) -> Frame:
        offset, length = _integer(frame, "offset"), _integer(frame, "length")
        path = self._tools.place.resolve(_string(frame, "path"))
        data, version = self._tools.place.files.read_version(path, offset, length)
        encoded = base64.standard_b64encode(data).decode("ascii")
        return {"data": encoded, "eof": len(data) < length, "version": version}

    def _write(self, frame: Frame) -> Frame:
        try:
            data = base64.b64decode(_string(frame, "data"), validate=True)
        except binascii.Error as error:
            raise _BadRequest(f"data: {error}") from None
        path = self._tools.place.resolve(_string(frame, "path"))
        self._tools.place.files.write(path, data, _integer(frame, "offset"))
        if frame.get("mode") is not None:
            os.chmod(path, _integer(frame, "mode") & 0o777)
        return {}

    def _mkdir(self, frame: Frame) -> Frame:
        self._tools.place.files.make_directory(self._tools.place.resolve(_string(frame, "path")))
        return {}

    def _delete(self, frame: Frame) -> Frame:
        self._tools.place.files.delete(self._tools.place.resolve(_string(frame, "path")))
        return {}

    def _list(self, frame: Frame) -> Frame:
        # Here, as what it needs would make every start slower.
        from .listing import listing  # noqa: PLC0415 - few sandboxes are asked

        path = self._tools.place.resolve(_string(frame, "path"))
        return {"files": listing(path, _integer(frame, "limit"))}

    def _survey(self, frame: Frame) -> Frame:
        from .mirror import Digests  # noqa: PLC0415 - as above

        # One after the other: a survey begins with what the one before it learned.
        with self._surveying:
            self._digests = self._digests or Digests()
            return self._digests.survey(
                self._tools.place.resolve(_string(frame, "path")),
                _integer(frame, "limit"),
                _integer(frame, "largest"),
                bool(frame.get("fresh")),
            )

    def _exchange(self, frame: Frame) -> Frame:
        from .mirror import exchange  # noqa: PLC0415 - as above

        folder = self._tools.place.resolve(_string(frame, "path"))
        changes = frame.get("changes")
        if not isinstance(changes, list):
            raise _BadRequest("changes: must be a list")
        return {"results": [exchange(folder, *change) for change in changes]}


class _Connection:
    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._sending = threading.Lock()

    def read(self, take: Callable[[Frame], None]) -> None:
        """Hand on frames until the peer goes."""
        pending = bytearray()
        while True:
            data = self._peer.recv(_CHUNK)
            if not data:
                return
            searched = len(pending)
            pending += data
            while (end := pending.find(b"\n", searched)) >= 0:
                line = bytes(pending[:end])
                del pending[: end + 1]
                searched = 0
                try:
                    frame = json.loads(line)
                except (ValueError, RecursionError):
                    frame = None
                if not isinstance(frame, dict):
                    self.refuse(None, "bad_request", "a frame must be a JSON object")
                    return
                take(frame)
            if len(pending) > FRAME_LIMIT:
                self.refuse(None, "bad_request", f"a frame must not exceed {FRAME_LIMIT} bytes")
                return

    def reply(self, rid: Any, result: Frame) -> None:
        """Answer; a peer that has gone asks again by id when it comes back."""
        self._send({"rid": rid, "ok": True, "result": result})

    def refuse(self, rid: Any, kind: str, message: str) -> None:
        """Answer with an error."""
        self._send({"rid": rid, "ok": False, "error": {"kind": kind, "message": message}})

    def _send(self, frame: Frame) -> None:
        line = json.dumps(frame, separators=(",", ":")).encode("ascii") + b"\n"
        try:
            with self._sending:
                self._peer.sendall(line)
        except OSError:
            pass


def _guarded(
    connection: _Connection, rid: Any, work: Callable[[Frame], Frame], frame: Frame
) -> None:
    try:
        connection.reply(rid, work(frame))
    except _BadRequest as error:
        connection.refuse(rid, "bad_request", str(error))
    except TooMany:
        connection.refuse(rid, "too_many", "there is more in it than is looked at")
    except OSError as error:
        connection.refuse(rid, _kind(error), reason(error))


def _kind(error: OSError) -> str:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "not_found"
    if isinstance(error, IsADirectoryError):
        return "is_directory"
    return "permission" if isinstance(error, PermissionError) else "io"


def _string(frame: Frame, name: str) -> str:
    value = frame.get(name)
    if not isinstance(value, str) or (name == "path" and (not value or "\0" in value)):
        raise _BadRequest(f"{name}: must be a string")
    return value


def _variables(frame: Frame) -> dict[str, str]:
    value = frame.get("variables")
    if not isinstance(value, dict):
        raise _BadRequest("variables: must be an object")
    for name, text in value.items():
        if not _NAME.fullmatch(name) or not isinstance(text, str) or "\0" in text:
            raise _BadRequest("variables: must be names and strings")
    return value


def _integer(frame: Frame, name: str) -> int:
    value = frame.get(name)
    if not isinstance(value, int) or value < 0:
        raise _BadRequest(f"{name}: must be an integer, not negative")
    return value


def serve(
    *,
    state: str,
    socket_path: str,
    workdir: str,
    outputs: str | None,
    idle_exit: float,
    stdio: bool = False,
    alone: bool = False,
    disk: int = 0,
) -> int:
    """Run the toolbox; the process's exit status."""
    try:
        service = Service(state=state, workdir=workdir, outputs=outputs, alone=alone, disk=disk)
    except JournalBusy:
        sys.stderr.write(f"toolbox: another toolbox serves {state}\n")
        return 3
    os.makedirs(os.path.dirname(socket_path) or ".", exist_ok=True)
    listener = bind_unix(socket_path)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: service.stop())
    if stdio:
        service.adopt(0, 1)
    try:
        service.run(listener, idle_exit)
    finally:
        os.unlink(socket_path)
        listener.close()
        service.close()
    return 0
