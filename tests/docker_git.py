"""A git host for tests of what gated sandboxes push to: a container at port 443, and a gate's
image that trusts its certificate.
"""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import git_server
from tests.support.certificates import Authority
from tests.support.git_server import GitServer

if TYPE_CHECKING:
    from docker import DockerClient

_IN_CONTAINER = "/tmp/git"


def tar_of(files: Mapping[str, bytes], mode: int = 0o644) -> bytes:
    """An archive of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.mode, info.size = mode, len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


class GitHost:
    """A git host in a container, whose name is its address.

    Args:
        container: the SDK's.
        address: of the container in ``network``.
        network: the Docker network by which a gate reaches it.
        gate_image: an image of the gate that trusts it.
        authority: signed its certificate.
    """

    def __init__(
        self, container: Any, address: str, network: str, gate_image: str, authority: Authority
    ) -> None:
        self.container, self.address, self.network = container, address, network
        self.gate_image, self.authority = gate_image, authority

    def url(self, name: str) -> str:
        """What a session's resource names."""
        return f"https://{self.address}/{name}"

    def allow(self, **tokens: list[str]) -> None:
        """Which tokens open which of Ada's repositories."""
        told = {f"ada/{name}": given for name, given in tokens.items()}
        data = json.dumps(told).encode()
        self.container.put_archive(_IN_CONTAINER, tar_of({"tokens.json": data}))

    def remove_gates(self) -> None:
        """Remove the gates that reach it, whose servers are stopped."""
        for container in self.container.client.containers.list(
            all=True, filters={"network": self.network}, ignore_removed=True
        ):
            if container.id != self.container.id:
                container.remove(force=True)

    def git(self, name: str, *arguments: str) -> str:
        """The output of git in a repository of the host."""
        code, output = self.container.exec_run(
            ["git", "-c", "safe.directory=*", "-C", f"{_IN_CONTAINER}/{name}", *arguments],
            user="0:0",
        )
        assert code == 0, output
        return str(output.decode().strip())


@contextlib.contextmanager
def git_host(
    client: DockerClient,
    images: tuple[str, str],
    folder: Path,
    repositories: Mapping[str, Mapping[str, str]],
) -> Iterator[GitHost]:
    """A git host with these repositories and their files.

    Args:
        client: of the engine.
        images: of the sandbox, from which the host's container is made, and of the gate.
        folder: an empty one.
    """
    sandbox_image, gate_image = images
    authority = Authority(folder, "git")
    prepared = GitServer(folder / "git")
    for name, files in repositories.items():
        prepared.create(name)
        if files:
            prepared.commit(name, dict(files))
    mark = secrets.token_hex(4)
    tag = f"freehold-gate:test-{mark}"
    with contextlib.ExitStack() as stack:
        network = client.networks.create(f"freehold-test-{mark}", driver="bridge")
        stack.callback(network.remove)
        container = client.containers.create(
            sandbox_image,
            entrypoint=["python3", "/tmp/git_server.py", _IN_CONTAINER, "/tmp/host.pem", "443"],
            user="0:0",
            network=network.name,
            init=True,
            labels={"dev.freehold.test": "host"},
        )
        stack.callback(container.remove, force=True)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add(folder / "git", "git")
        container.put_archive("/tmp", buffer.getvalue())
        script = Path(git_server.__file__).read_bytes()
        # Its address is known once it has begun, and its certificate needs the address.
        container.put_archive("/tmp", tar_of({"git_server.py": b"import time; time.sleep(600)"}))
        container.start()
        container.reload()
        address = container.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
        certificate = authority.certificate(address)
        pem = certificate.chain.read_bytes() + certificate.key.read_bytes()
        container.put_archive("/tmp", tar_of({"git_server.py": script, "host.pem": pem}))
        container.restart(timeout=0)
        container.reload()
        assert address == container.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
        deadline = time.monotonic() + 60
        while b"READY" not in container.logs():
            assert time.monotonic() < deadline, container.logs()
            time.sleep(0.2)
        trusting = f"FROM {gate_image}\nUSER root\nCOPY ca.pem /tmp/ca.pem\n"
        trusting += "RUN cat /tmp/ca.pem >> /etc/ssl/certs/ca-certificates.crt\nUSER 1000:1000\n"
        context = tar_of({"Dockerfile": trusting.encode(), "ca.pem": authority.file.read_bytes()})
        client.images.build(fileobj=io.BytesIO(context), custom_context=True, tag=tag, rm=True)
        stack.callback(client.images.remove, tag, force=True)
        yield GitHost(container, address, str(network.name), tag, authority)
