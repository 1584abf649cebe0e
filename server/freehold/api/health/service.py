"""What the server stands on, looked at now or a moment ago."""

from __future__ import annotations

import asyncio
import logging
import time

import sqlalchemy as sa

from freehold.api.deps import ApiServices, Probe
from freehold.ports.sandbox import Finding

PROBE_SECONDS = 5.0
"""How long one check may take."""
KEPT_SECONDS = 5.0
"""How long an answer is given again: checks reach out, and anyone may ask for them."""

log = logging.getLogger(__name__)


class Watch:
    """The checks of one server, run once for all who ask at about the same time."""

    def __init__(self, services: ApiServices) -> None:
        async def database() -> list[Finding]:
            async with services.database.read() as session:
                await session.scalar(sa.text("SELECT 1"))
            return []

        self._probes: dict[str, Probe] = {
            "database": database,
            "sandbox": services.sandboxes.check,
            "model": services.model.check,
            **services.probes,
        }
        self._lock = asyncio.Lock()
        self._findings: list[Finding] = []
        self._until = 0.0

    async def findings(self) -> list[Finding]:
        """One finding for each probe: the worst that it found."""
        async with self._lock:
            if time.monotonic() >= self._until:
                probes = [_worst(name, probe) for name, probe in self._probes.items()]
                self._findings = list(await asyncio.gather(*probes))
                self._until = time.monotonic() + KEPT_SECONDS
            return self._findings


async def _worst(name: str, probe: Probe) -> Finding:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            found = await probe()
    except Exception as error:
        log.warning("health check of the %s failed", name, exc_info=True)
        return Finding(name, "error", type(error).__name__)
    for status in ("error", "warning"):
        for finding in found:
            if finding.status == status:
                return Finding(name, status, finding.detail, finding.mend)
    return Finding(name, "ok", "")
