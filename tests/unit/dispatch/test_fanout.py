"""Hearing that a log grew."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from freehold.dispatch.fanout import InProcessFanout
from freehold.ports.dispatcher import Preview


async def test_a_listener_hears_the_newest_seq_once_it_exceeds_what_it_has() -> None:
    fanout = InProcessFanout()
    listener = fanout.subscribe("sesn_1")
    waiting = asyncio.create_task(listener.wait(4))
    await asyncio.sleep(0)
    fanout.publish("sesn_1", 3)
    fanout.publish("sesn_1", 4)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    fanout.publish("sesn_1", 5)
    fanout.publish("sesn_1", 9)
    assert await waiting == 9
    listener.close()


async def test_what_was_published_since_subscribing_is_heard_at_once() -> None:
    fanout = InProcessFanout()
    listener = fanout.subscribe("sesn_1")
    fanout.publish("sesn_1", 2)
    assert await listener.wait(0) == 2
    assert await listener.wait(1) == 2
    assert await listener.wait(2, timeout=0) == 2
    listener.close()


async def test_an_older_seq_is_no_news() -> None:
    fanout = InProcessFanout()
    listener = fanout.subscribe("sesn_1")
    fanout.publish("sesn_1", 5)
    fanout.publish("sesn_1", 3)
    assert await listener.wait(0) == 5
    assert await listener.wait(5, timeout=0.001) == 5
    listener.close()


async def test_a_timeout_gives_what_is_known() -> None:
    fanout = InProcessFanout()
    listener = fanout.subscribe("sesn_1")
    assert await listener.wait(7, timeout=0.001) == 0
    listener.close()


async def test_every_listener_of_the_session_hears_and_no_other() -> None:
    fanout = InProcessFanout()
    ours = [fanout.subscribe("sesn_1") for _ in range(50)]
    other = fanout.subscribe("sesn_2")
    waits = [asyncio.create_task(listener.wait(0)) for listener in ours]
    elsewhere = asyncio.create_task(other.wait(0))
    await asyncio.sleep(0)
    fanout.publish("sesn_1", 1)
    assert await asyncio.gather(*waits) == [1] * 50
    assert not elsewhere.done()
    elsewhere.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await elsewhere


async def test_a_thought_in_the_middle_of_a_message_does_not_end_its_preview() -> None:
    fanout = InProcessFanout()
    listener = fanout.subscribe("sesn_1", frozenset({"agent.message", "agent.thinking"}))
    shown = [
        Preview(1, "sevt_m", "agent.message"),
        Preview(1, "sevt_m", "agent.message", 0, "one"),
        Preview(1, "sevt_t", "agent.thinking"),
        Preview(1, "sevt_m", "agent.message", 1, "two"),
    ]
    for preview in shown:
        fanout.preview("sesn_1", preview)
    assert listener.take() == shown
    listener.close()


async def test_one_who_gives_up_does_not_take_the_others_along() -> None:
    fanout = InProcessFanout()
    first, second = fanout.subscribe("sesn_1"), fanout.subscribe("sesn_1")
    quitter = asyncio.create_task(first.wait(0))
    waiter = asyncio.create_task(second.wait(0))
    await asyncio.sleep(0)
    quitter.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await quitter
    first.close()
    fanout.publish("sesn_1", 1)
    assert await waiter == 1


async def test_nothing_is_kept_for_sessions_without_listeners() -> None:
    fanout = InProcessFanout()
    for n in range(100):
        fanout.publish(f"sesn_{n}", 1)
    assert len(fanout) == 0
    one, two = fanout.subscribe("sesn_1"), fanout.subscribe("sesn_1")
    assert len(fanout) == 1
    one.close()
    one.close()
    assert len(fanout) == 1
    two.close()
    assert len(fanout) == 0
    with pytest.raises(RuntimeError, match="closed"):
        await two.wait(0)
    fresh = fanout.subscribe("sesn_1")
    assert await fresh.wait(0, timeout=0) == 0
    fresh.close()


async def test_a_reader_that_follows_the_bell_misses_nothing() -> None:
    fanout, log = InProcessFanout(), list[int]()

    async def write() -> None:
        for seq in range(1, 301):
            log.append(seq)
            fanout.publish("sesn_1", seq)
            if seq % 7 == 0:
                await asyncio.sleep(0)

    async def read() -> list[int]:
        listener, seen = fanout.subscribe("sesn_1"), list[int]()
        while len(seen) < 300:
            heard = await listener.wait(len(seen))
            assert heard > len(seen)
            seen += log[len(seen) : heard]
        listener.close()
        return seen

    _, one, two = await asyncio.gather(write(), read(), read())
    assert one == two == log
