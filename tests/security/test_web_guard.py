"""``web_fetch`` cannot be turned inward: checked by who was connected to, not only by errors."""
# ruff: noqa: RUF001 - letters and digits that look like others are the point here

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest
from tests.support.inward import INWARD, WRITTEN
from tests.support.web import PUBLIC, Detour, Names, Site, fetcher, moved, page, site

from freehold.core.web_rules import DomainRules
from freehold.errors import WebError
from freehold.web.fetch import Fetcher, Limits

ANY = DomainRules()


async def refused(by: Fetcher, url: str, code: str, rules: DomainRules = ANY) -> str:
    """Check that a fetch fails in this way; what the model is told."""
    with pytest.raises(WebError) as caught:
        await by.fetch(url, rules, longest=1000)
    assert caught.value.code == code, caught.value
    return caught.value.message


@pytest.mark.parametrize("address", INWARD.values(), ids=INWARD)
async def test_inward_addresses(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    # Whatever were connected to, the listener would see it.
    async with site({"/": page("<p>inside</p>")}) as inside:
        network = Detour(inside)
        message = await refused(fetcher(network), f"http://{host}/", "url_not_allowed")
        assert "public address" in message
        named = fetcher(network, Names(evil_example=[[address]]))
        message = await refused(named, "https://evil.example/", "url_not_allowed")
        assert message.startswith("evil.example does not lead to a public address")
        assert address not in message  # nobody learns where names lead inside
        hidden = fetcher(network, Names(evil_example=[[PUBLIC, "2606:2800:220:1::1", address]]))
        await refused(hidden, "https://evil.example/", "url_not_allowed")
        assert (network.asked, inside.connections) == ([], 0)


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
async def test_outside_addresses(address: str) -> None:
    async with site({"/": page("<p>hello</p>")}) as there:
        network = Detour(there)
        by = fetcher(network, Names(good_example=[[address]]))
        assert (await by.fetch("http://good.example/", ANY, longest=100)).text == "hello"
        assert network.asked == [(address, 80)]


@pytest.mark.parametrize("url", WRITTEN)
async def test_ways_to_write_loopback(url: str) -> None:
    async with site({"/": page("inside")}) as inside:
        with pytest.raises(WebError) as caught:
            await fetcher().fetch(url.format(port=inside.port), ANY, longest=100)
        assert caught.value.code in {"url_not_allowed", "invalid_tool_input", "url_not_accessible"}
        assert "secret" not in caught.value.message
        assert inside.connections == 0


async def test_the_listener_of_these_tests_would_see_a_connection() -> None:
    async with site({"/": page("<p>inside</p>")}) as inside:
        by = fetcher(trusted=True)
        found = await by.fetch(f"http://localhost.:{inside.port}/", ANY, longest=100)
        assert (found.text, inside.connections) == ("inside", 1)
        assert inside.header("host") == f"localhost:{inside.port}"


@pytest.mark.parametrize("port", [0, 22, 25, 6379, 2375, 5432, 9200, 65536])
async def test_ports_that_are_not_the_webs(port: int) -> None:
    async with site({"/": page("<p>inside</p>")}) as inside:
        network = Detour(inside)
        for by in (fetcher(network, Names()), fetcher(network, trusted=True)):
            for host in ("good.example", "127.0.0.1"):
                with pytest.raises(WebError):
                    await by.fetch(f"http://{host}:{port}/", ANY, longest=100)
        assert (network.asked, inside.connections) == ([], 0)


async def test_other_ports_are_for_trusted_networks() -> None:
    async with site({"/": page("<p>hello</p>")}) as there:
        network = Detour(there)
        by = fetcher(network, Names(), trusted=True)
        await refused(by, "http://good.example:3000/", "url_not_allowed")
        assert network.asked == []
        await by.fetch("http://127.0.0.1:3000/", ANY, longest=100)
        await by.fetch("http://good.example:8080/", ANY, longest=100)
        assert network.asked == [("127.0.0.1", 3000), (PUBLIC, 8080)]


async def test_trust_does_not_open_metadata_or_other_networks() -> None:
    async with site({"/": page("<p>inside</p>")}) as inside:
        network = Detour(inside)
        by = fetcher(network, trusted=True)
        for address in ("169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:10.0.0.1]"):
            await refused(by, f"http://{address}/", "url_not_allowed")
        assert (network.asked, inside.connections) == ([], 0)


async def test_a_name_is_asked_once_and_the_checked_address_is_used() -> None:
    async with site({"/": page("<p>hello</p>")}) as there:
        names = Names(rebind_example=[[PUBLIC], ["127.0.0.1"]])
        network = Detour(there)
        await fetcher(network, names).fetch("https://rebind.example/", ANY, longest=100)
        assert names.asked == ["rebind.example"]
        assert network.asked == [(PUBLIC, 443)]
        assert network.names == ["rebind.example"]  # TLS asks for the name's certificate
        assert there.header("host") == "rebind.example"


async def test_a_name_that_changes_between_redirects_is_checked_again() -> None:
    async with site({"/": moved("/next"), "/next": page("inside")}) as there:
        names = Names(rebind_example=[[PUBLIC], ["127.0.0.1"]])
        network = Detour(there)
        await refused(fetcher(network, names), "http://rebind.example/", "url_not_allowed")
        assert network.asked == [(PUBLIC, 80)]
        assert there.connections == 1


async def test_a_name_that_leads_nowhere() -> None:
    network = Detour()
    names = Names(none_example=[[]], odd_example=[["not an address"]])
    await refused(fetcher(network, names), "http://none.example/", "url_not_accessible")
    await refused(fetcher(network, names), "http://odd.example/", "url_not_accessible")
    await refused(fetcher(network), "http://nowhere.invalid/", "url_not_accessible")
    assert network.asked == []


async def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    network = Detour()
    names = Names(good_example=[[PUBLIC, "93.184.216.35"]])
    await refused(fetcher(network, names), "http://good.example/", "url_not_accessible")
    assert network.asked == [(PUBLIC, 80), ("93.184.216.35", 80)]


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1/",
        "//127.0.0.1/",
        "http://localhost/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://2130706433/",
        "http://inside.example/",
        "http://user@good.example/",
        "http://good.example:6379/",
        "https://good.example:22/",
        "http://blocked.example/",
        "http://www.blocked.example/",
        "http://WWW.BLOCKED.EXAMPLE./",
        "http://ｂｌｏｃｋｅｄ.example/",
        "ftp://good.example/",
        "file:///etc/passwd",
        "gopher://good.example/",
        "data:text/html,hi",
        "javascript:alert(1)",
    ],
)
@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
async def test_redirects_that_lead_astray(location: str, status: str) -> None:
    async with site({"/": moved(location, status=status)}) as there:
        network = Detour(there)
        names = Names(inside_example=[["10.0.0.1"]], localhost=[["127.0.0.1", "::1"]])
        rules = DomainRules(blocked=("blocked.example",))
        with pytest.raises(WebError) as caught:
            await fetcher(network, names).fetch("http://good.example/", rules, longest=100)
        assert caught.value.code in {"url_not_allowed", "invalid_tool_input"}
        assert (network.asked, there.connections) == ([(PUBLIC, 80)], 1)


async def test_redirects_are_counted() -> None:
    chain = {f"/{n}": moved(f"/{n + 1}") for n in range(21)} | {"/21": page("<p>end</p>")}
    async with site(chain) as there:
        by = fetcher(Detour(there), Names())
        assert (await by.fetch("http://good.example/1", ANY, longest=100)).url.endswith("/21")
        assert there.connections == 21
        message = await refused(by, "http://good.example/0", "url_not_accessible")
        assert message == "more than 20 redirects."
        assert there.connections == 42


async def test_nothing_is_carried_to_the_next_host() -> None:
    there: Site
    async with site() as there:
        there.answers = {
            "/": moved("https://other.example/x", "Set-Cookie: id=1; Domain=example; Path=/"),
            "/x": page("<p>hello</p>"),
        }
        found = await fetcher(Detour(there), Names()).fetch(
            "http://good.example/#secret", ANY, longest=100
        )
        assert found.url == "https://other.example/x"
        for number in range(2):
            for name in ("cookie", "authorization", "proxy-authorization", "referer"):
                assert there.header(name, number) is None
        assert [there.header("host", n) for n in range(2)] == ["good.example", "other.example"]
        assert "secret" not in "".join(there.requests)


MEGABYTE = 1 << 20
SMALL = Limits(size=MEGABYTE, seconds=20, silence=10)


def packed(data: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(data)
    return zlib.compress(data) if encoding == "deflate" else zlib.compress(data)[2:-4]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw"])
async def test_bombs(encoding: str) -> None:
    bomb = packed(b"\0" * (64 * MEGABYTE), encoding)
    assert len(bomb) < MEGABYTE
    header = f"Content-Encoding: {'gzip' if encoding == 'gzip' else 'deflate'}"
    fits = packed(b"x" * (MEGABYTE // 2), encoding)
    answers = {
        "/bomb": page(bomb, header, kind="text/plain"),
        "/fits": page(fits, header, kind="text/plain"),
    }
    async with site(answers) as there:
        by = fetcher(Detour(there), Names(), limits=SMALL)
        await refused(by, "http://good.example/bomb", "content_too_large")
        found = await by.fetch("http://good.example/fits", ANY, longest=MEGABYTE)
        assert len(found.text) == MEGABYTE // 2


async def test_bodies_that_never_end() -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async def empty_gzip(writer: asyncio.StreamWriter) -> None:
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n\r\n"
        writer.write(head.encode())
        pack = zlib.compressobj(wbits=31)
        writer.write(pack.compress(b"x"))
        while True:
            writer.write(pack.flush(zlib.Z_FULL_FLUSH) + b"\0\0\0\xff\xff" * 10_000)
            await writer.drain()

    liar = page("x").replace(b"Content-Length: 1", b"Content-Length: 99999999")
    answers = {"/body": endless, "/gzip": empty_gzip, "/length": liar}
    async with site(answers) as there:
        by = fetcher(Detour(there), Names(), limits=SMALL)
        for path in answers:
            await refused(by, f"http://good.example{path}", "content_too_large")


async def test_answers_that_trickle() -> None:
    async def body(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        await trickle(writer)

    async def head(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        await trickle(writer)

    async def trickle(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def silence(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    async with site({"/body": body, "/head": head, "/silence": silence}) as there:
        patient = Limits(seconds=0.5, silence=10)
        for path in ("/body", "/head", "/silence"):
            by = fetcher(Detour(there), Names(), limits=patient)
            message = await refused(by, f"http://good.example{path}", "url_not_accessible")
            assert message == "good.example took too long."
        by = fetcher(Detour(there), Names(), limits=Limits(seconds=20, silence=0.2))
        message = await refused(by, "http://good.example/silence", "url_not_accessible")
        assert message == "good.example did not answer in time."


async def test_answers_that_are_no_http() -> None:
    answers = {
        "/ssh": b"SSH-2.0-OpenSSH_9.9\r\n",
        "/redis": b"-ERR wrong number of arguments\r\n",
        "/nothing": b"",
        "/heads": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
        "/cut": page("x" * 100)[:-50],
        "/gzip": page("not gzip", "Content-Encoding: gzip"),
        "/brotli": page("x", "Content-Encoding: br"),
    }
    async with site(dict(answers)) as there:
        by = fetcher(Detour(there), Names())
        for path in answers:
            await refused(by, f"http://good.example{path}", "url_not_accessible")


@pytest.mark.parametrize(
    ("host", "refusal"),
    [
        ("blocked.example", "blocked_domains"),
        ("deep.www.blocked.example", "blocked_domains"),
        ("blocked.example.", "blocked_domains"),
        ("BLOCKED.example", "blocked_domains"),
        ("notblocked.example", None),
        ("blocked.example.good.example", None),
    ],
)
async def test_blocked_domains(host: str, refusal: str | None) -> None:
    async with site({"/": page("<p>hello</p>")}) as there:
        network = Detour(there)
        by = fetcher(network, Names())
        rules = DomainRules(blocked=("blocked.example",))
        if refusal is None:
            await by.fetch(f"http://{host}/", rules, longest=100)
            return
        message = await refused(by, f"http://{host}/", "url_not_allowed", rules)
        name = host.lower().rstrip(".")
        assert message == (
            f"{name} is a domain this agent is blocked from fetching (blocked_domains). "
            "Retrying this or other URLs on that domain will not work."
        )
        assert network.asked == []
