"""Content blocks that name a file, and what a model is shown in their place (spec 6.3)."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from freehold.core.events import Json

IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
PDF = "application/pdf"
_TEXTS = frozenset({"application/json", "application/jsonl", "application/yaml"})


@dataclass(frozen=True)
class Attachment:
    """A file's type and content."""

    mime_type: str
    data: bytes


def takes(block_type: str, mime_type: str) -> bool:
    """Whether a block of this type can show a file of that one."""
    if block_type == "image":
        return mime_type in IMAGES
    return mime_type == PDF or _is_text(mime_type)


def _is_text(mime_type: str) -> bool:
    return mime_type.startswith("text/") or mime_type in _TEXTS


def file_id_of(block: Json) -> str | None:
    """The file that an image or a document names."""
    if block.get("type") not in ("image", "document"):
        return None
    source = block["source"]
    return str(source["file_id"]) if source["type"] == "file" else None


def named(messages: Sequence[Json]) -> Iterator[str]:
    """The files that a conversation names, in order, repeated if they are."""
    for message in messages:
        if isinstance(content := message["content"], list):
            yield from _named(content)


def _named(blocks: Sequence[Json]) -> Iterator[str]:
    for block in blocks:
        if (file_id := file_id_of(block)) is not None:
            yield file_id
        elif block.get("type") == "tool_result" and isinstance(block.get("content"), list):
            yield from _named(block["content"])


def shown(messages: Sequence[Json], files: Mapping[str, Attachment]) -> list[Json]:
    """The conversation with every file in its place; those that are not among ``files`` are gone.

    The messages given stay untouched.
    """
    return [
        {**message, "content": _shown(message["content"], files)}
        if isinstance(message["content"], list)
        else message
        for message in messages
    ]


def _shown(blocks: Sequence[Json], files: Mapping[str, Attachment]) -> list[Json]:
    return [_block(block, files) for block in blocks]


def _block(block: Json, files: Mapping[str, Attachment]) -> Json:
    if block.get("type") == "tool_result" and isinstance(block.get("content"), list):
        return {**block, "content": _shown(block["content"], files)}
    file_id = file_id_of(block)
    if file_id is None:
        return block
    file = files.get(file_id)
    if file is None:
        return {"type": "text", "text": f"[The file {file_id} is not available any more.]"}
    return {**block, "source": _source(file)}


def _source(file: Attachment) -> Json:
    if _is_text(file.mime_type):
        text = file.data.decode("utf-8", "replace")
        # The Messages API takes no empty source.
        return {"type": "text", "media_type": "text/plain", "data": text or "(empty file)"}
    return {
        "type": "base64",
        "media_type": file.mime_type,
        "data": base64.b64encode(file.data).decode(),
    }
