"""Memory stores under several writers at once, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from freehold.core import limits
from freehold.core.memory_paths import ancestors, sha256
from freehold.dispatch.clock import SystemClock
from freehold.errors import (
    InvalidRequest,
    MemoryPathConflict,
    MemoryPreconditionFailed,
    NotFound,
)
from freehold.ports.memory import GONE, Actor, Copy, Held, MemoryFiles
from freehold.store import (
    memories,
    memory_changes,
    memory_copies,
    memory_stores,
    memory_versions,
)
from freehold.store.database import Database
from freehold.store.memories import MemoryRow
from freehold.store.memory_copies import SqlMemoryCopies
from freehold.store.memory_files import SqlMemoryFiles
from freehold.store.memory_stores import MemoryStoreRow
from freehold.store.memory_versions import Matching, VersionRow

WORKSPACE = "wrkspc_test"
CLOCK = SystemClock()
ME = Actor("session_actor", "sesn_me")
YOU = Actor("session_actor", "sesn_you")

T = TypeVar("T")


@dataclass
class Bench:
    """A store and what tests do to it."""

    database: Database
    files: MemoryFiles
    store_id: str

    async def write(
        self, path: str, content: str, expected: str | None = None, actor: Actor = ME
    ) -> Any:
        """Write as a sandbox does; ``expected`` is the content it had."""
        return await self.files.write(
            WORKSPACE,
            self.store_id,
            path,
            content,
            expected_sha256=None if expected is None else sha256(expected),
            actor=actor,
        )

    async def delete(self, path: str, expected: str, actor: Actor = ME) -> Any:
        return await self.files.delete(
            WORKSPACE, self.store_id, path, expected_sha256=sha256(expected), actor=actor
        )

    async def contents(self) -> dict[str, str]:
        found = await self.files.snapshot(WORKSPACE, self.store_id)
        assert found is not None
        return {path: file.content for path, file in found.items()}

    async def versions(self) -> list[VersionRow]:
        """Oldest first."""
        async with self.database.read() as session:
            found = await memory_versions.page(
                session, self.store_id, Matching(), after=None, limit=10_000
            )
        return list(reversed(found))

    async def change(
        self, work: Callable[[Any, MemoryStoreRow], Awaitable[T]], *, open_only: bool = True
    ) -> T:
        """Do it in a transaction that holds the store, as the API does."""
        async with self.database.write() as tx:
            store = await memory_changes.lock(tx, WORKSPACE, self.store_id, open_only=open_only)
            return await work(tx, store)


@pytest.fixture
async def bench(database: Database) -> Bench:
    now = CLOCK.now()
    store = MemoryStoreRow(
        id=CLOCK.mint("memstore"),
        workspace_id=WORKSPACE,
        name="n",
        description="",
        metadata={},
        created_at=now,
        updated_at=now,
        archived_at=None,
    )
    async with database.write() as tx:
        await memory_stores.insert(tx, store)
    return Bench(database, SqlMemoryFiles(database, CLOCK), store.id)


class TestOneAfterTheOther:
    async def test_a_file_comes_changes_and_goes(self, bench: Bench) -> None:
        assert (await bench.write("/a", "1")).outcome == "created"
        written = await bench.write("/a", "2", "1")
        assert (written.outcome, written.current.content) == ("modified", "2")
        assert written.current.content_sha256 == sha256("2")
        assert (await bench.write("/a", "2", "1")).outcome == "unchanged"
        assert (await bench.delete("/a", "2")).outcome == "deleted"
        assert (await bench.delete("/a", "2")).outcome == "absent"
        assert [(v.operation, v.content, v.created_by) for v in await bench.versions()] == [
            ("created", "1", ME),
            ("modified", "2", ME),
            ("deleted", None, ME),
        ]

    async def test_changes_in_different_places_are_merged(self, bench: Bench) -> None:
        base = "one\ntwo\nthree\n"
        await bench.write("/a.md", base)
        await bench.write("/a.md", "ONE\ntwo\nthree\n", base, YOU)
        written = await bench.write("/a.md", "one\ntwo\nTHREE\n", base)
        assert (written.outcome, written.current.content) == ("merged", "ONE\ntwo\nTHREE\n")
        assert await bench.contents() == {"/a.md": "ONE\ntwo\nTHREE\n"}
        assert [v.content for v in await bench.versions()] == [
            base,
            "ONE\ntwo\nthree\n",
            "ONE\ntwo\nTHREE\n",
        ]

    async def test_changes_in_one_place_are_set_aside(self, bench: Bench) -> None:
        await bench.write("/d/a.md", "base")
        await bench.write("/d/a.md", "yours", "base", YOU)
        written = await bench.write("/d/a.md", "mine", "base")
        assert written.outcome == "set_aside"
        assert written.current.content == "yours"
        assert written.aside.path == f"/d/a.conflict-{sha256('mine')[:12]}.md"
        assert await bench.contents() == {"/d/a.md": "yours", written.aside.path: "mine"}
        # A sandbox that did not hear the answer says it again.
        again = await bench.write("/d/a.md", "mine", "base")
        assert again == written
        assert len(await bench.versions()) == 3

    async def test_a_merge_that_would_be_too_long_is_set_aside(self, bench: Bench) -> None:
        base = "one\ntwo\nthree\n"
        await bench.write("/a", base)
        await bench.write("/a", "x" * 60_000 + "\ntwo\nthree\n", base, YOU)
        written = await bench.write("/a", "one\ntwo\n" + "y" * 60_000, base)
        assert written.outcome == "set_aside"

    async def test_without_the_base_nothing_is_merged(self, bench: Bench) -> None:
        base = "one\ntwo\nthree\n"
        await bench.write("/a", base)
        await bench.write("/a", "ONE\ntwo\nthree\n", base, YOU)
        (first, _) = await bench.versions()

        async def redact(tx: Any, _: MemoryStoreRow) -> None:
            await memory_versions.redact(tx, first.id, YOU, CLOCK.now())

        await bench.change(redact)
        assert (await bench.write("/a", "one\ntwo\nTHREE\n", base)).outcome == "set_aside"

    async def test_two_new_files_of_one_name(self, bench: Bench) -> None:
        await bench.write("/a", "yours", actor=YOU)
        written = await bench.write("/a", "mine")
        assert written.outcome == "set_aside"
        assert sorted((await bench.contents()).values()) == ["mine", "yours"]
        assert (await bench.write("/b", "same", actor=YOU)).outcome == "created"
        assert (await bench.write("/b", "same")).outcome == "unchanged"

    async def test_a_file_where_a_folder_is(self, bench: Bench) -> None:
        await bench.write("/d/e/a", "yours", actor=YOU)
        above = await bench.write("/d", "mine")
        assert (above.outcome, above.current) == ("set_aside", None)
        assert above.aside.path == f"/d.conflict-{sha256('mine')[:12]}"
        below = await bench.write("/d/e/a/b.md", "mine")
        assert (below.outcome, below.current) == ("set_aside", None)
        assert below.aside.path == f"/d/e/a.conflict-{sha256('mine')[:12]}/b.md"
        assert (await bench.contents())["/d/e/a"] == "yours"

    async def test_a_change_of_what_was_deleted(self, bench: Bench) -> None:
        await bench.write("/a", "base")
        await bench.delete("/a", "base", YOU)
        assert (await bench.write("/a", "base", "base")).outcome == "unchanged"
        assert await bench.contents() == {}
        assert (await bench.write("/a", "mine", "base")).outcome == "created"
        assert await bench.contents() == {"/a": "mine"}

    async def test_a_deletion_of_what_was_changed(self, bench: Bench) -> None:
        await bench.write("/a", "base")
        await bench.write("/a", "yours", "base", YOU)
        kept = await bench.delete("/a", "base")
        assert (kept.outcome, kept.current.content) == ("kept", "yours")
        assert await bench.contents() == {"/a": "yours"}

    async def test_what_cannot_be_written_is_refused(self, bench: Bench) -> None:
        with pytest.raises(InvalidRequest, match="content must be at most 102400 bytes"):
            await bench.write("/a", "x" * 102_401)
        with pytest.raises(InvalidRequest, match="NUL"):
            await bench.write("/a", "\0")
        with pytest.raises(InvalidRequest, match="path: must start with /"):
            await bench.write("a", "")
        assert await bench.contents() == {}
        assert await bench.versions() == []

    async def test_an_archived_store_and_one_that_is_gone(self, bench: Bench) -> None:
        await bench.write("/a", "1")

        async def archive(tx: Any, store: MemoryStoreRow) -> None:
            await memory_stores.update(
                tx, MemoryStoreRow(**{**vars(store), "archived_at": CLOCK.now()})
            )

        await bench.change(archive)
        with pytest.raises(InvalidRequest, match="cannot modify archived resource"):
            await bench.write("/a", "2", "1")
        assert (await bench.delete("/a", "1")).outcome == "deleted"
        await bench.change(memory_stores.delete, open_only=False)
        assert await bench.files.snapshot(WORKSPACE, bench.store_id) is None
        with pytest.raises(NotFound):
            await bench.write("/a", "2")
        with pytest.raises(NotFound):
            await bench.delete("/a", "2")

    async def test_other_workspaces_have_other_stores(self, bench: Bench) -> None:
        assert await bench.files.snapshot("wrkspc_other", bench.store_id) is None
        with pytest.raises(NotFound):
            await bench.files.write(
                "wrkspc_other", bench.store_id, "/a", "", expected_sha256=None, actor=ME
            )


class TestAtOnce:
    async def test_readers_who_write_back_lose_nothing(self, bench: Bench) -> None:
        """Clients that add a line under a precondition, and try again when it fails."""

        async def begin(tx: Any, store: MemoryStoreRow) -> MemoryRow:
            return await memory_changes.create(tx, store, ME, CLOCK, path="/a", content="")

        memory = await bench.change(begin)
        failures = 0

        async def client(name: str) -> None:
            nonlocal failures
            while True:
                async with bench.database.read() as session:
                    seen = await memories.get(session, bench.store_id, memory.id, content=True)
                assert seen is not None
                await asyncio.sleep(0)

                async def add(tx: Any, store: MemoryStoreRow, seen: MemoryRow = seen) -> None:
                    now = await memories.get(tx, store.id, memory.id, content=True)
                    assert now is not None
                    memory_changes.check_expected(now, seen.content_sha256)
                    await memory_changes.update(
                        tx, now, ME, CLOCK, content=f"{seen.content}{name}\n"
                    )

                try:
                    await bench.change(add)
                except MemoryPreconditionFailed:
                    failures += 1
                else:
                    return

        names = [f"client {number}" for number in range(12)]
        await asyncio.gather(*map(client, names))
        content = (await bench.contents())["/a"]
        assert sorted(content.splitlines()) == sorted(names)
        assert len(await bench.versions()) == 1 + len(names)
        assert failures, "the test had no two at once"

    async def test_one_of_many_has_the_path(self, bench: Bench) -> None:
        async def client(number: int) -> MemoryRow:
            async def make(tx: Any, store: MemoryStoreRow) -> MemoryRow:
                path = "/a" if number % 2 else f"/a/{number}"
                return await memory_changes.create(
                    tx, store, ME, CLOCK, path=path, content=str(number)
                )

            return await bench.change(make)

        done = await asyncio.gather(*map(client, range(10)), return_exceptions=True)
        made = [memory for memory in done if isinstance(memory, MemoryRow)]
        refused = [error for error in done if isinstance(error, MemoryPathConflict)]
        assert len(made) + len(refused) == 10
        paths = set(await bench.contents())
        assert paths == {memory.path for memory in made}
        assert paths == {"/a"} or "/a" not in paths

    async def test_the_last_places_are_given_once(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "MEMORIES_PER_STORE", 3)
        done = await asyncio.gather(
            *(bench.write(f"/{number}", "") for number in range(8)), return_exceptions=True
        )
        refused = [error for error in done if isinstance(error, BaseException)]
        assert len(refused) == 5
        assert all("has 3 memories, which is the maximum" in str(error) for error in refused)
        assert len(await bench.contents()) == 3

    @pytest.mark.parametrize("seed", range(6))
    async def test_no_sandbox_loses_a_change(self, bench: Bench, seed: int) -> None:
        """Sandboxes with copies of one store, changing and deleting at random, all at once."""
        sandboxes = [_Sandbox(bench, f"sesn_{n}", random.Random(seed * 100 + n)) for n in range(4)]
        await asyncio.gather(*(sandbox.live(12) for sandbox in sandboxes))
        live = await bench.contents()
        history = await bench.versions()

        # The store is what its versions say, and can be a folder.
        assert _folded(history) == live
        assert not {above for path in live for above in ancestors(path)} & set(live)

        # Whatever a sandbox wrote is there, or was replaced by somebody who had seen it.
        for sandbox in sandboxes:
            for content in sandbox.stored:
                assert content in {version.content for version in history}
        heads: dict[str, str | None] = {}
        for version in history:
            if version.operation == "modified":
                before = heads[version.memory_id]
                assert before is not None
                assert version.content is not None
                seen = _seen_by_writer(sandboxes, version)
                assert before in seen or _keeps(before, version.content, seen)
            heads[version.memory_id] = version.content

        # A copy that is brought up to date is the store.
        for sandbox in sandboxes:
            await sandbox.refresh()
            assert sandbox.copy == live


@dataclass
class _Sandbox:
    """A copy of a store, and an agent that does what chance has it do."""

    bench: Bench
    session_id: str
    chance: random.Random
    copy: dict[str, str] = field(default_factory=dict)
    stored: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    @property
    def actor(self) -> Actor:
        return Actor("session_actor", self.session_id)

    async def live(self, steps: int) -> None:
        for step in range(steps):
            match self.chance.choice(["write", "write", "write", "delete", "refresh"]):
                case "write":
                    await self._write(step)
                case "delete":
                    await self._delete()
                case "refresh":
                    await self.refresh()
            await asyncio.sleep(0)

    async def refresh(self) -> None:
        self.copy = await self.bench.contents()
        self.seen |= set(self.copy.values())

    async def _write(self, step: int) -> None:
        path = self.chance.choice(["/a", "/b", "/d", "/d/x"])
        before = self.copy.get(path)
        lines = (before or "1\n2\n3\n4\n5\n").splitlines(keepends=True)
        place = self.chance.randrange(len(lines))
        lines[place] = f"{self.session_id} {step}\n"
        content = "".join(lines)
        written = await self.bench.write(path, content, before, self.actor)
        assert written.outcome != "unchanged"
        self.copy.pop(path, None)
        if written.current is not None:
            self.copy[path] = written.current.content
            self.seen.add(written.current.content)
        if written.outcome == "merged":
            assert f"{self.session_id} {step}\n" in written.current.content
            self.stored.append(written.current.content)
        else:
            self.stored.append(content)
        if written.aside is not None:
            assert written.aside.content == content

    async def _delete(self) -> None:
        if not self.copy:
            return
        path = self.chance.choice(sorted(self.copy))
        deleted = await self.bench.delete(path, self.copy.pop(path), self.actor)
        if deleted.current is not None:
            self.copy[path] = deleted.current.content
            self.seen.add(deleted.current.content)


def _seen_by_writer(sandboxes: list[_Sandbox], version: VersionRow) -> set[str]:
    """What the session that wrote a version has ever had in its copy."""
    (sandbox,) = (one for one in sandboxes if one.session_id == version.created_by.id)
    return sandbox.seen


def _keeps(before: str, after: str, seen: set[str]) -> bool:
    """Whether ``after`` is ``before`` but for lines that its writer could have known.

    So it is after a merge: all that the writer had not seen is still there.
    """
    known = {line for content in seen for line in content.splitlines()}
    return all(line in after.splitlines() for line in before.splitlines() if line not in known)


def _folded(history: list[VersionRow]) -> dict[str, str]:
    """The store that a history makes."""
    held: dict[str, tuple[str, str]] = {}
    for version in history:
        if version.operation == "deleted":
            del held[version.memory_id]
        else:
            assert version.path is not None
            assert version.content is not None
            held[version.memory_id] = (version.path, version.content)
    return dict(held.values())


class TestCopies:
    """What is known of sandboxes' copies changes with the store, or not at all."""

    async def test_a_change_is_noted_with_it(self, bench: Bench) -> None:
        copies = SqlMemoryCopies(bench.database)
        mine = Copy("sesn_me", "box")

        async def held() -> dict[str, Held]:
            return dict(await copies.held(mine, bench.store_id))

        async def write(path: str, content: str, expected: str | None) -> Any:
            return await bench.files.write(
                WORKSPACE,
                bench.store_id,
                path,
                content,
                expected_sha256=None if expected is None else sha256(expected),
                actor=ME,
                copy=mine,
            )

        await write("/a", "1", None)
        await bench.write("/a", "yours", "1", YOU)
        # The copy has what the session wrote, not what the store has.
        assert (await write("/a", "2", "1")).outcome == "set_aside"
        assert await held() == {"/a": Held(sha256("2"))}
        with pytest.raises(InvalidRequest):
            await write("/a", "\0", "2")
        assert await held() == {"/a": Held(sha256("2"))}
        await copies.coming(mine, bench.store_id, {"/a": sha256("yours"), "/b": sha256("b")})
        assert await held() == {
            "/a": Held(sha256("2"), sha256("yours")),
            "/b": Held(None, sha256("b")),
        }
        await copies.came(mine, bench.store_id, {"/a": sha256("yours")})
        await copies.coming(mine, bench.store_id, {"/a": None})
        assert (await held())["/a"] == Held(sha256("yours"), GONE)
        deleted = await bench.files.delete(
            WORKSPACE,
            bench.store_id,
            "/a",
            expected_sha256=sha256("yours"),
            actor=ME,
            copy=mine,
        )
        assert deleted.outcome == "deleted"
        assert await held() == {"/b": Held(None, sha256("b"))}

    async def test_another_sandbox_has_another_copy(self, bench: Bench) -> None:
        copies = SqlMemoryCopies(bench.database)
        old, new = Copy("sesn_me", "old"), Copy("sesn_me", "new")
        other = Copy("sesn_you", "other")
        await copies.came(old, bench.store_id, {"/a": "1", "/b": "2"})
        await copies.came(other, bench.store_id, {"/a": "1"})
        assert await copies.held(new, bench.store_id) == {}
        await copies.came(new, bench.store_id, {"/a": "3"})
        assert await copies.held(old, bench.store_id) == {}
        await copies.begin(new, bench.store_id)
        assert await copies.held(new, bench.store_id) == {}
        assert await copies.held(other, bench.store_id) == {"/a": Held("1")}
        async with bench.database.write() as tx:
            await memory_copies.forget(tx, "sesn_you")
        assert await copies.held(other, bench.store_id) == {}

    async def test_marks_and_heads_tell_of_every_change(self, bench: Bench) -> None:
        async def mark() -> Any:
            return (await bench.files.marks(WORKSPACE, [bench.store_id]))[bench.store_id]

        marks = [await mark()]
        await bench.write("/a", "1")
        marks.append(await mark())
        await bench.write("/a", "2", "1")
        marks.append(await mark())
        await bench.write("/a", "2", "1")
        assert await mark() == marks[-1]
        heads = await bench.files.heads(WORKSPACE, bench.store_id)
        assert heads is not None
        assert (heads.mark, heads.files) == (marks[-1], {"/a": sha256("2")})
        found = await bench.files.contents(WORKSPACE, bench.store_id, ["/a", "/none"])
        assert {path: file.content for path, file in found.items()} == {"/a": "2"}
        await bench.delete("/a", "2")
        marks.append(await mark())
        assert len({one.revision for one in marks}) == len(marks)
        assert await bench.files.marks("wrkspc_other", [bench.store_id]) == {}
        assert await bench.files.heads("wrkspc_other", bench.store_id) is None
        assert await bench.files.contents("wrkspc_other", bench.store_id, ["/a"]) == {}
