"""A session whose sandbox was lost gets its files back (spec 22.3)."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import NamedTuple

from freehold.core import times
from freehold.errors import (
    ArchiveBroken,
    ArchiveTooLarge,
    BlobMissing,
    BlobsUnavailable,
    FurnishingFailed,
    SandboxLost,
)
from freehold.ports.checkpoints import Archived, Checkpoint, Checkpoints
from freehold.ports.sandbox import Sandbox

log = logging.getLogger(__name__)

LEAST = 1 << 30
"""Bytes that an archive may always hold, whatever new ones may."""
_REMEMBERED = 512


class _Restored(NamedTuple):
    identity: str
    checkpoint: Checkpoint | None


class Restorer:
    """Puts the newest checkpoint into new sandboxes, before anything else is put there.

    Nothing here needs to survive: a sandbox in which no call was begun may be restored again.

    Args:
        checkpoints: what there is.
        limit: bytes that an archive may hold.
    """

    def __init__(self, checkpoints: Checkpoints, limit: int) -> None:
        self._checkpoints = checkpoints
        self._limit = max(limit, LEAST)
        self._done: OrderedDict[str, _Restored] = OrderedDict()

    async def restore(self, session_id: str, sandbox: Sandbox) -> None:
        """Give a sandbox, in which no call was begun, what the session's last one had.

        Raises:
            FurnishingFailed: there is a checkpoint and it cannot be had now.
        """
        done = self._done.get(session_id)
        if done is not None and done.identity == sandbox.identity:
            return
        checkpoint = await self._checkpoints.latest(session_id)
        if checkpoint is not None and not await self._unpacked(checkpoint, sandbox):
            checkpoint = None
        self._done[session_id] = _Restored(sandbox.identity, checkpoint)
        self._done.move_to_end(session_id)
        if len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)

    def moment(self, session_id: str, sandbox: Sandbox) -> str | None:
        """When the checkpoint was taken that this sandbox's files come from."""
        done = self._done.get(session_id)
        if done is None or done.identity != sandbox.identity or done.checkpoint is None:
            return None
        return times.render(done.checkpoint.created_at)

    async def forget(self, session_id: str) -> None:
        """The session is over."""
        self._done.pop(session_id, None)
        await self._checkpoints.forget(session_id)

    async def _unpacked(self, checkpoint: Checkpoint, sandbox: Sandbox) -> bool:
        if not isinstance(sandbox, Archived):
            return False
        try:
            async with self._checkpoints.open(checkpoint) as chunks:
                await sandbox.unpack(chunks, self._limit)
        except (BlobMissing, ArchiveBroken, ArchiveTooLarge) as error:
            log.warning("the checkpoint of %s is of no use: %s", checkpoint.session_id, error)
            return False
        except BlobsUnavailable as error:
            raise FurnishingFailed(
                f"The files of this session's last sandbox cannot be read now: {error}"
            ) from error
        except SandboxLost as error:
            raise FurnishingFailed(
                f"The sandbox was lost while it was being restored: {error}"
            ) from error
        log.info("restored %s from its checkpoint", checkpoint.session_id)
        return True
