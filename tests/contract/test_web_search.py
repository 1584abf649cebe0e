"""Every provider of searches against a server that answers as it does, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.support.web import Answer, Site, page, site, tls

from freehold.core.web_rules import DomainRules
from freehold.errors import ConfigurationError, WebError
from freehold.settings import Settings
from freehold.web.search.brave import Brave
from freehold.web.search.provider import HttpProvider
from freehold.web.search.searxng import SearXNG
from freehold.web.search.tavily import Tavily
from freehold.web.service import ServerWeb, build_web

KEY = "canary7Zq93hX"
ANY = DomainRules()
TEXT = {"searxng": "content", "brave": "description", "tavily": "content"}
PATH = {"searxng": "/search", "brave": "/res/v1/web/search", "tavily": "/search"}


class Endpoint(Site):
    """A site whose answers do not depend on the query, and that reads bodies."""

    def __init__(self, answer: Answer) -> None:
        super().__init__({})
        self.answer = answer
        self.bodies: list[str] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.requests.append(request)
        length = int(self.header("content-length") or 0)
        self.bodies.append((await reader.readexactly(length)).decode())
        assert isinstance(self.answer, bytes)
        writer.write(self.answer)
        await writer.drain()
        writer.close()

    @property
    def path(self) -> str:
        return urlsplit(self.requests[-1].split(" ")[1]).path

    @property
    def parameters(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.requests[-1].split(" ")[1]).query)


def answer(kind: str, results: Any) -> bytes:
    wrapped = {"web": {"results": results}} if kind == "brave" else {"results": results}
    return page(json.dumps(wrapped), kind="application/json")


def results(kind: str, count: int, domain: str = "example.com") -> list[dict[str, Any]]:
    return [
        {"url": f"https://{domain}/{n}", "title": f"Title {n} &amp; more", TEXT[kind]: f"text {n}"}
        for n in range(count)
    ]


def provider(kind: str, url: str) -> HttpProvider:
    match kind:
        case "searxng":
            return SearXNG(url, tls(None))
        case "brave":
            return Brave(url, KEY, tls(None))
        case _:
            return Tavily(url, KEY, tls(None))


async def ask(
    kind: str, reply: bytes, query: str = "cats", rules: DomainRules = ANY, **more: Any
) -> tuple[list[Any], Endpoint]:
    endpoint = Endpoint(reply)
    server = await asyncio.start_server(endpoint._serve, "127.0.0.1", 0)
    endpoint.port = server.sockets[0].getsockname()[1]
    web = ServerWeb(None, provider(kind, endpoint.url + "/"))
    try:
        return await web.search(query, rules, **more), endpoint
    finally:
        await web.close()
        server.close()


KINDS = pytest.mark.parametrize("kind", ["searxng", "brave", "tavily"])


@KINDS
async def test_ten_results_in_order(kind: str) -> None:
    found, endpoint = await ask(kind, answer(kind, results(kind, 15)))
    assert [hit.url for hit in found] == [f"https://example.com/{n}" for n in range(10)]
    assert (found[1].title, found[1].text) == ("Title 1 & more", "text 1")
    assert endpoint.path == PATH[kind]


@KINDS
async def test_what_the_rules_forbid_is_left_out(kind: str) -> None:
    bad = results(kind, 8, "www.blocked.example")
    found, _ = await ask(
        kind,
        answer(kind, [*bad, *results(kind, 12)]),
        rules=DomainRules(blocked=("blocked.example",)),
    )
    assert [hit.url for hit in found] == [f"https://example.com/{n}" for n in range(10)]
    found, _ = await ask(
        kind,
        answer(kind, [*bad, *results(kind, 2, "example.com/docs")]),
        rules=DomainRules(allowed=("example.com/docs",)),
    )
    assert [hit.url for hit in found] == [
        "https://example.com/docs/0",
        "https://example.com/docs/1",
    ]


@KINDS
async def test_results_that_are_no_results(kind: str) -> None:
    odd: list[Any] = ["x", None, {}, {"url": 3}, {"url": "javascript:alert(1)"}]
    found, _ = await ask(kind, answer(kind, [*odd, {"url": "https://a.example"}]))
    assert [(hit.url, hit.title, hit.text) for hit in found] == [
        ("https://a.example", "https://a.example", "https://a.example")
    ]
    for nothing in (b"[]", b"{}", b'{"results": 3, "web": 4}', b"null"):
        assert (await ask(kind, page(nothing, kind="application/json")))[0] == []


@KINDS
@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (page("no", status="429 Too Many Requests"), "too_many_requests"),
        (page("no", status="401 Unauthorized"), "unavailable"),
        (page("no", status="403 Forbidden"), "unavailable"),
        (page("no", status="500 Oops"), "unavailable"),
        (page("", "Location: http://127.0.0.1:1/", status="302 Found"), "unavailable"),
        (page("<html>"), "unavailable"),
        (b"nothing of the kind\r\n\r\n", "unavailable"),
    ],
)
async def test_failures(kind: str, reply: bytes, code: str) -> None:
    with pytest.raises(WebError) as caught:
        await ask(kind, reply)
    assert caught.value.code == code
    assert KEY not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


async def test_a_provider_that_is_not_there() -> None:
    async with site() as gone:
        url = f"http://127.0.0.1:{gone.port}"
    web = ServerWeb(None, provider("brave", url))
    with pytest.raises(WebError, match="cannot be reached"):
        await web.search("cats", ANY)
    await web.close()


async def test_what_searxng_is_asked() -> None:
    rules = DomainRules(allowed=("a.example", "b.example/docs"))
    _, endpoint = await ask("searxng", answer("searxng", []), "cats", rules)
    assert endpoint.parameters == {
        "q": ["cats (site:a.example OR site:b.example/docs)"],
        "format": ["json"],
    }
    _, endpoint = await ask("searxng", answer("searxng", []), rules=DomainRules(("a.example",)))
    assert endpoint.parameters["q"] == ["cats site:a.example"]


async def test_what_brave_is_asked() -> None:
    place = {"type": "approximate", "city": "Tromsø", "country": "NO", "timezone": "Europe/Oslo"}
    rules = DomainRules(blocked=("a.example", "b.example"))
    _, endpoint = await ask("brave", answer("brave", []), "cats", rules, location=place)
    assert endpoint.parameters["q"] == ["cats -site:a.example -site:b.example"]
    assert endpoint.header("x-subscription-token") == KEY
    assert endpoint.header("x-loc-city") == "Troms%C3%B8"
    assert endpoint.header("x-loc-country") == "NO"
    assert endpoint.header("x-loc-timezone") == "Europe/Oslo"
    assert endpoint.header("x-loc-state-name") is None
    # With the operators it would be too long; without them the results are filtered all the same.
    _, endpoint = await ask("brave", answer("brave", []), "c" * 395, rules)
    assert endpoint.parameters["q"] == ["c" * 395]


async def test_what_tavily_is_asked() -> None:
    _, endpoint = await ask("tavily", answer("tavily", []), rules=DomainRules(("a.example/x",)))
    assert endpoint.header("authorization") == f"Bearer {KEY}"
    assert json.loads(endpoint.bodies[0]) == {
        "query": "cats",
        "max_results": 20,
        "include_domains": ["a.example"],
    }
    rules = DomainRules(blocked=("a.example/x", "b.example"))
    _, endpoint = await ask("tavily", answer("tavily", []), rules=rules)
    assert json.loads(endpoint.bodies[0])["exclude_domains"] == ["b.example"]


@pytest.mark.parametrize(("kind", "longest"), [("searxng", 2000), ("brave", 400), ("tavily", 400)])
async def test_queries_that_are_too_long(kind: str, longest: int) -> None:
    await ask(kind, answer(kind, []), "c" * longest)
    with pytest.raises(WebError) as caught:
        await ask(kind, answer(kind, []), "c" * (longest + 1))
    assert caught.value.code == "query_too_long"


async def test_the_check_of_searxng_finds_that_json_is_off() -> None:
    for reply, status in ((page("", status="403 F"), "error"), (answer("searxng", []), "ok")):
        endpoint = Endpoint(reply)
        server = await asyncio.start_server(endpoint._serve, "127.0.0.1", 0)
        endpoint.port = server.sockets[0].getsockname()[1]
        made = provider("searxng", endpoint.url)
        (finding,) = await made.check()
        assert finding.status == status
        await made.close()
        server.close()


class TestScripted:
    async def test_made_up_results(self) -> None:
        web = build_web(Settings(web_search="scripted"))
        found = await web.search("Blue cats!", ANY)
        assert len(found) == 10
        assert found == await web.search("Blue cats!", ANY)
        assert found[0].url == "https://example.com/blue-cats/1"
        rules = DomainRules(allowed=("a.example/docs",))
        assert (await web.search("x", rules))[0].url == "https://a.example/docs/x/1"
        assert len(await web.search("x", DomainRules(blocked=("example.com",)))) == 6

    async def test_results_of_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "results.yaml"
        file.write_text(
            "- {url: https://a.example, title: Cats, text: on mats}\n"
            "- {url: https://b.example, title: Blue cats, text: on mats}\n"
            "- {url: https://c.example, title: Dogs, text: in fogs}\n"
        )
        web = build_web(Settings(web_search="scripted", web_search_url=str(file)))
        urls = [hit.url for hit in await web.search("BLUE cats", ANY)]
        assert urls == ["https://b.example", "https://a.example"]
        assert await web.search("nothing", ANY) == []

    @pytest.mark.parametrize(
        "text", ["- {url: x}", "url: x", "- [", "- {url: '', title: a, text: b}"]
    )
    def test_files_that_are_none(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "results.yaml"
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=r"results\.yaml"):
            build_web(Settings(web_search="scripted", web_search_url=str(file)))


class TestSettings:
    @pytest.mark.parametrize(
        ("values", "missing"),
        [
            ({"web_search": "searxng"}, "FREEHOLD_WEB_SEARCH_URL"),
            ({"web_search": "searxng", "web_search_url": "localhost"}, "FREEHOLD_WEB_SEARCH_URL"),
            ({"web_search": "searxng", "web_search_url": "http://[::1"}, "FREEHOLD_WEB_SEARCH_URL"),
            ({"web_search": "brave"}, "FREEHOLD_WEB_SEARCH_API_KEY"),
            ({"web_search": "tavily", "web_search_api_key": " "}, "FREEHOLD_WEB_SEARCH_API_KEY"),
            ({"web_search": "scripted", "web_search_url": "/none.yaml"}, "FREEHOLD_WEB_SEARCH_URL"),
        ],
    )
    def test_what_is_missing_is_named(self, values: dict[str, Any], missing: str) -> None:
        with pytest.raises(ConfigurationError, match=missing):
            build_web(Settings(**values))

    async def test_what_is_offered(self) -> None:
        assert build_web(Settings()).offers == {"web_fetch"}
        nothing = build_web(Settings(web_fetch=False))
        assert nothing.offers == frozenset()
        for asking in (
            nothing.fetch("https://a.example", ANY, longest=1),
            nothing.search("x", ANY),
        ):
            with pytest.raises(WebError, match="this server"):
                await asking
        found = await nothing.check()
        assert [f.status for f in found] == ["ok", "ok"]
        assert all("not offered" in f.detail for f in found)
        brave = build_web(Settings(web_search="brave", web_search_api_key=KEY))  # type: ignore[arg-type]
        assert brave.offers == {"web_fetch", "web_search"}
        assert KEY not in str(await brave.check())
        await brave.close()

    def test_trusted_networks(self) -> None:
        settings = Settings(trusted_networks="10.0.0.0/8, ::1")  # type: ignore[arg-type]
        assert settings.trusted_networks == ("10.0.0.0/8", "::1/128")
        with pytest.raises(ValueError, match="host bits"):
            Settings(trusted_networks="10.0.0.1/8")  # type: ignore[arg-type]
