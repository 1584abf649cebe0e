"""``Idempotency-Key``: what is sent again is not done again."""

from __future__ import annotations

import ast
import io
import itertools
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic

import freehold.api
from freehold.api.idempotency import HEADER
from tests.api.conftest import refused, said
from tests.support.running import BETA, Served, serve

AGENT = {"name": "once", "model": "claude-opus-5"}
_number = itertools.count(1)


def fresh() -> str:
    return f"key-{next(_number)}"


def post(http: httpx.Client, path: str, key: str, **options: Any) -> httpx.Response:
    return http.post(path, headers={HEADER: key}, **options)


def replayed(answer: httpx.Response) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


def test_the_first_answer_comes_again(http: httpx.Client, sdk: Anthropic) -> None:
    key = fresh()
    first = post(http, "/v1/agents", key, json=AGENT)
    again = post(http, "/v1/agents", key, json=AGENT)
    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["request-id"] != first.headers["request-id"]
    assert (replayed(first), replayed(again)) == (False, True)
    id_ = first.json()["id"]
    # What happened to it since does not matter.
    sdk.beta.agents.update(id_, version=1, name="other")
    assert post(http, "/v1/agents", key, json=AGENT).json()["name"] == "once"
    assert [agent.id for agent in sdk.beta.agents.list()].count(id_) == 1


def test_with_the_sdk(sdk: Anthropic) -> None:
    headers = {"Idempotency-Key": fresh()}
    made = [sdk.beta.vaults.create(display_name="once", extra_headers=headers).id for _ in range(3)]
    assert len(set(made)) == 1


def test_another_request_under_the_key_is_refused(http: httpx.Client) -> None:
    key = fresh()
    post(http, "/v1/agents", key, json=AGENT)
    text = (
        f"Idempotency-Key `{key}` was used before with another request; use a new one for each "
        "request, and the same only to repeat it."
    )
    refused(post(http, "/v1/agents", key, json={**AGENT, "name": "two"}), 400, text)
    refused(post(http, "/v1/agents?x=1", key, json=AGENT), 400, text)
    refused(post(http, "/v1/vaults", key, json=AGENT), 400, text)
    beta = BETA["anthropic-beta"] + ",files-api-2025-04-14"
    other = http.post("/v1/agents", json=AGENT, headers={HEADER: key, "anthropic-beta": beta})
    refused(other, 400, text)


def test_a_refusal_is_not_kept(http: httpx.Client) -> None:
    key = fresh()
    assert post(http, "/v1/agents", key, json={"name": ""}).status_code == 400
    answer = post(http, "/v1/agents", key, json=AGENT)
    assert (answer.status_code, replayed(answer)) == (200, False)


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "käse"])
def test_what_is_no_key(http: httpx.Client, key: str) -> None:
    answer = http.post("/v1/agents", json=AGENT, headers={HEADER: key.encode("latin-1")})
    refused(answer, 400, "Idempotency-Key must be one value of 1 to 255 visible ASCII characters")


def test_the_longest_key(http: httpx.Client) -> None:
    key = "~" * 255
    first = post(http, "/v1/vaults", key, json={"display_name": "x"})
    assert post(http, "/v1/vaults", key, json={"display_name": "x"}).json() == first.json()


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_requests_to_models_have_none(http: httpx.Client, path: str) -> None:
    answer = post(http, path, fresh(), json={"model": "claude-opus-5"})
    assert answer.status_code == 400
    assert "not supported on /v1/messages" in answer.json()["error"]["message"]


def test_reading_does_not_care(http: httpx.Client) -> None:
    assert http.get("/v1/agents", headers={HEADER: "x"}).status_code == 200


def test_those_that_come_meanwhile_are_given_the_first_answer(
    http: httpx.Client, sdk: Anthropic
) -> None:
    for round_ in range(5):
        key, name = fresh(), f"together {round_}"

        def send(_: int, key: str = key, name: str = name) -> httpx.Response:
            return post(http, "/v1/vaults", key, json={"display_name": name})

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(send, range(8)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert sum(replayed(answer) for answer in answers) == 7
        assert [vault.display_name for vault in sdk.beta.vaults.list()].count(name) == 1


def test_messages_are_sent_once(http: httpx.Client, sdk: Anthropic, session: Any) -> None:
    key, body = fresh(), {"events": [said("only once")]}
    path = f"/v1/sessions/{session.id}/events"
    answers = [post(http, path, key, json=body).json() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    sent = [e for e in sdk.beta.sessions.events.list(session.id) if e.type == "user.message"]
    assert len(sent) == 1


def test_actions_and_uploads(http: httpx.Client, sdk: Anthropic) -> None:
    """A form has another boundary each time it is sent; its parts count."""
    key = fresh()

    def upload(content: bytes, boundary: str, name: str = "a.txt") -> httpx.Response:
        head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
        kind = "Content-Type: text/plain\r\n\r\n"
        body = f"--{boundary}\r\n{head}{kind}".encode() + content
        body += f"\r\n--{boundary}--\r\n".encode()
        headers = {HEADER: key, "content-type": f"multipart/form-data; boundary={boundary}"}
        return http.post("/v1/files", content=body, headers=headers)

    content = b"x" * 300_000
    first = upload(content, "one")
    again = upload(content, "another-boundary")
    assert first.status_code == 200, first.text
    assert again.content == first.content
    assert replayed(again)
    assert upload(content + b"y", "one").status_code == 400
    assert upload(content, "one", "b.txt").status_code == 400

    vault = sdk.beta.vaults.create(display_name="x")
    key = fresh()
    archived = post(http, f"/v1/vaults/{vault.id}/archive", key)
    assert post(http, f"/v1/vaults/{vault.id}/archive", key).json() == archived.json()


def test_skills(sdk: Anthropic) -> None:
    head = b"---\nname: reports\ndescription: Writes reports.\n---\nDo it.\n"
    made = {
        sdk.beta.skills.create(
            files=[("reports/SKILL.md", io.BytesIO(head))],
            extra_headers={"Idempotency-Key": "one skill"[:3]},
        ).id
        for _ in range(2)
    }
    assert len(made) == 1


def test_what_has_no_change_of_its_own_is_kept_too(http: httpx.Client, sdk: Anthropic) -> None:
    vault = sdk.beta.vaults.create(display_name="x")
    credential = sdk.beta.vaults.credentials.create(
        vault.id,
        auth={
            "type": "mcp_oauth",
            "access_token": "t",
            "mcp_server_url": "https://mcp.invalid/x",
        },
    )
    path = f"/v1/vaults/{vault.id}/credentials/{credential.id}/mcp_oauth_validate"
    key = fresh()
    first = post(http, path, key)
    assert first.status_code == 200, first.text
    again = post(http, path, key)
    assert again.content == first.content
    assert replayed(again)


def _database(served: Served) -> Path:
    folder: Path = served.app.state.services.settings.data_dir
    return folder / "freehold.db"


def test_for_a_day(shared: Served, http: httpx.Client) -> None:
    key = fresh()
    first = post(http, "/v1/vaults", key, json={"display_name": "x"}).json()

    def age(seconds: float) -> None:
        with sqlite3.connect(_database(shared)) as db:
            db.execute(
                "UPDATE idempotency_keys SET created_at = ? WHERE key = ?",
                (int((time.time() - seconds) * 1e6), key),
            )

    age(86_400 - 60)
    assert post(http, "/v1/vaults", key, json={"display_name": "x"}).json() == first
    age(86_400 + 1)
    second = post(http, "/v1/vaults", key, json={"display_name": "y"})
    assert second.status_code == 200
    assert second.json()["id"] != first["id"]


def test_answers_are_sealed(shared: Served, http: httpx.Client) -> None:
    key = fresh()
    post(http, "/v1/vaults", key, json={"display_name": "a name to look for"})
    with sqlite3.connect(_database(shared)) as db:
        rows = db.execute("SELECT * FROM idempotency_keys WHERE key = ?", (key,)).fetchall()
    assert len(rows) == 1
    assert rows[0][3].startswith("v1.")


def test_an_answer_that_nobody_read_outlives_the_server(tmp_path: Path) -> None:
    """The client hangs up as soon as it has sent; the server is started anew."""
    body = b'{"name":"lost","model":"claude-opus-5"}'
    request = (
        b"POST /v1/agents HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nidempotency-key: lost\r\n"
        + f"anthropic-beta: {BETA['anthropic-beta']}\r\n".encode()
        + f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )

    def agents(served: Served) -> list[str]:
        return [agent.id for agent in served.client().beta.agents.list()]

    with serve(tmp_path / "data") as served:
        place = urlsplit(served.url)
        with socket.create_connection((str(place.hostname), place.port)) as connection:
            connection.sendall(request)
            deadline = time.monotonic() + 60
            while not agents(served) and time.monotonic() < deadline:
                time.sleep(0.02)
    with serve(tmp_path / "data") as served:
        headers = {**BETA, HEADER: "lost", "content-type": "application/json"}
        answer = httpx.post(served.url + "/v1/agents", content=body, headers=headers)
        assert replayed(answer)
        assert agents(served) == [answer.json()["id"]]


def test_two_servers_on_one_database_do_it_once(tmp_path: Path) -> None:
    with serve(tmp_path / "data") as one, serve(tmp_path / "data") as two:
        for round_ in range(5):
            barrier = threading.Barrier(2)

            def send(served: Served, round_: int = round_, barrier: Any = barrier) -> Any:
                barrier.wait()
                return httpx.post(
                    served.url + "/v1/vaults",
                    json={"display_name": f"v{round_}"},
                    headers={**BETA, HEADER: f"round-{round_}"},
                    timeout=60,
                )

            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(send, (one, two)))
            assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
            assert answers[0].json() == answers[1].json()
        assert len(list(one.client().beta.vaults.list())) == 5


def test_workspaces_do_not_share_keys(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from freehold.cli.program import program

    folder = tmp_path / "data"
    made = []
    for name in ("one", "two"):
        arguments = ["keys", "create", "-q", "--workspace", name, "--data-dir", str(folder)]
        made.append(CliRunner().invoke(program, arguments).stdout.strip())
    with serve(folder) as served:
        ids = []
        for api_key in made:
            with Anthropic(base_url=served.url, api_key=api_key, max_retries=0) as client:
                vault = client.beta.vaults.create(
                    display_name="x", extra_headers={"Idempotency-Key": "same"}
                )
                ids.append(vault.id)
                assert [row.id for row in client.beta.vaults.list()] == [vault.id]
        assert ids[0] != ids[1]


NOT_WITH_THE_CHANGE = {
    "create_message": "refused",
    "count_tokens": "refused",
    "archive_thread": "never succeeds",
    "validate_credential": "changes nothing of its own; kept after it",
    "reveal_token": "changes nothing",
    "create_enrollment_url": "refused",
    "create_action_url": "refused",
}


def test_every_post_keeps_its_answer_with_its_change() -> None:
    """Else a server killed in between would do it twice."""
    folder = Path(freehold.api.__file__).parent
    posts, without = 0, set()
    for path in folder.glob("*/routes.py"):
        module = ast.parse(path.read_text())
        keeping = {
            node.name
            for node in ast.walk(module)
            if isinstance(node, ast.AsyncFunctionDef)
            for block in ast.walk(node)
            if isinstance(block, ast.AsyncWith)
            and "database.write" in ast.unparse(block.items[0].context_expr)
            and any(_calls(part, "kept") for part in ast.walk(block))
        }
        for node in module.body:
            if not isinstance(node, ast.AsyncFunctionDef):
                continue
            if any("router.post" in ast.unparse(mark) for mark in node.decorator_list):
                posts += 1
                text = ast.unparse(node)
                by_method = "finish" in keeping and "form.finish" in text
                # Keeps it in the transaction of the run.
                handed_in = "starter.manual" in text and any(
                    _calls(part, "kept") for part in ast.walk(node)
                )
                if node.name not in keeping and not by_method and not handed_in:
                    without.add(node.name)
    assert posts > 30
    assert without == set(NOT_WITH_THE_CHANGE)


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def test_a_key_that_is_gone_says_so(tmp_path: Path) -> None:
    """The answer was sealed with a key that nobody has any more."""
    with serve(tmp_path / "data") as served:
        served.client().beta.vaults.create(display_name="x", extra_headers={"Idempotency-Key": "k"})
    (tmp_path / "data" / "secret.key").unlink()
    with serve(tmp_path / "data") as served, pytest.raises(anthropic.ConflictError) as raised:
        served.client().beta.vaults.create(display_name="x", extra_headers={"Idempotency-Key": "k"})
    assert "was carried out" in str(raised.value)
