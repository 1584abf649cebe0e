# ruff: noqa: E501 - the refusals are a table, and rows that are broken do not read
"""Skills through the official SDK (spec 16)."""

from __future__ import annotations

import asyncio
import io
import stat
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.lib.tools._skills import download_session_skills

from tests.api.conftest import refused
from tests.support.running import Served

URL = "/v1/skills"
LEGACY = {"anthropic-beta": "skills-2025-10-02"}
ABSENT = "skill_011CZkZ1111111111111111q"
ABSENT_VERSION = "skver_011CZkZ1111111111111111q"
TOOLSET = {"type": "agent_toolset_20260401"}
UNREADABLE = 'archive must be a readable, unencrypted zip using "DEFLATE" or "STORE" compression'


def head(name: str | None = "my-skill", description: str = "Does it.") -> bytes:
    named = "" if name is None else f"name: {name}\n"
    return f"---\n{named}description: {description}\n---\n\n# How\n".encode()


def loose(name: str = "my-skill", **more: bytes) -> list[Any]:
    files = {"SKILL.md": head(name), **more}
    return [(f"{name}/{path}", content) for path, content in files.items()]


def zipped(files: dict[str, bytes], *, modes: dict[str, int] | None = None, **how: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **how) as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path)
            entry.compress_type = archive.compression
            entry.create_system = 3
            entry.external_attr = (modes or {}).get(path, 0o100644) << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def post(
    http: httpx.Client, *files: tuple[str, bytes], path: str = URL, **data: str
) -> httpx.Response:
    return http.post(path, files=[("files[]", file) for file in files], data=data)


@pytest.fixture
def skill(sdk: Anthropic) -> Any:
    return sdk.beta.skills.create(files=loose())


def test_the_life_of_a_skill(sdk: Anthropic) -> None:
    made = sdk.beta.skills.create(
        files=loose("reports", **{"scripts/run.sh": b"#!/bin/sh\n"}), display_name="Our reports"
    )
    assert made.id.startswith("skill_")
    assert (made.type, made.display_name, made.source.type) == ("skill", "Our reports", "custom")
    assert made.latest_version_id.startswith("skver_")
    assert sdk.beta.skills.retrieve(made.id) == made
    first = sdk.beta.skills.versions.retrieve("latest", skill_id=made.id)
    assert (first.id, first.name, first.description) == (
        made.latest_version_id,
        "reports",
        "Does it.",
    )
    second = sdk.beta.skills.versions.create(
        made.id, files=[("reports/SKILL.md", head("reports", "Does it better."))]
    )
    assert second.description == "Does it better."
    changed = sdk.beta.skills.retrieve(made.id)
    assert changed.latest_version_id == second.id
    assert changed.updated_at > made.updated_at
    assert [version.id for version in sdk.beta.skills.versions.list(made.id)] == [
        second.id,
        first.id,
    ]
    gone = sdk.beta.skills.versions.delete(second.id, skill_id=made.id)
    assert (gone.id, gone.type) == (second.id, "skill_version_deleted")
    assert sdk.beta.skills.retrieve(made.id).latest_version_id == first.id
    with pytest.raises(anthropic.BadRequestError, match="the only version"):
        sdk.beta.skills.versions.delete(first.id, skill_id=made.id)
    with pytest.raises(anthropic.NotFoundError):
        sdk.beta.skills.versions.retrieve(second.id, skill_id=made.id)
    deleted = sdk.beta.skills.delete(made.id)
    assert (deleted.id, deleted.type) == (made.id, "skill_deleted")
    for look in (sdk.beta.skills.retrieve, sdk.beta.skills.delete, sdk.beta.skills.versions.list):
        with pytest.raises(anthropic.NotFoundError, match=f"Skill not found: {made.id}"):
            look(made.id)


def test_without_the_beta_namespace(sdk: Anthropic, skill: Any) -> None:
    assert sdk.skills.retrieve(skill.id).id == skill.id
    assert skill.id in {found.id for found in sdk.skills.list(source="custom")}


def test_a_downloaded_skill_is_one_folder_with_all_files_and_modes(sdk: Anthropic) -> None:
    files = {
        "Folder/SKILL.md": head("the-name"),
        "Folder/scripts/run": b"echo",
        "Folder/data/big.txt": b"x" * 100_000,
        "__MACOSX/Folder/._SKILL.md": b"junk",
        "Folder/.DS_Store": b"junk",
    }
    archive = zipped(files, modes={"Folder/scripts/run": 0o100755}, compression=8)
    made = sdk.beta.skills.create(files=[("the.SKILL", archive)])
    answer = sdk.beta.skills.versions.with_raw_response.download(
        made.latest_version_id, skill_id=made.id
    )
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''the-name.zip"
    with zipfile.ZipFile(io.BytesIO(answer.read())) as opened:
        found = {each.filename: each.external_attr >> 16 & 0o777 for each in opened.infolist()}
        assert found == {
            "the-name/SKILL.md": 0o644,
            "the-name/data/big.txt": 0o644,
            "the-name/scripts/run": 0o755,
        }
        assert opened.read("the-name/data/big.txt") == b"x" * 100_000


def test_the_sdks_worker_finds_skills_where_it_looks(
    shared: Served, sdk: Anthropic, skill: Any, tmp_path: Path
) -> None:
    references = [
        SimpleNamespace(skill_id=skill.id, version="latest"),
        SimpleNamespace(skill_id="pdf", version="latest"),
    ]
    session: Any = SimpleNamespace(agent=SimpleNamespace(skills=references))

    async def fetch() -> None:
        async with AsyncAnthropic(api_key="any", base_url=shared.url) as client:
            await download_session_skills(client, workdir=str(tmp_path), session=session)

    asyncio.run(fetch())
    assert (tmp_path / "skills/my-skill/SKILL.md").read_bytes() == head()
    assert (tmp_path / "skills/pdf/scripts/create.py").is_file()


class TestNames:
    @pytest.mark.parametrize(
        ("said", "folder", "name", "title"),
        [
            ("Quarterly Reports", "x", "quarterly-reports", "Quarterly Reports"),
            (None, "My_Folder", "my-folder", "My_Folder"),
            ("n" * 64, "x", "n" * 64, "n" * 64),
        ],
    )
    def test_slug_and_display_name(
        self, sdk: Anthropic, said: str | None, folder: str, name: str, title: str
    ) -> None:
        made = sdk.beta.skills.create(files=[(f"{folder}/SKILL.md", head(said))])
        assert made.display_name == title
        assert sdk.beta.skills.versions.retrieve("latest", skill_id=made.id).name == name

    def test_a_version_must_keep_the_name(self, http: httpx.Client, skill: Any) -> None:
        answer = post(http, ("x/SKILL.md", head("other")), path=f"{URL}/{skill.id}/versions")
        refused(
            answer,
            400,
            "SKILL.md: the skill's name is `my-skill` and cannot be changed; "
            "this upload's is `other`",
        )

    def test_display_name_has_a_limit(self, http: httpx.Client) -> None:
        message = "display_name must be at most 255 characters long"
        refused(post(http, ("x/SKILL.md", head()), display_name="x" * 256), 400, message)
        made = post(http, ("x/SKILL.md", head()), display_name="x" * 255, other="ignored")
        assert made.json()["display_name"] == "x" * 255


NO_FILE = "SKILL.md not found in uploaded files"
ONE_FOLDER = "files[]: all files must be in the same top-level directory"
REFUSED: list[tuple[list[tuple[str, bytes]], str]] = [
    ([("x/README.md", b"")], NO_FILE),
    ([("x/skill.md", head())], NO_FILE),
    ([("x/y/SKILL.md", head())], NO_FILE),
    ([("SKILL.md", head())], ONE_FOLDER),
    ([("x/SKILL.md", head()), ("y/a", b"")], ONE_FOLDER),
    ([("x/SKILL.md", b"# no head")], "SKILL.md: must begin with YAML frontmatter between two lines of `---`"),
    ([("x/SKILL.md", b"---\nname: x\n")], "SKILL.md: frontmatter has no closing `---`"),
    ([("x/SKILL.md", b"---\n- a\n---\n")], "SKILL.md: frontmatter must be a YAML mapping"),
    ([("x/SKILL.md", b"---\nname: [\n---\n")], "SKILL.md: frontmatter is not valid YAML (line 2)"),
    ([("x/SKILL.md", b"---\na: !!python/object/apply:os.system [id]\n---\n")], "SKILL.md: frontmatter is not valid YAML (line 2)"),
    ([("x/SKILL.md", b"---\nname: x\n---\n")], "SKILL.md: frontmatter must have a `description`, a string that is not empty"),
    ([("x/SKILL.md", head("n" * 65))], "SKILL.md: frontmatter `name` must be at most 64 characters long"),
    ([("x/SKILL.md", head("'###'"))], "SKILL.md: frontmatter `name` must have at least one of the characters a-z and 0-9"),
    ([("x/SKILL.md", head(description="d" * 1025))], "SKILL.md: frontmatter `description` must be at most 1024 characters long"),
    ([("x/SKILL.md", b"\xff\xfe")], "SKILL.md: must be UTF-8 text"),
    ([("x/SKILL.md", head()), ("x/../../etc/a", b"")], "files[]: path `x/../../etc/a` must not have empty, `.` or `..` parts"),
    ([("x/SKILL.md", head()), ("/etc/a", b"")], "files[]: path `/etc/a` must be relative, with `/` between its parts"),
    ([("x/SKILL.md", head()), ("x/a", b""), ("x/a", b"")], "files[]: path `x/a` occurs more than once"),
    ([("x/SKILL.md", head()), ("x/a", b""), ("x/a/b", b"")], "files[]: path `x/a` is a file and a directory"),
    ([("x.zip", b"not a zip")], UNREADABLE),
    ([("x.zip", zipped({"x/README.md": b""}))], NO_FILE),
    ([("x.zip", zipped({"x/SKILL.md": head()}, compression=zipfile.ZIP_BZIP2))], UNREADABLE),
    ([("x.zip", zipped({"x/SKILL.md": head(), "x/l": b"/etc/passwd"}, modes={"x/l": stat.S_IFLNK | 0o777}))], "archives must not contain symbolic links"),
    ([("x.zip", zipped({"x/SKILL.md": head(), "x/p": b""}, modes={"x/p": stat.S_IFIFO | 0o644}))], "archives must not contain special files: `x/p`"),
    ([("x.zip", zipped({"x/SKILL.md": head(), "../a": b""}))], "files[]: path `../a` must not have empty, `.` or `..` parts"),
    ([("x.zip", zipped({"x/SKILL.md": head(), "x\\..\\a": b""}))], "files[]: path `x\\..\\a` must be relative, with `/` between its parts"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "message"), REFUSED)
def test_what_is_no_skill_is_refused(
    http: httpx.Client, files: list[tuple[str, bytes]], message: str
) -> None:
    answer = post(http, *files)
    refused(answer, 400, message)
    assert answer.headers["x-should-retry"] == "false"


def test_encrypted_and_damaged_archives(http: httpx.Client) -> None:
    whole = zipped({"x/SKILL.md": head()})
    encrypted = bytearray(whole)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(mark) + offset] |= 1
    damaged = bytearray(whole)
    damaged[damaged.index(b"# How")] ^= 0xFF
    liar = bytearray(whole)  # says that its directory has 3 GB
    liar[-10:-6] = (3 << 30).to_bytes(4, "little")
    for archive in (encrypted, damaged, liar, whole[:-30]):
        refused(post(http, ("x.zip", bytes(archive))), 400, UNREADABLE)


def test_too_large_packed_or_unpacked(http: httpx.Client) -> None:
    message = "Skill exceeds the maximum of 30 MB, compressed or not"
    bomb = zipped({"x/SKILL.md": head(), "x/zeros": bytes(31 << 20)}, compression=8)
    assert len(bomb) < 100_000
    refused(post(http, ("x.zip", bomb)), 413, message)
    spread = {f"x/{n}": bytes(8 << 20) for n in range(4)}
    refused(
        post(http, ("x.zip", zipped({"x/SKILL.md": head(), **spread}, compression=8))), 413, message
    )
    refused(post(http, ("x/SKILL.md", head()), ("x/a", bytes(30 << 20))), 413, message)


def test_too_many_files(http: httpx.Client) -> None:
    archive = zipped({"x/SKILL.md": head(), **{f"x/{n}": b"" for n in range(2000)}})
    refused(post(http, ("x.zip", archive)), 400, "files[]: a skill must have at most 2000 files")


def test_forms_without_a_file(http: httpx.Client, skill: Any) -> None:
    for path in (URL, f"{URL}/{skill.id}/versions"):
        answer = http.post(path, files=[("files", ("x/SKILL.md", head()))])
        refused(answer, 400, "files[]: Field required")
        refused(http.post(path, json={}), 400, "Content-Type must be multipart/form-data")
        broken = http.post(path, content=b"x", headers={"content-type": "multipart/form-data"})
        assert broken.status_code == 400
        assert broken.json()["error"]["message"].startswith("Failed to parse request body: ")


def test_what_is_not_there(http: httpx.Client, skill: Any) -> None:
    for skill_id in (ABSENT, "nothing"):
        for method in ("GET", "DELETE"):
            refused(http.request(method, f"{URL}/{skill_id}"), 404, f"Skill not found: {skill_id}")
        refused(http.get(f"{URL}/{skill_id}/versions"), 404, f"Skill not found: {skill_id}")
    versions = f"{URL}/{skill.id}/versions"
    missing = f"Skill version not found: {ABSENT_VERSION}"
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/content")):
        refused(http.request(method, f"{versions}/{ABSENT_VERSION}{path}"), 404, missing)
        numeric = http.request(method, f"{versions}/1759178010641129{path}")
        refused(numeric, 400, "Invalid version id: '1759178010641129'")
    refused(http.delete(f"{versions}/latest"), 400, "Invalid version id: 'latest'")
    refused(http.get(f"{versions}/latest/content"), 400, "Invalid version id: 'latest'")


class TestLists:
    def test_pages_newest_first_with_ours_at_the_end(self, sdk: Anthropic) -> None:
        made = [sdk.beta.skills.create(files=loose(f"s{n}")).id for n in range(3)]
        everything = [skill.id for skill in sdk.beta.skills.list(limit=2)]
        assert everything[:3] == made[::-1]
        assert len(everything) == len(set(everything))
        assert sorted(set(everything) - {i for i in everything if i.startswith("skill_")}) == [
            *("docx", "pdf", "pptx", "xlsx")
        ]
        assert everything == [skill.id for skill in sdk.beta.skills.list(limit=1000)]

    def test_by_source(self, sdk: Anthropic, skill: Any) -> None:
        ours = list(sdk.beta.skills.list(source="anthropic", limit=3))
        assert sorted(found.id for found in ours) == ["docx", "pdf", "pptx", "xlsx"]
        assert {found.source.type for found in ours} == {"anthropic"}
        custom = list(sdk.beta.skills.list(source="custom"))
        assert skill.id in {found.id for found in custom}
        assert {found.source.type for found in custom} == {"custom"}

    def test_refused(self, http: httpx.Client, skill: Any) -> None:
        answer = http.get(f"{URL}?source=plugins")
        refused(answer, 400, 'Failed to parse request: source: "plugins" is not a valid value')
        assert http.get(f"{URL}?limit=1001").status_code == 400
        assert http.get(f"{URL}?page=page_x").status_code == 400
        assert http.get(f"{URL}?limit=1000&source=anthropic").json()["next_page"] is None

    def test_versions_in_pages(self, sdk: Anthropic, skill: Any) -> None:
        made = [skill.latest_version_id] + [
            sdk.beta.skills.versions.create(skill.id, files=loose()).id for _ in range(4)
        ]
        assert [v.id for v in sdk.beta.skills.versions.list(skill.id, limit=2)] == made[::-1]


class TestOurs:
    @pytest.mark.parametrize("name", ["docx", "pdf", "pptx", "xlsx"])
    def test_read_and_download(self, sdk: Anthropic, name: str) -> None:
        skill = sdk.beta.skills.retrieve(name)
        version = sdk.beta.skills.versions.retrieve("latest", skill_id=name)
        assert (version.id, version.name) == (skill.latest_version_id, name)
        assert [v.id for v in sdk.beta.skills.versions.list(name)] == [version.id]
        content = sdk.beta.skills.versions.download(version.id, skill_id=name).read()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert f"{name}/SKILL.md" in archive.namelist()

    def test_are_not_the_clients_to_change(self, http: httpx.Client) -> None:
        message = "Invalid skill_id format: xlsx"
        versions = f"{URL}/xlsx/versions"
        refused(post(http, ("xlsx/SKILL.md", head("xlsx")), path=versions), 400, message)
        refused(http.delete(f"{URL}/xlsx"), 400, message)
        refused(http.delete(f"{versions}/{ABSENT_VERSION}"), 400, message)


class TestLegacy:
    def test_shapes_and_life(self, http: httpx.Client) -> None:
        http.headers["anthropic-beta"] = LEGACY["anthropic-beta"]
        try:
            made = post(http, ("old/SKILL.md", head("old")), display_title="Old").json()
            number = made["latest_version"]
            assert number.isdigit()
            assert set(made) == {
                *("id", "type", "display_title", "latest_version", "source"),
                *("created_at", "updated_at"),
            }
            assert (made["display_title"], made["source"]) == ("Old", "custom")
            path = f"{URL}/{made['id']}"
            assert http.get(path).json() == made
            version = http.get(f"{path}/versions/{number}").json()
            assert (version["version"], version["directory"]) == (number, "old")
            assert (version["skill_id"], version["name"]) == (made["id"], "old")
            page = http.get(f"{path}/versions").json()
            assert page == {"data": [version], "has_more": False, "next_page": None}
            listed = http.get(f"{URL}?limit=1").json()
            assert (listed["data"], listed["has_more"]) == ([made], True)
            assert http.get(f"{path}/versions/{number}/content").content[:2] == b"PK"
            for word in ("latest", version["id"]):
                refused(
                    http.get(f"{path}/versions/{word}"),
                    400,
                    f"Invalid version format: '{word}'. Version must be a numeric timestamp "
                    "(e.g., '1759178010641129').",
                )
            refused(
                http.delete(path),
                400,
                "Cannot delete skill with existing versions. Delete all versions first.",
            )
            gone = http.delete(f"{path}/versions/{number}").json()
            assert gone == {"id": number, "type": "skill_version_deleted"}
            assert http.get(path).json()["latest_version"] is None
            http.headers["anthropic-beta"] = ""
            refused(http.get(path), 404, f"Skill not found: {made['id']}")
            assert made["id"] not in http.get(f"{URL}?limit=1000").text
            http.headers["anthropic-beta"] = LEGACY["anthropic-beta"]
            assert http.delete(path).json() == {"id": made["id"], "type": "skill_deleted"}
            refused(http.get(path), 404, f"Skill not found: {made['id']}")
        finally:
            http.headers["anthropic-beta"] = "managed-agents-2026-04-01"


class TestAgents:
    def create(self, sdk: Anthropic, *skills: dict[str, str]) -> Any:
        return sdk.beta.agents.create(
            name="A",
            model="claude-opus-5",
            tools=[TOOLSET],  # type: ignore[list-item]
            skills=list(skills),  # type: ignore[arg-type]
        )

    def test_skills_that_exist(self, sdk: Anthropic, skill: Any) -> None:
        ours = sdk.beta.skills.retrieve("xlsx").latest_version_id
        agent = self.create(
            sdk,
            {"type": "anthropic", "skill_id": "xlsx", "version": ours},
            {"type": "custom", "skill_id": skill.id},
            {"type": "custom", "skill_id": skill.id, "version": skill.latest_version_id},
        )
        assert [each.version for each in agent.skills] == [
            ours,
            "latest",
            skill.latest_version_id,
        ]

    @pytest.mark.parametrize(
        ("reference", "missing"),
        [
            ({"type": "anthropic", "skill_id": "xls"}, "`xls`"),
            ({"type": "custom", "skill_id": "xlsx"}, "`xlsx`"),
            ({"type": "custom", "skill_id": ABSENT}, f"`{ABSENT}`"),
            ({"type": "anthropic", "skill_id": "xlsx", "version": "1"}, "`xlsx` version `1`"),
        ],
    )
    def test_skills_that_do_not(
        self, sdk: Anthropic, agent: Any, environment: Any, reference: dict[str, str], missing: str
    ) -> None:
        message = f"Agent has invalid configuration: `skill_id` {missing} not found"
        override = {"type": "agent_with_overrides", "id": agent.id, "skills": [reference]}
        for attempt in (
            lambda: self.create(sdk, reference),
            lambda: sdk.beta.agents.update(agent.id, version=1, skills=[reference]),  # type: ignore[list-item]
            lambda: sdk.beta.sessions.create(
                environment_id=environment.id,
                agent=override,  # type: ignore[arg-type]
            ),
        ):
            with pytest.raises(anthropic.BadRequestError) as caught:
                attempt()
            assert caught.value.body["error"]["message"] == message  # type: ignore[index]

    def test_a_version_that_does_not(self, sdk: Anthropic, skill: Any) -> None:
        for version in (ABSENT_VERSION, "1759178010641129", "newest"):
            with pytest.raises(anthropic.BadRequestError, match=f"version `{version}` not found"):
                self.create(sdk, {"type": "custom", "skill_id": skill.id, "version": version})

    def test_an_agent_outlives_its_skill(self, sdk: Anthropic, skill: Any) -> None:
        agent = self.create(sdk, {"type": "custom", "skill_id": skill.id})
        sdk.beta.skills.delete(skill.id)
        renamed = sdk.beta.agents.update(agent.id, version=1, name="B")
        assert [each.skill_id for each in renamed.skills] == [skill.id]
