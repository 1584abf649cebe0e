"""Webhooks cannot be turned inward, kept busy or led away: checked by who was connected to."""

from __future__ import annotations

import asyncio
import base64
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import standardwebhooks
from tests.support.certificates import Authority
from tests.support.inward import INWARD, WRITTEN
from tests.support.receiver import SECRET, receiver
from tests.support.running import BETA, serve
from tests.support.web import PUBLIC, Detour, Names, moved, page, site, tls

from freehold.core.addresses import LOOPBACK, Network, parse_network
from freehold.core.webhooks import NOT_PUBLIC, REDIRECTED
from freehold.dispatch.clock import SystemClock
from freehold.ports.webhooks import Delivery, Outcome
from freehold.webhooks import HttpSender, WebhookNetwork

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
OK = page("", status="204 No Content")
TURNED_AWAY = Outcome("hopeless", NOT_PUBLIC)
DELIVERED = Outcome("delivered")


def delivery(url: str) -> Delivery:
    return Delivery(
        endpoint_id="whep_1",
        event_id="whe_1",
        url=url,
        secrets=[SECRET],
        data={"type": "agent.created", "id": "agent_1", "workspace_id": "wrkspc_1"},
        occurred_at=NOW,
        attempts=0,
        until=NOW,
    )


async def send(
    url: str,
    network: Detour | None = None,
    names: Names | None = None,
    *,
    trusted: tuple[Network, ...] = (),
    seconds: float = 20,
    trust: Any = None,
) -> Outcome:
    resolver = {"resolver": names} if names else {}
    guard = WebhookNetwork(trusted, **resolver, network=network)
    sender = HttpSender(guard, trust or tls(None), SystemClock(), "org", seconds)
    return await sender.send(delivery(url))


@pytest.mark.parametrize("address", INWARD.values(), ids=INWARD)
async def test_inward_addresses(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    names = Names(evil_example=[[address]], many_example=[[PUBLIC, "2606:2800:220:1::1", address]])
    detour = Detour()
    for url in (f"https://{host}/", "https://evil.example/", "https://many.example/"):
        assert await send(url, detour, names) == TURNED_AWAY
    assert detour.asked == []


@pytest.mark.parametrize("url", WRITTEN)
async def test_loopback_however_it_is_written(url: str) -> None:
    """With the machine's own resolver; the site would count whoever came."""
    async with site({"/": OK}) as here:
        for scheme in ("http:", "https:"):
            written = url.format(port=here.port).replace("http:", scheme)
            assert (await send(written)).kind != "delivered"
        assert here.connections == 0


async def test_a_name_that_changes_its_mind_is_asked_once() -> None:
    async with site({"/": OK}) as here:
        detour, names = Detour(here), Names(rebinding_example=[[PUBLIC], ["127.0.0.1"]])
        assert await send("https://rebinding.example/", detour, names) == DELIVERED
        assert detour.asked == [(PUBLIC, 443)]
        assert detour.names == ["rebinding.example"]
        assert names.asked == ["rebinding.example"]
        assert await send("https://rebinding.example/", detour, names) == TURNED_AWAY
        assert here.connections == 1


@pytest.mark.parametrize("port", [80, 8443, 22, 6379])
async def test_outside_there_is_one_port(port: int) -> None:
    detour = Detour()
    assert await send(f"https://hooks.example:{port}/", detour, Names()) == TURNED_AWAY
    assert detour.asked == []


async def test_opened_networks_and_no_others() -> None:
    async with site({"/": OK}) as here:
        assert await send(f"{here.url}/", trusted=LOOPBACK) == DELIVERED
        other = (parse_network("10.0.0.0/8"),)
        assert await send(f"{here.url}/", trusted=other) == TURNED_AWAY
    for url in ("http://127.0.0.1:6379/", "http://169.254.169.254/"):
        everything = (*LOOPBACK, parse_network("169.254.0.0/16"))
        assert await send(url, Detour(), trusted=everything) == TURNED_AWAY


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "304 N", "307 T", "308 P"])
async def test_redirects_are_not_followed(status: str) -> None:
    async with site({"/": OK}) as away:
        async with site({"/": moved(f"{away.url}/", status=status)}) as here:
            outcome = await send(f"{here.url}/", trusted=LOOPBACK)
        assert outcome == Outcome("hopeless", REDIRECTED)
        assert (here.connections, away.connections) == (1, 0)


@pytest.mark.parametrize("status", ["100", "199", "400", "401", "410", "429", "500", "503", "600"])
async def test_whatever_is_no_success_is_a_failure(status: str) -> None:
    async with site({"/": page("", status=f"{status} X")}) as here:
        outcome = await send(f"{here.url}/", trusted=LOOPBACK, seconds=2)
    assert outcome.kind == "failed"


async def test_what_it_says_besides_its_status_is_not_read() -> None:
    ended = asyncio.Event()

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        finally:
            ended.set()

    async with site({"/": endless}) as here:
        assert await send(f"{here.url}/", trusted=LOOPBACK) == DELIVERED
        async with asyncio.timeout(20):
            await ended.wait()


async def test_headers_without_end_are_refused() -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-More: " + b"x" * 8192 + b"\r\n")
            await writer.drain()

    async with site({"/": endless}) as here:
        outcome = await send(f"{here.url}/", trusted=LOOPBACK)
    assert outcome == Outcome("failed", "RemoteProtocolError")


async def silent(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(600)


async def trickle(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("answer", [silent, trickle])
async def test_one_that_takes_its_time_is_given_up(answer: Any) -> None:
    async with site({"/": answer}) as here:
        outcome = await send(f"{here.url}/", trusted=LOOPBACK, seconds=0.5)
    assert outcome == Outcome("failed", "no answer in time")


async def test_nobody_there() -> None:
    assert (await send("https://hooks.example/", Detour(), Names())).kind == "failed"

    async def unknown(host: str, port: int) -> list[str]:
        raise OSError(host)

    sender = HttpSender(WebhookNetwork((), resolver=unknown), tls(None), SystemClock(), "org", 20)
    outcome = await sender.send(delivery("https://hooks.example/"))
    assert outcome == Outcome("failed", "the name could not be resolved")


async def test_certificates_are_checked(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "company")
    good = authority.certificate("127.0.0.1")
    async with site({"/hook?a=b": OK}, good.context()) as here:
        url = f"https://127.0.0.1:{here.port}/hook?a=b"
        assert (await send(url, trusted=LOOPBACK)).kind == "failed"
        assert here.requests == []
        assert await send(url, trusted=LOOPBACK, trust=tls(authority.file)) == DELIVERED
    for wrong in (
        authority.certificate("other.example"),
        authority.certificate("127.0.0.1", days=-1),
    ):
        async with site({"/": OK}, wrong.context()) as here:
            url = f"https://127.0.0.1:{here.port}/"
            outcome = await send(url, trusted=LOOPBACK, trust=tls(authority.file))
            assert (outcome.kind, here.requests) == ("failed", [])


async def test_what_is_sent() -> None:
    async with site({"/hook?a=b": OK}) as here:
        assert await send(f"{here.url}/hook?a=b", trusted=LOOPBACK) == DELIVERED
    assert here.requests[0].startswith("POST /hook?a=b HTTP/1.1\r\n")
    assert here.header("host") == f"127.0.0.1:{here.port}"
    assert here.header("webhook-id") == "whe_1"
    assert abs(int(here.header("webhook-timestamp") or 0) - time.time()) < 60
    signature = here.header("webhook-signature") or ""
    assert signature.startswith("v1,")
    assert len(base64.b64decode(signature.removeprefix("v1,"))) == 32
    for name in ("authorization", "cookie", "x-api-key"):
        assert here.header(name) is None


def test_a_server_with_keys_delivers_to_public_addresses_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings reach the guard: loopback is open only where no key is configured."""
    headers = {**BETA, "x-api-key": "key-1", "anthropic-beta": "webhooks-2026-10-07"}
    path = "/v1/organizations/webhooks"
    agents = {**headers, "anthropic-beta": BETA["anthropic-beta"]}
    named = {"name": "n", "secret": SECRET}
    with receiver() as inbox:
        body = {"url": inbox.url, "enabled_events": ["agent.created"]}
        with serve(tmp_path / "a", api_keys=("key-1",)) as served:
            answer = httpx2.post(f"{served.url}{path}", json=body, headers=headers)
            assert answer.status_code == 400
        # A name that leads inward is found out when it is delivered to.
        names = Names(hooks_example=[["127.0.0.1"]])
        monkeypatch.setattr(
            "freehold.app.WebhookNetwork", lambda opened: WebhookNetwork(opened, resolver=names)
        )
        hooks = [{**named, "url": "https://hooks.example/hook"}]
        with serve(tmp_path / "b", api_keys=("key-1",), webhooks=hooks) as served:
            made = httpx2.post(
                f"{served.url}/v1/agents",
                json={"name": "a", "model": "claude-opus-5"},
                headers=agents,
            )
            assert made.status_code == 200
            deadline = time.monotonic() + 30
            while True:
                (one,) = httpx2.get(f"{served.url}{path}", headers=headers).json()["data"]
                if one["state"] == "disabled":
                    break
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert one["disabled_reason"] == NOT_PUBLIC
        opened = {"api_keys": ("key-1",), "webhook_networks": ("127.0.0.0/8",)}
        with serve(tmp_path / "c", **opened) as served:
            answer = httpx2.post(f"{served.url}{path}", json=body, headers=headers)
            secret = answer.json()["signing_secret"]
            httpx2.post(
                f"{served.url}/v1/agents",
                json={"name": "a", "model": "claude-opus-5"},
                headers=agents,
            )
            post = inbox.first("agent.created")
            standardwebhooks.Webhook(secret).verify(post.body, post.headers)
        assert len(inbox.posts) == 1
