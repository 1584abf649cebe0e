"""The organization, workspaces and API keys on the wire (the SDK's ``organization`` methods)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from freehold.api.requests import INTEGER, Boolean, Params, Query
from freehold.api.schemas import Shown, Timestamp
from freehold.core import limits
from freehold.core.workspaces import NAME_MAX

_COLOR = "^#[0-9A-Fa-f]{6}$"
_Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX)]


class Organization(Shown):
    """What all workspaces are in: the server."""

    id: str
    type: Literal["organization"] = "organization"
    name: str


class DataResidency(Shown):
    """The only value that the type has; where the data is, is where the server is."""

    workspace_geo: Literal["us"]
    allowed_inference_geos: Literal["unrestricted"]
    default_inference_geo: Literal["global"]


class Workspace(Shown):
    """A workspace."""

    id: str
    type: Literal["workspace"] = "workspace"
    name: str
    display_color: str
    tags: dict[str, str]
    compartment_id: str
    data_residency: DataResidency
    external_key_id: str | None
    user_profile_id: str | None
    created_at: Timestamp
    archived_at: Timestamp | None


class WorkspacePage(Shown):
    """A page of workspaces."""

    data: list[Workspace]
    has_more: bool
    first_id: str | None
    last_id: str | None


class WorkspaceCreateParams(Params):
    """Body of ``POST /v1/organizations/workspaces``."""

    name: _Name
    display_color: Annotated[str, Field(pattern=_COLOR)] | None = None
    tags: dict[str, str] | None = None
    data_residency: dict[str, Any] | None = None
    external_key_id: str | None = None
    user_profile_id: str | None = None


class WorkspaceUpdateParams(Params):
    """Body of ``POST /v1/organizations/workspaces/{workspace_id}``."""

    name: _Name | None = None
    display_color: Annotated[str, Field(pattern=_COLOR)] | None = None
    tags: dict[str, str | None] | None = None
    data_residency: dict[str, Any] | None = None
    external_key_id: str | None = None
    user_profile_id: str | None = None


_Limit = Annotated[int, Field(ge=1, le=limits.ORGANIZATION_PAGE_MAX), INTEGER]


class WorkspaceListQuery(Query):
    """Parameters of ``GET /v1/organizations/workspaces``."""

    limit: _Limit = limits.PAGE_DEFAULT
    after_id: str | None = None
    before_id: str | None = None
    ids: Annotated[list[str], Field(max_length=100)] = Field(default=[], alias="ids[]")
    include_archived: Boolean = False
    include_default: Boolean = False


class WorkspaceScope(Shown):
    """Of a key that belongs to a workspace."""

    type: Literal["workspace"] = "workspace"
    workspace_id: str


class OrganizationScope(Shown):
    """Of an admin key."""

    type: Literal["organization"] = "organization"


class ApiKey(Shown):
    """A key, never its text."""

    id: str
    type: Literal["api_key"] = "api_key"
    name: str
    status: Literal["active", "inactive", "archived", "expired"]
    scope: WorkspaceScope | OrganizationScope
    partial_key_hint: str
    principal: None
    created_by: None
    created_at: Timestamp
    expires_at: Timestamp | None


class ApiKeyPage(Shown):
    """A page of keys."""

    data: list[ApiKey]
    has_more: bool
    first_id: str | None
    last_id: str | None


class ApiKeyUpdateParams(Params):
    """Body of ``POST /v1/organizations/api_keys/{api_key_id}``."""

    name: Annotated[str, Field(min_length=1, max_length=limits.API_KEY_NAME)] | None = None
    status: Literal["active", "inactive", "archived"] | None = None


class ApiKeyListQuery(Query):
    """Parameters of ``GET /v1/organizations/api_keys``."""

    limit: _Limit = limits.PAGE_DEFAULT
    after_id: str | None = None
    before_id: str | None = None
    created_by_user_id: str | None = None
    status: Literal["active", "inactive", "archived", "expired"] | None = None
    workspace_id: str | None = None
