"""What the crash tests share: clients that always come back, and what must be true of every log."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
from anthropic import Anthropic, APIConnectionError, APIError, APITimeoutError

from tests.support.running import BETA, ServerProcess

Event = dict[str, Any]

PATIENCE = 120.0
"""Seconds after which something that should happen will not."""
PAUSE = 0.03
"""Seconds between two tries to reach a server that is down."""


def how_often(default: int) -> int:
    """How often to kill: ``FREEHOLD_TEST_KILLS``, else ``default``."""
    return int(os.environ.get("FREEHOLD_TEST_KILLS") or default)


def dice() -> random.Random:
    """Chance, by ``FREEHOLD_TEST_SEED`` or a seed that is printed."""
    seed = int(os.environ.get("FREEHOLD_TEST_SEED") or random.randrange(1 << 32))
    print(f"FREEHOLD_TEST_SEED={seed}")
    return random.Random(seed)


def until(done: Callable[[], Any], what: str = "") -> None:
    """Wait until ``done`` says so."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, what or "nothing happens"
        time.sleep(0.02)


def user(text: str) -> Event:
    """A message."""
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


class Caller:
    """Calls a server that may die at any moment; sends again only what did not arrive."""

    def __init__(self, sdk: Anthropic) -> None:
        self.sdk = sdk
        self.repeated = 0
        """Requests that had to be made again."""

    def persist(self, call: Callable[[], Any]) -> Any:
        """Make a call that may be made twice until it is answered."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return call()
            except APITimeoutError:
                raise  # the server lives, and does not answer
            except APIConnectionError:
                assert time.monotonic() < deadline, "the server does not come back"
                self.repeated += 1
                time.sleep(PAUSE)

    def listed(self, session_id: str) -> list[Event]:
        """The session's events, those included that wait to be taken in."""
        pages = self.sdk.beta.sessions.events
        return self.persist(
            lambda: [event.to_dict() for event in pages.list(session_id, limit=1000)]
        )

    def send(
        self, session_id: str, events: list[Event], arrived: Callable[[list[Event]], bool]
    ) -> list[Event]:
        """Have the server take ``events``, all of them once; its echoes, or what is listed.

        ``arrived`` tells from the listed events whether they were taken though the answer is lost.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                taken = self.sdk.beta.sessions.events.send(session_id, events=events)  # type: ignore[arg-type]
                return [event.to_dict() for event in taken.data or []]
            except APITimeoutError:
                raise
            except APIConnectionError:
                assert time.monotonic() < deadline, "the server does not come back"
                self.repeated += 1
            # That server is dead: what it took in is in the log that the next one shows.
            listed = self.listed(session_id)
            if arrived(listed):
                return listed


class Follower(threading.Thread):
    """A client that streams a session's events and always comes back.

    It sees previews too, and notes what they did that they must not. ``heard`` is called with
    each event.
    """

    def __init__(
        self, url: str, session_id: str, heard: Callable[[Event], None] = lambda _: None
    ) -> None:
        super().__init__(daemon=True)
        self.session_id = session_id
        self.events: list[Event] = []
        self.connections = 0
        self.previewed = 0
        """Messages that were shown while they grew, whole."""
        self.wrong: list[str] = []
        self._url = url
        self._heard = heard
        self._news = threading.Condition()
        self._ended = threading.Event()
        self._drafts: dict[str, str] = {}

    def run(self) -> None:
        while not self._ended.is_set():
            # A preview lives as long as its connection.
            self._drafts = {}
            try:
                self._connect()
            except (httpx2.HTTPError, APIError):
                time.sleep(PAUSE)

    def end(self) -> None:
        """Do not come back once the connection is gone."""
        self._ended.set()

    def find(self, wanted: Callable[[Event], bool], start: int = 0) -> int:
        """Where the first such event stands, from ``start`` on; waits for it."""
        place = self.soon(wanted, PATIENCE, start)
        with self._news:
            seen = [event["type"] for event in self.events[start:]]
        assert place is not None, f"{self.session_id}: what was waited for does not come: {seen}"
        return place

    def soon(self, wanted: Callable[[Event], bool], seconds: float, start: int = 0) -> int | None:
        """The same, for so long at most."""
        deadline = time.monotonic() + seconds
        place = start
        with self._news:
            while True:
                while place < len(self.events):
                    if wanted(self.events[place]):
                        return place
                    place += 1
                if not self._news.wait(deadline - time.monotonic()):
                    return None

    def _connect(self) -> None:
        raise NotImplementedError

    def _take(self, event: Event) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()
        self._heard(event)

    def _live(self, event: Event) -> None:
        """An event as it came over the stream, previews included."""
        match event["type"]:
            case "event_start":
                self._drafts[event["event"]["id"]] = ""
            case "event_delta" if event["event_id"] in self._drafts:
                self._drafts[event["event_id"]] += event["delta"]["content"]["text"]
            case "agent.message" if event["id"] in self._drafts:
                shown = self._drafts.pop(event["id"])
                said = "".join(block["text"] for block in event["content"])
                if shown != said:
                    self.wrong.append(f"{event['id']}: {shown!r} was shown of {said!r}")
                self.previewed += 1


class Resumer(Follower):
    """Comes back with ``Last-Event-ID``, as any SSE client does."""

    last_id = "0"
    """From the beginning: what happened before the first connection counts too."""

    def _connect(self) -> None:
        headers = {**BETA, "last-event-id": self.last_id}
        url = f"{self._url}/v1/sessions/{self.session_id}/events/stream"
        wanted = {"event_deltas[]": ["agent.message", "agent.thinking"]}
        with httpx2.stream("GET", url, params=wanted, headers=headers, timeout=30) as response:
            if response.status_code != 200:
                time.sleep(PAUSE)
                return
            self.connections += 1
            for frame_id, event in _frames(response):
                self._live(event)
                if frame_id is not None:
                    self.last_id = frame_id
                    self._take(event)


class Relister(Follower):
    """Comes back as the API's documentation says: streams, lists, and drops what it has seen."""

    def __init__(
        self, sdk: Anthropic, session_id: str, heard: Callable[[Event], None] = lambda _: None
    ) -> None:
        super().__init__(str(sdk.base_url), session_id, heard)
        self._sdk = sdk
        self._seen: set[str] = set()

    def _connect(self) -> None:
        api = self._sdk.beta.sessions.events
        with api.stream(self.session_id, event_deltas=["agent.message"]) as stream:
            self.connections += 1
            for listed in api.list(self.session_id, limit=1000):
                self._merge(listed.to_dict())
            for streamed in stream:
                event = streamed.to_dict()
                self._live(event)
                if "id" in event:
                    self._merge(event)

    def _merge(self, event: Event) -> None:
        # What still waits to be taken in has no place yet, and comes again when it has.
        if event["id"] not in self._seen and event.get("processed_at") is not None:
            self._seen.add(event["id"])
            self._take(event)


def _frames(response: httpx2.Response) -> Iterator[tuple[str | None, Event]]:
    """Whole frames only, as any conforming SSE client counts them."""
    frame_id, data = None, None
    for line in response.iter_lines():
        if line.startswith("id:"):
            frame_id = line[3:].strip()
        elif line.startswith("data:"):
            data = json.loads(line[5:])
        elif not line:
            if data is not None and data["type"] != "ping":
                yield frame_id, data
            frame_id, data = None, None


def check_order(listed: list[Event]) -> None:
    """Every event once, and later than the one before."""
    ids = [event["id"] for event in listed]
    assert len(ids) == len(set(ids))
    times = [event["processed_at"] for event in listed]
    assert times == sorted(times)


def check_database(database: Path) -> None:
    """What clients cannot see: no gap in any log, every accepted input taken in once and in order,
    no call begun twice, no timer left. Sessions must be at rest.
    """
    with sqlite3.connect(database) as connection:
        heads = dict(connection.execute("select id, head_seq from sessions"))
        rows = connection.execute(
            "select session_id, seq, id, type, public, body from session_events "
            "order by session_id, seq"
        ).fetchall()
        timers = connection.execute("select session_id from timers").fetchall()
    assert rows
    assert not timers, "a session rests, and its timer is set"
    logs: dict[str, list[Any]] = {session_id: [] for session_id in heads}
    for session_id, *row in rows:
        logs[session_id].append(row)
    for session_id, log in logs.items():
        assert [row[0] for row in log] == list(range(1, heads[session_id] + 1)), session_id
        accepted: list[str] = []
        begun: list[str] = []
        taken = {event_id: seq for seq, event_id, _, public, _ in log if public}
        for seq, _, kind, _, body in log:
            if kind == "input.accepted":
                accepted.append(json.loads(body)["input_id"])
                assert taken[accepted[-1]] > seq, accepted[-1]
            elif kind == "call.started":
                begun.append(json.loads(body)["call_id"])
        places = [taken[input_id] for input_id in accepted]
        assert places == sorted(places), session_id
        assert len(begun) == len(set(begun)), session_id


def killed_in_start(server: ServerProcess, seconds: float) -> None:
    """Start, and kill after so many seconds whether it answers or not."""
    server.launch()
    time.sleep(seconds)
    server.kill()
