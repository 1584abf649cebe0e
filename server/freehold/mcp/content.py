"""What a tool of an MCP server answers, in the content blocks of the Messages API (spec 12.5).

Text is passed on word for word. Images that the Messages API takes are images. Resources, links
and sound become text that says what they are; how the hosted service shows those is not known.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, assert_never

from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from freehold.core.events import Content, Json

_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
IMAGE_BYTES = 5 * 1024 * 1024
"""Largest image that the Messages API takes."""


def blocks(result: CallToolResult) -> Content:
    """The result's content; its structured form where there is nothing else."""
    found = [block for part in result.content for block in _of(part)]
    if not found and result.structured_content is not None:
        return [_text(_json(result.structured_content))]
    return found


def _of(part: ContentBlock) -> Sequence[Json]:
    match part:
        case TextContent(text=text):
            return [_text(text)] if text else []
        case ImageContent(data=data, mime_type=mime_type):
            return [_image(data, mime_type, "image")]
        case AudioContent(data=data, mime_type=mime_type):
            return [_text(f"[audio: {mime_type}, {_size(data)}; it cannot be shown]")]
        case ResourceLink():
            return [_text(_link(part))]
        case EmbeddedResource(resource=TextResourceContents(uri=uri, text=text)):
            return [_text(f"[resource {uri}]\n{text}")]
        case EmbeddedResource(resource=BlobResourceContents(uri=uri) as blob):
            mime_type = blob.mime_type or "application/octet-stream"
            return [_image(blob.blob, mime_type, f"resource {uri}")]
        case EmbeddedResource():
            return []
        case _:
            assert_never(part)


def _image(data: str, mime_type: str, what: str) -> Json:
    raw = _decoded(data)
    if raw is None or mime_type not in _IMAGES or not 0 < len(raw) <= IMAGE_BYTES:
        return _text(f"[{what}: {mime_type}, {_size(data)}; it cannot be shown]")
    return {
        "type": "image",
        "source": {
            "type": "base64",
            "media_type": mime_type,
            "data": base64.b64encode(raw).decode(),
        },
    }


def _link(link: ResourceLink) -> str:
    details = [link.title or link.name, link.description, link.mime_type]
    described = "; ".join(detail for detail in details if detail)
    return f"[resource link {link.uri}: {described}]"


def _size(data: str) -> str:
    raw = _decoded(data)
    return "not valid base64" if raw is None else f"{len(raw)} bytes"


def _decoded(data: str) -> bytes | None:
    try:
        return base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error):
        return None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(text: str) -> Json:
    return {"type": "text", "text": text}
