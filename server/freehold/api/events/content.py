"""Content blocks that clients send (spec 6.3; appendix B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from freehold.api.requests import Params
from freehold.core.events import Content

Text = Annotated[str, StringConstraints(min_length=1)]


class TextBlockParams(Params):
    """Text."""

    type: Literal["text"]
    text: Text


class Base64SourceParams(Params):
    """The bytes themselves."""

    type: Literal["base64"]
    media_type: Text
    data: Annotated[str, StringConstraints(min_length=1, pattern=r"^[A-Za-z0-9+/\s]+={0,2}\s*$")]


class URLSourceParams(Params):
    """Where the bytes are."""

    type: Literal["url"]
    url: Text


class FileSourceParams(Params):
    """An uploaded file."""

    type: Literal["file"]
    file_id: Text


class TextSourceParams(Params):
    """The text itself."""

    type: Literal["text"]
    media_type: Literal["text/plain"]
    data: Text


class ImageBlockParams(Params):
    """An image."""

    type: Literal["image"]
    source: Annotated[
        Base64SourceParams | URLSourceParams | FileSourceParams, Field(discriminator="type")
    ]


class DocumentBlockParams(Params):
    """A document."""

    type: Literal["document"]
    source: Annotated[
        Base64SourceParams | TextSourceParams | URLSourceParams | FileSourceParams,
        Field(discriminator="type"),
    ]
    title: str | None = None
    context: str | None = None


class CitationsParams(Params):
    """Whether a search result may be cited."""

    enabled: bool


class SearchResultBlockParams(Params):
    """A search result."""

    type: Literal["search_result"]
    source: str
    title: str
    content: list[TextBlockParams]
    citations: CitationsParams


MessageBlock = Annotated[
    TextBlockParams | ImageBlockParams | DocumentBlockParams, Field(discriminator="type")
]
ResultBlock = Annotated[
    TextBlockParams | ImageBlockParams | DocumentBlockParams | SearchResultBlockParams,
    Field(discriminator="type"),
]
Block = TextBlockParams | ImageBlockParams | DocumentBlockParams | SearchResultBlockParams


def content(blocks: Sequence[Block]) -> Content:
    """The blocks as the log keeps them and the echo shows them."""
    return [block.model_dump(exclude_none=True) for block in blocks]
