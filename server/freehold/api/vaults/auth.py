"""What clients give as ``auth``, sorted into what is shown and what is sealed (spec 14.2, 14.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from freehold.api.vaults.schemas import (
    CreateAuthParams,
    EnvironmentVariableCreateParams,
    EnvironmentVariableUpdateParams,
    InjectionLocationParams,
    MCPOAuthCreateParams,
    MCPOAuthUpdateParams,
    OAuthRefreshParams,
    OAuthRefreshUpdateParams,
    StaticBearerCreateParams,
    StaticBearerUpdateParams,
    TokenEndpointAuthNoneParams,
    UpdateAuthParams,
)
from freehold.core import times
from freehold.core.events import Json
from freehold.errors import InvalidRequest


@dataclass(frozen=True)
class Sorted:
    """A credential's ``auth`` in its two halves."""

    auth: Json
    secrets: Json = field(repr=False)


def created(params: CreateAuthParams, now: datetime) -> Sorted:
    """A new credential.

    Raises:
        InvalidRequest: it has expired, or would go nowhere.
    """
    match params:
        case StaticBearerCreateParams():
            shown = {"type": params.type, "mcp_server_url": params.mcp_server_url}
            return Sorted(shown, {"token": params.token})
        case MCPOAuthCreateParams():
            return _created_oauth(params, now)
        case EnvironmentVariableCreateParams():
            location = params.injection_location
            variable: Json = {
                "type": params.type,
                "secret_name": params.secret_name,
                "networking": params.networking.model_dump(),
                "injection_location": {"header": True, "body": True}
                if location is None
                else _located({"header": False, "body": False}, location),
            }
            return Sorted(variable, {"secret_value": params.secret_value})


def _created_oauth(params: MCPOAuthCreateParams, now: datetime) -> Sorted:
    shown: Json = {"type": params.type, "mcp_server_url": params.mcp_server_url}
    secrets: Json = {"access_token": params.access_token}
    if params.expires_at is not None:
        shown["expires_at"] = _future(params.expires_at, now)
    if params.refresh is not None:
        shown["refresh"] = _shown_refresh(params.refresh)
        secrets["refresh_token"] = params.refresh.refresh_token
        endpoint_auth = params.refresh.token_endpoint_auth
        if not isinstance(endpoint_auth, TokenEndpointAuthNoneParams):
            secrets["client_secret"] = endpoint_auth.client_secret
    return Sorted(shown, secrets)


def _shown_refresh(refresh: OAuthRefreshParams) -> Json:
    shown: Json = {
        "client_id": refresh.client_id,
        "token_endpoint": refresh.token_endpoint,
        "token_endpoint_auth": {"type": refresh.token_endpoint_auth.type},
    }
    if refresh.scope is not None:
        shown["scope"] = refresh.scope
    if refresh.resource is not None:
        shown["resource"] = refresh.resource
    return shown


def updated(stored: Sorted, params: UpdateAuthParams, now: datetime) -> Sorted:
    """The credential after a change.

    Raises:
        InvalidRequest: the change does not fit the credential.
    """
    if params.type != stored.auth["type"]:
        raise InvalidRequest("auth.type: does not match this credential's stored type")
    auth, secrets = dict(stored.auth), dict(stored.secrets)
    match params:
        case StaticBearerUpdateParams():
            if params.token is not None:
                secrets["token"] = params.token
        case MCPOAuthUpdateParams():
            _update_oauth(auth, secrets, params, now)
        case EnvironmentVariableUpdateParams():
            if params.secret_value is not None:
                secrets["secret_value"] = params.secret_value
            if params.networking is not None:
                auth["networking"] = params.networking.model_dump()
            if params.injection_location is not None:
                auth["injection_location"] = _located(
                    auth["injection_location"], params.injection_location
                )
    return Sorted(auth, secrets)


def _update_oauth(auth: Json, secrets: Json, params: MCPOAuthUpdateParams, now: datetime) -> None:
    if params.access_token is not None:
        secrets["access_token"] = params.access_token
    if params.expires_at is not None:
        auth["expires_at"] = _future(params.expires_at, now)
    elif "expires_at" in params.model_fields_set:
        auth.pop("expires_at", None)
    if params.refresh is None:
        return
    if "refresh" not in auth:
        raise InvalidRequest("auth.refresh: this credential was created without refresh capability")
    auth["refresh"] = _updated_refresh(auth["refresh"], secrets, params.refresh)


def _updated_refresh(shown: Json, secrets: Json, params: OAuthRefreshUpdateParams) -> Json:
    shown = dict(shown)
    if params.refresh_token is not None:
        secrets["refresh_token"] = params.refresh_token
    if params.scope is not None:
        shown.pop("scope", None)
        if params.scope:
            shown["scope"] = params.scope
    if params.token_endpoint_auth is not None:
        if "client_secret" not in secrets:
            raise InvalidRequest(
                "auth.refresh.token_endpoint_auth: this credential was created without a client "
                "secret"
            )
        if params.token_endpoint_auth.client_secret is not None:
            secrets["client_secret"] = params.token_endpoint_auth.client_secret
    return shown


def _future(moment: datetime, now: datetime) -> str:
    if moment <= now:
        raise InvalidRequest("auth.expires_at must be in the future.")
    return times.render(moment)


def _located(before: Json, change: InjectionLocationParams) -> Json:
    after = {
        "header": before["header"] if change.header is None else change.header,
        "body": before["body"] if change.body is None else change.body,
    }
    if not any(after.values()):
        raise InvalidRequest(
            "auth.injection_location: at least one of `header` and `body` must be true"
        )
    return after
