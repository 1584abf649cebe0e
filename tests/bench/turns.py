"""Turns without tools, against an upstream that answers at once.

    python -m tests.bench.turns [--turns 1000] [--sessions 200]

Prints the median turn (POST to idle on the stream) early and late in one session, the time of
many concurrent one-turn sessions, a bare request to the upstream for scale, and memory.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import httpx2

from tests.bench.common import (
    Listener,
    freehold,
    http,
    instant_upstream,
    make_agent,
    make_session,
    ms,
    resident_mb,
)


async def bare_requests(upstream: str, count: int) -> list[float]:
    """What one streamed request to the fake upstream costs by itself."""
    body = {"model": "m", "max_tokens": 1, "stream": True, "messages": []}
    times = []
    async with httpx2.AsyncClient(base_url=upstream, headers={"x-api-key": "k"}) as client:
        for _ in range(count):
            begun = time.perf_counter()
            await client.post("/v1/messages", json=body)
            times.append(time.perf_counter() - begun)
    return times


async def one_session(url: str, turns: int) -> list[float]:
    """Turn after turn in one session."""
    async with http(url) as client:
        agent, environment = await make_agent(client, tools=False)
        session = await make_session(client, agent, environment)
        async with Listener(client, session) as listener:
            return [await listener.turn(f"message {n}") for n in range(turns)]


async def many_sessions(url: str, count: int) -> tuple[float, list[float]]:
    """One turn each in ``count`` sessions at the same time, streams open before the start."""
    async with http(url, connections=2 * count + 4) as client:
        agent, environment = await make_agent(client, tools=False)
        listeners = []
        for _ in range(count):
            session = await make_session(client, agent, environment)
            listeners.append(await Listener(client, session).__aenter__())
        begun = time.perf_counter()
        times = await asyncio.gather(*(listener.turn("hi") for listener in listeners))
        whole = time.perf_counter() - begun
        for listener in listeners:
            await listener.__aexit__()
        return whole, list(times)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=1_000)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--database-url", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, instant_upstream() as upstream:
        variables = {
            "FREEHOLD_MODEL": "upstream",
            "FREEHOLD_MODEL_BASE_URL": upstream,
            "FREEHOLD_MODEL_API_KEY": "bench",
        }
        if options.database_url:
            variables["FREEHOLD_DATABASE_URL"] = options.database_url
        with freehold(Path(folder) / "data", **variables) as (url, pid):
            print(f"resident, idle              {resident_mb(pid):8.1f} MB")
            bare = await bare_requests(upstream, 200)
            print(f"bare upstream request       {ms(bare)}")
            times = await one_session(url, options.turns)
            early, late = times[10:110], times[-100:]
            print(f"turn, from the 10th         {ms(early)}")
            print(f"turn, last 100 of {options.turns:<8}  {ms(late)}")
            early_median = statistics.median(early)
            print(f"late / early                {statistics.median(late) / early_median:8.2f} x")
            print(f"turn / bare request         {early_median / statistics.median(bare):8.2f} x")
            whole, each = await many_sessions(url, options.sessions)
            print(
                f"{options.sessions} concurrent turns        {whole:8.2f} s in all; each {ms(each)}"
            )
            print(f"resident, after             {resident_mb(pid):8.1f} MB")


if __name__ == "__main__":
    asyncio.run(main())
