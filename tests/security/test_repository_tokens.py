"""Git from inside a sandbox: the gate adds the token, and the sandbox never has it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.api.conftest import said, turn
from tests.docker_git import GitHost, git_host
from tests.support.running import Served, serve

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.docker

FIRST, SECOND = "tok-canary-4711", "tok-canary-0815"


class Host:
    """A git host and a server whose gate trusts it."""

    def __init__(self, host: GitHost, served: Served) -> None:
        self.allow, self.git, self.address = host.allow, host.git, host.address
        self.sdk = served.client()

    def bash(self, session: str, command: str) -> str:
        message = said(f"/tool bash {json.dumps({'command': command})}")
        events = turn(self.sdk, session, message)
        problems = [event.error for event in events if event.type == "session.error"]
        assert problems == []
        results = [event for event in events if event.type == "agent.tool_result"]
        return str(results[-1].content[0].text)


@pytest.fixture(scope="module")
def host(
    docker_client: DockerClient,
    docker_image: str,
    gate_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("repository-tokens")
    repositories: dict[str, dict[str, str]] = {"ada/engine": {}, "ada/other": {}}
    with git_host(docker_client, (docker_image, gate_image), folder, repositories) as git:
        with serve(
            folder / "data",
            sandbox="docker",
            sandbox_image=docker_image,
            gate_image=git.gate_image,
            gate_network=git.network,
            sandbox_network="gate",
            extra_ca_certs=git.authority.file,
            trusted_networks=(f"{git.address}/32",),
            git_hosts=(git.address,),
        ) as served:
            made = Host(git, served)
            yield made
            for session in made.sdk.beta.sessions.list():
                made.sdk.beta.sessions.delete(session.id)
        git.remove_gates()


def test_pushed_with_a_token_that_is_not_inside(host: Host) -> None:
    host.allow(engine=[FIRST], other=[FIRST])
    agent = host.sdk.beta.agents.create(
        name="Ada", model="claude-opus-5", tools=[{"type": "agent_toolset_20260401"}]
    )
    environment = host.sdk.beta.environments.create(
        name=f"limited-{os.getpid()}",
        config={"type": "cloud", "networking": {"type": "limited", "allowed_hosts": []}},
    )
    session = host.sdk.beta.sessions.create(
        agent=agent.id,
        environment_id=environment.id,
        resources=[
            {
                "type": "github_repository",
                "url": f"https://{host.address}/ada/engine",
                "authorization_token": FIRST,
            }
        ],
    ).id
    commit = "git -c user.name=A -c user.email=a@b commit -qm {} --allow-empty && "
    push = commit + "git push -q && git pull -q && echo PUSHED"
    told = host.bash(session, "cd engine && " + push.format("one"))
    assert told.endswith("PUSHED"), told
    assert host.git("ada/engine", "log", "-1", "--format=%s") == "one"
    # Nothing else of the host is open, not even with the repository's own right.
    for path in ("ada/other/info/refs?service=git-upload-pack", "", "ada/engine-x/info/refs"):
        told = host.bash(session, f"curl -s https://{host.address}/{path}")
        assert told == f"Host not in allowlist: {host.address}"
    # The token is given anew, and the old one no longer taken: the next request has the new one.
    host.allow(engine=[SECOND])
    (resource,) = host.sdk.beta.sessions.resources.list(session)
    host.sdk.beta.sessions.resources.update(
        resource.id,  # type: ignore[union-attr]
        session_id=session,
        authorization_token=SECOND,
    )
    told = host.bash(session, push.format("two"))
    assert told.endswith("PUSHED"), told
    told = host.bash(
        session,
        "C=can; grep -rlE tok-${C}ary / --exclude-dir=proc --exclude-dir=sys 2>/dev/null; env;"
        " cat .git/config; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n';"
        " git credential fill </dev/null; echo DONE",
    )
    assert told.endswith("DONE")
    for secret in (FIRST, SECOND, "eC1hY2Nlc3MtdG9rZW46"):
        assert secret not in told
