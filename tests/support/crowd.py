"""Lists with many rows: one of each kind made through the API, and copied in the database.

The copies differ in what lists are filtered by, each by a rule that knows only the copy's number,
so that the same crowd can be 260 rows in a test and a million in a measurement.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from anthropic import Anthropic, BadRequestError

from freehold.core.workspaces import DEFAULT_WORKSPACE
from freehold.store import migrate, tables
from tests.support.authorities import certificate, pem

BASE = 1_767_225_600_000_000
"""2026-01-01, in microseconds: what is copied is older than what tests make."""
STEP = 1_000_000
_FIRST_ID = 10**18

_AGES = f"{BASE} + (i - CASE WHEN i % 10 = 9 THEN 1 ELSE 0 END) * {STEP}"
"""A second apart, but every tenth at the same moment as the one before."""
_STATUS = (
    "CASE WHEN i % 50 = 7 THEN 'running' WHEN i % 50 = 8 THEN 'rescheduling'"
    " WHEN i % 5 = 3 THEN 'terminated' ELSE 'idle' END"
)
_ARCHIVED = f"CASE WHEN i % 4 = 1 THEN {BASE} ELSE NULL END"
_DREAM_STATUS = (
    "CASE WHEN i % 50 = 7 THEN 'running' WHEN i % 50 = 8 THEN 'pending'"
    " WHEN i % 5 = 3 THEN 'failed' WHEN i % 5 = 2 THEN 'canceled' ELSE 'completed' END"
)
_TYPE = (
    "CASE WHEN i % 100 = 42 THEN 'session.status_rescheduled' WHEN i % 7 = 0 THEN 'user.message'"
    " WHEN i % 5 = 4 THEN 'agent.thinking' ELSE 'agent.message' END"
)


def moment(number: int) -> int:
    """When a copy was created, in microseconds."""
    return BASE + (number - (number % 10 == 9)) * STEP


def id_of(prefix: str, number: int) -> str:
    """The id of a copy."""
    return f"{prefix}_01111" + str(_FIRST_ID + number).replace("0", "A")


def _id_of(prefix: str, mark: str = "111") -> str:
    return f"'{prefix}_01{mark}' || replace(CAST({_FIRST_ID} + i AS TEXT), '0', 'A')"


@dataclass(frozen=True)
class Scene:
    """The ids of what is copied, one of each kind."""

    agent: str
    other_agent: str
    environment: str
    self_hosted: str
    session: str
    work: str
    vault: str
    credential: str
    memory_store: str
    memory: str
    memory_version: str
    file: str
    session_file: str
    resource: str
    store_resource: str
    skill: str
    skill_version: str
    deployment: str
    other_deployment: str
    run: str
    workspace: str
    webhook: str
    dream: str
    profile: str
    tunnel: str
    certificate: str


class Crowd:
    """Copies rows of a database that is migrated. Blocks."""

    def __init__(self, url: str) -> None:
        self.engine = migrate.sync_engine(sa.make_url(url))

    def close(self) -> None:
        self.engine.dispose()

    def copy(self, table: sa.Table, of: str, first: int, count: int, **columns: str) -> None:
        """Rows like ``of`` but for these columns: SQL that knows ``i``, the number, and ``p``."""
        names = [column.name for column in table.columns]
        shown = ", ".join(columns.get(name, f"p.{name}") for name in names)
        with self.engine.begin() as connection:
            connection.execute(
                sa.text(
                    f"INSERT INTO {table.name} ({', '.join(names)})"  # noqa: S608 - our own names
                    f" {_NUMBERS} SELECT {shown} FROM numbers, {table.name} p WHERE p.id = :of"
                ),
                {"of": of, "first": first, "last": first + count - 1},
            )

    def rows(self, table: sa.Table, *where: sa.ColumnElement[bool]) -> Sequence[Mapping[str, Any]]:
        """What a table has."""
        with self.engine.connect() as connection:
            return connection.execute(sa.select(table).where(*where)).mappings().all()

    def execute(self, statement: sa.Executable) -> None:
        with self.engine.begin() as connection:
            connection.execute(statement)

    def scalar(self, statement: sa.Select[Any]) -> Any:
        with self.engine.connect() as connection:
            return connection.scalar(statement)

    # One method for each list. ``first`` is the number of the first copy.

    def agents(self, scene: Scene, first: int, count: int) -> None:
        self.copy(tables.agents, scene.agent, first, count, **_made("agent"), archived_at=_ARCHIVED)

    def agent_versions(self, scene: Scene, first: int, count: int) -> None:
        """More versions of the one agent; the first copy is to be version 2."""
        table = tables.agent_versions
        names = [column.name for column in table.columns]
        shown = ", ".join("i" if name == "version" else f"p.{name}" for name in names)
        with self.engine.begin() as connection:
            connection.execute(
                sa.text(
                    f"INSERT INTO {table.name} ({', '.join(names)}) {_NUMBERS}"  # noqa: S608
                    f" SELECT {shown} FROM numbers, {table.name} p"
                    " WHERE p.agent_id = :of AND p.version = 1"
                ),
                {"of": scene.agent, "first": first, "last": first + count - 1},
            )

    def environments(self, scene: Scene, first: int, count: int) -> None:
        self.copy(
            tables.environments, scene.environment, first, count, **_made("env"),
            archived_at=_ARCHIVED,
        )  # fmt: skip

    def sessions(self, scene: Scene, first: int, count: int) -> None:
        """Some deleted; the agent, its version, the deployment and the status by turns."""
        new = _id_of("sesn")
        state = f"replace(p.state, p.id, {new})"
        state = f"""replace({state}, '"status":"idle"', '"status":"' || {_STATUS} || '"')"""
        self.copy(
            tables.sessions,
            scene.session,
            first,
            count,
            **_made("sesn"),
            primary_thread_id=_id_of("sthr"),
            agent_id=f"CASE WHEN i % 3 = 0 THEN '{scene.other_agent}' ELSE p.agent_id END",
            agent_version="1 + i % 2",
            deployment_id=f"CASE WHEN i % 6 = 0 THEN '{scene.deployment}'"
            f" WHEN i % 6 = 1 THEN '{scene.other_deployment}' ELSE NULL END",
            status=_STATUS,
            state=state,
            archived_at=_ARCHIVED,
            deleted_at=f"CASE WHEN i % 40 = 2 THEN {BASE} ELSE NULL END",
        )

    def stores_of_sessions(self, scene: Scene, first: int, count: int) -> None:
        """The memory store, for two of three copied sessions."""
        self.copy(
            tables.session_resources,
            scene.store_resource,
            first,
            count,
            id=_id_of("sesrsc"),
            session_id=_id_of("sesn"),
            position="0",
            created_at=_AGES,
        )

    def events(self, session_id: str, first: int, count: int, mark: str = "111") -> None:
        """Events of a session's log, which is empty if ``first`` is 1; some of them private.

        ``mark``: three characters for the ids, others in each log.
        """
        id_ = _id_of("sevt", mark)
        text = f"CASE WHEN {_TYPE} IN ('user.message', 'agent.message') THEN :text ELSE '' END"
        parameters = {
            "of": session_id,
            "first": first,
            "last": first + count - 1,
            "head": '{"id":"',
            "type": '","type":"',
            "text": '"content":[{"type":"text","text":"It is what it is."}],',
            "time": '"processed_at":"2026-01-01T00:00:00.000000Z"}',
        }
        with self.engine.begin() as connection:
            connection.execute(
                sa.text(
                    "INSERT INTO session_events (session_id, seq, id, type, public, origin,"  # noqa: S608
                    f" processed_at, body) {_NUMBERS} SELECT :of, i, {id_}, {_TYPE},"
                    f" i % 9 <> 5, 'harness', {BASE} + i * {STEP},"
                    f" :head || {id_} || :type || {_TYPE} || '\",' || {text} || :time FROM numbers"
                ),
                parameters,
            )
            connection.execute(
                sa.update(tables.sessions)
                .where(tables.sessions.c.id == session_id)
                .values(head_seq=first + count - 1)
            )

    def resources(self, scene: Scene, first: int, count: int) -> None:
        """More files in the one session."""
        self.copy(
            tables.session_resources,
            scene.resource,
            first,
            count,
            id=_id_of("sesrsc", "222"),
            created_at=_AGES,
            updated_at=_AGES,
            position="1000 + i",
        )

    def vaults(self, scene: Scene, first: int, count: int) -> None:
        self.copy(tables.vaults, scene.vault, first, count, **_made("vlt"), archived_at=_ARCHIVED)

    def credentials(self, scene: Scene, first: int, count: int) -> None:
        self.copy(
            tables.vault_credentials,
            scene.credential,
            first,
            count,
            **_made("vcrd"),
            purpose="'variable V' || CAST(i AS TEXT)",
            archived_at=_ARCHIVED,
        )

    def memory_stores(self, scene: Scene, first: int, count: int) -> None:
        self.copy(
            tables.memory_stores, scene.memory_store, first, count, **_made("memstore"),
            archived_at=_ARCHIVED,
        )  # fmt: skip

    def memories(self, scene: Scene, first: int, count: int) -> None:
        folder = "CASE WHEN i % 3 = 0 THEN '/' WHEN i % 3 = 1 THEN '/a/' ELSE '/a/b c/' END"
        self.copy(
            tables.memories,
            scene.memory,
            first,
            count,
            **_made("mem"),
            folder=folder,
            path=f"{folder} || CAST(i AS TEXT) || '.md'",
        )

    def memory_versions(self, scene: Scene, first: int, count: int) -> None:
        self.copy(
            tables.memory_versions,
            scene.memory_version,
            first,
            count,
            id=_id_of("memver"),
            created_at=_AGES,
            memory_id=f"CASE WHEN i % 4 = 0 THEN p.memory_id ELSE {_id_of('mem')} END",
            operation="CASE WHEN i % 20 = 0 THEN 'deleted' WHEN i % 3 = 0 THEN 'created'"
            " ELSE 'modified' END",
            created_by_type="CASE WHEN i % 2 = 0 THEN 'session_actor' ELSE 'api_actor' END",
            created_by_id="CASE WHEN i % 2 = 0 THEN 'sesn_writer' ELSE 'apikey_writer' END",
        )

    def files(self, scene: Scene, first: int, count: int) -> None:
        self.copy(tables.files, scene.file, first, count, id=_id_of("file"), created_at=_AGES)

    def session_files(self, scene: Scene, first: int, count: int) -> None:
        self.copy(
            tables.files, scene.session_file, first, count, created_at=_AGES,
            id=_id_of("file", "222"),
        )  # fmt: skip

    def skills(self, scene: Scene, first: int, count: int) -> None:
        self.copy(tables.skills, scene.skill, first, count, **_made("skill"))

    def skill_versions(self, scene: Scene, first: int, count: int) -> None:
        self.copy(
            tables.skill_versions, scene.skill_version, first, count, id=_id_of("skver"),
            created_at=_AGES, number="i",
        )  # fmt: skip

    def deployments(self, scene: Scene, first: int, count: int) -> None:
        self.copy(
            tables.deployments,
            scene.deployment,
            first,
            count,
            **_made("depl"),
            agent_id=f"CASE WHEN i % 3 = 0 THEN '{scene.other_agent}' ELSE p.agent_id END",
            paused="CASE WHEN i % 4 <> 1 AND i % 5 = 0 THEN 'manual' ELSE NULL END",
            archived_at=_ARCHIVED,
        )

    def deployment_runs(self, scene: Scene, first: int, count: int) -> None:
        failed = "i % 10 = 3"
        self.copy(
            tables.deployment_runs,
            scene.run,
            first,
            count,
            id=_id_of("drun"),
            created_at=_AGES,
            deployment_id=f"CASE WHEN i % 3 = 0 THEN '{scene.other_deployment}'"
            " ELSE p.deployment_id END",
            scheduled_at=f"CASE WHEN i % 7 = 0 THEN NULL ELSE {BASE} + i END",
            session_id=f"CASE WHEN {failed} THEN NULL ELSE p.session_id END",
            error_type=f"CASE WHEN {failed} THEN 'unknown_error' ELSE NULL END",
            error_message=f"CASE WHEN {failed} THEN 'It failed.' ELSE NULL END",
        )

    def work(self, scene: Scene, first: int, count: int) -> None:
        self.copy(
            tables.work, scene.work, first, count, id=_id_of("work"), created_at=_AGES,
            session_id=_id_of("sesn"), token="NULL", previous_token="NULL",
        )  # fmt: skip

    def workspaces(self, scene: Scene, first: int, count: int) -> None:
        self.copy(
            tables.workspaces, scene.workspace, first, count, id=_id_of("wrkspc"),
            created_at=_AGES, archived_at=_ARCHIVED,
        )  # fmt: skip

    def webhooks(self, scene: Scene, first: int, count: int) -> None:
        self.copy(tables.webhook_endpoints, scene.webhook, first, count, **_made("whep"))

    def dreams(self, scene: Scene, first: int, count: int) -> None:
        """None that a server has anything to do for."""
        self.copy(
            tables.dreams, scene.dream, first, count, id=_id_of("drm"), created_at=_AGES,
            status=_DREAM_STATUS, active="FALSE", archived_at=_ARCHIVED,
        )  # fmt: skip

    def profiles(self, scene: Scene, first: int, count: int) -> None:
        """Six of each name, and some without one."""
        name = (
            "CASE WHEN i % 5 = 4 THEN NULL WHEN i % 2 = 0 THEN 'Ada ' || CAST(i % 50 AS TEXT)"
            " ELSE 'BOB ' || CAST(i % 50 AS TEXT) END"
        )
        sqlite = self.engine.dialect.name == "sqlite"
        key = f"CAST(lower({name}) AS BLOB)" if sqlite else f"convert_to(lower({name}), 'UTF8')"
        self.copy(
            tables.user_profiles, scene.profile, first, count, **_made("uprof"), name=name,
            name_key=key,
        )  # fmt: skip

    def tunnels(self, scene: Scene, first: int, count: int) -> None:
        self.copy(
            tables.tunnels, scene.tunnel, first, count, id=_id_of("tnl"), created_at=_AGES,
            domain="CAST(i AS TEXT) || p.domain", archived_at=_ARCHIVED,
        )  # fmt: skip

    def certificates(self, scene: Scene, first: int, count: int) -> None:
        """More than a tunnel can have, but for archived ones."""
        self.copy(
            tables.tunnel_certificates, scene.certificate, first, count, id=_id_of("tcrt"),
            created_at=_AGES, archived_at=_ARCHIVED,
        )  # fmt: skip

    def keys(self, of: str, first: int, count: int) -> None:
        """Keys that nobody has: half of the default workspace, some expired or no longer good."""
        self.copy(
            tables.api_keys,
            of,
            first,
            count,
            id=_id_of("apikey"),
            created_at=_AGES,
            kind="CASE WHEN i % 2 = 0 THEN 'workspace' ELSE p.kind END",
            workspace_id=f"CASE WHEN i % 2 = 0 THEN '{DEFAULT_WORKSPACE}' ELSE NULL END",
            lookup="'nobody' || CAST(i AS TEXT)",
            status="CASE WHEN i % 5 = 0 THEN 'archived' WHEN i % 7 = 0 THEN 'inactive'"
            " ELSE 'active' END",
            expires_at=f"CASE WHEN i % 3 = 0 THEN {BASE} ELSE NULL END",
        )


_NUMBERS = (
    "WITH RECURSIVE numbers(i) AS (SELECT CAST(:first AS BIGINT) UNION ALL"
    " SELECT i + 1 FROM numbers WHERE i < :last)"
)


def _made(prefix: str) -> dict[str, str]:
    return {"id": _id_of(prefix), "created_at": _AGES, "updated_at": _AGES}


def stage(sdk: Anthropic, crowd: Crowd) -> Scene:
    """One of each kind, made as a client makes it."""
    beta = sdk.beta
    tools: list[Any] = [{"type": "agent_toolset_20260401"}]
    agent, other = (
        beta.agents.create(name="Crowd", model="claude-opus-5", tools=tools).id for _ in range(2)
    )
    environment = beta.environments.create(name="crowd").id
    self_hosted = beta.environments.create(name="mine", config={"type": "self_hosted"}).id
    file = beta.files.upload(file=("a.txt", b"data", "text/plain")).id
    store = beta.memory_stores.create(name="Notes").id
    memory = beta.memory_stores.memories.create(store, path="/first.md", content="x")
    session = beta.sessions.create(
        agent=agent,
        environment_id=environment,
        resources=[
            {"type": "memory_store", "memory_store_id": store},
            {"type": "file", "file_id": file},
        ],
    ).id
    beta.sessions.create(agent=agent, environment_id=self_hosted)
    vault = beta.vaults.create(display_name="Keys").id
    credential = beta.vaults.credentials.create(
        vault,
        auth={
            "type": "environment_variable",
            "secret_name": "V",
            "secret_value": "secret",
            "networking": {"type": "unrestricted"},
        },
    ).id
    skill = beta.skills.create(
        files=[("s/SKILL.md", b"---\nname: s\ndescription: Does it.\n---\n")]
    )
    given: dict[str, Any] = {
        "name": "Runs",
        "agent": agent,
        "environment_id": environment,
        "initial_events": [
            {"type": "user.message", "content": [{"type": "text", "text": "/say Done."}]}
        ],
    }
    deployment, other_deployment = (beta.deployments.create(**given).id for _ in range(2))
    run = beta.deployments.run(deployment).id
    workspace = beta.organization.workspaces.create(name="crowd").id
    webhook = beta.organization.webhooks.create(
        url="https://example.com/hook", enabled_events=["external_key.failed"]
    ).id
    dream = _canceled_dream(sdk, crowd, store, session)
    profile = sdk.user_profiles.create(name="Ada").id
    tunnel = beta.tunnels.create().id
    authority = beta.tunnels.certificates.create(tunnel, ca_certificate_pem=pem(certificate())).id
    resources = crowd.rows(
        tables.session_resources, tables.session_resources.c.session_id == session
    )
    by_type = {row["type"]: row["id"] for row in resources}
    return Scene(
        agent=agent,
        other_agent=other,
        environment=environment,
        self_hosted=self_hosted,
        session=session,
        work=crowd.scalar(sa.select(tables.work.c.id)),
        vault=vault,
        credential=credential,
        memory_store=store,
        memory=memory.id,
        memory_version=memory.memory_version_id or "",
        file=file,
        session_file=crowd.scalar(
            sa.select(tables.files.c.id).where(tables.files.c.scope_id == session)
        ),
        resource=by_type["file"],
        store_resource=by_type["memory_store"],
        skill=skill.id,
        skill_version=skill.latest_version_id or "",
        deployment=deployment,
        other_deployment=other_deployment,
        run=run,
        workspace=workspace,
        webhook=webhook,
        dream=dream,
        profile=profile,
        tunnel=tunnel,
        certificate=authority,
    )


def _canceled_dream(sdk: Anthropic, crowd: Crowd, store: str, session: str) -> str:
    """One for which nothing happens any more."""
    dream = sdk.beta.dreams.create(
        inputs=[
            {"type": "memory_store", "memory_store_id": store},
            {"type": "sessions", "session_ids": [session]},
        ],
        model="claude-opus-5",
    ).id
    with contextlib.suppress(BadRequestError):  # where it was quicker
        sdk.beta.dreams.cancel(dream)
    deadline = time.monotonic() + 120
    while crowd.rows(tables.dreams, tables.dreams.c.active):
        assert time.monotonic() < deadline, "the dream does not end"
        time.sleep(0.02)
    return dream
