"""Dreams on the wire (spec 18; appendix B)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from freehold.api.requests import INTEGER, Boolean, Moment, Params, Query
from freehold.api.schemas import Shown, Timestamp
from freehold.api.validation import PLAIN
from freehold.core import limits
from freehold.core.dreaming import DreamStatus

_Id = Annotated[str, StringConstraints(min_length=1, max_length=limits.ID)]
_ModelId = Annotated[str, StringConstraints(min_length=1, max_length=limits.MODEL_ID)]


def _plain(text: str) -> PydanticCustomError:
    return PydanticCustomError(PLAIN, "{text}", {"text": text})


class DreamMemoryStoreInputParams(Params):
    """The memory store to read."""

    type: Literal["memory_store"]
    memory_store_id: _Id


class DreamSessionsInputParams(Params):
    """The sessions to read."""

    type: Literal["sessions"]
    session_ids: Annotated[list[_Id], Field(min_length=1, max_length=limits.DREAM_SESSIONS)]


DreamInputParams = Annotated[
    DreamMemoryStoreInputParams | DreamSessionsInputParams, Field(discriminator="type")
]


class DreamModelParams(Params):
    """The model that dreams."""

    id: _ModelId
    speed: Literal["standard", "fast"] | None = None

    @field_validator("speed", mode="after")
    @classmethod
    def _standard(cls, speed: str | None) -> str | None:
        if speed == "fast":
            raise ValueError("dreams only take `standard`")
        return speed


class CreateNewParams(Params):
    """The result goes into a new store, which starts as a copy of the one that is read."""

    type: Literal["create_new"]


class UpdateExistingParams(Params):
    """The result goes into the store that is read."""

    type: Literal["update_existing"]
    memory_store_id: _Id


def _model(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


class DreamCreateParams(Params):
    """Body of ``POST /v1/dreams``."""

    inputs: list[DreamInputParams]
    model: Annotated[
        DreamModelParams,
        BeforeValidator(_model, json_schema_input_type=_ModelId | DreamModelParams),
    ]
    instructions: (
        Annotated[str, StringConstraints(min_length=1, max_length=limits.DREAM_INSTRUCTIONS)] | None
    ) = None
    output_behavior: Annotated[
        CreateNewParams | UpdateExistingParams, Field(discriminator="type")
    ] = CreateNewParams(type="create_new")

    @model_validator(mode="after")
    def _check(self) -> DreamCreateParams:
        if sorted(one.type for one in self.inputs) != ["memory_store", "sessions"]:
            raise _plain(
                "inputs: must contain exactly one `memory_store` entry and exactly one `sessions` "
                "entry"
            )
        written = self.output_behavior
        if (
            isinstance(written, UpdateExistingParams)
            and written.memory_store_id != self.store.memory_store_id
        ):
            raise _plain(
                "output_behavior.memory_store_id: must be the memory store of the `memory_store` "
                "entry in `inputs`"
            )
        return self

    @property
    def store(self) -> DreamMemoryStoreInputParams:
        """The one memory store among the inputs."""
        return next(one for one in self.inputs if isinstance(one, DreamMemoryStoreInputParams))

    @property
    def session_ids(self) -> list[str]:
        """The sessions among the inputs."""
        return next(
            one.session_ids for one in self.inputs if isinstance(one, DreamSessionsInputParams)
        )


class DreamListQuery(Query):
    """Parameters of ``GET /v1/dreams``."""

    limit: Annotated[int, Field(ge=1, le=limits.PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None
    statuses: list[DreamStatus] = Field(default=[], alias="statuses[]")
    include_archived: Boolean = False
    created_at_gt: Moment | None = Field(default=None, alias="created_at[gt]")
    created_at_lt: Moment | None = Field(default=None, alias="created_at[lt]")


class DreamMemoryStoreInput(Shown):
    """The memory store that is read."""

    type: Literal["memory_store"]
    memory_store_id: str


class DreamSessionsInput(Shown):
    """The sessions that are read, sorted."""

    type: Literal["sessions"]
    session_ids: list[str]


class DreamOutput(Shown):
    """The memory store that holds the result."""

    type: Literal["memory_store"]
    memory_store_id: str


class DreamModel(Shown):
    """The model that dreams."""

    id: str
    speed: Literal["standard"] = "standard"
    """Left out where the client did not give it."""


class CreateNew(Shown):
    """The result goes into a new store."""

    type: Literal["create_new"]


class UpdateExisting(Shown):
    """The result goes into the store that is read."""

    type: Literal["update_existing"]
    memory_store_id: str


class DreamUsage(Shown):
    """Tokens used so far."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int


class DreamError(Shown):
    """Why it failed."""

    type: str
    message: str


class Dream(Shown):
    """A job that reads a memory store and past sessions and reorganizes the store."""

    id: str
    type: Literal["dream"]
    status: DreamStatus
    inputs: list[Annotated[DreamMemoryStoreInput | DreamSessionsInput, Field(discriminator="type")]]
    outputs: list[DreamOutput]
    model: DreamModel
    instructions: str | None
    output_behavior: Annotated[CreateNew | UpdateExisting, Field(discriminator="type")]
    session_id: str | None
    usage: DreamUsage
    error: DreamError | None
    created_at: Timestamp
    ended_at: Timestamp | None
    archived_at: Timestamp | None


class DreamPage(Shown):
    """A page of dreams."""

    data: list[Dream]
    next_page: str | None = None
