"""When access tokens are renewed, and what is sent when they cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from freehold.core import times
from freehold.core.events import Json
from freehold.errors import McpUnauthorized, SecretUnreadable, TokenRefreshFailed
from freehold.harness.credentials import Keyring, SessionBearer
from freehold.ports.vaults import NewTokens, OpenedCredential

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


class Clock:
    def now(self) -> datetime:
        return NOW

    def mint(self, prefix: Any) -> str:
        return f"{prefix}_1"


class Store:
    def __init__(self, credential: OpenedCredential | None) -> None:
        self.credential = credential
        self.locked = False
        self.failed: list[str] = []

    async def for_server(
        self, workspace_id: str, vault_ids: Sequence[str], url: str
    ) -> OpenedCredential | None:
        if self.locked:
            raise SecretUnreadable("no key opens it")
        return self.credential

    async def reload(self, credential_id: str) -> OpenedCredential | None:
        return await self.for_server("", (), "")

    async def renew(
        self, credential: OpenedCredential, secrets: Json, expires_at: datetime | None
    ) -> bool:
        if self.credential is None or self.credential.sealed != credential.sealed:
            return False
        auth = dict(credential.auth)
        if expires_at is not None:
            auth["expires_at"] = times.render(expires_at)
        self.credential = replace(
            credential, auth=auth, secrets=secrets, sealed=f"sealed {secrets['access_token']}"
        )
        return True

    async def refresh_failed(self, credential: OpenedCredential, now: datetime) -> None:
        self.failed.append(credential.id)


class Endpoint:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failing = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def refresh(self, refresh: Json, refresh_token: str, secret: str | None) -> NewTokens:
        self.asked.append(refresh_token)
        await self.gate.wait()
        if self.failing:
            raise TokenRefreshFailed("no")
        count = len(self.asked) + 1
        return NewTokens(f"access-{count}", f"refresh-{count}", 3600.0)


def oauth(expires_in: timedelta | None = None, *, refresh: bool = True) -> OpenedCredential:
    auth: Json = {"type": "mcp_oauth", "mcp_server_url": "https://example.com"}
    secrets = {"access_token": "access-1"}
    if expires_in is not None:
        auth["expires_at"] = times.render(NOW + expires_in)
    if refresh:
        auth["refresh"] = {"client_id": "me"}
        secrets["refresh_token"] = "refresh-1"
    return OpenedCredential("vcrd_1", "vlt_1", auth, secrets, "sealed access-1")


def bearer_of(
    credential: OpenedCredential | None,
) -> tuple[SessionBearer, Store, Endpoint, Keyring]:
    store, endpoint = Store(credential), Endpoint()
    keyring = Keyring(store, endpoint, Clock())
    bearer = SessionBearer(keyring, "wrkspc", ("vlt_1",), "https://example.com")
    return bearer, store, endpoint, keyring


@pytest.mark.parametrize("left", [None, timedelta(hours=1)])
async def test_a_token_that_lasts_is_sent(left: timedelta | None) -> None:
    bearer, _, endpoint, _ = bearer_of(oauth(left))
    assert await bearer.token() == "access-1"
    assert endpoint.asked == []


@pytest.mark.parametrize("left", [timedelta(seconds=30), timedelta(days=-1)])
async def test_a_token_that_runs_out_is_renewed_before_it_is_sent(left: timedelta) -> None:
    bearer, store, endpoint, _ = bearer_of(oauth(left))
    assert await bearer.token() == "access-2"
    assert await bearer.token() == "access-2"
    assert endpoint.asked == ["refresh-1"]
    assert store.credential is not None
    assert store.credential.secrets["refresh_token"] == "refresh-2"
    assert store.credential.auth["expires_at"] == times.render(NOW + timedelta(hours=1))


async def test_the_old_token_is_sent_when_it_cannot_be_renewed() -> None:
    bearer, _, endpoint, _ = bearer_of(oauth(timedelta(days=-1)))
    endpoint.failing = True
    assert await bearer.token() == "access-1"
    assert await bearer.renewed("access-1") is None
    plain, _, never, _ = bearer_of(oauth(timedelta(days=-1), refresh=False))
    assert await plain.token() == "access-1"
    assert await plain.renewed("access-1") is None
    assert never.asked == []


async def test_it_is_told_once_of_the_same_tokens_that_they_were_not_renewed() -> None:
    bearer, store, endpoint, _ = bearer_of(oauth(timedelta(days=-1)))
    endpoint.failing = True
    for _ in range(3):
        await bearer.token()
    assert len(endpoint.asked) == 3
    assert store.failed == [oauth().id]
    assert store.credential is not None
    store.credential = replace(store.credential, sealed="sealed other")
    await bearer.token()
    assert store.failed == [oauth().id] * 2


async def test_two_that_are_rejected_at_once_make_one_request() -> None:
    bearer, _, endpoint, _ = bearer_of(oauth())
    endpoint.gate.clear()
    both = [asyncio.create_task(bearer.renewed("access-1")) for _ in range(2)]
    await asyncio.sleep(0)
    endpoint.gate.set()
    assert await asyncio.gather(*both) == ["access-2", "access-2"]
    assert endpoint.asked == ["refresh-1"]


async def test_a_renewal_is_seen_through_though_the_call_is_given_up() -> None:
    bearer, store, endpoint, keyring = bearer_of(oauth())
    endpoint.gate.clear()
    call = asyncio.create_task(bearer.renewed("access-1"))
    while not endpoint.asked:
        await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    endpoint.gate.set()
    await keyring.close()
    assert store.credential is not None
    assert store.credential.secrets["refresh_token"] == "refresh-2"


async def test_tokens_that_a_client_gave_meanwhile_win() -> None:
    bearer, store, endpoint, _ = bearer_of(oauth())
    endpoint.gate.clear()
    call = asyncio.create_task(bearer.renewed("access-1"))
    while not endpoint.asked:
        await asyncio.sleep(0)
    given = replace(oauth(), secrets={"access_token": "given"}, sealed="sealed given")
    store.credential = given
    endpoint.gate.set()
    assert await call == "given"


async def test_a_credential_that_went_away() -> None:
    bearer, store, _, _ = bearer_of(oauth())
    store.credential = None
    assert await bearer.token() is None
    assert await bearer.renewed("access-1") is None


async def test_a_credential_that_cannot_be_opened() -> None:
    bearer, store, _, _ = bearer_of(oauth())
    store.locked = True
    with pytest.raises(McpUnauthorized, match="no key opens it"):
        await bearer.token()


async def test_a_rejected_token_that_was_replaced_already() -> None:
    bearer, _, endpoint, _ = bearer_of(oauth())
    assert await bearer.renewed("access-0") == "access-1"
    assert endpoint.asked == []
