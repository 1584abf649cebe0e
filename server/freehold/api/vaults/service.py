"""What happens to vaults (spec 14). Never commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from freehold.api import pages
from freehold.api.vaults.schemas import (
    Vault,
    VaultCreateParams,
    VaultListQuery,
    VaultUpdateParams,
)
from freehold.core.ids import is_id
from freehold.core.merge import metadata_problem, patch_metadata
from freehold.errors import InvalidRequest, NotFound
from freehold.ports.clock import Clock
from freehold.store import credentials, outbox, vaults
from freehold.store.units import ReadSession, WriteSession
from freehold.store.vaults import VaultRow

LIST = "vaults"
ARCHIVED = "Vault is archived."


async def create(
    tx: WriteSession, workspace_id: str, params: VaultCreateParams, clock: Clock
) -> VaultRow:
    """Store a new vault, empty.

    Raises:
        InvalidRequest: the metadata is too large.
    """
    metadata = dict(params.metadata or {})
    check_metadata(metadata)
    now = clock.now()
    vault = VaultRow(
        id=clock.mint("vlt"),
        workspace_id=workspace_id,
        display_name=params.display_name,
        metadata=metadata,
        created_at=now,
        updated_at=now,
        archived_at=None,
    )
    await vaults.insert(tx, vault)
    await outbox.tell(tx, workspace_id, "vault.created", vault.id, now)
    return vault


async def find(
    session: ReadSession, workspace_id: str, vault_id: str, *, for_update: bool = False
) -> VaultRow:
    """A vault.

    Raises:
        NotFound: no such vault; what is no id is not there either (spec 1.4).
    """
    vault = None
    if is_id("vlt", vault_id):
        vault = await vaults.get(session, workspace_id, vault_id, for_update=for_update)
    if vault is None:
        raise NotFound("Vault not found.")
    return vault


async def find_open(tx: WriteSession, workspace_id: str, vault_id: str) -> VaultRow:
    """A vault that may be changed, and that nobody else changes meanwhile.

    Raises:
        NotFound: no such vault. InvalidRequest: it is archived.
    """
    vault = await find(tx, workspace_id, vault_id, for_update=True)
    if vault.archived_at is not None:
        raise InvalidRequest(ARCHIVED)
    return vault


async def listed(
    session: ReadSession, workspace_id: str, query: VaultListQuery
) -> tuple[Sequence[VaultRow], str | None]:
    """A page of vaults and the cursor of the next.

    Raises:
        InvalidRequest: the cursor is none of this list.
    """
    rows = await vaults.page(
        session,
        workspace_id,
        after=pages.key(pages.decode(query.page, LIST, "desc")),
        limit=query.limit + 1,
        include_archived=query.include_archived,
    )
    return pages.forward(rows, query.limit, LIST)


async def update(
    tx: WriteSession, workspace_id: str, vault_id: str, params: VaultUpdateParams, clock: Clock
) -> VaultRow:
    """Merge the changes.

    Raises:
        NotFound: no such vault. InvalidRequest: it is archived, or the metadata too large.
    """
    stored = await find_open(tx, workspace_id, vault_id)
    changed = stored
    if params.display_name is not None:
        changed = replace(changed, display_name=params.display_name)
    if params.metadata is not None:
        metadata = patch_metadata(stored.metadata, params.metadata)
        check_metadata(metadata)
        changed = replace(changed, metadata=metadata)
    if changed == stored:
        return stored
    changed = replace(changed, updated_at=clock.now())
    await vaults.update(tx, changed)
    return changed


async def archive(tx: WriteSession, workspace_id: str, vault_id: str, clock: Clock) -> VaultRow:
    """Close it for good and purge its credentials' secrets; a second time changes nothing.

    Raises:
        NotFound: no such vault.
    """
    vault = await find(tx, workspace_id, vault_id, for_update=True)
    if vault.archived_at is None:
        now = clock.now()
        vault = replace(vault, archived_at=now, updated_at=now)
        await vaults.update(tx, vault)
        held = await credentials.active(tx, vault.id)
        await credentials.archive_all(tx, vault.id, now)
        await outbox.tell(tx, workspace_id, "vault.archived", vault.id, now)
        for one in held:
            await outbox.tell(
                tx, workspace_id, "vault_credential.archived", one.id, now, vault_id=vault.id
            )
    return vault


async def delete(tx: WriteSession, workspace_id: str, vault_id: str, clock: Clock) -> None:
    """Remove it and its credentials; sessions that name it go on without (spec 14.3).

    Raises:
        NotFound: no such vault.
    """
    vault = await find(tx, workspace_id, vault_id, for_update=True)
    held = await credentials.of_vault(tx, vault.id)
    await vaults.delete(tx, vault)
    now = clock.now()
    await outbox.tell(tx, workspace_id, "vault.deleted", vault.id, now)
    for one in held:
        await outbox.tell(tx, workspace_id, "vault_credential.deleted", one, now, vault_id=vault.id)


def check_metadata(bag: dict[str, str]) -> None:
    """Raises: InvalidRequest: the bag is too large."""
    if (problem := metadata_problem(bag)) is not None:
        raise InvalidRequest(problem)


def shown(row: VaultRow) -> Vault:
    """The vault as the API shows it."""
    return Vault(
        id=row.id,
        type="vault",
        display_name=row.display_name,
        metadata=row.metadata,
        created_at=row.created_at,
        updated_at=row.updated_at,
        archived_at=row.archived_at,
    )
