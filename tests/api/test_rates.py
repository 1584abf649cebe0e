"""Rate limits on the wire: none unless they are set (spec 1.3, 1.7)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import anthropic
import httpx2 as httpx
import pytest

from freehold.core.rates import HOSTED
from tests.api.conftest import refused
from tests.support.running import BETA, Served, serve
from tests.support.workers import mint_key, served_database

AGENTS = "/v1/agents"
NAMES = [f"anthropic-ratelimit-requests-{name}" for name in ("limit", "remaining", "reset")]


@contextmanager
def client(served: Served, key: str = "test") -> Iterator[httpx.Client]:
    headers = {**BETA, "x-api-key": key}
    with httpx.Client(base_url=served.url, headers=headers, timeout=30) as found:
        yield found


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("limited") / "data"
    # Few enough for none to come back while a test runs, but for reading.
    values = {"rate_limits": "create=2,read=3", "rate_limits_per": "key"}
    with serve(folder, api_keys="one,two,three,four,five,maker", **values) as served:
        yield served


def test_none_by_default(http: httpx.Client) -> None:
    answer = http.get(AGENTS)
    assert not [name for name in answer.headers if "ratelimit" in name]


def test_the_last_one_and_one_past_it(limited: Served) -> None:
    with client(limited, "one") as http:
        for left in (1, 0):
            answer = http.post(AGENTS, json={"name": "a", "model": "m"})
            assert answer.status_code == 200
            assert [answer.headers[name] for name in NAMES[:2]] == ["2", str(left)]
        reset = datetime.strptime(answer.headers[NAMES[2]], "%Y-%m-%dT%H:%M:%S%z")
        assert 0 < (reset - datetime.now(UTC)).total_seconds() <= 61
        answer = http.post(AGENTS, json={"name": "a", "model": "m"})
        refused_429(answer, "2 requests per minute for creating and changing")
        assert [answer.headers[name] for name in NAMES[:2]] == ["2", "0"]
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert "x-should-retry" not in answer.headers
        # Another kind has its own.
        assert http.get(AGENTS).headers[NAMES[0]] == "3"
        # And so has another key.
    with client(limited, "two") as http:
        assert http.post(AGENTS, json={"name": "a", "model": "m"}).status_code == 200


def refused_429(answer: httpx.Response, limit: str) -> None:
    body = answer.json()
    assert answer.status_code == 429
    assert body == {
        "type": "error",
        "error": {
            "type": "rate_limit_error",
            "message": f"This request would exceed your API key's rate limit of {limit}.",
        },
        "request_id": answer.headers["request-id"],
    }


def test_refusals_count_and_have_the_headers_and_strangers_do_not(limited: Served) -> None:
    with client(limited, "three") as http:
        nothing = http.get("/v1/nothing")
        refused(nothing, 404, "Not found")
        assert nothing.headers[NAMES[1]] == "2"
        bad = http.post(AGENTS, json={})
        refused(bad, 400, "name: Field required")
        assert bad.headers[NAMES[1]] == "1"
    bare = httpx.get(limited.url + AGENTS)
    assert bare.status_code == 401
    assert NAMES[0] not in bare.headers
    assert httpx.get(limited.url + "/healthz").status_code == 200


def test_the_sdk_raises_its_class(limited: Served) -> None:
    with (
        anthropic.Anthropic(base_url=limited.url, api_key="four", max_retries=0) as sdk,
        pytest.raises(anthropic.RateLimitError) as raised,
    ):
        for _ in range(4):
            sdk.beta.agents.list()
    assert int(raised.value.response.headers["retry-after"]) >= 1


def test_a_stream_counts_once(limited: Served) -> None:
    with client(limited, "maker") as http:
        environment = http.post("/v1/environments", json={"name": "e"}).json()
        agent = http.post(AGENTS, json={"name": "a", "model": "m"}).json()
    with client(limited, "five") as http:
        body = {"agent": agent["id"], "environment_id": environment["id"]}
        session = http.post("/v1/sessions", json=body).json()
        with http.stream("GET", f"/v1/sessions/{session['id']}/events/stream") as stream:
            assert stream.status_code == 200
            assert stream.headers[NAMES[1]] == "2"
        assert http.get(AGENTS).headers[NAMES[1]] == "1"


def test_what_workers_send_is_not_counted(tmp_path: Path) -> None:
    with serve(tmp_path / "data", rate_limits="create=2,read=2") as served:
        with client(served) as http:
            body = {"name": "own", "config": {"type": "self_hosted"}}
            environment = http.post("/v1/environments", json=body).json()["id"]
        key, _ = mint_key(served_database(served), environment)
        worker = {"anthropic-beta": BETA["anthropic-beta"], "authorization": f"Bearer {key}"}
        for _ in range(5):
            path = f"{served.url}/v1/environments/{environment}/work/poll"
            answer = httpx.get(path, headers=worker)
            assert (answer.status_code, answer.json()) == (200, None)
            assert NAMES[0] not in answer.headers


def test_the_hosted_figures_for_everybody(tmp_path: Path) -> None:
    with serve(tmp_path / "data", rate_limits="hosted") as served:
        with client(served, "one") as http:
            assert http.get(AGENTS).headers[NAMES[0]] == str(HOSTED["read"]) == "1200"
            made = http.post(AGENTS, json={"name": "a", "model": "m"})
            assert made.headers[NAMES[0]] == str(HOSTED["create"]) == "300"
            assert http.get("/v1/files").headers[NAMES[0]] == str(HOSTED["files"]) == "500"
            seen = [http.get(AGENTS).headers[NAMES[1]] for _ in range(20)]
        with client(served, "two") as http:
            assert int(http.get(AGENTS).headers[NAMES[1]]) <= int(seen[0])
