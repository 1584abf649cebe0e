"""A memory store in a dictionary, for what keeps sandboxes in step with stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from freehold.core.memory_paths import (
    ancestors,
    aside,
    content_problem,
    merged,
    path_problem,
    sha256,
)
from freehold.errors import InvalidRequest
from freehold.ports.memory import (
    GONE,
    Actor,
    Copy,
    Deleted,
    Heads,
    Held,
    Mark,
    MemoryFile,
    Written,
)


@dataclass
class Version:
    """What the store remembers of a change."""

    operation: str
    path: str
    content: str | None
    actor: str


@dataclass
class DictStore:
    """Implements both ports of :mod:`freehold.ports.memory`, for one store.

    ``interrupt`` is called before and after every change; what it raises ends the call there, as
    the death of a server would.
    """

    contents_now: dict[str, str] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)
    archived: bool = False
    copies: dict[tuple[Copy, str], Held] = field(default_factory=dict)
    interrupt: Callable[[], None] = lambda: None

    # What a client of the API does.
    def put(self, path: str, content: str) -> bool:
        """Write, unless another memory is in the way."""
        if self._in_the_way(path) not in (None, path):
            return False
        self._set(path, content, "client")
        return True

    def drop(self, path: str) -> None:
        """Delete."""
        if path in self.contents_now:
            del self.contents_now[path]
            self.versions.append(Version("deleted", path, None, "client"))

    async def marks(self, _: str, ids: Sequence[str]) -> Mapping[str, Mark]:
        return dict.fromkeys(ids, self._mark())

    async def heads(self, _: str, __: str) -> Heads | None:
        return Heads(self._mark(), {p: sha256(c) for p, c in self.contents_now.items()})

    async def snapshot(self, _: str, __: str) -> Mapping[str, MemoryFile]:
        return {path: self._file(path) for path in self.contents_now}

    async def contents(self, _: str, __: str, paths: Sequence[str]) -> Mapping[str, MemoryFile]:
        return {path: self._file(path) for path in paths if path in self.contents_now}

    async def write(
        self,
        _: str,
        __: str,
        path: str,
        content: str,
        *,
        expected_sha256: str | None,
        actor: Actor,
        copy: Copy | None = None,
    ) -> Written:
        if (path_problem(path) or content_problem(content)) is not None or self.archived:
            raise InvalidRequest("no")
        self.interrupt()
        written = self._written(path, content, expected_sha256, actor.id)
        if copy is not None:
            self._note(copy, {path: Held(sha256(content))})
        self.interrupt()
        return written

    async def delete(
        self,
        _: str,
        __: str,
        path: str,
        *,
        expected_sha256: str,
        actor: Actor,
        copy: Copy | None = None,
    ) -> Deleted:
        self.interrupt()
        if copy is not None:
            self._note(copy, {path: Held(None)})
        there = self.contents_now.get(path)
        if there is None:
            result = Deleted("absent")
        elif sha256(there) != expected_sha256:
            result = Deleted("kept", self._file(path))
        else:
            del self.contents_now[path]
            self.versions.append(Version("deleted", path, None, actor.id))
            result = Deleted("deleted")
        self.interrupt()
        return result

    async def held(self, copy: Copy, _: str) -> Mapping[str, Held]:
        return {path: held for (of, path), held in self.copies.items() if of == copy}

    async def begin(self, copy: Copy, _: str) -> None:
        self.copies = {
            key: held for key, held in self.copies.items() if key[0].session_id != copy.session_id
        }

    async def coming(self, copy: Copy, _: str, files: Mapping[str, str | None]) -> None:
        self.interrupt()
        known = await self.held(copy, "")
        nothing = Held(None)
        self._note(
            copy,
            {
                path: Held(known.get(path, nothing).sha256, GONE if new is None else new)
                for path, new in files.items()
            },
        )
        self.interrupt()

    async def came(self, copy: Copy, _: str, files: Mapping[str, str | None]) -> None:
        self.interrupt()
        self._note(copy, {path: Held(digest) for path, digest in files.items()})
        self.interrupt()

    def _written(self, path: str, content: str, expected: str | None, actor: str) -> Written:
        there = self.contents_now.get(path)
        mine = sha256(content)
        if mine == expected or content == there:
            return Written("unchanged", None if there is None else self._file(path))
        if there is None:
            if (other := self._in_the_way(path)) is None:
                self._set(path, content, actor)
                return Written("created", self._file(path))
            segment = min(path.count("/"), other.count("/")) - 1
            return Written(
                "set_aside", None, self._aside(aside(path, segment, content), content, actor)
            )
        if sha256(there) == expected:
            self._set(path, content, actor)
            return Written("modified", self._file(path))
        bases = [v.content for v in self.versions if v.content and sha256(v.content) == expected]
        both = merged(bases[0], content, there) if bases else None
        if both is not None:
            self._set(path, both, actor)
            return Written("merged", self._file(path))
        place = aside(path, path.count("/") - 1, content)
        return Written("set_aside", self._file(path), self._aside(place, content, actor))

    def _aside(self, place: str, content: str, actor: str) -> MemoryFile:
        if self.contents_now.get(place) != content:
            assert self._in_the_way(place) is None
            self._set(place, content, actor)
        return self._file(place)

    def _set(self, path: str, content: str, actor: str) -> None:
        operation = "modified" if path in self.contents_now else "created"
        self.contents_now[path] = content
        self.versions.append(Version(operation, path, content, actor))

    def _in_the_way(self, path: str) -> str | None:
        for other in self.contents_now:
            if other == path or other in ancestors(path) or path in ancestors(other):
                return other
        return None

    def _note(self, copy: Copy, files: Mapping[str, Held]) -> None:
        for path, held in files.items():
            if held == Held(None):
                self.copies.pop((copy, path), None)
            else:
                self.copies[copy, path] = held

    def _mark(self) -> Mark:
        return Mark(len(self.versions), self.archived)

    def _file(self, path: str) -> MemoryFile:
        content = self.contents_now[path]
        return MemoryFile(path, content, sha256(content), f"mem_{path}", "memver")
