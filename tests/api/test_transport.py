"""Keys, betas, envelopes and bodies: what holds for every route (spec 1)."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anthropic
import httpx2 as httpx
import pytest

from freehold.core import cursors
from freehold.core.cursors import Cursor
from freehold.core.ids import is_id
from tests.api.conftest import refused
from tests.support.running import BETA, Served, serve

AGENTS = "/v1/agents"
ABSENT_SESSION = "sesn_011CZkYpogX7uDKUyvBTophP"
MEMORY = {"path": "/a", "content": "x"}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("locked") / "data", api_keys="one,two") as served:
        yield served


class TestKeys:
    def test_none(self, shared: Served) -> None:
        answer = httpx.get(shared.url + AGENTS, headers={"anthropic-beta": BETA["anthropic-beta"]})
        refused(answer, 401, "x-api-key header is required")
        assert answer.headers["x-should-retry"] == "false"

    @pytest.mark.parametrize("headers", [{"x-api-key": ""}, {"authorization": "Bearer"}])
    def test_empty(self, http: httpx.Client, headers: dict[str, str]) -> None:
        with httpx.Client(base_url=http.base_url) as bare:
            beta = {"anthropic-beta": BETA["anthropic-beta"]}
            refused(bare.get(AGENTS, headers=beta | headers), 401, "x-api-key header is required")

    @pytest.mark.parametrize(
        "headers", [{"x-api-key": "whatever"}, {"authorization": "Bearer whatever"}]
    )
    def test_any_is_taken_where_none_is_configured(
        self, shared: Served, headers: dict[str, str]
    ) -> None:
        beta = {"anthropic-beta": BETA["anthropic-beta"]}
        assert httpx.get(shared.url + AGENTS, headers=beta | headers).status_code == 200

    @pytest.mark.parametrize("key", ["one", "two"])
    def test_configured_keys_open(self, locked: Served, key: str) -> None:
        beta = {"anthropic-beta": BETA["anthropic-beta"]}
        for headers in ({"x-api-key": key}, {"authorization": f"bearer {key}"}):
            assert httpx.get(locked.url + AGENTS, headers=beta | headers).status_code == 200

    def test_other_keys_do_not(self, locked: Served) -> None:
        beta = {"anthropic-beta": BETA["anthropic-beta"]}
        answer = httpx.get(locked.url + AGENTS, headers=beta | {"authorization": "Bearer onee"})
        refused(answer, 401, "Invalid bearer token")
        assert answer.headers["x-should-retry"] == "false"
        answer = httpx.get(locked.url + AGENTS, headers=beta | {"x-api-key": "on"})
        refused(answer, 401, "invalid x-api-key")

    def test_the_sdk_raises_its_class(self, locked: Served) -> None:
        with (
            anthropic.Anthropic(base_url=locked.url, api_key="wrong") as client,
            pytest.raises(anthropic.AuthenticationError, match="Invalid bearer token"),
        ):
            client.beta.agents.list()


class TestBetas:
    @pytest.mark.parametrize("path", [AGENTS, "/v1/environments", f"/v1/sessions/{ABSENT_SESSION}"])
    def test_an_endpoint_is_absent_without_its_beta(self, shared: Served, path: str) -> None:
        answer = httpx.get(shared.url + path, headers={"x-api-key": "test"})
        refused(answer, 404, "Not found")
        assert answer.headers["x-should-retry"] == "false"

    def test_joined_and_repeated_headers(self, shared: Served) -> None:
        for betas in (
            [("anthropic-beta", "files-api-2025-04-14, managed-agents-2026-04-01")],
            [
                ("anthropic-beta", "files-api-2025-04-14"),
                ("anthropic-beta", "managed-agents-2026-04-01"),
            ],
        ):
            answer = httpx.get(shared.url + AGENTS, headers=[("x-api-key", "k"), *betas])
            assert answer.status_code == 200

    def test_unknown_values(self, http: httpx.Client) -> None:
        beta = "managed-agents-2026-04-01,nonsense-2026-01-01"
        error = refused_starting(
            http.get(AGENTS, headers={"anthropic-beta": beta}),
            400,
            "Unexpected value(s) `nonsense-2026-01-01` for the `anthropic-beta` header.",
        )
        assert error["type"] == "invalid_request_error"

    def test_every_beta_the_sdk_knows_is_known(self, http: httpx.Client) -> None:
        from typing import get_args

        from anthropic.types import AnthropicBetaParam

        names = [
            value
            for part in get_args(AnthropicBetaParam)
            for value in get_args(part)
            if isinstance(value, str)
        ]
        assert len(names) > 20
        answer = http.get(
            AGENTS, headers={"anthropic-beta": ",".join([*names, BETA["anthropic-beta"]])}
        )
        assert answer.status_code == 200, answer.text


def refused_starting(response: httpx.Response, status: int, start: str) -> dict[str, Any]:
    message = response.json()["error"]["message"]
    assert message.startswith(start)
    return refused(response, status, message)


def has_identity(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    for name in ("request-id", "anthropic-organization-id"):
        assert len(answer.headers.get_list(name)) == 1
    assert is_id("req", answer.headers["request-id"])
    uuid.UUID(answer.headers["anthropic-organization-id"])


class TestHeaders:
    def test_on_success_and_on_refusal(self, http: httpx.Client) -> None:
        for path in (AGENTS, "/v1/none", "/none"):
            answer = http.get(path)
            assert is_id("req", answer.headers["request-id"])
            uuid.UUID(answer.headers["anthropic-organization-id"])

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", AGENTS, 200),
            ("GET", "/healthz", 200),
            ("GET", "/openapi.json", 200),
            ("GET", "/v1/models", 200),
            ("POST", AGENTS, 400),
            ("GET", f"/v1/sessions/{ABSENT_SESSION}", 404),
            ("GET", f"/v1/sessions/{ABSENT_SESSION}/events/stream", 404),
            ("GET", "/v1/none", 404),
            ("GET", "/none", 404),
            ("PUT", AGENTS, 405),
            ("DELETE", "/none", 404),
        ],
    )
    def test_once_on_every_answer(
        self, http: httpx.Client, method: str, path: str, status: int
    ) -> None:
        has_identity(http.request(method, path), status)

    def test_on_those_who_may_not_come_in(self, shared: Served, locked: Served) -> None:
        has_identity(httpx.get(shared.url + AGENTS), 401)
        has_identity(httpx.get(locked.url + AGENTS, headers=BETA), 401)

    def test_on_bodies_that_are_too_large(self, http: httpx.Client) -> None:
        has_identity(http.post(AGENTS, content=b"x" * (TestSize.LIMIT + 1)), 413)

    def test_on_streams(self, http: httpx.Client) -> None:
        environment = http.post("/v1/environments", json={"name": "e"}).json()
        agent = http.post(AGENTS, json={"name": "a", "model": "m"}).json()
        body = {"agent": agent["id"], "environment_id": environment["id"]}
        session = http.post("/v1/sessions", json=body).json()
        with http.stream("GET", f"/v1/sessions/{session['id']}/events/stream") as stream:
            has_identity(stream, 200)
            assert is_id("wrkspc", stream.headers["anthropic-workspace-id"])

    def test_on_bytes(self, http: httpx.Client) -> None:
        skill = http.get("/v1/skills/xlsx").json()
        versions = http.get(f"/v1/skills/{skill['id']}/versions").json()["data"]
        content = f"/v1/skills/xlsx/versions/{versions[0]['id']}/content"
        has_identity(http.get(content), 200)

    def test_ids_of_requests_differ_and_the_organization_does_not(self, http: httpx.Client) -> None:
        answers = [http.get(AGENTS) for _ in range(3)]
        assert len({answer.headers["request-id"] for answer in answers}) == 3
        assert len({answer.headers["anthropic-organization-id"] for answer in answers}) == 1

    def test_workspace(self, http: httpx.Client) -> None:
        mine = http.get(AGENTS).headers["anthropic-workspace-id"]
        assert is_id("wrkspc", mine)
        assert http.get(AGENTS, headers={"anthropic-workspace-id": mine}).status_code == 200
        refused(
            http.get(AGENTS, headers={"anthropic-workspace-id": "mine"}),
            400,
            "anthropic-workspace-id header must be a valid workspace ID.",
        )
        other = "wrkspc_011CZkZaBF1tNoB5wlCeusgy".replace("l", "m")
        refused(
            http.get(AGENTS, headers={"anthropic-workspace-id": other}),
            404,
            f"Workspace `{other}` not found.",
        )


class TestRetryHints:
    """``x-should-retry: false`` where it was recorded, and not where it was seen to be missing."""

    @pytest.fixture
    def made(self, http: httpx.Client) -> dict[str, str]:
        store = http.post("/v1/memory_stores", json={"name": "s"}).json()["id"]
        memory = http.post(f"/v1/memory_stores/{store}/memories", json=MEMORY).json()["id"]
        cloud = http.post("/v1/environments", json={"name": "e"}).json()["id"]
        files = {"file": ("a.txt", b"a", "text/plain")}
        file = http.post("/v1/files", files=files).json()["id"]
        agent = http.post(AGENTS, json={"name": "a", "model": "m"}).json()["id"]
        return {"store": store, "memory": memory, "cloud": cloud, "file": file, "agent": agent}

    @pytest.mark.parametrize(
        ("request_line", "body", "status"),
        [
            ("GET /v1/none", None, 404),
            ("GET /v1/skills/skill_011CZkYpogX7uDKUyvBTophP", None, 404),
            ("GET /v1/skills/none", None, 404),
            ("DELETE /v1/skills/xlsx", None, 400),
            ("POST /v1/environments", {}, 400),
            ("POST /v1/environments", {"name": "x", "bogus": 1}, 400),
            ("DELETE /v1/environments/env_011CZkYpogX7uDKUyvBTophP", None, 404),
            ("POST /v1/environments/env_011CZkYpogX7uDKUyvBTophP/archive", None, 404),
            ("GET /v1/environments/{cloud}/work/poll", None, 400),
            ("GET /v1/environments/{cloud}/work", None, 404),
            ("GET /v1/files/file_011CZkYpogX7uDKUyvBTophP", None, 404),
            ("GET /v1/files/{file}/content", None, 400),
            ("POST /v1/memory_stores/{store}/memories", {"path": "/a", "content": "x"}, 409),
            (
                "POST /v1/memory_stores/{store}/memories/{memory}",
                {
                    "content": "y",
                    "precondition": {"type": "content_sha256", "content_sha256": "0" * 64},
                },
                409,
            ),
        ],
    )
    def test_told_not_to(
        self,
        http: httpx.Client,
        made: dict[str, str],
        request_line: str,
        body: Any,
        status: int,
    ) -> None:
        answer = http.request(*request_line.format(**made).split(), json=body)
        assert answer.status_code == status, answer.text
        assert answer.headers["x-should-retry"] == "false"

    def test_what_succeeds_has_no_hint(self, http: httpx.Client) -> None:
        assert "x-should-retry" not in http.get(AGENTS).headers


class TestPathsAndMethods:
    def test_agents_cannot_be_deleted(self, http: httpx.Client) -> None:
        refused(http.delete(f"{AGENTS}/agent_x"), 404, "not found")

    def test_unknown_paths_are_told_as_recorded(self, http: httpx.Client) -> None:
        refused(http.get("/v1/deployments/x/y"), 404, "Not Found")
        refused(http.get("/v1/sessions/x/y"), 404, "Not found")

    @pytest.mark.parametrize(
        "path",
        ["/", "/v1", "/v1/", "/v1/nothing", "/v1/agents/", "/v1/tunnels"],
    )
    def test_unknown_paths(self, http: httpx.Client, path: str) -> None:
        answer = http.get(path)
        refused(answer, 404, "Not found")
        assert answer.headers["x-should-retry"] == "false"

    @pytest.mark.parametrize(
        ("method", "path", "allow"),
        [
            ("PUT", AGENTS, "GET, POST"),
            ("PATCH", f"{AGENTS}/agent_x", "GET, POST"),
            ("GET", f"{AGENTS}/agent_x/archive", "POST"),
            ("OPTIONS", f"/v1/sessions/{ABSENT_SESSION}", "DELETE, GET, POST"),
            ("HEAD", AGENTS, "GET, POST"),
        ],
    )
    def test_wrong_methods(self, http: httpx.Client, method: str, path: str, allow: str) -> None:
        answer = http.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == allow
        if method != "HEAD":
            refused(answer, 405, "Method Not Allowed")

    @pytest.mark.parametrize("path", ["/healthz", "/readyz"])
    def test_health_needs_no_key(self, shared: Served, path: str) -> None:
        answer = httpx.get(shared.url + path)
        assert answer.status_code == 200
        assert answer.json()["status"] == ("ok" if path == "/healthz" else "ready")
        assert httpx.head(shared.url + path).status_code == 200

    def test_readiness_names_what_it_looked_at(self, shared: Served) -> None:
        checks = httpx.get(shared.url + "/readyz").json()["checks"]
        assert {"database", "sandbox", "model"} <= {check["name"] for check in checks}


class TestBodies:
    """Refusals of what is not JSON that we take; the route behind them does not matter."""

    def send(self, http: httpx.Client, body: bytes, **headers: str) -> httpx.Response:
        return http.post(
            AGENTS, content=body, headers={"content-type": "application/json", **headers}
        )

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b"", "the body is empty"),
            (b"  \n", "the body is empty"),
            (b"[]", "must be an object"),
            (b"null", "must be an object"),
            (b'"x"', "must be an object"),
            (b'{"name": NaN}', "NaN is not a JSON number"),
            (b'{"name": -Infinity}', "-Infinity is not a JSON number"),
            (b'{"name": 1e999}', "a number is out of range"),
            (b'{"name": 9223372036854775808}', "a number is out of range"),
            (b'{"name": ' + b"9" * 5000 + b"}", "a number is out of range"),
            (b'{"name": "a", "name": "b"}', 'duplicate field "name"'),
            (b'{"name": "\\u0000"}', "NUL characters are not allowed"),
            (b'{"a\\u0000": 1}', "NUL characters are not allowed"),
            (b'{"name": "\\ud800"}', "lone surrogates are not allowed"),
            (b'{"name": "\xff"}', "body is not valid UTF-8"),
            (b"[" * 65 + b"]" * 65, "nested deeper than 64 levels"),
            (b"[" * 100_000 + b"]" * 100_000, "nested deeper than 64 levels"),
            (b'{"a": ' * 90_000, "nested deeper than 64 levels"),
        ],
    )
    def test_refused(self, http: httpx.Client, body: bytes, reason: str) -> None:
        refused(self.send(http, body), 400, f"Failed to parse request body: {reason}")

    def test_broken_json(self, http: httpx.Client) -> None:
        refused_starting(
            self.send(http, b'{"name": '), 400, "Failed to parse request body: invalid JSON: "
        )

    def test_unknown_fields(self, http: httpx.Client) -> None:
        refused(
            http.post(AGENTS, json={"bogus": 1}),
            400,
            'Failed to parse request body: unknown field "bogus"',
        )

    @pytest.mark.parametrize("media_type", ["text/plain", "multipart/form-data", ""])
    def test_other_media_types(self, http: httpx.Client, media_type: str) -> None:
        refused(
            self.send(http, b"{}", **{"content-type": media_type}),
            400,
            "Content-Type must be application/json",
        )

    def test_other_charsets(self, http: httpx.Client) -> None:
        refused(
            self.send(http, b"{}", **{"content-type": "application/json; charset=latin-1"}),
            400,
            "Content-Type charset must be utf-8",
            details={"error_code": "unsupported_charset"},
        )
        answer = self.send(http, b"{}", **{"content-type": "application/json; charset=UTF-8"})
        refused(answer, 400, "name: Field required")

    def test_compressed(self, http: httpx.Client) -> None:
        refused(
            self.send(http, b"{}", **{"content-encoding": "gzip"}),
            400,
            "Content-Encoding is not supported on this endpoint; send the body uncompressed",
            details={"error_code": "request_body_encoding_unsupported"},
        )

    @pytest.mark.parametrize("body", [b"", b"{}", b" "])
    def test_actions_take_no_body_or_an_empty_one(self, http: httpx.Client, body: bytes) -> None:
        made = http.post(AGENTS, json={"name": "a", "model": "m"}).json()
        answer = http.post(
            f"{AGENTS}/{made['id']}/archive",
            content=body,
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 200
        refused(
            http.post(f"{AGENTS}/{made['id']}/archive", json={"x": 1}),
            400,
            'Failed to parse request body: unknown field "x"',
        )


class TestSize:
    LIMIT = 32 * 1024 * 1024
    REFUSAL = "Request body exceeds the maximum of 32 MB"

    def body(self, size: int) -> bytes:
        start = b'{"bogus": "'
        return start + b"x" * (size - len(start) - 2) + b'"}'

    def test_at_the_limit(self, http: httpx.Client) -> None:
        answer = http.post(
            AGENTS, content=self.body(self.LIMIT), headers={"content-type": "application/json"}
        )
        refused(answer, 400, 'Failed to parse request body: unknown field "bogus"')

    def test_one_past(self, http: httpx.Client) -> None:
        answer = http.post(
            AGENTS, content=self.body(self.LIMIT + 1), headers={"content-type": "application/json"}
        )
        refused(answer, 413, self.REFUSAL)
        assert answer.headers["x-should-retry"] == "false"

    def test_one_past_without_saying_so(self, http: httpx.Client) -> None:
        def chunks() -> Iterator[bytes]:
            body = self.body(self.LIMIT + 1)
            for start in range(0, len(body), 1 << 20):
                yield body[start : start + (1 << 20)]

        answer = http.post(AGENTS, content=chunks(), headers={"content-type": "application/json"})
        refused(answer, 413, self.REFUSAL)

    def test_a_client_that_hangs_up_harms_nobody(self, shared: Served, http: httpx.Client) -> None:
        place = urlsplit(shared.url)
        for _ in range(3):
            with socket.create_connection((place.hostname, place.port)) as raw:  # type: ignore[arg-type]
                raw.sendall(
                    b"POST /v1/agents HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\n"
                    b"anthropic-beta: managed-agents-2026-04-01\r\n"
                    b"content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
                )
        assert http.get(AGENTS).status_code == 200


class TestQueries:
    @pytest.mark.parametrize("value", ["0", "101", "-1", "x", "1.5", " 1", "1_0", "", "9" * 400])
    def test_limit(self, http: httpx.Client, value: str) -> None:
        refused(
            http.get(AGENTS, params={"limit": value}),
            400,
            "limit: value must be greater than or equal to 1 and less than or equal to 100",
        )

    @pytest.mark.parametrize("value", ["1", "100"])
    def test_limit_at_its_ends(self, http: httpx.Client, value: str) -> None:
        assert http.get(AGENTS, params={"limit": value}).status_code == 200

    def test_booleans(self, http: httpx.Client) -> None:
        for value in ("true", "false"):
            assert http.get(AGENTS, params={"include_archived": value}).status_code == 200
        for value in ("1", "yes", "True", ""):
            refused(
                http.get(AGENTS, params={"include_archived": value}),
                400,
                "include_archived: must be true or false",
            )

    @pytest.mark.parametrize(
        "value", ["yesterday", "2026-03-15T10:00:00", "0001-01-01T00:00:00+14:00", "", "5"]
    )
    def test_times(self, http: httpx.Client, value: str) -> None:
        refused(
            http.get(AGENTS, params={"created_at[gte]": value}),
            400,
            "created_at[gte]: must be an RFC 3339 time such as 2026-03-15T10:00:00Z",
        )

    @pytest.mark.parametrize(
        "value", ["page_", "page_AAAA", "nonsense", "page_\u00e9", "page_" + "A" * 2000, "\x00"]
    )
    def test_cursors(self, http: httpx.Client, value: str) -> None:
        refused(
            http.get(AGENTS, params={"page": value}), 400, "page: invalid or expired page cursor"
        )

    @pytest.mark.parametrize("key", [(), (1,), ("a", 1), (2**62, "agent_x"), (1, "a", 2)])
    def test_forged_cursors(self, http: httpx.Client, key: tuple[Any, ...]) -> None:
        """The check in a cursor is no secret; what it says must still make sense."""
        forged = cursors.encode(Cursor("agents", "desc", "next", key))
        refused(
            http.get(AGENTS, params={"page": forged}), 400, "page: invalid or expired page cursor"
        )

    def test_unknown_parameters_are_ignored(self, http: httpx.Client) -> None:
        assert http.get(AGENTS, params={"beta": "true", "whatever": "1"}).status_code == 200


def test_an_unexpected_error_tells_nothing(tmp_path: Path) -> None:
    with serve(tmp_path / "data") as served:
        services = served.app.state.services

        class Broken:
            def read(self) -> Any:
                raise RuntimeError("the secret is hunter2")

        object.__setattr__(services, "database", Broken())
        answer = httpx.get(served.url + AGENTS, headers=BETA)
        body = answer.json()
        has_identity(answer, 500)
        assert body["error"] == {"type": "api_error", "message": "Internal server error"}
        assert body["request_id"] == answer.headers["request-id"]
        assert "hunter2" not in answer.text
        health = httpx.get(served.url + "/readyz")
        has_identity(health, 503)
        assert {"name": "database", "status": "error"} in health.json()["checks"]
        assert "hunter2" not in health.text
