"""``/v1/files``. Of general availability: no beta header is needed (spec 1.2)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from freehold.api import betas, errors, requests, responses
from freehold.api.deps import ApiServices, services, workspace_id
from freehold.api.files import multipart, ranges, refusals, service
from freehold.api.files.schemas import (
    DeletedFile,
    FileListQuery,
    FileMetadata,
    FilePage,
    FileUploadParams,
)
from freehold.api.idempotency import kept
from freehold.api.openapi import operation
from freehold.core import file_names
from freehold.errors import (
    ApiError,
    BlobMissing,
    BlobsUnavailable,
    InvalidRequest,
    Overloaded,
    RangeNotSatisfiable,
)
from freehold.ports.files import StoredFile
from freehold.store.file_library import Staged

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/files", tags=["files"])

DOWNLOADED = "The content, with the file's own type"


@router.post(
    "",
    **operation(
        "Upload a file",
        FileMetadata,
        body=FileUploadParams,
        media_type="multipart/form-data",
        beta=False,
    ),
)
async def upload_file(request: Request) -> Response:
    """The content goes to the store as it comes; the answer comes once it is safe."""
    behind = services(request)
    form = _Form(behind)
    try:
        async with AsyncExitStack() as kept:
            async for part in multipart.parts(request):
                await form.take(part, kept)
            answer = await form.finish(request)
    except BlobsUnavailable as error:
        log.warning("an upload could not be kept: %s", error)
        raise Overloaded("The store of files takes nothing at the moment") from None
    return answer


class _Form:
    """What the upload's form has said so far."""

    def __init__(self, behind: ApiServices) -> None:
        self._behind = behind
        self._staged: Staged | None = None
        self._filename = ""
        self._mime_type = ""
        self._lifetime: timedelta | None = None

    async def take(self, part: multipart.Part, kept: AsyncExitStack) -> None:
        """Read a part; those that nobody knows are ignored (spec 1.4)."""
        if part.name == "expires_in_seconds":
            self._lifetime = timedelta(seconds=service.lifetime(await part.text()))
        if part.name != "file":
            return
        if self._staged is not None:
            raise InvalidRequest("file: only one file can be uploaded at a time")
        name = file_names.last_component(part.filename or "")
        self._mime_type = file_names.mime_type_of(part.content_type, name)
        self._filename = name or file_names.unnamed(self._mime_type)
        if (problem := file_names.name_problem(self._filename)) is not None:
            raise InvalidRequest(f"file: the filename {problem}", should_retry=False)
        limit = self._behind.settings.file_max_mb << 20
        chunks = service.at_most(part.chunks, limit)
        self._staged = await kept.enter_async_context(self._behind.files.staged(chunks))

    async def finish(self, request: Request) -> Response:
        """Make it a file; what the client is told."""
        if self._staged is None:
            raise InvalidRequest("file: Field required", should_retry=False)
        room = self._behind.settings.files_total_mb << 20
        async with self._behind.database.write() as tx:
            await service.check_room(tx, self._staged.size_bytes, room)
            file = await self._behind.files.add(
                tx,
                self._staged,
                workspace_id=workspace_id(request),
                filename=self._filename,
                mime_type=self._mime_type,
                downloadable=False,
                lifetime=self._lifetime,
            )
            return await kept(request, tx, responses.shown(service.shown(file, _betas(request))))


@router.get("", **operation("List files", FilePage, query=FileListQuery, beta=False))
async def list_files(request: Request) -> Response:
    """Newest first. Files of sessions only with `scope_id`."""
    query = requests.query(request, FileListQuery)
    named = _betas(request)
    async with services(request).database.read() as session:
        if betas.FILES_API in named:
            page = await service.listed_before(session, workspace_id(request), query, named)
            return responses.shown(page)
        rows, following = await service.listed(session, workspace_id(request), query, named)
    return responses.page([service.shown(row, named) for row in rows], following, null_at_end=True)


@router.get("/{file_id}", **operation("Retrieve a file's metadata", FileMetadata, beta=False))
async def retrieve_file(request: Request, file_id: str) -> Response:
    """Also of a file that has expired, for a time."""
    async with services(request).database.read() as session:
        file = await service.find(session, workspace_id(request), file_id)
    return responses.shown(service.shown(file, _betas(request)))


@router.delete("/{file_id}", **operation("Delete a file", DeletedFile, beta=False))
async def delete_file(request: Request, file_id: str) -> Response:
    """For good. Copies in sessions stay."""
    behind = services(request)
    async with behind.database.write() as tx:
        file = await service.find(tx, workspace_id(request), file_id)
        await behind.files.delete(tx, workspace_id(request), file.id)
    return responses.shown(DeletedFile(id=file_id, type="file_deleted"))


@router.get(
    "/{file_id}/content", **operation("Download a file", None, content=DOWNLOADED, beta=False)
)
async def download_file(request: Request, file_id: str) -> Response:
    """What a session made; whole, or the part that `Range` names."""
    behind = services(request)
    async with behind.database.read() as session:
        file = await service.find(session, workspace_id(request), file_id)
    if file.expired(behind.clock.now()):
        raise refusals.expired(file.id)
    service.check_downloadable(file)
    tag = f'"{file.id}"'
    condition = request.headers.get("if-range")
    header = request.headers.get("range") if condition in (None, tag) else None
    try:
        part = ranges.wanted(header, file.size_bytes)
    except RangeNotSatisfiable as error:
        answer = errors.render(error, request.state.request_id)
        answer.headers["content-range"] = f"bytes */{file.size_bytes}"
        return answer
    start, end = (0, file.size_bytes) if part is None else (part.start, part.end)
    headers = {
        "accept-ranges": "bytes",
        "content-length": str(end - start),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}",
        "content-type": file.mime_type,
        "etag": tag,
        # A page that an agent wrote must not run as the server's own.
        "x-content-type-options": "nosniff",
    }
    if part is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{file.size_bytes}"
    body = await _content(behind, file, start, end)
    return StreamingResponse(body, 200 if part is None else 206, headers=headers)


async def _content(
    behind: ApiServices, file: StoredFile, start: int, end: int
) -> AsyncIterator[bytes]:
    opened = AsyncExitStack()
    try:
        chunks = await opened.enter_async_context(behind.files.open(file, start, end))
    except BlobMissing:
        log.exception("the content of %s is not in the store", file.id)
        raise ApiError(f"The content of file `{file.id}` is missing") from None
    except BlobsUnavailable as error:
        log.warning("the content of %s cannot be read: %s", file.id, error)
        raise Overloaded("The store of files cannot be read at the moment") from None

    async def body() -> AsyncIterator[bytes]:
        async with opened:
            async for chunk in chunks:
                yield chunk

    return body()


def _betas(request: Request) -> frozenset[str]:
    return betas.parse(request.headers.getlist(betas.HEADER))
