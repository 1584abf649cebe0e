"""Files through the official SDK (spec 17)."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
import sqlalchemy as sa
from anthropic import Anthropic
from fastapi import FastAPI
from moto.server import ThreadedMotoServer
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from freehold.api.deps import ApiServices
from freehold.app import create_app
from freehold.blobs.s3 import connect
from freehold.core.workspaces import DEFAULT_WORKSPACE
from freehold.settings import Settings
from freehold.store.tables import files
from tests.api.conftest import refused, said, turn
from tests.support.models import KEY, Recorder
from tests.support.models import served as provider
from tests.support.running import BETA, Served, serve, serve_app

OLD = {"x-api-key": "test", "anthropic-beta": "files-api-2025-04-14"}
PLAIN = {"x-api-key": "test"}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 100_000):
        yield data[at : at + 100_000]


def with_outputs(app: FastAPI) -> FastAPI:
    """The application, with a door for what a session's sandbox would do."""
    services: ApiServices = app.state.services

    async def create(request: Request) -> Response:
        file = await services.files.create(
            DEFAULT_WORKSPACE,
            request.query_params["session"],
            request.query_params["name"],
            _chunks(await request.body()),
            downloadable=request.query_params.get("downloadable") != "no",
        )
        return JSONResponse({"id": file.id})

    async def copy(request: Request) -> Response:
        query = request.query_params
        file = await services.files.copy(DEFAULT_WORKSPACE, query["file"], query["session"])
        return JSONResponse({"id": None if file is None else file.id})

    async def tidy(request: Request) -> Response:
        expired = await services.files.expire()
        return JSONResponse(
            {"expired": expired, "swept": await services.files.sweep(timedelta(seconds=-5))}
        )

    async def past(request: Request) -> Response:
        days = int(request.query_params["days"])
        moment = services.clock.now() - timedelta(days=days)
        async with services.database.write() as tx:
            await tx.execute(
                sa.update(files)
                .where(files.c.id == request.query_params["file"])
                .values(expires_at=moment)
            )
        return JSONResponse({})

    for path, handler in (
        ("/outputs", create),
        ("/copies", copy),
        ("/tidy", tidy),
        ("/past", past),
    ):
        app.add_route(path, handler, methods=["POST"])
    return app


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that takes files of 1 MB."""
    folder = tmp_path_factory.mktemp("files")
    settings = Settings(
        data_dir=folder / "data",
        model="scripted",
        scripted_latency=0,
        sandbox="scripted",
        sandbox_warm=0,
        file_max_mb=1,
    )
    with serve_app(with_outputs(create_app(settings))) as served:
        yield served


@pytest.fixture(scope="module")
def plain(shared: Served) -> Iterator[httpx.Client]:
    """Bare HTTP without betas."""
    with httpx.Client(base_url=shared.url, headers=PLAIN, timeout=30) as client:
        yield client


def output(
    plain: httpx.Client, session: Any, name: str, data: bytes, downloadable: bool = True
) -> str:
    answer = plain.post(
        "/outputs",
        params={
            "session": session.id,
            "name": name,
            "downloadable": "yes" if downloadable else "no",
        },
        content=data,
    )
    file_id: str = answer.json()["id"]
    return file_id


def contents(shared: Served) -> set[str]:
    """The ids of the files whose content is on the disk."""
    root = Path(shared.app.state.services.settings.data_dir) / "blobs" / "files"
    return {path.name for path in root.rglob("*") if path.is_file()}


def wait_until_gone(shared: Served, file_id: str) -> None:
    deadline = time.monotonic() + 30
    while file_id in contents(shared):
        assert time.monotonic() < deadline, "the content is still there"
        time.sleep(0.02)


class TestUpload:
    def test_the_life_of_a_file(self, sdk: Anthropic, shared: Served) -> None:
        made = sdk.files.upload(file=("notes.md", b"# Notes\n", "text/markdown"))
        assert made.id.startswith("file_")
        assert (made.type, made.filename, made.mime_type) == ("file", "notes.md", "text/markdown")
        assert (made.size_bytes, made.downloadable, made.expires_at) == (8, False, None)
        assert made.id in contents(shared)
        assert sdk.files.retrieve_metadata(made.id) == made
        assert made in list(sdk.files.list())
        with pytest.raises(anthropic.BadRequestError) as told:
            sdk.files.download(made.id)
        assert told.value.body["error"] == {  # type: ignore[index]
            "type": "invalid_request_error",
            "message": f"File `{made.id}` is not downloadable. Only files generated by a tool "
            "(for example, the code execution tool) can be downloaded.",
            "details": {"error_code": "file_not_downloadable"},
        }
        assert told.value.response.headers["x-should-retry"] == "false"
        deleted = sdk.files.delete(made.id)
        assert (deleted.id, deleted.type) == (made.id, "file_deleted")
        wait_until_gone(shared, made.id)
        for call in (sdk.files.retrieve_metadata, sdk.files.delete, sdk.files.download):
            with pytest.raises(anthropic.NotFoundError, match=f"File `{made.id}` not found"):
                call(made.id)
        assert made.id not in {file.id for file in sdk.files.list()}

    def test_through_the_beta_namespace(self, sdk: Anthropic) -> None:
        made = sdk.beta.files.upload(file=b"some bytes")
        assert sdk.beta.files.retrieve_metadata(made.id) == made
        assert sdk.beta.files.list(ids=[made.id]).data == [made]
        assert sdk.beta.files.delete(made.id).type == "file_deleted"

    def test_exactly_the_fields(self, plain: httpx.Client) -> None:
        shown = plain.post("/v1/files", files={"file": ("a.txt", b"x", "text/plain")}).json()
        assert set(shown) == {
            "id",
            "type",
            "filename",
            "mime_type",
            "size_bytes",
            "created_at",
            "downloadable",
            "expires_at",
        }

    def test_expiry(self, sdk: Anthropic) -> None:
        made = sdk.files.upload(file=("a.txt", b"x"), expires_in_seconds=3600)
        assert made.expires_at is not None
        assert made.expires_at - made.created_at == timedelta(hours=1)

    @pytest.mark.parametrize("first", [True, False])
    def test_the_order_of_the_parts_does_not_matter(self, plain: httpx.Client, first: bool) -> None:
        parts = [("file", ("a.txt", b"x", "text/plain")), ("other", ("b", b"y", "a/b"))]
        field = ("expires_in_seconds", (None, b"7776000"))
        form: Any = [field, *parts] if first else [*parts, field]
        answer = plain.post("/v1/files", files=form)
        assert answer.status_code == 200
        assert answer.json()["expires_at"] is not None
        assert answer.json()["filename"] == "a.txt"

    @pytest.mark.parametrize(
        ("seconds", "problem"),
        [
            ("3599", "Input should be greater than or equal to 3600"),
            ("7776001", "Input should be less than or equal to 7776000"),
            ("-1", "Input should be greater than or equal to 3600"),
            ("soon", "Input should be a valid integer"),
            ("4000.5", "Input should be a valid integer"),
            ("", "Input should be a valid integer"),
        ],
    )
    def test_lifetimes_that_are_refused(
        self, plain: httpx.Client, shared: Served, seconds: str, problem: str
    ) -> None:
        before = contents(shared)
        answer = plain.post(
            "/v1/files",
            files={"file": ("a.txt", b"x")},
            data={"expires_in_seconds": seconds},
        )
        refused(answer, 400, f"expires_in_seconds: {problem}")
        assert contents(shared) <= before

    @pytest.mark.parametrize(
        ("given", "declared", "filename", "mime_type"),
        [
            ("/home/me/report.pdf", "application/pdf", "report.pdf", "application/pdf"),
            ("C:\\Users\\me\\a.csv", "text/csv", "a.csv", "text/csv"),
            ("übergrößen 日本.txt", "text/plain", "übergrößen 日本.txt", "text/plain"),
            ("data.json", "application/octet-stream", "data.json", "application/json"),
            ("notes.md", None, "notes.md", "text/markdown"),
            ("sheet.xlsx", None, "sheet.xlsx", None),
            ("thing", None, "thing", "application/octet-stream"),
            ("a.txt", "text/plain; charset=latin-1", "a.txt", "text/plain"),
            ("a.txt", "not a type", "a.txt", "text/plain"),
            ("", "image/png", "unnamed.png", "image/png"),
            ("folder/", "text/plain", "unnamed.txt", "text/plain"),
            ("", None, "unnamed", "application/octet-stream"),
            ("x" * 255, "text/plain", "x" * 255, "text/plain"),
        ],
    )
    def test_names_and_types(
        self,
        plain: httpx.Client,
        given: str,
        declared: str | None,
        filename: str,
        mime_type: str | None,
    ) -> None:
        answer = upload_raw(plain, given, declared, b"data")
        assert answer.status_code == 200, answer.text
        assert answer.json()["filename"] == filename
        assert mime_type is None or answer.json()["mime_type"] == mime_type

    def test_without_any_filename(self, plain: httpx.Client) -> None:
        answer = upload_raw(plain, None, "text/plain", b"data")
        assert answer.json()["filename"] == "unnamed.txt"

    @pytest.mark.parametrize(
        "name", ["a<b", "a>b", "a:b", "a|b", "a?b", "a*b", "a&b", "a\x01b", "x" * 256, "..", "."]
    )
    def test_names_that_are_refused(self, plain: httpx.Client, shared: Served, name: str) -> None:
        before = contents(shared)
        answer = upload_raw(plain, name, "text/plain", b"data")
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith("file: the filename must ")
        assert contents(shared) == before

    def test_forms_that_are_none(self, plain: httpx.Client, shared: Served) -> None:
        before = contents(shared)
        form = {"content-type": "multipart/form-data; boundary=b"}
        cut = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ndata'
        for headers, body, message in (
            ({"content-type": "application/json"}, b"{}", "Content-Type must be multipart/"),
            ({"content-type": "multipart/form-data"}, b"x", "Content-Type: multipart/form-data n"),
            (form, b"", "the form breaks off before its end"),
            (form, cut, "the form breaks off before its end"),
            (form, b"nonsense", "Failed to parse request body: "),
            (form, b"--b\r\nContent-Disposition: attachment\r\n\r\nx\r\n--b--\r\n", "the form has"),
            (
                form,
                b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nx\r\n--b--\r\n',
                "file",
            ),
            ({**form, "content-encoding": "gzip"}, b"x", "Content-Encoding is not supported"),
        ):
            answer = plain.post("/v1/files", content=body, headers=headers)
            assert answer.status_code == 400, message
            assert answer.json()["error"]["message"].startswith(message)
        refused(plain.post("/v1/files", files={"other": b"x"}), 400, "file: Field required")
        two = [("file", ("a", b"x")), ("file", ("b", b"y"))]
        answer = plain.post("/v1/files", files=two)
        refused(answer, 400, "file: only one file can be uploaded at a time")
        for file_id in contents(shared) - before:
            wait_until_gone(shared, file_id)

    def test_needs_a_key(self, shared: Served) -> None:
        answer = httpx.post(f"{shared.url}/v1/files", files={"file": b"x"})
        assert answer.status_code == 401


def upload_raw(
    plain: httpx.Client, name: str | None, declared: str | None, data: bytes
) -> httpx.Response:
    """An upload whose part says exactly this."""
    named = "" if name is None else f'; filename="{name}"'
    typed = "" if declared is None else f"Content-Type: {declared}\r\n"
    head = f'--b\r\nContent-Disposition: form-data; name="file"{named}\r\n{typed}\r\n'
    return plain.post(
        "/v1/files",
        content=head.encode() + data + b"\r\n--b--\r\n",
        headers={"content-type": "multipart/form-data; boundary=b"},
    )


class TestSize:
    def test_up_to_the_limit(self, sdk: Anthropic) -> None:
        assert sdk.files.upload(file=("a", b"x" * (1 << 20))).size_bytes == 1 << 20

    def test_one_byte_more(self, sdk: Anthropic, shared: Served) -> None:
        before = contents(shared)
        with pytest.raises(anthropic.APIStatusError) as told:
            sdk.files.upload(file=("a", b"x" * ((1 << 20) + 1)))
        assert told.value.status_code == 413
        assert told.value.body["error"] == {  # type: ignore[index]
            "type": "request_too_large",
            "message": "file: exceeds the maximum of 1 MB",
        }
        assert contents(shared) == before

    @pytest.mark.parametrize("declared", [True, False])
    def test_much_more(self, plain: httpx.Client, declared: bool) -> None:
        data = b"x" * (4 << 20)

        def pieces() -> Iterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            yield data

        answer = plain.post(
            "/v1/files",
            content=b"".join(pieces()) if declared else pieces(),
            headers={"content-type": "multipart/form-data; boundary=b"},
        )
        assert answer.status_code == 413
        assert answer.json()["error"]["type"] == "request_too_large"

    def test_a_client_that_hangs_up_leaves_nothing(
        self, plain: httpx.Client, shared: Served
    ) -> None:
        before = contents(shared)
        host, port = shared.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /v1/files HTTP/1.1\r\nHost: x\r\nx-api-key: test\r\n"
                b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 500000\r\n\r\n"
                b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
                + b"x"
                * 100_000
            )
        unfinished = Path(shared.app.state.services.settings.data_dir) / "blobs" / "unfinished"
        deadline = time.monotonic() + 30
        while any(unfinished.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert contents(shared) == before

    def test_the_quota(self, tmp_path: Path) -> None:
        with serve(tmp_path / "data", files_total_mb=1) as served, served.client() as sdk:
            kept = sdk.files.upload(file=("a", b"x" * 900_000))
            with pytest.raises(anthropic.BadRequestError) as told:
                sdk.files.upload(file=("b", b"x" * 200_000))
            error: Any = told.value.body["error"]  # type: ignore[index]
            assert error["details"] == {"error_code": "storage_quota_exceeded"}
            sdk.files.delete(kept.id)
            assert sdk.files.upload(file=("b", b"x" * 200_000)).size_bytes == 200_000


class TestLists:
    def test_pages_newest_first(self, sdk: Anthropic) -> None:
        made = [sdk.files.upload(file=(f"{n}.txt", b"x")) for n in range(5)]
        first = sdk.files.list(limit=2)
        assert [file.id for file in first.data] == [made[4].id, made[3].id]
        assert first.next_page is not None
        assert first.next_page.startswith("page_")
        assert [file.id for file in first][:5] == [file.id for file in made[::-1]]

    def test_the_last_page_says_null(self, plain: httpx.Client) -> None:
        assert plain.get("/v1/files", params={"limit": 1000}).json()["next_page"] is None

    def test_by_ids(self, sdk: Anthropic, plain: httpx.Client) -> None:
        one, two = (sdk.files.upload(file=(f"{n}.txt", b"x")) for n in range(2))
        absent = one.id[:-4] + "1111"
        found = sdk.files.list(ids=[one.id, absent, two.id, one.id, "nonsense"])
        assert [file.id for file in found.data] == [two.id, one.id]
        assert found.next_page is None
        assert sdk.files.list(ids=[absent]).data == []
        many = [f"{one.id[:-6]}{n:06}" for n in range(101)]
        refused(
            plain.get("/v1/files", params={"ids[]": many}),
            400,
            "ids[]: must contain at most 100 items",
        )
        again = plain.get("/v1/files", params={"ids[]": [one.id] * 101})
        assert [file["id"] for file in again.json()["data"]] == [one.id]
        for extra in ({"limit": 5}, {"page": "page_x"}):
            refused(
                plain.get("/v1/files", params={"ids[]": [one.id], **extra}),
                400,
                "ids[]: cannot be set together with page or limit",
            )

    @pytest.mark.parametrize("limit", [0, 1001, "x", -1])
    def test_limits(self, plain: httpx.Client, limit: object) -> None:
        refused(
            plain.get("/v1/files", params={"limit": str(limit)}),
            400,
            "limit: value must be greater than or equal to 1 and less than or equal to 1000",
        )

    def test_cursors_belong_to_their_list(
        self, sdk: Anthropic, plain: httpx.Client, session: Any
    ) -> None:
        for number in range(2):
            output(plain, session, f"{number}.txt", b"x")
        page = sdk.beta.files.list(
            scope_id=session.id, limit=1, betas=["managed-agents-2026-04-01"]
        )
        answer = plain.get("/v1/files", params={"page": page.next_page})
        refused(answer, 400, "page: invalid or expired page cursor")
        refused(
            plain.get("/v1/files", params={"page": "page_x"}),
            400,
            "page: invalid or expired page cursor",
        )

    def test_as_it_was_under_the_older_header(self, sdk: Anthropic, shared: Served) -> None:
        made = [sdk.files.upload(file=(f"{n}.txt", b"x")).id for n in range(5)][::-1]
        with httpx.Client(base_url=shared.url, headers=OLD) as old:

            def page(**query: Any) -> tuple[list[str], bool]:
                body = old.get("/v1/files", params=query).json()
                assert set(body) == {"data", "has_more", "first_id", "last_id"}
                ids = [file["id"] for file in body["data"]]
                assert body["first_id"] == (ids[0] if ids else None)
                assert body["last_id"] == (ids[-1] if ids else None)
                return ids, body["has_more"]

            assert page(limit=2) == (made[:2], True)
            assert page(limit=2, after_id=made[1]) == (made[2:4], True)
            assert page(limit=2, before_id=made[4]) == (made[2:4], True)
            assert page(limit=2, before_id=made[2]) == (made[:2], False)
            assert page(before_id=made[0]) == ([], False)
            both = old.get("/v1/files", params={"after_id": made[0], "before_id": made[1]})
            refused(both, 400, "Only one of after_id or before_id may be set.")
            unknown = old.get("/v1/files", params={"after_id": "file_x"})
            refused(unknown, 400, "after_id: no file file_x")


class TestSessions:
    def test_what_a_session_made(self, sdk: Anthropic, plain: httpx.Client, session: Any) -> None:
        mine = sdk.files.upload(file=("mine.txt", b"x"))
        made = [output(plain, session, f"out-{n}.csv", b"a,b\n") for n in range(3)]
        betas: Any = ["managed-agents-2026-04-01"]
        listed = list(sdk.beta.files.list(scope_id=session.id, betas=betas, limit=2))
        assert [file.id for file in listed] == made[::-1]
        for file in listed:
            assert file.scope is not None
            assert (file.scope.type, file.scope.id) == ("session", session.id)
            assert (file.mime_type, file.downloadable) == ("text/csv", True)
        old_name = session.id.replace("sesn_", "session_")
        assert len(list(sdk.beta.files.list(scope_id=old_name, betas=betas))) == 3
        hidden = {file.id for file in sdk.beta.files.list(betas=betas, limit=1000)}
        assert mine.id in hidden
        assert not hidden & set(made)
        assert list(sdk.beta.files.list(scope_id="sesn_nobody", betas=betas)) == []

    def test_the_scope_is_for_those_who_name_the_beta(
        self, plain: httpx.Client, http: httpx.Client, session: Any
    ) -> None:
        file_id = output(plain, session, "a.txt", b"x")
        assert "scope" not in plain.get(f"/v1/files/{file_id}").json()
        assert http.get(f"/v1/files/{file_id}").json()["scope"] == {
            "type": "session",
            "id": session.id,
        }
        refused(
            plain.get("/v1/files", params={"scope_id": session.id}),
            400,
            "scope_id: needs the `anthropic-beta` header to name `managed-agents-2026-04-01`",
        )

    def test_names_are_made_fit(self, plain: httpx.Client, session: Any) -> None:
        for name, shown in (
            ("/mnt/session/outputs/a.txt", "a.txt"),
            ("a:b?.txt", "a_b_.txt"),
            ("y" * 300 + ".txt", "y" * 251 + ".txt"),
        ):
            file_id = output(plain, session, name, b"x")
            assert plain.get(f"/v1/files/{file_id}").json()["filename"] == shown

    def test_download(self, sdk: Anthropic, plain: httpx.Client, session: Any) -> None:
        data = bytes(range(256)) * 4000
        file_id = output(plain, session, "Bericht März.bin", data)
        assert sdk.files.download(file_id).read() == data
        with sdk.files.with_streaming_response.download(file_id) as streamed:
            assert b"".join(streamed.iter_bytes()) == data
        answer = plain.get(f"/v1/files/{file_id}/content")
        assert answer.headers["content-length"] == str(len(data))
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (
            answer.headers["content-disposition"]
            == "attachment; filename*=UTF-8''Bericht%20M%C3%A4rz.bin"
        )

    def test_an_empty_file(self, sdk: Anthropic, plain: httpx.Client, session: Any) -> None:
        file_id = output(plain, session, "empty.txt", b"")
        assert sdk.files.download(file_id).read() == b""
        answer = plain.get(f"/v1/files/{file_id}/content", headers={"range": "bytes=0-"})
        assert answer.status_code == 416

    @pytest.mark.parametrize(
        ("header", "answered"),
        [
            ("bytes=0-3", (206, b"0123", "bytes 0-3/10")),
            ("bytes=4-", (206, b"456789", "bytes 4-9/10")),
            ("bytes=-3", (206, b"789", "bytes 7-9/10")),
            ("bytes=-30", (206, b"0123456789", "bytes 0-9/10")),
            ("bytes=8-100", (206, b"89", "bytes 8-9/10")),
            ("bytes=9-9", (206, b"9", "bytes 9-9/10")),
            ("Bytes = 2-3", (206, b"23", "bytes 2-3/10")),
            ("bytes=10-", (416, None, "bytes */10")),
            ("bytes=-0", (416, None, "bytes */10")),
            ("bytes=99-100", (416, None, "bytes */10")),
            ("bytes=3-1", (200, b"0123456789", None)),
            ("bytes=0-1,3-4", (200, b"0123456789", None)),
            ("lines=1-2", (200, b"0123456789", None)),
            ("bytes=-", (200, b"0123456789", None)),
        ],
    )
    def test_ranges(
        self,
        plain: httpx.Client,
        session: Any,
        header: str,
        answered: tuple[int, bytes | None, str | None],
    ) -> None:
        status, body, content_range = answered
        file_id = output(plain, session, "digits.txt", b"0123456789")
        answer = plain.get(f"/v1/files/{file_id}/content", headers={"range": header})
        assert answer.status_code == status
        assert answer.headers.get("content-range") == content_range
        if body is None:
            assert answer.json()["error"]["type"] == "invalid_request_error"
            assert answer.json()["request_id"] == answer.headers["request-id"]
        else:
            assert answer.content == body
            assert answer.headers["content-type"].startswith("text/plain")

    def test_a_download_goes_on_where_it_stopped(self, plain: httpx.Client, session: Any) -> None:
        file_id = output(plain, session, "digits.txt", b"0123456789")
        tag = plain.get(f"/v1/files/{file_id}/content").headers["etag"]
        for condition, status in ((tag, 206), ('"another"', 200)):
            answer = plain.get(
                f"/v1/files/{file_id}/content", headers={"range": "bytes=5-", "if-range": condition}
            )
            assert answer.status_code == status

    def test_copies_share_the_content(
        self, sdk: Anthropic, plain: httpx.Client, session: Any, shared: Served
    ) -> None:
        mine = sdk.files.upload(file=("mine.csv", b"a,b\n"))
        before = contents(shared)
        copied = plain.post("/copies", params={"file": mine.id, "session": session.id}).json()["id"]
        assert copied != mine.id
        assert contents(shared) == before
        shown = sdk.files.retrieve_metadata(copied)
        assert (shown.filename, shown.size_bytes, shown.downloadable) == ("mine.csv", 4, False)
        sdk.files.delete(mine.id)
        sdk.files.retrieve_metadata(copied)
        assert plain.post("/tidy").status_code == 200
        assert mine.id in contents(shared)
        sdk.beta.sessions.delete(session.id)
        wait_until_gone(shared, mine.id)
        with pytest.raises(anthropic.NotFoundError):
            sdk.files.retrieve_metadata(copied)
        gone = plain.post("/copies", params={"file": mine.id, "session": session.id})
        assert gone.status_code == 500  # there is no such session

    def test_archiving_keeps_files_and_deleting_does_not(
        self, sdk: Anthropic, plain: httpx.Client, session: Any, shared: Served
    ) -> None:
        file_id = output(plain, session, "a.txt", b"x")
        sdk.beta.sessions.archive(session.id)
        assert sdk.files.download(file_id).read() == b"x"
        sdk.beta.sessions.delete(session.id)
        wait_until_gone(shared, file_id)


class TestTime:
    def test_an_expired_file(
        self, sdk: Anthropic, plain: httpx.Client, session: Any, shared: Served
    ) -> None:
        made = sdk.files.upload(file=("a.txt", b"x"), expires_in_seconds=3600)
        plain.post("/past", params={"file": made.id, "days": 1})
        for tidied in (False, True):
            with pytest.raises(anthropic.NotFoundError) as told:
                sdk.files.download(made.id)
            error: Any = told.value.body["error"]  # type: ignore[index]
            assert error["details"] == {"error_code": "file_expired"}
            assert sdk.files.retrieve_metadata(made.id).size_bytes == 1
            assert (made.id in contents(shared)) is not tidied
            copied = plain.post("/copies", params={"file": made.id, "session": session.id})
            assert copied.json() == {"id": None}
            if not tidied:
                assert plain.post("/tidy").json()["expired"] == 1
                wait_until_gone(shared, made.id)
        plain.post("/past", params={"file": made.id, "days": 31})
        plain.post("/tidy")
        with pytest.raises(anthropic.NotFoundError):
            sdk.files.retrieve_metadata(made.id)

    def test_contents_that_no_file_has(
        self, sdk: Anthropic, plain: httpx.Client, shared: Served
    ) -> None:
        kept = sdk.files.upload(file=("a.txt", b"x"))
        root = Path(shared.app.state.services.settings.data_dir) / "blobs"
        others = root / "skills" / "zz" / "skill_zz"
        orphan = root / "files" / "zz" / "file_zz"
        for path in (others, orphan):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        assert plain.post("/tidy").json()["swept"] == 1
        assert not orphan.exists()
        assert others.exists()
        assert kept.id in contents(shared)


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Recorder, Anthropic, str]]:
    """A provider that remembers what it is asked, a client, and an environment."""
    recorder = Recorder()
    with (
        provider(recorder) as url,
        serve(
            tmp_path_factory.mktemp("content") / "data",
            model="upstream",
            model_base_url=url,
            model_api_key=KEY,
            retry_base=0.01,
        ) as served,
        served.client() as sdk,
    ):
        yield recorder, sdk, sdk.beta.environments.create(name="e").id


def named(kind: str, file_id: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "source": {"type": "file", "file_id": file_id}, **more}


class TestContent:
    @pytest.fixture
    def session_id(self, at_work: tuple[Recorder, Anthropic, str]) -> str:
        _, sdk, environment = at_work
        agent = sdk.beta.agents.create(name="a", model="claude-opus-5-5")
        return sdk.beta.sessions.create(agent=agent.id, environment_id=environment).id

    @pytest.fixture
    def say(
        self, at_work: tuple[Recorder, Anthropic, str], session_id: str
    ) -> Callable[..., list[dict[str, Any]]]:
        """Sends blocks; what the provider is then shown of the first message."""
        recorder, sdk, _ = at_work

        def send(*blocks: dict[str, Any]) -> list[dict[str, Any]]:
            turn(sdk, session_id, {"type": "user.message", "content": list(blocks)})
            message = recorder.bodies[-1]["messages"][0]
            return [
                {key: value for key, value in block.items() if key != "cache_control"}
                for block in message["content"]
            ]

        return send

    def test_the_model_is_shown_the_bytes(
        self, at_work: tuple[Recorder, Anthropic, str], say: Callable[..., Any], session_id: str
    ) -> None:
        _, sdk, _ = at_work
        image = sdk.files.upload(file=("a.png", PNG, "image/png"))
        pdf = sdk.files.upload(file=("a.pdf", b"%PDF-1.4", "application/pdf"))
        text = sdk.files.upload(file=("a.txt", "Grüße".encode(), "text/plain"))
        shown = say(
            {"type": "text", "text": "Look."},
            named("image", image.id),
            named("document", pdf.id, title="A paper"),
            named("document", text.id, context="from a friend"),
        )
        assert shown == [
            {"type": "text", "text": "Look."},
            {
                "type": "image",
                "source": {
                    "type": "base64",
                    "media_type": "image/png",
                    "data": base64.b64encode(PNG).decode(),
                },
            },
            {
                "type": "document",
                "title": "A paper",
                "source": {
                    "type": "base64",
                    "media_type": "application/pdf",
                    "data": base64.b64encode(b"%PDF-1.4").decode(),
                },
            },
            {
                "type": "document",
                "context": "from a friend",
                "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"},
            },
        ]
        # The log keeps the name, not the bytes.
        events = list(sdk.beta.sessions.events.list(session_id, types=["user.message"]))
        content: Any = events[0].content  # type: ignore[union-attr]
        assert content[1].source.file_id == image.id

    def test_a_file_that_is_deleted_later(
        self, at_work: tuple[Recorder, Anthropic, str], say: Callable[..., Any]
    ) -> None:
        _, sdk, _ = at_work
        image = sdk.files.upload(file=("a.png", PNG, "image/png"))
        assert say(named("image", image.id))[0]["type"] == "image"
        sdk.files.delete(image.id)
        assert say({"type": "text", "text": "And now?"})[0] == {
            "type": "text",
            "text": f"[The file {image.id} is not available any more.]",
        }

    def test_what_is_refused(
        self, at_work: tuple[Recorder, Anthropic, str], session_id: str
    ) -> None:
        _, sdk, environment = at_work
        image = sdk.files.upload(file=("a.png", PNG, "image/png"))
        archive = sdk.files.upload(file=("a.zip", b"PK", "application/zip"))
        absent = image.id[:-4] + "1111"
        before = list(sdk.beta.sessions.events.list(session_id))

        def problem(*events: Any) -> tuple[int, str]:
            with pytest.raises(anthropic.APIStatusError) as told:
                sdk.beta.sessions.events.send(session_id, events=list(events))
            return told.value.status_code, told.value.body["error"]["message"]  # type: ignore[index]

        def message(block: dict[str, Any]) -> dict[str, Any]:
            return {"type": "user.message", "content": [block]}

        assert problem(message(named("image", absent))) == (404, f"File `{absent}` not found.")
        assert problem(message(named("image", "nonsense"))) == (404, "File `nonsense` not found.")
        assert problem(said("x"), message(named("image", archive.id))) == (
            400,
            "events[1].content[0].source: a file of type application/zip cannot be shown as an "
            "image",
        )
        assert problem(message(named("document", image.id))) == (
            400,
            "events[0].content[0].source: a file of type image/png cannot be shown as a document",
        )
        assert list(sdk.beta.sessions.events.list(session_id)) == before
        agent = sdk.beta.agents.create(name="a", model="claude-opus-5-5")
        with pytest.raises(anthropic.NotFoundError, match="not found"):
            sdk.beta.sessions.create(
                agent=agent.id,
                environment_id=environment,
                initial_events=[message(named("image", absent))],  # type: ignore[list-item]
            )


def test_files_outlive_the_server(tmp_path: Path) -> None:
    with serve(tmp_path / "data") as served, served.client() as sdk:
        made = sdk.files.upload(file=("a.txt", b"kept"))
    with serve(tmp_path / "data") as served, served.client() as sdk:
        assert sdk.files.retrieve_metadata(made.id) == made


def test_in_a_bucket(tmp_path: Path) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        settings: dict[str, Any] = {
            "blobs_endpoint_url": f"http://{host}:{port}",
            "blobs_access_key": "me",
            "blobs_secret_key": "secret-1",
        }
        connect(
            endpoint_url=settings["blobs_endpoint_url"],
            region=None,
            access_key="me",
            secret_key="secret-1",
        ).create_bucket(Bucket="files")
        chosen = Settings(
            data_dir=tmp_path / "data",
            model="scripted",
            sandbox="scripted",
            sandbox_warm=0,
            blobs="s3",
            blobs_bucket="files",
            **settings,
        )
        with serve_app(with_outputs(create_app(chosen))) as served, served.client() as sdk:
            agent = sdk.beta.agents.create(name="a", model="claude-opus-5")
            environment = sdk.beta.environments.create(name="e")
            session = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
            with httpx.Client(base_url=served.url, headers=PLAIN, timeout=60) as plain:
                data = b"0123456789" * 1_000_000
                file_id = output(plain, session, "large.bin", data)
                assert sdk.files.download(file_id).read() == data
                part = plain.get(
                    f"/v1/files/{file_id}/content", headers={"range": "bytes=9000001-9000003"}
                )
                assert (part.status_code, part.content) == (206, b"123")
                kept = sdk.files.upload(file=("a.txt", b"x"))
                sdk.files.delete(file_id)
                assert [file.id for file in sdk.files.list()] == [kept.id]
        assert not (tmp_path / "data" / "blobs").exists()
    finally:
        server.stop()


def test_the_document_describes_files(plain: httpx.Client) -> None:
    paths = plain.get("/openapi.json").json()["paths"]
    upload = paths["/v1/files"]["post"]["requestBody"]["content"]
    assert list(upload) == ["multipart/form-data"]
    content = paths["/v1/files/{file_id}/content"]["get"]["responses"]
    assert {"200", "206", "416"} <= set(content)
    assert json.dumps(content["200"]["content"]).count("binary") == 1


def test_no_beta_is_needed_and_betas_are_checked(plain: httpx.Client) -> None:
    assert plain.get("/v1/files").status_code == 200
    assert plain.get("/v1/files", headers={"anthropic-beta": "nonsense"}).status_code == 400
    assert plain.get("/v1/files", headers=BETA).status_code == 200
