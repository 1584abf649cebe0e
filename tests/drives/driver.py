"""Plays a plan with the Python SDK, as a client is told to; ``drive.mjs`` does it in TypeScript.

A plan says what to create and send, by what events to do what, and at which event the stream is
dropped and how the client comes back:

``list``            open a new stream, list the events, leave out by id what is known
``last_event_id``   open a new stream with ``Last-Event-ID``; nothing is left out

What is to be done at the event of the drop is done ``before`` the stream is dropped, while the
client is ``away``, or ``after`` it came back.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import httpx2
from anthropic import Anthropic
from anthropic.lib.sessions import accumulate_managed_agents_event

from tests.support.running import client_of

Json = dict[str, Any]
PREVIEWS = {"event_start", "event_delta"}


def matches(match: Json, event: Json) -> bool:
    """Whether an event has the fields, named by their paths, that a match asks for."""
    for path, wanted in match.items():
        value: Any = event
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value != wanted:
            return False
    return True


def filled(template: Any, event: Json) -> Any:
    """A template with ``$id`` and ``$blocking.N`` of the event that brought it about."""
    if isinstance(template, dict):
        return {name: filled(value, event) for name, value in template.items()}
    if isinstance(template, list):
        return [filled(value, event) for value in template]
    if template == "$id":
        return event["id"]
    if isinstance(template, str) and template.startswith("$blocking."):
        return event["stop_reason"]["event_ids"][int(template.removeprefix("$blocking."))]
    return template


class Drive:
    """One session, from its creation to the plan's end."""

    def __init__(self, client: Anthropic, plan: Json) -> None:
        self._client = client
        self._plan = plan
        self._session = client.beta.sessions.create(**plan["session"])
        self._id = self._session.id
        self._stream: Any = None
        self._fired: Counter[str] = Counter()
        self._held: list[tuple[Json, Json]] = []
        self._known: dict[str, Json] = {}
        self._this_stream: set[str] = set()
        self._last_id: str | None = None
        self._dropped = False
        self._ended = False
        self._snapshots: dict[str, Any] = {}
        self.seen: list[Json] = []
        self.twice: list[str] = []
        self.overlap: list[str] = []
        self.previews: list[Json] = []
        self.connections = 0

    def play(self) -> Json:
        """What the client saw, and what the server says of it afterwards."""
        self._open()
        self._send(self._plan["first"])
        while not self._ended:
            self._read()
        self._stream.close()
        sessions = self._client.beta.sessions
        return {
            "session_id": self._id,
            "seen": self.seen,
            "twice": self.twice,
            "overlap": self.overlap,
            "previews": self.previews,
            "connections": self.connections,
            "dropped": self._dropped,
            "listed": [_json(event) for event in sessions.events.list(self._id)],
            "session": _json(sessions.retrieve(self._id)),
        }

    def _read(self) -> None:
        for event in self._stream:
            body = _json(event)
            if event.type in PREVIEWS or event.type == "agent.message":
                self._preview(event, body)
            if event.type == "span.model_request_end":
                self._snapshots.clear()
            if self._take(body, listed=False):
                return
        raise AssertionError("the server ended the stream")

    def _take(self, event: Json, *, listed: bool) -> bool:
        """Take an event in; whether to stop reading: the end has come, or another stream."""
        if event["type"] not in PREVIEWS:
            if listed and event.get("processed_at") is None:
                return False  # it waits, and will be streamed when the agent takes it up
            if event["id"] in self._known:
                again = event["id"] in self._this_stream and not listed
                if again or self._plan["back"] == "last_event_id":
                    self.twice.append(event["id"])
                self.overlap.append(event["id"])
                if not listed:
                    self._this_stream.add(event["id"])
                return False
            self._known[event["id"]] = event
            self._last_id = event["id"]
            self.seen.append(event)
            if not listed:
                self._this_stream.add(event["id"])
        due = [
            action
            for number, rule in enumerate(self._plan["rules"])
            if self._now(f"rule {number}", rule)(event)
            for action in rule["do"]
        ]
        last = self._now("end", self._plan["end"])(event)
        drop = self._plan.get("drop")
        if drop and not self._dropped and self._now("drop", drop)(event):
            self._dropped = True
            self._leave_and_return(event, due, drop)
            return True
        self._do(due, event)
        self._ended = self._ended or last
        return self._ended

    def _now(self, name: str, at: Json) -> Any:
        def reached(event: Json) -> bool:
            if not matches(at["when"], event):
                return False
            self._fired[name] += 1
            return self._fired[name] == at.get("nth", 1)

        return reached

    def _leave_and_return(self, event: Json, due: list[Json], drop: Json) -> None:
        moment = self._plan["moment"]
        if moment == "before":
            self._do(due, event)
        self._stream.close()
        self._snapshots.clear()
        self._do(drop.get("away", []), event)
        if moment == "away":
            self._do(due, event)
            self._do(drop.get("settled", []), event)
        if self._plan["back"] == "last_event_id":
            self._open(self._last_id)
        else:
            self._open()
            for item in self._client.beta.sessions.events.list(self._id):
                # A listed event may end the plan; the rest of the list is still taken in.
                self._take(_json(item), listed=True)
        if moment == "after":
            self._do(due, event)

    def _open(self, after: str | None = None) -> None:
        self.connections += 1
        self._this_stream = set()
        options: Json = {"extra_headers": {"Last-Event-ID": after}} if after else {}
        if self._plan.get("deltas"):
            options["event_deltas"] = self._plan["deltas"]
        sessions = self._client.beta.sessions
        if self._plan.get("thread"):
            (thread,) = sessions.threads.list(self._id)
            options["session_id"] = self._id
            self._stream = sessions.threads.events.stream(thread.id, **options)
        else:
            self._stream = sessions.events.stream(self._id, **options)

    def _preview(self, event: Any, body: Json) -> None:
        key = body.get("event_id") or body.get("event", {}).get("id") or body["id"]
        before = self._snapshots.get(key)
        after = accumulate_managed_agents_event(before, event)
        if event.type == "event_start":
            self.previews.append(
                {"id": key, "connection": self.connections, "shown": "", "final": None}
            )
        if after is not None:
            self._snapshots[key] = after
        for preview in self.previews:
            if preview["id"] == key and preview["connection"] == self.connections:
                which = "final" if event.type == "agent.message" else "shown"
                preview[which] = "".join(block.text for block in after.content) if after else ""

    def _do(self, actions: list[Json], event: Json) -> None:
        for action in actions:
            ((kind, argument),) = action.items()
            match kind:
                case "send":
                    self._send(filled(argument, event))
                case "post":
                    httpx2.post(argument, timeout=30).raise_for_status()
                case "budget":
                    self._budget(argument)
                case "until":
                    self._until(argument)
                case _:
                    raise AssertionError(kind)

    def _send(self, events: list[Json]) -> None:
        sent: Any = events
        self._client.beta.sessions.events.send(self._id, events=sent)

    def _budget(self, more: int | None) -> None:
        """Raise the budget to so many cents above what was consumed; ``None`` removes it."""
        budget: Any = None
        if more is not None:
            cost = self._client.beta.sessions.retrieve(self._id).usage.list_cost
            assert cost is not None
            amount = str(int(cost.amount) + more)
            budget = {"type": "limit", "max_list_cost": {"amount": amount, "currency": "USD"}}
        self._client.beta.sessions.update(self._id, budget=budget)

    def _until(self, at: Json) -> None:
        deadline = time.monotonic() + 45
        while True:
            listed = [_json(event) for event in self._client.beta.sessions.events.list(self._id)]
            done = [event for event in listed if event.get("processed_at")]
            if sum(matches(at["when"], event) for event in done) >= at.get("nth", 1):
                return
            assert time.monotonic() < deadline, [event["type"] for event in listed]
            time.sleep(0.02)


def _json(model: Any) -> Json:
    body: Json = model.to_dict(mode="json")
    return body


def drive(url: str, plan: Json) -> Json:
    """Play a plan against a server, with every response checked against the SDK's types."""
    with client_of(url, timeout=45) as client:
        return Drive(client, plan).play()
