"""What happens to credentials (spec 14.2, 14.3). Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from freehold.api import pages
from freehold.api.vaults import service as vault_service
from freehold.api.vaults.auth import Sorted, created, updated
from freehold.api.vaults.schemas import (
    Credential,
    CredentialCreateParams,
    CredentialUpdateParams,
    CredentialValidation,
    VaultListQuery,
)
from freehold.core import limits
from freehold.core.events import Json
from freehold.core.ids import is_id
from freehold.core.merge import patch_metadata
from freehold.core.webhooks import Fired
from freehold.errors import Conflict, HttpAnswer, InvalidRequest, NotFound, SecretUnreadable
from freehold.ports.clock import Clock
from freehold.ports.vaults import OpenedCredential, Verdict
from freehold.store import credentials, outbox
from freehold.store.credentials import CredentialRow
from freehold.store.sealing import Sealer
from freehold.store.units import ReadSession, WriteSession

LIST = "credentials"
ARCHIVED = "Credential is archived."


async def create(
    tx: WriteSession,
    workspace_id: str,
    vault_id: str,
    params: CredentialCreateParams,
    *,
    sealer: Sealer,
    clock: Clock,
) -> CredentialRow:
    """Store a new credential. Whether it works is found out when it is used (spec 14.3).

    Raises:
        NotFound: no such vault.
        InvalidRequest: the vault is archived or full, or the credential does not hold together.
        Conflict: the vault has another for the same server or variable.
    """
    vault = await vault_service.find_open(tx, workspace_id, vault_id)
    now = clock.now()
    given = created(params.auth, now)
    metadata = dict(params.metadata or {})
    vault_service.check_metadata(metadata)
    others = await credentials.active(tx, vault.id)
    _check_unique(given.auth, others)
    if len(others) >= limits.CREDENTIALS:
        raise InvalidRequest(
            f"vault {vault.id} already holds {limits.CREDENTIALS} credentials, the most it can"
        )
    credential_id = clock.mint("vcrd")
    credential = CredentialRow(
        id=credential_id,
        vault_id=vault.id,
        workspace_id=workspace_id,
        display_name=params.display_name,
        metadata=metadata,
        auth=given.auth,
        sealed=sealer.seal(credential_id, given.secrets),
        created_at=now,
        updated_at=now,
        archived_at=None,
    )
    await credentials.insert(tx, credential)
    await _tell(tx, credential, "vault_credential.created", now)
    return credential


def _check_unique(auth: Json, others: Sequence[CredentialRow]) -> None:
    mine = credentials.purpose(auth)
    if any(credentials.purpose(other.auth) == mine for other in others):
        what = "secret name" if auth["type"] == "environment_variable" else "MCP server URL"
        raise Conflict(f"A credential already exists for this {what}.", should_retry=False)


async def find(
    session: ReadSession,
    workspace_id: str,
    vault_id: str,
    credential_id: str,
    *,
    for_update: bool = False,
) -> CredentialRow:
    """A credential of a vault.

    Raises:
        NotFound: no such vault, or no such credential in it.
    """
    vault = await vault_service.find(session, workspace_id, vault_id)
    credential = None
    if is_id("vcrd", credential_id):
        credential = await credentials.get(
            session, workspace_id, vault.id, credential_id, for_update=for_update
        )
    if credential is None:
        raise NotFound("Credential not found.")
    return credential


async def listed(
    session: ReadSession, workspace_id: str, vault_id: str, query: VaultListQuery
) -> tuple[Sequence[CredentialRow], str | None]:
    """A page of a vault's credentials and the cursor of the next.

    Raises:
        NotFound: no such vault. InvalidRequest: the cursor is none of this list.
    """
    vault = await vault_service.find(session, workspace_id, vault_id)
    name = pages.of(LIST, vault.id)
    rows = await credentials.page(
        session,
        vault.id,
        after=pages.key(pages.decode(query.page, name, "desc")),
        limit=query.limit + 1,
        include_archived=query.include_archived,
    )
    return pages.forward(rows, query.limit, name)


async def update(
    tx: WriteSession,
    workspace_id: str,
    vault_id: str,
    credential_id: str,
    params: CredentialUpdateParams,
    *,
    sealer: Sealer,
    clock: Clock,
) -> CredentialRow:
    """Merge the changes; what identifies the credential cannot change (spec 14.3).

    Raises:
        NotFound: no such vault or credential.
        InvalidRequest: it is archived, or the change does not fit it.
    """
    stored = await find(tx, workspace_id, vault_id, credential_id, for_update=True)
    if stored.archived_at is not None:
        raise InvalidRequest(ARCHIVED)
    changed = stored
    if "display_name" in params.model_fields_set:
        changed = replace(changed, display_name=params.display_name)
    if params.metadata is not None:
        metadata = patch_metadata(stored.metadata, params.metadata)
        vault_service.check_metadata(metadata)
        changed = replace(changed, metadata=metadata)
    now = clock.now()
    if params.auth is not None:
        before = Sorted(stored.auth, opened(stored, sealer).secrets)
        after = updated(before, params.auth, now)
        changed = replace(changed, auth=after.auth)
        if after.secrets != before.secrets:
            changed = replace(changed, sealed=sealer.seal(stored.id, after.secrets))
    if changed == stored:
        return stored
    changed = replace(changed, updated_at=now)
    await credentials.update(tx, changed)
    return changed


async def archive(
    tx: WriteSession, workspace_id: str, vault_id: str, credential_id: str, clock: Clock
) -> CredentialRow:
    """Purge its secrets and free its key; a second time changes nothing.

    Raises:
        NotFound: no such vault or credential.
    """
    credential = await find(tx, workspace_id, vault_id, credential_id, for_update=True)
    if credential.archived_at is None:
        now = clock.now()
        credential = replace(credential, sealed=None, archived_at=now, updated_at=now)
        await credentials.update(tx, credential)
        await _tell(tx, credential, "vault_credential.archived", now)
    return credential


async def delete(
    tx: WriteSession, workspace_id: str, vault_id: str, credential_id: str, clock: Clock
) -> None:
    """Remove it for good.

    Raises:
        NotFound: no such vault or credential.
    """
    credential = await find(tx, workspace_id, vault_id, credential_id, for_update=True)
    await credentials.delete(tx, credential)
    await _tell(tx, credential, "vault_credential.deleted", clock.now())


async def _tell(tx: WriteSession, row: CredentialRow, kind: Fired, now: datetime) -> None:
    await outbox.tell(tx, row.workspace_id, kind, row.id, now, vault_id=row.vault_id)


def opened(row: CredentialRow, sealer: Sealer) -> OpenedCredential:
    """The credential with its secrets in the clear.

    Raises:
        InvalidRequest: it is archived, or the server's keys do not open it.
    """
    if row.sealed is None:
        raise InvalidRequest(ARCHIVED)
    try:
        secrets = sealer.open(row.id, row.sealed)
    except SecretUnreadable as error:
        raise InvalidRequest(f"{error}; delete it and create another") from None
    return OpenedCredential(
        id=row.id, vault_id=row.vault_id, auth=row.auth, secrets=secrets, sealed=row.sealed
    )


def for_validation(row: CredentialRow, sealer: Sealer) -> OpenedCredential:
    """The credential, if it is one that can be tried.

    Raises:
        InvalidRequest: it is archived, cannot be opened, or is no OAuth credential.
    """
    if row.auth["type"] != "mcp_oauth":
        raise InvalidRequest("auth.type: only `mcp_oauth` credentials can be validated")
    return opened(row, sealer)


def shown(row: CredentialRow) -> Credential:
    """The credential as the API shows it: never with a secret."""
    return Credential.model_validate(
        {
            "id": row.id,
            "type": "vault_credential",
            "vault_id": row.vault_id,
            "auth": row.auth,
            "metadata": row.metadata,
            "display_name": row.display_name,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
            "archived_at": row.archived_at,
        }
    )


def shown_validation(
    credential: OpenedCredential, verdict: Verdict, now: datetime
) -> CredentialValidation:
    """What came of trying the credential, as the API shows it."""
    probe, refresh = verdict.probe, None
    if verdict.refresh is not None:
        refresh = {"status": verdict.refresh, "http_response": _answer(verdict.refresh_answer)}
    return CredentialValidation.model_validate(
        {
            "type": "vault_credential_validation",
            "credential_id": credential.id,
            "vault_id": credential.vault_id,
            "status": verdict.status,
            "validated_at": now,
            "has_refresh_token": "refresh_token" in credential.secrets,
            "mcp_probe": None
            if probe is None
            else {"method": probe.method, "http_response": _answer(probe.answer)},
            "refresh": refresh,
        }
    )


def _answer(answer: HttpAnswer | None) -> Json | None:
    if answer is None:
        return None
    return {
        "status_code": answer.status_code,
        "content_type": answer.content_type,
        "body": answer.body,
        "body_truncated": answer.body_truncated,
    }
