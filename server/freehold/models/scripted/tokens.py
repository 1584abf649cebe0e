"""Plausible token counts for the scripted provider: four characters of JSON are one token.

Caching is played as a real provider does it: what the request before this one ended with is
read, what came since is written, and prefixes under the minimum are not cached at all.
"""

from __future__ import annotations

from typing import Any

import orjson

from freehold.core.events import Content, Json, ModelUsage
from freehold.core.model_catalog import describe
from freehold.ports.model import ModelRequest

CHARACTERS_PER_TOKEN = 4
MINIMUM_PREFIX = 1_024
"""Tokens below which nothing is cached."""
IMAGE_TOKENS = 1_600
"""What an image or document costs, whatever the size of its base64 text."""
UNCACHED = 4
"""Tokens behind the last breakpoint: the frame of the answer to come."""

_LARGE = 20_000


def input_tokens(request: ModelRequest) -> int:
    """All tokens of the request."""
    return _tokens(_prefix_size(request) + sum(_size(message) for message in request.messages))


def usage(request: ModelRequest, content: Content) -> ModelUsage:
    """What the request and its answer count as."""
    output = max(1, _tokens(sum(_size(block) for block in content)))
    total = input_tokens(request)
    if not describe(request.model).cache_breakpoints or total < MINIMUM_PREFIX:
        return ModelUsage(input_tokens=total, output_tokens=output)
    read = _tokens(_before(request))
    if read < MINIMUM_PREFIX:
        read = 0
    return ModelUsage(
        input_tokens=UNCACHED,
        output_tokens=output,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=total - read,
    )


def _before(request: ModelRequest) -> int:
    """Size of the request before this one; 0 when this is the first."""
    for index in range(len(request.messages) - 1, -1, -1):
        if request.messages[index]["role"] == "assistant":
            earlier = request.messages[:index]
            return _prefix_size(request) + sum(_size(message) for message in earlier)
    return 0


def _prefix_size(request: ModelRequest) -> int:
    return _size(request.tools) + _size(request.system)


def _tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)


def _size(value: Json | list[Json]) -> int:
    size = len(orjson.dumps(value))
    return size if size < _LARGE else size + _correction(value)


def _correction(value: Any) -> int:
    """What to add to the plain size so that encoded pictures do not count as text."""
    if isinstance(value, list):
        return sum(_correction(item) for item in value)
    if not isinstance(value, dict):
        return 0
    if value.get("type") == "base64" and isinstance(value.get("data"), str):
        return IMAGE_TOKENS * CHARACTERS_PER_TOKEN - len(value["data"])
    return sum(_correction(item) for item in value.values())
