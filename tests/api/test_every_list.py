"""Every list of the API over more than 250 rows, while others come and go.

A table says of each list where its rows are, in what order they come and what its filters mean;
:mod:`tests.support.crowd` makes the rows. What the official SDK's auto-pager finds is compared
with what that model says.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
import sqlalchemy as sa
from anthropic import Anthropic

from freehold.core import limits, times
from freehold.store import tables
from tests.api.test_keys import Issuer
from tests.support.crowd import Crowd, Scene, id_of, moment, stage
from tests.support.running import BETA, Served, serve

FIRST, COUNT = 1_000, 260
NEWER, OLDER = 5_000, 100
"""Numbers of the copies that come meanwhile: at both ends of what is there already."""
PAGE = 37
QUERIES = 8
"""How many combinations of each list's filters are tried."""

Row = Mapping[str, Any]
Query = dict[str, Any]


@dataclass(frozen=True)
class Hall:
    """A server with a crowd in its database."""

    served: Served
    sdk: Anthropic
    crowd: Crowd
    scene: Scene

    def call(self, of: List) -> Callable[..., Any]:
        """The SDK's method, its path's parameters given."""
        method: Any = self.sdk if of.stable else self.sdk.beta
        for name in of.name.split("."):
            method = getattr(method, name)
        arguments = of.of(self.scene)
        return lambda **query: method(*arguments, **of.betas, **query)

    def rows(self, of: List) -> list[Row]:
        """All that the list is of, in its order; the filters are still to come."""
        found = [row for row in self.crowd.rows(of.table) if of.mine(self.scene, row)]
        return sorted(found, key=of.key, reverse=of.descending)


def _any(_: Scene, __: Row) -> bool:
    return True


def _by_time(row: Row) -> Any:
    return row["created_at"], row["id"]


def _created(row: Row, query: Query) -> bool:
    at = row["created_at"]
    bounds: list[tuple[str, Callable[[datetime], bool]]] = [
        ("created_at_gt", lambda bound: at > bound),
        ("created_at_gte", lambda bound: at >= bound),
        ("created_at_lt", lambda bound: at < bound),
        ("created_at_lte", lambda bound: at <= bound),
    ]
    return all(name not in query or holds(query[name]) for name, holds in bounds)


def _live(row: Row, query: Query) -> bool:
    return bool(query.get("include_archived")) or row["archived_at"] is None


def _plain(_: Scene, row: Row, query: Query) -> bool:
    return _created(row, query)


def _archivable(_: Scene, row: Row, query: Query) -> bool:
    return _created(row, query) and _live(row, query)


def _session(scene: Scene, row: Row, query: Query) -> bool:
    if row["deleted_at"] is not None:
        return False
    statuses = query.get("statuses")
    if not statuses and not query.get("include_archived") and row["status"] == "terminated":
        return False
    return (
        _archivable(scene, row, query)
        and (not statuses or row["status"] in statuses)
        and all(
            query.get(name) in (None, row[name])
            for name in ("agent_id", "agent_version", "deployment_id")
        )
    )


def _memory(_: Scene, row: Row, query: Query) -> bool:
    return bool(row["path"].startswith(query.get("path_prefix", "/")))


def _version(_: Scene, row: Row, query: Query) -> bool:
    authors = {
        ("session_actor", query.get("session_id")),
        ("api_actor", query.get("api_key_id")),
    }
    named = {author for author in authors if author[1] is not None}
    return (
        _created(row, query)
        and query.get("memory_id") in (None, row["memory_id"])
        and query.get("operation") in (None, row["operation"])
        and all(author == (row["created_by_type"], row["created_by_id"]) for author in named)
    )


def _event(_: Scene, row: Row, query: Query) -> bool:
    return (
        row["public"]
        and (not query.get("types") or row["type"] in query["types"])
        and _created({"created_at": row["processed_at"]}, query)
    )


def _deployment(scene: Scene, row: Row, query: Query) -> bool:
    status = "active" if row["paused"] is None else "paused"
    return (
        _archivable(scene, row, query)
        and query.get("agent_id") in (None, row["agent_id"])
        and query.get("status") in (None, status)
    )


def _run(_: Scene, row: Row, query: Query) -> bool:
    trigger = "manual" if row["scheduled_at"] is None else "schedule"
    return (
        _created(row, query)
        and query.get("deployment_id") in (None, row["deployment_id"])
        and query.get("trigger_type") in (None, trigger)
        and query.get("has_error") in (None, row["session_id"] is None)
    )


def _dream(scene: Scene, row: Row, query: Query) -> bool:
    statuses = query.get("statuses")
    return _archivable(scene, row, query) and (not statuses or row["status"] in statuses)


def _profile(_: Scene, __: Row, query: Query) -> bool:
    asked = query.get("enforcement_status")
    return not asked or "unrestricted" in asked


def _workspace(scene: Scene, row: Row, query: Query) -> bool:
    default = row["id"].endswith("1" * 22)
    return _live(row, query) and (bool(query.get("include_default")) or not default)


@dataclass(frozen=True)
class List:
    """A list, and what is to be known of it."""

    name: str
    """The SDK's method, below ``client.beta`` unless it is ``stable``."""
    path: str
    table: sa.Table
    make: Callable[[Crowd, Scene, int, int], None]
    most: int
    default: int = limits.PAGE_DEFAULT
    of: Callable[[Scene], tuple[str, ...]] = lambda _: ()
    mine: Callable[[Scene, Row], bool] = _any
    key: Callable[[Row], Any] = _by_time
    descending: bool = True
    id: Callable[[Row], str] = lambda row: row["id"]
    shown: Callable[[Any], Any] = lambda item: item.id
    """What tells one of the SDK's items from another."""
    filters: Callable[[Scene], Mapping[str, Sequence[Any]]] = lambda _: {}
    match: Callable[[Scene, Row, Query], bool] = _plain
    backwards: str | None = None
    """``prev_page`` or ``before_id``."""
    by_id: bool = False
    """Whether rows are the cursors."""
    extra: Query = field(default_factory=dict)
    betas: Query = field(default_factory=dict)
    stable: bool = False


def at(number: int) -> datetime:
    return times.from_micros(moment(FIRST + number))


ARCHIVED = {"include_archived": (None, True)}
OUTER = {"created_at_gte": (None, at(59)), "created_at_lte": (None, at(180), at(8))}
ANY_TIME = {
    "created_at_gt": (None, at(59)),
    "created_at_gte": (None, at(80)),
    "created_at_lt": (None, at(200)),
    "created_at_lte": (None, at(199), at(90)),
}
LOG = id_of("sesn", FIRST + 3)
EVENTS = [
    "agent.message", "agent.thinking", "user.message", "session.status_rescheduled",
]  # fmt: skip


def _events(crowd: Crowd, scene: Scene, first: int, count: int) -> None:
    # A log grows at its end alone, without gaps.
    head = crowd.scalar(sa.select(tables.sessions.c.head_seq).where(tables.sessions.c.id == LOG))
    crowd.events(LOG, int(head) + 1, count)


def _event_list(name: str, path: str, of: Callable[[Scene], tuple[str, ...]]) -> List:
    return List(
        name,
        path,
        tables.session_events,
        _events,
        limits.EVENTS_PAGE_MAX,
        limits.EVENTS_PAGE_DEFAULT,
        of=of,
        mine=lambda _, row: row["session_id"] == LOG,
        key=lambda row: row["seq"],
        descending=False,
        filters=lambda _: {
            "types": (None, EVENTS[:1], EVENTS[2:], EVENTS),
            "order": (None, "desc"),
            "created_at_gt": (None, _processed(40)),
            "created_at_gte": (None, _processed(60)),
            "created_at_lt": (None, _processed(200)),
            "created_at_lte": (None, _processed(210), _processed(30)),
        },
        match=_event,
    )


def _processed(seq: int) -> datetime:
    return times.from_micros(moment(0) + seq * 1_000_000)


ENFORCEMENT = {"enforcement_status": (None, ["banned"], ["banned", "unrestricted"])}


def _profiles(**more: Any) -> List:
    return List(
        "user_profiles.list",
        "/v1/user_profiles",
        tables.user_profiles,
        Crowd.profiles,
        limits.PAGE_MAX,
        match=_profile,
        stable=True,
        **more,
    )


LISTS = [
    List(
        "agents.list", "/v1/agents", tables.agents, Crowd.agents, limits.PAGE_MAX,
        filters=lambda _: {**ARCHIVED, **OUTER}, match=_archivable,
    ),
    List(
        "agents.versions.list", "/v1/agents/{agent_id}/versions", tables.agent_versions,
        Crowd.agent_versions, limits.PAGE_MAX,
        of=lambda scene: (scene.agent,),
        mine=lambda scene, row: row["agent_id"] == scene.agent,
        key=lambda row: row["version"], id=lambda row: row["version"],
        shown=lambda item: item.version, match=lambda *_: True,
    ),
    List(
        "environments.list", "/v1/environments", tables.environments, Crowd.environments,
        limits.ENVIRONMENTS_PAGE_MAX, filters=lambda _: ARCHIVED, match=_archivable,
    ),
    List(
        "environments.work.list", "/v1/environments/{environment_id}/work", tables.work,
        Crowd.work, limits.WORK_PAGE_MAX,
        of=lambda scene: (scene.self_hosted,),
        mine=lambda scene, row: row["environment_id"] == scene.self_hosted,
    ),
    List(
        "sessions.list", "/v1/sessions", tables.sessions, Crowd.sessions, limits.PAGE_MAX,
        filters=lambda scene: {
            **ARCHIVED, **ANY_TIME,
            "agent_id": (None, scene.agent, scene.other_agent),
            "agent_version": (None, 1, 2),
            "deployment_id": (None, scene.deployment),
            "memory_store_id": (None, scene.memory_store),
            "statuses": (None, ["running"], ["idle", "terminated"], ["rescheduling", "running"]),
            "order": (None, "asc"),
        },
        match=_session, backwards="prev_page",
    ),
    _event_list(
        "sessions.events.list", "/v1/sessions/{session_id}/events", lambda _: (LOG,)
    ),
    List(
        "sessions.resources.list", "/v1/sessions/{session_id}/resources",
        tables.session_resources, Crowd.resources, limits.RESOURCES_PAGE_MAX, 10_000,
        of=lambda scene: (scene.session,),
        mine=lambda scene, row: row["session_id"] == scene.session,
        key=lambda row: row["position"], descending=False,
        id=lambda row: "memory_store" if row["type"] == "memory_store" else row["id"],
        shown=lambda item: "memory_store" if item.type == "memory_store" else item.id,
    ),
    List(
        "vaults.list", "/v1/vaults", tables.vaults, Crowd.vaults, limits.PAGE_MAX,
        filters=lambda _: ARCHIVED, match=_archivable,
    ),
    List(
        "vaults.credentials.list", "/v1/vaults/{vault_id}/credentials",
        tables.vault_credentials, Crowd.credentials, limits.PAGE_MAX,
        of=lambda scene: (scene.vault,), filters=lambda _: ARCHIVED, match=_archivable,
    ),
    List(
        "memory_stores.list", "/v1/memory_stores", tables.memory_stores, Crowd.memory_stores,
        limits.PAGE_MAX, filters=lambda _: {**ARCHIVED, **OUTER}, match=_archivable,
    ),
    List(
        "memory_stores.memories.list", "/v1/memory_stores/{memory_store_id}/memories",
        tables.memories, Crowd.memories, limits.PAGE_MAX,
        of=lambda scene: (scene.memory_store,),
        filters=lambda _: {
            "path_prefix": (None, "/a/", "/a/b c/", "/none/"), "view": (None, "full"),
        },
        match=_memory,
    ),
    List(
        "memory_stores.memory_versions.list",
        "/v1/memory_stores/{memory_store_id}/memory_versions",
        tables.memory_versions, Crowd.memory_versions, limits.PAGE_MAX,
        of=lambda scene: (scene.memory_store,),
        filters=lambda scene: {
            **OUTER,
            "memory_id": (None, scene.memory),
            "session_id": (None, "sesn_writer"),
            "api_key_id": (None, "apikey_writer"),
            "operation": (None, "created", "deleted"),
            "view": (None, "full"),
        },
        match=_version,
    ),
    List(
        "files.list", "/v1/files", tables.files, Crowd.files, limits.FILES_PAGE_MAX,
        mine=lambda _, row: row["scope_id"] is None,
    ),
    List(
        "files.list", "/v1/files", tables.files, Crowd.session_files, limits.FILES_PAGE_MAX,
        mine=lambda scene, row: row["scope_id"] == scene.session,
        filters=lambda scene: {"scope_id": (scene.session,)},
        extra={"scope_id": "session"}, betas={"betas": ["managed-agents-2026-04-01"]},
    ),
    List(
        "skills.list", "/v1/skills", tables.skills, Crowd.skills, limits.SKILLS_PAGE_MAX,
        filters=lambda _: {"source": ("custom",)}, extra={"source": "custom"},
    ),
    List(
        "skills.versions.list", "/v1/skills/{skill_id}/versions", tables.skill_versions,
        Crowd.skill_versions, limits.SKILLS_PAGE_MAX, of=lambda scene: (scene.skill,),
    ),
    List(
        "deployments.list", "/v1/deployments", tables.deployments, Crowd.deployments,
        limits.PAGE_MAX,
        filters=lambda scene: {
            **OUTER,
            "agent_id": (None, scene.agent, scene.other_agent),
            "status": (None, "active", "paused"),
            **ARCHIVED,
        },
        match=_deployment,
    ),
    List(
        "deployment_runs.list", "/v1/deployment_runs", tables.deployment_runs,
        Crowd.deployment_runs, limits.RUNS_PAGE_MAX,
        filters=lambda scene: {
            **ANY_TIME,
            "deployment_id": (None, scene.deployment, scene.other_deployment),
            "trigger_type": (None, "manual", "schedule"),
            "has_error": (None, True, False),
        },
        match=_run,
    ),
    List(
        "dreams.list", "/v1/dreams", tables.dreams, Crowd.dreams, limits.PAGE_MAX,
        filters=lambda _: {
            **ARCHIVED,
            "created_at_gt": (None, at(59)),
            "created_at_lt": (None, at(200), at(90)),
            "statuses": (
                None, ["completed"], ["pending", "running"], ["failed", "canceled", "failed"],
            ),
        },
        match=_dream,
    ),
    _profiles(filters=lambda _: {
        **ENFORCEMENT, "order": (None, "asc"), "order_by": (None, "created_at"),
    }),
    # Those without a name come last in either order.
    _profiles(
        filters=lambda _: {**ENFORCEMENT, "order_by": ("name",)},
        key=lambda row: (row["name"] is not None, row["name_key"] or b"", row["id"]),
        extra={"order_by": "name"},
    ),
    _profiles(
        filters=lambda _: {**ENFORCEMENT, "order_by": ("name",), "order": ("asc",)},
        key=lambda row: (row["name"] is None, row["name_key"] or b"", row["id"]),
        descending=False, extra={"order_by": "name", "order": "asc"},
    ),
    List(
        "tunnels.list", "/v1/tunnels", tables.tunnels, Crowd.tunnels, limits.TUNNELS_PAGE_MAX,
        filters=lambda _: ARCHIVED, match=_archivable,
    ),
    List(
        "tunnels.certificates.list", "/v1/tunnels/{tunnel_id}/certificates",
        tables.tunnel_certificates, Crowd.certificates, limits.TUNNELS_PAGE_MAX,
        of=lambda scene: (scene.tunnel,), filters=lambda _: ARCHIVED, match=_archivable,
    ),
    List(
        "organization.webhooks.list", "/v1/organizations/webhooks", tables.webhook_endpoints,
        Crowd.webhooks, limits.WEBHOOKS_PAGE_MAX, by_id=True,
        filters=lambda _: {"order": (None, "asc")},
    ),
    List(
        "organization.workspaces.list", "/v1/organizations/workspaces", tables.workspaces,
        Crowd.workspaces, limits.ORGANIZATION_PAGE_MAX,
        filters=lambda _: {**ARCHIVED, "include_default": (None, True)},
        match=_workspace, backwards="before_id", by_id=True,
    ),
]  # fmt: skip
ELSEWHERE = {
    "/v1/models",  # no rows: the catalogue, below
    "/v1/organizations/api_keys",  # keys close the server, so it has one of its own, below
    "/v1/sessions/{session_id}/threads",  # the primary one: this version has no others
    "/v1/sessions/{session_id}/threads/{thread_id}/events",  # the session's own events, below
    "/v1/sessions/{session_id}/events",
}


def _name(of: List) -> str:
    return of.name + "".join(f"-{name}" for name in of.extra)


every_list = pytest.mark.parametrize("of", LISTS, ids=_name)


@pytest.fixture(scope="module")
def hall(sqlite_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    """A server whose lists have 260 rows each."""
    with opened(sqlite_url, tmp_path_factory.mktemp("lists") / "data") as made:
        yield made


@contextlib.contextmanager
def opened(database_url: str, folder: Path) -> Iterator[Hall]:
    """A server whose lists have 260 rows each, on a database of its own."""
    crowd = Crowd(database_url)
    with (
        serve(folder, database_url=database_url) as served,
        served.client() as sdk,
    ):
        scene = stage(sdk, crowd)
        for make in dict.fromkeys(of.make for of in LISTS):
            if make is not _events:
                make(crowd, scene, 2 if make is Crowd.agent_versions else FIRST, COUNT)
        crowd.stores_of_sessions(scene, FIRST, COUNT * 2 // 3)
        crowd.events(LOG, 1, COUNT)
        yield Hall(served, sdk, crowd, scene)
    crowd.close()


def queries(of: List, scene: Scene) -> list[Query]:
    """Some of the combinations of a list's filters, none among them."""
    options = of.filters(scene)
    combinations = [
        {name: value for name, value in zip(options, values, strict=True) if value is not None}
        for values in itertools.product(*options.values())
    ]
    combinations = [
        query
        for query in combinations
        if not ("agent_version" in query and "agent_id" not in query)
        and not ("status" in query and "include_archived" in query)
    ]
    chosen = random.Random(_name(of)).sample(combinations, min(QUERIES, len(combinations)))
    return [combinations[0], *(query for query in chosen if query != combinations[0])]


def base_query(of: List, scene: Scene) -> Query:
    return {"scope_id": scene.session} if "scope_id" in of.extra else dict(of.extra)


@every_list
def test_filters(hall: Hall, of: List) -> None:
    rows = hall.rows(of)
    found_some = 0
    for query in queries(of, hall.scene):
        expected = [of.id(row) for row in rows if of.match(hall.scene, row, query)]
        if "memory_store_id" in query:
            theirs = _with_store(hall)
            expected = [one for one in expected if one in theirs]
        if query.get("order") in ("desc" if not of.descending else "asc",):
            expected.reverse()
        found = [of.shown(item) for item in hall.call(of)(**query, limit=of.most)]
        assert found == expected, query
        found_some += bool(expected)
    assert found_some > 0


def _with_store(hall: Hall) -> set[str]:
    table = tables.session_resources
    rows = hall.crowd.rows(table, table.c.memory_store_id == hall.scene.memory_store)
    return {row["session_id"] for row in rows}


@dataclass
class Walk:
    """A walk through a list while others change it."""

    hall: Hall
    of: List
    query: Query
    known: dict[Any, Any] = field(default_factory=dict)
    """The sort keys of all rows that have ever been there."""

    def listed(self) -> set[Any]:
        rows = self.hall.rows(self.of)
        self.known |= {self.of.id(row): self.of.key(row) for row in rows}
        matching = self.query | {"include_archived": self.query.get("include_archived")}
        return {self.of.id(row) for row in rows if self.of.match(self.hall.scene, row, matching)}

    def disturb(self, page: int, beside: Sequence[Any]) -> None:
        """Rows come at both ends; the page's last one goes, and one far from it."""
        crowd, of = self.hall.crowd, self.of
        if of.make is _events:
            of.make(crowd, self.hall.scene, 0, 3)
            return
        if of.make is not Crowd.agent_versions:
            of.make(crowd, self.hall.scene, next(_older), 1)
        newer = next(_newer) if of.make is not Crowd.agent_versions else next(_version_numbers)
        of.make(crowd, self.hall.scene, newer, 1)
        if of.make in (Crowd.agent_versions, Crowd.workspaces):
            return  # nothing that goes
        gone = [one for one in (beside[-1], beside[len(beside) // 2]) if one in self.known]
        for one in gone:
            if "archived_at" in of.table.columns and page % 2:
                change: Any = sa.update(of.table).values(archived_at=at(0))
            else:
                change = sa.delete(of.table)
            crowd.execute(change.where(of.table.c.id == one))


_newer, _older = itertools.count(NEWER), itertools.count(OLDER)
_version_numbers = itertools.count(COUNT + 2)


def _check(walk: Walk, seen: list[Any], before: set[Any], *, descending: bool) -> None:
    after = walk.listed()
    assert len(seen) == len(set(seen)), "no row twice"
    assert (before & after) - set(seen) == set(), "no row lost that was there all the time"
    assert set(seen) <= set(walk.known), "no other row"
    keys = [walk.known[one] for one in seen]
    assert keys == sorted(keys, reverse=descending), "in order"


@every_list
def test_pages_while_rows_come_and_go(hall: Hall, of: List) -> None:
    query = base_query(of, hall.scene)
    walk = Walk(hall, of, query)
    before = walk.listed()
    seen: list[Any] = []
    pages = 0
    for page in hall.call(of)(**query, limit=PAGE).iter_pages():
        shown = [of.shown(item) for item in page.data]
        assert shown, "no page is empty"
        seen += shown
        walk.listed()
        # The one that the next page begins at has to stay, where it is named by its id.
        walk.disturb(pages, shown[:-1] or [None] if of.by_id else shown)
        pages += 1
    assert pages > 4
    _check(walk, seen, before, descending=of.descending)


@pytest.mark.parametrize("of", [of for of in LISTS if of.backwards], ids=_name)
def test_pages_backwards_while_rows_come_and_go(hall: Hall, of: List) -> None:
    query = base_query(of, hall.scene)
    call = hall.call(of)
    walk = Walk(hall, of, query)
    *_, last = call(**query, limit=PAGE).iter_pages()
    before = walk.listed() - {of.shown(item) for item in last.data}
    seen: list[Any] = []
    pages = 0
    page = last
    while True:
        if of.backwards == "prev_page":
            if page.prev_page is None:
                break
            page = call(**query, limit=PAGE, page=page.prev_page)
        else:
            page = call(**query, limit=PAGE, before_id=page.first_id)
            if not page.data:
                break
        shown = [of.shown(item) for item in page.data]
        seen = shown + seen
        walk.listed()
        # Never the first: `before_id` names it, so it has to be there.
        walk.disturb(pages, shown[1:] or [None])
        pages += 1
        if of.backwards == "before_id" and not page.has_more:
            break
    assert pages > 4
    _check(walk, seen, before, descending=of.descending)


@every_list
def test_limits_and_cursors(hall: Hall, of: List) -> None:
    call = hall.call(of)
    query = base_query(of, hall.scene)
    count = sum(of.match(hall.scene, row, query) for row in hall.rows(of))
    assert len(call(**query).data) == min(of.default, count)
    assert len(call(**query, limit=of.most).data) == min(of.most, count)
    assert len(call(**query, limit=1).data) == 1
    least = -1 if of.name == "organization.webhooks.list" else 0  # where 0 means the default
    for wrong in (least, of.most + 1):
        with pytest.raises(anthropic.BadRequestError, match="limit"):
            call(**query, limit=wrong)
    if of.by_id:
        with pytest.raises(anthropic.APIStatusError):
            call(**query, after_id="nothing")
        return
    others = {
        "agents": hall.sdk.beta.agents.list(limit=1).next_page,
        "vaults": hall.sdk.beta.vaults.list(limit=1).next_page,
    }
    mine = call(**query, limit=1).next_page
    strangers = [cursor for name, cursor in others.items() if of.name != f"{name}.list"]
    broken = mine[:-2] + ("AA" if not mine.endswith("AA") else "BB")
    for cursor in (*strangers, broken, mine + "x", "page_", "x"):
        with pytest.raises(anthropic.BadRequestError, match="page: invalid or expired page cursor"):
            call(**query, page=cursor)


def test_a_cursor_is_for_one_order(hall: Hall) -> None:
    sessions, events = hall.sdk.beta.sessions, hall.sdk.beta.sessions.events
    with pytest.raises(anthropic.BadRequestError, match="issued for another `order`"):
        sessions.list(page=sessions.list(limit=1).next_page or "", order="asc")
    with pytest.raises(anthropic.BadRequestError, match="issued for another `order`"):
        events.list(LOG, page=events.list(LOG, limit=1).next_page or "", order="desc")


def test_a_cursor_is_within_the_times_asked_for(hall: Hall) -> None:
    sessions = hall.sdk.beta.sessions
    page = sessions.list(limit=1, created_at_gte=at(100), created_at_lte=at(150))
    assert page.next_page is not None
    sessions.list(page=page.next_page, created_at_gte=at(0))
    for other in (
        {"created_at_gt": at(170)},
        {"created_at_gte": at(171)},
        {"created_at_lt": at(90)},
        {"created_at_lte": at(90)},
    ):
        with pytest.raises(anthropic.BadRequestError, match="outside the `created_at` filter"):
            sessions.list(page=page.next_page, **other)


@pytest.mark.parametrize("of", [of for of in LISTS if "{" in of.path], ids=lambda of: str(of.name))
def test_a_cursor_is_for_the_list_of_one_owner(hall: Hall, of: List) -> None:
    method: Any = hall.sdk.beta
    for name in of.name.split("."):
        method = getattr(method, name)
    beta = hall.sdk.beta
    others = {
        "agents.versions.list": hall.scene.other_agent,
        "vaults.credentials.list": id_of("vlt", FIRST),
        "memory_stores.memories.list": id_of("memstore", FIRST),
        "memory_stores.memory_versions.list": id_of("memstore", FIRST),
        "sessions.events.list": hall.scene.session,
        "sessions.resources.list": id_of("sesn", FIRST + 3),
        "skills.versions.list": id_of("skill", FIRST),
        "tunnels.certificates.list": id_of("tnl", FIRST),
    }
    if of.name == "environments.work.list":
        other = beta.environments.create(name="other", config={"type": "self_hosted"}).id
    else:
        other = others[of.name]
    cursor = hall.call(of)(limit=1).next_page
    with pytest.raises(anthropic.BadRequestError, match="page: invalid or expired page cursor"):
        method(other, page=cursor)


def test_threads_and_their_events(hall: Hall) -> None:
    threads = hall.sdk.beta.sessions.threads
    (thread,) = threads.list(LOG)
    for status in ("idle", "terminated", "running"):
        found = [one.id for one in threads.list(LOG, statuses=[status])]
        assert found == ([thread.id] if thread.status == status else [])
    for wrong in (0, limits.THREADS_PAGE_MAX + 1):
        with pytest.raises(anthropic.BadRequestError, match="limit"):
            threads.list(LOG, limit=wrong)
    of_thread = [event.id for event in threads.events.list(thread.id, session_id=LOG, limit=PAGE)]
    assert of_thread == [event.id for event in hall.sdk.beta.sessions.events.list(LOG)]
    assert len(of_thread) > 200


def test_folders_come_first_and_all_of_them(hall: Hall) -> None:
    memories = hall.sdk.beta.memory_stores.memories
    for limit in (1, 2, PAGE, 100):
        found = list(memories.list(hall.scene.memory_store, depth=1, limit=limit))
        folders = [item.path for item in found if item.type == "memory_prefix"]
        assert folders == ["/a/"]
        assert found[0].type == "memory_prefix"
        rows = [row for row in hall.crowd.rows(tables.memories) if row["folder"] == "/"]
        rows.sort(key=_by_time, reverse=True)
        assert [item.path for item in found[1:]] == [row["path"] for row in rows]


def test_files_by_name_and_before_there_were_cursors(hall: Hall) -> None:
    files = hall.sdk.beta.files
    ids = [id_of("file", FIRST + number) for number in (7, 30, 9, 7)]
    there = {row["id"] for row in hall.crowd.rows(tables.files)}
    assert {file.id for file in files.list(ids=ids)} == set(ids) & there
    with pytest.raises(anthropic.BadRequestError, match="at most 100 items"):
        files.list(ids=[id_of("file", number) for number in range(101)])
    rows = [row for row in hall.crowd.rows(tables.files) if row["scope_id"] is None]
    expected = [row["id"] for row in sorted(rows, key=_by_time, reverse=True)]
    headers = {**BETA, "anthropic-beta": "files-api-2025-04-14"}
    with httpx.Client(base_url=hall.served.url, headers=headers, timeout=60) as client:
        for name, end in (("after_id", "last_id"), ("before_id", "first_id")):
            seen: list[str] = []
            query: Query = {"limit": 50}
            if name == "before_id":
                query[name] = expected[-1]
            while True:
                page = client.get("/v1/files", params=query).json()
                got = [file["id"] for file in page["data"]]
                seen = seen + got if name == "after_id" else got + seen
                if not page["has_more"]:
                    break
                query[name] = page[end]
            assert seen == (expected if name == "after_id" else expected[:-1])


def test_models_both_ways(hall: Hall) -> None:
    models = hall.sdk.beta.models
    every = [model.id for model in models.list(limit=limits.MODELS_PAGE_MAX)]
    assert [model.id for model in models.list(limit=2)] == every
    assert len(every) > 5
    back = [
        model.id for model in models.list(limit=2, before_id=every[-1]).iter_pages().__next__().data
    ]
    assert back == every[-3:-1]
    for wrong in (0, limits.MODELS_PAGE_MAX + 1):
        with pytest.raises(anthropic.BadRequestError, match="limit"):
            models.list(limit=wrong)


def test_keys_both_ways(tmp_path: Path) -> None:
    """On a server of its own: keys that were issued close it."""
    folder = tmp_path / "data"
    with serve(folder, api_keys="configured") as served:
        key = Issuer(folder).create("--admin", "--name", "boss")
        crowd = Crowd(str(served.app.state.services.database.url))
        (boss,) = crowd.rows(tables.api_keys)
        crowd.keys(boss["id"], FIRST, COUNT)
        with Anthropic(base_url=served.url, api_key=key, max_retries=0) as sdk:
            list_keys = sdk.beta.organization.api_keys.list
            table = tables.api_keys
            rows = sorted(crowd.rows(table), key=_by_time, reverse=True)
            past, workspaces = at(COUNT), {row["workspace_id"] for row in rows}
            for status, workspace in itertools.product(
                (None, "active", "inactive", "archived", "expired"), workspaces
            ):
                query: Query = {"limit": PAGE}
                query |= {} if status is None else {"status": status}
                query |= {} if workspace is None else {"workspace_id": workspace}
                expected = [
                    row["id"]
                    for row in rows
                    if status in (None, _key_status(row, past))
                    and workspace in (None, row["workspace_id"])
                ]
                assert [found.id for found in list_keys(**query)] == expected
                assert expected
            ids = [row["id"] for row in rows]
            back: list[str] = []
            for page in list_keys(limit=PAGE, before_id=ids[-1]).iter_pages():
                back = [found.id for found in page.data] + back
            assert back == ids[:-1]
            for wrong in (0, limits.ORGANIZATION_PAGE_MAX + 1):
                with pytest.raises(anthropic.BadRequestError, match="limit"):
                    list_keys(limit=wrong)
        crowd.close()


def _key_status(row: Row, past: datetime) -> str:
    if row["status"] == "archived":
        return "archived"
    expired = row["expires_at"] is not None and row["expires_at"] <= past
    return "expired" if expired else str(row["status"])


def test_there_is_no_other_list(hall: Hall) -> None:
    paths = {
        path
        for path, methods in hall.served.app.openapi()["paths"].items()
        if any(
            parameter.get("name") == "limit"  # shared ones are headers
            for parameter in methods.get("get", {}).get("parameters", ())
        )
    }
    assert paths == {of.path for of in LISTS} | ELSEWHERE
