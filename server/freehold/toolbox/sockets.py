"""Unix sockets whose path may be longer than the 108 bytes that an address holds."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

_ADDRESS_LIMIT = 100


def bind_unix(path: str) -> socket.socket:
    """A listening socket at ``path``, in place of a dead one that may lie there.

    Raises:
        OSError: the folder is missing or not ours to write.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Made under another name: whoever finds the socket finds it listening.
    waiting = path + ".new"
    try:
        os.unlink(waiting)
    except FileNotFoundError:
        pass
    _with_address(waiting, listener.bind)
    os.chmod(waiting, 0o600)
    listener.listen(64)
    os.rename(waiting, path)
    return listener


def connect_unix(path: str) -> socket.socket:
    """A blocking connection to ``path``.

    Raises:
        OSError: nothing listens there.
    """
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _with_address(path, peer.connect)
    except OSError:
        peer.close()
        raise
    return peer


def _with_address(path: str, use: Callable[[str], object]) -> None:
    if len(os.fsencode(path)) <= _ADDRESS_LIMIT:
        use(path)
        return
    # Linux reaches the folder through its descriptor, which makes any path short.
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        use(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)
