"""Limits of dreams."""

from __future__ import annotations

from typing import Any

from tests.api.limits.kinds import ABSENT, VALUE, Call, Items, Row, Text, Whole, listed

PATH = "/v1/dreams"
BETA = {"anthropic-beta": "dreaming-2026-04-21"}
STORE: Any = {"type": "memory_store", "memory_store_id": "{dreamt}"}
SESSIONS: Any = {"type": "sessions", "session_ids": ["{session}"]}


def dreaming(*inputs: Any, **fields: Any) -> Call:
    body = {"inputs": list(inputs or (STORE, SESSIONS)), "model": "claude-opus-5", **fields}
    return Call("POST", PATH, body, headers=BETA)


ROWS = [
    Row(
        "DreamMemoryStoreInputParams.memory_store_id",
        Text(1, 128),
        "ours",
        dreaming({**STORE, "memory_store_id": VALUE}, SESSIONS),
        elsewhere=ABSENT,
    ),
    Row(
        "DreamSessionsInputParams.session_ids",
        Items(1, 100, listed(lambda number: f"{{dreamer{number}}}")),
        "18",
        dreaming(STORE, {**SESSIONS, "session_ids": VALUE}),
        shows=sorted,
    ),
    Row(
        "DreamSessionsInputParams.session_ids[]",
        Text(1, 128),
        "ours",
        dreaming(STORE, {**SESSIONS, "session_ids": [VALUE]}),
        elsewhere=ABSENT,
    ),
    Row(
        "UpdateExistingParams.memory_store_id",
        Text(1, 128),
        "ours",
        dreaming(output_behavior={"type": "update_existing", "memory_store_id": VALUE}),
        elsewhere="it is not the store that is read",
    ),
    Row("DreamModelParams.id", Text(1, 256), "18", dreaming(model={"id": VALUE})),
    Row("DreamCreateParams.instructions", Text(1, 4096), "18", dreaming(instructions=VALUE)),
    Row(
        "DreamListQuery.limit",
        Whole(1, 100),
        "18",
        Call("GET", PATH, query={"limit": VALUE}, headers=BETA),
        shown=None,
    ),
]
