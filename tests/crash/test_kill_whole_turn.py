"""SIGKILL at random while several clients use all that a turn can do.

The clients do what careful ones do: they come back, by ``Last-Event-ID`` or by listing, and send
again only what did not arrive. At the end of each conversation its log must tell one story: every
input once and in order, one result for each tool call, no call run twice, every retry made that
was announced, and the same events for whoever streamed them.
"""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anthropic import NotFoundError

from freehold.core.decide import INTERRUPTED
from freehold.harness.mcp import LOST
from tests.crash.support import (
    PATIENCE,
    Caller,
    Event,
    Follower,
    Relister,
    Resumer,
    check_database,
    check_order,
    dice,
    how_often,
    killed_in_start,
    user,
)
from tests.support.forking import template
from tests.support.mcp_servers import mcp_server
from tests.support.running import ServerProcess, client_of

KILLS = how_often(15)
CLIENTS = 4
TURNS = 6
"""In one session."""
RETRIES = 4
COMPACT_AT = 0.015
"""Of a million tokens: what `long` turns fill, and the others do not."""

PLAIN = ("bash", "preview", "overload", "limit", "break", "exhaust", "custom", "mcp", "mixed")
KINDS = (*PLAIN, "long", "pair", "stop_model", "stop_tool", "stop_retry", "stop_ask", "stop_mcp")


def _tool(name: str, **arguments: Any) -> str:
    return f"/tool {name} {json.dumps(arguments)}"


def _mark(text: str, seconds: float = 0.0) -> str:
    return _tool("mcp__things__mark", text=text, seconds=seconds)


def _line(key: str, before: str = "") -> str:
    return f"/run {before}echo {key} >> lines.txt"


def _weather(key: str) -> str:
    return _tool("weather", place=key)


def script(kind: str, key: str) -> str:
    """What the model is told to do in a turn of this kind; all that it leaves bears ``key``."""
    lines = {
        "bash": [_line(f"{key}a"), _line(f"{key}b"), "/say and", _line(f"{key}c", "sleep 0.2; ")],
        "preview": ["/think about it", f"/say {key} " + "words that come one by one " * 30],
        "overload": [f"/say {key} before", "/fail overloaded x2", _line(f"{key}a")],
        "limit": ["/fail rate_limited x1 retry_after=0.3"],
        "break": [f"/say {key} and then the line", "/fail connection x2 broke"],
        "exhaust": ["/fail server"],
        "custom": [*(_weather(f"{key}{n}") for n in range(3)), "/say and", _weather(f"{key}z")],
        "mcp": [_mark(f"{key}a", 0.3), _mark(f"{key}b"), "/say and", _mark(f"{key}c", 0.1)],
        "mixed": [_line(f"{key}a"), _mark(f"{key}b"), _weather(f"{key}c"), _line(f"{key}d")],
        "long": [f"/say {key} was much to read"],
        "pair": ["/wait 0.3"],
        "stop_model": [_line(f"{key}a"), "/wait 20"],
        "stop_tool": [_line(f"{key}a"), _line(f"{key}b", "sleep 20; "), _line(f"{key}c")],
        "stop_retry": ["/fail overloaded"],
        "stop_ask": [_weather(f"{key}a"), _line(f"{key}b")],
        "stop_mcp": [_mark(f"{key}a"), _mark(f"{key}b", 20)],
    }[kind]
    filling = "All work and no play. " * 4_000 if kind == "long" else ""
    return "\n".join([filling, *lines, f"/say done {key}"])


class Stage:
    """The server, the MCP server, and the agents that everybody shares."""

    def __init__(self, server: ServerProcess, mcp_url: str) -> None:
        self.server = server
        self.closing = threading.Event()
        self._events = 0
        sdk = client_of(server.url)
        self.environment = sdk.beta.environments.create(name="crash").id
        self.agents = [
            sdk.beta.agents.create(
                name=f"crash {policy}",
                model="claude-sonnet-5",
                mcp_servers=[{"type": "url", "name": "things", "url": mcp_url}],
                tools=_tools(policy),  # type: ignore[arg-type]
            ).id
            for policy in ("always_allow", "always_ask")
        ]

    def heard(self, _: Event) -> None:
        """A client has heard of something."""
        self._events += 1

    def wait_for(self, events: int, seconds: float) -> bool:
        """Wait until so many more were heard of, or so long; whether the killing is over."""
        end, enough = time.monotonic() + seconds, self._events + events
        while self._events < enough and time.monotonic() < end:
            if self.closing.wait(0.01):
                return True
        return self.closing.is_set()


def _tools(policy: str) -> list[Event]:
    configured = {"permission_policy": {"type": policy}}
    return [
        {"type": "agent_toolset_20260401", "default_config": configured},
        {"type": "mcp_toolset", "mcp_server_name": "things", "default_config": configured},
        {
            "type": "custom",
            "name": "weather",
            "description": "The weather at a place.",
            "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}},
        },
    ]


class Conversation:
    """One session and the client that drives it; its log is checked at its end."""

    def __init__(self, stage: Stage, caller: Caller, name: str, rng: random.Random) -> None:
        self._stage = stage
        self._caller = caller
        self._name = name
        self._rng = rng
        sessions = caller.sdk.beta.sessions
        agent = rng.choice(stage.agents)
        self.id: str = caller.persist(
            lambda: sessions.create(agent=agent, environment_id=stage.environment)
        ).id
        url = stage.server.url
        self.follower: Follower = (
            Resumer(url, self.id, stage.heard)
            if rng.random() < 0.5
            else Relister(client_of(url), self.id, stage.heard)
        )
        self.follower.start()
        self.turns: list[tuple[str, str]] = []
        """Kind and key of each turn."""
        self._said: list[str] = []
        self._acknowledged: list[str] = []
        self._answers: dict[str, Event] = {}

    def take_turn(self, kind: str) -> None:
        """Have the agent do something, answer what it asks, and wait until it rests."""
        key = f"{self._name}-{len(self.turns)}-"
        self.turns.append((kind, key))
        self._say(key, script(kind, key))
        if kind == "pair":
            time.sleep(self._rng.uniform(0, 0.4))
            key = f"{key}second-"
            self._say(key, script("bash", key))
        interrupted = kind.startswith("stop_")
        if interrupted:
            time.sleep(self._rng.uniform(0, 1.0))
            self._send([{"type": "user.interrupt"}], lambda _: False)
        place = self.follower.find(lambda event: _text(event).endswith(f"done {key}"))
        while True:
            place = self.follower.find(
                lambda event: event["type"] == "session.status_idle", place + 1
            )
            reason = self.follower.events[place]["stop_reason"]
            if reason["type"] != "requires_action":
                return
            if not interrupted:
                self._answer([i for i in reason["event_ids"] if i not in self._answers])

    def _say(self, key: str, text: str) -> None:
        def is_it(event: Event) -> bool:
            return event["type"] == "user.message" and _text(event).endswith(f"done {key}")

        echoes = self._send([user(text)], lambda listed: any(map(is_it, listed)))
        self._said.append(key)
        self._acknowledged += [event["id"] for event in echoes if is_it(event)]

    def _answer(self, call_ids: list[str]) -> None:
        calls = [event for event in self.follower.events if event["id"] in call_ids]
        self._rng.shuffle(calls)
        answers = [self._answer_to(call) for call in calls]
        self._answers |= {call["id"]: answer for call, answer in zip(calls, answers, strict=True)}
        whole = self._rng.random() < 0.3
        for batch in [answers] if whole else [[answer] for answer in answers]:
            if batch:
                self._send(batch, lambda listed, first=batch[0]: _answered(listed, first))
        late = [answer for answer in answers if answer["type"] == "user.custom_tool_result"]
        if late and self._rng.random() < 0.2:
            # A client that is not sure sends it again: taken, and without effect.
            self._send(late[:1], lambda listed: True)

    def _answer_to(self, call: Event) -> Event:
        if call["type"] == "agent.custom_tool_use":
            text = {"type": "text", "text": f"sunny at {call['input']['place']}"}
            return {
                "type": "user.custom_tool_result",
                "custom_tool_use_id": call["id"],
                "content": [text],
            }
        answer = {"type": "user.tool_confirmation", "tool_use_id": call["id"]}
        if self._rng.random() < 0.25:
            return answer | {"result": "deny", "deny_message": "not today"}
        return answer | {"result": "allow"}

    def _send(self, events: list[Event], arrived: Any) -> list[Event]:
        return self._caller.send(self.id, events, arrived)

    def check(self, data_dir: Path, marks: dict[str, int]) -> list[Event]:
        """Whether the log tells the whole story and nothing else; what is listed."""
        listed = self._caller.listed(self.id)
        self.follower.find(lambda event: event["id"] == listed[-1]["id"])
        assert [event["id"] for event in self.follower.events] == [e["id"] for e in listed]
        assert not self.follower.wrong
        check_order(listed)
        said = [event for event in listed if event["type"] == "user.message"]
        assert [_text(event).rpartition("done ")[2] for event in said] == self._said
        known = [event["id"] for event in said]
        assert [i for i in known if i in self._acknowledged] == self._acknowledged
        file = data_dir / "sandboxes" / self.id / "workspace" / "lines.txt"
        lines = file.read_text().split() if file.exists() else []
        check_calls(listed, self._answers, lines, marks)
        check_statuses(listed)
        for kind, key, part in self._parts(listed):
            check_turn(kind, key, part)
        self._check_compactions(listed)
        self._check_usage(listed)
        return listed

    def _parts(self, listed: list[Event]) -> Iterator[tuple[str, str, list[Event]]]:
        """The log, cut at the first message of each turn."""
        places = [
            next(n for n, event in enumerate(listed) if _text(event).endswith(f"done {key}"))
            for _, key in self.turns
        ]
        for (kind, key), begin, end in zip(
            self.turns, places, [*places[1:], len(listed)], strict=True
        ):
            yield kind, key, listed[begin:end]

    def _check_compactions(self, listed: list[Event]) -> None:
        """One after each long turn, with the next request; an interrupt may come before it."""
        kinds = [kind for kind, _ in self.turns]
        answered = [place for place, kind in enumerate(kinds) if not kind.startswith("stop_")]
        certain = sum(kinds[place] == "long" for place in answered[:-1])
        made = sum(event["type"] == "agent.thread_context_compacted" for event in listed)
        assert certain <= made <= kinds[:-1].count("long")

    def _check_usage(self, listed: list[Event]) -> None:
        spans = [event for event in listed if event["type"] == "span.model_request_end"]
        told = self._caller.persist(
            lambda: self._caller.sdk.beta.sessions.retrieve(self.id)
        ).usage.to_dict()
        written = told["cache_creation"] or {}  # null as long as no request was answered
        told["cache_creation_input_tokens"] = written.get("ephemeral_5m_input_tokens", 0)
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
        ):
            assert told[name] == sum(span["model_usage"][name] for span in spans), name

    def delete(self) -> None:
        """Done with it."""
        sessions = self._caller.sdk.beta.sessions

        def gone() -> None:
            with contextlib.suppress(NotFoundError):  # from an earlier try, whose answer was lost
                sessions.delete(self.id)

        self.follower.end()
        self._caller.persist(gone)


def _text(event: Event) -> str:
    if event["type"] != "user.message":
        return ""
    return "".join(block["text"] for block in event["content"])


def _answered(listed: list[Event], answer: Event) -> bool:
    name = next(name for name in answer if name.endswith("tool_use_id"))
    return any(e["type"] == answer["type"] and e[name] == answer[name] for e in listed)


def check_calls(
    listed: list[Event], answers: dict[str, Event], lines: list[str], marks: dict[str, int]
) -> None:
    """One result for each call, and what the calls left behind no more than once."""
    results: dict[str, list[Event]] = {}
    for event in listed:
        for name in ("tool_use_id", "mcp_tool_use_id", "custom_tool_use_id"):
            if name in event and event["type"] != "user.tool_confirmation":
                results.setdefault(event[name], []).append(event)
    confirmed = [e["tool_use_id"] for e in listed if e["type"] == "user.tool_confirmation"]
    assert len(confirmed) == len(set(confirmed))
    ran = []
    for call in listed:
        if not call["type"].endswith("tool_use"):
            continue
        (result,) = results.pop(call["id"])
        verdict = answers.get(call["id"], {}).get("result")
        text = result["content"][0]["text"] if result["content"] else ""
        failed = bool(result.get("is_error"))
        assert failed == (
            verdict == "deny" or text == INTERRUPTED or (text == LOST and _is_mcp(call))
        ), (call, result)
        if call["type"] == "agent.custom_tool_use":
            continue
        key = _key(call)
        times = marks.get(f"mark {key}", 0) if _is_mcp(call) else lines.count(key)
        allowed = {0} if verdict == "deny" else {0, 1} if failed else {1}
        assert times in allowed, (call, result, times)
        if not _is_mcp(call) and times:
            ran.append(key)
    assert not results
    assert lines == ran


def _is_mcp(call: Event) -> bool:
    return bool(call["type"] == "agent.mcp_tool_use")


def _key(call: Event) -> str:
    if _is_mcp(call):
        return str(call["input"]["text"])
    return str(call["input"]["command"].partition("echo ")[2].split()[0])


def check_statuses(listed: list[Event]) -> None:
    """Statuses follow one another as they may, requests begin and end, retries are made."""
    may_follow = {
        "session.status_running": {"session.status_rescheduled", "session.status_idle"},
        "session.status_rescheduled": {"session.status_running", "session.status_idle"},
        "session.status_idle": {"session.status_running", "session.status_idle"},
    }
    status, open_span, stopped = "session.status_idle", None, False
    for place, event in enumerate(listed):
        match event["type"]:
            case "user.interrupt":
                stopped = True
            case "span.model_request_start":
                assert (status, open_span) == ("session.status_running", None)
                open_span = event["id"]
            case "span.model_request_end":
                assert event["model_request_start_id"] == open_span
                open_span = None
            case kind if kind in may_follow:
                assert kind in may_follow[status], (kind, status)
                if (status, kind) == ("session.status_rescheduled", "session.status_idle"):
                    # Only the client can keep a retry from being made.
                    assert stopped
                if kind == "session.status_idle":
                    assert open_span is None
                    before = [e["type"] for e in listed[place - 2 : place]]
                    assert before == ["session.thread_status_idle", "session.usage"]
                status, stopped = kind, False
    assert status == "session.status_idle"


def check_turn(kind: str, key: str, part: list[Event]) -> None:
    """What was said and how it ended is what the turn was for."""
    *_, idle = [event for event in part if event["type"] == "session.status_idle"]
    ending = idle["stop_reason"]["type"]
    errors = [e["error"] for e in part if e["type"] == "session.error"]
    retried = [e["retry_status"]["type"] for e in errors]
    scheduled = sum(event["type"] == "session.status_rescheduled" for event in part)
    assert retried.count("retrying") == scheduled
    said = ["".join(b["text"] for b in e["content"]) for e in part if e["type"] == "agent.message"]
    done = sum(text.endswith(f"done {key}") for text in said)
    if kind.startswith("stop_"):
        assert done <= 1
        assert ending in {"end_turn", "retries_exhausted"}
    elif ending == "retries_exhausted":
        # The scripted model forgets what has failed when it is killed, and fails again.
        assert kind in {"exhaust", "overload", "limit", "break"}
        assert retried == ["retrying"] * RETRIES + ["exhausted"]
        assert done == 0
    else:
        assert (ending, kind == "exhaust") == ("end_turn", False)
        assert "exhausted" not in retried
        if kind == "pair":
            done, key = done // 2, f"{key}second-"
        assert sum(text.endswith(f"done {key}") for text in said) == 1, said


def _client(stage: Stage, name: str, rng: random.Random, log: Record) -> None:
    """Conversation after conversation, until the killing is over."""
    caller = Caller(client_of(stage.server.url, timeout=60))
    deck: list[str] = []
    number = 0
    while not stage.closing.is_set():
        talk = Conversation(stage, caller, f"{name}{number}", rng)
        number += 1
        while not talk.turns or (len(talk.turns) < TURNS and not stage.closing.is_set()):
            if not deck:
                deck = rng.sample(KINDS, len(KINDS))
            talk.take_turn(deck.pop())
        log.add(talk, talk.check(log.data_dir, log.marks))
        talk.delete()
    log.repeated += caller.repeated


class Record:
    """What happened, for people."""

    def __init__(self, data_dir: Path, marks: dict[str, int]) -> None:
        self.data_dir = data_dir
        self.marks = marks
        self.repeated = 0
        self.errors: list[BaseException] = []
        self.turns: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.hit: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, talk: Conversation, listed: list[Event]) -> None:
        """A conversation that was right."""
        with self._lock:
            self.turns.update(kind for kind, _ in talk.turns)
            self.events.update(event["type"] for event in listed)
            self.events["(previewed whole)"] += talk.follower.previewed
            self.events["(connections)"] += talk.follower.connections
            results = [e for e in listed if e["type"] == "agent.mcp_tool_result"]
            self.events["(MCP calls lost)"] += sum(
                bool(e["content"]) and e["content"][0]["text"] == LOST for e in results
            )

    def tell(self) -> None:
        """Print it."""
        for told in (self.turns, self.events, self.hit):
            print(", ".join(f"{name}: {count}" for name, count in told.most_common()))
        print(f"{self.repeated} requests were repeated")

    def look(self) -> None:
        """What the sessions were at when the server was killed."""
        with sqlite3.connect(self.data_dir / "freehold.db") as connection:
            rows = connection.execute("select state from sessions where deleted_at is null")
            states = [json.loads(row[0]) for row in rows]
        for state in states:
            self.hit[state["status"]] += 1
            if state["open_span"]:
                self.hit["in a model request"] += 1
            self.hit.update(f"with an open {call['kind']} call" for call in state["calls"][:1])
            if any(item["event"]["type"] == "user.interrupt" for item in state["inputs"]):
                self.hit["with an interrupt"] += 1


def _run(stage: Stage, name: str, rng: random.Random, log: Record) -> None:
    try:
        _client(stage, name, rng, log)
    except BaseException as error:
        log.errors.append(error)
        stage.closing.set()


def _kill(server: ServerProcess, stage: Stage, rng: random.Random, log: Record) -> None:
    """Kill the server again and again, until that was often enough or a client complains."""
    for _ in range(KILLS):
        # Time alone would kill a busy machine's server before it did anything.
        if stage.wait_for(rng.randrange(60), seconds=30.0):
            break
        time.sleep(rng.uniform(0, 0.05))
        server.kill()
        log.look()
        if rng.random() < 0.1:
            killed_in_start(server, rng.uniform(0.0, 0.5))
        server.start()
    stage.closing.set()


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_a_whole_turn_survives(tmp_path: Path) -> None:
    rng = dice()
    data_dir = tmp_path / "data"
    settings = {
        "FREEHOLD_SANDBOX": "process",
        "FREEHOLD_RETRY_BASE": "0.1",
        "FREEHOLD_RETRY_LIMIT": str(RETRIES),
        "FREEHOLD_COMPACT_AT": str(COMPACT_AT),
        "FREEHOLD_LOG_LEVEL": "warning",
    }
    with (
        template() as ready,
        mcp_server() as door,
        ServerProcess(data_dir, spawn=ready.spawn, **settings) as server,
    ):
        stage = Stage(server, door.mcp)
        log = Record(data_dir, door.counts)
        clients = [
            threading.Thread(
                target=_run, args=(stage, f"c{n}x", random.Random(rng.random()), log), daemon=True
            )
            for n in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        _kill(server, stage, rng, log)
        for client in clients:
            client.join(2 * PATIENCE)
        log.tell()
        if log.errors:
            raise log.errors[0]
        assert not any(client.is_alive() for client in clients)
    check_database(data_dir / "freehold.db")
    # What failed and went well when it was tried again would be seen nowhere else.
    errors = [line for line in server.log.read_text().splitlines() if '"level":"error"' in line]
    assert not errors
