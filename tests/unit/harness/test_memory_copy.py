"""Copies of one store in several sandboxes, whatever happens to them and to their server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from freehold.core import limits
from freehold.core.memory_mounts import MountedStore
from freehold.harness import memory_copy
from freehold.harness.memory_copy import Site, WritableCopy
from freehold.ports.memory import Copy, Mark
from freehold.ports.sandbox import Root, SandboxSpec, ToolCall
from freehold.sandbox.scripted import ScriptedSandboxProvider
from tests.support.memory_stores import DictStore

MOUNT = "/mnt/memory/notes"
STORE = MountedStore("memstore_1", "Notes", "", "read_write", None, MOUNT)


class Died(BaseException):
    """The server did."""


@dataclass
class Session:
    """A session with the store, and a server that may die under it."""

    name: str
    store: DictStore
    sandbox: Any
    copy: WritableCopy | None = None
    told: list[str] = field(default_factory=list)
    calls: int = 0

    @classmethod
    async def begin(cls, name: str, store: DictStore) -> Session:
        spec = SandboxSpec(session_id=name, roots=(Root("/mnt/memory"), Root(MOUNT, writable=True)))
        session = cls(name, store, await ScriptedSandboxProvider().acquire(spec))
        await session.opened(fresh=True)
        return session

    async def opened(self, *, fresh: bool = False) -> WritableCopy:
        site = Site(STORE, "wrkspc", Copy(self.name, self.sandbox.identity))
        copy = WritableCopy(site, self.store, self.store)
        self.told += await copy.open(self.sandbox, fresh=fresh)
        self.copy = copy
        return copy

    async def push(self) -> None:
        await self._alive(lambda copy: copy.push(self.sandbox, self._mark()))

    async def pull(self) -> None:
        await self._alive(lambda copy: copy.pull(self.sandbox))

    async def _alive(self, work: Callable[[WritableCopy], Awaitable[list[str]]]) -> None:
        copy, self.copy = self.copy or await self.opened(), None
        self.told += await work(copy)
        self.copy = copy

    def _mark(self) -> Mark:
        return Mark(len(self.store.versions), self.store.archived)

    async def run(self, command: str) -> None:
        self.calls += 1
        call = ToolCall(f"{self.name}-{self.calls}", "bash", {"command": command})
        await self.sandbox.call(call)

    async def write(self, path: str, content: str) -> None:
        # A file may be where a folder would have to be.
        with contextlib.suppress(OSError):
            await self.sandbox.write_file(MOUNT + path, content.encode())

    async def delete(self, path: str) -> None:
        await self.run(f"rm -rf {MOUNT}{path}")

    async def files(self) -> dict[str, str]:
        found = await self.sandbox.listing(MOUNT)
        return {
            file.path[len(MOUNT) :]: (await self.sandbox.read_file(file.path)).decode()
            for file in found
        }


PATHS = st.sampled_from(["/a", "/b", "/d/x", "/d/y", "/d", "/a/deep/er"])
LINES = st.lists(st.sampled_from(["1\n", "2\n", "3\n", "4\n"]), max_size=5).map("".join)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 1), PATHS, LINES),
        st.tuples(st.just("edit"), st.integers(0, 1), PATHS, LINES),
        st.tuples(st.just("delete"), st.integers(0, 1), PATHS, st.just("")),
        st.tuples(st.just("push"), st.integers(0, 1), st.just(""), st.just("")),
        st.tuples(st.just("pull"), st.integers(0, 1), st.just(""), st.just("")),
        st.tuples(st.just("die"), st.integers(0, 1), st.just(""), st.integers(0, 9).map(str)),
        st.tuples(st.just("put"), st.just(0), PATHS, LINES),
        st.tuples(st.just("drop"), st.just(0), PATHS, st.just("")),
    ),
    max_size=30,
)


# The server dies between putting something there and noting that; then it changes again.
_LATE = [
    ("put", 0, "/a", "1\n"),
    ("die", 0, "", "2"),
    ("put", 0, "/a", "2\n"),
    ("push", 0, "", ""),
]


def _dies_after(count: int) -> Callable[[], None]:
    left = [count]

    def interrupt() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Died

    return interrupt


async def _step(step: Any, sessions: list[Session], store: DictStore) -> None:
    kind, number, path, text = step
    session = sessions[number]
    if kind == "write":
        await session.write(path, f"{session.name}\n{text}")
    elif kind == "edit":
        if (had := (await session.files()).get(path)) is not None:
            await session.write(path, had + text)
    elif kind == "delete":
        await session.delete(path)
    elif kind == "push":
        await _nothing_lost(session, store, session.push)
    elif kind == "pull":
        await _nothing_lost(session, store, session.pull)
    elif kind == "die":
        store.interrupt = _dies_after(int(text))
        try:
            await _nothing_lost(session, store, session.push)
            await session.pull()
        except Died:
            session.copy = None
        finally:
            store.interrupt = lambda: None
    elif kind == "put":
        store.put(path, f"client\n{text}")
    else:
        store.drop(path)


async def _nothing_lost(
    session: Session, store: DictStore, work: Callable[[], Awaitable[None]]
) -> None:
    """What was in the sandbox is there still, or in a version; so is all that the store had."""
    before, had = await session.files(), dict(store.contents_now)
    try:
        await work()
    finally:
        versions = {version.content for version in store.versions}
        after = await session.files()
        for path, content in before.items():
            assert (
                after.get(path) == content
                or content in versions
                or _was_merged(path, content, store, session.name)
            ), (path, content)
        assert set(had.values()) <= versions


def _was_merged(path: str, content: str, store: DictStore, actor: str) -> bool:
    """Whether what a content added to some version of its memory is in one of the session's."""
    texts = [
        (v.actor, set((v.content or "").splitlines())) for v in store.versions if v.path == path
    ]
    new = [set(content.splitlines()) - lines for _, lines in texts]
    return any(added <= lines for added in new for who, lines in texts if who == actor)


class TestLaws:
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(steps=STEPS)
    def test_they_come_together_and_lose_nothing(self, steps: list[Any]) -> None:
        asyncio.run(self._play(steps))

    async def _play(self, steps: list[Any]) -> None:
        store = DictStore()
        store.put("/a", "client\n1\n2\n3\n")
        sessions = [await Session.begin(name, store) for name in ("sesn_a", "sesn_b")]
        for step in steps:
            await _step(step, sessions, store)
        for session in (*sessions, *sessions):
            await _nothing_lost(session, store, session.push)
            await _nothing_lost(session, store, session.pull)
        # Once the agents rest, all hold the same.
        for session in sessions:
            assert await session.files() == store.contents_now, session.told
        # And once they do, nothing more happens.
        count = len(store.versions)
        for session in sessions:
            session.copy = None  # whatever server looks
            await session.push()
            await session.pull()
            assert await session.files() == store.contents_now
        assert len(store.versions) == count

    @settings(max_examples=100, deadline=None)
    @given(steps=STEPS)
    @example([("delete", 0, "/a", ""), ("write", 0, "/a/deep/er", "1\n"), ("push", 0, "", "")])
    def test_alone_the_store_is_what_the_sandbox_is(self, steps: list[Any]) -> None:
        async def play() -> None:
            store = DictStore()
            store.put("/a", "client\n1\n2\n3\n")
            session = await Session.begin("sesn", store)
            for step in steps:
                if step[0] not in ("put", "drop"):
                    await _step((step[0], 0, *step[2:]), [session], store)
            before = await session.files()
            await session.push()
            assert await session.files() == before == store.contents_now
            assert session.told == []

        asyncio.run(play())

    @settings(max_examples=100, deadline=None)
    @given(steps=STEPS)
    @example(_LATE)
    @example([*_LATE, ("drop", 0, "/a", "")])
    def test_an_agent_that_changes_nothing_makes_no_version(self, steps: list[Any]) -> None:
        async def play() -> None:
            store = DictStore()
            store.put("/a", "client\n1\n2\n3\n")
            session = await Session.begin("sesn", store)
            for step in steps:
                if step[0] not in ("write", "edit", "delete"):
                    await _step((step[0], 0, *step[2:]), [session], store)
            await session.push()
            await session.pull()
            assert await session.files() == store.contents_now
            assert {version.actor for version in store.versions} == {"client"}
            assert session.told == []

        asyncio.run(play())

    @settings(max_examples=60, deadline=None)
    @given(
        when=st.integers(0, 30),
        mine=st.dictionaries(PATHS, LINES.map("mine\n".__add__), max_size=4),
        theirs=st.dictionaries(PATHS, LINES.map("theirs\n".__add__), max_size=4),
    )
    def test_dying_anywhere_changes_nothing_in_the_end(
        self, when: int, mine: dict[str, str], theirs: dict[str, str]
    ) -> None:
        """The versions are those of a server that did not die."""

        async def play(interrupt: Callable[[], None]) -> Any:
            store = DictStore()
            for path in ("/a", "/b", "/d/x"):
                store.put(path, f"client\n{path}")
            session = await Session.begin("sesn", store)
            for path in ("/b", *mine):
                await session.delete(path)
            for path, content in mine.items():
                await session.write(path, content)
            for path, content in theirs.items():
                store.put(path, content)
            store.interrupt = interrupt
            try:
                await session.push()
            except Died:
                session.copy = None
            store.interrupt = lambda: None
            await session.push()
            assert await session.files() == store.contents_now
            return sorted((v.operation, v.path, v.content or "") for v in store.versions)

        lived = asyncio.run(play(lambda: None))
        assert asyncio.run(play(_dies_after(when))) == lived


@pytest.fixture
def store() -> DictStore:
    return DictStore()


class TestWhatIsTold:
    async def test_a_conflict(self, store: DictStore) -> None:
        store.put("/a.md", "base")
        session = await Session.begin("sesn", store)
        await session.write("/a.md", "mine")
        store.put("/a.md", "theirs")
        await session.push()
        (note,) = session.told
        (aside,) = [path for path in store.contents_now if path != "/a.md"]
        assert f"{MOUNT}/a.md" in note
        assert f"{MOUNT}{aside}" in note
        assert await session.files() == {"/a.md": "theirs", aside: "mine"}

    async def test_a_merge(self, store: DictStore) -> None:
        store.put("/a.md", "1\n2\n3\n")
        session = await Session.begin("sesn", store)
        await session.write("/a.md", "1\n2\nthree\n")
        store.put("/a.md", "one\n2\n3\n")
        await session.push()
        assert "merged" in session.told[0]
        assert await session.files() == {"/a.md": "one\n2\nthree\n"} == store.contents_now

    async def test_a_deletion_of_what_was_changed(self, store: DictStore) -> None:
        store.put("/a.md", "base")
        session = await Session.begin("sesn", store)
        await session.delete("/a.md")
        store.put("/a.md", "theirs")
        await session.push()
        assert "It stays" in session.told[0]
        assert await session.files() == {"/a.md": "theirs"}

    async def test_what_no_memory_can_be_is_told_once_and_read_once(self, store: DictStore) -> None:
        store.put("/kept", "base")
        session = await Session.begin("sesn", store)
        await session.sandbox.write_file(f"{MOUNT}/kept", b"\xff\xfe")
        await session.sandbox.write_file(f"{MOUNT}/big", b"x" * (limits.MEMORY_CONTENT_BYTES + 1))
        await session.sandbox.write_file(f"{MOUNT}/nul", b"\0")
        await session.sandbox.write_file(f"{MOUNT}/e\u0301", b"decomposed")
        await session.write("/fine", "fine")
        await session.push()
        told = "\n".join(session.told)
        for part in ("/kept: not stored", "102400", "NUL", "Normalization", "not UTF-8"):
            assert part in told
        assert len(session.told) == 4
        assert store.contents_now == {"/kept": "base", "/fine": "fine"}
        await session.push()
        assert len(session.told) == 4
        await session.write("/kept", "text again")
        await session.push()
        assert store.contents_now["/kept"] == "text again"
        assert len(session.told) == 4

    async def test_a_full_store_takes_renames_and_no_more(
        self, store: DictStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "MEMORIES_PER_STORE", 3)
        for path in ("/a", "/b", "/c"):
            store.put(path, path)
        session = await Session.begin("sesn", store)
        await session.write("/renamed", "/a")
        await session.delete("/a")
        await session.push()
        assert set(store.contents_now) == {"/renamed", "/b", "/c"}
        assert session.told == []
        for number in range(5):
            await session.write(f"/new{number}", "x")
        await session.push()
        assert "5 new files are not stored" in session.told[0]
        await session.delete("/b")
        await session.push()
        assert len(store.contents_now) == 3

    async def test_an_archived_store(self, store: DictStore) -> None:
        store.put("/a", "base")
        session = await Session.begin("sesn", store)
        store.archived = True
        await session.write("/a", "mine")
        await session.push()
        await session.push()
        assert len(session.told) == 1
        assert store.contents_now == {"/a": "base"}
        assert await session.files() == {"/a": "mine"}

    async def test_a_store_that_is_gone(self, store: DictStore) -> None:
        session = await Session.begin("sesn", store)
        await session.write("/a", "mine")
        assert session.copy is not None
        told = await session.copy.push(session.sandbox, None)
        assert "was deleted" in told[0]
        assert await session.copy.push(session.sandbox, None) == []

    async def test_the_workers_marker_is_nobodys(self, store: DictStore) -> None:
        store.put("/.anthropic-memory-store", "version 1\n")
        session = await Session.begin("sesn", store)
        assert await session.files() == {}
        await session.write("/.anthropic-memory-store", "mine")
        await session.push()
        assert store.contents_now == {"/.anthropic-memory-store": "version 1\n"}


def test_emptied_folders_go_as_a_whole() -> None:
    deleted = ["/a/b/c", "/a/b/d", "/e/f", "/g"]
    assert memory_copy._emptied(deleted, ["/e/other"]) == ["/a", "/e/f", "/g"]
