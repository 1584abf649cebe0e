"""Forms with files, read as they come: no part is ever whole in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from freehold.api.requests import check_encoding
from freehold.errors import InvalidRequest

FIELD_BYTES = 64 * 1024
PARTS = 1000


@dataclass
class Part:
    """One part; its content must be read before the next part is asked for."""

    name: str
    filename: str | None
    """``None``: the part does not say that it is a file."""
    content_type: str | None
    chunks: AsyncIterator[bytes] = field(repr=False)

    async def text(self) -> str:
        """The content of a plain field.

        Raises:
            InvalidRequest: it is too long, or not UTF-8.
        """
        data = b""
        async for chunk in self.chunks:
            data += chunk
            if len(data) > FIELD_BYTES:
                raise InvalidRequest(f"{self.name}: the field is too long")
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"{self.name}: must be valid UTF-8") from None


async def parts(request: Request) -> AsyncIterator[Part]:
    """The parts of a form, in their order.

    Raises:
        InvalidRequest: the body is no form, or breaks off.
        RequestTooLarge: it is larger than its route takes.
    """
    check_encoding(request.headers.get("content-encoding"))
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data":
        raise InvalidRequest("Content-Type must be multipart/form-data")
    if not boundary:
        raise InvalidRequest("Content-Type: multipart/form-data needs a boundary")
    reader = _Reader(request.stream(), boundary)
    count = 0
    while (part := await reader.next_part()) is not None:
        count += 1
        if count > PARTS:
            raise InvalidRequest(f"the form must have at most {PARTS} parts")
        yield part
        async for _ in part.chunks:
            pass


class _Reader:
    """Turns the parser's calls, which come as bytes go in, into something to ask."""

    def __init__(self, stream: AsyncIterator[bytes], boundary: bytes) -> None:
        self._stream = stream
        self._found: deque[dict[bytes, bytes] | bytes | None] = deque()
        """Headers of a part that begins, bytes of it, ``None`` at its end."""
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": lambda: self._found.append(self._headers),
                    "on_part_data": lambda data, start, end: self._found.append(data[start:end]),
                    "on_part_end": lambda: self._found.append(None),
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _malformed(error) from None

    async def next_part(self) -> Part | None:
        found = await self._next()
        if not isinstance(found, dict):
            return None
        kind, options = parse_options_header(found.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise InvalidRequest("the form has a part without a name")
        filename = options.get(b"filename")
        content_type = found.get(b"content-type")
        return Part(
            name=options[b"name"].decode("utf-8", "replace"),
            filename=None if filename is None else filename.decode("utf-8", "replace"),
            content_type=None if content_type is None else content_type.decode("latin-1"),
            chunks=self._chunks(),
        )

    async def _chunks(self) -> AsyncIterator[bytes]:
        while isinstance(chunk := await self._next(), bytes):
            yield chunk

    async def _next(self) -> dict[bytes, bytes] | bytes | None:
        while not self._found:
            data = await anext(self._stream, b"")
            if not data:
                if self._ended:
                    return None
                raise InvalidRequest("the form breaks off before its end")
            try:
                self._parser.write(data)
            except FormParserError as error:
                raise _malformed(error) from None
        return self._found.popleft()

    def _begin(self) -> None:
        self._headers = {}
        self._name = self._value = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _end(self) -> None:
        self._ended = True


def _malformed(error: FormParserError) -> InvalidRequest:
    return InvalidRequest(f"Failed to parse request body: {error}")
