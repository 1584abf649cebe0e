"""What a page of a list takes, by how far into the list it is.

    python -m tests.bench.lists [--postgres] [--events 1000000] [--sessions 100000]
                                [--others 20000] [--requests 61]

Fills a database (SQLite, or a PostgreSQL server of its own) with copies of what the API made and
asks a server for the first page of each list, one in the middle and the last full one, by turns.
Prints medians of the whole request, and what the other two take over the first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from freehold.core import cursors, times
from freehold.core.cursors import Cursor
from tests import postgres
from tests.bench.common import freehold, http
from tests.support.crowd import Crowd, Scene, id_of, moment, stage
from tests.support.running import serve

LOG = 3
"""The number of the session with all the events."""
MEMORY = {"anthropic-beta": "agent-memory-2026-07-22"}


@dataclass(frozen=True)
class Case:
    """A list with some of its filters."""

    path: str
    rows: int
    query: dict[str, Any] = field(default_factory=dict)
    cursor: str = ""
    """The name of the list in its cursors."""
    prefix: str = ""
    """Of its rows' ids."""
    owner: str | None = None
    ascending: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def page(self, number: int) -> str:
        """The cursor of the place after a copy."""
        order: cursors.Order = "asc" if self.ascending else "desc"
        if self.cursor == "session_events":
            key: tuple[int | str, ...] = (number, "", str(self.owner))
            return cursors.encode(Cursor(self.cursor, order, "next", key))
        if self.cursor == "agent_versions":
            return cursors.encode(Cursor(self.cursor, order, "next", (number, str(self.owner))))
        name = self.cursor if self.owner is None else f"{self.cursor}:{self.owner}"
        key = (moment(number), id_of(self.prefix, number))
        return cursors.encode(Cursor(name, order, "next", key))


def cases(scene: Scene, events: int, sessions: int, others: int) -> Iterator[Case]:
    """The lists, and the filters of which each has an index or a walk of its own."""
    log = id_of("sesn", LOG)
    path = f"/v1/sessions/{log}/events"
    for query in (
        {},
        {"types[]": ["agent.message"]},
        {"types[]": ["session.status_rescheduled"]},
        {"types[]": ["session.status_rescheduled", "user.message"]},
        {"created_at[gte]": times.render(times.from_micros(moment(0)))},
        {"created_at[lt]": times.render(times.from_micros(moment(events * 2)))},
    ):
        yield Case(path, events, query, "session_events", owner=log, ascending=True)
    yield Case(path, events, {"order": "desc"}, "session_events", owner=log)
    agent = {"agent_id": scene.agent}
    for query in (
        {},
        {"include_archived": "true"},
        {"statuses[]": ["running"]},
        {"statuses[]": ["idle", "terminated"]},
        {"statuses[]": ["terminated"], "include_archived": "true"},
        agent,
        {**agent, "agent_version": 2},
        {**agent, "statuses[]": ["rescheduling"]},
        {"deployment_id": scene.deployment},
        {"memory_store_id": scene.memory_store},
        {"created_at[gte]": "2026-01-01T00:00:00Z", "created_at[lte]": "2099-01-01T00:00:00Z"},
    ):
        yield Case("/v1/sessions", sessions, query, "sessions", "sesn")
    yield Case("/v1/sessions", sessions, {"order": "asc"}, "sessions", "sesn", ascending=True)
    archived = {"include_archived": "true"}
    for name, prefix in (("agents", "agent"), ("environments", "env"), ("vaults", "vlt")):
        yield Case(f"/v1/{name}", others, {}, name, prefix)
        yield Case(f"/v1/{name}", others, archived, name, prefix)
    yield Case(
        f"/v1/agents/{scene.agent}/versions", others, {}, "agent_versions", owner=scene.agent
    )
    work = f"/v1/environments/{scene.self_hosted}/work"
    yield Case(work, others, {}, "work", "work", scene.self_hosted)
    credentials = f"/v1/vaults/{scene.vault}/credentials"
    yield Case(credentials, others, {}, "credentials", "vcrd", scene.vault)
    yield Case("/v1/memory_stores", others, {}, "memory_stores", "memstore", headers=MEMORY)
    store = f"/v1/memory_stores/{scene.memory_store}"
    yield Case(
        f"{store}/memories", 2_000, {}, "memories", "mem", scene.memory_store, headers=MEMORY
    )
    for query in ({}, {"operation": "deleted"}, {"session_id": "sesn_writer"}):
        yield Case(
            f"{store}/memory_versions", others, query, "memory_versions", "memver",
            scene.memory_store, headers=MEMORY,
        )  # fmt: skip
    yield Case("/v1/files", others, {}, "files", "file")
    yield Case("/v1/skills", others, {"source": "custom"}, "skills", "skill")
    yield Case(
        f"/v1/skills/{scene.skill}/versions", others, {}, "skill_versions", "skver", scene.skill
    )
    for query in ({}, {"status": "paused"}, agent, archived):
        yield Case("/v1/deployments", others, query, "deployments", "depl")
    for query in (
        {},
        {"has_error": "true"},
        {"deployment_id": scene.deployment},
        {"deployment_id": scene.deployment, "trigger_type": "manual", "has_error": "true"},
    ):
        yield Case("/v1/deployment_runs", others, query, "deployment_runs", "drun")


def fill(crowd: Crowd, scene: Scene, events: int, sessions: int, others: int) -> None:
    crowd.sessions(scene, 1, sessions)
    crowd.stores_of_sessions(scene, 1, sessions)
    crowd.events(id_of("sesn", LOG), 1, events)
    for make in (
        crowd.agents, crowd.environments, crowd.work, crowd.vaults, crowd.credentials,
        crowd.memory_stores, crowd.memory_versions, crowd.files, crowd.session_files,
        crowd.skills, crowd.skill_versions, crowd.deployments, crowd.deployment_runs,
    ):  # fmt: skip
        make(scene, 1, others)
    crowd.agent_versions(scene, 2, others)
    crowd.memories(scene, 1, 2_000)
    if crowd.engine.dialect.name == "postgresql":  # as its own upkeep would do
        crowd.execute(sa.text("ANALYZE"))


async def measure(client: httpx2.AsyncClient, case: Case, requests: int) -> str:
    async def get(page: str | None) -> tuple[float, int]:
        query = case.query if page is None else {**case.query, "page": page}
        begun = time.perf_counter()
        answer = await client.get(case.path, params=query, headers=case.headers)
        took = time.perf_counter() - begun
        answer.raise_for_status()
        return took, len(answer.json()["data"])

    _, full = await get(None)
    places: list[str | None] = [None, case.page(case.rows // 2)]
    distance = 16
    while distance < case.rows:  # the last page that is full
        number = case.rows - distance if case.ascending else distance
        page = case.page(number)
        if (await get(page))[1] == full:
            places.append(page)
            break
        distance = distance * 5 // 4
    took: list[list[float]] = [[] for _ in places]
    for _ in range(requests):
        for place, seconds in zip(places, took, strict=True):
            seconds.append((await get(place))[0])
    medians = [statistics.median(seconds) * 1e3 for seconds in took]
    first = medians[0]
    ratios = " ".join(f"| {median:6.2f} ms | {median / first:4.2f}" for median in medians[1:])
    said = ", ".join(f"{name}={_short(value)}" for name, value in case.query.items())
    path = "/".join(part for part in case.path.split("/")[2:] if "_01" not in part)
    return f"| {path} {said} ({full}) | {first:6.2f} ms {ratios} |"


def _short(value: Any) -> str:
    text = ",".join(value) if isinstance(value, list) else str(value)
    return "…" if "_01" in text or "T00:00" in text else text


@contextlib.contextmanager
def database(folder: Path, *, on_postgres: bool) -> Iterator[str]:
    """A database's URL."""
    if on_postgres:
        with postgres.throwaway() as url:
            yield url.render_as_string(hide_password=False)
    else:
        yield f"sqlite+aiosqlite:///{folder / 'lists.db'}"


async def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--others", type=int, default=20_000)
    parser.add_argument("--requests", type=int, default=61)
    options = parser.parse_args()
    sizes = (options.events, options.sessions, options.others)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as held:
        url = held.enter_context(database(Path(folder), on_postgres=options.postgres))
        crowd = Crowd(url)
        with serve(Path(folder) / "data", database_url=url) as served, served.client() as sdk:
            scene = stage(sdk, crowd)
        begun = time.perf_counter()
        fill(crowd, scene, *sizes)
        crowd.close()
        print(f"filled in {time.perf_counter() - begun:.0f} s", flush=True)
        running = held.enter_context(freehold(Path(folder) / "data", FREEHOLD_DATABASE_URL=url))
        print(
            "| list (rows of a page) | first | middle | | last | |\n"
            "| --- | --- | --- | --- | --- | --- |"
        )
        async with http(running[0], connections=1) as client:
            for case in cases(scene, *sizes):
                print(await measure(client, case, options.requests), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
