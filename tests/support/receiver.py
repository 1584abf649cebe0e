"""A receiver of webhooks on loopback that checks what comes as a client of the SDK does."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from anthropic import Anthropic
from anthropic.types.beta import BetaWebhookEvent

from tests.support.sdk_unions import shown

PATIENCE = 60.0
"""Seconds after which what should come will not."""
SECRET = "whsec_" + base64.b64encode(b"a receiver's own secret, 32 byte").decode()
_SDK = Anthropic(api_key="none", base_url="http://127.0.0.1:9")


@dataclass(frozen=True)
class Post:
    """What came."""

    headers: dict[str, str]
    body: str

    def unwrap(self, secret: str = SECRET) -> Any:
        """The event, if the SDK takes the signature and knows all that is in it."""
        shown(BetaWebhookEvent, json.loads(self.body))
        return _SDK.beta.webhooks.unwrap(self.body, headers=self.headers, key=secret)

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["data"]
        return found

    @property
    def kind(self) -> str:
        kind: str = self.data["type"]
        return kind


Answer = Callable[[Post], int]


class Receiver:
    """Takes what comes, and answers as ``answer`` says."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.answer: Answer = lambda _: 200
        self.headers: dict[str, str] = {}
        """Sent with every answer."""
        self.url = ""
        self._news = threading.Condition()

    def take(self, post: Post) -> int:
        with self._news:
            self.posts.append(post)
            self._news.notify_all()
        return self.answer(post)

    def wait(self, done: Callable[[list[Post]], Any], what: str = "") -> list[Post]:
        """What came, once ``done`` is content with it."""
        deadline = time.monotonic() + PATIENCE
        with self._news:
            while not done(self.posts):
                left = deadline - time.monotonic()
                assert left > 0, what or [post.kind for post in self.posts]
                self._news.wait(left)
            return list(self.posts)

    def first(self, kind: str, **data: str) -> Post:
        """The first of this kind with these data, once it is there."""

        def fits(post: Post) -> bool:
            return post.kind == kind and data.items() <= post.data.items()

        posts = self.wait(lambda posts: any(map(fits, posts)), f"no {kind} with {data}")
        return next(filter(fits, posts))

    def kinds(self, **data: str) -> list[str]:
        """The types of what has come with these data."""
        return [post.kind for post in list(self.posts) if data.items() <= post.data.items()]


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver for as long as the block lasts."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            with contextlib.suppress(OSError):
                self.send_response(made.take(Post(headers, body)))
                for name, value in made.headers.items():
                    self.send_header(name, value)
                self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
