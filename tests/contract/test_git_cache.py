"""The server's git against a real host: what is fetched, who may have it, and how it fails."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.certificates import Authority
from tests.support.git_server import GitServer, git

from freehold import tls
from freehold.core.addresses import parse_network
from freehold.errors import RepositoryError
from freehold.git import GitCache, GitNetwork
from freehold.ports.repositories import FetchedRepository, WantedRepository

LOOPBACK = parse_network("127.0.0.0/8")
TOKEN = "tok-canary-4711"  # what must be nowhere on the disk


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "git")


@pytest.fixture
def host(authority: Authority, tmp_path: Path) -> Iterator[GitServer]:
    made = GitServer(tmp_path / "host")
    with made.serving(authority.certificate("localhost").context()):
        yield made


def trusting(authority: Authority) -> ssl.SSLContext:
    return tls.context(authority.file)


class Bench:
    """A cache, and short ways to ask it."""

    def __init__(self, folder: Path, host: GitServer, tls: ssl.SSLContext, **options: Any) -> None:
        self.folder = folder
        network = GitNetwork(options.pop("trusted", [LOOPBACK]))
        hosts = options.pop("hosts", [host.authority])
        self.cache = GitCache(folder, network, tls=tls, hosts=hosts, **options)
        self.host = host

    def wanted(
        self, name: str, token: str | None = TOKEN, workspace: str = "w1", /, **checkout: str
    ) -> WantedRepository:
        return WantedRepository(workspace, self.host.url(name), checkout or None, token)

    async def fetch(self, name: str, /, *args: Any, **checkout: str) -> FetchedRepository:
        return await self.cache.fetch(self.wanted(name, *args, **checkout))

    async def copy(self, target: Path, name: str, /, *args: Any, **checkout: str) -> Path:
        """A working copy, as the sandbox makes it."""
        wanted = self.wanted(name, *args, **checkout)
        fetched = await self.cache.fetch(wanted)
        async with self.cache.git_folder(wanted, fetched) as files:
            for folder in ("objects/info", "objects/pack", "refs/heads"):
                (target / ".git" / folder).mkdir(parents=True, exist_ok=True)
            for path, source in files.items():
                file = target / ".git" / path
                file.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(source, Path):
                    shutil.copyfile(source, file)
                else:
                    file.write_bytes(source)
        if fetched.commit is not None:
            git("reset", "-q", "--hard", cwd=target)
        return target

    async def refused(self, name: str, /, *args: Any, **checkout: str) -> RepositoryError:
        with pytest.raises(RepositoryError) as caught:
            await self.fetch(name, *args, **checkout)
        assert TOKEN not in str(caught.value)
        return caught.value


@pytest.fixture
def bench(authority: Authority, host: GitServer, tmp_path: Path) -> Bench:
    return Bench(tmp_path / "data" / "git", host, trusting(authority))


async def test_the_default_branch(bench: Bench, tmp_path: Path) -> None:
    bench.host.create("ada/engine", TOKEN)
    first = bench.host.head("ada/engine")
    second = bench.host.commit("ada/engine", {"src/a.py": "print(1)\n", "link:to": "src/a.py"})
    copy = await bench.copy(tmp_path / "copy", "ada/engine")
    assert (copy / "README.md").read_text() == "# ada/engine\n"
    assert (copy / "to").readlink() == Path("src/a.py")
    assert git("status", "--porcelain", "--branch", cwd=copy) == "## main...origin/main"
    assert git("rev-parse", "HEAD", cwd=copy) == second
    assert git("rev-list", "HEAD", cwd=copy) == second  # shallow: not `first`
    assert first not in git("rev-list", "--all", cwd=copy)
    assert git("fsck", "--strict", cwd=copy) == ""
    for remote in ("origin", "github"):
        assert git("remote", "get-url", remote, cwd=copy) == bench.host.url("ada/engine")
    assert git("rev-parse", "--abbrev-ref", "origin/HEAD", cwd=copy) == "origin/main"


async def test_a_branch_and_a_commit(bench: Bench, tmp_path: Path) -> None:
    bench.host.create("ada/engine", TOKEN)
    old = bench.host.head("ada/engine")
    name = 'feature/"quoted"-é'
    there = bench.host.commit("ada/engine", {"x": "y"}, branch=name)
    bench.host.commit("ada/engine", {"new": "new"})
    copy = await bench.copy(tmp_path / "a", "ada/engine", type="branch", name=name)
    assert git("rev-parse", "HEAD", cwd=copy) == there
    assert git("symbolic-ref", "--short", "HEAD", cwd=copy) == name
    assert git("rev-parse", "@{upstream}", cwd=copy) == there
    for number, sha in enumerate((old, old[:7].upper(), old[:12])):
        copy = await bench.copy(tmp_path / f"b{number}", "ada/engine", type="commit", sha=sha)
        assert git("rev-parse", "HEAD", cwd=copy) == old
        assert git("status", "--porcelain", "--branch", cwd=copy) == "## HEAD (no branch)"
        assert not (copy / "new").exists()


async def test_an_empty_repository(bench: Bench, tmp_path: Path) -> None:
    bench.host.create("ada/empty", TOKEN, empty=True)
    copy = await bench.copy(tmp_path / "copy", "ada/empty")
    assert git("status", "--porcelain", "--branch", cwd=copy).startswith(
        "## No commits yet on main"
    )


async def test_what_is_here_is_not_fetched_again_and_asked_for_each_time(bench: Bench) -> None:
    bench.host.create("ada/engine", TOKEN, "tok-other")
    first = await bench.fetch("ada/engine")
    sent = bench.host.packs_sent()
    assert await bench.fetch("ada/engine", "tok-other") == first
    full = {"type": "commit", "sha": str(first.commit)}
    assert (await bench.fetch("ada/engine", **full)).commit == first.commit
    # Refs are listed by the same path, once a fetch; no pack was sent.
    listings = bench.host.packs_sent() - sent
    assert listings == 2
    assert (await bench.refused("ada/engine", "wrong", **full)).kind == "authentication"
    assert (await bench.refused("ada/engine", None, **full)).kind == "authentication"
    bench.host.tokens["ada/engine"] = {"tok-new"}
    assert (await bench.refused("ada/engine", **full)).kind == "authentication"
    later = bench.host.commit("ada/engine", {"more": "x"})
    assert (await bench.fetch("ada/engine", "tok-new")).commit == later


async def test_many_sessions_at_once(bench: Bench) -> None:
    bench.host.create("ada/engine", TOKEN)
    found = await asyncio.gather(*(bench.fetch("ada/engine") for _ in range(6)))
    assert {one.commit for one in found} == {bench.host.head("ada/engine")}


async def test_workspaces_share_nothing(bench: Bench) -> None:
    bench.host.create("ada/engine", TOKEN)
    await bench.fetch("ada/engine")
    assert len(list(bench.folder.glob("*.git"))) == 1
    await bench.fetch("ada/engine", TOKEN, "w2")
    assert len(list(bench.folder.glob("*.git"))) == 2
    fetched = await bench.fetch("ada/engine")
    never = bench.wanted("ada/engine", TOKEN, "w3")
    with pytest.raises(RepositoryError):
        async with bench.cache.git_folder(never, fetched):
            pass


async def test_the_token_is_nowhere(bench: Bench, tmp_path: Path) -> None:
    bench.host.create("ada/engine", TOKEN)
    await bench.copy(tmp_path / "copy", "ada/engine")
    await bench.fetch("ada/engine", type="commit", sha=bench.host.head("ada/engine")[:8])
    assert TOKEN in {password for _, password in bench.host.requests}
    encoded = b"eC1hY2Nlc3MtdG9rZW46"  # base64 of "x-access-token:"
    for folder in (bench.folder, tmp_path / "copy"):
        for file in folder.rglob("*"):
            if file.is_file():
                data = file.read_bytes()
                assert TOKEN.encode() not in data, file
                assert encoded not in data, file


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, "authentication", "does not accept the authorization_token"),
        (403, "forbidden", "403"),
        (404, "not_found", "does not exist"),
        (301, "clone", "redirects"),
        (500, "clone", "500"),
    ],
)
async def test_how_a_host_refuses(bench: Bench, status: int, kind: str, words: str) -> None:
    bench.host.create("ada/engine", TOKEN)
    bench.host.answers["ada/engine"] = status
    error = await bench.refused("ada/engine")
    assert (error.kind, error.retryable) == (kind, status == 500)
    assert words in error.message
    assert bench.host.url("ada/engine") in error.message


async def test_what_is_not_there(bench: Bench) -> None:
    bench.host.create("ada/engine", TOKEN)
    bench.host.tokens["ada/nothing"] = None
    assert (await bench.refused("ada/nothing", None)).kind == "not_found"
    for checkout in (
        {"type": "branch", "name": "nowhere"},
        {"type": "branch", "name": "--upload-pack=x"},
        {"type": "branch", "name": "a..b"},
        {"type": "commit", "sha": "0" * 40},
        {"type": "commit", "sha": "0" * 64},
        {"type": "commit", "sha": "0123456"},
        {"type": "commit", "sha": "--help-me"},
    ):
        error = await bench.refused("ada/engine", **checkout)
        assert error.kind == "checkout", (checkout, error)


async def test_a_blob_is_no_commit(bench: Bench) -> None:
    bench.host.create("ada/engine", TOKEN)
    blob = git("rev-parse", "main:README.md", cwd=bench.host.bare("ada/engine"))
    assert (await bench.refused("ada/engine", type="commit", sha=blob)).kind == "checkout"


async def test_hosts_that_cannot_be_had(
    bench: Bench, authority: Authority, host: GitServer, tmp_path: Path
) -> None:
    host.create("ada/engine", TOKEN)
    inside = Bench(tmp_path / "i", host, trusting(authority), trusted=[])
    assert "FREEHOLD_TRUSTED_NETWORKS" in (await inside.refused("ada/engine")).message
    stranger = Bench(tmp_path / "s", host, tls.context(None))
    error = await stranger.refused("ada/engine")
    assert error.kind == "clone"
    assert "TLS" in error.message
    other = Bench(tmp_path / "o", host, trusting(authority), hosts=["127.0.0.1:1"])
    error = await other.refused("ada/engine")
    assert "invalid github_repository url" in error.message
    wanted = WantedRepository("w", "https://127.0.0.1:1/a/b", None, None)
    with pytest.raises(RepositoryError, match="belongs to another protocol"):
        await other.cache.fetch(wanted)
    assert host.requests == []


async def test_nobody_listens(authority: Authority, host: GitServer, tmp_path: Path) -> None:
    quiet = Bench(tmp_path / "q", host, trusting(authority), hosts=["localhost:8099"])
    wanted = WantedRepository("w", "https://localhost:8099/a/b", None, None)
    with pytest.raises(RepositoryError, match="cannot be reached") as caught:
        await quiet.cache.fetch(wanted)
    assert (caught.value.kind, caught.value.retryable) == ("clone", True)


async def test_too_large(authority: Authority, host: GitServer, tmp_path: Path) -> None:
    small = Bench(tmp_path / "small", host, trusting(authority), most_mb=1)
    host.create("ada/big", TOKEN)
    await small.fetch("ada/big")
    host.commit("ada/big", {"big": os.urandom(1_500_000).hex()})
    error = await small.refused("ada/big")
    assert (error.kind, error.retryable) == ("clone", False)
    assert "larger than 1 MB" in error.message
    host.commit("ada/big", {"big": "small again"})
    await small.fetch("ada/big")


async def test_too_slow(authority: Authority, host: GitServer, tmp_path: Path) -> None:
    host.create("ada/slow", TOKEN)
    host.hold = threading.Event()
    slow = Bench(tmp_path / "slow", host, trusting(authority), seconds=1)
    error = await slow.refused("ada/slow")
    assert (error.kind, error.message) == ("clone", "git did not finish within 1 seconds")


async def test_what_a_dead_server_left_does_not_stand_in_the_way(bench: Bench) -> None:
    bench.host.create("ada/engine", TOKEN)
    await bench.fetch("ada/engine")
    (mirror,) = bench.folder.glob("*.git")
    (mirror / "shallow.lock").touch()
    later = bench.host.commit("ada/engine", {"more": "x"})
    assert (await bench.fetch("ada/engine")).commit == later
    for file in mirror.rglob("*.pack"):
        file.chmod(0o600)
        file.write_bytes(b"garbage")
    newest = bench.host.commit("ada/engine", {"more": "y"})
    wanted = bench.wanted("ada/engine")
    fetched = await bench.cache.fetch(wanted)
    assert fetched.commit == newest
    async with bench.cache.git_folder(wanted, fetched) as files:
        assert any(path.endswith(".pack") for path in files)


async def test_hostile_trees_are_only_data(bench: Bench, tmp_path: Path) -> None:
    bench.host.create("eve/evil", TOKEN)
    bench.host.commit(
        "eve/evil",
        {
            ".git/hooks/post-checkout": "#!/bin/sh\ntouch /tmp/freehold-owned\n",
            "../escaped": "x",
            "link:sub": str(tmp_path),
            ".gitmodules": '[submodule "m"]\n\tpath = m\n\turl = file:///etc\n',
            ".gitattributes": "* filter=evil\n",
        },
    )
    fetched = await bench.fetch("eve/evil")
    wanted = bench.wanted("eve/evil")
    async with bench.cache.git_folder(wanted, fetched) as files:
        for path in files:
            assert not path.startswith(("/", "hooks/"))
            assert ".." not in path.split("/")
    assert not (tmp_path / "escaped").exists()
    assert {file.suffix for file in bench.folder.iterdir()} == {".git", ".lock", ".pem"}


async def test_skills_that_a_repository_brings_along(bench: Bench) -> None:
    bench.host.create("ada/engine", TOKEN)
    assert (
        await bench.cache.skills(bench.wanted("ada/engine"), await bench.fetch("ada/engine")) == {}
    )
    bench.host.commit(
        "ada/engine",
        {
            ".claude/skills/review/SKILL.md": "---\nname: review\n---\n",
            ".claude/skills/review/more.md": "x",
            ".claude/skills/deep/er/SKILL.md": "x",
            "link:.claude/skills/linked/SKILL.md": "/etc/passwd",
            ".claude/skills/huge/SKILL.md": "x" * 100_000,
            "sub/.claude/skills/other/SKILL.md": "x",
        },
    )
    found = await bench.cache.skills(bench.wanted("ada/engine"), await bench.fetch("ada/engine"))
    assert found == {".claude/skills/review/SKILL.md": b"---\nname: review\n---\n"}


async def test_what_nobody_asks_for_goes(bench: Bench) -> None:
    bench.host.create("ada/engine", TOKEN)
    await bench.fetch("ada/engine")
    assert await bench.cache.sweep() == 0
    (mirror,) = bench.folder.glob("*.git")
    os.utime(mirror, (0, 0))
    (bench.folder / "packing-left").mkdir()
    os.utime(bench.folder / "packing-left", (0, 0))
    assert await bench.cache.sweep() == 2
    assert not mirror.exists()
    await bench.fetch("ada/engine")
