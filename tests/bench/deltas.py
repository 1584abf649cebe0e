"""Previews: how much later a client sees a word through Freehold than from the model itself.

    python -m tests.bench.deltas [--turns 100] [--sessions 100] [--rate 50] [--seconds 10]

An upstream says the time as its words, so each word that arrives tells its own delay. The same
client reads the same upstream directly, in the same run, for scale. Prints the delay of an
answer's first word, one session at a time, and the delay of every word while many sessions
stream, with the share that was shed (not shown as a preview; the message itself is whole).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.common import (
    cpu_seconds,
    freehold,
    http,
    make_agent,
    make_session,
    ms,
    process,
    send,
)
from tests.support.running import BETA, free_port

_SAID = re.compile(rb'"text": ?"([0-9. ]+)"')


@contextlib.contextmanager
def pacing(rate: float, words: int) -> Iterator[str]:
    """The upstream that says the time."""
    port = free_port()
    arguments = ["--port", str(port), "--rate", str(rate), "--words", str(words)]
    with process("tests.bench.pacing", *arguments, port=port):
        yield f"http://127.0.0.1:{port}"


class Reader:
    """A bare HTTP connection whose every word is noted with its delay; seconds."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self.delays: list[float] = []

    async def open(self, method: str, path: str, body: bytes = b"") -> None:
        """Send a request."""
        self._reader, self._writer = await asyncio.open_connection(
            self._address.hostname, self._address.port, limit=2**22
        )
        headers = {**BETA, "host": "localhost", "content-length": str(len(body))}
        lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        self._writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await self._reader.readuntil(b"\r\n\r\n")

    async def read(self, until: bytes) -> None:
        """Read on until a piece of text comes."""
        while line := await self._reader.readline():
            if not line.startswith(b"data:"):
                continue
            if b"delta" in line and (said := _SAID.search(line)):
                now = time.perf_counter()
                self.delays += [now - float(word) for word in said[1].split()]
            elif until in line:
                return
        raise RuntimeError("the stream ended early")

    def close(self) -> None:
        self._writer.close()


async def direct(upstream: str) -> list[float]:
    """The delays of one answer of the upstream itself."""
    reader = Reader(upstream)
    body = {"model": "m", "max_tokens": 1, "stream": True, "messages": []}
    await reader.open("POST", "/v1/messages", json.dumps(body).encode())
    await reader.read(b"message_stop")
    reader.close()
    return reader.delays


async def through(url: str, sessions: int, turns: int) -> list[list[float]]:
    """The delays of ``turns`` answers in each of many sessions at the same time."""
    async with http(url) as client:
        agent, environment = await make_agent(client, tools=False)

        async def one() -> list[list[float]]:
            session = await make_session(client, agent, environment)
            reader = Reader(url)
            path = f"/v1/sessions/{session}/events/stream?event_deltas[]=agent.message"
            await reader.open("GET", path)
            answers = []
            for turn in range(turns):
                await send(client, session, f"turn {turn}")
                reader.delays = []
                await reader.read(b"session.status_idle")
                answers.append(reader.delays)
            reader.close()
            return answers

        return [
            answer
            for each in await asyncio.gather(*[one() for _ in range(sessions)])
            for answer in each
        ]


def _settings(upstream: str) -> dict[str, str]:
    return {
        "FREEHOLD_MODEL": "upstream",
        "FREEHOLD_MODEL_BASE_URL": upstream,
        "FREEHOLD_MODEL_API_KEY": "bench",
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with (
            pacing(200, 3) as upstream,
            freehold(Path(folder) / "first", **_settings(upstream)) as (url, _),
        ):
            bare, ours = [], []
            for _ in range(options.turns // 10):
                bare += [(await direct(upstream))[0] for _ in range(10)]
                ours += [delays[0] for delays in await through(url, 1, 10)]
            print(f"first word, upstream        {ms(bare)}")
            print(f"first word, Freehold        {ms(ours)}")
            above = statistics.median(ours) - statistics.median(bare)
            print(f"first word, above upstream  {above * 1e3:8.2f} ms median")
        words = int(options.rate * options.seconds)
        with (
            pacing(options.rate, words) as upstream,
            freehold(Path(folder) / "many", **_settings(upstream)) as (url, pid),
        ):
            raw = await asyncio.gather(*[direct(upstream) for _ in range(options.sessions)])
            print(f"{options.sessions} x {options.rate:g}/s, upstream      {ms(list(chain(*raw)))}")
            used = cpu_seconds(pid)
            shown = await through(url, options.sessions, 1)
            used = cpu_seconds(pid) - used
            print(
                f"{options.sessions} x {options.rate:g}/s, Freehold      {ms(list(chain(*shown)))}"
            )
            shed = 1 - sum(map(len, shown)) / (words * options.sessions)
            print(f"words shed                  {shed:8.2%}")
            print(f"processor time per word     {used / words / options.sessions * 1e6:8.1f} us")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
