"""Keys for workers of self-hosted environments, and the SDKs' own workers as processes."""

from __future__ import annotations

import asyncio
import functools
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic, AsyncAnthropic

from freehold.core.keys import ENVIRONMENT_LIFETIME, Scope
from freehold.core.workspaces import DEFAULT_WORKSPACE
from freehold.dispatch.clock import SystemClock
from freehold.store import keys
from freehold.store.database import Database
from tests.support.running import Served
from tests.support.typescript import HERE, installed_node

TOOLSET: Any = [{"type": "agent_toolset_20260401"}]


def database_of(data_dir: Path) -> str:
    """The URL of the database of a server with this data directory."""
    return f"sqlite+aiosqlite:///{data_dir / 'freehold.db'}"


def served_database(served: Served) -> str:
    """The URL of the database of a server of this process."""
    url: str = served.app.state.services.settings.resolved_database_url
    return url


def mint_key(
    url: str, environment_id: str, lifetime: timedelta | None = ENVIRONMENT_LIFETIME
) -> tuple[str, str]:
    """A key for an environment, and its id."""

    async def mint() -> tuple[str, str]:
        database = Database(url)
        try:
            async with database.write() as tx:
                clock = SystemClock()
                minted = await keys.mint(
                    tx,
                    clock,
                    Scope("environment", DEFAULT_WORKSPACE, environment_id),
                    expires_at=None if lifetime is None else clock.now() + lifetime,
                )
            return minted.text, minted.row.id
        finally:
            await database.close()

    return asyncio.run(mint())


def revoke_key(url: str, key_id: str) -> None:
    """Have a key open nothing any more."""

    async def revoke() -> None:
        database = Database(url)
        try:
            async with database.write() as tx:
                row = await keys.get(tx, key_id)
                assert row is not None
                await keys.update(tx, replace(row, status="archived"))
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


class WorkerProcess:
    """An official worker in a process of its own, which can be killed.

    Its ``/mnt``, where sessions' memory stores are mounted, is its own.
    """

    def __init__(self, sdk: str, url: str, workdir: Path, **variables: str) -> None:
        workdir.mkdir(parents=True, exist_ok=True)
        self.workdir = workdir
        self.log = workdir.parent / f"{workdir.name}.log"
        self._sdk = sdk
        self._environment = {
            **{name: v for name, v in os.environ.items() if not name.startswith("ANTHROPIC_")},
            "BASE_URL": url,
            "WORKDIR": str(workdir),
            **variables,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._sdk == "python":
            command, where = [sys.executable, "-m", "tests.support.python_worker"], None
        else:
            command, where = [installed_node(), "worker.mjs"], HERE
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                [*own_mnt(), *command],
                cwd=where,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=sink,
            )

    def kill(self) -> None:
        """SIGKILL: no goodbye of any kind."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def finish(self, timeout: float = 60) -> int:
        """Ask it to end, where it serves a queue; wait until it has; its exit code."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(timeout)

    @property
    def told(self) -> str:
        """What it wrote."""
        return self.log.read_text()

    def __enter__(self) -> WorkerProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)


@functools.cache
def own_mnt() -> tuple[str, ...]:
    """What has a command run with a ``/mnt`` of its own; skips the test where nothing can."""
    for options in (["--mount"], ["--map-root-user", "--mount"]):
        command = ["unshare", *options, "sh", "-c", 'mount -t tmpfs none /mnt && exec "$@"', "sh"]
        done = subprocess.run([*command, "true"], capture_output=True, check=False)
        if done.returncode == 0:
            return tuple(command)
    pytest.skip("no mount namespace can be made here")


def polling(environment_id: str, key: str) -> dict[str, str]:
    """The variables of a worker that serves a queue."""
    return {
        "POLL": "yes",
        "ANTHROPIC_ENVIRONMENT_ID": environment_id,
        "ANTHROPIC_ENVIRONMENT_KEY": key,
    }
