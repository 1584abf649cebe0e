"""A session's repositories are asked for by two when it starts, and fetched once."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from freehold.errors import RepositoryError
from freehold.ports.log import SessionSpec
from freehold.ports.repositories import FetchedRepository, RepositorySource, WantedRepository

Asker = Literal["furnisher", "finder"]

_REMEMBERED = 512


@dataclass
class _Fetch:
    task: asyncio.Task[FetchedRepository]
    told: set[Asker] = field(default_factory=set)


class RepositoryFetching:
    """Lets who furnishes the sandbox and who looks for skills share a fetch, each of them once.

    Who asks a second time wants to know how it is by then.

    Args:
        source: Fetches.
        pauses: Seconds to wait before each further attempt where the host or the way to it fails.
    """

    def __init__(self, source: RepositorySource, pauses: Sequence[float] = (1.0, 3.0)) -> None:
        self._source = source
        self._pauses = tuple(pauses)
        self._fetches: OrderedDict[tuple[str | None, ...], _Fetch] = OrderedDict()

    async def fetch(
        self, asker: Asker, spec: SessionSpec, wanted: WantedRepository
    ) -> FetchedRepository:
        """What is wanted, on the server's disk.

        Raises:
            RepositoryError: it cannot be had. OSError: the server's disk failed.
        """
        key = (spec.session_id, wanted.url, wanted.token, json.dumps(wanted.checkout))
        fetch = self._fetches.get(key)
        if fetch is None or asker in fetch.told:
            fetch = _Fetch(asyncio.create_task(self._fetched(wanted)))
            fetch.task.add_done_callback(_seen)
            self._fetches[key] = fetch
            self._fetches.move_to_end(key)
            if len(self._fetches) > _REMEMBERED:
                self._fetches.popitem(last=False)
        fetch.told.add(asker)
        # Whoever is cancelled does not take it from the other.
        return await asyncio.shield(fetch.task)

    async def close(self) -> None:
        """Fetch no longer."""
        tasks = [fetch.task for fetch in self._fetches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetched(self, wanted: WantedRepository) -> FetchedRepository:
        for pause in self._pauses:
            try:
                return await self._source.fetch(wanted)
            except RepositoryError as error:
                if not error.retryable:
                    raise
            await asyncio.sleep(pause)
        return await self._source.fetch(wanted)


def _seen(task: asyncio.Task[FetchedRepository]) -> None:
    if not task.cancelled():
        task.exception()
