"""Repositories in sandboxes (spec 9.2): cloned by the server, checked out by the git inside.

The sandbox gets the objects of one commit and a ``.git`` that leads to them, and unpacks the tree
itself, with the agent's rights: whatever a tree holds, hostile names and links among it, is never
unpacked on the server, and harms nothing there that the agent could not harm by itself.
"""

from __future__ import annotations

import asyncio
import logging
import posixpath
import secrets
import shlex
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from freehold.core.events import Json
from freehold.core.git_repositories import (
    authorization,
    error_object,
    git_folder,
    mounted_repositories,
    parse_repository,
)
from freehold.errors import PlacementRefused, RepositoryError, SecretUnreadable
from freehold.harness.repository_fetching import RepositoryFetching
from freehold.ports.egress import Grants, Injection
from freehold.ports.log import SessionSpec
from freehold.ports.repositories import (
    FetchedRepository,
    RepositorySkillStore,
    RepositorySource,
    RepositoryTokens,
    WantedRepository,
)
from freehold.ports.sandbox import Placed, Root, Sandbox, ToolCall
from freehold.ports.skills import RepositorySkill

log = logging.getLogger(__name__)

OPEN = ("/workspace", "/home/agent", "/tmp")  # noqa: S108 - inside
"""Folders of the agent's in every sandbox. A mount elsewhere is a root of its own."""

_FOLDERS = ("objects/info", "objects/pack", "refs/heads", "refs/tags")
_UNFINISHED = "freehold-unfinished"
"""In a ``.git`` that is being put there."""
_LOOK_MS = 60_000
_CHECKOUT_MS = 600_000
_SHOWN = 300
_REMEMBERED = 512


@dataclass(frozen=True)
class _Lacking:
    sandbox_id: str
    resources: frozenset[str]


class RepositoryFurnisher:
    """Puts a session's repositories into its sandbox, and says which it goes on without.

    Args:
        source: Has them on the server's disk.
        tokens: Opens their tokens.
        fetching: Has them fetched; default: for this alone.
    """

    def __init__(
        self,
        source: RepositorySource,
        tokens: RepositoryTokens,
        fetching: RepositoryFetching | None = None,
    ) -> None:
        self._source = source
        self._tokens = tokens
        self._fetching = fetching or RepositoryFetching(source)
        self._lacking: OrderedDict[str, _Lacking] = OrderedDict()

    async def roots(self, spec: SessionSpec) -> Sequence[Root]:
        """The mounts outside of the agent's own folders; see the port."""
        paths = [str(mount["mount_path"]) for mount in mounted_repositories(spec.resources)]
        return [
            Root(path, writable=True)
            for path in paths
            if not any(path == folder or path.startswith(f"{folder}/") for folder in OPEN)
        ]

    async def describe(self, _: SessionSpec) -> str | None:
        """Nothing: the service has no words for them (spec 22.4)."""
        return None

    async def furnish(
        self, spec: SessionSpec, sandbox: Sandbox, *, fresh: bool
    ) -> Sequence[Json] | None:
        """Clone and check out; see the port.

        A sandbox that is not fresh is given only what this process could not give it before: the
        agent may have deleted a repository, or changed it. In a fresh one, what was restored from
        a checkpoint is the agent's as well, with all that it changed.
        """
        due = mounted_repositories(spec.resources)
        if not fresh:
            before = self._lacking.get(spec.session_id)
            lacking = before.resources if before and before.sandbox_id == sandbox.identity else ()
            due = [mount for mount in due if mount["id"] in lacking]
        if not due:
            return None
        tokens = await self._opened(spec.session_id)
        troubles: dict[str, Json] = {}
        for mount in due:
            try:
                if fresh and await _is_the_agents(sandbox, mount["mount_path"]):
                    continue
                await self._mount(spec, sandbox, mount, tokens)
            except RepositoryError as error:
                log.warning("repository of %s: %s", spec.session_id, error)
                troubles[mount["id"]] = error_object(error.kind, mount["url"], error.message)
        self._lacking[spec.session_id] = _Lacking(sandbox.identity, frozenset(troubles))
        self._lacking.move_to_end(spec.session_id)
        if len(self._lacking) > _REMEMBERED:
            self._lacking.popitem(last=False)
        return list(troubles.values())

    async def _opened(self, session_id: str) -> Mapping[str, str] | RepositoryError:
        try:
            return await self._tokens.tokens(session_id)
        except SecretUnreadable as error:
            log.warning("%s", error)
            return RepositoryError("authentication", "its authorization_token cannot be opened")

    async def _mount(
        self,
        spec: SessionSpec,
        sandbox: Sandbox,
        mount: Json,
        tokens: Mapping[str, str] | RepositoryError,
    ) -> None:
        if isinstance(tokens, RepositoryError):
            raise tokens
        wanted = _wanted(spec, mount, tokens)
        try:
            fetched = await self._fetching.fetch("furnisher", spec, wanted)
            await self._place(sandbox, mount["mount_path"], wanted, fetched)
        except (PlacementRefused, OSError) as error:
            raise RepositoryError(
                "clone", f"{wanted.url} could not be put into the sandbox: {error}"
            ) from error

    async def _place(
        self, sandbox: Sandbox, path: str, wanted: WantedRepository, fetched: FetchedRepository
    ) -> None:
        there = git_folder(path)
        async with self._source.git_folder(wanted, fetched) as files:
            await sandbox.place(
                [
                    # First, so that nobody takes for the agent's what broke off half way.
                    Placed(f"{there}/{_UNFINISHED}", b""),
                    *(Placed(f"{there}/{folder}", None) for folder in _FOLDERS),
                    *(Placed(f"{there}/{name}", source) for name, source in files.items()),
                ],
                writable=True,
            )
        await _check_out(sandbox, path, wanted.url, empty=fetched.commit is None)


async def _is_the_agents(sandbox: Sandbox, path: str) -> bool:
    """Whether a repository is there that nobody is in the middle of putting there."""
    script = f"[ -e .git/HEAD ] && [ ! -e .git/{_UNFINISHED} ]"
    status, _ = await _run(sandbox, path, script, _LOOK_MS)
    return status == "0"


async def _check_out(sandbox: Sandbox, path: str, url: str, *, empty: bool) -> None:
    """Have the git inside unpack the tree that HEAD names, if it names one."""
    # Large files stay pointers: whoever wants them can fetch them.
    script = f"""\
command -v git >/dev/null || {{ echo 'the sandbox has no git'; exit 9; }}
export GIT_LFS_SKIP_SMUDGE=1 GIT_TERMINAL_PROMPT=0
rm -f .git/index.lock
{"true" if empty else "git -c core.hooksPath=/dev/null reset --quiet --hard"}
status=$?
# Also where it failed: the session is told of that, and what is there now is the agent's.
rm -f .git/{_UNFINISHED}
exit $status"""
    status, told = await _run(sandbox, path, script, _CHECKOUT_MS)
    if status != "0":
        reason = told[-_SHOWN:] or "git said nothing"
        raise RepositoryError("checkout", f"{url} could not be checked out: {reason}")


async def _run(sandbox: Sandbox, path: str, script: str, timeout_ms: int) -> tuple[str, str]:
    """Run a script in a folder: its exit status, if it came to its end, and what it said."""
    mark = secrets.token_hex(16)
    script = f"""(
cd -- {shlex.quote(path)} || exit 9
{script}
) </dev/null 2>&1; echo "{mark} $?"
"""
    outcome = await sandbox.call(
        ToolCall(f"repository_{mark}", "bash", {"command": script, "timeout_ms": timeout_ms})
    )
    told = "".join(str(block.get("text", "")) for block in outcome.content).strip()
    said, _, status = told.rpartition(mark)
    return status.strip(), (said or told).strip()


class RepositorySkillFinder:
    """Finds the skills that a session's repositories bring along (spec 9.2), once a session.

    Args:
        source: Fetches the repositories; what the sandbox is given later is here then already.
        tokens: Opens their tokens.
        store: Remembers what was found.
        patience: Seconds after which a session starts without what is not here yet.
        fetching: Has them fetched; default: for this alone.
    """

    def __init__(
        self,
        source: RepositorySource,
        tokens: RepositoryTokens,
        store: RepositorySkillStore,
        patience: float = 120.0,
        fetching: RepositoryFetching | None = None,
    ) -> None:
        self._source = source
        self._tokens = tokens
        self._store = store
        self._patience = patience
        self._fetching = fetching or RepositoryFetching(source)
        self._looking: set[asyncio.Task[dict[str, bytes]]] = set()

    async def __call__(self, spec: SessionSpec) -> Sequence[RepositorySkill]:
        """The skills, always the same for a session. Nothing is raised for a repository that
        cannot be had: whoever furnishes the sandbox tells of it."""
        mounts = mounted_repositories(spec.resources)
        if not mounts:
            return ()
        known = await self._store.load(spec.session_id)
        if known is not None:
            return known
        try:
            tokens = await self._tokens.tokens(spec.session_id)
        except SecretUnreadable as error:
            log.warning("%s", error)
            return await self._store.keep(spec.session_id, [])
        tasks = [asyncio.create_task(self._found(spec, one, tokens)) for one in mounts]
        for task in tasks:
            self._looking.add(task)
            task.add_done_callback(self._looked)
        # What takes longer goes on, and is here when the sandbox wants it.
        await asyncio.wait(tasks, timeout=self._patience)
        skills = [
            RepositorySkill(posixpath.join(mount["mount_path"], path), content)
            for mount, task in zip(mounts, tasks, strict=True)
            if task.done() and not task.cancelled() and task.exception() is None
            for path, content in task.result().items()
        ]
        return await self._store.keep(spec.session_id, skills)

    async def close(self) -> None:
        """Look no longer."""
        tasks = list(self._looking)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _found(
        self, spec: SessionSpec, mount: Json, tokens: Mapping[str, str]
    ) -> dict[str, bytes]:
        wanted = _wanted(spec, mount, tokens)
        try:
            fetched = await self._fetching.fetch("finder", spec, wanted)
            return dict(await self._source.skills(wanted, fetched))
        except (RepositoryError, OSError) as error:
            log.info("no skills from %s for %s: %s", wanted.url, spec.session_id, error)
            return {}

    def _looked(self, task: asyncio.Task[dict[str, bytes]]) -> None:
        self._looking.discard(task)
        if not task.cancelled():
            task.exception()


def _wanted(spec: SessionSpec, mount: Json, tokens: Mapping[str, str]) -> WantedRepository:
    return WantedRepository(
        spec.workspace_id, mount["url"], mount.get("checkout"), tokens.get(mount["id"])
    )


class RepositoryGrants:
    """What the egress gate adds to git's requests to a session's repositories (spec 22.3).

    Asked anew each time, so a rotated token goes out with the next request.

    Args:
        tokens: Opens the tokens.
        hosts: Git hosts besides github.com.
    """

    def __init__(self, tokens: RepositoryTokens, hosts: Collection[str] = ()) -> None:
        self._tokens = tokens
        self._hosts = tuple(hosts)

    async def grants(self, spec: SessionSpec) -> Grants:
        """One for each path that git asks for; see the port."""
        mounts = mounted_repositories(spec.resources)
        if not mounts:
            return Grants()
        try:
            tokens = await self._tokens.tokens(spec.session_id)
        except SecretUnreadable as error:
            log.warning("%s", error)
            return Grants()
        found: dict[tuple[str, str], Injection] = {}
        for mount in mounts:
            token = tokens.get(mount["id"])
            if token is None:
                continue
            try:
                repository = parse_repository(mount["url"], self._hosts)
            except ValueError:
                continue
            for path in repository.git_paths:
                # Mounted twice, the first token is the one.
                found.setdefault(
                    (repository.authority, path),
                    Injection(
                        scheme="https",
                        host=repository.host,
                        port=repository.port,
                        path=path,
                        header="Authorization",
                        value=authorization(token),
                    ),
                )
        return Grants(injections=tuple(found.values()))
