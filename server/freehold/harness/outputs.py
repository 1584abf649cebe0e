"""Takes what the agent delivers out of the sandbox, when its turn ends."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator

from freehold.errors import FileChanged, FreeholdError
from freehold.ports.log import SessionSpec
from freehold.ports.outputs import Outputs
from freehold.ports.sandbox import Found, Sandbox

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that one harvest may take; what is left is for the next one."""
LARGEST = 500 * 1024 * 1024
"""Bytes of a file (spec 17)."""


class Harvester:
    """Keeps the files of the outputs folder that are new or have changed, each content once."""

    def __init__(
        self, outputs: Outputs, *, patience: float = PATIENCE, largest: int = LARGEST
    ) -> None:
        self._outputs = outputs
        self._patience = patience
        self._largest = largest

    async def harvest(self, spec: SessionSpec, sandbox: Sandbox) -> None:
        """Keep what is to be kept. What fails is logged, and tried again when a turn next ends.

        Raises:
            LookupError: the session is gone.
        """
        try:
            async with asyncio.timeout(self._patience):
                kept = await self._outputs.kept(spec.session_id)
                for file in await sandbox.listing(sandbox.layout.outputs):
                    if kept.get(file.path) != file.sha256:
                        await self._keep(spec, sandbox, file)
        except (FreeholdError, OSError, TimeoutError) as error:
            log.warning("outputs of %s are not all kept: %s", spec.session_id, _said(error))

    async def _keep(self, spec: SessionSpec, sandbox: Sandbox, file: Found) -> None:
        if file.size > self._largest:
            log.warning("%s of %s is too large to be kept", file.path, spec.session_id)
            return
        try:
            await self._outputs.keep(spec, file, _as_found(sandbox, file))
        except (FileChanged, FileNotFoundError, PermissionError) as error:
            # The agent left something running; what comes of it is for the next harvest.
            log.info("%s of %s is left for later: %s", file.path, spec.session_id, error)


async def _as_found(sandbox: Sandbox, file: Found) -> AsyncIterator[bytes]:
    """The content that was listed, and no other.

    Raises:
        FileChanged: it is another by now; raised before the content ends.
    """
    digest, size = hashlib.sha256(), 0
    async for chunk in sandbox.read_stream(file.path):
        size += len(chunk)
        if size > file.size:
            break
        digest.update(chunk)
        yield chunk
    if size != file.size or digest.hexdigest() != file.sha256:
        raise FileChanged(f"{file.path} has changed since it was listed")


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
