"""``connect``: standard input and output on one side, the toolbox's socket on the other."""

from __future__ import annotations

import os
import select
import socket
import sys
import time

from .sockets import connect_unix

CONNECT_PATIENCE = 15.0
"""Seconds to wait for a toolbox that is just starting."""

_CHUNK = 256 * 1024


def relay(path: str, patience: float = CONNECT_PATIENCE) -> int:
    """Carry bytes both ways until either side ends; the process's exit status."""
    try:
        peer = _patient_connect(path, patience)
    except OSError as error:
        sys.stderr.write(f"toolbox: cannot reach {path}: {error.strerror}\n")
        return 1
    with peer:
        pump(peer, 0, 1)
    return 0


def _patient_connect(path: str, patience: float) -> socket.socket:
    deadline = time.monotonic() + patience
    while True:
        try:
            return connect_unix(path)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def pump(peer: socket.socket, source: int, sink: int) -> None:
    """Carry bytes from ``source`` to ``peer`` and from ``peer`` to ``sink`` until either ends."""
    peer.setblocking(False)
    os.set_blocking(source, False)
    to_peer, to_sink = bytearray(), bytearray()
    source_open = True
    peer_open = True
    while peer_open or to_sink:
        poller = select.poll()
        # Nothing is read that cannot be passed on: back pressure instead of memory.
        if source_open and len(to_peer) < _CHUNK:
            poller.register(source, select.POLLIN)
        interest = (select.POLLIN if len(to_sink) < _CHUNK else 0) | (
            select.POLLOUT if to_peer else 0
        )
        if peer_open and interest:
            poller.register(peer.fileno(), interest)
        if to_sink:
            poller.register(sink, select.POLLOUT)
        for descriptor, happened in poller.poll():
            if descriptor == source and source_open:
                source_open = _receive(source, to_peer)
                if not source_open and not to_peer:
                    peer.shutdown(socket.SHUT_WR)
            elif descriptor == sink:
                if happened & select.POLLERR:
                    return
                _send(sink, to_sink)
            elif descriptor == peer.fileno():
                if happened & select.POLLOUT and to_peer:
                    _send(descriptor, to_peer)
                    if not source_open and not to_peer:
                        peer.shutdown(socket.SHUT_WR)
                if happened & (select.POLLIN | select.POLLHUP | select.POLLERR):
                    peer_open = _receive(descriptor, to_sink)


def _receive(descriptor: int, into: bytearray) -> bool:
    try:
        data = os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    into += data
    return bool(data)


def _send(descriptor: int, pending: bytearray) -> None:
    try:
        sent = os.write(descriptor, pending)
    except BlockingIOError:
        return
    except OSError:
        pending.clear()
        return
    del pending[:sent]
