"""The egress gate for tests: its image, and hosts of one's own for sandboxes to reach or not.

The hosts are containers on a Docker network that only they and the gate are on. Their names are
known to the engine's name server of that network, their addresses are private, and the gate trusts
some of them: so nothing outside this machine is ever asked for.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import secrets
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.docker_engine import _HOST_CERTIFICATES
from tests.support.certificates import Authority

if TYPE_CHECKING:
    from docker import DockerClient

    from freehold.ports.sandbox import SandboxSpec
    from freehold.sandbox.docker.egress.gate import GateSettings

_IMAGE = os.environ.get("FREEHOLD_TEST_GATE_IMAGE", "freehold-gate:test")
OPEN = ("allowed.test", "sub.allowed.test", "deep.sub.allowed.test", "other.test", "tls.test")
"""Names of the host whose address the gate trusts."""
INSIDE = "inside.test"
"""Name of a host at a private address that nobody opened."""

PRIVATE = "Destination IP is in a private/reserved range"
"""What is said of it."""

_HOST = r"""
import json, ssl, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import socket, socketserver

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        size = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(size)
        if "chunked" in self.headers.get("transfer-encoding", ""):
            pieces = []
            while length := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(length))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(pieces)
            size = len(body)
        told = json.dumps({"reached": self.headers["host"], "path": self.path,
            "headers": dict(self.headers), "body": body.decode("latin-1")[:2000], "size": size})
        print("REACHED", self.headers["host"], self.path, flush=True)
        if "x-record" in self.headers:
            # What an answer cannot say, as secrets are taken out of it.
            print("GOT", json.dumps({"headers": self.headers.items(), "size": size,
                "body": body.decode("latin-1")[:20000]}), flush=True)
        data = told.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    do_POST = do_PUT = do_GET
    def log_message(self, *args): pass

class Greeter(socketserver.BaseRequestHandler):
    def handle(self):
        print("RAW", flush=True)
        self.request.sendall(b"220 raw\n")

def serve(server): threading.Thread(target=server.serve_forever, daemon=True).start()
serve(ThreadingHTTPServer(("", 80), Handler))
tls = ThreadingHTTPServer(("", 443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tmp/host.pem")
tls.socket = context.wrap_socket(tls.socket, server_side=True)
serve(tls)
serve(socketserver.ThreadingTCPServer(("", 2222), Greeter))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 5353))
print("READY", flush=True)
while True:
    udp.recvfrom(100)
    print("UDP", flush=True)
"""


@dataclass
class Hosts:
    """What there is to reach."""

    gate_image: str
    network: str
    open: Any
    """The SDK's container of the host that has the names of :data:`OPEN`."""
    inside: Any
    """That of :data:`INSIDE`."""
    authority: Authority
    """Signs certificates that the gate trusts."""
    forgotten: dict[str, int] = field(default_factory=dict)
    """How much of what reached a host is no concern any more, by the container's id."""

    def address(self, container: Any) -> str:
        """Its address on the network."""
        container.reload()
        return str(container.attrs["NetworkSettings"]["Networks"][self.network]["IPAddress"])

    def heard(self, container: Any) -> list[str]:
        """What reached it, in order, but for what was forgotten."""
        lines = [line for line in container.logs().decode().splitlines() if line != "READY"]
        return lines[self.forgotten.get(container.id, 0) :]

    def forget(self, container: Any) -> None:
        """What reached it until now was meant to."""
        self.forgotten[container.id] = self.forgotten.get(container.id, 0) + len(
            self.heard(container)
        )

    def settings(self, data_dir: Path, **changes: Any) -> GateSettings:
        """A gate on the network of the hosts, which trusts the open one."""
        from freehold.sandbox.docker.egress.gate import GateSettings

        chosen = {
            "data_dir": data_dir,
            "image": self.gate_image,
            "network": self.network,
            "trusted": (f"{self.address(self.open)}/32",),
        }
        return GateSettings(**{**chosen, **changes})


@pytest.fixture(scope="session")
def gate_image(docker_client: DockerClient) -> str:
    """Name of the gate's image, up to date. Kept from run to run."""
    from freehold.sandbox.docker.egress.image import load_gate_definition
    from freehold.sandbox.images import ensure_image
    from freehold.settings import Settings

    certificates = Settings().extra_ca_certs
    if certificates is None and any(_HOST_CERTIFICATES.glob("*.crt")):
        certificates = _HOST_CERTIFICATES
    with (Path(tempfile.gettempdir()) / "freehold-test-image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ensure_image(docker_client, _IMAGE, extra_ca_certs=certificates, load=load_gate_definition)
    return _IMAGE


@pytest.fixture(scope="session")
def hosts(
    docker_client: DockerClient,
    docker_image: str,
    gate_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Hosts]:
    """Two hosts, and a gate's image that trusts who signed their certificates."""
    folder = tmp_path_factory.mktemp("hosts")
    authority = Authority(folder, "hosts")
    mark = secrets.token_hex(4)
    with contextlib.ExitStack() as stack:
        network = docker_client.networks.create(f"freehold-test-{mark}", driver="bridge")
        stack.callback(network.remove)
        made = [
            _host(docker_client, docker_image, str(network.name), names, authority)
            for names in (OPEN, (INSIDE,))
        ]
        for container in made:
            stack.callback(container.remove, force=True)
        tag = f"freehold-gate:test-{mark}"
        trusting = f"FROM {gate_image}\nUSER root\nCOPY ca.pem /tmp/ca.pem\n"
        trusting += "RUN cat /tmp/ca.pem >> /etc/ssl/certs/ca-certificates.crt\nUSER 1000:1000\n"
        context = _tar({"Dockerfile": trusting.encode(), "ca.pem": authority.file.read_bytes()})
        docker_client.images.build(
            fileobj=context, custom_context=True, tag=tag, rm=True, network_mode="none"
        )
        stack.callback(docker_client.images.remove, tag, force=True)
        for container in made:
            _until_ready(container)
        yield Hosts(tag, str(network.name), made[0], made[1], authority)


def _host(
    client: DockerClient, image: str, network: str, names: tuple[str, ...], authority: Authority
) -> Any:
    # All names but one, for which there is no trustworthy certificate.
    certificate = authority.certificate(*(name for name in names if name != "other.test"))
    container = client.containers.create(
        image,
        entrypoint=["python3", "/tmp/host.py"],
        user="0:0",
        network=network,
        init=True,
        labels={"dev.freehold.test": "host"},
    )
    client.networks.get(network).disconnect(container)
    client.networks.get(network).connect(container, aliases=list(names))
    pem = certificate.chain.read_bytes() + certificate.key.read_bytes()
    container.put_archive("/tmp", _tar({"host.py": _HOST.encode(), "host.pem": pem}).getvalue())
    container.start()
    return container


def _until_ready(container: Any) -> None:
    deadline = time.monotonic() + 60
    while b"READY" not in container.logs():
        container.reload()
        assert container.status == "running", container.logs().decode()
        assert time.monotonic() < deadline, container.logs().decode()
        time.sleep(0.1)


def _tar(files: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    buffer.seek(0)
    return buffer


def reached(text: str) -> dict[str, Any]:
    """What a host says of the request that reached it."""
    told: dict[str, Any] = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return told


def limited(
    session: str | None = None, *, mcp: tuple[str, ...] = (), **networking: Any
) -> SandboxSpec:
    """A sandbox whose networking is limited, of a session of its own unless one is named."""
    return _spec(session, {"type": "limited", **networking}, mcp)


def unrestricted(session: str | None = None) -> SandboxSpec:
    """The same without limits."""
    return _spec(session, {"type": "unrestricted"}, ())


def _spec(session: str | None, networking: dict[str, Any], mcp: tuple[str, ...]) -> SandboxSpec:
    from freehold.ports.sandbox import SandboxSpec

    config = {"type": "cloud", "networking": networking}
    return SandboxSpec(session or f"sesn_{secrets.token_hex(6)}", config, mcp)
