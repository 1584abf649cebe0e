"""Keeping a folder of a sandbox in step, over the toolbox's protocol."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Iterator, Sequence

from freehold.core.events import Json
from freehold.ports.sandbox import LISTING_LIMIT, Exchange, Exchanged, Survey

Request = Callable[[Json], Awaitable[Json]]
"""Sends a frame; the result, or an error as :class:`freehold.sandbox.channel.ToolboxSandbox`
raises it."""

_FRAME = 4 * 1024 * 1024
"""Bytes of content in one frame."""
_CHANGES = 500
"""Changes in one frame."""


async def survey(request: Request, folder: str, *, largest: int, fresh: bool) -> Survey:
    """See the port's ``Sandbox.survey``."""
    result = await request(
        {
            "op": "survey",
            "path": folder,
            "limit": LISTING_LIMIT,
            "largest": largest,
            "fresh": fresh,
        }
    )
    return Survey(
        files=dict(result["files"]),
        others=frozenset(result["others"]),
        unnamed=result["unnamed"],
    )


async def exchange(request: Request, folder: str, changes: Sequence[Exchange]) -> list[Exchanged]:
    """See the port's ``Sandbox.exchange``."""
    results: list[Exchanged] = []
    for part in _parts(changes):
        listed = [
            [
                change.path,
                change.expected,
                None
                if change.content is None
                else base64.b64encode(change.content).decode("ascii"),
            ]
            for change in part
        ]
        answer = await request({"op": "exchange", "path": folder, "changes": listed})
        results += [Exchanged(*result) for result in answer["results"]]
    return results


def _parts(changes: Sequence[Exchange]) -> Iterator[Sequence[Exchange]]:
    part: list[Exchange] = []
    size = 0
    for change in changes:
        length = len(change.content or b"")
        if part and (size + length > _FRAME or len(part) >= _CHANGES):
            yield part
            part, size = [], 0
        part.append(change)
        size += length
    if part:
        yield part
