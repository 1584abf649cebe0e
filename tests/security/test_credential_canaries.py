"""Tokens of vaults are nowhere but with the servers that they are for.

A server process, real MCP servers that quote what they are given, and a search through all that
is left behind: the database's files, the log, every event, every byte of the stream.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from tests.support.mcp_servers import Door, mcp_server
from tests.support.running import BETA, ServerProcess, client_of

CANARIES = {
    name: f"canary-{name}-5f3c9e7a1b"
    for name in (
        "static",
        "access-old",
        "access-new",
        "refresh-old",
        "refresh-new",
        "client",
        "wrong",
        "variable",
    )
}
ALLOW = {"permission_policy": {"type": "always_allow"}}


def oauth(door: Door, access: str) -> dict[str, Any]:
    return {
        "type": "mcp_oauth",
        "access_token": access,
        "mcp_server_url": door.mcp,
        "refresh": {
            "token_endpoint": door.token_endpoint,
            "client_id": "me",
            "refresh_token": CANARIES["refresh-old"],
            "token_endpoint_auth": {
                "type": "client_secret_basic",
                "client_secret": CANARIES["client"],
            },
        },
    }


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_byte_of_a_credential_is_left_anywhere(  # noqa: PLR0915 one story
    tmp_path: Path, level: str
) -> None:
    data = tmp_path / "data"
    process = ServerProcess(data, FREEHOLD_SANDBOX="scripted", FREEHOLD_LOG_LEVEL=level)
    stream = bytearray()
    answers: list[str] = []
    with (
        mcp_server(Door(tokens={CANARIES["static"]}, echo=True)) as bearer,
        mcp_server(Door(tokens=set(), echo=True)) as renewing,
        mcp_server(Door(tokens=set(), echo=True)) as refusing,
        process,
    ):
        renewing.auth, renewing.client = "client_secret_basic", ("me", CANARIES["client"])
        renewing.refresh_tokens = {
            CANARIES["refresh-old"]: (CANARIES["access-new"], CANARIES["refresh-new"])
        }
        refusing.auth = "client_secret_basic"
        doors = {"bearer": bearer, "renewing": renewing, "refusing": refusing}
        sdk = client_of(process.url)
        http = httpx.Client(base_url=process.url, headers=BETA, timeout=30)
        vault = sdk.beta.vaults.create(display_name="canaries")
        for auth in (
            {
                "type": "static_bearer",
                "token": CANARIES["static"],
                "mcp_server_url": bearer.mcp,
            },
            oauth(renewing, CANARIES["access-old"]),
            oauth(refusing, CANARIES["wrong"]),
        ):
            answers.append(
                http.post(f"/v1/vaults/{vault.id}/credentials", json={"auth": auth}).text
            )
        variables = sdk.beta.vaults.create(display_name="variables")
        auth = {
            "type": "environment_variable",
            "secret_name": "TOKEN",
            "secret_value": CANARIES["variable"],
            "networking": {"type": "unrestricted"},
        }
        path = f"/v1/vaults/{variables.id}/credentials"
        answers.append(http.post(path, json={"auth": auth}).text)
        # A refused credential is not quoted either.
        answers.append(http.post(path, json={"auth": {**auth, "secret_value": 7}}).text)
        answers.append(http.post(path, json={"auth": {**auth, "bogus": "x"}}).text)
        for credential in sdk.beta.vaults.credentials.list(vault.id):
            if credential.auth.type == "mcp_oauth" and credential.auth.mcp_server_url == (
                refusing.mcp
            ):
                found = sdk.beta.vaults.credentials.mcp_oauth_validate(
                    credential.id, vault_id=vault.id
                )
                assert found.status == "invalid"
                answers.append(found.model_dump_json())

        agent = sdk.beta.agents.create(
            name="Canary",
            model="claude-opus-5",
            mcp_servers=[{"type": "url", "name": n, "url": d.mcp} for n, d in doors.items()],
            tools=[
                {"type": "mcp_toolset", "mcp_server_name": name, "default_config": ALLOW}  # type: ignore[typeddict-item]
                for name in doors
            ],
        )
        environment = sdk.beta.environments.create(name="plain")
        session = sdk.beta.sessions.create(
            agent=agent.id, environment_id=environment.id, vault_ids=[vault.id]
        )
        listening = threading.Event()

        def listen() -> None:
            with http.stream(
                "GET", f"/v1/sessions/{session.id}/events/stream", timeout=60
            ) as response:
                listening.set()
                for chunk in response.iter_raw():
                    stream.extend(chunk)
                    if b"session.status_idle" in stream:
                        return

        listener = threading.Thread(target=listen)
        listener.start()
        assert listening.wait(20)
        words = (
            "/tool mcp__bearer__whoami\n/tool mcp__renewing__whoami\n"
            '/tool mcp__refusing__add {"a": 1, "b": 1}'
        )
        sdk.beta.sessions.events.send(
            session.id,
            events=[{"type": "user.message", "content": [{"type": "text", "text": words}]}],
        )
        listener.join(60)
        answers.append(http.get(f"/v1/sessions/{session.id}/events").text)
        answers.append(http.get(f"/v1/sessions/{session.id}").text)
        http.close()

    # The run was one in which every token was used.
    assert f"Bearer {CANARIES['static']}" in bearer.seen
    assert f"Bearer {CANARIES['access-new']}" in renewing.seen
    assert f"Bearer {CANARIES['wrong']}" in refusing.seen
    events = answers[-2]
    assert "mcp_authentication_failed_error" in events
    assert events.count("[redacted]") >= 2  # whoami said so, and was masked

    files = [path for path in data.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    places = {
        **{str(path.relative_to(tmp_path)): path.read_bytes() for path in files},
        "log": process.log.read_bytes(),
        "stream": bytes(stream),
        "answers": "\n".join(answers).encode(),
    }
    assert b"session.status_idle" in places["stream"]
    for name, content in places.items():
        for canary in CANARIES.values():
            assert canary.encode() not in content, f"{canary} in {name}"
        assert b"5f3c9e7a1b" not in content, name
