"""Files that content names (spec 6.3): they must be there, and fit, when the event is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from freehold.api.files import refusals
from freehold.core import attachments, limits
from freehold.core.events import ClientEvent, Json
from freehold.errors import InvalidRequest
from freehold.ports.clock import Clock
from freehold.store import files
from freehold.store.units import ReadSession


async def check(
    session: ReadSession,
    workspace_id: str,
    events: Sequence[ClientEvent],
    field: str,
    clock: Clock,
) -> None:
    """Let events in if every file that they name can be shown to a model.

    ``field`` is where the events stood in the request.

    Raises:
        NotFound: a file is not there, or has expired.
        InvalidRequest: there are too many, or one is of a type that its block does not take, or
            too large.
    """
    named = list(_named(events, field))
    if not named:
        return
    documents = sum(block["type"] == "document" for _, block in named)
    if documents > limits.FILE_DOCUMENTS:
        raise InvalidRequest(
            f"{field}: at most {limits.FILE_DOCUMENTS} document blocks may name a file"
        )
    ids = {block["source"]["file_id"] for _, block in named}
    found = {file.id: file for file in await files.some(session, workspace_id, ids)}
    for path, block in named:
        file_id = block["source"]["file_id"]
        file = found.get(file_id)
        if file is None:
            raise refusals.missing(file_id)
        if file.expired(clock.now()):
            raise refusals.expired(file_id)
        if not attachments.takes(block["type"], file.mime_type):
            raise InvalidRequest(
                f"{path}.source: a file of type {file.mime_type} cannot be shown as "
                f"{'an image' if block['type'] == 'image' else 'a document'}"
            )
        if file.size_bytes > limits.FILE_IN_MESSAGE:
            raise InvalidRequest(
                f"{path}.source: the file is larger than the "
                f"{limits.FILE_IN_MESSAGE // 2**20} MB that a model can be shown"
            )


def _named(events: Sequence[ClientEvent], field: str) -> Iterator[tuple[str, Json]]:
    for number, event in enumerate(events):
        for index, block in enumerate(getattr(event, "content", None) or ()):
            if attachments.file_id_of(block) is not None:
                yield f"{field}[{number}].content[{index}]", block
