"""Vaults and credentials through the official SDK (spec 14)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic

from tests.api.conftest import refused
from tests.support.mcp_servers import Door, mcp_server
from tests.support.running import free_port

URL = "https://mcp.example.com/mcp"
BEARER = {"type": "static_bearer", "token": "bearer-secret-1", "mcp_server_url": URL}
REFRESH = {
    "token_endpoint": "https://auth.example.com/token",
    "client_id": "me",
    "refresh_token": "refresh-secret-1",
    "token_endpoint_auth": {"type": "client_secret_post", "client_secret": "client-secret-1"},
}
OAUTH = {
    "type": "mcp_oauth",
    "access_token": "access-secret-1",
    "mcp_server_url": URL,
    "expires_at": "2199-01-01T00:00:00Z",
    "refresh": {**REFRESH, "scope": "a b", "resource": URL},
}
VARIABLE = {
    "type": "environment_variable",
    "secret_name": "GITHUB_TOKEN",
    "secret_value": "value-secret-1",
    "networking": {"type": "limited", "allowed_hosts": ["api.github.com", "*.example.com"]},
}


@pytest.fixture
def vault(sdk: Anthropic) -> Any:
    return sdk.beta.vaults.create(display_name="Keys", metadata={"team": "a"})


def create(sdk: Anthropic, vault: Any, auth: dict[str, Any], **more: Any) -> Any:
    return sdk.beta.vaults.credentials.create(vault.id, auth=auth, **more)  # type: ignore[arg-type]


def test_the_life_of_a_vault(sdk: Anthropic, vault: Any) -> None:
    assert (vault.type, vault.display_name, vault.metadata) == ("vault", "Keys", {"team": "a"})
    assert vault.id.startswith("vlt_")
    assert vault.archived_at is None
    changed = sdk.beta.vaults.update(
        vault.id, display_name="More keys", metadata={"team": None, "kind": "b"}
    )
    assert (changed.display_name, changed.metadata) == ("More keys", {"kind": "b"})
    assert sdk.beta.vaults.retrieve(vault.id) == changed
    same = sdk.beta.vaults.update(vault.id, display_name=None)
    assert same == changed
    archived = sdk.beta.vaults.archive(vault.id)
    assert archived.archived_at is not None
    assert sdk.beta.vaults.archive(vault.id) == archived
    assert vault.id not in {found.id for found in sdk.beta.vaults.list()}
    assert vault.id in {found.id for found in sdk.beta.vaults.list(include_archived=True)}
    with pytest.raises(anthropic.BadRequestError, match=r"Vault is archived\."):
        sdk.beta.vaults.update(vault.id, display_name="again")
    with pytest.raises(anthropic.BadRequestError, match=r"Vault is archived\."):
        create(sdk, vault, BEARER)
    deleted = sdk.beta.vaults.delete(vault.id)
    assert (deleted.id, deleted.type) == (vault.id, "vault_deleted")
    with pytest.raises(anthropic.NotFoundError):
        sdk.beta.vaults.retrieve(vault.id)


def test_lists_come_in_pages_newest_first(sdk: Anthropic, vault: Any) -> None:
    made = [create(sdk, vault, {**BEARER, "mcp_server_url": f"{URL}/{n}"}).id for n in range(5)]
    first = sdk.beta.vaults.credentials.list(vault.id, limit=2)
    assert [credential.id for credential in first.data] == made[:2:-1]
    assert [credential.id for credential in first] == made[::-1]
    others = [sdk.beta.vaults.create(display_name=f"{n}").id for n in range(3)]
    found = [one.id for one in sdk.beta.vaults.list(limit=2)]
    assert found[:3] == others[::-1]
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("auth", "shown"),
    [
        (BEARER, {"type": "static_bearer", "mcp_server_url": URL}),
        (
            OAUTH,
            {
                "type": "mcp_oauth",
                "mcp_server_url": URL,
                "expires_at": "2199-01-01T00:00:00.000000Z",
                "refresh": {
                    "client_id": "me",
                    "token_endpoint": "https://auth.example.com/token",
                    "token_endpoint_auth": {"type": "client_secret_post"},
                    "scope": "a b",
                    "resource": URL,
                },
            },
        ),
        (
            {"type": "mcp_oauth", "access_token": "access-secret-1", "mcp_server_url": URL},
            {"type": "mcp_oauth", "mcp_server_url": URL},
        ),
        (
            VARIABLE,
            {
                "type": "environment_variable",
                "secret_name": "GITHUB_TOKEN",
                "networking": VARIABLE["networking"],
                "injection_location": {"header": True, "body": True},
            },
        ),
        (
            {
                **VARIABLE,
                "networking": {"type": "unrestricted"},
                "injection_location": {"header": True},
            },
            {
                "type": "environment_variable",
                "secret_name": "GITHUB_TOKEN",
                "networking": {"type": "unrestricted"},
                "injection_location": {"header": True, "body": False},
            },
        ),
    ],
)
def test_secrets_never_come_back(
    sdk: Anthropic, http: httpx.Client, vault: Any, auth: dict[str, Any], shown: dict[str, Any]
) -> None:
    body = {"auth": auth, "display_name": "Mine", "metadata": {"a": "b"}}
    path = f"/v1/vaults/{vault.id}/credentials"
    created = http.post(path, json=body)
    credential = created.json()
    assert credential["auth"] == shown
    assert list(credential) == [
        "id",
        "type",
        "vault_id",
        "auth",
        "metadata",
        "display_name",
        "created_at",
        "updated_at",
        "archived_at",
    ]
    texts = [created.text, http.get(path).text, http.get(f"{path}/{credential['id']}").text]
    assert not any("secret-1" in text for text in texts)
    sdk.beta.vaults.credentials.retrieve(credential["id"], vault_id=vault.id)


def test_the_life_of_a_credential(sdk: Anthropic, vault: Any) -> None:
    credential = create(sdk, vault, BEARER)
    credentials = sdk.beta.vaults.credentials
    changed = credentials.update(
        credential.id,
        vault_id=vault.id,
        display_name="Other",
        metadata={"a": "b"},
        auth={"type": "static_bearer", "token": "another-secret"},
    )
    assert (changed.display_name, changed.metadata) == ("Other", {"a": "b"})
    assert changed.updated_at > credential.updated_at
    archived = credentials.archive(credential.id, vault_id=vault.id)
    assert archived.archived_at is not None
    assert credentials.archive(credential.id, vault_id=vault.id) == archived
    assert list(credentials.list(vault.id)) == []
    assert [one.id for one in credentials.list(vault.id, include_archived=True)] == [credential.id]
    with pytest.raises(anthropic.BadRequestError, match=r"Credential is archived\."):
        credentials.update(credential.id, vault_id=vault.id, display_name="x")
    # Its key is free again.
    other = create(sdk, vault, BEARER)
    deleted = credentials.delete(other.id, vault_id=vault.id)
    assert (deleted.id, deleted.type) == (other.id, "vault_credential_deleted")
    create(sdk, vault, BEARER)


def test_archiving_a_vault_archives_what_is_in_it(sdk: Anthropic, vault: Any, shared: Any) -> None:
    credential = create(sdk, vault, BEARER)
    sdk.beta.vaults.archive(vault.id)
    found = sdk.beta.vaults.credentials.retrieve(credential.id, vault_id=vault.id)
    assert found.archived_at is not None


def test_a_vault_has_one_credential_for_a_purpose(
    http: httpx.Client, sdk: Anthropic, vault: Any
) -> None:
    create(sdk, vault, BEARER)
    create(sdk, vault, VARIABLE)
    path = f"/v1/vaults/{vault.id}/credentials"
    same = {**OAUTH, "mcp_server_url": "HTTPS://MCP.example.com:443/mcp/"}
    refused(
        http.post(path, json={"auth": same}),
        409,
        "A credential already exists for this MCP server URL.",
    )
    refused(
        http.post(path, json={"auth": VARIABLE}),
        409,
        "A credential already exists for this secret name.",
    )
    other = sdk.beta.vaults.create(display_name="other")
    create(sdk, other, BEARER)


def test_a_vault_holds_twenty(http: httpx.Client, sdk: Anthropic, vault: Any) -> None:
    for n in range(20):
        create(sdk, vault, {**BEARER, "mcp_server_url": f"{URL}/{n}"})
    refused(
        http.post(f"/v1/vaults/{vault.id}/credentials", json={"auth": BEARER}),
        400,
        f"vault {vault.id} already holds 20 credentials, the most it can",
    )


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        ({**OAUTH, "expires_at": "2001-01-01T00:00:00Z"}, "auth.expires_at must be in the future."),
        (
            {**BEARER, "mcp_server_url": "ftp://example.com"},
            "auth.static_bearer.mcp_server_url: must begin with https:// or http://",
        ),
        (
            {**BEARER, "mcp_server_url": "https://me:pass@example.com"},
            "auth.static_bearer.mcp_server_url: must not contain a user name or a password",
        ),
        (
            {**BEARER, "token": "two words"},
            "auth.static_bearer.token: must be printable ASCII without spaces",
        ),
        (
            {**BEARER, "token": "x" * 8193},
            "auth.static_bearer.token: maximum string length is 8192",
        ),
        (
            {**VARIABLE, "injection_location": {"header": False}},
            "auth.injection_location: at least one of `header` and `body` must be true",
        ),
        (
            {**VARIABLE, "injection_location": None},
            "auth.environment_variable.injection_location: must not be null; omit the field "
            "instead",
        ),
        (
            {
                **VARIABLE,
                "networking": {"type": "limited", "allowed_hosts": ["https://example.com"]},
            },
            "auth.environment_variable.networking.limited.allowed_hosts: entry 0: a scheme is not "
            "allowed; use a bare host or *.domain",
        ),
        (
            {**VARIABLE, "networking": {"type": "limited", "allowed_hosts": ["::1"]}},
            "auth.environment_variable.networking.limited.allowed_hosts: entry 0: IPv6 addresses "
            "are not supported",
        ),
        ({**BEARER, "tokn": "x"}, 'Failed to parse request body: unknown field "tokn"'),
    ],
)
def test_what_no_credential_can_be(
    http: httpx.Client, vault: Any, auth: dict[str, Any], message: str
) -> None:
    answer = http.post(f"/v1/vaults/{vault.id}/credentials", json={"auth": auth})
    refused(answer, 400, message)
    assert "secret-1" not in answer.text


def test_what_an_update_may_change(http: httpx.Client, sdk: Anthropic, vault: Any) -> None:
    credential = create(sdk, vault, OAUTH)
    plain = create(
        sdk,
        vault,
        {"type": "mcp_oauth", "access_token": "access-secret-2", "mcp_server_url": f"{URL}/2"},
    )
    path = f"/v1/vaults/{vault.id}/credentials/{credential.id}"

    def update(**auth: Any) -> Any:
        answer = http.post(path, json={"auth": {"type": "mcp_oauth", **auth}})
        return answer.json()["auth"] if answer.status_code == 200 else answer

    kept = update(access_token="access-secret-9")
    assert kept["expires_at"] == "2199-01-01T00:00:00.000000Z"
    assert "scope" not in update(refresh={"scope": ""})["refresh"]
    assert update(refresh={"scope": "c"})["refresh"]["scope"] == "c"
    assert update(expires_at="2150-01-01T00:00:00Z")["expires_at"].startswith("2150")
    assert "expires_at" not in update(expires_at=None)
    auth = {"type": "client_secret_basic", "client_secret": "client-secret-9"}
    changed = update(refresh={"token_endpoint_auth": auth, "refresh_token": "refresh-secret-9"})
    assert changed["refresh"]["token_endpoint_auth"] == {"type": "client_secret_post"}
    refused(
        http.post(path, json={"auth": {"type": "static_bearer", "token": "x"}}),
        400,
        "auth.type: does not match this credential's stored type",
    )
    refused(
        update(mcp_server_url="https://other.example.com"),
        400,
        'Failed to parse request body: unknown field "mcp_server_url"',
    )
    refused(
        http.post(
            path.replace(credential.id, plain.id),
            json={"auth": {"type": "mcp_oauth", "refresh": {"refresh_token": "x"}}},
        ),
        400,
        "auth.refresh: this credential was created without refresh capability",
    )


def test_a_variable_changes_by_its_own_rules(sdk: Anthropic, vault: Any) -> None:
    credential = create(sdk, vault, {**VARIABLE, "injection_location": {"header": True}})
    changed = sdk.beta.vaults.credentials.update(
        credential.id,
        vault_id=vault.id,
        auth={
            "type": "environment_variable",
            "secret_value": "value-secret-2",
            "networking": {"type": "unrestricted"},
            "injection_location": {"body": True},
        },
    )
    assert changed.auth.type == "environment_variable"
    assert changed.auth.networking.type == "unrestricted"
    assert (changed.auth.injection_location.header, changed.auth.injection_location.body) == (
        True,
        True,
    )


def test_what_is_not_there(http: httpx.Client, sdk: Anthropic, vault: Any) -> None:
    other = sdk.beta.vaults.create(display_name="other")
    credential = create(sdk, vault, BEARER)
    for wrong in ("nonsense", "vlt_01" + "1" * 22):
        refused(http.get(f"/v1/vaults/{wrong}"), 404, "Vault not found.")
    for wrong in ("nonsense", "vcrd_01" + "1" * 22):
        refused(
            http.get(f"/v1/vaults/{vault.id}/credentials/{wrong}"), 404, "Credential not found."
        )
    refused(
        http.get(f"/v1/vaults/{other.id}/credentials/{credential.id}"),
        404,
        "Credential not found.",
    )
    without = {"x-api-key": "test", "anthropic-beta": ""}
    assert http.get("/v1/vaults", headers=without).status_code == 404


def test_sessions_say_which_vaults_they_use(
    sdk: Anthropic, agent: Any, environment: Any, vault: Any
) -> None:
    def start(*vaults: str) -> Any:
        return sdk.beta.sessions.create(
            agent=agent.id, environment_id=environment.id, vault_ids=list(vaults)
        )

    second = sdk.beta.vaults.create(display_name="second")
    session = start(second.id, vault.id)
    assert session.vault_ids == [second.id, vault.id]
    assert sdk.beta.sessions.retrieve(session.id).vault_ids == [second.id, vault.id]
    with pytest.raises(anthropic.NotFoundError, match="vault_ids: vault vlt_nope not found"):
        start("vlt_nope")
    create(sdk, second, VARIABLE)
    assert start(second.id).vault_ids == [second.id]
    sdk.beta.vaults.archive(second.id)
    with pytest.raises(anthropic.BadRequestError, match="is archived"):
        start(second.id)
    sdk.beta.vaults.delete(second.id)
    assert sdk.beta.sessions.retrieve(session.id).vault_ids == [second.id, vault.id]


@pytest.fixture
def door() -> Iterator[Door]:
    with mcp_server(Door(tokens={"access-secret-1"}, echo=True)) as served:
        yield served


def validate(sdk: Anthropic, vault: Any, **auth: Any) -> Any:
    credential = create(sdk, vault, {**OAUTH, **auth})
    found = sdk.beta.vaults.credentials.mcp_oauth_validate(credential.id, vault_id=vault.id)
    assert found.credential_id == credential.id
    assert "-secret-" not in found.model_dump_json()
    return found


def test_validating_a_credential_that_works(sdk: Anthropic, vault: Any, door: Door) -> None:
    found = validate(sdk, vault, mcp_server_url=door.mcp)
    assert (found.status, found.mcp_probe, found.refresh) == ("valid", None, None)
    assert (found.type, found.has_refresh_token) == ("vault_credential_validation", True)


def test_validating_one_that_is_refused(sdk: Anthropic, vault: Any, door: Door) -> None:
    found = validate(
        sdk, vault, mcp_server_url=door.mcp, access_token="other-secret-7", refresh=None
    )
    assert (found.status, found.has_refresh_token) == ("invalid", False)
    assert found.refresh.status == "no_refresh_token"
    assert (found.mcp_probe.method, found.mcp_probe.http_response.status_code) == (
        "initialize",
        401,
    )
    # The server says what it was given, and its answer is shown without.
    assert found.mcp_probe.http_response.body == '{"error": "invalid token: Bearer [redacted]"}'


def test_validating_one_that_has_to_be_renewed(sdk: Anthropic, vault: Any, door: Door) -> None:
    door.client = ("me", None)
    door.refresh_tokens = {"refresh-secret-1": ("access-secret-2", None)}
    refresh = {
        **REFRESH,
        "token_endpoint": door.token_endpoint,
        "token_endpoint_auth": {"type": "none"},
    }
    found = validate(
        sdk, vault, mcp_server_url=door.mcp, access_token="other-secret-7", refresh=refresh
    )
    assert (found.status, found.mcp_probe) == ("valid", None)
    assert (found.refresh.status, found.refresh.http_response) == ("succeeded", None)


def test_validating_one_that_cannot_be_renewed(sdk: Anthropic, vault: Any, door: Door) -> None:
    refresh = {**REFRESH, "token_endpoint": door.token_endpoint}
    found = validate(
        sdk, vault, mcp_server_url=door.mcp, access_token="other-secret-7", refresh=refresh
    )
    assert (found.status, found.refresh.status) == ("invalid", "failed")
    assert found.refresh.http_response.status_code == 400
    assert "[redacted]" in found.refresh.http_response.body
    gone = {**refresh, "token_endpoint": f"http://127.0.0.1:{free_port()}/token"}
    other = sdk.beta.vaults.create(display_name="other")
    found = validate(
        sdk, other, mcp_server_url=door.mcp, access_token="other-secret-7", refresh=gone
    )
    assert (found.refresh.status, found.refresh.http_response) == ("connect_error", None)


def test_validating_where_the_server_is_in_trouble(sdk: Anthropic, vault: Any, door: Door) -> None:
    door.status = 503
    found = validate(sdk, vault, mcp_server_url=door.mcp)
    assert (found.status, found.mcp_probe.http_response.status_code) == ("unknown", 503)
    gone = f"http://127.0.0.1:{free_port()}/mcp"
    found = validate(sdk, vault, mcp_server_url=gone)
    assert (found.status, found.mcp_probe.http_response) == ("unknown", None)


def test_only_oauth_credentials_are_validated(
    http: httpx.Client, sdk: Anthropic, vault: Any
) -> None:
    credential = create(sdk, vault, BEARER)
    path = f"/v1/vaults/{vault.id}/credentials/{credential.id}/mcp_oauth_validate"
    refused(http.post(path), 400, "auth.type: only `mcp_oauth` credentials can be validated")
