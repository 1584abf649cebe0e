"""What happens to work items (spec 4.1, 4.3). Never commits."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from freehold.api import pages
from freehold.api.environments import service as environments
from freehold.api.work.schemas import (
    Work,
    WorkHeartbeat,
    WorkHeartbeatQuery,
    WorkListQuery,
    WorkPollQuery,
    WorkQueueStats,
    WorkStopParams,
    WorkUpdateParams,
)
from freehold.api.workers import new_token, secret_of
from freehold.core.merge import metadata_problem, patch_metadata
from freehold.core.work import LeaseLost, NotQueued, acknowledged, beaten, stopped
from freehold.core.work import Work as WorkState
from freehold.errors import Conflict, InvalidRequest, NotFound, PreconditionFailed
from freehold.ports.clock import Clock
from freehold.store import work
from freehold.store.environments import EnvironmentRow
from freehold.store.units import ReadSession, WriteSession
from freehold.store.work_rows import WorkRow

LIST = "work"
WORKER_ID = 256
"""Characters of a worker's id that count."""
_PREFIXES = ("work_", "session_", "sesn_", "cse_")


async def pollable(session: ReadSession, workspace_id: str, environment_id: str) -> EnvironmentRow:
    """An environment that workers serve.

    Raises:
        NotFound: no such environment. InvalidRequest: Freehold serves it itself.
    """
    environment = await environments.find(session, workspace_id, environment_id)
    if environment.config["type"] != "self_hosted":
        raise InvalidRequest(
            "Only BYOC and bridge environments support work polling. Environment "
            f"{environment_id} is anthropic_cloud.",
            should_retry=False,
        )
    return environment


async def waiting(
    session: ReadSession, environment: EnvironmentRow, query: WorkPollQuery, clock: Clock
) -> bool:
    """Whether a poll may find something."""
    reclaim = timedelta(milliseconds=query.reclaim_older_than_ms)
    return await work.any_claimable(
        session, environment.workspace_id, environment.id, clock.now(), reclaim
    )


async def claim(
    tx: WriteSession, environment: EnvironmentRow, query: WorkPollQuery, clock: Clock
) -> Work | None:
    """Hand out the item that has waited longest, with a token for its session."""
    token, token_digest = new_token()
    item = await work.claim(
        tx,
        environment.workspace_id,
        environment.id,
        token=token_digest,
        now=clock.now(),
        reclaim=timedelta(milliseconds=query.reclaim_older_than_ms),
    )
    return None if item is None else shown(item, secret_of(token))


async def find(
    session: ReadSession,
    workspace_id: str,
    environment_id: str,
    work_id: str,
    clock: Clock,
    *,
    for_update: bool = False,
) -> WorkRow:
    """An item.

    Raises:
        NotFound: no such environment or item. InvalidRequest: it is no id of an item.
    """
    await environments.find(session, workspace_id, environment_id)
    if not work_id.startswith(_PREFIXES):
        raise InvalidRequest(
            "Invalid work ID format: expected session_*, cse_*, or work_* prefix, got "
            f'"{work_id[:200]}".'
        )
    item = await work.get(
        session, workspace_id, environment_id, work_id, clock.now(), for_update=for_update
    )
    if item is None:
        raise NotFound(f"Work item {work_id[:200]} not found.")
    return item


async def listed(
    session: ReadSession,
    workspace_id: str,
    environment_id: str,
    query: WorkListQuery,
    clock: Clock,
) -> tuple[Sequence[WorkRow], str | None]:
    """A page of items, newest first.

    Raises:
        NotFound: no such environment, or Freehold serves it itself.
    """
    environment = None
    with contextlib.suppress(NotFound):
        environment = await environments.find(session, workspace_id, environment_id)
    if environment is None or environment.config["type"] != "self_hosted":
        raise NotFound(
            f"Environment `{environment_id[:200]}` not found, or does not support work listing. "
            "Only self-hosted environments have work.",
            should_retry=False,
        )
    name = pages.of(LIST, environment_id)
    cursor = pages.decode(query.page, name, "desc")
    rows = await work.page(
        session,
        workspace_id,
        environment_id,
        clock.now(),
        after=pages.key(cursor),
        limit=query.limit + 1,
    )
    return pages.forward(rows, query.limit, name)


async def acknowledge(tx: WriteSession, item: WorkRow, clock: Clock) -> WorkRow:
    """The worker has the item.

    Raises:
        Conflict: somebody has it already, or it is over.
    """
    try:
        return await _saved(tx, item, acknowledged(item.work, clock.now()))
    except NotQueued:
        raise Conflict(
            f"Work item {item.id} must be in QUEUED state to acknowledge. Current state: "
            f"{item.work.state}.",
            should_retry=False,
        ) from None


async def heartbeat(
    tx: WriteSession, item: WorkRow, query: WorkHeartbeatQuery, clock: Clock
) -> WorkHeartbeat:
    """The worker lives.

    Raises:
        PreconditionFailed: the lease is another's, or nobody's any more.
    """
    try:
        beat = beaten(
            item.work, clock.now(), query.expected_last_heartbeat, query.desired_ttl_seconds
        )
    except LeaseLost as lost:
        raise PreconditionFailed(
            "The heartbeat's precondition failed: expected_last_heartbeat is not the last "
            "heartbeat of this work item.",
            details={
                "error_code": "heartbeat_precondition_failed",
                "current_state": {
                    "last_heartbeat": lost.work.last_heartbeat,
                    "lease_extended": False,
                    "state": lost.work.state,
                    "ttl_seconds": lost.work.ttl,
                },
                "error_visibility": "user_facing",
            },
            should_retry=False,
        ) from None
    if beat.extended:
        item = await _saved(tx, item, beat.work)
    return WorkHeartbeat(
        type="work_heartbeat",
        last_heartbeat=item.work.last_heartbeat or "",
        lease_extended=beat.extended,
        state=item.work.state,
        ttl_seconds=beat.ttl,
    )


async def stop(
    tx: WriteSession, item: WorkRow, params: WorkStopParams, clock: Clock, *, by_worker: bool
) -> WorkRow:
    """End the item, or ask its worker to. Again is no error."""
    changed = stopped(item.work, clock.now(), force=bool(params.force), by_worker=by_worker)
    return await _saved(tx, item, changed)


async def update(tx: WriteSession, item: WorkRow, params: WorkUpdateParams) -> WorkRow:
    """Change the item's metadata.

    Raises:
        InvalidRequest: there would be too much of it.
    """
    metadata = patch_metadata(item.metadata, params.metadata)
    if (problem := metadata_problem(metadata)) is not None:
        raise InvalidRequest(problem, details={"error_code": "invalid_metadata"})
    item = replace(item, metadata=metadata)
    await work.save(tx, item)
    return item


async def stats(
    session: ReadSession, workspace_id: str, environment_id: str, clock: Clock
) -> WorkQueueStats:
    """How the queue stands; of an environment that Freehold serves itself, zeros (spec 4.1)."""
    environment = await environments.find(session, workspace_id, environment_id)
    served = environment.config["type"] == "self_hosted"
    found = await work.stats(session, workspace_id, environment_id, clock.now())
    return WorkQueueStats(
        type="work_queue_stats",
        depth=found.depth,
        pending=found.pending,
        oldest_queued_at=found.oldest_queued_at,
        workers_polling=found.workers_polling if served else None,
    )


async def _saved(tx: WriteSession, item: WorkRow, changed: WorkState) -> WorkRow:
    item = replace(item, work=changed)
    await work.save(tx, item)
    return item


def shown(row: WorkRow, secret: str | None = None) -> Work:
    """The item as the API shows it."""
    item = row.work
    return Work.model_validate(
        {
            "id": row.id,
            "type": "work",
            "environment_id": row.environment_id,
            "state": item.state,
            "data": {"id": row.session_id, "type": "session"},
            "metadata": row.metadata,
            "secret": secret,
            "created_at": row.created_at,
            "started_at": item.started_at,
            "acknowledged_at": item.acknowledged_at,
            "latest_heartbeat_at": item.latest_heartbeat_at,
            "stop_requested_at": item.stop_requested_at,
            "stopped_at": item.stopped_at,
        }
    )
