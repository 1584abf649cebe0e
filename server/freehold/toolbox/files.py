"""The tools ``read``, ``write`` and ``edit`` (spec 4.6)."""

from __future__ import annotations

import base64

from .filesystem import Place, reason
from .inputs import Input
from .outcomes import Block, ToolError

TEXT_LIMIT = 256 * 1024
IMAGE_BASE64_LIMIT = 5 * 1024 * 1024
PDF_LIMIT = 20 * 1024 * 1024
_CHUNK = 64 * 1024

_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp"})
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
)


def read(place: Place, given: Input) -> str | list[Block]:
    """Text of a file, or an image or PDF as a block.

    Raises:
        ToolError: there is no such file, it is too large or not what can be shown.
    """
    name: str = given["file_path"]
    path = place.resolve(name)
    view_range = given.get("view_range")
    suffix = _suffix(path)
    try:
        size = _regular_file_size(place, "read", name, path)
        if suffix in _IMAGES or suffix == ".pdf":
            if view_range:
                raise ToolError("read: view_range is not supported for image/PDF files")
            return [_media_block(place, name, path, size, suffix)]
        if view_range:
            return _lines(place, name, path, view_range[0], view_range[1])
        if size > TEXT_LIMIT:
            raise ToolError(
                f"read: {name} is {size} bytes, exceeds {TEXT_LIMIT}-byte limit. Use the "
                "view_range parameter to read specific line ranges, e.g. view_range: [1, 500]."
            )
        # Files of /proc claim to be empty; read a byte past the limit to catch what they hold.
        data = place.files.read(path, 0, TEXT_LIMIT + 1)
        if len(data) > TEXT_LIMIT:
            raise ToolError(f"read: {name} exceeds {TEXT_LIMIT}-byte limit. Use view_range.")
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ToolError(
            f"read: {name}: not valid UTF-8 text (binary files are only supported for image/PDF "
            "extensions)"
        ) from None
    except OSError as error:
        raise ToolError(f"read: {name}: {reason(error)}") from error


def write(place: Place, given: Input) -> str:
    """Write a whole file, making its parents.

    Raises:
        ToolError: the file cannot be written.
    """
    name: str = given["file_path"]
    data = given["content"].encode("utf-8")
    try:
        place.files.write(place.resolve(name), data)
    except OSError as error:
        raise ToolError(f"write: {name}: {reason(error)}") from error
    return f"wrote {len(data)} bytes to {name}"


def edit(place: Place, given: Input) -> str:
    """Replace an exact text, which must be unique unless ``replace_all`` is set.

    Raises:
        ToolError: no such text, more than one, or a file that cannot be edited.
    """
    name: str = given["file_path"]
    path = place.resolve(name)
    old: str = given["old_string"]
    try:
        size = _regular_file_size(place, "edit", name, path)
        if size > TEXT_LIMIT:
            raise ToolError(
                f"edit: {name} is {size} bytes, exceeds {TEXT_LIMIT}-byte limit. The edit tool "
                "loads the whole file and cannot modify a file this large."
            )
        text = place.files.read(path).decode("utf-8")
        count = text.count(old)
        if count == 0:
            raise ToolError(f"edit: old_string not found in {name}")
        replace_all = bool(given.get("replace_all"))
        if count > 1 and not replace_all:
            raise ToolError(f"edit: old_string appears {count} times in {name} (must be unique)")
        place.files.write(path, text.replace(old, given["new_string"]).encode("utf-8"))
    except UnicodeDecodeError:
        raise ToolError(f"edit: {name}: not valid UTF-8 text (cannot edit binary files)") from None
    except OSError as error:
        raise ToolError(f"edit: {name}: {reason(error)}") from error
    return f"edited {name} ({count} replacement(s))"


def _suffix(path: str) -> str:
    base = path.rsplit("/", 1)[-1]
    dot = base.rfind(".")
    return base[dot:].lower() if dot > 0 else ""


def _regular_file_size(place: Place, tool: str, name: str, path: str) -> int:
    # Asked before anything is opened: opening a pipe would wait for its other end.
    found = place.files.stat(path)
    if found.kind != "file":
        raise ToolError(f"{tool}: {name}: not a regular file")
    return found.size


def _media_block(place: Place, name: str, path: str, size: int, suffix: str) -> Block:
    limit = PDF_LIMIT if suffix == ".pdf" else IMAGE_BASE64_LIMIT // 4 * 3
    if size > limit:
        raise ToolError(
            f"read: {name} is {size} bytes, exceeds {limit}-byte limit for image/PDF files."
        )
    data = place.files.read(path, 0, limit)
    media_type = _sniff(data)
    # The extension may lie, and a block of the wrong kind makes the model's provider refuse the
    # whole conversation from then on.
    if media_type is None or (media_type == "application/pdf") != (suffix == ".pdf"):
        raise ToolError(f"read: {name}: not a valid {'PDF' if suffix == '.pdf' else 'image'} file")
    encoded = base64.standard_b64encode(data).decode("ascii")
    return {
        "type": "document" if suffix == ".pdf" else "image",
        "source": {"type": "base64", "media_type": media_type, "data": encoded},
    }


def _sniff(data: bytes) -> str | None:
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type
    return None


def _lines(place: Place, name: str, path: str, start: int, end: int) -> str:
    """Lines ``start`` to ``end``, from 1, both included; an ``end`` of 0 or less is the last."""
    first = max(start, 1)
    line = 1
    offset = 0
    chosen = bytearray()
    while end <= 0 or line <= end:
        chunk = place.files.read(path, offset, _CHUNK)
        if not chunk:
            break
        offset += len(chunk)
        pieces = chunk.split(b"\n")
        for number, piece in enumerate(pieces):
            ends = number < len(pieces) - 1
            if line >= first and (end <= 0 or line <= end):
                chosen += piece
                if ends and line != end:
                    chosen += b"\n"
                if len(chosen) > TEXT_LIMIT:
                    raise _range_too_large(name, start, end, first)
            line += ends
    return chosen.decode("utf-8")


def _range_too_large(name: str, start: int, end: int, first: int) -> ToolError:
    if end == first:
        return ToolError(
            f"read: line {first} of {name} alone exceeds {TEXT_LIMIT}-byte limit. The read tool "
            "cannot return part of a line, so view_range cannot narrow this further."
        )
    return ToolError(
        f"read: view_range [{start}, {end}] of {name} exceeds {TEXT_LIMIT}-byte limit. Narrow the "
        "view_range to read a smaller portion."
    )
