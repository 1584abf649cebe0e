"""A Messages API that says so many words a second, each the time at which it was said.

python -m tests.bench.pacing --port PORT --rate 50 --words 500

The times are seconds of ``time.perf_counter``, which all processes of a machine share. It is
plain sockets, to cost as little as can be beside what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from typing import Any

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"request-id: req_pacing\r\ntransfer-encoding: chunked\r\n\r\n"
)
_USAGE = {"input_tokens": 1, "output_tokens": 1}


def _event(kind: str, **fields: Any) -> bytes:
    body = b"event: %b\ndata: %b\n\n" % (
        kind.encode(),
        json.dumps({"type": kind, **fields}).encode(),
    )
    return b"%x\r\n%b\r\n" % (len(body), body)


_BEGINNING = _event(
    "message_start",
    message={
        "id": "msg_pacing",
        "type": "message",
        "role": "assistant",
        "model": "pacing",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _USAGE,
    },
) + _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
_END = (
    _event("content_block_stop", index=0)
    + _event(
        "message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=_USAGE
    )
    + _event("message_stop")
    + b"0\r\n\r\n"
)


async def _answer(writer: asyncio.StreamWriter, rate: float, words: int) -> None:
    writer.write(_HEAD + _BEGINNING)
    begun = time.perf_counter()
    for number in range(words):
        wait = begun + number / rate - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        said = f"{time.perf_counter():.6f} "
        writer.write(
            _event("content_block_delta", index=0, delta={"type": "text_delta", "text": said})
        )
    writer.write(_END)
    await writer.drain()


async def _attend(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float, words: int
) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if length := _LENGTH.search(head):
                await reader.readexactly(int(length[1]))
            await _answer(writer, rate, words)
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--words", type=int, default=500)
    options = parser.parse_args()
    server = await asyncio.start_server(
        lambda reader, writer: _attend(reader, writer, options.rate, options.words),
        "127.0.0.1",
        options.port,
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
