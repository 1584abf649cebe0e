"""The egress gate: what a session's network costs, in time, throughput and memory.

    python -m tests.bench.gate [--starts 10] [--megabytes 400] [--requests 200] [--sandboxes 50]

Everything runs on this machine, against a host in a container of its own: nothing outside is asked.
Prints how long it takes from asking for a sandbox to the answer of its first command, which is a
request to that host (with a container kept ready, and without); downloads and small requests from
sandboxes directly on the host's network, through the gate unopened, and through the gate with TLS
opened; and the memory of the gate and of sandboxes, by the engine's own count.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import secrets
import statistics
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker

from freehold.ports.sandbox import Sandbox, SandboxSpec, ToolCall
from freehold.sandbox.docker import DockerSandboxProvider, Limits
from freehold.sandbox.docker.egress.gate import GateSettings
from tests.bench.common import Json, ms
from tests.support.certificates import Authority

NAME = "host.test"
_HOST = r"""
import socket, ssl, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = b"x" * (1 << 20)

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self):
        size = int(self.path.strip("/") or 2)
        self.send_response(200)
        self.send_header("content-length", str(size))
        self.end_headers()
        while size > 0:
            self.wfile.write(BLOCK[:size])
            size -= len(BLOCK)
    def log_message(self, *args): pass

ThreadingHTTPServer.daemon_threads = True
plain = ThreadingHTTPServer(("", 80), Handler)
threading.Thread(target=plain.serve_forever, daemon=True).start()
tls = ThreadingHTTPServer(("", 443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tmp/host.pem")
tls.socket = context.wrap_socket(tls.socket, server_side=True)
print("READY", flush=True)
tls.serve_forever()
"""
_REQUESTS = """
import http.client, ssl, sys, time
scheme, kept, count = sys.argv[1], sys.argv[2] == "kept", int(sys.argv[3])
def connect():
    if scheme == "http":
        return http.client.HTTPConnection("host.test")
    return http.client.HTTPSConnection("host.test", context=ssl._create_unverified_context())
line = connect()
for _ in range(count + 5):
    begun = time.perf_counter()
    if not kept:
        line = connect()
    line.request("GET", "/2")
    line.getresponse().read()
    print(time.perf_counter() - begun)
    if not kept:
        line.close()
"""


@contextlib.contextmanager
def stage(client: Any, image: str, gate_image: str, folder: Path) -> Iterator[tuple[str, str, str]]:
    """A network with one host on it; its name, the host's address, and a gate's image that trusts
    the host's certificate."""
    authority = Authority(folder, "hosts")
    made = authority.certificate(NAME)
    mark = secrets.token_hex(4)
    with contextlib.ExitStack() as stack:
        network = client.networks.create(f"freehold-bench-{mark}", driver="bridge")
        stack.callback(network.remove)
        host = client.containers.create(
            image,
            entrypoint=["python3", "/tmp/host.py"],
            user="0:0",
            init=True,
            network=network.name,
        )
        stack.callback(host.remove, force=True)
        network.disconnect(host)
        network.connect(host, aliases=[NAME])
        pem = made.chain.read_bytes() + made.key.read_bytes()
        host.put_archive("/tmp", _tar({"host.py": _HOST.encode(), "host.pem": pem}).getvalue())
        host.start()
        while b"READY" not in host.logs():
            time.sleep(0.1)
        host.reload()
        address = host.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
        tag = f"freehold-gate:bench-{mark}"
        trusting = f"FROM {gate_image}\nUSER root\nCOPY ca.pem /tmp/ca.pem\n"
        trusting += "RUN cat /tmp/ca.pem >> /etc/ssl/certs/ca-certificates.crt\nUSER 1000:1000\n"
        context = _tar({"Dockerfile": trusting.encode(), "ca.pem": authority.file.read_bytes()})
        client.images.build(
            fileobj=context, custom_context=True, tag=tag, rm=True, network_mode="none"
        )
        stack.callback(client.images.remove, tag, force=True)
        yield network.name, address, tag


def _tar(files: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    buffer.seek(0)
    return buffer


def spec(networking: Json) -> SandboxSpec:
    config = {"type": "cloud", "networking": networking}
    return SandboxSpec(f"sesn_{secrets.token_hex(6)}", config)


OPEN: Json = {"type": "unrestricted"}
LIMITED: Json = {"type": "limited", "allowed_hosts": [NAME]}


async def run(box: Sandbox, command: str) -> str:
    call = ToolCall(f"toolu_{secrets.token_hex(8)}", "bash", {"command": command})
    outcome = await box.call(call)
    return "".join(str(block.get("text", "")) for block in outcome.content)


async def starts(
    provider: DockerSandboxProvider, networking: Json, count: int, *, warm: bool
) -> list[float]:
    """From asking for a sandbox to the answer of a command that asks the host something."""
    times = []
    for _ in range(count):
        while warm and not provider.pool.ready:
            await asyncio.sleep(0.05)
        wanted = spec(networking)
        begun = time.perf_counter()
        box = await provider.acquire(wanted)
        said = await run(box, f"curl -sS -o /dev/null -w '%{{http_code}}' http://{NAME}/2")
        times.append(time.perf_counter() - begun)
        if said != "200":
            raise RuntimeError(said)
        await provider.remove(wanted.session_id)
    return times


async def download(box: Sandbox, scheme: str, megabytes: int) -> float:
    """MB a second, the best of three."""
    command = f"curl -sSk -o /dev/null -w '%{{speed_download}}' {scheme}://{NAME}/{megabytes << 20}"
    return max([float(await run(box, command)) for _ in range(3)]) / 1e6


async def requests(box: Sandbox, scheme: str, kind: str, count: int) -> list[float]:
    """Seconds of small requests, on one connection (``kept``) or each on its own (``new``)."""
    await box.write_file("/tmp/requests.py", _REQUESTS.encode())
    said = await run(box, f"python3 /tmp/requests.py {scheme} {kind} {count}")
    return [float(line) for line in said.split()][5:]


def memory(client: Any, container: str) -> float:
    """MB that a container holds, without what is cached of files."""
    stats = client.api.stats(container, stream=False)["memory_stats"]
    cached = stats["stats"].get("total_inactive_file", stats["stats"].get("inactive_file", 0))
    return float(stats["usage"] - cached) / 2**20


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", default="freehold-sandbox:base")
    parser.add_argument("--gate-image", default="freehold-gate:latest")
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--sandboxes", type=int, default=50)
    options = parser.parse_args()
    client = docker.from_env()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        network, address, tag = stack.enter_context(
            stage(client, options.image, options.gate_image, folder)
        )
        settings = GateSettings(folder, tag, network, trusted=(f"{address}/32",))
        owner = f"bench-{secrets.token_hex(6)}"

        def make(**changes: Any) -> DockerSandboxProvider:
            chosen = {"owner": owner, "image": options.image, "gate": settings}
            return DockerSandboxProvider(**{**chosen, "limits": Limits(network="gate"), **changes})

        try:
            await _measure(make, client, network, options)
        finally:
            last = make()
            await last.sweep(())
            await last.close()


async def _measure(make: Any, client: Any, network: str, options: argparse.Namespace) -> None:
    cold = make()
    for kind, networking in (("unrestricted", OPEN), ("limited", LIMITED)):
        times = await starts(cold, networking, options.starts, warm=False)
        print(f"first answer, none ready, {kind:<13}{ms(times)}")
    direct = make(limits=Limits(network=network))
    times = await starts(direct, OPEN, options.starts, warm=False)
    print(f"first answer, none ready, no gate      {ms(times)}")
    warm = make(warm=1)
    await warm.prepare()
    for kind, networking in (("unrestricted", OPEN), ("limited", LIMITED)):
        times = await starts(warm, networking, options.starts, warm=True)
        print(f"first answer, one ready, {kind:<14}{ms(times)}")
    await warm.close()
    boxes = {
        "direct": await direct.acquire(spec(OPEN)),
        "unopened": await cold.acquire(spec(OPEN)),
        "opened": await cold.acquire(spec(LIMITED)),
    }
    for scheme in ("http", "https"):
        for name, box in boxes.items():
            speed = await download(box, scheme, options.megabytes)
            print(f"download, {scheme:<6} {name:<9} {speed:8.0f} MB/s")
    for kind in ("kept", "new"):
        for scheme in ("http", "https"):
            base = 0.0
            for name, box in boxes.items():
                times = await requests(box, scheme, kind, options.requests)
                base = base or statistics.median(times)
                added = (statistics.median(times) - base) * 1e3
                print(f"request, {kind:<5}{scheme:<6} {name:<9} {ms(times)}  {added:+8.2f} ms")
    gate = f"freehold-gate-{cold.owner[:12]}"
    many = [spec(OPEN if n % 2 else LIMITED) for n in range(options.sandboxes)]
    print(f"gate, 2 sandboxes, after all of this {memory(client, gate):8.1f} MB")
    sandboxes: list[Sandbox] = []
    for at in range(0, len(many), 5):
        sandboxes += await asyncio.gather(*map(cold.acquire, many[at : at + 5]))
    print(f"gate, {len(many) + 2} sandboxes                {memory(client, gate):8.1f} MB")
    each = [memory(client, box.identity.split("-")[0]) for box in sandboxes[:10]]
    print(f"a sandbox, idle                      {statistics.median(each):8.1f} MB")
    for box in sandboxes[:10]:
        await run(box, f"curl -sS -o /dev/null http://{NAME}/2")
    each = [memory(client, box.identity.split("-")[0]) for box in sandboxes[:10]]
    print(f"a sandbox with its shell             {statistics.median(each):8.1f} MB")
    await asyncio.gather(*(run(box, f"curl -sSk https://{NAME}/2") for box in sandboxes))
    print(f"gate, after a request of each        {memory(client, gate):8.1f} MB")
    for provider in (cold, direct):
        await provider.sweep(())
        await provider.close()


if __name__ == "__main__":
    asyncio.run(main())
