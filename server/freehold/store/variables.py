"""``environment_variable`` credentials, as sessions get at them (spec 14.4)."""

from __future__ import annotations

import logging
import secrets
import string
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from freehold.errors import SecretUnreadable
from freehold.ports.egress import GrantedVariable
from freehold.store.credentials import CredentialRow, active_variables
from freehold.store.database import Database
from freehold.store.sealing import Sealer
from freehold.store.tables import session_placeholders

log = logging.getLogger(__name__)

PREFIX = "fhsecret_"
_RANDOM = 43
"""Characters of chance in a placeholder: 256 bits."""
_ALPHABET = string.ascii_letters + string.digits
_P = session_placeholders.c


def placeholder() -> str:
    """What a sandbox sees in the place of a secret: says nothing of it, and looks the same in
    URLs, forms, JSON and shells."""
    return PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))


class SqlVariables:
    """Where sessions find their variables (:class:`ports.egress.VariableStore`)."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def variables(
        self, session_id: str, workspace_id: str, vault_ids: Sequence[str]
    ) -> Sequence[GrantedVariable]:
        """Those of the vaults, each name once; see the port."""
        if not vault_ids:
            return ()
        async with self._database.read() as session:
            rows = await active_variables(session, workspace_id, vault_ids)
        chosen: dict[str, CredentialRow] = {}
        for vault_id in vault_ids:
            for row in rows:
                if row.vault_id == vault_id:
                    chosen.setdefault(row.auth["secret_name"], row)
        shown = await self._placeholders(session_id, [row.id for row in chosen.values()])
        return [
            GrantedVariable(
                credential_id=row.id,
                vault_id=row.vault_id,
                auth=row.auth,
                placeholder=shown[row.id],
                value=self._opened(row),
            )
            for row in chosen.values()
        ]

    def _opened(self, row: CredentialRow) -> str | None:
        try:
            value: str = self._sealer.open(row.id, row.sealed or "")["secret_value"]
        except SecretUnreadable as error:
            log.warning("%s: requests go out with its placeholder", error)
            return None
        return value

    async def _placeholders(self, session_id: str, wanted: Sequence[str]) -> dict[str, str]:
        """The session's placeholders; made once for each credential, and kept."""
        known = sa.select(_P.credential_id, _P.placeholder).where(_P.session_id == session_id)
        for attempt in range(2):
            async with self._database.read() as session:
                found = {r["credential_id"]: r["placeholder"] for r in await session.all(known)}
            missing = [
                {"session_id": session_id, "credential_id": one, "placeholder": placeholder()}
                for one in wanted
                if one not in found
            ]
            if not missing:
                break
            try:
                async with self._database.write() as tx:
                    await tx.execute(sa.insert(session_placeholders).values(missing))
            except IntegrityError:
                # Another server made them at this moment.
                if attempt:
                    raise
        async with self._database.read() as session:
            return {r["credential_id"]: r["placeholder"] for r in await session.all(known)}
