"""Starts the runs of deployments, by hand and by the clock (spec 13.3).

A run, its session with all that belongs to it, and the time of the run after it are one
transaction under a lock on the deployment: of an occurrence there is one run, however many servers
watch, and one that dies on the way leaves it to the others. Where the session is refused, that
transaction is taken back, and a second one records the error if the run is still due.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from freehold.api.deployments import causes, definition, service
from freehold.api.deployments.causes import Failure
from freehold.api.deployments.schemas import PAUSING
from freehold.api.deps import ApiServices
from freehold.api.sessions import service as session_service
from freehold.errors import InvalidRequest, SecretUnreadable
from freehold.store import agents, deployment_runs, deployments, outbox
from freehold.store.deployment_runs import RunRow
from freehold.store.deployments import DeploymentRow
from freehold.store.units import WriteSession

log = logging.getLogger(__name__)

_ARCHIVED = "Cannot run archived deployment"

Keep = Callable[[WriteSession, RunRow], Awaitable[None]]


class _Refused(Exception):
    """No session could be created; what was written of it is taken back."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True)
class Starter:
    """Starts runs out of a server's services."""

    services: ApiServices

    async def manual(
        self, workspace_id: str, deployment_id: str, keep: Keep | None = None
    ) -> RunRow:
        """Run a deployment now, also a paused one. A session that is refused is the run's error.

        Args:
            workspace_id: Whose it is.
            deployment_id: Which.
            keep: Called with the run, in its transaction.

        Raises:
            NotFound: no such deployment. InvalidRequest: it is archived.
        """
        failure: Failure | None = None
        while True:
            try:
                async with self.services.database.write() as tx:
                    row = await service.find(tx, workspace_id, deployment_id, for_update=True)
                    if row.archived_at is not None:
                        raise InvalidRequest(_ARCHIVED)
                    run = await self._record(tx, row, None, self.services.clock.now(), failure)
                    if keep is not None:
                        await keep(tx, run)
                    return run
            except _Refused as refused:
                failure = refused.failure

    async def scheduled(self, deployment_id: str) -> RunRow | None:
        """Start the run that is due; ``None``: none is any more, somebody else was faster.

        After an outage one run makes up for all that were missed: that of the newest occurrence.
        """
        now = self.services.clock.now()
        failure: Failure | None = None
        while True:
            try:
                async with self.services.database.write() as tx:
                    row = await deployments.take(tx, deployment_id)
                    if row is None or row.starts_at is None or row.starts_at > now:
                        return None
                    return await self._start(tx, row, now, failure)
            except _Refused as refused:
                failure = refused.failure

    async def _start(
        self, tx: WriteSession, row: DeploymentRow, now: datetime, failure: Failure | None
    ) -> RunRow | None:
        if await self._agent_is_gone(tx, row):
            await service.archive(tx, row.workspace_id, row.id, now)
            return None
        due = row.scheduled_at or now
        after = row
        try:
            if (table := definition.timetable(row)) is not None:
                due = table.newest(due, now)
            after = service.following(row, due)
        except ValueError:
            log.warning("the time zone %s of %s is not known here", row.timezone, row.id)
            failure = Failure("unknown_error", f"the time zone {row.timezone} is not known")
        if await deployment_runs.exists(tx, row.id, due):
            # The clock was set back.
            await deployments.update(tx, after)
            return None
        run = await self._record(tx, row, due, now, failure)
        after = replace(after, last_run_at=now)
        if run.error_type in PAUSING:
            after = replace(
                after, paused=run.error_type, updated_at=now, scheduled_at=None, starts_at=None
            )
            await outbox.tell(tx, row.workspace_id, "deployment.paused", row.id, now)
        await deployments.update(tx, after)
        await self._tell(tx, run)
        return run

    async def _tell(self, tx: WriteSession, run: RunRow) -> None:
        """Webhooks tell of the runs that the schedule starts alone (spec 20.3)."""
        at = run.created_at
        await outbox.tell(tx, run.workspace_id, "deployment_run.started", run.id, at)
        if run.session_id is None:
            await outbox.tell(tx, run.workspace_id, "deployment_run.failed", run.id, at)
        else:
            await outbox.tell(tx, run.workspace_id, "deployment_run.succeeded", run.id, at)

    async def _agent_is_gone(self, tx: WriteSession, row: DeploymentRow) -> bool:
        return await agents.get(tx, row.workspace_id, row.agent_id) is None

    async def _record(
        self,
        tx: WriteSession,
        row: DeploymentRow,
        due: datetime | None,
        now: datetime,
        failure: Failure | None,
    ) -> RunRow:
        """A new run, with a session unless ``failure`` or something else is in its way."""
        if failure is None:
            agent = await agents.get_version(tx, row.workspace_id, row.agent_id, row.agent_version)
            failure = await causes.known(tx, row, agent, now)
        session_id = None
        if failure is None:
            session_id = await self._session(tx, row)
        run = RunRow(
            id=self.services.clock.mint("drun"),
            workspace_id=row.workspace_id,
            deployment_id=row.id,
            agent_id=row.agent_id,
            agent_version=row.agent_version,
            scheduled_at=due,
            session_id=session_id,
            error_type=None if failure is None else failure.type,
            error_message=None if failure is None else failure.message,
            created_at=now,
        )
        await deployment_runs.insert(tx, run)
        return run

    async def _session(self, tx: WriteSession, row: DeploymentRow) -> str:
        behind = self.services
        try:
            params = definition.session_params(row, behind.sealer)
            session, _ = await session_service.create(
                tx,
                row.workspace_id,
                params,
                intake=behind.intake,
                clock=behind.clock,
                catalog=behind.catalog,
                sandboxes=behind.sandboxes,
                workshop=service.workshop(behind),
                work_ttl=behind.settings.work_lease,
                deployment_id=row.id,
            )
        except SecretUnreadable:
            raise _Refused(
                Failure(
                    "session_creation_rejected_error",
                    "session creation rejected: the `authorization_token` of a repository cannot "
                    "be read with the keys of this server; set `resources` anew",
                )
            ) from None
        except (sa.exc.OperationalError, sa.exc.InterfaceError):
            raise  # the database's trouble: the run stays due
        except Exception as error:
            raise _Refused(causes.of_error(error)) from error
        return session.id
