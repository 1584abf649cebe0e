"""Memory stores, memories and versions through the official SDK (spec 15)."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic

from tests.api.conftest import refused
from tests.support.running import serve

ABSENT = "01" + "1" * 22
MEMORY_BETA = {"anthropic-beta": "agent-memory-2026-07-22", "x-api-key": "test"}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def store(sdk: Anthropic) -> Any:
    return sdk.beta.memory_stores.create(name="Notes")


def write(sdk: Anthropic, store: Any, path: str, content: str = "x", **more: Any) -> Any:
    return sdk.beta.memory_stores.memories.create(store.id, path=path, content=content, **more)


def versions(sdk: Anthropic, store: Any, **filters: Any) -> list[Any]:
    return list(sdk.beta.memory_stores.memory_versions.list(store.id, **filters))


def names(items: Any) -> list[str]:
    return [item.path for item in items]


def conflicted(response: httpx.Response, kind: str, message: str) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["error"]
    assert (response.status_code, error["type"], error["message"]) == (409, kind, message)
    assert response.headers["x-should-retry"] == "false"
    return error


class TestStores:
    def test_the_life_of_one(self, sdk: Anthropic) -> None:
        stores = sdk.beta.memory_stores
        store = stores.create(name="Notes", description="All of it", metadata={"team": "a"})
        assert store.id.startswith("memstore_")
        assert (store.type, store.name, store.description) == ("memory_store", "Notes", "All of it")
        assert (store.metadata, store.archived_at) == ({"team": "a"}, None)
        changed = stores.update(store.id, name="More", metadata={"team": None, "kind": "b"})
        assert (changed.name, changed.description) == ("More", "All of it")
        assert changed.metadata == {"kind": "b"}
        assert changed.updated_at > store.updated_at
        assert stores.retrieve(store.id) == changed
        assert stores.update(store.id, description=None).description == ""
        archived = stores.archive(store.id)
        assert archived.archived_at is not None
        assert archived.updated_at == archived.archived_at
        assert stores.archive(store.id) == archived
        assert store.id not in {found.id for found in stores.list()}
        assert store.id in {found.id for found in stores.list(include_archived=True)}
        deleted = stores.delete(store.id)
        assert (deleted.id, deleted.type) == (store.id, "memory_store_deleted")
        with pytest.raises(anthropic.NotFoundError, match=f"Memory store `{store.id}` not found"):
            stores.retrieve(store.id)

    def test_lists_are_filtered_by_time_and_come_newest_first(self, sdk: Anthropic) -> None:
        made = [sdk.beta.memory_stores.create(name="Notes") for _ in range(5)]
        found = list(
            sdk.beta.memory_stores.list(
                limit=2, created_at_gte=made[1].created_at, created_at_lte=made[3].created_at
            )
        )
        assert [one.id for one in found] == [made[3].id, made[2].id, made[1].id]

    def test_all_fields_are_on_the_wire(self, http: httpx.Client) -> None:
        answer = http.post("/v1/memory_stores", json={"name": "n"})
        store = answer.json()
        assert list(store) == [
            "id",
            "type",
            "name",
            "description",
            "metadata",
            "created_at",
            "updated_at",
            "archived_at",
        ]
        assert (store["description"], store["metadata"], store["archived_at"]) == ("", {}, None)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({}, "name: Field required"),
            ({"name": ""}, "name: minimum string length is 1"),
            ({"name": "x" * 256}, "name: maximum string length is 255"),
            ({"name": "a\tb"}, "name: must not contain control characters"),
            (
                {"name": "x", "description": "x" * 1025},
                "description: maximum string length is 1024",
            ),
            ({"name": "x", "what": 1}, 'Failed to parse request body: unknown field "what"'),
            (
                {"name": "x", "metadata": {str(n): "" for n in range(17)}},
                "invalid metadata: metadata map would have 17 entries, exceeding the maximum of 16",
            ),
        ],
    )
    def test_what_is_no_store(self, http: httpx.Client, body: dict[str, Any], message: str) -> None:
        refused(http.post("/v1/memory_stores", json=body), 400, message)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({}, "at least one of name, description, or metadata must be provided"),
            ({"name": None}, "name cannot be empty"),
            ({"name": ""}, "name cannot be empty"),
            (
                {"metadata": None},
                'Failed to parse request: params: field "metadata": null is not a valid value for '
                "a map field; omit the field to preserve, or set individual keys to null to delete "
                "them",
            ),
        ],
    )
    def test_what_is_no_change(
        self, http: httpx.Client, store: Any, body: dict[str, Any], message: str
    ) -> None:
        refused(http.post(f"/v1/memory_stores/{store.id}", json=body), 400, message)

    def test_an_archived_one_can_be_read_and_cleared(
        self, sdk: Anthropic, http: httpx.Client, store: Any
    ) -> None:
        memories = sdk.beta.memory_stores.memories
        first = write(sdk, store, "/a", "1")
        memories.update(first.id, memory_store_id=store.id, content="2")
        sdk.beta.memory_stores.archive(store.id)
        text = f"cannot modify archived resource: memory store {store.id}"
        base = f"/v1/memory_stores/{store.id}"
        refused(http.post(base, json={"name": "x"}), 400, text)
        refused(http.post(f"{base}/memories", json={"path": "/b", "content": ""}), 400, text)
        refused(http.post(f"{base}/memories/{first.id}", json={"content": ""}), 400, text)
        assert memories.retrieve(first.id, memory_store_id=store.id).content == "2"
        sdk.beta.memory_stores.memory_versions.redact(
            first.memory_version_id, memory_store_id=store.id
        )
        memories.delete(first.id, memory_store_id=store.id)
        assert [v.operation for v in versions(sdk, store)] == ["deleted", "modified", "created"]
        sdk.beta.memory_stores.delete(store.id)

    @pytest.mark.parametrize("store_id", [f"memstore_{ABSENT}", "memstore_x", "vlt_" + ABSENT])
    def test_one_that_is_not_there(self, http: httpx.Client, store_id: str) -> None:
        text = f"Memory store `{store_id}` not found."
        base = f"/v1/memory_stores/{store_id}"
        refused(http.get(base), 404, text)
        refused(http.delete(base), 404, text)
        refused(http.post(f"{base}/archive"), 404, text)
        refused(http.get(f"{base}/memories"), 404, text)
        refused(http.get(f"{base}/memory_versions"), 404, text)
        refused(http.post(f"{base}/memories", json={"path": "/a", "content": ""}), 404, text)


class TestBetas:
    @pytest.mark.parametrize("beta", ["agent-memory-2026-07-22", "managed-agents-2026-04-01"])
    def test_either_will_do(self, shared: Any, beta: str) -> None:
        headers = {**MEMORY_BETA, "anthropic-beta": beta}
        assert httpx.get(f"{shared.url}/v1/memory_stores", headers=headers).status_code == 200

    def test_both_are_refused(self, shared: Any) -> None:
        headers = {
            **MEMORY_BETA,
            "anthropic-beta": "agent-memory-2026-07-22,managed-agents-2026-04-01",
        }
        answer = httpx.get(f"{shared.url}/v1/memory_stores", headers=headers)
        assert answer.status_code == 400

    def test_neither_is_nothing(self, shared: Any) -> None:
        headers = {"x-api-key": "test"}
        refused(httpx.get(f"{shared.url}/v1/memory_stores", headers=headers), 404, "Not found")

    def test_the_memory_beta_opens_nothing_else(self, shared: Any) -> None:
        answer = httpx.get(f"{shared.url}/v1/vaults", headers=MEMORY_BETA)
        refused(answer, 404, "Not found")


class TestMemories:
    def test_the_life_of_one(self, sdk: Anthropic, store: Any) -> None:
        memories = sdk.beta.memory_stores.memories
        created = write(sdk, store, "/notes/a.md", "hi")
        assert (created.type, created.path, created.content) == ("memory", "/notes/a.md", None)
        assert (created.content_sha256, created.content_size_bytes) == (sha256("hi"), 2)
        assert created.memory_store_id == store.id
        assert created.id.startswith("mem_")
        assert created.memory_version_id.startswith("memver_")
        read = memories.retrieve(created.id, memory_store_id=store.id)
        assert read.content == "hi"
        assert read.model_copy(update={"content": None}) == created
        basic = memories.retrieve(created.id, memory_store_id=store.id, view="basic")
        assert basic == created
        changed = memories.update(
            created.id,
            memory_store_id=store.id,
            content="größer",
            path="/b.md",
            precondition={"type": "content_sha256", "content_sha256": created.content_sha256},
            view="full",
        )
        assert (changed.id, changed.path, changed.content) == (created.id, "/b.md", "größer")
        assert changed.content_size_bytes == 8
        assert changed.memory_version_id != created.memory_version_id
        assert changed.created_at == created.created_at
        assert changed.updated_at > created.updated_at
        deleted = memories.delete(
            created.id,
            memory_store_id=store.id,
            expected_content_sha256=changed.content_sha256,
        )
        assert (deleted.id, deleted.type) == (created.id, "memory_deleted")
        with pytest.raises(anthropic.NotFoundError, match=f"Memory `{created.id}` not found"):
            memories.retrieve(created.id, memory_store_id=store.id)
        assert names(memories.list(store.id)) == []

    def test_all_fields_are_on_the_wire(self, http: httpx.Client, store: Any) -> None:
        base = f"/v1/memory_stores/{store.id}/memories"
        memory = http.post(base, json={"path": "/a", "content": ""}).json()
        assert list(memory) == [
            "id",
            "type",
            "memory_store_id",
            "path",
            "content",
            "content_sha256",
            "content_size_bytes",
            "memory_version_id",
            "created_at",
            "updated_at",
        ]
        assert memory["content"] is None
        assert http.get(base).json() == {"data": [memory], "prefixes": []}
        assert http.get(f"{base}/{memory['id']}").json() == {**memory, "content": ""}

    def test_stores_are_apart(self, sdk: Anthropic, store: Any) -> None:
        other = sdk.beta.memory_stores.create(name="Notes")
        mine = write(sdk, store, "/a")
        write(sdk, other, "/a")
        with pytest.raises(anthropic.NotFoundError, match="Memory `"):
            sdk.beta.memory_stores.memories.retrieve(mine.id, memory_store_id=other.id)
        with pytest.raises(anthropic.NotFoundError, match="Memory version `"):
            sdk.beta.memory_stores.memory_versions.retrieve(
                mine.memory_version_id, memory_store_id=other.id
            )

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({"content": ""}, "path: Field required"),
            ({"path": "/a"}, "content: value is required"),
            ({"path": "/a", "content": None}, "content: value is required"),
            (
                {"path": "/a", "content": 1},
                "Failed to parse request: content: must be a string (got number)",
            ),
            (
                {"path": "/a", "content": "x" * 102_401},
                "content must be at most 102400 bytes",
            ),
            (
                {"path": "/a", "content": "ü" * 51_201},
                "content must be at most 102400 bytes",
            ),
            ({"path": "/", "content": ""}, "path: minimum string length is 2"),
            ({"path": "/" + "x" * 1024, "content": ""}, "path: maximum string length is 1024"),
            ({"path": "/" + "ü" * 512, "content": ""}, "path: must be at most 1024 bytes"),
            ({"path": "a.md", "content": ""}, "path: must start with /"),
            ({"path": "/a/", "content": ""}, "path: must not have empty segments or end with /"),
            ({"path": "/a/../b", "content": ""}, "path: must not have . or .. as a segment"),
            ({"path": "/u\u0308", "content": ""}, "path: must be in Unicode Normalization Form C"),
            (
                {"path": "/a", "content": "", "x": 1},
                'Failed to parse request body: unknown field "x"',
            ),
        ],
    )
    def test_what_is_no_memory(
        self, http: httpx.Client, store: Any, body: dict[str, Any], message: str
    ) -> None:
        refused(http.post(f"/v1/memory_stores/{store.id}/memories", json=body), 400, message)

    def test_the_limits_can_be_reached(self, sdk: Anthropic, store: Any) -> None:
        assert write(sdk, store, "/" + "x" * 1023, "x" * 102_400).content_size_bytes == 102_400
        write(sdk, store, "/.anthropic-memory-store", "version 1")
        assert names(sdk.beta.memory_stores.memories.list(store.id)) == [
            "/.anthropic-memory-store",
            "/" + "x" * 1023,
        ]

    def test_paths_know_upper_and_lower_case(self, sdk: Anthropic, store: Any) -> None:
        write(sdk, store, "/A/x")
        write(sdk, store, "/a")
        found = sdk.beta.memory_stores.memories.list(store.id, path_prefix="/A/")
        assert names(found) == ["/A/x"]
        assert names(sdk.beta.memory_stores.memories.list(store.id, path_prefix="/a/")) == []

    def test_a_path_that_is_taken(self, sdk: Anthropic, http: httpx.Client, store: Any) -> None:
        kind = "memory_path_conflict_error"
        base = f"/v1/memory_stores/{store.id}/memories"
        taken = write(sdk, store, "/a/b")
        error = conflicted(
            http.post(base, json={"path": "/a/b", "content": ""}),
            kind,
            f"path `/a/b` is already used by `{taken.id}`; use update to modify it",
        )
        assert error["conflicting_memory_id"] == taken.id
        assert error["conflicting_path"] == "/a/b"
        for path in ("/a", "/a/b/c", "/a/b/c/d"):
            error = conflicted(
                http.post(base, json={"path": path, "content": ""}),
                kind,
                f"path `{path}` conflicts with existing memory at `/a/b`: a memory and a path "
                "prefix of it cannot coexist. Delete or rename the other memory first.",
            )
            assert error["conflicting_memory_id"] == taken.id
            assert error["conflicting_path"] == "/a/b"
        for path in ("/a/bc", "/a%", "/a/_", "/ab"):
            write(sdk, store, path)
        with pytest.raises(anthropic.ConflictError) as caught:
            write(sdk, store, "/a/b")
        assert caught.value.type == kind

    def test_renaming(self, sdk: Anthropic, http: httpx.Client, store: Any) -> None:
        memories = sdk.beta.memory_stores.memories
        one, two = write(sdk, store, "/one"), write(sdk, store, "/two/x")
        base = f"/v1/memory_stores/{store.id}/memories"
        conflicted(
            http.post(f"{base}/{one.id}", json={"path": "/two/x"}),
            "memory_path_conflict_error",
            f"path `/two/x` is already used by `{two.id}`; delete it first to rename-and-replace",
        )
        for path in ("/two", "/two/x/y"):
            conflicted(
                http.post(f"{base}/{one.id}", json={"path": path}),
                "memory_path_conflict_error",
                f"path `{path}` conflicts with existing memory at `/two/x`: a memory and a path "
                "prefix of it cannot coexist. Delete or rename the other memory first.",
            )
        assert memories.retrieve(one.id, memory_store_id=store.id).path == "/one"
        below = memories.update(one.id, memory_store_id=store.id, path="/one/below")
        assert below.path == "/one/below"
        assert below.content_sha256 == one.content_sha256
        same = memories.update(one.id, memory_store_id=store.id, path="/one/below", content=None)
        assert same.path == "/one/below"
        assert names(memories.list(store.id)) == ["/two/x", "/one/below"]

    def test_preconditions(self, sdk: Anthropic, http: httpx.Client, store: Any) -> None:
        memory = write(sdk, store, "/a", "now")
        path = f"/v1/memory_stores/{store.id}/memories/{memory.id}"
        kind = "memory_precondition_failed_error"
        text = "precondition content_sha256 failed: content has changed"
        stale = {"type": "content_sha256", "content_sha256": sha256("then")}
        conflicted(http.post(path, json={"content": "x", "precondition": stale}), kind, text)
        conflicted(http.post(path, json={"path": "/b", "precondition": stale}), kind, text)
        conflicted(
            http.delete(path, params={"expected_content_sha256": sha256("then")}), kind, text
        )
        with pytest.raises(anthropic.ConflictError) as caught:
            sdk.beta.memory_stores.memories.delete(
                memory.id, memory_store_id=store.id, expected_content_sha256=sha256("then")
            )
        assert caught.value.type == kind
        read = sdk.beta.memory_stores.memories.retrieve(memory.id, memory_store_id=store.id)
        assert (read.path, read.content) == ("/a", "now")

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({}, "v1_update_memory_params: at least one of content or path must be provided"),
            (
                {"content": None, "path": None},
                "v1_update_memory_params: at least one of content or path must be provided",
            ),
            (
                {"content": "", "precondition": {"type": "content_sha256", "content_sha256": None}},
                "precondition.content_sha256: Value is not nullable",
            ),
            (
                {"content": "", "precondition": {"content_sha256": "0" * 64}},
                "Failed to parse request: precondition.type: Field required",
            ),
            (
                {"content": "", "precondition": {"type": "content_sha256"}},
                "precondition.content_sha256: Field required",
            ),
            (
                {"content": "", "precondition": {"type": "etag", "content_sha256": "0" * 64}},
                'Failed to parse request: precondition.type: "etag" is not a valid value',
            ),
            (
                {"content": "", "precondition": {"type": "content_sha256", "content_sha256": "z"}},
                "precondition.content_sha256: must be 64 characters (and 1 more validation errors)",
            ),
            (
                {
                    "content": "",
                    "precondition": {"type": "content_sha256", "content_sha256": "A" * 64},
                },
                "precondition.content_sha256: must be 64 lowercase hexadecimal characters",
            ),
            ({"content": "", "precondition": None}, "precondition: Value is not nullable"),
            ({"path": "b.md"}, "path: must start with /"),
            ({"content": "x" * 102_401}, "content must be at most 102400 bytes"),
        ],
    )
    def test_what_is_no_change(
        self,
        sdk: Anthropic,
        http: httpx.Client,
        store: Any,
        body: dict[str, Any],
        message: str,
    ) -> None:
        memory = write(sdk, store, "/a")
        path = f"/v1/memory_stores/{store.id}/memories/{memory.id}"
        refused(http.post(path, json=body), 400, message)

    def test_an_expected_hash_that_is_none(
        self, sdk: Anthropic, http: httpx.Client, store: Any
    ) -> None:
        memory = write(sdk, store, "/a")
        path = f"/v1/memory_stores/{store.id}/memories/{memory.id}"
        refused(
            http.delete(path, params={"expected_content_sha256": "abc"}),
            400,
            "expected_content_sha256: must be 64 characters (and 1 more validation errors)",
        )


class TestLists:
    @pytest.fixture
    def filled(self, sdk: Anthropic, store: Any) -> Any:
        for path in ("/z.md", "/a/1", "/a/b/2", "/a/b/3", "/a-b/4", "/ü/5", "/b.md"):
            write(sdk, store, path, path)
        return store

    def test_newest_first_and_with_what_they_hold_if_asked(
        self, sdk: Anthropic, filled: Any
    ) -> None:
        memories = sdk.beta.memory_stores.memories
        order = ["/b.md", "/ü/5", "/a-b/4", "/a/b/3", "/a/b/2", "/a/1", "/z.md"]
        found = list(memories.list(filled.id, limit=3))
        assert names(found) == order
        assert {memory.type for memory in found} == {"memory"}
        full = memories.list(filled.id, view="full", limit=20)
        assert [memory.content for memory in full] == order  # type: ignore[union-attr]
        assert names(memories.list(filled.id, depth=0)) == order

    def test_below_a_prefix(self, sdk: Anthropic, filled: Any) -> None:
        memories = sdk.beta.memory_stores.memories
        found = memories.list(filled.id, path_prefix="/a/", limit=2)
        assert names(found) == ["/a/b/3", "/a/b/2", "/a/1"]
        assert names(memories.list(filled.id, path_prefix="/ü/")) == ["/ü/5"]
        assert names(memories.list(filled.id, path_prefix="/none/")) == []
        assert len(list(memories.list(filled.id, path_prefix="/"))) == 7

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6])
    def test_one_level_with_folders_first(self, sdk: Anthropic, filled: Any, limit: int) -> None:
        memories = sdk.beta.memory_stores.memories
        found = list(memories.list(filled.id, depth=1, limit=limit))
        assert names(found) == ["/a-b/", "/a/", "/ü/", "/b.md", "/z.md"]
        assert [item.type for item in found] == ["memory_prefix"] * 3 + ["memory"] * 2
        below = memories.list(filled.id, depth=1, path_prefix="/a/", limit=limit)
        assert names(below) == ["/a/b/", "/a/1"]
        leaf = memories.list(filled.id, depth=1, path_prefix="/a/b/", limit=limit)
        assert names(leaf) == ["/a/b/3", "/a/b/2"]

    def test_a_folder_on_the_wire(self, http: httpx.Client, filled: Any) -> None:
        answer = http.get(
            f"/v1/memory_stores/{filled.id}/memories", params={"depth": 1, "limit": 1}
        ).json()
        assert answer["data"] == [{"type": "memory_prefix", "path": "/a-b/"}]
        assert answer["prefixes"] == []
        assert answer["next_page"].startswith("page_")

    def test_pages_of_long_names(self, sdk: Anthropic, store: Any) -> None:
        names_ = [f"/{letter}{'ü' * 505}/x" for letter in "abc"]
        for path in names_:
            write(sdk, store, path)
        found = sdk.beta.memory_stores.memories.list(store.id, depth=1, limit=1)
        assert names(found) == [path[:-1] for path in names_]

    @pytest.mark.parametrize("depth", [None, 1])
    def test_what_comes_and_goes_moves_nothing(
        self, sdk: Anthropic, store: Any, depth: int | None
    ) -> None:
        memories = sdk.beta.memory_stores.memories
        made = [
            write(sdk, store, path)
            for path in ("/f1/a", "/f2/a", "/f3/a", "/m1", "/m2", "/m3", "/m4", "/m5")
        ]
        extra: dict[str, Any] = {} if depth is None else {"depth": depth}
        numbers = itertools.count()
        seen = []
        page = memories.list(store.id, limit=2, **extra)
        while True:
            seen += names(page.data)
            number = next(numbers)
            write(sdk, store, f"/f2/new-{number}")
            write(sdk, store, f"/new-{number}")
            if number == 1:
                memories.delete(made[0].id, memory_store_id=store.id)
                memories.update(made[4].id, memory_store_id=store.id, content="changed")
            if not page.has_next_page():
                break
            page = page.get_next_page()
        old = [path for path in seen if "new" not in path]
        expected = (
            ["/m5", "/m4", "/m3", "/m2", "/m1", "/f3/a", "/f2/a"]
            if depth is None
            else ["/f1/", "/f2/", "/f3/", "/m5", "/m4", "/m3", "/m2", "/m1"]
        )
        assert old == expected
        assert len(seen) == len(set(seen))

    def test_with_contents_a_page_has_twenty_at_most(self, sdk: Anthropic, store: Any) -> None:
        for number in range(25):
            write(sdk, store, f"/{number}")
        memories = sdk.beta.memory_stores.memories
        first = memories.list(store.id, view="full", limit=100)
        assert len(first.data) == 20
        assert len(list(first)) == 25
        assert len(memories.list(store.id, view="basic", limit=100).data) == 25
        held = sdk.beta.memory_stores.memory_versions.list(store.id, view="full", limit=100)
        assert len(held.data) == 20
        assert len(list(held)) == 25

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ({"path_prefix": "/a"}, "path_prefix must be segment-aligned and end with /"),
            ({"path_prefix": "a/"}, "path_prefix must be segment-aligned and end with /"),
            ({"path_prefix": ""}, "path_prefix must be segment-aligned and end with /"),
            ({"depth": "2"}, "depth must be 0 or 1 when provided"),
            ({"depth": "-1"}, "depth must be 0 or 1 when provided"),
            ({"depth": "x"}, "depth must be 0 or 1 when provided"),
            ({"depth": "0", "path_prefix": "/a/"}, "depth: must be greater than or equal to 1"),
            (
                {"limit": "101"},
                "limit: value must be greater than or equal to 1 and less than or equal to 100",
            ),
            (
                {"limit": "0"},
                "limit: value must be greater than or equal to 1 and less than or equal to 100",
            ),
            ({"path_prefix": "/\0/"}, "path_prefix: must not contain NUL characters"),
            ({"view": "all"}, 'Failed to parse request: view: "all" is not a valid value'),
            ({"page": "page_x"}, "page: invalid or expired page cursor"),
            ({"page": "page_x", "depth": "1"}, "page: invalid or expired page cursor"),
        ],
    )
    def test_what_cannot_be_listed(
        self, http: httpx.Client, store: Any, query: dict[str, str], message: str
    ) -> None:
        answer = http.get(f"/v1/memory_stores/{store.id}/memories", params=query)
        refused(answer, 400, message)

    def test_cursors_of_other_lists(self, sdk: Anthropic, http: httpx.Client, filled: Any) -> None:
        base = f"/v1/memory_stores/{filled.id}"
        folder = http.get(f"{base}/memories", params={"depth": 1, "limit": 1}).json()["next_page"]
        version = http.get(f"{base}/memory_versions", params={"limit": 1}).json()["next_page"]
        text = "page: invalid or expired page cursor"
        refused(http.get(f"{base}/memories", params={"page": folder}), 400, text)
        refused(http.get(f"{base}/memories", params={"page": version}), 400, text)
        refused(http.get(f"{base}/memory_versions", params={"page": folder}), 400, text)


class TestVersions:
    def test_each_change_is_one_and_they_outlive_the_memory(
        self, sdk: Anthropic, store: Any
    ) -> None:
        memories = sdk.beta.memory_stores.memories
        created = write(sdk, store, "/a", "1")
        changed = memories.update(created.id, memory_store_id=store.id, content="2")
        renamed = memories.update(created.id, memory_store_id=store.id, path="/b")
        memories.delete(created.id, memory_store_id=store.id)
        write(sdk, store, "/other")
        found = versions(sdk, store, memory_id=created.id, view="full", limit=2)
        assert [(v.operation, v.path, v.content) for v in found] == [
            ("deleted", "/b", None),
            ("modified", "/b", "2"),
            ("modified", "/a", "2"),
            ("created", "/a", "1"),
        ]
        assert [v.id for v in found[1:]] == [
            renamed.memory_version_id,
            changed.memory_version_id,
            created.memory_version_id,
        ]
        assert (found[0].content_sha256, found[0].content_size_bytes) == (None, None)
        assert (found[3].content_sha256, found[3].content_size_bytes) == (sha256("1"), 1)
        assert {v.created_by.type for v in found} == {"api_actor"}
        assert (found[3].redacted_at, found[3].redacted_by) == (None, None)
        basic = versions(sdk, store, memory_id=created.id)
        assert {v.content for v in basic} == {None}
        assert [v.content_sha256 for v in basic] == [v.content_sha256 for v in found]
        one = sdk.beta.memory_stores.memory_versions.retrieve(found[3].id, memory_store_id=store.id)
        assert one == found[3]

    def test_filters(self, sdk: Anthropic, store: Any) -> None:
        a, b = write(sdk, store, "/a"), write(sdk, store, "/b")
        sdk.beta.memory_stores.memories.delete(a.id, memory_store_id=store.id)
        everything = versions(sdk, store)
        assert [v.memory_id for v in everything] == [a.id, b.id, a.id]
        assert [v.memory_id for v in versions(sdk, store, operation="deleted")] == [a.id]
        key = everything[0].created_by.api_key_id
        assert key.startswith("apikey_01")
        assert versions(sdk, store, api_key_id=key) == everything
        assert versions(sdk, store, api_key_id="apikey_" + ABSENT) == []
        assert versions(sdk, store, session_id="sesn_" + ABSENT) == []
        assert versions(sdk, store, service_account_id="svac_" + ABSENT) == []
        assert versions(sdk, store, api_key_id=key, session_id="sesn_" + ABSENT) == []
        middle = everything[1].created_at
        assert versions(sdk, store, created_at_gte=middle) == everything[:2]
        assert versions(sdk, store, created_at_lte=middle) == everything[1:]

    def test_redaction(self, sdk: Anthropic, http: httpx.Client, store: Any) -> None:
        memories = sdk.beta.memory_stores.memories
        secret = write(sdk, store, "/a", "secret")
        path = f"/v1/memory_stores/{store.id}/memory_versions/{secret.memory_version_id}/redact"
        refused(
            http.post(path),
            400,
            f"version is the current content of {secret.id}; write a new version first",
        )
        memories.update(secret.id, memory_store_id=store.id, content="clean")
        once = sdk.beta.memory_stores.memory_versions.redact(
            secret.memory_version_id, memory_store_id=store.id
        )
        assert (once.path, once.content, once.content_sha256) == (None, None, None)
        assert once.content_size_bytes is None
        assert once.redacted_at is not None
        assert once.redacted_by == once.created_by
        assert once.operation == "created"
        again = sdk.beta.memory_stores.memory_versions.redact(
            secret.memory_version_id, memory_store_id=store.id
        )
        assert again == once
        assert "secret" not in str(versions(sdk, store, view="full"))
        assert memories.retrieve(secret.id, memory_store_id=store.id).content == "clean"

    def test_all_of_a_deleted_memory_can_be_redacted(self, sdk: Anthropic, store: Any) -> None:
        memory = write(sdk, store, "/secret")
        sdk.beta.memory_stores.memories.delete(memory.id, memory_store_id=store.id)
        for version in versions(sdk, store):
            sdk.beta.memory_stores.memory_versions.redact(version.id, memory_store_id=store.id)
        assert [v.path for v in versions(sdk, store)] == [None, None]

    def test_one_that_is_not_there(self, http: httpx.Client, store: Any) -> None:
        base = f"/v1/memory_stores/{store.id}/memory_versions"
        for version_id in (f"memver_{ABSENT}", "x"):
            text = f"Memory version `{version_id}` not found."
            refused(http.get(f"{base}/{version_id}"), 404, text)
            refused(http.post(f"{base}/{version_id}/redact"), 404, text)


def test_versions_tell_keys_apart(tmp_path: Any) -> None:
    with serve(tmp_path / "data", api_keys=["first-key-of-all", "second-key-of-all"]) as served:
        makers = []
        for key in ("first-key-of-all", "second-key-of-all", "first-key-of-all"):
            with served.client() as client:
                keyed = client.with_options(api_key=key)
                store = keyed.beta.memory_stores.create(name="n")
                write(keyed, store, "/a")
                (version,) = versions(keyed, store)
                makers.append(version.created_by.api_key_id)
    assert makers[0] == makers[2] != makers[1]


@pytest.mark.parametrize("name", ["memory_id", "session_id", "api_key_id", "service_account_id"])
def test_what_no_database_can_look_for(http: httpx.Client, store: Any, name: str) -> None:
    answer = http.get(f"/v1/memory_stores/{store.id}/memory_versions", params={name: "\0"})
    refused(answer, 400, f"{name}: must not contain NUL characters")
