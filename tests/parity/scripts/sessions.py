"""Sessions, their events, threads and resources."""

from __future__ import annotations

import json
from typing import Any

from tests.parity.held import payloads
from tests.parity.script import Script, inferred, recorded, typed
from tests.parity.scripts.definitions import ABSENT, HELPER, LIMITED, MCP, TEXTS, TOOLSET
from tests.parity.world import said

REPOSITORY = "https://github.com/o/r"
BUDGET = {"type": "limit", "max_list_cost": {"amount": "2500", "currency": "USD"}}


def sessions(s: Script) -> None:
    w = s.world
    path = "POST /v1/sessions"
    agent = w.sdk.beta.agents.create(**HELPER).id
    plain = {"agent": w.agent(), "environment_id": w.environment()}
    store = w.sdk.beta.memory_stores.create(name="Notes").id
    given = {
        "agent": agent,
        "environment_id": plain["environment_id"],
        "title": "Demo",
        "resources": [
            {"type": "file", "file_id": w.file(), "mount_path": "/data.csv"},
            {
                "type": "github_repository",
                "url": REPOSITORY,
                "checkout": {"type": "branch", "name": "main"},
            },
            {"type": "memory_store", "memory_store_id": store},
        ],
        "vault_ids": [w.vault()],
        "budget": BUDGET,
    }
    # The recorded session has had a turn, and shows two of the toolset's configs.
    but = ("agent.tools[agent_toolset_20260401].configs", "stats", "usage")
    made = s("create", recorded("C.1 Session"), path, given, payload="session", but=but)
    url = f"/v1/sessions/{made['id']}"
    s("get", recorded("C.1 Session"), f"GET {url}", payload="session", but=but)
    least = s("create: the least", recorded("5.3"), path, plain)
    overrides = {"type": "agent_with_overrides", "id": plain["agent"]}
    body = {**plain, "agent": {**overrides, "system": "Other.", "tools": []}}
    s("create: overrides", typed("5.2"), path, body)
    first = s("list", recorded("1.8"), "GET /v1/sessions?limit=1")
    s("list: the second page", typed(), f"GET /v1/sessions?limit=1&page={first['next_page']}")
    s("list: the last page", recorded("1.8"), "GET /v1/sessions?order=asc&limit=50")
    turned = f"GET /v1/sessions?order=asc&page={first['next_page']}"
    s("list: a cursor of the other order", typed("5.1"), turned, status=400)
    s("update", typed(), f"POST {url}", {"title": "Other", "metadata": {"a": "b"}})
    agent_change = {"agent": {"tools": [TOOLSET], "mcp_servers": [MCP]}}
    agent_change["agent"]["tools"].append({"type": "mcp_toolset", "mcp_server_name": "linear"})
    s("update: agent", typed("5.5"), f"POST {url}", agent_change)
    s("update: no budget", typed("10.3"), f"POST {url}", {"budget": None})
    s("update: budget again", typed("10.2"), f"POST {url}", {"budget": BUDGET}, status=400)
    s("update: vaults", typed("5.5"), f"POST {url}", {"vault_ids": []}, status=400)
    s("get: absent", recorded(TEXTS), f"GET /v1/sessions/sesn_{ABSENT}", refusal="session-absent")
    s("get: malformed id", recorded("1.4"), "GET /v1/sessions/nonsense", refusal="session-absent")
    _refused(s, agent, store, plain)
    _lived(s)
    s("archive", recorded("25.18"), f"POST {url}/archive")
    s("archive: again", inferred("as recorded elsewhere"), f"POST {url}/archive")
    s("update: archived", inferred("text"), f"POST {url}", {"title": "x"}, status=400)
    ended = "GET /v1/sessions?statuses[]=terminated&include_archived=true"
    s("list: archived", recorded("5.4"), ended)
    s("delete", typed("5.1"), f"DELETE /v1/sessions/{least['id']}")


def _refused(s: Script, agent: str, store: str, plain: dict[str, Any]) -> None:
    """What no session can be."""
    w = s.world
    path = "POST /v1/sessions"
    overrides = {"type": "agent_with_overrides", "id": plain["agent"]}
    own = w.own_environment()
    limited = {**LIMITED, "packages": None}
    narrow = w.environment(config={name: item for name, item in limited.items() if item})
    archived = w.store()
    w.sdk.beta.memory_stores.archive(archived)
    for refusal, change in (
        ("session-mcp", {"agent": agent, "environment_id": narrow}),
        ("session-file", {"resources": [{"type": "file", "file_id": f"file_{ABSENT}"}]}),
        ("session-store", {"resources": [_store(f"memstore_{ABSENT}")]}),
        ("session-store-archived", {"resources": [_store(archived)]}),
        ("session-store-twice", {"resources": [_store(store), _store(store)]}),
        (
            "session-self-hosted",
            {"environment_id": own, "resources": [{"type": "file", "file_id": w.file()}]},
        ),
        (
            "session-repository",
            {"resources": [{"type": "github_repository", "url": f"{REPOSITORY}.git"}]},
        ),
        ("override-system", {"agent": {**overrides, "system": "x" * 100_001}}),
        ("override-multiagent", {"agent": {**overrides, "multiagent": None}}),
        ("environment-absent", {"environment_id": f"env_{ABSENT}"}),
        ("field-unknown", {"colour": 1}),
    ):
        body = {**plain, **change}
        s(f"create: {refusal}", recorded(TEXTS), path, body, refusal=refusal)
    body = {**plain, "initial_events": [{"type": "system.message", "content": []}]}
    s("create: initial event", recorded("5.2"), path, body, refusal="value-invalid")
    body = {**plain, "agent": f"agent_{ABSENT}"}
    s("create: absent agent", inferred("text"), path, body, status=404)


def _lived(s: Script) -> None:
    """Sessions that run, have run, and have no budget left."""
    w = s.world
    busy = w.session(initial_events=[said("/wait 600")])
    _until(s, busy, "span.model_request_start")
    s(
        "archive: running",
        recorded(TEXTS),
        f"POST /v1/sessions/{busy}/archive",
        refusal="session-archive",
    )
    s("delete: running", recorded(TEXTS), f"DELETE /v1/sessions/{busy}", refusal="session-delete")
    w.idle(busy, {"type": "user.interrupt"})

    _spent(s)
    done = w.session()
    w.idle(done, said("/say Done."))
    after = s("get: after a turn", recorded("5.3"), f"GET /v1/sessions/{done}")
    known = payloads()["objects"]["session"]
    for part in ("usage", "stats"):
        s.hold(f"get: after a turn, {part}", known[part], after[part], values=False)


def _spent(s: Script) -> None:
    """A session whose budget is used up."""
    limit = {"type": "limit", "max_list_cost": {"amount": "1", "currency": "USD"}}
    spent = f"/v1/sessions/{s.world.session(budget=limit)}"
    id_ = spent.rpartition("/")[2]
    # What a request costs is known when it has been made; the next one is not made.
    s.world.idle(id_, said("/tokens 100000\n/tool glob {}\n/then\n/say Done."))
    events = f"POST {spent}/events"
    s("get: at its budget", typed("10.8"), f"GET {spent}")
    s("send: at its budget", recorded(TEXTS), events, _sent(said("x")), refusal="event-budget")
    same = {"budget": limit}
    s("update: no more", recorded(TEXTS), f"POST {spent}", same, refusal="budget-lower")


def _store(id_: str) -> dict[str, Any]:
    return {"type": "memory_store", "memory_store_id": id_}


def _until(s: Script, session: str, kind: str) -> None:
    with s.world.sdk.beta.sessions.events.stream(session) as stream:
        for event in s.world.sdk.beta.sessions.events.list(session):
            if event.type == kind:
                return
        for event in stream:
            if event.type == kind:
                return


WEATHER = HELPER["tools"][2]


def events(s: Script) -> None:
    session = s.world.session(agent=s.world.agent(tools=[_asking(), WEATHER], name="Helper"))
    call = _turns(s, session)
    url = f"/v1/sessions/{session}/events"
    s("list", typed(), f"GET {url}?limit=2")
    s("list: by type", typed("1.8"), f"GET {url}?types[]=user.message&types[]=agent.message")
    s("list: newest first", typed(), f"GET {url}?order=desc&limit=1")
    s("stream: unknown delta", typed("6.9"), f"GET {url}/stream?event_deltas[]=x", status=400)
    _refused_events(s, f"POST {url}", call)
    _previews(s)


def _turns(s: Script, session: str) -> str:
    """What a session tells of all that can happen in a turn; the id of a call that was denied."""
    send = f"POST /v1/sessions/{session}/events"
    _told(s, "a turn", "6.7", session, said("/say Hello"))
    _told(s, "a thought", "6.7", session, said("/think Hm."))
    _told(s, "a call", "6.7", session, _call("glob", pattern="*"))
    told = _told(s, "a call that waits", "6.7", session, _call("bash", command="ls"))
    waiting = _waiting(told)
    s("send: while it waits", recorded(TEXTS), send, _sent(said("Hi")), refusal="event-waiting")
    answer = {"type": "user.tool_confirmation", "tool_use_id": waiting[0], "result": "deny"}
    told = _told(s, "a denial", "6.7", session, {**answer, "deny_message": "no"})
    s.note("the text of a denial", recorded(TEXTS), _result(told), "tool-denied")
    told = _told(s, "a custom call", "6.7", session, _call("get_weather", city="Oslo"))
    confirm = {**answer, "tool_use_id": _waiting(told)[0], "result": "allow"}
    s("send: a custom call confirmed", typed("24.45"), send, _sent(confirm), status=400)
    result = {
        "type": "user.custom_tool_result",
        "custom_tool_use_id": _waiting(told)[0],
        "content": [{"type": "text", "text": "sunny"}],
        "is_error": False,
    }
    _told(s, "its result", "6.7", session, result)
    s("send: its result again", recorded("6.2"), send, _sent(result))
    _told(s, "a call to interrupt", "6.7", session, _call("bash", command="ls"))
    told = _told(s, "an interrupt", "6.7", session, {"type": "user.interrupt"})
    s.note("the text of an interrupted call", recorded(TEXTS), _result(told), "tool-interrupted")
    s("send: nothing to interrupt", typed("6.2"), send, _sent({"type": "user.interrupt"}))
    return waiting[0]


def _refused_events(s: Script, send: str, call: str) -> None:
    """What no session takes, and what ours does not yet."""
    w = s.world
    outcome = {
        "type": "user.define_outcome",
        "description": "Report exists",
        "rubric": {"type": "text", "content": "- report.md exists"},
        "max_iterations": 3,
    }
    s(
        "send: of the server's own",
        recorded(TEXTS),
        send,
        _sent({"type": "session.usage"}),
        refusal="event-type",
    )
    s("send: empty text", recorded(TEXTS), send, _sent(said("")), refusal="event-text")
    s("send: unknown field", recorded(TEXTS), send, {"events": [], "x": 1}, refusal="field-unknown")
    for name, id_, refusal in (
        ("malformed thread", "nonsense", "interrupt-id"),
        ("absent thread", f"sthr_{ABSENT}", "interrupt-thread"),
    ):
        body = _sent({"type": "user.interrupt", "session_thread_id": id_})
        s(f"send: interrupt, {name}", recorded(TEXTS), send, body, refusal=refusal)
    worker = {"type": "user.tool_result", "tool_use_id": call, "content": []}
    s("send: a worker's result", recorded(TEXTS), send, _sent(worker), refusal="result-by-key")
    confirm = {"type": "user.tool_confirmation", "tool_use_id": call, "result": "allow"}
    s("send: nothing to confirm", typed("6.2"), send, _sent(confirm), status=400)
    s("send: nothing", inferred("text"), send, {"events": []}, status=400)
    other = w.session()
    queued = s(
        "send: echo", recorded("6.4"), f"POST /v1/sessions/{other}/events", _sent(said("/say Hi"))
    )
    assert "processed_at" not in queued["data"][0]
    later = f"POST /v1/sessions/{other}/events"
    s("send: an outcome", inferred("not there yet"), later, _sent(outcome), status=400)
    _rest(s, other)
    over = w.session()
    w.sdk.beta.sessions.archive(over)
    s(
        "send: archived",
        inferred("text"),
        f"POST /v1/sessions/{over}/events",
        _sent(said("x")),
        status=400,
    )
    absent = f"/v1/sessions/sesn_{ABSENT}/events"
    s("list: absent", recorded(TEXTS), f"GET {absent}", refusal="session-absent")
    s("stream: absent", recorded(TEXTS), f"GET {absent}/stream", refusal="session-absent")


def _asking() -> Any:
    ask = {"permission_policy": {"type": "always_ask"}}
    return {**TOOLSET, "configs": [{"name": "bash", **ask}]}


def _call(name: str, **arguments: Any) -> Any:
    return said(f"/tool {name} {json.dumps(arguments)}")


def _sent(*events: Any) -> dict[str, Any]:
    return {"events": list(events)}


def _told(s: Script, name: str, source: str, session: str, *events: Any) -> list[Any]:
    """Send, and keep what the stream tells; every event is held against the recorded ones."""
    told = [event.to_dict(mode="json") for event in s.world.idle(session, *events)]
    _as_recorded(s, name, told)
    s.note(f"stream: {name}", recorded(source), told, endpoint="sessions.events.stream")
    return told


def _as_recorded(s: Script, name: str, told: list[Any]) -> None:
    known = {_sort(event): event for event in reversed(payloads()["events"])}
    for event in told:
        if _sort(event) in known:
            # The example has no speed, which the SDK's type may have.
            but = ("model_usage.speed",) if "model_usage" in event else ()
            s.hold(f"{name}, {event['type']}", known[_sort(event)], event, but, values=False)


def _sort(event: Any) -> tuple[Any, ...]:
    return (
        event["type"],
        event.get("stop_reason", {}).get("type"),
        event.get("error", {}).get("type"),
        event.get("evaluation", {}).get("type"),
        "deny_message" in event,
    )


def _waiting(told: list[Any]) -> list[str]:
    found: list[str] = told[-1]["stop_reason"]["event_ids"]
    return found


def _result(told: list[Any]) -> str:
    (result,) = [event for event in told if event["type"] == "agent.tool_result"]
    text: str = result["content"][0]["text"]
    return text


def _rest(s: Script, session: str) -> None:
    """Wait for the session's turn to end."""
    _until(s, session, "session.status_idle")


def _previews(s: Script) -> None:
    session = s.world.session()
    deltas: Any = ["agent.message"]
    told = []
    with s.world.sdk.beta.sessions.events.stream(session, event_deltas=deltas) as stream:
        s.world.sdk.beta.sessions.events.send(session, events=[said("/say Hello there")])
        for event in stream:
            told.append(event.to_dict(mode="json"))
            if event.type == "session.status_idle":
                break
    seen = {event["type"]: event for event in reversed(told)}
    for frame in payloads()["frames"]:
        s.hold(f"previews, {frame['type']}", frame, seen[frame["type"]], values=False)
    s.note("stream: previews", recorded("C.3"), [seen["event_start"], seen["event_delta"]])


def threads(s: Script) -> None:
    w = s.world
    session = w.session(
        agent=w.sdk.beta.agents.create(
            **{**HELPER, "mcp_servers": [], "tools": HELPER["tools"][::2]}
        ).id
    )
    url = f"/v1/sessions/{session}/threads"
    first = s("list: before a turn", typed("7.2"), f"GET {url}")
    w.idle(session, said("/say Done."))
    s("list", typed(), f"GET {url}?limit=1")
    thread = f"{url}/{first['data'][0]['id']}"
    shown = s("get", recorded("C.1 Session thread"), f"GET {thread}")
    known = payloads()["objects"]["session thread"]
    # The example is a child, and has none of the counters that the SDK's type may have (7.2).
    more = ("usage.list_cost", "usage.server_tool_use", "usage.active_seconds")
    s.hold("get", known, shown, ("parent_thread_id", *more), values=False)
    s("events: list", typed(), f"GET {thread}/events?limit=2")
    streams = w.sdk.beta.sessions.threads.events
    told = []
    with streams.stream(first["data"][0]["id"], session_id=session) as stream:
        w.sdk.beta.sessions.events.send(session, events=[said("/say Done.")])
        for event in stream:
            told.append(event.to_dict(mode="json"))
            if event.type == "session.status_idle":
                break
    _as_recorded(s, "stream", told)
    s.note("stream", recorded("6.7"), told, endpoint="sessions.threads.events.stream")
    s(
        "archive: the primary thread",
        recorded(TEXTS),
        f"POST {thread}/archive",
        refusal="thread-primary",
    )
    for name, id_, refusal in (
        ("malformed id", "nonsense", "thread-id"),
        ("absent", f"sthr_{ABSENT}", "thread-absent"),
    ):
        s(f"get: {name}", recorded(TEXTS), f"GET {url}/{id_}", refusal=refusal)
        s(f"events: list, {name}", recorded(TEXTS), f"GET {url}/{id_}/events", refusal=refusal)
        s(f"stream: {name}", recorded(TEXTS), f"GET {url}/{id_}/stream", refusal=refusal)
    s("list: by status", typed(), f"GET {url}?statuses[]=running")
    s("list: unknown status", inferred("text"), f"GET {url}?statuses[]=asleep", status=400)


def resources(s: Script) -> None:
    w = s.world
    repository: Any = {
        "type": "github_repository",
        "url": REPOSITORY,
        "checkout": {"type": "branch", "name": "main"},
    }
    store: Any = _store(w.sdk.beta.memory_stores.create(name="Notes").id)
    session = w.session(resources=[repository, store])
    url = f"/v1/sessions/{session}/resources"
    known = {one["type"]: one for one in payloads()["objects"]["session"]["resources"]}
    body = {"type": "file", "file_id": w.file(), "mount_path": "/data.csv"}
    made = s("add", recorded("C.1 Session"), f"POST {url}", body)
    s.hold("add", known["file"], made)
    listed = s("list", recorded("C.1 Session"), f"GET {url}")
    for one in listed["data"]:
        s.hold(f"list: {one['type']}", known[one["type"]], one)
    s("list: a page", typed(), f"GET {url}?limit=1")
    s("get", typed("9.2"), f"GET {url}/{made['id']}")
    change = {"authorization_token": "t-1"}
    (git,) = [one for one in listed["data"] if one["type"] == "github_repository"]
    s.hold(
        "update",
        known["github_repository"],
        s("update", typed("9.1"), f"POST {url}/{git['id']}", change),
    )
    s("update: a file", inferred("text"), f"POST {url}/{made['id']}", change, status=400)
    s("get: absent", recorded(TEXTS), f"GET {url}/sesrsc_{ABSENT}", refusal="resource-absent")
    s("add: a memory store", recorded(TEXTS), f"POST {url}", store, refusal="resource-type")
    missing = {"type": "file", "file_id": f"file_{ABSENT}"}
    s("add: absent file", recorded(TEXTS), f"POST {url}", missing, refusal="session-file")
    bare = w.session(agent=w.agent(tools=[]))
    other = {"type": "file", "file_id": w.file()}
    s(
        "add: nothing reads",
        recorded(TEXTS),
        f"POST /v1/sessions/{bare}/resources",
        other,
        refusal="resource-read",
    )
    s("delete", typed("9.1"), f"DELETE {url}/{made['id']}")
    s("delete: again", recorded(TEXTS), f"DELETE {url}/{made['id']}", refusal="resource-absent")
