"""Limits of vaults and credentials."""

from __future__ import annotations

from typing import Any

from tests.api.limits.agents import domain
from tests.api.limits.kinds import VALUE, Call, Items, Row, Text, Whole, https, listed

TOKEN_ENDPOINT = "https://auth.example/token"
OAUTH: Any = {
    "type": "mcp_oauth",
    "access_token": "secret",
    "mcp_server_url": "https://mcp.example",
}
REFRESH: Any = {
    "token_endpoint": TOKEN_ENDPOINT,
    "client_id": "me",
    "refresh_token": "secret",
    "token_endpoint_auth": {"type": "none"},
}
BEARER: Any = {
    "type": "static_bearer",
    "token": "secret",
    "mcp_server_url": "https://mcp.example",
}
VARIABLE: Any = {
    "type": "environment_variable",
    "secret_name": "V",
    "secret_value": "secret",
    "networking": {"type": "unrestricted"},
}


def credential(auth: Any, **fields: Any) -> Call:
    path = "/v1/vaults/{new_vault}/credentials"
    return Call("POST", path, {"auth": auth, **fields}, readable=False)


def changing(which: str, **fields: Any) -> Call:
    path = f"/v1/vaults/{{vault0}}/credentials/{{{which}}}"
    return Call("POST", path, fields)


def refreshed(**fields: Any) -> Call:
    return credential({**OAUTH, "refresh": {**REFRESH, **fields}})


def printable(least: int, most: int) -> Text:
    return Text(least, most, astral=False)


def url(least: int, most: int) -> Text:
    return Text(least, most, https, astral=False)


ROWS = [
    Row(
        "VaultCreateParams.display_name",
        Text(1, 255),
        "A",
        Call("POST", "/v1/vaults", {"display_name": VALUE}),
    ),
    Row(
        "VaultUpdateParams.display_name",
        Text(1, 255),
        "A",
        Call("POST", "/v1/vaults/{vault0}", {"display_name": VALUE}),
    ),
    Row(
        "VaultListQuery.limit",
        Whole(1, 100),
        "1.8",
        Call("GET", "/v1/vaults", query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "limit of the list of credentials",
        Whole(1, 100),
        "1.8",
        Call("GET", "/v1/vaults/{vault0}/credentials", query={"limit": VALUE}),
        shown=None,
        declared=False,
    ),
    Row(
        "CredentialCreateParams.display_name",
        Text(0, 255),
        "A",
        credential(BEARER, display_name=VALUE),
    ),
    Row(
        "CredentialUpdateParams.display_name",
        Text(1, 255),
        "A",
        changing("bearer", display_name=VALUE),
    ),
    Row(
        "StaticBearerCreateParams.token",
        printable(1, 8192),
        "A",
        credential({**BEARER, "token": VALUE}),
        shown=None,
    ),
    Row(
        "StaticBearerCreateParams.mcp_server_url",
        url(1, 2047),
        "A",
        credential({**BEARER, "mcp_server_url": VALUE}),
        elsewhere="it is no URL",
        elsewhere_at=("least",),
    ),
    Row(
        "StaticBearerUpdateParams.token",
        printable(1, 8192),
        "A",
        changing("bearer", auth={"type": "static_bearer", "token": VALUE}),
        shown=None,
    ),
    Row(
        "MCPOAuthCreateParams.access_token",
        printable(1, 8192),
        "A",
        credential({**OAUTH, "access_token": VALUE}),
        shown=None,
    ),
    Row(
        "MCPOAuthCreateParams.mcp_server_url",
        url(1, 2047),
        "A",
        credential({**OAUTH, "mcp_server_url": VALUE}),
        elsewhere="it is no URL",
        elsewhere_at=("least",),
    ),
    Row(
        "MCPOAuthUpdateParams.access_token",
        printable(1, 8192),
        "A",
        changing("oauth", auth={"type": "mcp_oauth", "access_token": VALUE}),
        shown=None,
    ),
    Row(
        "OAuthRefreshParams.token_endpoint",
        url(1, 2047),
        "A",
        refreshed(token_endpoint=VALUE),
        elsewhere="it is no URL",
        elsewhere_at=("least",),
    ),
    Row("OAuthRefreshParams.client_id", Text(1, 1024), "A", refreshed(client_id=VALUE)),
    Row(
        "OAuthRefreshParams.refresh_token",
        Text(1, 4096),
        "A",
        refreshed(refresh_token=VALUE),
        shown=None,
    ),
    Row("OAuthRefreshParams.scope", Text(1, 8192), "A", refreshed(scope=VALUE)),
    Row(
        "OAuthRefreshParams.resource",
        url(1, 2047),
        "A",
        refreshed(resource=VALUE),
        elsewhere="it is no URL",
        elsewhere_at=("least",),
    ),
    *(
        Row(
            f"TokenEndpointAuth{name}Params.client_secret",
            Text(1, 512),
            "A",
            refreshed(token_endpoint_auth={"type": kind, "client_secret": VALUE}),
            shown=None,
        )
        for name, kind in (("Basic", "client_secret_basic"), ("Post", "client_secret_post"))
    ),
    Row(
        "OAuthRefreshUpdateParams.refresh_token",
        Text(1, 4096),
        "A",
        changing("oauth", auth={"type": "mcp_oauth", "refresh": {"refresh_token": VALUE}}),
        shown=None,
    ),
    Row(
        "OAuthRefreshUpdateParams.scope",
        Text(0, 8192),
        "A",
        changing("oauth", auth={"type": "mcp_oauth", "refresh": {"scope": VALUE}}),
    ),
    Row(
        "TokenEndpointAuthUpdateParams.client_secret",
        Text(1, 512),
        "A",
        changing(
            "oauth",
            auth={
                "type": "mcp_oauth",
                "refresh": {
                    "token_endpoint_auth": {"type": "client_secret_post", "client_secret": VALUE}
                },
            },
        ),
        shown=None,
    ),
    Row(
        "EnvironmentVariableCreateParams.secret_name",
        Text(0, 255, astral=False),
        "ours",
        credential({**VARIABLE, "secret_name": VALUE}),
    ),
    Row(
        "EnvironmentVariableCreateParams.secret_value",
        Text(1, 8192),
        "ours",
        credential({**VARIABLE, "secret_value": VALUE}),
        shown=None,
    ),
    Row(
        "EnvironmentVariableUpdateParams.secret_value",
        Text(1, 8192),
        "ours",
        changing("variable", auth={"type": "environment_variable", "secret_value": VALUE}),
        shown=None,
    ),
    Row(
        "LimitedNetworkingParams.allowed_hosts",
        Items(0, 16, listed(domain)),
        "14.2",
        credential({**VARIABLE, "networking": {"type": "limited", "allowed_hosts": VALUE}}),
    ),
]
