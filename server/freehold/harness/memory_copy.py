"""One memory store's copy in one sandbox, and how the two are brought together.

What the agent changed goes to the store, which decides what becomes of it when somebody else was
there in between (:mod:`freehold.ports.memory`); what the store has then comes back. Nothing is put
into the copy over something that the store does not know.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from freehold.core import limits
from freehold.core.memory_mounts import MountedStore
from freehold.core.memory_paths import MARKER, ancestors, content_problem, path_problem
from freehold.core.memory_sync import changed, covered, incoming, outgoing
from freehold.errors import (
    FileChanged,
    InvalidRequest,
    MemoryPathConflict,
    NotFound,
    TooManyFiles,
)
from freehold.harness import memory_notes
from freehold.ports.memory import (
    GONE,
    Actor,
    Copy,
    Held,
    Mark,
    MemoryCopies,
    MemoryFile,
    MemoryFiles,
)
from freehold.ports.sandbox import Exchange, Placed, Sandbox, Survey

_AT_ONCE = 32
"""Files whose contents are in the server's memory at one time."""


@dataclass(frozen=True)
class Site:
    """A store in the sandbox of a session."""

    store: MountedStore
    workspace_id: str
    copy: Copy

    @property
    def store_id(self) -> str:
        """The memory store's id."""
        return self.store.memory_store_id

    @property
    def folder(self) -> str:
        """Where it is mounted."""
        return self.store.mount_path


class ReadOnlyCopy:
    """A copy that the agent cannot change: only what the store changed comes in."""

    def __init__(self, site: Site, files: MemoryFiles) -> None:
        self.site = site
        self.mark: Mark | None = None
        self._files = files
        self._held: dict[str, str] = {}

    async def open(self, sandbox: Sandbox, *, fresh: bool) -> None:
        """Make the mount, and learn what is in it."""
        if fresh:
            await sandbox.place([Placed(self.site.folder, None)])
        survey = await sandbox.survey(self.site.folder, largest=limits.MEMORY_CONTENT_BYTES)
        self._held = {path: digest or "" for path, digest in survey.files.items()}
        await self.pull(sandbox)

    async def pull(self, sandbox: Sandbox) -> list[str]:
        """Bring in what the store changed."""
        site = self.site
        heads = await self._files.heads(site.workspace_id, site.store_id)
        if heads is None:
            return []
        change = incoming(self._held, _shown(heads.files))
        if change.deleted:
            left = self._held.keys() - set(change.deleted)
            await sandbox.withdraw([site.folder + path for path in _emptied(change.deleted, left)])
            for path in change.deleted:
                del self._held[path]
        for part in _parts(change.written):
            contents = await self._files.contents(site.workspace_id, site.store_id, part)
            await sandbox.place(
                [
                    Placed(site.folder + path, file.content.encode())
                    for path, file in sorted(contents.items())
                ]
            )
            self._held.update((path, file.content_sha256) for path, file in contents.items())
        self.mark = heads.mark
        return []


class WritableCopy:
    """A copy that is the agent's own.

    What it is known to hold is always what the store has seen: it was there, or it came from there.
    """

    def __init__(self, site: Site, files: MemoryFiles, copies: MemoryCopies) -> None:
        self.site = site
        self.mark: Mark | None = None
        """Where the store stood when all it had was here."""
        self._files = files
        self._copies = copies
        self._actor = Actor("session_actor", site.copy.session_id)
        self._held: dict[str, str] = {}
        self._unsettled: set[str] = set()
        """What the store has otherwise, and could not be brought here."""
        self._refused: dict[str, tuple[str | None, Mark | None]] = {}
        """What the store does not take, and where it stood, if it may take it later."""
        self._told: dict[str, str] = {}
        """What the agent was told of a path, and need not hear again."""

    async def open(self, sandbox: Sandbox, *, fresh: bool) -> list[str]:
        """Fill the mount, or learn what a server before this one knew of it."""
        site = self.site
        if fresh:
            await sandbox.place([Placed(site.folder, None)], writable=True)
            await self._copies.begin(site.copy, site.store_id)
            # Left by somebody who did not come to the end of this; no call was begun in here.
            survey = await self._survey(sandbox, fresh=True)
            leftovers = [Exchange(p, sha, None) for p, sha in survey.files.items() if sha]
            await sandbox.exchange(site.folder, leftovers)
            return await self.pull(sandbox, fresh=True)
        held = await self._copies.held(site.copy, site.store_id)
        if any(one.coming is not None for one in held.values()):
            held = await self._resolved(sandbox, held)
        self._held = {path: one.sha256 for path, one in held.items() if one.sha256 is not None}
        return await self.pull(sandbox)

    async def _resolved(self, sandbox: Sandbox, held: Mapping[str, Held]) -> Mapping[str, Held]:
        """Find out what became of what was about to be put here."""
        try:
            survey = await self._survey(sandbox, fresh=True)
        except (TooManyFiles, OSError):
            # The agent has made it so that nobody can look. What is there is compared when
            # something is next to be put in its place.
            return held
        found: dict[str, str | None] = {}
        for path, one in held.items():
            if one.coming is not None:
                coming = None if one.coming == GONE else one.coming
                came = survey.files.get(path) == coming and not covered(path, survey.others)
                found[path] = coming if came else one.sha256
        await self._copies.came(self.site.copy, self.site.store_id, found)
        return {**held, **{path: Held(sha256) for path, sha256 in found.items()}}

    async def push(self, sandbox: Sandbox, mark: Mark | None, *, fresh: bool = False) -> list[str]:
        """Bring to the store what the agent changed, and here what the store has then.

        ``mark`` is where the store stands, ``None`` if it is gone; ``fresh`` has every file read.
        """
        site = self.site
        try:
            survey = await self._survey(sandbox, fresh=fresh)
        except TooManyFiles as error:
            return self._tell("too many", memory_notes.too_many(site.store, str(error)))
        here = dict(survey.files)
        here.pop(MARKER, None)
        told: list[str] = []
        if survey.unnamed:
            told += self._tell("unnamed", memory_notes.unnamed(site.store, survey.unnamed))
        for path in self._held:
            if covered(path, survey.others):
                told += self._tell(path, memory_notes.veiled(site.store, path))
        self._forget_but(here)
        room = limits.MEMORIES_PER_STORE - len(self._held)
        out = outgoing(self._held, self._acceptable(here, mark), survey.others, room)
        anything = bool(out.early or out.written or out.late)
        if anything and mark is None:
            return told + self._tell("gone", memory_notes.gone(site.store))
        told += await self._delete(out.early)
        beyond = 0
        for path in out.written:
            if path not in self._held and len(self._held) >= limits.MEMORIES_PER_STORE:
                beyond += 1
                continue
            told += await self._write(sandbox, path, here[path], mark)
        told += await self._delete(out.late)
        if beyond:
            full = memory_notes.full(site.store, beyond, limits.MEMORIES_PER_STORE)
            told += self._tell("full", full)
        if anything or self._unsettled:
            told += await self.pull(sandbox, here)
        return told

    async def _write(
        self, sandbox: Sandbox, path: str, digest: str | None, mark: Mark | None
    ) -> list[str]:
        site = self.site
        try:
            content, digest = await self._content(sandbox, path, digest)
        except (FileChanged, FileNotFoundError, PermissionError):
            # The agent left something running; what comes of it is for the next time.
            return []
        except InvalidRequest as error:
            return self._refuse(path, digest, None, str(error))
        try:
            written = await self._files.write(
                site.workspace_id,
                site.store_id,
                path,
                content,
                expected_sha256=self._held.get(path),
                actor=self._actor,
                copy=site.copy,
            )
        except (InvalidRequest, MemoryPathConflict) as error:
            return self._refuse(path, digest, mark, str(error))
        except NotFound:
            return self._refuse(path, digest, None, memory_notes.GONE)
        self._held[path] = digest
        self._refused.pop(path, None)
        self._told.pop(path, None)
        note = memory_notes.written(site.store, path, written)
        return [note] if note else []

    async def _content(self, sandbox: Sandbox, path: str, digest: str | None) -> tuple[str, str]:
        """What a file holds now, and its hash.

        Raises:
            InvalidRequest: no memory can hold that. FileChanged, OSError: it cannot be had.
        """
        if (problem := path_problem(path)) is not None:
            raise InvalidRequest(f"its path {problem}")
        if digest is None:
            raise InvalidRequest(memory_notes.TOO_LARGE)
        data = bytearray()
        async for chunk in sandbox.read_stream(self.site.folder + path):
            data += chunk
            if len(data) > limits.MEMORY_CONTENT_BYTES:
                raise InvalidRequest(memory_notes.TOO_LARGE)
        try:
            content = data.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(memory_notes.NO_TEXT) from None
        if (problem := content_problem(content)) is not None:
            raise InvalidRequest(problem)
        return content, hashlib.sha256(data).hexdigest()

    async def _delete(self, paths: Iterable[str]) -> list[str]:
        site, told = self.site, []
        for path in paths:
            try:
                deleted = await self._files.delete(
                    site.workspace_id,
                    site.store_id,
                    path,
                    expected_sha256=self._held[path],
                    actor=self._actor,
                    copy=site.copy,
                )
            except NotFound:
                break
            del self._held[path]
            if deleted.outcome == "kept":
                told.append(memory_notes.kept(site.store, path))
        return told

    def _acceptable(
        self, here: Mapping[str, str | None], mark: Mark | None
    ) -> dict[str, str | None]:
        """What is here, without what the store is known not to take."""
        found: dict[str, str | None] = {}
        for path, digest in here.items():
            known = self._refused.get(path)
            if known is None or known[0] != digest or known[1] not in (None, mark):
                found[path] = digest
            elif path in self._held:
                found[path] = self._held[path]
        return found

    def _forget_but(self, here: Mapping[str, str | None]) -> None:
        for path in [p for p in self._refused if p not in here]:
            del self._refused[path]
        for path in [p for p in self._told if p[0] == "/" and p not in here]:
            if path not in self._held:
                del self._told[path]

    def _refuse(self, path: str, digest: str | None, mark: Mark | None, why: str) -> list[str]:
        self._refused[path] = (digest, mark)
        return self._tell(path, memory_notes.refused(self.site.store, path, why))

    def _tell(self, path: str, note: str) -> list[str]:
        if self._told.get(path) == note:
            return []
        self._told[path] = note
        return [note]

    async def pull(
        self,
        sandbox: Sandbox,
        here: Mapping[str, str | None] | None = None,
        *,
        fresh: bool = False,
    ) -> list[str]:
        """Bring in what the store changed, where the agent did not.

        ``here`` is what the copy holds, if that is known. In a ``fresh`` one nobody asks what
        became of it unless all of it did.
        """
        site = self.site
        heads = await self._files.heads(site.workspace_id, site.store_id)
        if heads is None:
            return []
        changed_here = () if here is None else changed(self._held, here)
        change = incoming(self._held, _shown(heads.files), changed_here)
        self._unsettled = {
            path for path in changed_here if heads.files.get(path) != self._held.get(path)
        }
        coming: dict[str, str | None] = dict.fromkeys(change.deleted)
        coming.update((path, heads.files[path]) for path in change.written)
        if coming and not fresh:
            await self._copies.coming(site.copy, site.store_id, coming)
        came: dict[str, str | None] = {}
        told: list[str] = []
        for part in _parts((*change.deleted, *change.written)):
            told += await self._bring(sandbox, part, coming, came)
        if came:
            await self._copies.came(site.copy, site.store_id, came)
        for path, digest in came.items():
            if digest is None:
                self._held.pop(path, None)
            else:
                self._held[path] = digest
        self.mark = heads.mark
        return told

    async def _bring(
        self,
        sandbox: Sandbox,
        paths: Sequence[str],
        coming: Mapping[str, str | None],
        came: dict[str, str | None],
    ) -> list[str]:
        site, told = self.site, []
        wanted = [path for path in paths if coming[path] is not None]
        contents: Mapping[str, MemoryFile] = {}
        if wanted:
            contents = await self._files.contents(site.workspace_id, site.store_id, wanted)
        changes = []
        for path in paths:
            file = contents.get(path)
            # What has changed since is brought when the store is next looked at.
            if coming[path] is None or (file is not None and file.content_sha256 == coming[path]):
                content = None if file is None else file.content.encode()
                changes.append(Exchange(path, self._held.get(path), content))
        results = await sandbox.exchange(site.folder, changes)
        for change, result in zip(changes, results, strict=True):
            if result.outcome == "done":
                came[change.path] = coming[change.path]
                continue
            self._unsettled.add(change.path)
            if result.outcome == "blocked":
                note = memory_notes.blocked(site.store, change.path, result.reason)
                told += self._tell(change.path, note)
        return told

    async def _survey(self, sandbox: Sandbox, *, fresh: bool) -> Survey:
        return await sandbox.survey(
            self.site.folder, largest=limits.MEMORY_CONTENT_BYTES, fresh=fresh
        )


AnyCopy = ReadOnlyCopy | WritableCopy


def _shown(files: Mapping[str, str]) -> dict[str, str]:
    """Without the place where workers keep their notes (spec 15.3)."""
    return {path: digest for path, digest in files.items() if path != MARKER}


def _emptied(deleted: Sequence[str], left: Collection[str]) -> list[str]:
    """The deleted files, or the outermost folders of theirs that hold nothing any more."""
    full = {ancestor for path in left for ancestor in ancestors(path)}
    outermost = {
        next((folder for folder in ancestors(path) if folder not in full), path) for path in deleted
    }
    return sorted(outermost)


def _parts(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(paths), _AT_ONCE):
        yield paths[start : start + _AT_ONCE]
