"""Resources of sessions on the wire (spec 9; appendix B)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, RootModel, StringConstraints

from freehold.api.memory_stores.schemas import MemoryStoreResourceParams
from freehold.api.requests import INTEGER, Params, Query
from freehold.api.schemas import Shown, Timestamp
from freehold.core import limits, mounts

_MountPath = Annotated[str, StringConstraints(min_length=1, max_length=limits.MOUNT_PATH)]
_Token = Annotated[
    str,
    StringConstraints(min_length=1, max_length=limits.REPOSITORY_TOKEN, pattern="^[!-~]+$"),
]


def _uploaded(path: str) -> str:
    return mounts.of_file("", path)


class FileResourceParams(Params):
    """A file of the Files API, put into the session's sandbox."""

    type: Literal["file"]
    file_id: Annotated[str, StringConstraints(min_length=1, max_length=limits.ID)]
    mount_path: Annotated[_MountPath, AfterValidator(_uploaded)] | None = None


class BranchCheckoutParams(Params):
    """The newest commit of a branch."""

    type: Literal["branch"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=limits.BRANCH)]


class CommitCheckoutParams(Params):
    """One commit."""

    type: Literal["commit"]
    sha: Annotated[
        str,
        StringConstraints(
            min_length=limits.COMMIT_MIN, max_length=limits.COMMIT_MAX, pattern="^[0-9a-fA-F]+$"
        ),
    ]


class GitHubRepositoryResourceParams(Params):
    """A git repository, cloned into the session's sandbox."""

    type: Literal["github_repository"]
    url: Annotated[str, StringConstraints(min_length=1, max_length=limits.REPOSITORY_URL)]
    authorization_token: _Token | None = Field(default=None, repr=False)
    checkout: (
        Annotated[BranchCheckoutParams | CommitCheckoutParams, Field(discriminator="type")] | None
    ) = None
    mount_path: Annotated[_MountPath, AfterValidator(mounts.normalised)] | None = None


ResourceParams = Annotated[
    FileResourceParams | GitHubRepositoryResourceParams | MemoryStoreResourceParams,
    Field(discriminator="type"),
]
"""An entry of ``resources`` at ``POST /v1/sessions``."""


class ResourceUpdateParams(Params):
    """Body of ``POST …/resources/{resource_id}``."""

    authorization_token: _Token = Field(repr=False)


class ResourceListQuery(Query):
    """Parameters of ``GET …/resources``; without ``limit`` all are listed."""

    limit: Annotated[int, Field(ge=1, le=limits.RESOURCES_PAGE_MAX), INTEGER] | None = None
    page: str | None = None


class FileResource(Shown):
    """A file; ``file_id`` is the session's own copy of it."""

    id: str
    type: Literal["file"] = "file"
    file_id: str
    mount_path: str
    created_at: Timestamp
    updated_at: Timestamp


class BranchCheckout(Shown):
    """The newest commit of a branch."""

    type: Literal["branch"] = "branch"
    name: str


class CommitCheckout(Shown):
    """One commit."""

    type: Literal["commit"] = "commit"
    sha: str


class GitHubRepositoryResource(Shown):
    """A git repository, without its token."""

    id: str
    type: Literal["github_repository"] = "github_repository"
    url: str
    mount_path: str
    checkout: Annotated[BranchCheckout | CommitCheckout, Field(discriminator="type")] | None
    created_at: Timestamp
    updated_at: Timestamp


class MemoryStoreResource(Shown):
    """A memory store, with its name and description as they were when it was attached."""

    type: Literal["memory_store"] = "memory_store"
    memory_store_id: str
    access: Literal["read_write", "read_only"]
    name: str
    description: str
    mount_path: str
    instructions: str | None = None


SessionResource = Annotated[
    FileResource | GitHubRepositoryResource | MemoryStoreResource, Field(discriminator="type")
]


class ResourceShown(RootModel[SessionResource]):
    """A resource of any type."""


class ResourcePage(Shown):
    """A page of a session's resources."""

    data: list[SessionResource]
    next_page: str | None = None


class DeletedResource(Shown):
    """What is left of a resource."""

    id: str
    type: Literal["session_resource_deleted"] = "session_resource_deleted"
