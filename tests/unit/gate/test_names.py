"""The name service of sandboxes."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from freehold.core.addresses import parse_address, parse_network
from freehold.gate import dns, names
from freehold.gate.names import Datagrams, NameService
from freehold.gate.policy import NOTHING, Policy
from freehold.gate.resolving import Inward, Rules, Unresolved

OPEN = Policy(hosts=None)


def question(name: str, kind: int = dns.A) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return b"ab\1\0\0\1\0\0\0\0\0\0" + labels + b"\0" + struct.pack("!HH", kind, 1)


def told(reply: bytes | None) -> tuple[int, list[str]]:
    """The code and the addresses of an answer."""
    assert reply is not None
    count = struct.unpack("!H", reply[6:8])[0]
    records = reply[len(reply) - 16 * count :]
    return reply[3] & 15, [socket.inet_ntoa(records[16 * n + 12 :][:4]) for n in range(count)]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What look-ups find, or the error they raise."""
    found: dict[str, Any] = {}

    async def outside(rules: Rules, host: str, port: int, family: int) -> tuple[str, ...]:
        assert family == socket.AF_INET
        if isinstance(found[host], Exception):
            raise found[host]
        result: tuple[str, ...] = found[host]
        return result

    monkeypatch.setattr(names, "outside", outside)
    return found


def service(policy: Policy) -> Callable[[bytes], Any]:
    return NameService(Rules(), lambda: policy).answer


async def test_limited_sandboxes_are_told_one_address_and_nothing_is_looked_up() -> None:
    for policy in (NOTHING, Policy(hosts=("a.test",))):
        for name in ("a.test", "b.test"):
            assert told(await service(policy)(question(name))) == (0, [dns.PLACEHOLDER])
            assert told(await service(policy)(question(name, dns.AAAA))) == (0, [])
            assert told(await service(policy)(question(name, 16))) == (0, [])


async def test_unrestricted_ones_are_told_the_truth_but_for_what_is_inside(
    known: dict[str, Any],
) -> None:
    failing = Unresolved()
    failing.passing = True
    known |= {
        "one.test": ("1.2.3.4",),
        "many.test": tuple(f"1.2.3.{n}" for n in range(20)),
        "inside.test": Inward(),
        "none.test": Unresolved(),
        "failing.test": failing,
    }
    answer = service(OPEN)
    assert told(await answer(question("one.test"))) == (0, ["1.2.3.4"])
    assert told(await answer(question("ONE.test"))) == (0, ["1.2.3.4"])
    assert len(told(await answer(question("many.test")))[1]) == 8
    assert told(await answer(question("inside.test"))) == (0, [dns.PLACEHOLDER])
    assert told(await answer(question("none.test"))) == (dns.NO_SUCH_NAME, [])
    assert told(await answer(question("failing.test"))) == (dns.SERVER_FAILURE, [])
    assert told(await answer(question("one.test", dns.AAAA))) == (0, [])
    assert told(await answer(question("one.test", dns.HTTPS))) == (0, [])
    assert told(await answer(question("one.test", 16))) == (dns.NOT_IMPLEMENTED, [])
    assert await answer(b"nonsense") is None


async def test_one_sandbox_does_not_take_all_look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = 0, 0
    go_on = asyncio.Event()

    async def outside(*_: Any) -> tuple[str, ...]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go_on.wait()
        running -= 1
        return ("1.2.3.4",)

    monkeypatch.setattr(names, "outside", outside)
    answer = service(OPEN)
    asked = [asyncio.create_task(answer(question(f"n{n}.test"))) for n in range(50)]
    for _ in range(10):
        await asyncio.sleep(0)
    go_on.set()
    assert all(told(reply) == (0, ["1.2.3.4"]) for reply in await asyncio.gather(*asked))
    assert most == 8


async def test_by_udp_and_by_tcp(known: dict[str, Any]) -> None:
    known["one.test"] = ("1.2.3.4",)
    serving = NameService(Rules(), lambda: OPEN)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: Datagrams(serving), local_addr=("127.0.0.1", 0)
    )

    async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serving.converse(reader, writer)
        writer.close()

    server = await asyncio.start_server(asked, "127.0.0.1", 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        await loop.sock_connect(line, transport.get_extra_info("sockname"))
        await loop.sock_sendall(line, b"nonsense")
        await loop.sock_sendall(line, question("one.test"))
        assert told(await loop.sock_recv(line, 512)) == (0, ["1.2.3.4"])
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for _ in range(2):
        query = question("one.test")
        writer.write(struct.pack("!H", len(query)) + query)
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        assert told(await reader.readexactly(length)) == (0, ["1.2.3.4"])
    writer.write(b"\0\3xxx")
    assert await reader.read() == b""
    writer.close()
    server.close()
    transport.close()


def test_which_addresses_are_inside() -> None:
    rules = Rules()
    own = parse_address("10.1.2.3")
    assert own is not None
    for address in ("10.1.2.3", "169.254.169.254", "127.0.0.1", "::1"):
        assert rules.is_inward(address)
    assert not rules.is_inward("1.1.1.1")
    assert not rules.is_inward("a.test")
    rules.trusted = (parse_network("10.0.0.0/8"), parse_network("169.254.0.0/16"))
    assert not rules.is_inward("10.1.2.3")
    rules.own = frozenset({own})
    assert rules.is_inward("10.1.2.3")
    assert rules.is_inward("169.254.169.254")
    assert not rules.is_inward("10.1.2.4")
