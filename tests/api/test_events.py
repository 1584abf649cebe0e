"""Sending, listing and streaming events; threads (spec 6, 7)."""
# ruff: noqa: E501 - in the tables of refusals a case is a line

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic

from freehold.core.ids import is_id
from tests.api.conftest import refused, said, turn
from tests.support.running import BETA, Served

ABSENT_THREAD = "sthr_011CZkYpogX7uDKUyvBTophP"
TURN = [
    "session.status_running",
    "session.thread_status_running",
    "user.message",
    "span.model_request_start",
    "agent.message",
    "span.model_request_end",
    "session.thread_status_idle",
    "session.usage",
    "session.status_idle",
]


def url(session: Any, rest: str = "events") -> str:
    return f"/v1/sessions/{session.id}/{rest}"


def block(**fields: Any) -> dict[str, Any]:
    return {"type": "user.message", "content": [fields]}


class TestSend:
    def test_the_echo(self, sdk: Anthropic, http: httpx.Client, running: Any) -> None:
        content = [
            {"type": "text", "text": "hi"},
            {"type": "image", "source": {"type": "url", "url": "https://a.example/x.png"}},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
            },
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "d"},
                "title": "t",
                "context": "c",
            },
        ]
        events = [{"type": "user.message", "content": content}, said("two")]
        answer = http.post(url(running), json={"events": events}).json()
        first, second = answer["data"]
        assert is_id("sevt", first["id"])
        assert first == {"id": first["id"], "type": "user.message", "content": content}
        assert second["content"] == [{"type": "text", "text": "two"}]
        typed = sdk.beta.sessions.events.send(running.id, events=[said("three")])  # type: ignore[list-item]
        assert typed.data is not None
        assert typed.data[0].type == "user.message"

    def test_nulls_are_left_out_of_the_echo(self, http: httpx.Client, session: Any) -> None:
        sent = {"type": "user.interrupt", "session_thread_id": None}
        (echo,) = http.post(url(session), json={"events": [sent]}).json()["data"]
        assert echo == {"id": echo["id"], "type": "user.interrupt"}

    @pytest.mark.parametrize(
        ("event", "message"),
        [
            ({}, "events.0.type: Field required"),
            (None, "Failed to parse request: events[0]: must be an object (got null)"),
            ({"type": "session.usage"}, 'Failed to parse request: events[0].type: "session.usage" is not a valid value'),
            ({"type": None}, "Failed to parse request: events[0].type: null is not a valid value"),
            ({"type": "user.message"}, "events.0.user_message.content: Field required"),
            ({"type": "user.message", "content": "hi"}, "Failed to parse request: events[0].content: must be an array (got string)"),
            ({"type": "user.message", "content": []}, "events.0.user_message.content: must contain at least 1 item"),
            ({"type": "user.message", "content": [], "bogus": 1}, 'Failed to parse request body: unknown field "bogus"'),
            (said(""), "events.0.user_message.content.0.text: value is required"),
            (block(type="text"), "events.0.user_message.content.0.text: Field required"),
            (block(type="redacted"), 'Failed to parse request: events[0].content[0].type: "redacted" is not a valid value'),
            (block(type="search_result"), 'Failed to parse request: events[0].content[0].type: "search_result" is not a valid value'),
            (block(type="image", source={"type": "ftp"}), 'Failed to parse request: events[0].content[0].source.type: "ftp" is not a valid value'),
            (block(type="image", source={"type": "url", "url": ""}), "events.0.user_message.content.0.source.url.url: value is required"),
            (block(type="document", source={"type": "text", "media_type": "text/html", "data": "x"}), 'Failed to parse request: events[0].content[0].source.media_type: "text/html" is not a valid value'),
            ({"type": "user.tool_confirmation", "tool_use_id": "x", "result": "maybe"}, 'Failed to parse request: events[0].result: "maybe" is not a valid value'),
            ({"type": "user.tool_confirmation", "tool_use_id": "", "result": "allow"}, "events.0.user_tool_confirmation.tool_use_id: value is required"),
            ({"type": "user.tool_confirmation", "tool_use_id": "x" * 129, "result": "allow"}, "events.0.user_tool_confirmation.tool_use_id: maximum string length is 128"),
            ({"type": "user.tool_confirmation", "tool_use_id": "x", "result": "deny", "deny_message": "x" * 10_001}, "events.0.user_tool_confirmation.deny_message: maximum string length is 10000"),
            ({"type": "system.message", "content": [{"type": "text", "text": "x"}] * 1001}, "events.0.system_message.content: must contain at most 1000 items"),
            ({"type": "user.define_outcome", "description": "d"}, "events.0.user_define_outcome.rubric: Field required"),
            ({"type": "user.define_outcome", "description": "d", "rubric": {"type": "text", "content": "x" * 262_145}}, "events.0.user_define_outcome.rubric.content: maximum string length is 262144"),
            ({"type": "user.interrupt", "session_thread_id": "nonsense"}, "Invalid session_thread_id: nonsense"),
        ],
    )  # fmt: skip
    def test_refused(
        self, http: httpx.Client, session: Any, event: dict[str, Any], message: str
    ) -> None:
        refused(http.post(url(session), json={"events": [event]}), 400, message)

    def test_how_many(self, http: httpx.Client, running: Any) -> None:
        refused(
            http.post(url(running), json={"events": []}),
            400,
            "events: must contain at least 1 item",
        )
        refused(
            http.post(url(running), json={"events": [said("x")] * 51}),
            400,
            "events: must contain at most 50 items",
        )
        answer = http.post(url(running), json={"events": [said("x")] * 50})
        assert len(answer.json()["data"]) == 50

    @pytest.mark.parametrize(
        "event",
        [
            {
                "type": "user.define_outcome",
                "description": "d",
                "rubric": {"type": "text", "content": "r"},
            },
        ],
    )
    def test_what_this_version_lacks_is_named(
        self, http: httpx.Client, session: Any, event: dict[str, Any]
    ) -> None:
        message = f"events[0]: `{event['type']}` is not supported by this version of Freehold."
        refused(http.post(url(session), json={"events": [event]}), 400, message)

    def test_all_or_nothing(self, sdk: Anthropic, http: httpx.Client, session: Any) -> None:
        confirm = {"type": "user.tool_confirmation", "tool_use_id": "sevt_x", "result": "allow"}
        assert http.post(url(session), json={"events": [said("x"), confirm]}).status_code == 400
        assert list(sdk.beta.sessions.events.list(session.id)) == []

    def test_worker_results_need_a_worker(self, http: httpx.Client, session: Any) -> None:
        refused(
            http.post(
                url(session), json={"events": [{"type": "user.tool_result", "tool_use_id": "x"}]}
            ),
            403,
            "events[0]: `user.tool_result` may only be sent with environment credentials (the "
            "self-hosted runner's Session-Instance JWT); an API key or Console session cannot "
            "post this event type",
        )

    def test_an_absent_thread(self, http: httpx.Client, session: Any) -> None:
        event = {"type": "user.interrupt", "session_thread_id": ABSENT_THREAD}
        refused(
            http.post(url(session), json={"events": [event]}),
            404,
            f"Thread not found: {ABSENT_THREAD}",
        )

    def test_a_custom_tool(self, sdk: Anthropic, session: Any) -> None:
        tool: dict[str, Any] = {
            "type": "custom",
            "name": "lookup",
            "description": "d",
            "input_schema": {"type": "object"},
        }
        sdk.beta.sessions.update(session.id, agent={"tools": [tool]})  # type: ignore[typeddict-item]
        seen = turn(sdk, session.id, said("/tool lookup {}"))
        call = next(event for event in seen if event.type == "agent.custom_tool_use")
        assert seen[-1].stop_reason.type == "requires_action"
        with pytest.raises(anthropic.BadRequestError) as caught:
            sdk.beta.sessions.events.send(session.id, events=[said("hello?")])  # type: ignore[list-item]
        assert caught.value.body["error"]["message"] == (  # type: ignore[index]
            f"Invalid user.message event at events[0]: waiting on responses to events [{call.id}]; "
            "only `user.tool_confirmation`, `user.custom_tool_result`, `user.tool_result`, or "
            "`user.interrupt` may be sent (a `system.message` may trail a tool result)"
        )
        result = {
            "type": "user.custom_tool_result",
            "custom_tool_use_id": call.id,
            "content": [{"type": "text", "text": "42"}],
            "is_error": False,
        }
        after = turn(sdk, session.id, result)
        assert after[0].to_dict().items() >= result.items()
        assert after[-1].stop_reason.type == "end_turn"

    def test_a_result_is_for_a_custom_tool(
        self, sdk: Anthropic, agent: Any, http: httpx.Client, environment: Any
    ) -> None:
        policy: Any = {"permission_policy": {"type": "always_ask"}}
        toolset: Any = {"type": "agent_toolset_20260401", "default_config": policy}
        asking: Any = {"type": "agent_with_overrides", "id": agent.id, "tools": [toolset]}
        session = sdk.beta.sessions.create(agent=asking, environment_id=environment.id)
        seen = turn(sdk, session.id, said("/run true"))
        call = next(event for event in seen if event.type == "agent.tool_use")
        result = {"type": "user.custom_tool_result", "custom_tool_use_id": call.id}
        refused(
            http.post(url(session), json={"events": [result]}),
            400,
            f"Invalid user.custom_tool_result event at events[0]: `{call.id}` is not waiting for "
            "a result",
        )

    def test_an_early_result_and_its_duplicates(
        self, sdk: Anthropic, agent: Any, environment: Any
    ) -> None:
        tools: Any = [
            {"type": "agent_toolset_20260401"},
            {"type": "custom", "name": "lookup", "description": "d", "input_schema": {}},
        ]
        tools[1]["input_schema"] = {"type": "object"}
        both: Any = {"type": "agent_with_overrides", "id": agent.id, "tools": tools}
        session = sdk.beta.sessions.create(agent=both, environment_id=environment.id)
        events = sdk.beta.sessions.events
        seen: list[Any] = []
        with events.stream(session.id) as stream:
            events.send(session.id, events=[said("/tool lookup {}\n/run sleep 1\n/say so")])  # type: ignore[list-item]
            for event in stream:
                seen.append(event)
                if event.type == "agent.custom_tool_use":
                    result: Any = {
                        "type": "user.custom_tool_result",
                        "custom_tool_use_id": event.id,
                        "content": [{"type": "text", "text": "42"}],
                    }
                    events.send(session.id, events=[result, result])
                if event.type == "session.status_idle":
                    if event.stop_reason.type != "requires_action":
                        break
                    assert event.stop_reason.event_ids == [result["custom_tool_use_id"]]
                    assert events.send(session.id, events=[result]).data
        types = [event.type for event in seen]
        assert types.count("user.custom_tool_result") == 1
        assert types.count("session.status_idle") == 2
        assert types.count("session.status_running") == 2

    def test_a_system_message_to_a_running_session(self, sdk: Anthropic, running: Any) -> None:
        message: Any = {"type": "system.message", "content": [{"type": "text", "text": "brief"}]}
        (echo,) = sdk.beta.sessions.events.send(running.id, events=[message]).data or []
        assert (echo.type, echo.processed_at) == ("system.message", None)
        assert list(sdk.beta.sessions.events.list(running.id))[-1].id == echo.id


class TestList:
    def test_a_turn(self, sdk: Anthropic, http: httpx.Client, session: Any) -> None:
        turn(sdk, session.id, said("/say hello"))
        assert [event.type for event in sdk.beta.sessions.events.list(session.id)] == TURN
        forward = http.get(url(session)).json()
        backward = http.get(url(session), params={"order": "desc"}).json()
        assert list(forward) == ["data"]
        assert forward["data"] == backward["data"][::-1]
        moments = [event["processed_at"] for event in forward["data"]]
        assert moments == sorted(set(moments))

    @pytest.mark.parametrize("order", ["asc", "desc"])
    @pytest.mark.parametrize("limit", [1, 2, 4, 9])
    def test_pages(self, sdk: Anthropic, session: Any, order: Any, limit: int) -> None:
        turn(sdk, session.id, said("/say hello"))
        whole = [event.id for event in sdk.beta.sessions.events.list(session.id, order=order)]
        page = sdk.beta.sessions.events.list(session.id, order=order, limit=limit)
        sizes = [len(page.data)]
        paged = [event.id for event in page.data]
        while page.has_next_page():
            page = page.get_next_page()
            sizes.append(len(page.data))
            paged += [event.id for event in page.data]
        assert paged == whole
        assert 0 not in sizes

    @pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
    def test_what_waits_comes_last(
        self, sdk: Anthropic, http: httpx.Client, running: Any, limit: int
    ) -> None:
        sdk.beta.sessions.events.send(running.id, events=[said("one"), said("two"), said("three")])  # type: ignore[list-item]

        def texts(order: str) -> list[str]:
            found: list[str] = []
            params = {"order": order, "limit": str(limit), "types[]": "user.message"}
            for _ in range(10):
                page = http.get(url(running), params=params).json()
                assert page["data"] or "next_page" not in page
                found += [event["content"][0]["text"] for event in page["data"]]
                if "next_page" not in page:
                    return found
                params["page"] = page["next_page"]
            raise AssertionError("the pages do not end")

        assert texts("asc") == ["/wait 600", "one", "two", "three"]
        assert texts("desc") == ["three", "two", "one", "/wait 600"]
        last = http.get(url(running), params={"order": "desc", "limit": "1"}).json()["data"][0]
        assert "processed_at" not in last

    def test_time_filters_leave_out_what_waits(
        self, sdk: Anthropic, http: httpx.Client, running: Any
    ) -> None:
        sdk.beta.sessions.events.send(running.id, events=[said("one")])  # type: ignore[list-item]
        events = http.get(url(running)).json()["data"]
        assert "processed_at" not in events[-1]
        logged = [event["id"] for event in events[:-1]]
        moment = events[2]["processed_at"]
        for name, expected in (
            ("gt", logged[3:]),
            ("gte", logged[2:]),
            ("lt", logged[:2]),
            ("lte", logged[:3]),
        ):
            page = http.get(url(running), params={f"created_at[{name}]": moment}).json()
            assert [event["id"] for event in page["data"]] == expected

    def test_types(self, sdk: Anthropic, session: Any) -> None:
        turn(sdk, session.id, said("/say hello"))
        types: Any = ["agent.message", "user.message"]
        found = [event.type for event in sdk.beta.sessions.events.list(session.id, types=types)]
        assert found == ["user.message", "agent.message"]
        none: Any = ["workflow_run.created"]
        assert list(sdk.beta.sessions.events.list(session.id, types=none)) == []

    def test_every_type_the_sdk_lists_is_taken(self, http: httpx.Client, session: Any) -> None:
        from typing import get_args

        from anthropic.types.beta.sessions import BetaManagedAgentsSessionEventType

        names = get_args(BetaManagedAgentsSessionEventType)
        assert len(names) == 41
        answer = http.get(url(session), params=[("types[]", name) for name in names])
        assert answer.status_code == 200

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"types[]": "event_delta"}, 'Failed to parse request: types[0]: "event_delta" is not a valid value'),
            ({"limit": "1001"}, "limit: value must be greater than or equal to 1 and less than or equal to 1000"),
            ({"limit": "0"}, "limit: value must be greater than or equal to 1 and less than or equal to 1000"),
            ({"order": "up"}, 'Failed to parse request: order: "up" is not a valid value'),
            ({"page": "page_x"}, "page: invalid or expired page cursor"),
        ],
    )  # fmt: skip
    def test_refused(
        self, http: httpx.Client, session: Any, params: dict[str, str], message: str
    ) -> None:
        refused(http.get(url(session), params=params), 400, message)

    def test_a_thousand_at_once(self, http: httpx.Client, session: Any) -> None:
        assert http.get(url(session), params={"limit": "1000"}).status_code == 200

    def test_cursors_keep_their_order_and_session(
        self, sdk: Anthropic, http: httpx.Client, session: Any, agent: Any, environment: Any
    ) -> None:
        turn(sdk, session.id, said("/say hello"))
        cursor = http.get(url(session), params={"limit": "1"}).json()["next_page"]
        refused(
            http.get(url(session), params={"page": cursor, "order": "desc"}),
            400,
            "page: the cursor was issued for another `order`",
        )
        other = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
        refused(
            http.get(url(other), params={"page": cursor}),
            400,
            "page: invalid or expired page cursor",
        )


class Frames:
    """A stream as it is on the wire."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def next(self) -> dict[str, str]:
        frame: dict[str, str] = {}
        for line in self._lines:
            if not line:
                return frame
            name, _, value = line.partition(": ")
            frame[name] = value
        raise EOFError

    def until(self, kind: str) -> list[dict[str, str]]:
        frames = []
        while True:
            frames.append(self.next())
            if json.loads(frames[-1]["data"])["type"] == kind:
                return frames


@contextmanager
def streaming(
    shared: Served, session: Any, rest: str = "events/stream", **headers: str
) -> Iterator[Frames]:
    with (
        httpx.Client(base_url=shared.url, headers={**BETA, **headers}, timeout=30) as client,
        client.stream("GET", url(session, rest)) as response,
    ):
        assert response.status_code == 200
        yield Frames(response)


class TestStream:
    def test_frames(self, shared: Served, sdk: Anthropic, http: httpx.Client, session: Any) -> None:
        with streaming(shared, session) as stream:
            headers = stream.response.headers
            assert headers["content-type"].startswith("text/event-stream")
            assert headers["cache-control"] == "no-cache, no-store"
            assert is_id("req", headers["request-id"])
            sdk.beta.sessions.events.send(session.id, events=[said("/say hello")])  # type: ignore[list-item]
            frames = stream.until("session.status_idle")
        assert {frame["event"] for frame in frames} == {"message"}
        seqs = [int(frame["id"]) for frame in frames]
        assert seqs == sorted(set(seqs))
        listed = http.get(url(session)).json()["data"]
        assert [json.loads(frame["data"]) for frame in frames] == listed

    def test_begins_now(self, shared: Served, sdk: Anthropic, session: Any) -> None:
        turn(sdk, session.id, said("/say one"))
        with streaming(shared, session) as stream:
            sdk.beta.sessions.events.send(session.id, events=[said("/say two")])  # type: ignore[list-item]
            frames = stream.until("session.status_idle")
        types = [json.loads(frame["data"])["type"] for frame in frames]
        assert types == TURN

    def test_resumes_after_any_event(
        self, shared: Served, sdk: Anthropic, http: httpx.Client, session: Any
    ) -> None:
        with streaming(shared, session) as stream:
            sdk.beta.sessions.events.send(session.id, events=[said("/say one")])  # type: ignore[list-item]
            frames = stream.until("session.status_idle")
        for index, frame in enumerate(frames[:-1]):
            for last in (frame["id"], json.loads(frame["data"])["id"]):
                with streaming(shared, session, **{"last-event-id": last}) as stream:
                    assert stream.until("session.status_idle") == frames[index + 1 :]
        with streaming(shared, session, **{"last-event-id": "0"}) as stream:
            assert stream.until("session.status_idle") == frames

    @pytest.mark.parametrize("last", ["99999", "x", "-1", "1.0", "9" * 30, ABSENT_THREAD])
    def test_what_is_no_event_of_it(self, http: httpx.Client, session: Any, last: str) -> None:
        refused(
            http.get(url(session, "events/stream"), headers={"last-event-id": last}),
            400,
            "Last-Event-ID: not an event of this session",
        )

    def test_another_session_s_event_is_none_of_it(
        self, sdk: Anthropic, http: httpx.Client, session: Any, agent: Any, environment: Any
    ) -> None:
        theirs = turn(sdk, session.id, said("/say one"))[0].id
        mine = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
        refused(
            http.get(url(mine, "events/stream"), headers={"last-event-id": theirs}),
            400,
            "Last-Event-ID: not an event of this session",
        )

    def test_ends_with_the_session_and_not_before(
        self, shared: Served, sdk: Anthropic, session: Any
    ) -> None:
        with streaming(shared, session) as stream:
            for text in ("/say one", '/say {"type":"session.deleted"}'):
                sdk.beta.sessions.events.send(session.id, events=[said(text)])  # type: ignore[list-item]
                stream.until("session.status_idle")
            sdk.beta.sessions.delete(session.id)
            (last,) = stream.until("session.deleted")
            assert last["event"] == "message"
            with pytest.raises(EOFError):
                stream.next()

    def test_many_readers_see_the_same(self, shared: Served, sdk: Anthropic, session: Any) -> None:
        seen: list[list[dict[str, str]]] = []
        ready = threading.Barrier(6)

        def read() -> None:
            with streaming(shared, session) as stream:
                ready.wait(20)
                seen.append(stream.until("session.status_idle"))

        threads = [threading.Thread(target=read) for _ in range(5)]
        for thread in threads:
            thread.start()
        ready.wait(20)
        sdk.beta.sessions.events.send(session.id, events=[said("/say hello")])  # type: ignore[list-item]
        for thread in threads:
            thread.join(20)
        assert len(seen) == 5
        assert all(frames == seen[0] for frames in seen)

    def test_a_reader_that_leaves_is_forgotten(
        self, shared: Served, http: httpx.Client, session: Any
    ) -> None:
        streams = shared.app.state.services.streams
        with streaming(shared, session):
            assert _becomes(lambda: len(streams), 1)
        assert _becomes(lambda: len(streams), 0)

    @pytest.mark.parametrize("values", [[], ["agent.message"], ["agent.message", "agent.thinking"]])
    def test_deltas_are_accepted(
        self, shared: Served, sdk: Anthropic, session: Any, values: Any
    ) -> None:
        with sdk.beta.sessions.events.stream(session.id, event_deltas=values) as stream:
            sdk.beta.sessions.events.send(session.id, events=[said("/say hello")])  # type: ignore[list-item]
            types = []
            for event in stream:
                types.append(event.type)
                if types[-1] == "session.status_idle":
                    break
        assert [kind for kind in types if kind not in ("event_start", "event_delta")] == TURN

    def test_bad_deltas(self, http: httpx.Client, session: Any) -> None:
        path = url(session, "events/stream")
        refused(
            http.get(path, params={"event_deltas[]": "user.message"}),
            400,
            'Failed to parse request: event_deltas[0]: "user.message" is not a valid value',
        )
        refused(
            http.get(path, params=[("event_deltas[]", "agent.message")] * 101),
            400,
            "event_deltas: must contain at most 100 items",
        )

    def test_does_not_negotiate(self, shared: Served, session: Any) -> None:
        with streaming(shared, session, accept="application/json") as stream:
            assert stream.response.headers["content-type"].startswith("text/event-stream")

    def test_slow_readers_lose_nothing_and_cost_nothing(
        self, shared: Served, sdk: Anthropic, http: httpx.Client, session: Any
    ) -> None:
        """A client that does not read for a while gets all of it later."""
        place = urlsplit(shared.url)
        text = "x" * 1_000_000  # in all more than the kernel buffers
        with socket.create_connection((place.hostname, place.port), timeout=30) as raw:  # type: ignore[arg-type]
            lines = [f"GET {url(session, 'events/stream')} HTTP/1.0", "host: x"]
            lines += [f"{name}: {value}" for name, value in BETA.items()]
            raw.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            start = raw.recv(1)
            for _ in range(5):
                turn(sdk, session.id, said(f"/say {text}"))
            sdk.beta.sessions.delete(session.id)
            data = bytearray(start)
            while part := raw.recv(65536):
                data += part
        payloads = [
            json.loads(line.removeprefix(b"data: "))
            for line in bytes(data).splitlines()
            if line.startswith(b"data: ")
        ]
        said_back = [event for event in payloads if event["type"] == "agent.message"]
        assert [event["content"][0]["text"] for event in said_back] == [text] * 5
        assert payloads[-1]["type"] == "session.deleted"


def _becomes(value: Any, expected: int) -> bool:
    waiting = threading.Event()
    for _ in range(1000):
        if value() == expected:
            return True
        waiting.wait(0.01)
    return False


def test_a_stopping_server_ends_its_streams(tmp_path: Path) -> None:
    """What the server does on SIGTERM: streams end, and it does not wait for them."""
    import asyncio

    from tests.support.running import serve

    with serve(tmp_path / "data") as served, served.client() as client:
        agent = client.beta.agents.create(name="A", model="m")
        environment = client.beta.environments.create(name="E")
        session = client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
        streams = served.app.state.services.streams
        with streaming(served, session) as stream:
            assert _becomes(lambda: len(streams), 1)
            guard = next(iter(streams._guards))
            loop: asyncio.AbstractEventLoop = guard._task.get_loop()
            loop.call_soon_threadsafe(streams.close)
            with pytest.raises(EOFError):
                stream.next()


class TestThreads:
    def test_the_primary_thread(self, sdk: Anthropic, session: Any) -> None:
        (fresh,) = sdk.beta.sessions.threads.list(session.id).data
        assert is_id("sthr", fresh.id)
        assert fresh.parent_thread_id is None
        assert (fresh.stats, fresh.usage, fresh.status) == (None, None, "idle")
        agent = session.agent.to_dict()
        del agent["multiagent"]
        assert fresh.agent.to_dict() == agent
        seen = turn(sdk, session.id, said("/say hello"))
        told = next(event for event in seen if event.type == "session.thread_status_idle")
        assert told.session_thread_id == fresh.id
        after = sdk.beta.sessions.threads.retrieve(fresh.id, session_id=session.id)
        assert after.stats is not None
        startup = after.stats.startup_seconds
        assert startup is not None
        assert 0 < startup <= (after.stats.active_seconds or 0)
        turn(sdk, session.id, said("/say more"))
        again = sdk.beta.sessions.threads.retrieve(fresh.id, session_id=session.id)
        assert again.stats is not None
        assert again.stats.startup_seconds == startup
        assert after.usage is not None
        assert after.usage.output_tokens

    def test_statuses(self, sdk: Anthropic, session: Any, running: Any) -> None:
        def count(statuses: Any) -> int:
            return len(sdk.beta.sessions.threads.list(running.id, statuses=statuses).data)

        assert count(["running"]) == 1
        assert count(["idle", "terminated"]) == 0

    def test_its_events_are_the_session_s(
        self, shared: Served, sdk: Anthropic, session: Any
    ) -> None:
        thread = sdk.beta.sessions.threads.list(session.id).data[0]
        events = sdk.beta.sessions.threads.events
        with events.stream(thread.id, session_id=session.id) as stream:
            sdk.beta.sessions.events.send(session.id, events=[said("/say hello")])  # type: ignore[list-item]
            seen = []
            for event in stream:
                seen.append(event.type)
                if event.type == "session.status_idle":
                    break
        assert seen == TURN
        listed = [event.type for event in events.list(thread.id, session_id=session.id, limit=2)]
        assert listed == TURN

    def test_it_cannot_be_archived(self, sdk: Anthropic, http: httpx.Client, session: Any) -> None:
        thread = sdk.beta.sessions.threads.list(session.id).data[0]
        refused(
            http.post(url(session, f"threads/{thread.id}/archive")),
            400,
            "The primary thread cannot be archived; archive the session instead.",
        )

    @pytest.mark.parametrize(
        ("thread", "status", "message"),
        [
            (ABSENT_THREAD, 404, f"Thread not found: {ABSENT_THREAD}"),
            ("nonsense", 400, "Invalid thread ID: nonsense"),
        ],
    )
    def test_no_such_thread(
        self, http: httpx.Client, session: Any, thread: str, status: int, message: str
    ) -> None:
        for rest in ("", "/events", "/stream"):
            refused(http.get(url(session, f"threads/{thread}{rest}")), status, message)
        refused(http.post(url(session, f"threads/{thread}/archive")), status, message)

    def test_limits(self, http: httpx.Client, session: Any) -> None:
        assert http.get(url(session, "threads"), params={"limit": "1000"}).status_code == 200
        refused(
            http.get(url(session, "threads"), params={"limit": "1001"}),
            400,
            "limit: value must be greater than or equal to 1 and less than or equal to 1000",
        )
        refused(
            http.get(url(session, "threads"), params={"page": "page_x"}),
            400,
            "page: invalid or expired page cursor",
        )
