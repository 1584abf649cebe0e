"""Vaults and credentials on the wire (spec 14.1, 14.2; appendix B).

What a client gives as a secret is in ``…Params`` alone; no answer has a field for it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator

from freehold.api.requests import INTEGER, Boolean, Moment, Params, Query
from freehold.api.schemas import Metadata, MetadataPatch, Shown, Timestamp
from freehold.core import domains, limits, urls

_VaultName = Annotated[str, StringConstraints(min_length=1, max_length=limits.VAULT_DISPLAY_NAME)]


class VaultCreateParams(Params):
    """Body of ``POST /v1/vaults``."""

    display_name: _VaultName
    metadata: Metadata | None = None


class VaultUpdateParams(Params):
    """Body of ``POST /v1/vaults/{vault_id}``; what is left out or null stays."""

    display_name: _VaultName | None = None
    metadata: MetadataPatch | None = None


class VaultListQuery(Query):
    """Parameters of the lists of vaults and of credentials."""

    limit: Annotated[int, Field(ge=1, le=limits.PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    page: str | None = None
    include_archived: Boolean = False


def _url(value: str) -> str:
    if (problem := urls.http_url_problem(value)) is not None:
        raise ValueError(problem)
    return value


def _token(value: str) -> str:
    # What a header cannot carry would fail at every use, and the error would quote it.
    if not all("!" <= char <= "~" for char in value):
        raise ValueError("must be printable ASCII without spaces")
    return value


_Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=limits.CREDENTIAL_URL),
    AfterValidator(_url),
]
_Token = Annotated[
    str,
    StringConstraints(min_length=1, max_length=limits.CREDENTIAL_TOKEN),
    AfterValidator(_token),
]
_RefreshToken = Annotated[str, StringConstraints(min_length=1, max_length=limits.REFRESH_TOKEN)]
_ClientSecret = Annotated[str, StringConstraints(min_length=1, max_length=limits.CLIENT_SECRET)]
_SecretValue = Annotated[str, StringConstraints(min_length=1, max_length=limits.CREDENTIAL_TOKEN)]


class StaticBearerCreateParams(Params):
    """A token that does not change by itself."""

    type: Literal["static_bearer"]
    token: _Token
    mcp_server_url: _Url


class TokenEndpointAuthNoneParams(Params):
    """A public client: its id goes into the form."""

    type: Literal["none"]


class TokenEndpointAuthBasicParams(Params):
    """Id and secret of the client go into the ``Authorization`` header."""

    type: Literal["client_secret_basic"]
    client_secret: _ClientSecret


class TokenEndpointAuthPostParams(Params):
    """Id and secret of the client go into the form."""

    type: Literal["client_secret_post"]
    client_secret: _ClientSecret


TokenEndpointAuthParams = Annotated[
    TokenEndpointAuthNoneParams | TokenEndpointAuthBasicParams | TokenEndpointAuthPostParams,
    Field(discriminator="type"),
]


class OAuthRefreshParams(Params):
    """How the access token is renewed."""

    token_endpoint: _Url
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=limits.CLIENT_ID)]
    refresh_token: _RefreshToken
    token_endpoint_auth: TokenEndpointAuthParams
    scope: Annotated[str, StringConstraints(min_length=1, max_length=limits.OAUTH_SCOPE)] | None = (
        None
    )
    resource: _Url | None = None


class MCPOAuthCreateParams(Params):
    """An OAuth access token, with what renews it if there is something."""

    type: Literal["mcp_oauth"]
    access_token: _Token
    mcp_server_url: _Url
    expires_at: Moment | None = None
    refresh: OAuthRefreshParams | None = None


class UnrestrictedNetworkingParams(Params):
    """The value may go to any host."""

    type: Literal["unrestricted"]


class LimitedNetworkingParams(Params):
    """The value may go to these hosts only."""

    type: Literal["limited"]
    allowed_hosts: Annotated[list[str], Field(max_length=limits.CREDENTIAL_HOSTS)]

    @field_validator("allowed_hosts", mode="after")
    @classmethod
    def _check(cls, hosts: list[str]) -> list[str]:
        for index, host in enumerate(hosts):
            problem = domains.allowed_host_problem(host)
            if problem is None and ":" in host:
                problem = "IPv6 addresses are not supported"
            if problem is not None:
                raise ValueError(f"entry {index}: {problem}")
        return hosts


_Networking = Annotated[
    UnrestrictedNetworkingParams | LimitedNetworkingParams, Field(discriminator="type")
]


class InjectionLocationParams(Params):
    """Where in a request the value is put in place of its stand-in."""

    header: bool | None = None
    body: bool | None = None


def _not_null(value: InjectionLocationParams | None) -> InjectionLocationParams | None:
    if value is None:
        raise ValueError("must not be null; omit the field instead")
    return value


_Injection = Annotated[InjectionLocationParams | None, AfterValidator(_not_null)]


class EnvironmentVariableCreateParams(Params):
    """A secret that programs in the sandbox use without seeing it."""

    type: Literal["environment_variable"]
    secret_name: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=limits.SECRET_NAME),
    ]
    secret_value: _SecretValue
    networking: _Networking
    injection_location: _Injection = None


CreateAuthParams = Annotated[
    StaticBearerCreateParams | MCPOAuthCreateParams | EnvironmentVariableCreateParams,
    Field(discriminator="type"),
]
_DisplayName = Annotated[str, StringConstraints(max_length=limits.VAULT_DISPLAY_NAME)]


class CredentialCreateParams(Params):
    """Body of ``POST /v1/vaults/{vault_id}/credentials``."""

    auth: CreateAuthParams
    display_name: _DisplayName | None = None
    metadata: Metadata | None = None


class StaticBearerUpdateParams(Params):
    """Another token."""

    type: Literal["static_bearer"]
    token: _Token | None = None


class TokenEndpointAuthUpdateParams(Params):
    """Another secret of the client; the kind stays as it was created."""

    type: Literal["client_secret_basic", "client_secret_post"]
    client_secret: _ClientSecret | None = None


class OAuthRefreshUpdateParams(Params):
    """Other ways to renew; an empty ``scope`` clears it."""

    refresh_token: _RefreshToken | None = None
    scope: Annotated[str, StringConstraints(max_length=limits.OAUTH_SCOPE)] | None = None
    token_endpoint_auth: TokenEndpointAuthUpdateParams | None = None


class MCPOAuthUpdateParams(Params):
    """Other tokens. A new access token without ``expires_at`` keeps the old moment."""

    type: Literal["mcp_oauth"]
    access_token: _Token | None = None
    expires_at: Moment | None = None
    refresh: OAuthRefreshUpdateParams | None = None


class EnvironmentVariableUpdateParams(Params):
    """Another value. ``networking`` replaces the whole, ``injection_location`` field by field."""

    type: Literal["environment_variable"]
    secret_value: _SecretValue | None = None
    networking: _Networking | None = None
    injection_location: _Injection = None


UpdateAuthParams = Annotated[
    StaticBearerUpdateParams | MCPOAuthUpdateParams | EnvironmentVariableUpdateParams,
    Field(discriminator="type"),
]


class CredentialUpdateParams(Params):
    """Body of ``POST /v1/vaults/{vault_id}/credentials/{credential_id}``."""

    auth: UpdateAuthParams | None = None
    display_name: (
        Annotated[str, StringConstraints(min_length=1, max_length=limits.VAULT_DISPLAY_NAME)] | None
    ) = None
    metadata: MetadataPatch | None = None


class Vault(Shown):
    """A vault."""

    id: str
    type: Literal["vault"] = "vault"
    display_name: str
    metadata: dict[str, str]
    created_at: Timestamp
    updated_at: Timestamp
    archived_at: Timestamp | None


class VaultPage(Shown):
    """A page of vaults."""

    data: list[Vault]
    next_page: str | None = None


class DeletedVault(Shown):
    """What is left of a vault."""

    id: str
    type: Literal["vault_deleted"] = "vault_deleted"


class StaticBearerAuth(Shown):
    """A token for an MCP server."""

    type: Literal["static_bearer"]
    mcp_server_url: str


class TokenEndpointAuth(Shown):
    """How the client names itself to the token endpoint."""

    type: Literal["none", "client_secret_basic", "client_secret_post"]


class OAuthRefresh(Shown):
    """How the access token is renewed."""

    client_id: str
    token_endpoint: str
    token_endpoint_auth: TokenEndpointAuth
    scope: str | None = None
    resource: str | None = None


class MCPOAuthAuth(Shown):
    """An OAuth access token for an MCP server."""

    type: Literal["mcp_oauth"]
    mcp_server_url: str
    expires_at: str | None = None
    refresh: OAuthRefresh | None = None


class CredentialNetworking(Shown):
    """Where the value may go."""

    type: Literal["unrestricted", "limited"]
    allowed_hosts: list[str] | None = None


class InjectionLocation(Shown):
    """Where in a request the value is put in place of its stand-in."""

    header: bool
    body: bool


class EnvironmentVariableAuth(Shown):
    """A secret for programs in the sandbox."""

    type: Literal["environment_variable"]
    secret_name: str
    networking: CredentialNetworking
    injection_location: InjectionLocation


class Credential(Shown):
    """A credential, without its secrets."""

    id: str
    type: Literal["vault_credential"] = "vault_credential"
    vault_id: str
    auth: Annotated[
        StaticBearerAuth | MCPOAuthAuth | EnvironmentVariableAuth, Field(discriminator="type")
    ]
    metadata: dict[str, str]
    display_name: str | None = None
    created_at: Timestamp
    updated_at: Timestamp
    archived_at: Timestamp | None


class CredentialPage(Shown):
    """A page of credentials."""

    data: list[Credential]
    next_page: str | None = None


class DeletedCredential(Shown):
    """What is left of a credential."""

    id: str
    type: Literal["vault_credential_deleted"] = "vault_credential_deleted"


class HTTPResponse(Shown):
    """What a server answered, secrets masked."""

    status_code: int
    content_type: str
    body: str
    body_truncated: bool


class MCPProbe(Shown):
    """The request that the server did not take."""

    method: str
    http_response: HTTPResponse | None


class RefreshResult(Shown):
    """What came of renewing the access token."""

    status: Literal["succeeded", "failed", "connect_error", "no_refresh_token"]
    http_response: HTTPResponse | None


class CredentialValidation(Shown):
    """Whether a credential works."""

    type: Literal["vault_credential_validation"] = "vault_credential_validation"
    credential_id: str
    vault_id: str
    status: Literal["valid", "invalid", "unknown"]
    validated_at: Timestamp
    has_refresh_token: bool
    mcp_probe: MCPProbe | None
    refresh: RefreshResult | None
