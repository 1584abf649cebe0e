"""Names and types of files (spec 17)."""

from __future__ import annotations

import mimetypes
import re

from freehold.core import limits

DEFAULT_TYPE = "application/octet-stream"

_FORBIDDEN = re.compile(r'[<>:"|?*\\/&\x00-\x1f\x7f]')
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")

_MORE_TYPES = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".gz": "application/gzip",
    ".ipynb": "application/x-ipynb+json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".toml": "application/toml",
    ".webp": "image/webp",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
# Not the module's own table: that depends on what the machine has installed.
_TABLE = mimetypes.MimeTypes()
_PREFERRED = {"text/plain": ".txt", "image/jpeg": ".jpg", "text/html": ".html"}


def last_component(name: str) -> str:
    """What of a path is the file's name, whichever way its system writes paths."""
    return re.split(r"[/\\]", name)[-1]


def name_problem(name: str) -> str | None:
    """What is wrong with a file's name; ``None`` if nothing is."""
    if not 1 <= len(name) <= limits.FILENAME:
        return f"must be 1 to {limits.FILENAME} characters long"
    if name in (".", ".."):
        return "must be the name of a file"
    if _FORBIDDEN.search(name) is not None:
        return 'must not contain any of < > : " | ? * \\ / & or control characters'
    if any("\ud800" <= char <= "\udfff" for char in name):
        return "must be valid Unicode"
    return None


def fitting(name: str, mime_type: str) -> str:
    """A name made into one without a problem, as near to it as can be."""
    name = last_component(name).encode("utf-8", "replace").decode()
    name = _FORBIDDEN.sub("_", name)
    if len(name) > limits.FILENAME:
        stem, dot, ending = name.rpartition(".")
        keep = limits.FILENAME - len(dot) - len(ending)
        name = f"{stem[:keep]}{dot}{ending}" if stem and keep > 0 else name[: limits.FILENAME]
    return unnamed(mime_type) if name in ("", ".", "..") else name


def unnamed(mime_type: str) -> str:
    """The name of a file that came without one."""
    ending = _PREFERRED.get(mime_type)
    if ending is None:
        known = [ending for ending, kind in _MORE_TYPES.items() if kind == mime_type]
        ending = known[0] if known else _TABLE.guess_extension(mime_type)
    if mime_type == DEFAULT_TYPE or ending is None:
        return "unnamed"
    return f"unnamed{ending}"


def mime_type_of(declared: str | None, name: str) -> str:
    """The type that a client declared without its parameters; if it said nothing, by the name."""
    essence = (declared or "").partition(";")[0].strip().lower()
    if essence != DEFAULT_TYPE and _TYPE.fullmatch(essence) is not None:
        return essence
    ending = f".{name.rpartition('.')[2].lower()}" if "." in name else ""
    if ending in _MORE_TYPES:
        return _MORE_TYPES[ending]
    guessed, encoding = _TABLE.guess_type(f"x{ending}", strict=True)
    return guessed if guessed is not None and encoding is None else DEFAULT_TYPE
