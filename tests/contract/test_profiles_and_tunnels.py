"""Profiles by name, the tokens of tunnels, and who may register certificates, on both databases."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime

import pytest
from tests.support.certificates import authority_pem

from freehold.api.tunnels import certificates
from freehold.api.tunnels import service as tunnel_service
from freehold.api.tunnels.schemas import (
    TunnelCertificateCreateParams,
    TunnelCreateParams,
    TunnelListQuery,
)
from freehold.dispatch.clock import SystemClock
from freehold.errors import InvalidRequest, SecretUnreadable
from freehold.store import tunnels, user_profiles
from freehold.store.database import Database
from freehold.store.sealing import Sealer
from freehold.store.tunnels import SqlTunnelTokens, TunnelRow
from freehold.store.user_profiles import UserProfileRow, folded, name_key

CLOCK = SystemClock()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = [
    "", " ", "#", "A", "Ab", "B", "Z", "[", "_", "a", "a b", "aB", "ab", "b", "z", "~",
    "É", "é", "ß", "Ω", "ω", "中", "\ufffd", "\U0001f600", "a\u0301",
]  # fmt: skip


def profile(workspace_id: str, name: str | None) -> UserProfileRow:
    return UserProfileRow(
        id=CLOCK.mint("uprof"),
        workspace_id=workspace_id,
        name=name,
        access_type="application",
        details={},
        metadata={},
        created_at=NOW,
        updated_at=NOW,
    )


@pytest.mark.parametrize("limit", [1, 4, 100])
@pytest.mark.parametrize("descending", [False, True])
async def test_names_sort_alike_everywhere(
    database: Database, limit: int, descending: bool
) -> None:
    own = CLOCK.mint("wrkspc")
    made = [profile(own, name) for name in [*NAMES, *NAMES[3:9], None, None, None]]
    async with database.write() as tx:
        for one in [*made, profile(CLOCK.mint("wrkspc"), "a")]:
            await user_profiles.insert(tx, one)
    found: list[UserProfileRow] = []
    async with database.read() as session:
        while rows := await user_profiles.page_by_name(
            session,
            own,
            after=name_key(found[-1]) if found else None,
            limit=limit,
            descending=descending,
        ):
            assert len(rows) <= limit
            found += rows
    named = [one for one in made if one.name is not None]
    named.sort(key=lambda one: (folded(one.name or "").encode(), one.id), reverse=descending)
    nameless = [one for one in made if one.name is None]
    nameless.sort(key=lambda one: one.id, reverse=descending)
    assert found == named + nameless


async def test_tokens_are_sealed_anew_with_the_newest_key(database: Database) -> None:
    old, new = os.urandom(32), os.urandom(32)
    tunnel_id = CLOCK.mint("tnl")
    sealed = Sealer(lambda: [old]).seal(tunnel_id, {"tunnel_token": "canary"})
    row = TunnelRow(
        id=tunnel_id,
        workspace_id=CLOCK.mint("wrkspc"),
        display_name=None,
        domain=f"{tunnel_id}.invalid",
        token_id=CLOCK.mint("tnltok"),
        sealed=sealed,
        created_at=NOW,
        archived_at=None,
    )
    assert sealed not in repr(row)
    async with database.write() as tx:
        await tunnels.insert(tx, row)
    both, one = Sealer(lambda: [new, old]), Sealer(lambda: [new])
    with pytest.raises(SecretUnreadable):
        one.open(tunnel_id, sealed)
    assert await SqlTunnelTokens(database, both).reseal() == 1
    async with database.read() as session:
        found = await tunnels.get(session, row.workspace_id, tunnel_id)
    assert found is not None
    assert one.open(tunnel_id, found.sealed or "") == {"tunnel_token": "canary"}


async def test_of_many_that_register_certificates_at_once_two_succeed(database: Database) -> None:
    own = CLOCK.mint("wrkspc")
    sealer = Sealer(lambda: [os.urandom(32)])
    async with database.write() as tx:
        tunnel = await tunnel_service.create(
            tx, own, TunnelCreateParams(), sealer=sealer, clock=CLOCK
        )
    params = TunnelCertificateCreateParams(ca_certificate_pem=authority_pem())

    async def register() -> bool:
        try:
            async with database.write() as tx:
                await certificates.create(tx, own, tunnel.id, params, CLOCK)
        except InvalidRequest:
            return False
        return True

    assert sum(await asyncio.gather(*(register() for _ in range(6)))) == 2
    async with database.read() as session:
        rows, _ = await certificates.listed(session, own, tunnel.id, TunnelListQuery())
    assert len(rows) == 2
