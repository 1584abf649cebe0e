"""From a page to text, in a process of its own (``python converter.py``).

Pages are written by strangers, and parsers can be made to run for hours or to eat all memory. So
this file runs as a child with limits on both, without the server's environment, and imports nothing
of Freehold. One request on standard input: a line of JSON, then the body. One line of JSON comes
back: ``{"title", "text"}`` or ``{"error"}``.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from typing import Any
from urllib.parse import urljoin

CPU_SECONDS = 15
MEMORY_BYTES = 1 << 30
_DEEPEST = 20_000
_UNSEEN = ["script", "style", "noscript", "template", "svg", "iframe", "object", "canvas", "head"]
_FURNITURE = ["nav", "footer", "form", "button", "dialog"]
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_ENOUGH_MAIN = 200
"""Characters: a shorter ``<main>`` is not what the page is about."""


class Unreadable(Exception):
    """The body is not what it is said to be; the text is for the model."""


def main() -> None:
    """Answer the one request."""
    _limit()
    request = json.loads(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read()
    try:
        title, text = _CONVERTERS[request["form"]](data, request)
        answer = {"title": _one_line(_clean(title)), "text": _clean(text[: request["longest"]])}
    except Unreadable as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": "it takes too much memory to read."}
    sys.stdout.buffer.write(json.dumps(answer).encode("ascii") + b"\n")


def _limit() -> None:
    sys.setrecursionlimit(_DEEPEST)
    try:
        import resource  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return
    for kind, most in (
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        # Where a limit cannot be set (macOS knows no RLIMIT_AS), the others still hold.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


def html(data: bytes, request: dict[str, Any]) -> tuple[str, str]:
    """Markdown of what a page is about, its links absolute."""
    from bs4 import BeautifulSoup  # noqa: PLC0415 - each form loads its own libraries
    from markdownify import MarkdownConverter  # noqa: PLC0415 - only where there is HTML

    # What HTTP says of the charset comes before what the page says.
    codec = _codec(request["charset"])
    soup = BeautifulSoup(data.decode(codec, "replace") if codec else data, "lxml")
    title = soup.title.get_text() if soup.title else ""
    base = request["url"]
    if soup.base is not None and isinstance(href := soup.base.get("href"), str):
        base = _absolute(base, href)
    for tag in soup.find_all([*_UNSEEN, *_FURNITURE]):
        tag.decompose()
    for tag in soup.find_all(_is_hidden):
        tag.decompose()
    root = soup.find("main") or soup.find(role="main")
    if root is None or len(root.get_text(strip=True)) < _ENOUGH_MAIN:
        root = soup.body or soup
    for tag in root.find_all("a", href=True):
        tag["href"] = _absolute(base, str(tag["href"]))
    for tag in root.find_all("img"):
        source = str(tag.get("src") or "")
        # A picture in the address itself is thousands of characters that say nothing.
        if source.startswith("data:") or not source:
            tag.decompose()
        else:
            tag["src"] = _absolute(base, source)
    if not title and (heading := root.find("h1")) is not None:
        title = heading.get_text()
    try:
        text = MarkdownConverter(heading_style="ATX", bullets="-").convert_soup(root)
    except RecursionError:
        text = root.get_text("\n")
    return title, re.sub(r"[ \t]+\n", "\n", re.sub(r"\n{3,}", "\n\n", text)).strip()


def pdf(data: bytes, request: dict[str, Any]) -> tuple[str, str]:
    """The text of a PDF's pages, as many as are wanted."""
    import logging  # noqa: PLC0415 - only where there is a PDF

    from pypdf import PdfReader  # noqa: PLC0415 - as above
    from pypdf.errors import PdfReadError, PyPdfError  # noqa: PLC0415 - as above

    logging.disable(logging.CRITICAL)
    try:
        reader = PdfReader(io.BytesIO(data))
        _open(reader)
        title = str(reader.metadata.title or "") if reader.metadata else ""
        pages: list[str] = []
        size = 0
        for page in reader.pages:
            pages.append(page.extract_text().strip())
            size += len(pages[-1])
            if size > request["longest"]:
                break
    except (Unreadable, MemoryError):
        raise
    except (PdfReadError, PyPdfError) as error:
        raise Unreadable(f"the PDF cannot be read: {error}") from None
    except Exception as error:
        # The library raises all kinds of things where a file is broken.
        raise Unreadable(f"the PDF cannot be read: {type(error).__name__}") from None
    text = "\n\n".join(page for page in pages if page)
    if not text:
        raise Unreadable("the PDF has no text in it; its pages may be pictures.")
    return title, text


def _open(reader: Any) -> None:
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable("the PDF is protected by a password.")


def text(data: bytes, request: dict[str, Any]) -> tuple[str, str]:
    """The text as it is."""
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return "", data.decode(codec, "replace")
    return "", data.decode(_codec(request["charset"]) or "utf-8", "replace")


_CONVERTERS = {"html": html, "pdf": pdf, "text": text}


def _codec(name: str | None) -> str | None:
    """A charset that Python knows as one; some of its codecs are none."""
    if name is None:
        return None
    try:
        name = name[:40]
        b"x".decode(name, "replace")
    except (LookupError, ValueError):  # not a charset, or none of text
        return None
    return None if name.lower().replace("-", "_") in {"idna", "punycode", "undefined"} else name


def _absolute(base: str, link: str) -> str:
    try:
        return urljoin(base, link.strip())
    except ValueError:
        return link


def _is_hidden(tag: Any) -> bool:
    style = str(tag.get("style") or "").replace(" ", "").lower()
    return (
        tag.has_attr("hidden")
        or tag.get("aria-hidden") == "true"
        or "display:none" in style
        or "visibility:hidden" in style
    )


def _clean(text: str) -> str:
    """Without what no JSON and no database takes."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _one_line(title: str) -> str:
    return " ".join(title.split())[:500]


if __name__ == "__main__":
    main()
