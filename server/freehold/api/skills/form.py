"""The multipart form of an upload (spec 16)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from freehold.core import limits
from freehold.skills import upload
from freehold.skills.tree import SkillTree
from freehold.skills.upload import Part

MULTIPART = "multipart/form-data"
FILES = "files[]"
_FIELDS = 100


@dataclass(frozen=True)
class Upload:
    """What a client sent."""

    skill: SkillTree
    archive: bytes
    """The skill's normal zip."""
    display_name: str | None
    """``None`` or empty: derived from the skill's own name."""


async def read(request: Request, *, name_field: str | None = None) -> Upload:
    """The skill in a request's form. Parts that nobody knows are ignored (spec 1.4).

    Args:
        name_field: the part with a name for people, where the route takes one.

    Raises:
        InvalidRequest: no form, no skill, or a name too long. RequestTooLarge: too much of it.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MULTIPART:
        raise upload.refusal(f"Content-Type must be {MULTIPART}")
    try:
        form = await request.form(max_files=limits.SKILL_FILES + _FIELDS, max_fields=_FIELDS)
    except (MultiPartException, HTTPException, MultipartParseError, ValueError) as error:
        said = getattr(error, "detail", None) or getattr(error, "message", None)
        raise upload.refusal(
            f"Failed to parse request body: {said or 'malformed multipart form'}"
        ) from None
    try:
        parts = [
            Part(part.filename or "", await part.read())
            for part in form.getlist(FILES)
            if isinstance(part, UploadFile)
        ]
        display_name = None if name_field is None else _name(form.get(name_field), name_field)
    finally:
        await form.close()
    # Inflating and parsing what strangers send would hold up every other request.
    skill, archive = await asyncio.to_thread(_checked, parts)
    return Upload(skill, archive, display_name)


def _checked(parts: list[Part]) -> tuple[SkillTree, bytes]:
    skill = upload.read(parts)
    return skill, skill.archive()


def _name(value: UploadFile | str | None, field: str) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise upload.refusal(f"{field}: Input should be a valid string")
    if len(value) > limits.SKILL_DISPLAY_NAME:
        raise upload.refusal(f"{field} must be at most {limits.SKILL_DISPLAY_NAME} characters long")
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in value):
        raise upload.refusal(f"{field} must be a single line without control characters")
    return value
