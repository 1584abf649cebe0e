"""A network that breaks: a proxy which cuts a stream once, when a word comes along."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class CuttingProxy:
    """Passes connections on to a port of this machine; see :func:`cutting_proxy`."""

    def __init__(self, listener: socket.socket, port: int, word: bytes) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.cuts = 0
        self._listener = listener
        self._port = port
        self._word = word
        self._lock = threading.Lock()

    def run(self) -> None:
        """Take connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                streams = threading.Event()
                for source, sink, answers in ((client, server, False), (server, client, True)):
                    arguments = (source, sink, streams, answers)
                    threading.Thread(target=self._pump, args=arguments, daemon=True).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, streams: threading.Event, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if not answers and b"/stream" in data.partition(b"\r\n")[0]:
                    streams.set()
                if answers and streams.is_set() and self._word in data and self._first():
                    break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _first(self) -> bool:
        with self._lock:
            self.cuts += 1
            return self.cuts == 1


@contextlib.contextmanager
def cutting_proxy(port: int, word: str) -> Iterator[CuttingProxy]:
    """Cuts the first event stream that carries ``word``, before it has come through."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        proxy = CuttingProxy(listener, port, word.encode())
        threading.Thread(target=proxy.run, daemon=True).start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)
