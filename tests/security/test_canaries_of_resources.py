"""Secrets of webhooks, deployments, tunnels and keys are only with those whom they are for."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2 as httpx
import pytest
from tests.support.canaries import Run, canary, search
from tests.support.receiver import SECRET, receiver
from typer.testing import CliRunner

from freehold.cli.program import program

MESSAGE = {"type": "user.message", "content": [{"type": "text", "text": "Go."}]}
HOOKS = {"anthropic-beta": "webhooks-2026-10-07"}
TUNNELS = {"anthropic-beta": "mcp-tunnels-2026-06-22"}


def issued(folder: Path, *arguments: str) -> str:
    done = CliRunner().invoke(
        program, ["keys", "create", "--quiet", *arguments, "--data-dir", str(folder)]
    )
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_byte_of_their_secrets_is_left_anywhere(tmp_path: Path, level: str) -> None:
    secrets = {"configured": SECRET, "token": canary("repository"), "new token": canary("other")}
    with receiver() as inbox:
        settings = [{"name": "inbox", "url": inbox.url, "secret": SECRET}]
        run = Run(
            tmp_path,
            level,
            "scripted",
            FREEHOLD_WEBHOOKS=json.dumps(settings),
            FREEHOLD_WEBHOOK_NETWORKS="127.0.0.0/8",
        )
        with run.running():
            data = tmp_path / "data"
            # What shows a secret shows it once, and again to who repeats the request.
            hook = {"url": inbox.url, "enabled_events": ["external_key.failed"]}
            shown = [
                run.http.post(
                    "/v1/organizations/webhooks",
                    json=hook,
                    headers={**HOOKS, "idempotency-key": "once"},
                ).json()
                for _ in range(2)
            ]
            assert shown[0] == shown[1]
            secrets["signing"] = shown[0]["signing_secret"]
            path = f"/v1/organizations/webhooks/{shown[0]['id']}"
            again = run.http.post(f"{path}/regenerate_signing_secret", headers=HOOKS).json()
            secrets["new signing"] = again["signing_secret"]
            run.said.append(run.http.get(path, headers=HOOKS).text)
            run.said.append(run.http.get("/v1/organizations/webhooks", headers=HOOKS).text)
            run.said.append(run.http.post(path, json={"secret": SECRET}, headers=HOOKS).text)

            tunnel = run.http.post("/v1/tunnels", headers=TUNNELS).json()["id"]
            path = f"/v1/tunnels/{tunnel}"
            for name, action in (("tunnel", "reveal_token"), ("new tunnel", "rotate_token")):
                answer = run.http.post(f"{path}/{action}", headers=TUNNELS)
                secrets[name] = answer.json()["tunnel_token"]
            run.said.append(run.http.get(path, headers=TUNNELS).text)
            run.said.append(run.http.get("/v1/tunnels", headers=TUNNELS).text)

            session = run.session("claude-opus-5")
            named = run.get(f"/v1/sessions/{session}")
            repository = {
                "type": "github_repository",
                "url": "https://github.com/owner/repository",
                "authorization_token": secrets["token"],
            }
            deployment = run.post(
                "/v1/deployments",
                name="canaries",
                agent=named["agent"]["id"],
                environment_id=named["environment_id"],
                initial_events=[MESSAGE],
            )["id"]
            run.post(f"/v1/deployments/{deployment}", resources=[repository])
            repository["authorization_token"] = secrets["new token"]
            run.post(f"/v1/deployments/{deployment}", resources=[repository])
            run.get(f"/v1/deployments/{deployment}")
            run.get("/v1/deployments")
            assert run.post(f"/v1/deployments/{deployment}/run")["session_id"]
            run.post(f"/v1/deployments/{deployment}", 400, resources=[{**repository, "url": "no"}])

            hosted = run.post("/v1/environments", name="own", config={"type": "self_hosted"})["id"]
            secrets["workspace key"] = issued(data, "--workspace", "other")
            secrets["admin key"] = issued(data, "--admin")
            secrets["environment key"] = issued(data, "--environment", hosted)
            for name, address, scheme in (
                ("workspace key", "/v1/agents", "x-api-key"),
                ("admin key", "/v1/organizations/api_keys", "x-api-key"),
                ("environment key", f"/v1/environments/{hosted}/work/poll", "authorization"),
            ):
                value = secrets[name] if scheme == "x-api-key" else f"Bearer {secrets[name]}"
                betas = {"anthropic-beta": "managed-agents-2026-04-01"}
                answer = httpx.get(run.process.url + address, headers={scheme: value, **betas})
                assert answer.status_code == 200, (name, answer.text)
                run.said.append(f"{answer.headers} {answer.text}")
                # Where it does not reach, it is not quoted.
                answer = httpx.get(
                    run.process.url + "/v1/organizations/me?key=x", headers={scheme: value}
                )
                run.said.append(f"{answer.headers} {answer.text}")
            search(run.places(), secrets)
        inbox.first("deployment.created", id=deployment).unwrap()
        search(run.places(), secrets)
