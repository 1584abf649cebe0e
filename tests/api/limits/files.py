"""Limits of files, skills and models."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

from tests.api.limits.kinds import VALUE, Call, Items, Row, Text, Whole, itself, letters, listed


def uploading(filename: str, content: bytes = b"x", **fields: Any) -> Mapping[str, Any]:
    return {
        "file": (filename, content, "text/plain"),
        **{name: (None, str(value)) for name, value in fields.items()},
    }


def skill_document(**fields: Any) -> bytes:
    head = {"name": "a-skill", "description": "It helps.", **fields}
    return "\n".join(
        ["---", *(f"{key}: {value}" for key, value in head.items()), "---", ""]
    ).encode()


def skill(document: bytes, *more: tuple[str, bytes], **fields: Any) -> Mapping[str, Any]:
    """A form; the files go as an archive, so that any path can be among them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in (("top/SKILL.md", document), *more):
            archive.writestr(path, content)
    return {
        "files[]": ("a.zip", buffer.getvalue(), "application/zip"),
        **{name: (None, str(value)) for name, value in fields.items()},
    }


def long_path(count: int) -> str:
    """The path of that many characters, of short parts, of a file in a skill."""
    whole = "top/" + "/".join(["p" * 99] * (count // 100 + 1))
    return whole[:count] if not whole[:count].endswith("/") else whole[: count - 1] + "p"


def padded(count: int) -> bytes:
    """A document whose frontmatter has that many characters."""
    head = "name: a-skill\ndescription: It helps.\n# "
    return f"---\n{head}{'x' * (count - len(head))}\n---\n".encode()


def uploaded(form: Callable[[Any], Mapping[str, Any]]) -> Call:
    return Call("POST", "/v1/files", form=form)


def skilled(form: Callable[[Any], Mapping[str, Any]]) -> Call:
    return Call("POST", "/v1/skills", form=form)


ROWS = [
    Row(
        "names of files",
        Text(0, 255),
        "17",
        uploaded(uploading),
        at="file",
        shown="filename",
        constant="FILENAME",
        declared=False,
        refusal="^file: the filename must be 1 to 255 characters long$",
    ),
    Row(
        "FileUploadParams.expires_in_seconds",
        Whole(3_600, 7_776_000),
        "17",
        uploaded(lambda value: uploading("a", expires_in_seconds=value)),
        at="expires_in_seconds",
        shown=None,
        constant="FILE_LIFETIME_MAX",
    ),
    Row(
        "FileListQuery.limit",
        Whole(1, 1000),
        "A",
        Call("GET", "/v1/files", query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "files named in the list's query",
        Items(0, 100, listed(lambda number: f"file_{number}")),
        "17",
        Call("GET", "/v1/files", query={"ids[]": VALUE}),
        at="ids",
        shown=None,
        constant="FILE_IDS",
        declared=False,
    ),
    Row(
        "display_name of a skill",
        Text(0, 255),
        "16, D",
        skilled(lambda value: skill(skill_document(), display_name=value)),
        at="display_name",
        constant="SKILL_DISPLAY_NAME",
        declared=False,
        refusal="^display_name must be at most 255 characters long$",
    ),
    Row(
        "name in a skill's frontmatter",
        Text(0, 64, astral=False),
        "16",
        skilled(lambda value: skill(skill_document(name=value))),
        at="name",
        shown="display_name",
        constant="SKILL_NAME",
        declared=False,
        refusal="^SKILL.md: frontmatter `name` must be at most 64 characters long$",
    ),
    Row(
        "description in a skill's frontmatter",
        Text(1, 1024),
        "16",
        skilled(lambda value: skill(skill_document(description=value))),
        at="description",
        shown=None,
        constant="SKILL_DESCRIPTION",
        declared=False,
        refusal="^SKILL.md: frontmatter (`description` must be at most 1024 |must have a `descr)",
    ),
    Row(
        "a skill's frontmatter",
        Items(0, 64 * 1024, itself),
        "ours",
        skilled(lambda value: skill(padded(value))),
        at="frontmatter",
        shown=None,
        constant="SKILL_FRONTMATTER",
        declared=False,
    ),
    Row(
        "files of a skill",
        Items(0, 2000, itself),
        "ours",
        skilled(
            lambda value: skill(
                skill_document(), *((f"top/{number}", b"") for number in range(value - 1))
            )
        ),
        at="files",
        shown=None,
        constant="SKILL_FILES",
        declared=False,
    ),
    Row(
        "path of a skill's file",
        Text(0, 1024, long_path, astral=False),
        "ours",
        skilled(lambda value: skill(skill_document(), (value, b""))),
        at="files",
        shown=None,
        constant="SKILL_PATH",
        declared=False,
    ),
    Row(
        "part of the path of a skill's file",
        Text(0, 255, letters, astral=False),
        "ours",
        skilled(lambda value: skill(skill_document(), (f"top/{value}", b""))),
        at="files",
        shown=None,
        constant="SKILL_PATH_PART",
        declared=False,
    ),
    Row(
        "SkillListQuery.limit",
        Whole(1, 1000),
        "1.8",
        Call("GET", "/v1/skills", query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "SkillVersionListQuery.limit",
        Whole(1, 1000),
        "1.8",
        Call("GET", "/v1/skills/xlsx/versions", query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "ModelListQuery.limit",
        Whole(1, 1000),
        "21",
        Call("GET", "/v1/models", query={"limit": VALUE}),
        shown=None,
    ),
    Row(
        "ModelListQuery.lifecycle",
        Items(0, 3, listed(lambda _: "active")),
        "21: there are three",
        Call("GET", "/v1/models", query={"lifecycle[]": VALUE}),
        at="lifecycle",
        shown=None,
    ),
]
