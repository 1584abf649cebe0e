"""What databases do for every list and every combination of its filters.

Whatever clients can ask of a list is asked through the API, and each statement that the server
runs for it is explained: no table is read from end to end, nothing is sorted that could be long,
and no row is read that the filters exclude, but for what :data:`PASSED_OVER` lists. And that
whether the database never counted its rows, counted them when there were few, or has just counted.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
import psycopg
import pytest
import sqlalchemy as sa
from tests.support.crowd import Crowd, Scene, id_of, stage
from tests.support.running import BETA, serve

from freehold.store import tables

FEW, MANY = 60, 4_000
EVENTS = 12_000

SMALL = {"workspaces", "api_keys", "webhook_endpoints", "alembic_version"}
"""Tables that are read whole, or in the order of a list without anything that narrows it: an
organization has some hundreds of their rows at most."""

PASSED_OVER: dict[str, set[str]] = {
    # What is narrower than a workspace or a store is in one alone.
    "*": {"workspace_id"},
    # A third of a log at most, evenly spread. And PostgreSQL takes the log for a type of which
    # most events are.
    "session_events": {"public", "type"},
    # At most 2,000 to a store (spec 15.3).
    "memories": {"path", "folder"},
    # Versions of one memory, or of one author who is named by type and id.
    "memory_versions": {"memory_store_id", "memory_id", "created_by_id", "created_by_type"},
    # Only a client of the older API leaves a skill without versions.
    "skills": {"latest_version_id"},
    # Where both an agent and a deployment are named.
    "sessions": {"agent_id", "agent_version", "deployment_id"},
}

BACKGROUND = ("timers", "webhook_deliveries", "deployments.starts_at", "deployments.id \nFROM",
              "dreams.id \nFROM")  # fmt: skip
"""What the server asks of its own accord."""

GTE, LTE, GT, LT = (f"created_at[{bound}]" for bound in ("gte", "lte", "gt", "lt"))
OLD, NEW = "2025-12-31T00:00:00Z", "2100-01-01T00:00:00Z"
Options = Mapping[str, Sequence[Any]]
OUTER: Options = {"created": (None, {GTE: OLD, LTE: NEW})}
WITHIN: Options = {
    "created": (None, {GT: OLD, LTE: NEW}),
}
ARCHIVED: Options = {"include_archived": (None, "true")}


@dataclass(frozen=True)
class Asked:
    """A list, and what each of its parameters may be."""

    path: str
    options: Options = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside the usual ones."""
    orders: Sequence[str | None] = (None,)
    pages: str = "page"
    to_the_end: bool = False
    """Whether all pages are asked for: the last ones are found in another way."""

    def combinations(self) -> Iterator[dict[str, Any]]:
        for values in itertools.product(*self.options.values()):
            query: dict[str, Any] = {}
            for name, value in zip(self.options, values, strict=True):
                query |= value if isinstance(value, dict) else {name: value}
            yield {name: value for name, value in query.items() if value is not None}


MEMORY = {"anthropic-beta": "agent-memory-2026-07-22"}
WEBHOOKS = {"anthropic-beta": "webhooks-2026-10-07"}
DREAMING = {"anthropic-beta": "dreaming-2026-04-21"}
TUNNELS = {"anthropic-beta": "mcp-tunnels-2026-06-22"}
PLAIN = {"anthropic-beta": "message-batches-2024-09-24"}
OLD_FILES = {"anthropic-beta": "files-api-2025-04-14,managed-agents-2026-04-01"}


def lists(scene: Scene, log: str) -> list[Asked]:
    """Every list of the API that a database is asked for."""
    store = f"/v1/memory_stores/{scene.memory_store}"
    session = {
        "agent": (
            None,
            {"agent_id": scene.agent},
            {"agent_id": scene.agent, "agent_version": "1"},
        ),
        "of": (
            None,
            {"deployment_id": scene.deployment},
            {"memory_store_id": scene.memory_store},
        ),
        "statuses[]": (None, ["running"], ["idle", "terminated"]),
        **ARCHIVED,
        **WITHIN,
    }
    events = Asked(
        f"/v1/sessions/{log}/events",
        {
            "types[]": (None, ["agent.message"], ["agent.message", "session.status_rescheduled"]),
            "created": (None, {GTE: OLD}, {GT: OLD, LT: NEW}, {LTE: NEW}),
        },
        orders=("asc", "desc"),
    )
    return [
        Asked("/v1/agents", {**ARCHIVED, **OUTER}),
        Asked(f"/v1/agents/{scene.agent}/versions"),
        Asked("/v1/environments", ARCHIVED),
        Asked(f"/v1/environments/{scene.self_hosted}/work"),
        Asked("/v1/sessions", session),
        events,
        Asked(f"/v1/sessions/{scene.session}/resources"),
        Asked(f"/v1/sessions/{scene.session}/threads"),
        Asked("/v1/vaults", ARCHIVED),
        Asked(f"/v1/vaults/{scene.vault}/credentials", ARCHIVED),
        Asked("/v1/memory_stores", {**ARCHIVED, **OUTER}, MEMORY),
        Asked(
            f"{store}/memories",
            {"path_prefix": (None, "/a/"), "depth": (None, "1"), "view": (None, "full")},
            MEMORY,
        ),
        Asked(
            f"{store}/memory_versions",
            {
                "memory_id": (None, scene.memory),
                "author": (
                    None,
                    {"session_id": "sesn_writer"},
                    {"api_key_id": "apikey_writer"},
                ),
                "operation": (None, "deleted"),
                **OUTER,
            },
            MEMORY,
        ),
        Asked("/v1/files"),
        Asked("/v1/files", {"scope_id": (scene.session,)}),
        Asked("/v1/files", {}, OLD_FILES, pages="after_id"),
        Asked("/v1/files", {"scope_id": (scene.session,)}, OLD_FILES, pages="after_id"),
        Asked("/v1/files", {"ids[]": ([scene.file, id_of("file", 3)],)}),
        Asked("/v1/skills", {"source": (None, "custom")}, PLAIN),
        Asked(f"/v1/skills/{scene.skill}/versions", {}, PLAIN),
        Asked(
            "/v1/deployments",
            {"agent_id": (None, scene.agent), "status": (None, "active", "paused"), **OUTER},
        ),
        Asked("/v1/deployments", {"agent_id": (None, scene.agent), **ARCHIVED, **OUTER}),
        Asked(
            "/v1/deployment_runs",
            {
                "deployment_id": (None, scene.deployment),
                "trigger_type": (None, "manual", "schedule"),
                "has_error": (None, "true", "false"),
                **WITHIN,
            },
        ),
        Asked(
            "/v1/dreams",
            {
                **ARCHIVED,
                "created": (None, {GT: OLD}, {GT: OLD, LT: NEW}),
                "statuses[]": (None, ["running"], ["completed", "failed"]),
            },
            DREAMING,
        ),
        Asked(
            "/v1/user_profiles",
            {"enforcement_status[]": (None, ["unrestricted"])},
            PLAIN,
            orders=("asc", "desc"),
        ),
        Asked(
            "/v1/user_profiles",
            {"order_by": ("name",)},
            PLAIN,
            orders=("asc", "desc"),
            to_the_end=True,
        ),
        Asked("/v1/tunnels", ARCHIVED, TUNNELS),
        Asked(f"/v1/tunnels/{scene.tunnel}/certificates", ARCHIVED, TUNNELS),
        Asked(
            "/v1/organizations/workspaces",
            {**ARCHIVED, "include_default": (None, "true"), "ids[]": (None, [scene.workspace])},
            pages="after_id",
        ),
        Asked(
            "/v1/organizations/api_keys",
            {
                "status": (None, "active", "archived", "expired"),
                "workspace_id": (None, scene.workspace),
            },
            pages="after_id",
        ),
        Asked("/v1/organizations/webhooks", {"order": (None, "asc")}, WEBHOOKS, pages="after_id"),
    ]


def fill(crowd: Crowd, scene: Scene, log: str, first: int, last: int) -> None:
    """Copies ``first`` to ``last`` of every row that lists are of."""
    for make in (
        crowd.agents,
        crowd.agent_versions,
        crowd.environments,
        crowd.sessions,
        crowd.stores_of_sessions,
        crowd.resources,
        crowd.vaults,
        crowd.credentials,
        crowd.memory_stores,
        crowd.memories,
        crowd.memory_versions,
        crowd.files,
        crowd.session_files,
        crowd.skills,
        crowd.skill_versions,
        crowd.deployments,
        crowd.deployment_runs,
        crowd.dreams,
        crowd.profiles,
        crowd.tunnels,
        crowd.certificates,
        crowd.work,
        crowd.workspaces,
    ):
        make(scene, first, last - first + 1)


@dataclass(frozen=True)
class Statement:
    """What the server asked its database."""

    request: str
    sql: str
    parameters: Any


def ask_everything(url: str, scene: Scene, log: str, client: httpx.Client,
                   heard: list[tuple[str, Any]]) -> list[Statement]:  # fmt: skip
    """The different statements that all lists lead to, with one of the requests of each."""
    found: dict[str, Statement] = {}

    def get(asked: Asked, **query: Any) -> dict[str, Any]:
        heard.clear()
        answer = client.get(asked.path, params=query, headers={**BETA, **asked.headers})
        assert answer.status_code == 200, (asked.path, query, answer.text)
        for sql, parameters in heard:
            found.setdefault(sql, Statement(f"{asked.path} {query}", sql, parameters))
        body: dict[str, Any] = answer.json()
        return body

    for asked in lists(scene, log):
        for order in asked.orders:
            given = {} if order is None else {"order": order}
            cursors: list[dict[str, str]] | None = None
            for query in asked.combinations():
                if "ids[]" in query:
                    get(asked, **query)
                    continue
                if asked.to_the_end:
                    page: dict[str, str] | None = {}
                    while page is not None:
                        following = get(asked, **given, **query, limit=5, **page)["next_page"]
                        page = None if following is None else {"page": following}
                    continue
                if cursors is None:
                    cursors = _cursors(asked, get, {**given, **query})
                for cursor in cursors:
                    get(asked, **given, **query, limit=2, **cursor)
    return list(found.values())


def _cursors(asked: Asked, get: Any, query: dict[str, Any]) -> list[dict[str, str]]:
    """No cursor; one that leads on; where there is one, one that leads back."""
    first = get(asked, **query, limit=2)
    if asked.pages == "after_id":
        ids = {"after_id": first["last_id"]}, {"before_id": first["last_id"]}
        return [{}, *(ids if first["data"] else ())]
    following = first.get("next_page")
    if following is None:
        return [{}]
    back = get(asked, **query, limit=2, page=following).get("prev_page")
    return [{}, {"page": following}] + ([] if back is None else [{"page": back}])


# How the plans of each database are read.


def sqlite_faults(connection: sa.Connection, statement: Statement, *, few: int) -> list[str]:
    """``few`` makes no difference here."""
    rows = connection.exec_driver_sql(
        f"EXPLAIN QUERY PLAN {statement.sql}", statement.parameters
    ).all()
    faults = []
    for row in rows:
        line = str(row[3])
        if line.startswith("SCAN"):
            table = line.split()[1]
            if table not in SMALL and table in tables.metadata.tables:
                faults.append(line)
        elif line.startswith("USE TEMP B-TREE"):
            # Folders of a store's memories, and files that were asked for one by one.
            if "memories.folder" not in statement.sql and "files.id IN" not in statement.sql:
                faults.append(line)
        elif "AUTOMATIC" in line:
            faults.append(line)
        elif match := re.match(r"SEARCH (\w+) USING (?:COVERING )?INDEX (ix_\w+) \((.*)\)", line):
            table, name, terms = match.groups()
            (index,) = (one for one in tables.metadata.tables[table].indexes if one.name == name)
            leading = list(itertools.takewhile(
                lambda column: column not in ("created_at", "seq"), index.columns.keys()
            ))  # fmt: skip
            missing = [column for column in leading if f"{column}=?" not in terms]
            if missing and len(leading) < len(index.columns) and table not in SMALL:
                faults.append(f"{line}: not by {missing}")
    return faults


def postgres_faults(connection: sa.Connection, statement: Statement, *, few: int) -> list[str]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with psycopg.ClientCursor(driver) as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement.sql}", statement.parameters)
        (plan,) = cursor.fetchone()
    faults: list[str] = []
    _walk(plan[0]["Plan"], statement.sql, faults, few=few)
    return faults


def _walk(node: Mapping[str, Any], sql: str, faults: list[str], *, few: int) -> None:
    """``few``: how many rows may be sorted, where the database takes them for no more."""
    kind, table = node["Node Type"], node.get("Relation Name")
    if kind in ("Sort", "Bitmap Heap Scan") and node["Plan Rows"] <= few:
        return
    bounded = (
        "memories.folder" in sql  # folders of a store's memories
        or "files.id IN" in sql  # files that were asked for one by one
        or "sessions.id IN" in sql  # a page of sessions whose ids are known
        or "session_resources.session_id IN" in sql  # resources of a page of sessions
    )
    if table is None and kind in ("Sort", "Incremental Sort", "Hash"):
        if not (bounded or _of_small(node)):
            faults.append(f"{kind} of {node.get('Sort Key')}")
    elif kind in ("Seq Scan", "Bitmap Heap Scan") and table not in SMALL and not bounded:
        faults.append(f"{kind} on {table}")
    elif kind in ("Index Scan", "Index Only Scan") and table not in SMALL:
        allowed = PASSED_OVER["*"] | PASSED_OVER.get(str(table), set())
        names = set(re.findall(r"[a-z_]+", node.get("Filter", "")))
        over = (names & set(tables.metadata.tables[str(table)].columns.keys())) - allowed
        # What is looked up by its id is one row; what is walked in the order of ids is many.
        by_id = node["Index Name"].startswith("pk_") and " = " in node.get("Index Cond", "")
        if over and not by_id:
            faults.append(f"{node['Index Name']} passes over {sorted(over)}: {node['Filter']}")
    for child in node.get("Plans", ()):
        _walk(child, sql, faults, few=few)


def _of_small(node: Mapping[str, Any]) -> bool:
    found = {node["Relation Name"]} if "Relation Name" in node else set()
    return found <= SMALL and all(_of_small(child) for child in node.get("Plans", ()))


@dataclass(frozen=True)
class Planned:
    """A database, and what the server asks it."""

    crowd: Crowd
    scene: Scene
    log: str
    statements: Sequence[Statement]

    def faults(self, *, few: int) -> list[str]:
        explain = sqlite_faults if self.crowd.engine.dialect.name == "sqlite" else postgres_faults
        with self.crowd.engine.connect() as connection:
            return [
                f"{fault}\n    {statement.request}\n    {statement.sql}"
                for statement in self.statements
                for fault in explain(connection, statement, few=few)
            ]

    def count(self) -> None:
        self.crowd.execute(sa.text("ANALYZE"))

    def forget(self) -> None:
        """As if the rows had never been counted."""
        if self.crowd.engine.dialect.name == "sqlite":
            self.crowd.execute(sa.text("DELETE FROM sqlite_stat1"))
            self.crowd.execute(sa.text("ANALYZE sqlite_schema"))
            return
        self.crowd.execute(sa.text(
            "DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace)"
        ))  # fmt: skip
        self.crowd.execute(sa.text(
            "UPDATE pg_class SET reltuples = -1, relpages = 0"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')"
        ))  # fmt: skip


@pytest.fixture(scope="module")
def planned(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planned]:
    """A database of many rows that were counted when there were few."""
    crowd = Crowd(database_url)
    heard: list[tuple[str, Any]] = []

    def hear(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if not any(name in statement for name in BACKGROUND):
            heard.append((statement, parameters))

    folder = tmp_path_factory.mktemp("lists") / "data"
    with (
        serve(folder, database_url=database_url) as served,
        served.client() as sdk,
        httpx.Client(base_url=served.url, timeout=60) as client,
    ):
        scene = stage(sdk, crowd)
        log = id_of("sesn", 3)
        fill(crowd, scene, log, 2, FEW)
        crowd.events(log, 1, FEW)
        readers = served.app.state.services.database._readers.sync_engine
        sa.event.listen(readers, "before_cursor_execute", hear)
        statements = ask_everything(database_url, scene, log, client, heard)
    made = Planned(crowd, scene, log, statements)
    made.count()
    fill(crowd, scene, log, FEW + 1, MANY)
    crowd.events(log, FEW + 1, EVENTS)
    yield made
    crowd.close()


def test_every_page_is_read_from_where_it_begins(planned: Planned) -> None:
    assert len(planned.statements) > 100
    for counted, how in (
        ("when there were few rows", lambda: None),
        ("now", planned.count),
        ("never", planned.forget),
    ):
        how()
        # PostgreSQL takes a value of which it knows nothing for one of two hundred, so of a table
        # of this size it sorts what it takes for a handful.
        faults = planned.faults(few=0 if "few" in counted else FEW)
        assert not faults, f"rows counted {counted}:\n" + "\n".join(faults)
