"""Limits of the work queue."""

from __future__ import annotations

from typing import Any

from tests.api.limits.kinds import VALUE, Call, Row, Whole

QUEUE = "/v1/environments/{own}/work"
WORKER = {"authorization": "Bearer {worker_key}"}


def polling(**query: Any) -> Call:
    return Call("GET", f"{QUEUE}/poll", query=query, headers=WORKER)


ROWS = [
    Row(
        "WorkListQuery.limit",
        Whole(1, 1000),
        "1.8",
        Call("GET", QUEUE, query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "WorkPollQuery.block_ms", Whole(1, None), "4.1, 25 (6)", polling(block_ms=VALUE), shown=None
    ),
    Row(
        "WorkPollQuery.reclaim_older_than_ms",
        Whole(1, None),
        "4.1, D",
        polling(reclaim_older_than_ms=VALUE),
        shown=None,
    ),
    Row(
        "WorkHeartbeatQuery.desired_ttl_seconds",
        Whole(1, None),
        "4.3",
        Call(
            "POST",
            f"{QUEUE}/{{work}}/heartbeat",
            query={"desired_ttl_seconds": VALUE},
            headers=WORKER,
            readable=False,
        ),
        shown=None,
    ),
]
