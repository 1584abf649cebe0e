"""Memory stores on the wire (spec 15.1, 15.2; appendix B)."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from freehold.api.requests import INTEGER, Boolean, Moment, Params, Query
from freehold.api.schemas import Metadata, MetadataPatch, Shown, Timestamp
from freehold.api.validation import PLAIN
from freehold.core import limits
from freehold.core.memory_paths import content_problem, path_problem

View = Literal["basic", "full"]

_SHA256 = re.compile("[0-9a-f]{64}")
_SHA256_LENGTH = 64
_STRING = {"type": "string"}


def _plain(text: str) -> PydanticCustomError:
    return PydanticCustomError(PLAIN, "{text}", {"text": text})


def _name(value: Any) -> Any:
    if value is None or value == "":
        raise _plain("name cannot be empty")
    return value


def _printable(value: str) -> str:
    if any(unicodedata.category(char) == "Cc" for char in value):
        raise ValueError("must not contain control characters")
    return value


def _bag(value: Any) -> Any:
    if value is None:
        raise _plain(
            'Failed to parse request: params: field "metadata": null is not a valid value for a '
            "map field; omit the field to preserve, or set individual keys to null to delete them"
        )
    return value


def _path(value: str) -> str:
    if (problem := path_problem(value)) is not None:
        raise ValueError(problem)
    return value


def _content(value: str) -> str:
    if (problem := content_problem(value)) is not None:
        raise _plain(problem)
    return value


def _sha256(value: str) -> str:
    if _SHA256.fullmatch(value) is None:
        if len(value) != _SHA256_LENGTH:
            raise ValueError("must be 64 characters (and 1 more validation errors)")
        raise ValueError("must be 64 lowercase hexadecimal characters")
    return value


def _given_sha256(value: Any) -> Any:
    if value is None:
        raise ValueError("Value is not nullable")
    return value


_Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=limits.MEMORY_STORE_NAME),
    AfterValidator(_printable),
]
_Description = Annotated[str, StringConstraints(max_length=limits.MEMORY_STORE_DESCRIPTION)]
_Path = Annotated[
    str,
    StringConstraints(min_length=2, max_length=limits.MEMORY_PATH_BYTES),
    AfterValidator(_path),
]
_Content = Annotated[str, AfterValidator(_content)]
_Sha256 = Annotated[
    str,
    AfterValidator(_sha256),
    WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
]


class MemoryStoreCreateParams(Params):
    """Body of ``POST /v1/memory_stores``."""

    name: _Name
    description: _Description | None = None
    metadata: Annotated[Metadata, BeforeValidator(_bag)] = Field(default_factory=dict)


class MemoryStoreUpdateParams(Params):
    """Body of ``POST /v1/memory_stores/{memory_store_id}``; what is left out stays."""

    name: Annotated[_Name | None, BeforeValidator(_name, json_schema_input_type=_Name)] = None
    description: _Description | None = None
    metadata: Annotated[
        MetadataPatch | None, BeforeValidator(_bag, json_schema_input_type=MetadataPatch)
    ] = None

    @model_validator(mode="after")
    def _something(self) -> MemoryStoreUpdateParams:
        if not self.model_fields_set:
            raise _plain("at least one of name, description, or metadata must be provided")
        return self


class MemoryStoreListQuery(Query):
    """Parameters of ``GET /v1/memory_stores``."""

    limit: Annotated[int, Field(ge=1, le=limits.PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None
    include_archived: Boolean = False
    created_at_gte: Moment | None = Field(default=None, alias="created_at[gte]")
    created_at_lte: Moment | None = Field(default=None, alias="created_at[lte]")


class MemoryCreateParams(Params):
    """Body of ``POST …/memories``."""

    path: _Path
    content: _Content

    @model_validator(mode="before")
    @classmethod
    def _required(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("content") is None and "path" in data:
            raise _plain("content: value is required")
        return data


class PreconditionParams(Params):
    """What the memory must hold for the change to be made."""

    type: Literal["content_sha256"]
    content_sha256: Annotated[_Sha256, BeforeValidator(_given_sha256)]

    @model_validator(mode="before")
    @classmethod
    def _typed(cls, data: Any) -> Any:
        if isinstance(data, dict) and "type" not in data:
            raise _plain("Failed to parse request: precondition.type: Field required")
        return data


def _given_precondition(value: Any) -> Any:
    if value is None:
        raise ValueError("Value is not nullable")
    return value


class MemoryUpdateParams(Params):
    """Body of ``POST …/memories/{memory_id}``; ``null`` leaves as it is."""

    path: _Path | None = None
    content: _Content | None = None
    precondition: Annotated[
        PreconditionParams | None,
        BeforeValidator(_given_precondition, json_schema_input_type=PreconditionParams),
    ] = None

    @model_validator(mode="after")
    def _something(self) -> MemoryUpdateParams:
        if self.path is None and self.content is None:
            raise _plain(
                "v1_update_memory_params: at least one of content or path must be provided"
            )
        return self


class BasicViewQuery(Query):
    """Parameter of the calls that leave the content out unless asked."""

    view: View = "basic"


class FullViewQuery(Query):
    """Parameter of the calls that show the content unless asked."""

    view: View = "full"


class MemoryDeleteQuery(Query):
    """Parameter of ``DELETE …/memories/{memory_id}``."""

    expected_content_sha256: _Sha256 | None = None


def _depth(value: Any) -> Any:
    if value not in ("0", "1"):
        raise _plain("depth must be 0 or 1 when provided")
    return int(value)


def _searchable(value: str) -> str:
    # PostgreSQL's texts cannot hold the character, not even to be looked for.
    if "\0" in value:
        raise ValueError("must not contain NUL characters")
    return value


_Searched = Annotated[str, AfterValidator(_searchable)]


def _prefix(value: str) -> str:
    if not (value.startswith("/") and value.endswith("/")) or "//" in value:
        raise _plain("path_prefix must be segment-aligned and end with /")
    return value


class MemoryListQuery(Query):
    """Parameters of ``GET …/memories``."""

    limit: Annotated[int, Field(ge=1, le=limits.PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None
    path_prefix: Annotated[_Searched, AfterValidator(_prefix)] | None = None
    depth: (
        Annotated[
            int,
            BeforeValidator(_depth),
            WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 1}),
        ]
        | None
    ) = None
    view: View = "basic"

    @model_validator(mode="after")
    def _together(self) -> MemoryListQuery:
        # Recorded, although 0 is also what is meant without a depth.
        if self.depth == 0 and self.path_prefix is not None:
            raise _plain("depth: must be greater than or equal to 1")
        return self


class MemoryVersionListQuery(Query):
    """Parameters of ``GET …/memory_versions``."""

    limit: Annotated[int, Field(ge=1, le=limits.PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None
    memory_id: _Searched | None = None
    session_id: _Searched | None = None
    api_key_id: _Searched | None = None
    service_account_id: _Searched | None = None
    operation: Literal["created", "modified", "deleted"] | None = None
    view: View = "basic"
    created_at_gte: Moment | None = Field(default=None, alias="created_at[gte]")
    created_at_lte: Moment | None = Field(default=None, alias="created_at[lte]")


class MemoryStore(Shown):
    """A memory store."""

    id: str
    type: Literal["memory_store"] = "memory_store"
    name: str
    description: str
    metadata: dict[str, str]
    created_at: Timestamp
    updated_at: Timestamp
    archived_at: Timestamp | None


class MemoryStorePage(Shown):
    """A page of memory stores."""

    data: list[MemoryStore]
    next_page: str | None = None


class DeletedMemoryStore(Shown):
    """What is left of a memory store."""

    id: str
    type: Literal["memory_store_deleted"] = "memory_store_deleted"


class Memory(Shown):
    """A text at a path; ``content`` is ``null`` in the basic view."""

    id: str
    type: Literal["memory"] = "memory"
    memory_store_id: str
    path: str
    content: str | None
    content_sha256: str
    content_size_bytes: int
    memory_version_id: str
    created_at: Timestamp
    updated_at: Timestamp


class MemoryPrefix(Shown):
    """A folder that stands for all the memories in it."""

    type: Literal["memory_prefix"] = "memory_prefix"
    path: str


class MemoryPage(Shown):
    """A page of memories and folders. ``prefixes`` is always empty: folders are in ``data``."""

    data: list[Annotated[Memory | MemoryPrefix, Field(discriminator="type")]]
    prefixes: list[str] = Field(default_factory=list)
    next_page: str | None = None


class DeletedMemory(Shown):
    """What is left of a memory, beside its versions."""

    id: str
    type: Literal["memory_deleted"] = "memory_deleted"


class SessionActor(Shown):
    """The agent of a session, through the mounted store."""

    type: Literal["session_actor"] = "session_actor"
    session_id: str


class ApiActor(Shown):
    """A client, by its key."""

    type: Literal["api_actor"] = "api_actor"
    api_key_id: str


class UserActor(Shown):
    """A person."""

    type: Literal["user_actor"] = "user_actor"
    user_id: str


class ServiceAccountActor(Shown):
    """A service account."""

    type: Literal["service_account_actor"] = "service_account_actor"
    service_account_id: str


AnyActor = Annotated[
    SessionActor | ApiActor | UserActor | ServiceAccountActor, Field(discriminator="type")
]


class MemoryVersion(Shown):
    """One change of a memory."""

    id: str
    type: Literal["memory_version"] = "memory_version"
    memory_store_id: str
    memory_id: str
    operation: Literal["created", "modified", "deleted"]
    path: str | None
    content: str | None
    content_sha256: str | None
    content_size_bytes: int | None
    created_by: AnyActor | None
    created_at: Timestamp
    redacted_at: Timestamp | None
    redacted_by: AnyActor | None


class MemoryVersionPage(Shown):
    """A page of versions."""

    data: list[MemoryVersion]
    next_page: str | None = None


class MemoryStoreResourceParams(Params):
    """A memory store in the ``resources`` of a new session (spec 9.2)."""

    type: Literal["memory_store"]
    memory_store_id: Annotated[str, StringConstraints(min_length=1, max_length=limits.ID)]
    access: Literal["read_write", "read_only"] | None = None
    instructions: (
        Annotated[str, StringConstraints(max_length=limits.MEMORY_INSTRUCTIONS)] | None
    ) = None
