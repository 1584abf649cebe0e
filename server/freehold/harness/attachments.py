"""Putting the files that a conversation names into the request that a model gets."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from freehold.core import attachments
from freehold.core.attachments import Attachment
from freehold.core.events import Json
from freehold.errors import BlobMissing, BlobsUnavailable, ModelError
from freehold.ports.clock import Clock
from freehold.ports.files import FileReader

log = logging.getLogger(__name__)


class Attachments:
    """Reads files for model requests; ``None`` has none."""

    def __init__(self, files: FileReader | None, clock: Clock) -> None:
        self._files = files
        self._clock = clock

    async def shown(self, workspace_id: str, messages: Sequence[Json]) -> list[Json]:
        """The messages as the model is to see them. What was deleted meanwhile is said so.

        Raises:
            ModelError: a file cannot be read now, and may be later.
        """
        wanted = set(attachments.named(messages))
        if not wanted:
            return list(messages)
        found: dict[str, Attachment] = {}
        try:
            for file_id in sorted(wanted):
                if (file := await self._read(workspace_id, file_id)) is not None:
                    found[file_id] = file
        except BlobsUnavailable as error:
            raise ModelError(
                "connection", f"a file of the conversation cannot be read: {error}"
            ) from error
        return attachments.shown(messages, found)

    async def _read(self, workspace_id: str, file_id: str) -> Attachment | None:
        file = await self._files.find(workspace_id, file_id) if self._files is not None else None
        if self._files is None or file is None or file.expired(self._clock.now()):
            return None
        try:
            async with self._files.open(file) as chunks:
                data = b"".join([chunk async for chunk in chunks])
        except BlobMissing:
            log.warning("the content of %s is not in the store", file_id)
            return None
        return Attachment(file.mime_type, data)
