"""Runs :mod:`freehold.web.converter` and ends it when it takes too long or is not wanted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson

from freehold.errors import WebError

log = logging.getLogger(__name__)

Form = Literal["html", "pdf", "text"]

CONVERSION_SECONDS = 20.0
AT_ONCE = 4
"""Children at work; the others wait."""

_PROGRAM = Path(__file__).with_name("converter.py")


@dataclass(frozen=True)
class Converted:
    """A document's title, if it has one, and its text."""

    title: str
    text: str


class Converter:
    """Turns bodies into text, each in a child process."""

    def __init__(self, *, seconds: float = CONVERSION_SECONDS, at_once: int = AT_ONCE) -> None:
        self._seconds = seconds
        self._free = asyncio.Semaphore(at_once)

    async def convert(
        self, form: Form, data: bytes, *, charset: str | None, url: str, longest: int
    ) -> Converted:
        """The text of ``data``, at most ``longest`` characters of it.

        Raises:
            WebError: it cannot be read, or not with the time and memory there is.
        """
        head = orjson.dumps({"form": form, "charset": charset, "url": url, "longest": longest})
        async with self._free:
            output = await self._run(head + b"\n" + data)
        try:
            answer = orjson.loads(output)
        except orjson.JSONDecodeError:
            # Killed by its limits, or by its parser.
            raise WebError(
                "unavailable", "the page could not be converted to text: it takes too much."
            ) from None
        if "error" in answer:
            raise WebError("unsupported_content_type", answer["error"])
        return Converted(answer["title"], answer["text"])

    async def _run(self, request: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",  # neither the working directory nor variables decide what it imports
            str(_PROGRAM),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={},
        )
        try:
            async with asyncio.timeout(self._seconds):
                output, complaints = await process.communicate(request)
        except TimeoutError:
            raise WebError(
                "unavailable", "the page could not be converted to text in time."
            ) from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode:
            log.warning(
                "the converter ended with %s: %s",
                process.returncode,
                complaints.decode("utf-8", "replace")[-500:],
            )
        return output
