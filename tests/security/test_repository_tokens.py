"""Git from inside a sandbox: the gate adds the token, and the sandbox never has it."""

from __future__ import annotations

import io
import json
import os
import secrets
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.api.conftest import said, turn
from tests.docker_gate import _IMAGE as GATE_IMAGE
from tests.support import git_server
from tests.support.certificates import Authority
from tests.support.git_server import GitServer
from tests.support.running import Served, serve

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.docker

FIRST, SECOND = "tok-canary-4711", "tok-canary-0815"
_IN_CONTAINER = "/tmp/git"


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


class Host:
    """A git host in a container at port 443, and a server whose gate trusts it."""

    def __init__(self, container: Any, address: str, served: Served) -> None:
        self.container, self.address = container, address
        self.sdk = served.client()

    def allow(self, **tokens: list[str]) -> None:
        told = {f"ada/{name}": given for name, given in tokens.items()}
        data = json.dumps(told).encode()
        self.container.put_archive(_IN_CONTAINER, _tar({"tokens.json": data}))

    def git(self, *arguments: str) -> str:
        code, output = self.container.exec_run(
            ["git", "-c", "safe.directory=*", *arguments], user="0:0"
        )
        assert code == 0, output
        return str(output.decode().strip())

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
    assert gate_image == GATE_IMAGE
    folder = tmp_path_factory.mktemp("repository-tokens")
    authority = Authority(folder, "git")
    prepared = GitServer(folder / "git")
    prepared.create("ada/engine", FIRST)
    prepared.create("ada/other", FIRST)
    mark = secrets.token_hex(4)
    network = docker_client.networks.create(f"freehold-test-{mark}", driver="bridge")
    container = docker_client.containers.create(
        docker_image,
        entrypoint=["python3", "/tmp/git_server.py", _IN_CONTAINER, "/tmp/host.pem", "443"],
        user="0:0",
        network=network.name,
        init=True,
        labels={"dev.freehold.test": "host"},
    )
    tag = f"freehold-gate:test-{mark}"
    try:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add(folder / "git", "git")
        container.put_archive("/tmp", buffer.getvalue())
        script = Path(git_server.__file__).read_bytes()
        # Its address is known once it has begun, and its certificate needs the address.
        container.put_archive("/tmp", _tar({"git_server.py": b"import time; time.sleep(600)"}))
        container.start()
        container.reload()
        address = container.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
        certificate = authority.certificate(address)
        pem = certificate.chain.read_bytes() + certificate.key.read_bytes()
        container.put_archive("/tmp", _tar({"git_server.py": script, "host.pem": pem}))
        container.restart(timeout=0)
        container.reload()
        assert address == container.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
        deadline = time.monotonic() + 60
        while b"READY" not in container.logs():
            assert time.monotonic() < deadline, container.logs()
            time.sleep(0.2)
        trusting = f"FROM {gate_image}\nUSER root\nCOPY ca.pem /tmp/ca.pem\n"
        trusting += "RUN cat /tmp/ca.pem >> /etc/ssl/certs/ca-certificates.crt\nUSER 1000:1000\n"
        context = _tar({"Dockerfile": trusting.encode(), "ca.pem": authority.file.read_bytes()})
        docker_client.images.build(
            fileobj=io.BytesIO(context), custom_context=True, tag=tag, rm=True
        )
        with serve(
            folder / "data",
            sandbox="docker",
            sandbox_image=docker_image,
            gate_image=tag,
            sandbox_network=network.name,
            extra_ca_certs=authority.file,
            trusted_networks=(f"{address}/32",),
            git_hosts=(address,),
        ) as served:
            made = Host(container, address, served)
            yield made
            for session in made.sdk.beta.sessions.list():
                made.sdk.beta.sessions.delete(session.id)
            served.app.state.sandboxes._engine.client()
            from freehold.sandbox.docker.gate import remove_gate

            remove_gate(docker_client, served.app.state.sandboxes.owner)
    finally:
        container.remove(force=True)
        network.remove()
        docker_client.images.remove(tag, force=True)


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
    assert host.git("-C", f"{_IN_CONTAINER}/ada/engine", "log", "-1", "--format=%s") == "one"
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
