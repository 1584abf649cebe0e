"""The channel: what it does when streams break, which no well-behaved toolbox shows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from freehold import toolbox
from freehold.errors import SandboxLost
from freehold.ports.sandbox import ToolCall
from freehold.sandbox import connection
from freehold.sandbox.channel import ToolboxSandbox
from freehold.sandbox.connection import Connect, Stream

_CALL = ToolCall("sevt_1", "bash", {"command": "true"})
_RESULT = {"content": [{"type": "text", "text": "done"}], "is_error": False}

Frame = dict[str, Any]
Behaviour = Callable[["Fake", Frame], Awaitable[None]]


class Fake:
    """One connection of a toolbox that does what the test wants."""

    def __init__(self, toolboxes: Toolboxes, number: int) -> None:
        self.number = number
        self.reader = asyncio.StreamReader()
        self._toolboxes = toolboxes
        self._pending = bytearray()
        self.closed = False

    def write(self, data: bytes) -> None:
        if self.closed:
            raise ConnectionResetError
        self._pending += data
        while b"\n" in self._pending:
            line, _, self._pending = self._pending.partition(b"\n")
            self._toolboxes.take(self, json.loads(line))

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def reply(self, frame: Frame, result: Frame) -> None:
        self.send({"rid": frame["rid"], "ok": True, "result": result})

    def send(self, frame: Frame) -> None:
        self.reader.feed_data(json.dumps(frame).encode() + b"\n")

    def break_off(self) -> None:
        if not self.closed:
            self.closed = True
            self.reader.feed_eof()

    async def close(self) -> None:
        self.break_off()


class Toolboxes:
    """What answers, connection after connection."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.identity = "first"
        self.protocol = toolbox.PROTOCOL
        self.refuse: set[int] = set()
        self.connections: list[Fake] = []
        self.asked: list[tuple[int, Frame]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, fake: Fake, frame: Frame) -> None:
        if frame["op"] == "hello":
            hello = {"protocol": self.protocol, "identity": self.identity}
            fake.reply(frame, {**hello, "workdir": "/w", "outputs": None})
            return
        self.asked.append((fake.number, frame))
        task = asyncio.ensure_future(self.behaviour(fake, frame))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def connect(self) -> Connect:
        async def connect() -> Stream:
            number = len(self.connections) + 1
            if number in self.refuse:
                raise ConnectionRefusedError
            fake = Fake(self, number)
            self.connections.append(fake)
            return Stream(fake.reader, fake, fake.close)

        return connect


async def _answer(fake: Fake, frame: Frame) -> None:
    fake.reply(frame, _RESULT if frame["op"] == "call" else {})


async def _break_first(fake: Fake, frame: Frame) -> None:
    if fake.number == 1:
        fake.break_off()
    else:
        await _answer(fake, frame)


async def _break_always(fake: Fake, frame: Frame) -> None:
    fake.break_off()


async def _say_nothing(fake: Fake, frame: Frame) -> None:
    """The call goes on for ever."""


async def test_replies_find_their_requests_in_any_order() -> None:
    held: list[tuple[Fake, Frame]] = []

    async def hold(fake: Fake, frame: Frame) -> None:
        held.append((fake, frame))
        if len(held) == 3:
            for fake_, frame_ in reversed(held):
                text = {"type": "text", "text": frame_["id"]}
                fake_.reply(frame_, {"content": [text], "is_error": False})

    sandbox = await ToolboxSandbox.open(Toolboxes(hold).connect)
    calls = [ToolCall(f"id{n}", "bash", {}) for n in range(3)]
    outcomes = await asyncio.gather(*(sandbox.call(call) for call in calls))
    assert [outcome.content[0]["text"] for outcome in outcomes] == ["id0", "id1", "id2"]
    await sandbox.close()


async def test_a_broken_stream_is_replaced_and_the_call_asked_for_again() -> None:
    toolboxes = Toolboxes(_break_first)
    sandbox = await ToolboxSandbox.open(toolboxes.connect)
    outcome = await sandbox.call(_CALL)
    assert outcome.content == _RESULT["content"]
    assert [(number, frame["id"]) for number, frame in toolboxes.asked] == [
        (1, "sevt_1"),
        (2, "sevt_1"),
    ]
    assert not sandbox.lost
    await sandbox.close()


async def test_calls_that_break_together_share_one_new_stream() -> None:
    toolboxes = Toolboxes(_break_first)
    sandbox = await ToolboxSandbox.open(toolboxes.connect)
    await asyncio.gather(*(sandbox.call(ToolCall(f"id{n}", "bash", {})) for n in range(5)))
    assert len(toolboxes.connections) == 2
    await sandbox.close()


async def test_a_toolbox_that_cannot_be_reached_again_is_lost_for_good() -> None:
    toolboxes = Toolboxes(_break_first)
    toolboxes.refuse = {2}
    sandbox = await ToolboxSandbox.open(toolboxes.connect)
    with pytest.raises(SandboxLost):
        await sandbox.call(_CALL)
    assert sandbox.lost
    toolboxes.refuse = set()
    with pytest.raises(SandboxLost):
        await sandbox.read_file("/f")
    assert len(toolboxes.connections) == 1


async def test_another_identity_is_another_sandbox() -> None:
    toolboxes = Toolboxes(_break_first)
    sandbox = await ToolboxSandbox.open(toolboxes.connect)
    toolboxes.identity = "second"
    with pytest.raises(SandboxLost, match="another sandbox"):
        await sandbox.call(_CALL)
    assert [number for number, _ in toolboxes.asked] == [1]


async def test_an_identity_can_be_insisted_on() -> None:
    toolboxes = Toolboxes(_answer)
    with pytest.raises(SandboxLost):
        await ToolboxSandbox.open(toolboxes.connect, identity="older")
    assert toolboxes.connections[0].closed


async def test_another_protocol_is_refused() -> None:
    toolboxes = Toolboxes(_answer)
    toolboxes.protocol = toolbox.PROTOCOL + 1
    with pytest.raises(SandboxLost, match="protocol"):
        await ToolboxSandbox.open(toolboxes.connect)


async def test_a_request_that_breaks_every_stream_ends() -> None:
    toolboxes = Toolboxes(_break_always)
    sandbox = await ToolboxSandbox.open(toolboxes.connect)
    with pytest.raises(SandboxLost):
        await sandbox.call(_CALL)
    assert len(toolboxes.connections) < 10
    await sandbox.close()


async def test_nonsense_from_the_toolbox_breaks_the_stream() -> None:
    async def nonsense(fake: Fake, frame: Frame) -> None:
        if fake.number == 1:
            fake.reader.feed_data(b"what?\n")
        else:
            await _answer(fake, frame)

    sandbox = await ToolboxSandbox.open(Toolboxes(nonsense).connect)
    assert not (await sandbox.call(_CALL)).is_error
    await sandbox.close()


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        "done",
        {},
        {"content": [], "is_error": "no"},
        {"content": "done", "is_error": False},
        {"content": ["done"], "is_error": False},
        {"content": [{"type": "text", "text": 1}], "is_error": False},
        {"content": [{"type": "image"}], "is_error": False},
        {"content": [{"type": "tool_use", "id": "x"}], "is_error": False},
    ],
)
async def test_an_outcome_that_is_none_is_a_lost_sandbox(result: Any) -> None:
    async def answer(fake: Fake, frame: Frame) -> None:
        fake.reply(frame, result)

    sandbox = await ToolboxSandbox.open(Toolboxes(answer).connect)
    with pytest.raises(SandboxLost, match="not of the protocol"):
        await sandbox.call(_CALL)
    await sandbox.close()


@pytest.mark.parametrize(
    "frame",
    [
        {"ok": True},
        {"ok": False},
        {"ok": False, "error": "none"},
        {"ok": True, "result": {"data": "?", "eof": True, "version": ""}},
        {"ok": True, "result": {"data": "", "eof": False, "version": ""}},
        {"ok": True, "result": {"data": "AAAA" * 2_000_000, "eof": True, "version": ""}},
    ],
    ids=["no result", "no error", "no kind", "no base64", "a file without end", "too much"],
)
async def test_a_file_that_is_none_is_a_lost_sandbox(frame: Frame) -> None:
    async def answer(fake: Fake, asked: Frame) -> None:
        fake.send({**frame, "rid": asked["rid"]})

    sandbox = await ToolboxSandbox.open(Toolboxes(answer).connect)
    with pytest.raises(SandboxLost, match="not of the protocol"):
        await sandbox.read_file("/f")
    await sandbox.close()


@pytest.mark.parametrize(
    "files", [None, [None], [{"path": "/f"}], [{}] * 3, [{"path": "/f", "modified": 1e300}]]
)
async def test_a_listing_that_is_none_is_a_lost_sandbox(files: Any) -> None:
    async def answer(fake: Fake, frame: Frame) -> None:
        fake.reply(frame, {"files": files})

    sandbox = await ToolboxSandbox.open(Toolboxes(answer).connect)
    with pytest.raises(SandboxLost, match="not of the protocol"):
        await sandbox.listing("/f")
    await sandbox.close()


@pytest.mark.parametrize("sent", [b"x" * 5000, b"[1]\n", b"7\n", b"null\n"])
async def test_a_stream_of_what_is_no_frame_is_cut_off(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_LIMIT", 4096)

    async def flood(fake: Fake, frame: Frame) -> None:
        fake.reader.feed_data(sent)

    toolboxes = Toolboxes(flood)
    sandbox = await ToolboxSandbox.open(toolboxes.connect)
    with pytest.raises(SandboxLost):
        await sandbox.call(_CALL)
    assert len(toolboxes.connections) > 1
    await sandbox.close()


async def test_closing_ends_open_calls() -> None:
    toolboxes = Toolboxes(_say_nothing)
    sandbox = await ToolboxSandbox.open(toolboxes.connect)
    running = asyncio.ensure_future(sandbox.call(_CALL))
    while not toolboxes.asked:
        await asyncio.sleep(0)
    await sandbox.close()
    with pytest.raises(SandboxLost):
        await running
    assert toolboxes.connections[0].closed
    await sandbox.close()


async def test_leaving_a_call_leaves_the_stream() -> None:
    toolboxes = Toolboxes(_say_nothing)
    sandbox = await ToolboxSandbox.open(toolboxes.connect)
    running = asyncio.ensure_future(sandbox.call(_CALL))
    while not toolboxes.asked:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    toolboxes.connections[0].reply(toolboxes.asked[0][1], _RESULT)
    toolboxes.behaviour = _answer
    assert not (await sandbox.call(_CALL)).is_error
    assert len(toolboxes.connections) == 1
    await sandbox.close()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("not_found", FileNotFoundError),
        ("is_directory", IsADirectoryError),
        ("permission", PermissionError),
        ("io", OSError),
        ("bad_request", ValueError),
    ],
)
async def test_refusals_become_what_the_port_says(kind: str, expected: type[Exception]) -> None:
    async def refuse(fake: Fake, frame: Frame) -> None:
        error = {"kind": kind, "message": "for a reason"}
        fake.send({"rid": frame["rid"], "ok": False, "error": error})

    sandbox = await ToolboxSandbox.open(Toolboxes(refuse).connect)
    with pytest.raises(expected, match="for a reason") as caught:
        await sandbox.read_file("/f")
    assert type(caught.value) is expected
    assert not sandbox.lost
    await sandbox.close()


async def test_the_layout_is_the_toolboxs() -> None:
    sandbox = await ToolboxSandbox.open(Toolboxes(_answer).connect)
    assert (sandbox.layout.workdir, sandbox.layout.outputs) == ("/w", "/mnt/session/outputs")
    await sandbox.close()


async def test_a_toolbox_that_was_stopped_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent may stop its own toolbox; its session must not wait for ever."""
    monkeypatch.setattr(connection, "PULSE", 0.01)
    monkeypatch.setattr(connection, "SILENCE", 0.05)

    async def nothing(fake: Fake, frame: Frame) -> None:
        pass

    boxes = Toolboxes(nothing)
    boxes.refuse = {2}
    sandbox = await ToolboxSandbox.open(boxes.connect)
    with pytest.raises(SandboxLost):
        await sandbox.call(_CALL)
    assert {frame["op"] for _, frame in boxes.asked} == {"call", "ping"}


async def test_a_toolbox_that_lives_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PULSE", 0.01)
    monkeypatch.setattr(connection, "SILENCE", 60.0)
    pings = 0

    async def slowly(fake: Fake, frame: Frame) -> None:
        nonlocal pings
        if frame["op"] == "ping":
            pings += 1
            fake.reply(frame, {})
        while frame["op"] == "call" and pings < 5:
            await asyncio.sleep(0.001)
        if frame["op"] == "call":
            fake.reply(frame, _RESULT)

    boxes = Toolboxes(slowly)
    sandbox = await ToolboxSandbox.open(boxes.connect)
    outcome = await sandbox.call(_CALL)
    assert outcome.content == _RESULT["content"]
    assert len(boxes.connections) == 1
    await sandbox.close()
