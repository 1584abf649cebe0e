"""Secrets are nowhere but with those whom they are for.

A server process that is given a canary for every secret it can have, real servers behind it that
quote what they are given, and a search through all that a run leaves behind: the database's
files, the log, every event, every byte of the stream, every answer, the sandbox.
"""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError
from tests.docker_gate import Hosts
from tests.support.canaries import MARK, METHODS, OWN, TOKENS, Run, canary, search
from tests.support.mcp_servers import Door, mcp_server

SPY = (
    "env; cat /proc/self/environ /proc/1/environ /proc/*/environ /proc/*/cmdline 2>&1; "
    "cat /etc/passwd; git config --list; ls -laR /workspace /tmp /mnt /run 2>/dev/null"
)


def oauth(door: Door, method: str, access: str, refresh: str, secret: str | None) -> dict[str, Any]:
    auth = {"type": method, **({"client_secret": secret} if secret else {})}
    return {
        "type": "mcp_oauth",
        "access_token": access,
        "mcp_server_url": door.mcp,
        "refresh": {
            "token_endpoint": door.token_endpoint,
            "client_id": "me",
            "refresh_token": refresh,
            "token_endpoint_auth": auth,
        },
    }


def renewing(method: Any) -> Door:
    """A server whose token endpoint wants this kind of authentication."""
    door = Door(tokens=set(), echo=True, auth=method)
    door.client = ("me", TOKENS.get(f"secret-{method}"))
    door.refresh_tokens = {
        TOKENS[f"refresh-{method}"]: (TOKENS[f"new-{method}"], TOKENS[f"next-{method}"])
    }
    return door


def variable(value: Any) -> dict[str, Any]:
    return {
        "type": "environment_variable",
        "secret_name": "TOKEN",
        "secret_value": value,
        "networking": {"type": "unrestricted"},
    }


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_byte_of_a_vaults_secret_is_left_anywhere(tmp_path: Path, level: str) -> None:
    run = Run(tmp_path, level, "scripted")
    with contextlib.ExitStack() as stack:
        bearer = stack.enter_context(mcp_server(Door(tokens={TOKENS["static"]}, echo=True)))
        doors = {m: stack.enter_context(mcp_server(renewing(m))) for m in METHODS}
        refusing = stack.enter_context(
            mcp_server(Door(tokens=set(), echo=True, auth="client_secret_post"))
        )
        stack.enter_context(run.running())
        vault = run.post("/v1/vaults", display_name="canaries")["id"]
        path = f"/v1/vaults/{vault}/credentials"
        static = {"type": "static_bearer", "token": TOKENS["static"], "mcp_server_url": bearer.mcp}
        run.post(path, auth=static)
        for method, door in doors.items():
            names = (f"old-{method}", f"refresh-{method}", f"secret-{method}")
            access, refresh, secret = map(TOKENS.get, names)
            run.post(path, auth=oauth(door, method, str(access), str(refresh), secret))
        wrong = [TOKENS[f"wrong-{what}"] for what in ("access", "refresh", "client")]
        refused = run.post(path, auth=oauth(refusing, "client_secret_post", *wrong))["id"]
        # Refused bodies are not quoted either, nor is a second credential for one server.
        run.post(path, 409, auth=static)
        run.post(path, 400, auth={**static, "token": TOKENS["static"] + " "})
        run.post(path, auth=variable(TOKENS["variable"]))
        run.post(path, 400, auth=variable([TOKENS["variable"]]))
        run.post(path, 400, auth={**variable(TOKENS["variable"]), "bogus": TOKENS["variable"]})
        for shown in run.get(path)["data"]:
            run.get(f"{path}/{shown['id']}")
        assert run.post(f"{path}/{refused}/mcp_oauth_validate")["status"] == "invalid"
        servers = {"bearer": bearer, **{m.replace("_", ""): d for m, d in doors.items()}}
        servers["refusing"] = refusing
        session = run.session(
            "claude-opus-5",
            vault_ids=[vault],
            mcp_servers=[{"type": "url", "name": n, "url": d.mcp} for n, d in servers.items()],
        )
        calls = [f"/tool mcp__{name}__whoami" for name in servers if name != "refusing"]
        calls.append('/tool mcp__refusing__add {"a": 1, "b": 1}')
        events = run.turn(session, "\n".join(calls))
        search(run.places())  # before the database has put its files in order

    # The run was one in which every secret was used.
    assert f"Bearer {TOKENS['static']}" in bearer.seen
    for method, door in doors.items():
        assert f"Bearer {TOKENS[f'old-{method}']}" in door.seen
        assert f"Bearer {TOKENS[f'new-{method}']}" in door.seen
        assert [form["refresh_token"] for form in door.forms] == [TOKENS[f"refresh-{method}"]]
    posted = doors["client_secret_post"].forms[0]
    assert posted["client_secret"] == TOKENS["secret-client_secret_post"]
    assert f"Bearer {TOKENS['wrong-access']}" in refusing.seen
    assert refusing.forms[0]["client_secret"] == TOKENS["wrong-client"]
    assert refusing.forms[0]["refresh_token"] == TOKENS["wrong-refresh"]
    assert "mcp_authentication_failed_error" in json.dumps(events)
    assert json.dumps(events).count("[redacted]") >= 4  # whoami said so, and was masked
    search(run.places())


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_byte_of_the_servers_own_secrets_is_left_anywhere(tmp_path: Path, level: str) -> None:
    run = Run(tmp_path, level, "scripted")
    with run.running():
        for model in ("claude-opus-5", "claude-haiku-4-5"):
            session = run.session(model)
            told = run.turn(session, '/run env\n/tool web_search {"query": "cats"}\n/say done')
            assert "a.example" in json.dumps(told)
            body = {"model": model, "max_tokens": 10}
            run.post("/v1/messages", messages=[{"role": "user", "content": "hello"}], **body)
        # A server that quotes the key it was given, to a session and to a client.
        told = run.turn(run.session("claude-sonnet-5"), "hello")
        assert "no such key: " in json.dumps(told)
        for stream in (False, True):
            body = {"model": "claude-sonnet-5", "max_tokens": 10, "stream": stream}
            hello = [{"role": "user", "content": "hello"}]
            quoted = run.post("/v1/messages", 401, messages=hello, **body)
            assert "no such key: " in quoted["error"]["message"]
        # A key that nobody has.
        response = run.http.get(
            "/v1/agents",
            headers={"x-api-key": TOKENS["unknown-key"], "authorization": "Bearer another"},
        )
        assert response.status_code == 401
        run.said.append(f"{response.headers} {response.text}")
        search(run.places())

    # The run was one in which every key was used, each by whom it is for.
    assert OWN["model-key"] in json.dumps(run.model.headers)
    assert OWN["route-key"] in json.dumps(run.routed.headers)
    assert OWN["quoted-key"] in json.dumps(run.quoting.headers)
    assert OWN["search"] in json.dumps(run.engine.headers)
    meant = {"model": "model-key", "routed": "route-key", "quoting": "quoted-key"}
    for server, name in {**meant, "engine": "search"}.items():
        sent = json.dumps(getattr(run, server).headers)
        assert sent.count(MARK) == sent.count(OWN[name])  # the client's own key least of all
    search(run.places())


@pytest.mark.docker
def test_a_sandbox_holds_no_secret(tmp_path: Path, docker_client: Any, docker_image: str) -> None:
    run = Run(tmp_path, "debug", "docker", FREEHOLD_SANDBOX_IMAGE=docker_image)
    with mcp_server(Door(tokens={TOKENS["static"]}, echo=True)) as bearer, run.running():
        vault = run.post("/v1/vaults", display_name="canaries")["id"]
        static = {"type": "static_bearer", "token": TOKENS["static"], "mcp_server_url": bearer.mcp}
        run.post(f"/v1/vaults/{vault}/credentials", auth=static)
        session = run.session(
            "claude-opus-5",
            vault_ids=[vault],
            mcp_servers=[{"type": "url", "name": "bearer", "url": bearer.mcp}],
        )
        try:
            events = run.turn(session, f"/tool mcp__bearer__whoami\n/run {SPY}\n/say done")
            results = [event for event in events if event["type"] == "agent.tool_result"]
            assert "PATH=" in json.dumps(results)  # it could look
            found = [
                container
                for container in docker_client.containers.list(all=True)
                if session in json.dumps(container.attrs)
            ]
            assert found
            for container in found:
                changed = [entry["Path"] for entry in container.diff() or ()]
                archives = [
                    b"".join(container.get_archive(path)[0]) for path in ("/workspace", "/tmp")
                ]
                image = container.image
                search(
                    {
                        "container": json.dumps(container.attrs).encode(),
                        "changes": json.dumps(changed).encode(),
                        "files": b"".join(archives),
                        "image": json.dumps([image.attrs, image.history()]).encode(),
                    }
                )
            search(run.places())
        finally:
            assert run.http.delete(f"/v1/sessions/{session}").is_success


@pytest.mark.docker
def test_a_variables_value_is_seen_by_its_host_and_by_nobody_else(
    tmp_path: Path, docker_client: Any, docker_image: str, hosts: Hosts
) -> None:
    """The whole way: a vault, a session, a gate, a host that quotes what it is sent."""
    run = Run(
        tmp_path,
        "debug",
        "docker",
        FREEHOLD_SANDBOX_IMAGE=docker_image,
        FREEHOLD_GATE_IMAGE=hosts.gate_image,
        FREEHOLD_SANDBOX_NETWORK="gate",
        FREEHOLD_GATE_NETWORK=hosts.network,
        FREEHOLD_TRUSTED_NETWORKS=f"{hosts.address(hosts.open)}/32",
    )
    secret, rotated = TOKENS["variable"], canary("rotated")
    limited = {"type": "limited", "allowed_hosts": ["allowed.test", "tls.test"]}
    with contextlib.ExitStack() as stack:
        stack.enter_context(run.running())
        vault = run.post("/v1/vaults", display_name="canaries")["id"]
        path = f"/v1/vaults/{vault}/credentials"
        networking = {"type": "limited", "allowed_hosts": ["allowed.test", "shut-out.test"]}
        made = run.post(path, auth={**variable(secret), "networking": networking})["id"]
        session = run.session(
            "claude-opus-5",
            vault_ids=[vault],
            environment={"type": "cloud", "networking": limited},
        )
        stack.callback(_removed, docker_client, tmp_path)
        stack.callback(run.http.delete, f"/v1/sessions/{session}")
        send = (
            'curl -sS -H \'X-Record: 1\' -u "me:$TOKEN" -H "X-Key: $TOKEN" '
            '-d "key=$TOKEN" https://{}/ | tee -a /tmp/said'
        )
        words = [f"/run {send.format(host)}" for host in ("allowed.test", "tls.test")]
        events = run.turn(session, "\n".join([*words, f"/run {SPY}", "/say done"]))
        update = {"type": "environment_variable", "secret_value": rotated}
        run.post(f"{path}/{made}", auth=update)
        run.turn(session, f"/run {send.format('allowed.test')}\n/say done")
        told = [event for event in events if event["type"] == "session.error"]
        assert [event["error"]["type"] for event in told] == ["credential_host_unreachable_error"]
        assert "shut-out.test" in told[0]["error"]["message"]
        assert "TOKEN=fhsecret_" in json.dumps(events)  # it could look
        label = {"label": f"dev.freehold.owner={_owner(tmp_path)}"}
        found = docker_client.containers.list(all=True, filters=label, ignore_removed=True)
        assert len(found) >= 2
        for container in found:
            folders = ("/workspace", "/tmp") if session in json.dumps(container.attrs) else ()
            archives = [b"".join(container.get_archive(folder)[0]) for folder in folders]
            logs = b"" if folders else container.logs()
            described = json.dumps(container.attrs).encode()
            search({"container": described, "files": b"".join(archives), "log": logs})
        search(run.places())

    # The run was one in which both values were used, at the host they are for.
    heard = "\n".join(line for line in hosts.heard(hosts.open) if line.startswith("GOT"))
    requests = [json.loads(line.removeprefix("GOT ")) for line in heard.splitlines()]
    sent = [{name.lower(): value for name, value in one["headers"]} for one in requests][-3:]
    assert [one["x-key"] for one in sent][::2] == [secret, rotated]
    assert [one["body"] for one in requests][-3::2] == [f"key={secret}", f"key={rotated}"]
    basic = base64.b64encode(f"me:{secret}".encode()).decode()
    assert sent[0]["authorization"] == f"Basic {basic}"
    assert sent[1]["x-key"].startswith("fhsecret_")
    search(run.places())


def _owner(folder: Path) -> str:
    return (folder / "data" / "installation").read_text().strip()


def _removed(client: Any, folder: Path) -> None:
    """The gate outlives its server, as it is to; not its test."""
    label = f"dev.freehold.owner={_owner(folder)}"
    for container in client.containers.list(
        all=True, filters={"label": label}, ignore_removed=True
    ):
        with contextlib.suppress(APIError):  # The server removes some of them at this moment.
            container.remove(force=True)
