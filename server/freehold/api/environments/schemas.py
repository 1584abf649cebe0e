"""Environments on the wire (spec 3.1, 3.2; appendix B)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator

from freehold.api.requests import INTEGER, Boolean, Params, Query
from freehold.api.schemas import Metadata, MetadataPatch, Shown, Timestamp
from freehold.core import domains, limits

Manager = Literal["apt", "cargo", "gem", "go", "npm", "pip"]
MANAGERS: tuple[Manager, ...] = ("apt", "cargo", "gem", "go", "npm", "pip")

_Package = Annotated[str, StringConstraints(min_length=1, max_length=limits.PACKAGE_SPEC)]
_Packages = Annotated[list[_Package], Field(max_length=limits.PACKAGES_PER_MANAGER)]


class PackagesParams(Params):
    """Packages to install before the agent starts; lists replace what is stored."""

    type: Literal["packages"] | None = None
    apt: _Packages | None = None
    cargo: _Packages | None = None
    gem: _Packages | None = None
    go: _Packages | None = None
    npm: _Packages | None = None
    pip: _Packages | None = None

    @field_validator(*MANAGERS, mode="after")
    @classmethod
    def _check(cls, specs: list[str] | None) -> list[str] | None:
        for spec in specs or ():
            # An installer would take it for an option; the rest of the text is the installer's.
            if spec.strip().startswith("-") or any(char.isspace() and char != " " for char in spec):
                raise ValueError(f"{spec!r} is not a package")
        return specs


class UnrestrictedNetworkParams(Params):
    """No limit on where the sandbox connects to."""

    type: Literal["unrestricted"]


class LimitedNetworkParams(Params):
    """Only what is allowed; fields that are left out keep what is stored."""

    type: Literal["limited"]
    allowed_hosts: Annotated[list[str], Field(max_length=limits.ALLOWED_HOSTS)] | None = None
    allow_mcp_servers: bool | None = None
    allow_package_managers: bool | None = None

    @field_validator("allowed_hosts", mode="after")
    @classmethod
    def _check(cls, hosts: list[str] | None) -> list[str] | None:
        for index, host in enumerate(hosts or ()):
            if (problem := domains.allowed_host_problem(host)) is not None:
                raise ValueError(f"entry {index}: {problem}")
        return hosts


class CloudConfigParams(Params):
    """A sandbox that Freehold makes."""

    type: Literal["cloud"]
    networking: (
        Annotated[UnrestrictedNetworkParams | LimitedNetworkParams, Field(discriminator="type")]
        | None
    ) = None
    packages: PackagesParams | None = None


class SelfHostedConfigParams(Params):
    """A sandbox on a worker of the user's own."""

    type: Literal["self_hosted"]


ConfigParams = Annotated[CloudConfigParams | SelfHostedConfigParams, Field(discriminator="type")]
Scope = Literal["organization", "account"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=limits.ENVIRONMENT_NAME)]
Description = Annotated[str, StringConstraints(max_length=limits.ENVIRONMENT_DESCRIPTION)]


class EnvironmentCreateParams(Params):
    """Body of ``POST /v1/environments``."""

    name: Name
    description: Description | None = None
    config: ConfigParams | None = None
    metadata: Metadata | None = None
    scope: Scope | None = None


class EnvironmentUpdateParams(Params):
    """Body of ``POST /v1/environments/{environment_id}``; what is left out stays."""

    name: Name | None = None
    description: Description | None = None
    config: ConfigParams | None = None
    metadata: MetadataPatch | None = None
    scope: Scope | None = None


class EnvironmentListQuery(Query):
    """Parameters of ``GET /v1/environments``."""

    limit: Annotated[int, Field(ge=1, le=limits.ENVIRONMENTS_PAGE_MAX), INTEGER] = (
        limits.PAGE_DEFAULT
    )
    page: str | None = None
    include_archived: Boolean = False


class EnvironmentDeleteQuery(Query):
    """Parameters of ``DELETE /v1/environments/{environment_id}``; recorded, not in the SDK."""

    force: Boolean = False


class Environment(Shown):
    """An environment."""

    id: str
    type: Literal["environment"] = "environment"
    name: str
    description: str | None
    config: dict[str, Any]
    """``cloud`` with networking and all six package lists, or ``self_hosted``."""
    metadata: dict[str, str]
    scope: Scope
    created_at: Timestamp
    updated_at: Timestamp
    archived_at: Timestamp | None


class EnvironmentPage(Shown):
    """A page of environments; the last has ``next_page: null``."""

    data: list[Environment]
    next_page: str | None


class DeletedEnvironment(Shown):
    """What is left of an environment."""

    id: str
    type: Literal["environment_deleted"] = "environment_deleted"
