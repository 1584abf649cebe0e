"""What is made of the answers that pages give."""

from __future__ import annotations

import pytest
from tests.support.web import Detour, Names, fetcher, moved, page, site

from freehold.core.web_rules import DomainRules
from freehold.errors import WebError

ANY = DomainRules()


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/html", "<b>x</b>", "**x**"),
        ("TEXT/HTML; charset=UTF-8", "<b>é</b>", "**é**"),
        ('text/html; charset="latin-1"', "<b>é</b>".encode("latin-1"), "**é**"),
        ("application/xhtml+xml", "<html><body><b>x</b></body></html>", "**x**"),
        ("text/plain", "<b>x</b>", "<b>x</b>"),
        ("text/markdown", "# x", "# x"),
        ("text/plain; charset=latin-1", "é".encode("latin-1"), "é"),
        ("application/json", '{"a": 1}', '{"a": 1}'),
        ("application/ld+json; a=b", "{}", "{}"),
        ("image/svg+xml", "<svg/>", "<svg/>"),
        ("application/yaml", "a: b", "a: b"),
        ("", "plain words", "plain words"),
        ("", " <!DOCTYPE html><b>x</b>", "**x**"),
        ("application/octet-stream", "<html><b>x</b>", "**x**"),
        ("application/octet-stream", b"\0\1\2", None),
        ("image/png", b"\x89PNG", None),
        ("application/zip", b"PK", None),
        ("application/pdf", b"not a PDF", None),
        ("application/octet-stream", b"%PDF-1.4 broken", None),
    ],
)
async def test_kinds_of_content(kind: str, body: bytes | str, text: str | None) -> None:
    async with site({"/": page(body, kind=kind)}) as there:
        fetching = fetcher(Detour(there), Names()).fetch("http://a.example", ANY, longest=100)
        if text is not None:
            assert (await fetching).text == text
            return
        with pytest.raises(WebError) as caught:
            await fetching
        assert caught.value.code == "unsupported_content_type"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("204 No Content", None),
        ("404 Not Found", "url_not_accessible"),
        ("429 Too Many Requests", "too_many_requests"),
        ("503 Service Unavailable", "url_not_accessible"),
        ("304 Not Modified", "url_not_accessible"),
        ("302 Found", "url_not_accessible"),
    ],
)
async def test_statuses(status: str, code: str | None) -> None:
    async with site({"/": page("", status=status, kind="text/plain")}) as there:
        fetching = fetcher(Detour(there), Names()).fetch("http://a.example", ANY, longest=100)
        if code is None:
            assert (await fetching).text == ""
            return
        with pytest.raises(WebError) as caught:
            await fetching
        assert caught.value.code == code


async def test_what_is_asked() -> None:
    async with site({"/caf%C3%A9/?q=%C3%BC&r": page("<p>x")}) as there:
        network = Detour(there)
        found = await fetcher(network, Names()).fetch(
            " HTTPS://WWW.Bücher.example./café/?q=ü&r#top ", ANY, longest=100
        )
        assert network.asked[0][1] == 443
        assert network.names == ["www.xn--bcher-kva.example"]
        assert there.header("host") == "www.xn--bcher-kva.example"
        assert there.header("accept-encoding") == "gzip, deflate"
        assert (there.header("user-agent") or "").startswith("Freehold/")
        assert found.title == found.url


async def test_redirects_are_relative_to_where_they_were_seen() -> None:
    answers = {
        "/a/b": moved("c?d"),
        "/a/c?d": moved("//b.example/e"),
        "/e": page("<title>E</title><p>x"),
    }
    async with site(answers) as there:
        network = Detour(there)
        by = fetcher(network, Names())
        found = await by.fetch("http://a.example:8080/a/b", ANY, longest=100)
        assert (found.url, found.title) == ("http://b.example/e", "E")
        assert [port for _, port in network.asked] == [8080, 8080, 80]


async def test_a_redirect_in_utf_8() -> None:
    raw = moved("X").replace(b"Location: X", "Location: /é".encode())
    async with site({"/": raw, "/%C3%A9": page("<p>x")}) as there:
        found = await fetcher(Detour(there), Names()).fetch("http://a.example", ANY, longest=9)
        assert found.text == "x"
