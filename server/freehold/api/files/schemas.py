"""Files on the wire (spec 17; appendix B)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from freehold.api.requests import INTEGER, Params, Query
from freehold.api.schemas import Shown, Timestamp
from freehold.core import limits


class FileUploadParams(Params):
    """The form of ``POST /v1/files``; for the document, the form is read part by part."""

    file: Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})]
    expires_in_seconds: (
        Annotated[int, Field(ge=limits.FILE_LIFETIME_MIN, le=limits.FILE_LIFETIME_MAX)] | None
    ) = None
    """Without it the file stays."""


class FileListQuery(Query):
    """Parameters of the list; the last two belong to the older one."""

    ids: list[str] = Field(default=[], alias="ids[]")
    limit: Annotated[int, Field(ge=1, le=limits.FILES_PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None
    scope_id: str | None = None
    after_id: str | None = None
    before_id: str | None = None


class FileScope(Shown):
    """What a file belongs to."""

    type: Literal["session"]
    id: str


class FileMetadata(Shown):
    """A file; ``scope`` is shown to those who name the beta of managed agents."""

    id: str
    type: Literal["file"]
    filename: str
    mime_type: str
    size_bytes: int
    created_at: Timestamp
    downloadable: bool
    expires_at: Timestamp | None
    scope: FileScope | None = None


class FilePage(Shown):
    """A page of files."""

    data: list[FileMetadata]
    next_page: str | None


class OldFilePage(Shown):
    """A page of files as it was under the older beta header."""

    data: list[FileMetadata]
    has_more: bool
    first_id: str | None
    last_id: str | None


class DeletedFile(Shown):
    """A file that is gone."""

    id: str
    type: Literal["file_deleted"]
