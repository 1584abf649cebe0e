"""Files, skills, memory stores, memories and their versions."""

from __future__ import annotations

import io
import stat
import zipfile
from typing import Any

from tests.parity.held import payloads
from tests.parity.script import Script, inferred, recorded, typed
from tests.parity.scripts.definitions import ABSENT, TEXTS
from tests.parity.world import SKILL

OLD_FILES = "files-api-2025-04-14"
OLD_SKILLS = "skills-2025-10-02"


def files(s: Script) -> None:
    w = s.world
    path = "POST /v1/files"
    data = {"file": ("data.csv", b"a,b\n", "text/csv")}
    made = s("upload", typed("17"), path, files=data, beta="")
    form = {"expires_in_seconds": "3600"}
    s("upload: that expires", typed("17"), path, files=data, form=form, beta="")
    url = f"/v1/files/{made['id']}"
    s("get", typed("17"), f"GET {url}", beta="")
    s("list", typed(), "GET /v1/files?limit=1", beta="")
    s("list: the last page", recorded("1.8"), "GET /v1/files", beta="")
    s("list: by ids", typed("17"), f"GET /v1/files?ids[]={made['id']}", beta="")
    s("list: the older beta", typed("17"), "GET /v1/files?limit=1", beta=OLD_FILES)
    s("download: an upload", recorded(TEXTS), f"GET {url}/content", refusal="file-not-downloadable")
    absent = f"/v1/files/file_{ABSENT}"
    s("get: absent", recorded(TEXTS), f"GET {absent}", refusal="file-absent")
    s("get: malformed id", recorded("1.4"), "GET /v1/files/nonsense", refusal="file-absent")
    s("delete: absent", recorded(TEXTS), f"DELETE {absent}", refusal="file-absent")
    s("download: absent", recorded(TEXTS), f"GET {absent}/content", refusal="file-absent")
    s("upload: no file", inferred("text"), path, files={"other": ("a", b"a")}, status=400)
    s("upload: bad name", inferred("text"), path, files={"file": ("a?b", b"a")}, status=400)
    s(
        "upload: expires too soon",
        typed("17"),
        path,
        files=data,
        form={"expires_in_seconds": "1"},
        status=400,
    )
    output = w.output()
    shown = s("get: an output", recorded("C.1 File"), f"GET /v1/files/{output}")
    s.hold("get: an output", payloads()["objects"]["file"], shown, values=False)
    s("get: an output, without the beta", recorded("1.2"), f"GET /v1/files/{output}", beta="")
    s("download", typed("17"), f"GET /v1/files/{output}/content")
    scope = shown["scope"]["id"]
    s("list: of a session", typed("24.37"), f"GET /v1/files?scope_id={scope}")
    s(
        "list: of a session, without the beta",
        typed("17"),
        f"GET /v1/files?scope_id={scope}",
        beta="",
        status=400,
    )
    s("delete", typed("17"), f"DELETE {url}", beta="")


def _zip(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(f"reports/{name}", content)
    return buffer.getvalue()


def _link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("reports/SKILL.md", SKILL)
        entry = zipfile.ZipInfo("reports/link")
        entry.create_system = 3
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    return buffer.getvalue()


LOOSE = [("files[]", ("reports/SKILL.md", SKILL))]


def skills(s: Script) -> None:
    path = "POST /v1/skills"
    name = {"display_name": "Our reports"}
    made = s("create", typed("16"), path, files=LOOSE, form=name, beta="")
    url = f"/v1/skills/{made['id']}"
    s("create: the least", typed("16"), path, files=LOOSE, beta="")
    s("get", typed("16"), f"GET {url}", beta="")
    s("get: Anthropic's", typed("16"), "GET /v1/skills/xlsx", beta="")
    s("list", typed(), "GET /v1/skills?source=custom&limit=1", beta="")
    s("list: the last page", recorded("1.8"), "GET /v1/skills?source=custom", beta="")
    s("get: the older beta", typed("16"), f"GET {url}", beta=OLD_SKILLS)
    s(
        "list: the older beta",
        typed("16"),
        "GET /v1/skills?source=custom&limit=1",
        beta=OLD_SKILLS,
    )
    absent = f"/v1/skills/skill_{ABSENT}"
    s("get: absent", recorded(TEXTS), f"GET {absent}", beta="", refusal="skill-absent")
    s(
        "get: malformed id",
        recorded("1.4"),
        "GET /v1/skills/nonsense",
        beta="",
        refusal="skill-absent",
    )
    s("delete: absent", recorded(TEXTS), f"DELETE {absent}", beta="", refusal="skill-absent")
    for title, given, form, refusal in (
        ("no SKILL.md", [("files[]", ("reports/a.md", b"a"))], {}, "skill-head"),
        ("no files", [("other", ("a", b"a"))], {}, "skill-files"),
        ("a link", [("files[]", ("reports.zip", _link()))], {}, "skill-links"),
        ("a long name", LOOSE, {"display_name": "x" * 256}, "skill-name"),
    ):
        s(
            f"create: {title}",
            recorded(TEXTS),
            path,
            files=given,
            form=form,
            beta="",
            refusal=refusal,
        )
    s(
        "delete: the older beta",
        recorded(TEXTS),
        f"DELETE {url}",
        beta=OLD_SKILLS,
        refusal="skill-old-delete",
    )
    s("delete", typed("16"), f"DELETE {url}", beta="")


def skill_versions(s: Script) -> None:
    skill = s.world.skill()
    url = f"/v1/skills/{skill}/versions"
    made = s(
        "create",
        typed("16"),
        f"POST {url}",
        files=[("files[]", ("reports.zip", _zip(**{"SKILL.md": SKILL})))],
        beta="",
    )
    s("get", typed("16"), f"GET {url}/{made['id']}", beta="")
    s("get: the latest", typed("16"), f"GET {url}/latest", beta="")
    s("list", typed(), f"GET {url}?limit=1", beta="")
    s("list: the last page", recorded("1.8"), f"GET {url}", beta="")
    s("download", typed("16"), f"GET {url}/{made['id']}/content", beta="")
    s(
        "get: a number",
        recorded(TEXTS),
        f"GET {url}/1759178010641129",
        beta="",
        refusal="skill-version-id",
    )
    s(
        "get: no number",
        recorded(TEXTS),
        f"GET {url}/{made['id']}",
        beta=OLD_SKILLS,
        refusal="skill-old-version",
    )
    s(
        "create: Anthropic's",
        recorded(TEXTS),
        "POST /v1/skills/xlsx/versions",
        files=LOOSE,
        beta="",
        refusal="skill-anthropic",
    )
    s("get: absent", inferred("text"), f"GET {url}/skver_{ABSENT}", beta="", status=404)
    s("delete: the latest", typed("16"), f"DELETE {url}/latest", beta="", status=400)
    s("delete", typed("16"), f"DELETE {url}/{made['id']}", beta="")
    (last,) = s.world.sdk.beta.skills.versions.list(skill)
    s("delete: the only one", typed("16"), f"DELETE {url}/{last.id}", beta="", status=400)


def memory_stores(s: Script) -> None:
    path = "POST /v1/memory_stores"
    given = {"name": "Notes", "description": "What we know.", "metadata": {"a": "b"}}
    made = s("create", typed("15.2"), path, given)
    url = f"/v1/memory_stores/{made['id']}"
    s("create: the least", typed("15.2"), path, {"name": "Notes"})
    s("get", typed("15.2"), f"GET {url}")
    s("get: the other beta", typed("1.2"), f"GET {url}", beta="managed-agents-2026-04-01")
    both = "managed-agents-2026-04-01,agent-memory-2026-07-22"
    s("get: both betas", typed("1.2"), f"GET {url}", beta=both, status=400)
    s("get: no beta", typed("1.2"), f"GET {url}", beta="", status=404)
    s("list", typed(), "GET /v1/memory_stores?limit=1")
    s("list: the last page", recorded("1.8"), "GET /v1/memory_stores")
    s("update", typed("15.3"), f"POST {url}", {"description": None, "metadata": {"a": None}})
    for name, body, refusal in (
        ("nothing", {}, "store-nothing"),
        ("no name", {"name": None}, "store-name"),
        ("empty name", {"name": ""}, "store-name"),
        ("null metadata", {"metadata": None}, "store-metadata"),
    ):
        s(f"update: {name}", recorded(TEXTS), f"POST {url}", body, refusal=refusal)
    absent = f"/v1/memory_stores/memstore_{ABSENT}"
    s("get: absent", recorded(TEXTS), f"GET {absent}", refusal="session-store")
    s("archive", typed("15.3"), f"POST {url}/archive")
    s("archive: again", recorded("1.10"), f"POST {url}/archive")
    s("update: archived", recorded(TEXTS), f"POST {url}", {"name": "b"}, refusal="store-archived")
    memory = {"path": "/a.md", "content": "a"}
    s(
        "archived: a new memory",
        recorded(TEXTS),
        f"POST {url}/memories",
        memory,
        refusal="store-archived",
    )
    s("delete", typed("15.1"), f"DELETE {url}")


def memories(s: Script) -> None:
    url = f"/v1/memory_stores/{s.world.store()}/memories"
    path = f"POST {url}"
    body = {"path": "/notes/a.md", "content": "hi"}
    full = f"{path}?view=full"
    made = s("create", recorded("C.1 Memory"), full, body, payload="memory")
    one = f"{url}/{made['id']}"
    s("get", recorded("C.1 Memory"), f"GET {one}", payload="memory")
    s("create: basic view", typed("15.2"), path, {"path": "/b.md", "content": ""})
    s("list", recorded("15.1"), f"GET {url}?limit=1")
    s("list: folders", typed("15.1"), f"GET {url}?depth=1")
    s("list: in full", typed("15.1"), f"GET {url}?view=full&path_prefix=/notes/")
    again = s("create: twice", recorded(TEXTS), path, body, refusal="memory-path")
    (known,) = [error for error in payloads()["errors"] if "conflicting_path" in error["error"]]
    s.hold("create: twice", known, again, ("error.message", "error.conflicting", "request_id"))
    below = {"path": "/notes", "content": "x"}
    s("create: a folder's path", recorded(TEXTS), path, below, refusal="memory-prefix")
    rename = {"path": "/b.md"}
    s(
        "update: rename onto another",
        recorded(TEXTS),
        f"POST {one}",
        rename,
        refusal="memory-rename",
    )
    s(
        "create: null",
        recorded(TEXTS),
        path,
        {"path": "/c.md", "content": None},
        refusal="memory-null",
    )
    large = {"path": "/c.md", "content": "x" * 102_401}
    s("create: too large", recorded(TEXTS), path, large, refusal="memory-large")
    s("update: nothing", recorded(TEXTS), f"POST {one}", {}, refusal="memory-nothing")

    def when(**precondition: Any) -> dict[str, Any]:
        return {"content": "ho", "precondition": precondition}

    hashed = {"type": "content_sha256", "content_sha256": "0" * 64}
    s(
        "update: precondition",
        recorded(TEXTS),
        f"POST {one}",
        when(**hashed),
        refusal="memory-precondition",
    )
    missing = when(content_sha256="0" * 64)
    s(
        "update: no type",
        recorded(TEXTS),
        f"POST {one}",
        missing,
        refusal="memory-precondition-type",
    )
    null = when(type="content_sha256", content_sha256=None)
    s("update: null", recorded(TEXTS), f"POST {one}", null, refusal="memory-hash-null")
    delete = f"DELETE {one}?expected_content_sha256"
    s("delete: malformed", recorded(TEXTS), f"{delete}=x", refusal="memory-hash")
    s(
        "delete: precondition",
        recorded(TEXTS),
        f"{delete}={'0' * 64}",
        refusal="memory-precondition",
    )
    for name, query, refusal in (
        ("prefix", "path_prefix=/notes", "memory-list-prefix"),
        ("depth", "depth=2", "memory-list-depth"),
        ("depth and prefix", "depth=0&path_prefix=/notes/", "memory-list-depth-prefix"),
        ("limit", "limit=101", "memory-list-limit"),
    ):
        s(f"list: {name}", recorded(TEXTS), f"GET {url}?{query}", refusal=refusal)
    s("update", typed("15.3"), f"POST {one}", {"content": "ho", "path": "/notes/b.md"})
    s("get: absent", inferred("text"), f"GET {url}/mem_{ABSENT}", status=404)
    s("delete", typed("15.1"), f"DELETE {one}")


def memory_versions(s: Script) -> None:
    store = s.world.store()
    base = f"/v1/memory_stores/{store}"
    body = {"path": "/notes/a.md", "content": "hi"}
    made = s("", typed(), f"POST {base}/memories", body, keep=False)
    url = f"{base}/memory_versions"
    version = f"{url}/{made['memory_version_id']}"
    # The example was written by a session.
    shown = s(
        "get",
        recorded("C.1 Memory version"),
        f"GET {version}",
        payload="memory version",
        but=("created_by",),
    )
    assert shown["created_by"]["type"] == "api_actor"
    s(
        "redact: the newest",
        recorded(TEXTS),
        f"POST {version}/redact",
        refusal="memory-version-head",
    )
    s("", typed(), f"POST {base}/memories/{made['id']}", {"content": "ho"}, keep=False)
    s("list", typed(), f"GET {url}?limit=1")
    s("list: by operation", typed("15.1"), f"GET {url}?operation=created&view=full")
    s("redact", typed("15.3"), f"POST {version}/redact")
    s("redact: again", typed("15.3"), f"POST {version}/redact")
    s("get: absent", inferred("text"), f"GET {url}/memver_{ABSENT}", status=404)
