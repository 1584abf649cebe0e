"""``/v1/vaults`` and what is in them."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from freehold.api import requests, responses
from freehold.api.deps import services, workspace_id
from freehold.api.idempotency import kept
from freehold.api.openapi import operation
from freehold.api.vaults import credentials, service
from freehold.api.vaults.schemas import (
    Credential,
    CredentialCreateParams,
    CredentialPage,
    CredentialUpdateParams,
    CredentialValidation,
    DeletedCredential,
    DeletedVault,
    Vault,
    VaultCreateParams,
    VaultListQuery,
    VaultPage,
    VaultUpdateParams,
)

router = APIRouter(prefix="/v1/vaults", tags=["vaults"])


@router.post("", **operation("Create a vault", Vault, body=VaultCreateParams))
async def create_vault(request: Request) -> Response:
    """A vault holds credentials; sessions name the vaults that they may use."""
    params = await requests.read(request, VaultCreateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        vault = await service.create(tx, workspace_id(request), params, behind.clock)
        return await kept(request, tx, responses.shown(service.shown(vault)))


@router.get("", **operation("List vaults", VaultPage, query=VaultListQuery))
async def list_vaults(request: Request) -> Response:
    """Newest first."""
    query = requests.query(request, VaultListQuery)
    async with services(request).database.read() as session:
        rows, following = await service.listed(session, workspace_id(request), query)
    return responses.page([service.shown(row) for row in rows], following, null_at_end=True)


@router.get("/{vault_id}", **operation("Retrieve a vault", Vault))
async def retrieve_vault(request: Request, vault_id: str) -> Response:
    """One vault, archived or not."""
    async with services(request).database.read() as session:
        vault = await service.find(session, workspace_id(request), vault_id)
    return responses.shown(service.shown(vault))


@router.post("/{vault_id}", **operation("Update a vault", Vault, body=VaultUpdateParams))
async def update_vault(request: Request, vault_id: str) -> Response:
    """Fields that are left out stay."""
    params = await requests.read(request, VaultUpdateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        vault = await service.update(tx, workspace_id(request), vault_id, params, behind.clock)
        return await kept(request, tx, responses.shown(service.shown(vault)))


@router.delete("/{vault_id}", **operation("Delete a vault", DeletedVault))
async def delete_vault(request: Request, vault_id: str) -> Response:
    """Its credentials go with it; sessions that name it go on without."""
    behind = services(request)
    async with behind.database.write() as tx:
        await service.delete(tx, workspace_id(request), vault_id, behind.clock)
    await behind.egress.vault_changed(vault_id)
    return responses.shown(DeletedVault(id=vault_id, type="vault_deleted"))


@router.post("/{vault_id}/archive", **operation("Archive a vault", Vault))
async def archive_vault(request: Request, vault_id: str) -> Response:
    """Its credentials are archived too and their secrets purged; again is no error."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        vault = await service.archive(tx, workspace_id(request), vault_id, behind.clock)
        answer = await kept(request, tx, responses.shown(service.shown(vault)))
    await behind.egress.vault_changed(vault.id)
    return answer


@router.post(
    "/{vault_id}/credentials",
    **operation("Create a credential", Credential, body=CredentialCreateParams, conflict=True),
)
async def create_credential(request: Request, vault_id: str) -> Response:
    """Secrets are sealed at rest and never shown. Nothing is tried before it is used."""
    params = await requests.read(request, CredentialCreateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await credentials.create(
            tx,
            workspace_id(request),
            vault_id,
            params,
            sealer=behind.sealer,
            clock=behind.clock,
        )
        answer = await kept(request, tx, responses.shown(credentials.shown(row)))
    await behind.egress.vault_changed(row.vault_id)
    return answer


@router.get(
    "/{vault_id}/credentials",
    **operation("List credentials", CredentialPage, query=VaultListQuery),
)
async def list_credentials(request: Request, vault_id: str) -> Response:
    """Newest first."""
    query = requests.query(request, VaultListQuery)
    async with services(request).database.read() as session:
        rows, following = await credentials.listed(session, workspace_id(request), vault_id, query)
    return responses.page([credentials.shown(row) for row in rows], following, null_at_end=True)


@router.get(
    "/{vault_id}/credentials/{credential_id}", **operation("Retrieve a credential", Credential)
)
async def retrieve_credential(request: Request, vault_id: str, credential_id: str) -> Response:
    """One credential, without its secrets."""
    async with services(request).database.read() as session:
        row = await credentials.find(session, workspace_id(request), vault_id, credential_id)
    return responses.shown(credentials.shown(row))


@router.post(
    "/{vault_id}/credentials/{credential_id}",
    **operation("Update a credential", Credential, body=CredentialUpdateParams),
)
async def update_credential(request: Request, vault_id: str, credential_id: str) -> Response:
    """New secrets reach running sessions with their next request."""
    params = await requests.read(request, CredentialUpdateParams)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await credentials.update(
            tx,
            workspace_id(request),
            vault_id,
            credential_id,
            params,
            sealer=behind.sealer,
            clock=behind.clock,
        )
        answer = await kept(request, tx, responses.shown(credentials.shown(row)))
    await behind.egress.vault_changed(row.vault_id)
    return answer


@router.delete(
    "/{vault_id}/credentials/{credential_id}",
    **operation("Delete a credential", DeletedCredential),
)
async def delete_credential(request: Request, vault_id: str, credential_id: str) -> Response:
    """For good."""
    behind = services(request)
    async with behind.database.write() as tx:
        await credentials.delete(tx, workspace_id(request), vault_id, credential_id, behind.clock)
    await behind.egress.vault_changed(vault_id)
    return responses.shown(DeletedCredential(id=credential_id, type="vault_credential_deleted"))


@router.post(
    "/{vault_id}/credentials/{credential_id}/archive",
    **operation("Archive a credential", Credential),
)
async def archive_credential(request: Request, vault_id: str, credential_id: str) -> Response:
    """Its secrets are purged; again is no error."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.write() as tx:
        row = await credentials.archive(
            tx, workspace_id(request), vault_id, credential_id, behind.clock
        )
        answer = await kept(request, tx, responses.shown(credentials.shown(row)))
    await behind.egress.vault_changed(row.vault_id)
    return answer


@router.post(
    "/{vault_id}/credentials/{credential_id}/mcp_oauth_validate",
    **operation("Validate an OAuth credential", CredentialValidation),
)
async def validate_credential(request: Request, vault_id: str, credential_id: str) -> Response:
    """Says hello to the server with the token, and renews the token if the server wants that."""
    await requests.read_nothing(request)
    behind = services(request)
    async with behind.database.read() as session:
        row = await credentials.find(session, workspace_id(request), vault_id, credential_id)
    credential = credentials.for_validation(row, behind.sealer)
    verdict = await behind.validator.validate(credential)
    return responses.shown(credentials.shown_validation(credential, verdict, behind.clock.now()))
