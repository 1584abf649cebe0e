"""What was fetched of repositories: one bare repository a workspace and URL, of single commits.

A commit is fetched once and shared by the sessions of its workspace; each of them asks the host
first, with its own token, and takes nothing that the host does not let it read. Nothing is ever
checked out here: trees with hostile names, links and filters are data, and are unpacked by the
git in the sandbox, with the agent's rights.

A commit is here once its ref is, which git writes last: what a server that died left half done
is fetched again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import re
import secrets
import shutil
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from freehold.core.git_repositories import Repository, authorization, git_files, parse_repository
from freehold.errors import RepositoryError
from freehold.git.command import Git, Outcome
from freehold.git.failures import failure
from freehold.git.network import GitNetwork, resolve_option
from freehold.ports.repositories import FetchedRepository, WantedRepository

log = logging.getLogger(__name__)

_KEPT = "refs/freehold"
_FULL = re.compile(r"[0-9a-f]{40}")
_HEX = re.compile(r"[0-9a-f]{7,40}")
_SKILL = re.compile(r"\.claude/skills/[^/\x00-\x1f\ufffd]+/SKILL\.md")
_SKILL_BYTES = 64 * 1024
_MOST_SKILLS = 50
_MOST_AT_ONCE = 4
_DAY = 86_400.0
_PACK = "objects/pack"


@dataclass(frozen=True)
class _Target:
    """What is to be fetched: an object's name, and the ref by which the host tells of it."""

    commit: str | None
    branch: str | None


class GitCache:
    """The repositories in the data directory.

    Args:
        folder: Where they are.
        network: Where connections may go.
        hosts: Git hosts besides github.com.
        tls: Whom to trust.
        most_mb: How large what is fetched at once may be, in MiB.
        seconds: After which a command of git's is ended.
        keep_days: How long a repository is kept that nobody asks for.
    """

    def __init__(
        self,
        folder: Path,
        network: GitNetwork,
        *,
        tls: ssl.SSLContext,
        hosts: Sequence[str] = (),
        most_mb: int = 1024,
        seconds: float = 600.0,
        keep_days: float = 14.0,
    ) -> None:
        self._folder = folder
        self._network = network
        self._tls = tls
        self._hosts = tuple(hosts)
        self._most_mb = most_mb
        self._keep_days = keep_days
        self._git = Git(folder / "nobody", seconds=seconds, most_bytes=most_mb * 2**20)
        self._busy = asyncio.Semaphore(_MOST_AT_ONCE)

    async def fetch(self, wanted: WantedRepository) -> FetchedRepository:
        """See to it that what is wanted is here; see the port."""
        repository = self._repository(wanted)
        async with self._busy:
            config = await self._config(repository, wanted.token)
            target = await self._ask(repository, wanted, config)
            if target.commit is not None:
                async with self._locked(wanted) as mirror:
                    await self._keep(mirror, repository, wanted, target, config)
            return FetchedRepository(target.commit, target.branch)

    @contextlib.asynccontextmanager
    async def git_folder(
        self, wanted: WantedRepository, fetched: FetchedRepository
    ) -> AsyncIterator[Mapping[str, bytes | Path]]:
        """The files of the ``.git`` of a working copy; see the port."""
        repository = self._repository(wanted)
        files: dict[str, bytes | Path] = dict(git_files(repository, fetched.commit, fetched.branch))
        if fetched.commit is None:
            yield files
            return
        with tempfile.TemporaryDirectory(prefix="packing-", dir=self._made()) as scratch:
            async with self._locked(wanted) as mirror:
                packed = await self._git.run(
                    *(f"--git-dir={mirror}", "pack-objects", "--revs", "--quiet"),
                    *("--delta-base-offset", f"{scratch}/pack"),
                    given=f"--shallow {fetched.commit}\n{fetched.commit}\n".encode(),
                )
            if packed.status:
                raise failure(repository.url, packed.errors, token=None, largest_mb=self._most_mb)
            files |= {f"{_PACK}/{file.name}": file for file in _packs(Path(scratch))}
            yield files

    async def skills(
        self, wanted: WantedRepository, fetched: FetchedRepository
    ) -> Mapping[str, bytes]:
        """The skills of what was fetched; see the port."""
        if fetched.commit is None:
            return {}
        async with self._locked(wanted) as mirror:
            at = f"--git-dir={mirror}"
            listed = await self._git.run(
                *(at, "ls-tree", "-r", "-z", "--long", "--full-tree", fetched.commit),
                *("--", ".claude/skills"),
            )
            if listed.status:
                raise RepositoryError("clone", f"{wanted.url} is not here any more")
            found: dict[str, bytes] = {}
            for path, blob in _skill_files(listed.output)[:_MOST_SKILLS]:
                told = await self._git.run(at, "cat-file", "blob", blob)
                if told.status == 0:
                    found[path] = told.output
            return found

    async def sweep(self) -> int:
        """Remove what nobody asked for in a while, and what servers that died left; how many."""
        return await asyncio.to_thread(self._sweep)

    # --- asking the host

    async def _config(self, repository: Repository, token: str | None) -> dict[str, str]:
        address = await self._network.pin(repository.host, repository.port)
        config = {"http.sslCAInfo": str(await asyncio.to_thread(self._trust))}
        pinned = resolve_option(repository.host, repository.port, address)
        if pinned is not None:
            config["http.curloptResolve"] = pinned
        if token is not None:
            # By an environment that git alone is given, and for this host alone.
            origin = f"https://{repository.authority}"
            config[f"http.{origin}/.extraHeader"] = f"Authorization: {authorization(token)}"
        return config

    async def _ask(
        self, repository: Repository, wanted: WantedRepository, config: Mapping[str, str]
    ) -> _Target:
        """What the host has of what is wanted, which it lets this token read."""
        checkout = wanted.checkout or {}
        branch = checkout["name"] if checkout.get("type") == "branch" else None
        if branch is not None and not await self._is_branch(branch):
            raise RepositoryError("checkout", f"{branch[:100]!r} is not a name for a branch")
        names = ["HEAD"] if branch is None else ["HEAD", f"refs/heads/{branch}"]
        told = await self._git.run("ls-remote", "--symref", repository.url, *names, config=config)
        self._check(told, repository, wanted)
        refs, head = _refs(told.output)
        if checkout.get("type") == "commit":
            return _Target(await self._whole(checkout["sha"], repository, wanted, config), None)
        if branch is None:
            # A host whose HEAD is no branch is taken at its word; one without any is empty.
            if "HEAD" not in refs:
                return _Target(None, head or "main")
            return _Target(refs["HEAD"], head)
        if f"refs/heads/{branch}" not in refs:
            raise RepositoryError("checkout", f"{repository.url} has no branch {branch[:255]!r}")
        return _Target(refs[f"refs/heads/{branch}"], branch)

    async def _is_branch(self, name: str) -> bool:
        if "\0" in name or name.startswith("-"):
            return False
        return (await self._git.run("check-ref-format", f"refs/heads/{name}")).status == 0

    async def _whole(
        self,
        sha: str,
        repository: Repository,
        wanted: WantedRepository,
        config: Mapping[str, str],
    ) -> str:
        """A commit's full name."""
        sha = sha.lower()
        if _FULL.fullmatch(sha):
            return sha
        if not _HEX.fullmatch(sha):
            raise RepositoryError("checkout", f"{sha[:64]!r} is not the name of a commit")
        # Only one who knows all commits can tell which one is meant; files are not needed.
        with tempfile.TemporaryDirectory(prefix="naming-", dir=self._made()) as scratch:
            there = f"{scratch}/commits.git"
            cloned = await self._git.run(
                *("clone", "--quiet", "--bare", "--filter=tree:0", "--template="),
                *(repository.url, there),
                config=config,
            )
            self._check(cloned, repository, wanted)
            named = await self._git.run(
                f"--git-dir={there}", "rev-parse", "--verify", "--quiet", f"{sha}^{{commit}}"
            )
        found = named.output.decode("ascii", "replace").strip()
        if named.status or not _FULL.fullmatch(found):
            raise RepositoryError("checkout", f"{repository.url} has no one commit {sha}")
        return found

    def _check(self, told: Outcome, repository: Repository, wanted: WantedRepository) -> None:
        if told.status:
            raise failure(repository.url, told.errors, token=wanted.token, largest_mb=self._most_mb)

    # --- the cache itself

    async def _keep(
        self,
        mirror: Path,
        repository: Repository,
        wanted: WantedRepository,
        target: _Target,
        config: Mapping[str, str],
    ) -> None:
        """Have the commit in the mirror, which is locked."""
        kept = f"{_KEPT}/{target.commit}"
        for attempt in (1, 2):
            if not (mirror / "HEAD").exists():
                await self._git.run("init", "--quiet", "--bare", "--template=", str(mirror))
            here = await self._git.run(
                f"--git-dir={mirror}", "rev-parse", "--verify", "--quiet", f"{kept}^{{tree}}"
            )
            if here.status == 0:
                os.utime(mirror)
                return
            told = await self._git.run(
                *(f"--git-dir={mirror}", "fetch", "--quiet", "--no-tags", "--depth=1"),
                *("--no-write-fetch-head", repository.url, f"{target.commit}:{kept}"),
                config=config,
            )
            if told.status == 0:
                continue
            error = failure(
                repository.url, told.errors, token=wanted.token, largest_mb=self._most_mb
            )
            spoiled = error.kind == "clone" and "larger than" not in error.message
            if attempt == 2 or not spoiled:
                raise error
            # A server that died may have left locks: begin anew.
            log.warning("the cache of %s is made anew: %s", repository.url, error)
            await asyncio.to_thread(shutil.rmtree, mirror, ignore_errors=True)
        here = await self._git.run(
            f"--git-dir={mirror}", "rev-parse", "--verify", "--quiet", f"{kept}^{{tree}}"
        )
        if here.status:
            raise RepositoryError("checkout", f"{repository.url}: {target.commit} is no commit")

    @contextlib.asynccontextmanager
    async def _locked(self, wanted: WantedRepository) -> AsyncIterator[Path]:
        """The mirror of a workspace's repository, which nobody else touches meanwhile."""
        key = hashlib.sha256(f"{wanted.workspace_id}\0{wanted.url}".encode()).hexdigest()
        folder = self._made()
        handle = os.open(folder / f"{key[:40]}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _taken(handle):  # noqa: ASYNC110 - another process may have it
                await asyncio.sleep(0.05)
            yield folder / f"{key[:40]}.git"
        finally:
            os.close(handle)

    def _sweep(self) -> int:
        if not self._folder.is_dir():
            return 0
        count, now = 0, time.time()
        for entry in self._folder.iterdir():
            age = now - entry.stat().st_mtime
            left = entry.name.startswith(("packing-", "naming-")) and age > _DAY
            unused = entry.suffix == ".git" and age > self._keep_days * _DAY
            grown = entry.suffix == ".git" and _size(entry) > 2 * self._most_mb * 2**20
            if not (left or unused or grown):
                continue
            lock = entry.with_suffix(".lock")
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if _taken(handle):
                    shutil.rmtree(entry, ignore_errors=True)
                    count += 1
            finally:
                os.close(handle)
        return count

    def _repository(self, wanted: WantedRepository) -> Repository:
        try:
            return parse_repository(wanted.url, self._hosts)
        except ValueError as error:
            # The operator may have taken the host out of the setting since.
            raise RepositoryError("clone", str(error)) from None

    def _made(self) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._folder

    def _trust(self) -> Path:
        """All certificates that the server trusts, in a file."""
        pems = map(ssl.DER_cert_to_PEM_cert, self._tls.get_ca_certs(binary_form=True))
        text = "".join(pems)
        path = self._made() / f"trust-{hashlib.sha256(text.encode()).hexdigest()[:16]}.pem"
        if not path.exists():
            # Several threads may find it missing.
            fresh = path.with_name(f".{secrets.token_hex(8)}-{path.name}")
            fresh.write_text(text, encoding="ascii")
            fresh.replace(path)
        return path


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _skill_files(listing: bytes) -> list[tuple[str, str]]:
    """Paths and objects of the skills in an ``ls-tree --long -z``; regular files alone."""
    found = []
    for line in listing.decode("utf-8", "replace").split("\0"):
        entry, _, path = line.partition("\t")
        fields = entry.split()
        if (
            len(fields) == 4
            and fields[0] in {"100644", "100755"}
            and int(fields[3]) <= _SKILL_BYTES
            and _SKILL.fullmatch(path)
        ):
            found.append((path, fields[2]))
    return sorted(found)


def _packs(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix in {".pack", ".idx"}]


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _refs(output: bytes) -> tuple[dict[str, str], str | None]:
    """The refs that ``ls-remote --symref`` tells of, and the branch that HEAD is."""
    refs: dict[str, str] = {}
    head = None
    for line in output.decode("utf-8", "surrogateescape").splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: refs/heads/") and name == "HEAD":
            head = value.removeprefix("ref: refs/heads/")
        elif _FULL.fullmatch(value):
            refs[name] = value
    return refs, head
