"""The toolbox as a process: its frames, its death, its return."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold import toolbox
from freehold.toolbox.sockets import connect_unix

_COMMAND = [sys.executable, "-I", "-S", "-c"]
_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from toolbox.cli import main; main()"
_PARENT = str(Path(toolbox.__file__).parents[1])


class Served:
    """A toolbox on a folder, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        self.process = subprocess.Popen(
            [*_COMMAND, _PROGRAM, _PARENT, "serve", "--state", str(self.folder / "state"),
             "--socket", self.socket, "--workdir", str(self.folder / "work"), *more],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            stderr=subprocess.PIPE,
        )  # fmt: skip

    @property
    def socket(self) -> str:
        return str(self.folder / "run" / "toolbox.sock")

    def connect(self) -> Peer:
        deadline = time.monotonic() + 20
        while True:
            try:
                return Peer(self.socket)
            except OSError:
                assert time.monotonic() < deadline, "the toolbox never listened"
                time.sleep(0.005)

    def stop(self, number: signal.Signals = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        assert self.process is not None
        with self.process:
            return self.process.wait(20)


class Peer:
    """A raw connection."""

    def __init__(self, path: str) -> None:
        self.socket = connect_unix(path)
        self.socket.settimeout(20)
        self._file = self.socket.makefile("rb")

    def send(self, **frame: Any) -> None:
        self.socket.sendall(json.dumps(frame).encode() + b"\n")

    def receive(self) -> Any:
        line = self._file.readline()
        return json.loads(line) if line else None

    def ask(self, **frame: Any) -> Any:
        self.send(rid=1, **frame)
        return self.receive()

    def bash(self, call_id: str, command: str) -> Any:
        return self.ask(op="call", id=call_id, name="bash", input={"command": command})["result"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    served.start()
    yield served
    if served.process is not None and served.process.poll() is None:
        served.stop()


def test_hello_tells_who_is_there(served: Served) -> None:
    hello = served.connect().ask(op="hello")["result"]
    assert hello["protocol"] == toolbox.PROTOCOL
    assert hello["workdir"] == str(served.folder / "work")
    assert len(hello["identity"]) == 32


def test_replies_come_as_they_are_ready(served: Served) -> None:
    peer = served.connect()
    peer.send(
        rid="slow",
        op="call",
        id="1",
        name="bash",
        input={"command": "read -t 0.2 < <(sleep 1); echo slow"},
    )
    peer.send(rid="quick", op="ping")
    assert [peer.receive()["rid"], peer.receive()["rid"]] == ["quick", "slow"]


def test_a_killed_toolbox_remembers_and_repeats_nothing(served: Served) -> None:
    peer = served.connect()
    identity = peer.ask(op="hello")["result"]["identity"]
    done = peer.bash("done", "echo run >> runs; echo result")
    peer.send(
        rid=2, op="call", id="cut", name="bash", input={"command": "echo cut >> runs; sleep 60"}
    )
    runs = served.folder / "work" / "runs"
    while "cut" not in runs.read_text():
        time.sleep(0.005)
    served.stop()

    served.start()
    peer = served.connect()
    assert peer.ask(op="hello")["result"]["identity"] == identity
    assert peer.bash("done", "echo run >> runs; echo result") == done
    interrupted = peer.bash("cut", "echo cut >> runs; sleep 60")
    assert interrupted["is_error"]
    assert "interrupted and may have partly run" in interrupted["content"][0]["text"]
    assert peer.bash("new", "cat runs")["content"][0]["text"] == "run\ncut"


def test_ending_kills_what_the_agent_left_running(served: Served) -> None:
    served.connect().bash("1", "sleep 60 & echo $! > pid")
    pid = int((served.folder / "work" / "pid").read_text())
    assert served.stop(signal.SIGTERM) == 0
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"
    assert not Path(served.socket).exists()


def test_shutdown_is_asked_for_by_frame(served: Served) -> None:
    assert served.connect().ask(op="shutdown")["ok"]
    assert served.wait() == 0


def test_a_second_toolbox_does_not_touch_the_journal(served: Served) -> None:
    served.connect()
    other = Served(served.folder)
    other.start()
    assert other.wait() == 3


def test_nobody_there_for_a_while_ends_it(served: Served) -> None:
    peer = served.connect()
    peer.ask(op="ping")
    served.stop()
    served.start("--idle-exit", "0.1")
    assert served.wait() == 0


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"[1]\n", b'"text"\n', b"\xff\n", b"[" * 100_000 + b"\n"]
)
def test_what_is_no_frame_ends_the_connection_alone(served: Served, line: bytes) -> None:
    peer = served.connect()
    peer.socket.sendall(line)
    refused = peer.receive()
    assert refused["ok"] is False
    assert refused["error"]["kind"] == "bad_request"
    assert peer.receive() is None
    assert served.connect().ask(op="ping")["ok"]


@pytest.mark.parametrize(
    ("frame", "named"),
    [
        ({"op": "dance"}, "dance"),
        ({}, "op"),
        ({"op": "call", "id": 1, "name": "bash"}, "id"),
        ({"op": "call", "id": "1"}, "name"),
        ({"op": "read", "path": "", "offset": 0, "length": 1}, "path"),
        ({"op": "read", "path": "/x", "offset": -1, "length": 1}, "offset"),
        ({"op": "write", "path": "/x", "offset": 0, "data": "?"}, "data"),
    ],
)
def test_a_bad_request_is_refused_by_name(
    served: Served, frame: dict[str, Any], named: str
) -> None:
    peer = served.connect()
    refused = peer.ask(**frame)
    assert refused["error"]["kind"] == "bad_request"
    assert named in refused["error"]["message"]
    assert peer.ask(op="ping")["ok"]


def test_the_relay_carries_large_frames_both_ways(served: Served) -> None:
    content = "0123456789abcdef" * 500_000
    frames = [
        {
            "rid": 1,
            "op": "call",
            "id": "w",
            "name": "write",
            "input": {"file_path": "f", "content": content},
        },
        {"rid": 2, "op": "hello"},
    ]
    with subprocess.Popen(
        [*_COMMAND, _PROGRAM, _PARENT, "connect", "--socket", served.socket],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as relay:
        assert relay.stdin is not None
        assert relay.stdout is not None
        for frame in frames:
            relay.stdin.write(json.dumps(frame).encode() + b"\n")
            relay.stdin.flush()
        replies = {json.loads(relay.stdout.readline())["rid"] for _ in frames}
        assert replies == {1, 2}
        relay.stdin.write(
            b'{"rid": 3, "op": "read", "path": "f", "offset": 0, "length": 8000000}\n'
        )
        relay.stdin.flush()
        reply = json.loads(relay.stdout.readline())
        assert len(reply["result"]["data"]) > 10_000_000
        relay.stdin.close()
        assert relay.stdout.read() == b""
    assert relay.returncode == 0


def test_the_relay_gives_up_on_nobody(tmp_path: Path) -> None:
    from freehold.toolbox.relay import relay

    assert relay(str(tmp_path / "none"), patience=0.0) == 1


def test_sockets_may_lie_deep(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    served = Served(deep)
    served.start()
    try:
        assert served.connect().ask(op="ping")["ok"]
    finally:
        served.stop()


def test_variables_reach_a_shell_that_runs_and_those_to_come(served: Served) -> None:
    peer = served.connect()

    def said(name: str, command: str) -> str:
        return str(peer.bash(name, command)["content"][0]["text"])

    def vary(**variables: str) -> None:
        assert peer.ask(op="environment", variables=variables)["ok"]

    vary(ONE="it's $one")
    assert said("a", "printenv ONE") == "it's $one"
    said("b", "KEPT=here")
    vary(TWO="two", ONE="other")
    assert said("c", "echo $(printenv ONE TWO) $KEPT") == "other two here"
    said("d", "export TWO=changed")
    vary()
    # What the agent put in its place is its own.
    assert said("e", "echo ${ONE-none} $TWO") == "none changed"
    vary(THREE="three")
    peer.ask(op="call", id="f", name="bash", input={"restart": True})
    assert said("g", "printenv THREE") == "three"
    for wrong in ({"A B": "x"}, {"A": 1}, {"A": "\0"}, []):
        assert peer.ask(op="environment", variables=wrong)["error"]["kind"] == "bad_request"
