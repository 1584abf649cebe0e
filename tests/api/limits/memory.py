"""Limits of memory stores and memories."""

from __future__ import annotations

from typing import Any

from tests.api.limits.kinds import ASTRAL, VALUE, Call, Row, Text, Whole, start_and
from tests.api.limits.sessions import hexadecimal


def memory(**fields: Any) -> Call:
    return Call(
        "POST",
        "/v1/memory_stores/{new_store}/memories?view=full",
        {"path": "/a", "content": "b", **fields},
        readable=False,
    )


def changing_memory(**fields: Any) -> Call:
    return Call("POST", "/v1/memory_stores/{store0}/memories/{memory}?view=full", fields)


def nested(count: int) -> str:
    """A path of that many segments."""
    return "/a" * count


def bytes_of_path(count: int) -> str:
    """A path of that many bytes, of fewer characters."""
    return "/" + ASTRAL * ((count - 4) // 4) + "x" * (3 + count % 4)


def bytes_of_text(count: int) -> str:
    return ASTRAL * (count // 4) + "x" * (count % 4)


PATH = Text(2, 1024, start_and("/"), astral=False)

ROWS = [
    Row(
        "MemoryStoreCreateParams.name",
        Text(1, 255),
        "A",
        Call("POST", "/v1/memory_stores", {"name": VALUE}),
    ),
    Row(
        "MemoryStoreCreateParams.description",
        Text(0, 1024),
        "A",
        Call("POST", "/v1/memory_stores", {"name": "limits", "description": VALUE}),
    ),
    Row(
        "MemoryStoreUpdateParams.name",
        Text(1, 255),
        "A",
        Call("POST", "/v1/memory_stores/{store0}", {"name": VALUE}),
        refusal="^name(: maximum string length is 255| cannot be empty)$",
    ),
    Row(
        "MemoryStoreUpdateParams.description",
        Text(0, 1024),
        "A",
        Call("POST", "/v1/memory_stores/{store0}", {"description": VALUE}),
    ),
    Row(
        "MemoryStoreListQuery.limit",
        Whole(1, 100),
        "1.8, D",
        Call("GET", "/v1/memory_stores", query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "MemoryListQuery.limit",
        Whole(1, 100),
        "1.8, D",
        Call("GET", "/v1/memory_stores/{store0}/memories", query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "MemoryVersionListQuery.limit",
        Whole(1, 100),
        "1.8, D",
        Call("GET", "/v1/memory_stores/{store0}/memory_versions", query={"limit": VALUE}),
        shown=None,
    ),
    Row("MemoryCreateParams.path", PATH, "A", memory(path=VALUE)),
    Row("MemoryUpdateParams.path", PATH, "A", changing_memory(path=VALUE)),
    Row(
        "bytes of a memory's path",
        Text(0, 1024, bytes_of_path, astral=False),
        "15.3",
        memory(path=VALUE),
        constant="MEMORY_PATH_BYTES",
        declared=False,
    ),
    Row(
        "segments of a memory's path",
        Text(1, 20, nested, astral=False),
        "15.3",
        memory(path=VALUE),
        constant="MEMORY_PATH_SEGMENTS",
        declared=False,
    ),
    *(
        Row(
            f"bytes of a memory's content, {name}",
            Text(0, 102_400, bytes_of_text, astral=False),
            "15.3, D",
            call,
            constant="MEMORY_CONTENT_BYTES",
            declared=False,
            refusal="^content must be at most 102400 bytes$",
        )
        for name, call in (
            ("created", memory(content=VALUE)),
            ("updated", changing_memory(content=VALUE)),
        )
    ),
    Row(
        "PreconditionParams.content_sha256",
        Text(64, 64, hexadecimal, astral=False),
        "15.3, D",
        changing_memory(
            content="c", precondition={"type": "content_sha256", "content_sha256": VALUE}
        ),
        declared=False,
        elsewhere="it is not the content's",
        refusal=r"^precondition\.content_sha256: must be 64 characters",
    ),
    Row(
        "MemoryDeleteQuery.expected_content_sha256",
        Text(64, 64, hexadecimal, astral=False),
        "D",
        Call(
            "DELETE",
            "/v1/memory_stores/{store0}/memories/{memory}",
            query={"expected_content_sha256": VALUE},
        ),
        declared=False,
        elsewhere="it is not the content's",
        refusal=r"^expected_content_sha256: must be 64 characters",
    ),
    Row(
        "MemoryListQuery.depth",
        Whole(0, 1),
        "15.1, D",
        Call("GET", "/v1/memory_stores/{store0}/memories", query={"depth": VALUE}),
        shown=None,
        declared=False,
        refusal="^depth must be 0 or 1 when provided$",
    ),
]
