"""Keys for the workers of self-hosted environments, made where a running server finds them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from anthropic import Anthropic, AsyncAnthropic

from freehold.core.workspaces import DEFAULT_WORKSPACE
from freehold.dispatch.clock import SystemClock
from freehold.store import environment_keys
from freehold.store.database import Database
from tests.support.running import Served

TOOLSET: Any = [{"type": "agent_toolset_20260401"}]


def database_of(data_dir: Path) -> str:
    """The URL of the database of a server with this data directory."""
    return f"sqlite+aiosqlite:///{data_dir / 'freehold.db'}"


def served_database(served: Served) -> str:
    """The URL of the database of a server of this process."""
    url: str = served.app.state.services.settings.resolved_database_url
    return url


def mint_key(
    url: str, environment_id: str, lifetime: timedelta | None = environment_keys.LIFETIME
) -> tuple[str, str]:
    """A key for an environment, and its id."""

    async def mint() -> tuple[str, str]:
        database = Database(url)
        try:
            async with database.write() as tx:
                row, text = await environment_keys.mint(
                    tx,
                    DEFAULT_WORKSPACE,
                    environment_id,
                    "test",
                    clock=SystemClock(),
                    lifetime=lifetime,
                )
            return text, row.id
        finally:
            await database.close()

    return asyncio.run(mint())


def revoke_key(url: str, key_id: str) -> None:
    """Have a key open nothing any more."""

    async def revoke() -> None:
        database = Database(url)
        try:
            async with database.write() as tx:
                clock = SystemClock()
                assert await environment_keys.revoke(tx, DEFAULT_WORKSPACE, key_id, clock.now())
        finally:
            await database.close()

    asyncio.run(revoke())


def bearer(url: str, token: str, **options: Any) -> Anthropic:
    """The SDK as a worker has it: a bearer, no API key, every answer checked."""
    options.setdefault("max_retries", 0)
    return Anthropic(
        base_url=url,
        api_key=None,
        auth_token=token,
        _strict_response_validation=True,
        **options,
    )


def async_client(url: str) -> AsyncAnthropic:
    """What an ``EnvironmentWorker`` is made with."""
    return AsyncAnthropic(base_url=url, api_key="test", _strict_response_validation=True)
