"""Conversations with images, for a model that takes none."""

from __future__ import annotations

from freehold.core.events import Json

UNSEEN = "[An image, which this model cannot be shown.]"


def without_images(messages: list[Json]) -> list[Json]:
    """The messages with a line of text in the place of every image, also inside tool results.

    The messages given stay untouched; the same ones give the same result, so that a cached
    prefix stays one.
    """
    return [
        {**message, "content": _blocks(message["content"])}
        if isinstance(message["content"], list)
        else message
        for message in messages
    ]


def _blocks(blocks: list[Json]) -> list[Json]:
    return [_block(block) for block in blocks]


def _block(block: Json) -> Json:
    if block.get("type") == "image":
        return {"type": "text", "text": UNSEEN}
    content = block.get("content")
    if block.get("type") == "tool_result" and isinstance(content, list):
        return {**block, "content": _blocks(content)}
    return block
