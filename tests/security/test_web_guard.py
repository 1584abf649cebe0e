"""``web_fetch`` cannot be turned inward: checked by who was connected to, not only by errors."""
# ruff: noqa: RUF001 - letters and digits that look like others are the point here

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest
from tests.support.web import PUBLIC, Detour, Names, Site, fetcher, moved, page, site

from freehold.core.web_rules import DomainRules
from freehold.errors import WebError
from freehold.web.fetch import Fetcher, Limits

ANY = DomainRules()

INWARD = {
    "this network": "0.0.0.0",
    "this network, another": "0.1.2.3",
    "private 10": "10.0.0.1",
    "carrier": "100.64.0.1",
    "carrier, its end": "100.127.255.255",
    "loopback": "127.0.0.1",
    "loopback, another": "127.8.9.10",
    "link-local": "169.254.1.1",
    "private 172": "172.16.0.1",
    "private 172, its end": "172.31.255.255",
    "protocols": "192.0.0.1",
    "documentation 1": "192.0.2.1",
    "6to4 relay": "192.88.99.1",
    "private 192": "192.168.1.1",
    "benchmarks": "198.18.0.1",
    "documentation 2": "198.51.100.1",
    "documentation 3": "203.0.113.1",
    "multicast": "224.0.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "metadata": "169.254.169.254",
    "metadata of containers": "169.254.170.2",
    "metadata, Alibaba": "100.100.100.200",
    "metadata, Oracle": "192.0.0.192",
    "metadata, Azure": "168.63.129.16",
    "metadata, IPv6": "fd00:ec2::254",
    "unspecified": "::",
    "loopback, IPv6": "::1",
    "mapped": "::ffff:127.0.0.1",
    "mapped, private": "::ffff:10.0.0.1",
    "compatible": "::127.0.0.1",
    "translated": "::ffff:0:127.0.0.1",
    "NAT64": "64:ff9b::127.0.0.1",
    "NAT64, metadata": "64:ff9b::a9fe:a9fe",
    "NAT64, local": "64:ff9b:1::1",
    "discard": "100::1",
    "6to4": "2002:7f00:1::1",
    "6to4, public": "2002:5db8:d822::1",
    "Teredo": "2001:0:7f00:1::1",
    "ORCHID": "2001:20::1",
    "ISATAP": "2606:2800:220:1:0:5efe:7f00:1",
    "ISATAP, universal": "2606:2800:220:1:200:5efe:10.0.0.1",
    "documentation, IPv6": "2001:db8::1",
    "documentation, IPv6, newer": "3fff::1",
    "segment routing": "5f00::1",
    "unique local": "fc00::1",
    "unique local, another": "fd12:3456::1",
    "link-local, IPv6": "fe80::1",
    "site-local": "fec0::1",
    "multicast, IPv6": "ff02::1",
}


async def refused(by: Fetcher, url: str, code: str, rules: DomainRules = ANY) -> str:
    """Check that a fetch fails in this way; what the model is told."""
    with pytest.raises(WebError) as caught:
        await by.fetch(url, rules, longest=1000)
    assert caught.value.code == code, caught.value
    return caught.value.message


@pytest.mark.parametrize("address", INWARD.values(), ids=INWARD)
async def test_inward_addresses(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    network = Detour()
    message = await refused(fetcher(network), f"http://{host}/", "url_not_allowed")
    assert "public address" in message
    named = fetcher(network, Names(evil_example=[[address]]))
    message = await refused(named, "https://evil.example/", "url_not_allowed")
    assert message.startswith("evil.example does not lead to a public address")
    assert address not in message  # nobody learns where names lead inside
    hidden = fetcher(network, Names(evil_example=[[PUBLIC, "2606:2800:220:1::1", address]]))
    await refused(hidden, "https://evil.example/", "url_not_allowed")
    assert network.asked == []


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
async def test_outside_addresses(address: str) -> None:
    async with site({"/": page("<p>hello</p>")}) as there:
        network = Detour(there)
        by = fetcher(network, Names(good_example=[[address]]))
        assert (await by.fetch("http://good.example/", ANY, longest=100)).text == "hello"
        assert network.asked == [(address, 80)]


WRITTEN = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://localhost.:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://2130706433:{port}/",
    "http://017700000001:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0x0.0x0.0x1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://0:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://１２７.０.０.１:{port}/",
    "http://127。0。0。1:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1%00.example.com:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://example.com:80@127.0.0.1:{port}/",
    "http://example.com\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@example.com/",
    "http://127.0.0.1:{port}#@example.com/",
    "http://user:secret@localhost:{port}/",
    "http:\\\\127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "\thttp://127.0.0.1:{port}/",
    "http://xn--localhost-.:{port}/",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_x",
    "file:///etc/passwd",
    "unix:///var/run/docker.sock",
    "data:text/html,hello",
    "javascript:alert(1)",
    "http://",
    "",
]


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
    network = Detour()
    for by in (fetcher(network, Names()), fetcher(network, trusted=True)):
        for host in ("good.example", "127.0.0.1"):
            with pytest.raises(WebError):
                await by.fetch(f"http://{host}:{port}/", ANY, longest=100)
    assert network.asked == []


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
    network = Detour()
    by = fetcher(network, trusted=True)
    for address in ("169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:10.0.0.1]"):
        await refused(by, f"http://{address}/", "url_not_allowed")
    assert network.asked == []


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
        assert network.asked == [(PUBLIC, 80)]


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
