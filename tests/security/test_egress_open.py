"""What a sandbox with unrestricted networking reaches: all that is outside, and nothing else.

Against a real gate and real sandboxes, with hosts of our own; what must not be reached is asked
whether it was.
"""

from __future__ import annotations

import http.server
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.docker_engine import MakeProvider, output
from tests.docker_gate import INSIDE, PRIVATE, Hosts, reached, unrestricted

from freehold.core.addresses import inward, parse_address
from freehold.ports.sandbox import Sandbox
from freehold.sandbox.docker import DockerSandboxProvider, Limits
from freehold.sandbox.docker.egress.gate import GateSettings

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

READ = "timeout 60 bash -c 'head -c 3 </dev/tcp/{}/{}'"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box(provider: DockerSandboxProvider) -> Sandbox:
    return await provider.acquire(unrestricted())


async def test_every_port_of_every_host_outside_answers(box: Sandbox, hosts: Hosts) -> None:
    for host in ("allowed.test", "other.test", hosts.address(hosts.open)):
        said = reached(await output(box, f"curl -sS http://{host}/path?q=1"))
        assert (said["reached"], said["path"]) == (host, "/path?q=1")
        assert await output(box, READ.format(host, 2222)) == "220"


async def test_tls_is_not_opened(box: Sandbox) -> None:
    """The host proves itself by an authority that only the gate knows."""
    assert "certificate" in await output(box, "curl -sS https://tls.test/ 2>&1; exit 0")
    assert reached(await output(box, "curl -sSk https://tls.test/"))["reached"] == "tls.test"
    said = await output(
        box,
        'python3 -c "import ssl; print(ssl.get_server_certificate('
        "('tls.test', 443)))\" | openssl x509 -noout -issuer 2>&1",
    )
    assert "freehold" not in said.lower()


async def test_what_is_asked_for_is_the_hosts_business(box: Sandbox) -> None:
    said = await output(box, "curl -sS -H 'Host: whatever.test' http://allowed.test/")
    assert reached(said)["reached"] == "whatever.test"
    said = await output(
        box, "curl -sS --connect-to nowhere.test:80:allowed.test:80 http://nowhere.test/"
    )
    assert reached(said)["reached"] == "nowhere.test"


async def test_names_are_told_as_they_are(box: Sandbox, hosts: Hosts) -> None:
    address = hosts.address(hosts.open)
    assert (await output(box, "getent ahostsv4 allowed.test | head -1")).split()[0] == address
    assert (await output(box, "getent ahosts allowed.test | head -1")).split()[0] == address
    assert await output(box, "getent ahostsv6 allowed.test | grep -vc ::ffff") == "0"
    unknown = f"{secrets.token_hex(8)}.invalid"
    assert await output(box, f"getent hosts {unknown}; echo $?") == "2"
    asked = (
        "import socket,struct; s=socket.create_connection(('9.9.9.9',53),3); "
        "q=b'ab\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0'+b''.join(bytes([len(p)])+p for p in "
        "b'allowed.test'.split(b'.'))+b'\\0'+struct.pack('!HH',{kind},1); "
        "s.send(struct.pack('!H',len(q))+q); r=s.recv(999)[2:]; "
        "print(socket.inet_ntoa(r[-4:]) if r[7] else None, r[3]&15)"
    )
    assert await output(box, f'python3 -c "{asked.format(kind=1)}"') == f"{address} 0"
    assert await output(box, f'python3 -c "{asked.format(kind=28)}"') == "None 0"
    assert await output(box, f'python3 -c "{asked.format(kind=16)}"') == "None 4"


async def test_a_name_that_leads_inward_is_refused_in_words(box: Sandbox, hosts: Hosts) -> None:
    for scheme in ("http", "https"):
        said = await output(box, f"curl -sS -w ' %{{http_code}}' {scheme}://{INSIDE}/")
        assert said == f"{PRIVATE} 403"
    assert "220" not in await output(box, READ.format(INSIDE, 2222))
    assert hosts.heard(hosts.inside) == []


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_outer_name_with_an_inner_address_is_refused_at_the_address(
    box: Sandbox, hosts: Hosts, scheme: str
) -> None:
    """As after DNS rebinding: what was looked up before does not count."""
    port = {"http": 80, "https": 443}[scheme]
    inside = hosts.address(hosts.inside)
    before = len(hosts.heard(hosts.open))
    said = await output(
        box, f"curl -sS --resolve allowed.test:{port}:{inside} {scheme}://allowed.test/"
    )
    assert said == PRIVATE
    assert hosts.heard(hosts.inside) == []
    assert len(hosts.heard(hosts.open)) == before


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "172.17.0.1", "192.168.0.1", "169.254.0.1", "169.254.169.254"),
        *("169.254.170.2", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *("198.18.0.1", "192.0.2.1", "240.0.0.1", "224.0.0.1", "255.255.255.254"),
    ],
)
async def test_private_and_reserved_addresses_are_refused(box: Sandbox, address: str) -> None:
    said = await output(box, f"curl -sS -m 60 -w ' %{{http_code}}' http://{address}/")
    # Some of them are no addresses to connect to, for the kernel already.
    assert said == f"{PRIVATE} 403" or "curl: (7)" in said
    said = await output(box, f'curl -sS -m 60 http://{address}:8080/ 2>&1; echo " $?"')
    assert said.split()[-1] in {"7", "56", "52"}


@pytest.fixture(scope="module")
def on_this_machine() -> Iterator[tuple[int, list[str]]]:
    """A server on all addresses of the machine that runs the tests, as Freehold's API may be; its
    port, and who was there."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], seen
    server.shutdown()


async def test_the_machine_the_gate_and_the_api_stay_closed_in_trusted_ranges(
    make: MakeProvider,
    hosts: Hosts,
    data_dir: Path,
    on_this_machine: tuple[int, list[str]],
) -> None:
    """Even if the operator opened the very range that they are in."""
    port, seen = on_this_machine
    network = hosts.address(hosts.open).rsplit(".", 1)[0]
    everything = hosts.settings(data_dir, trusted=("10.0.0.0/8", "172.16.0.0/12", "192.0.0.0/8"))
    provider = make(
        owner=f"test-{secrets.token_hex(4)}", gate=everything, limits=Limits(network="gate")
    )
    box = await provider.acquire(unrestricted())
    # The range is open indeed.
    assert await output(box, READ.format(hosts.address(hosts.inside), 2222)) == "220"
    for host in (f"{network}.1", "172.17.0.1", "127.0.0.1"):
        said = await output(box, f'curl -sS -m 5 http://{host}:{port}/ 2>&1; echo " $?"')
        assert said.split()[-1] != "0"
        assert seen == []
    assert await output(box, f"curl -sS -m 60 http://{network}.1/") == PRIVATE
    # The gate is one of those few addresses; its own must not lead it to itself.
    for last in range(2, 6):
        host = f"{network}.{last}"
        if host not in {hosts.address(hosts.open), hosts.address(hosts.inside)}:
            said = await output(box, f'curl -sS -m 5 http://{host}:15001/ 2>&1; echo " $?"')
            assert said.split()[-1] != "0"
    assert "403" in await output(
        box, "curl -sS -m 60 -o /dev/null -w '%{http_code}' http://169.254.169.254/"
    )
    hosts.forget(hosts.inside)
    await provider.remove("unknown")
    await provider.close()
    await provider.sweep(())


@pytest.mark.parametrize(
    "command",
    [
        # UDP but for names, ICMP, raw packets, IPv6: at once, and not after a while.
        "python3 -c \"import socket; s=socket.socket(2,2); s.connect(('{open}',5353)); "
        "s.send(b'x'); s.send(b'x')\"",
        "python3 -c \"import socket; s=socket.socket(2,2); s.sendto(b'x', ('{open}',5353))\"",
        'python3 -c "import socket; s=socket.socket(2,2,1); s.settimeout(2); '
        "s.connect(('{open}',0)); s.send(b'\\x08\\0\\0\\0\\0\\0\\0\\1'); s.recv(9)\"",
        'python3 -c "import socket; socket.socket(2,3,1)"',
        'python3 -c "import socket; socket.socket(17,3,3)"',
        "curl -sS -m 5 -6 'http://[2001:4860:4860::8888]/'",
        "curl -sS -m 5 'http://[::ffff:{inside}]:8080/'",
        # The gate is no proxy to be asked, and serves nothing on its own sockets.
        "curl -sS -m 5 -x http://198.18.0.1:80 http://{inside}/ -o /dev/null -f",
        "curl -sS -m 5 http://127.0.0.1:15001/ -f",
        "curl -sS -m 5 http://127.0.0.1:15002/ -f",
        "curl -sS -m 5 http://198.18.0.2:15002/ -f",
        # Undoing it.
        "ip route add default via {gateway} || iptables -F || nft flush ruleset || exit 1",
        "unshare -Urn true && nsenter -t 1 -n true",
    ],
)
async def test_all_else_is_refused_at_once(box: Sandbox, hosts: Hosts, command: str) -> None:
    before = [len(hosts.heard(one)) for one in (hosts.open, hosts.inside)]
    address = hosts.address(hosts.open)
    filled = command.replace("{open}", address).replace("{inside}", hosts.address(hosts.inside))
    filled = filled.replace("{gateway}", address.rsplit(".", 1)[0] + ".1")
    said = await output(
        box, f'({filled}) >/tmp/said 2>&1 </dev/null; echo "exit $?"; cat /tmp/said'
    )
    assert not said.startswith("exit 0"), said
    assert "timed out" not in said
    assert [len(hosts.heard(one)) for one in (hosts.open, hosts.inside)] == before


async def test_there_is_no_network_but_loopback(box: Sandbox) -> None:
    said = await output(box, "ls /sys/class/net; cat /proc/net/if_inet6 | grep -v ' lo$'")
    assert said.split() == [name for name in said.split() if name in {"lo", "tunl0", "ip6tnl0"}]
    said = await output(box, "grep CapEff /proc/self/status; env | grep -i _proxy")
    assert said.split() == ["CapEff:", "0000000000000000"]


async def test_what_a_sandbox_serves_to_itself_is_its_own(box: Sandbox) -> None:
    said = await output(
        box,
        "cd /tmp && (python3 -m http.server 8123 --bind 127.0.0.1 >/dev/null 2>&1 & echo $! >pid); "
        "for i in $(seq 50); do curl -sf -o /dev/null http://127.0.0.1:8123/ && echo served "
        "&& break; sleep 0.1; done; kill $(cat pid)",
    )
    assert "served" in said


async def test_much_passes_both_ways_and_each_way_may_end_first(box: Sandbox) -> None:
    send = "head -c 60000000 /dev/zero | curl -sSk -X POST -H 'Expect:' -T - "
    send += "-H 'Transfer-Encoding:' -H 'Content-Length: 60000000' "
    for scheme in ("http", "https"):
        assert reached(await output(box, f"{send} {scheme}://allowed.test/"))["size"] == 60_000_000
    half = (
        "import socket; s=socket.create_connection(('allowed.test',80)); "
        "s.sendall(b'GET /half HTTP/1.0\\r\\nHost: a\\r\\n\\r\\n'); s.shutdown(1); "
        "print(b''.join(iter(lambda: s.recv(999), b'')).decode())"
    )
    assert reached(await output(box, f'python3 -c "{half}"'))["path"] == "/half"


async def test_a_port_that_nobody_serves_ends_at_once(box: Sandbox) -> None:
    said = await output(box, 'curl -sS -m 60 http://allowed.test:9/ 2>&1; echo " $?"')
    # Whether the reset comes before it is seen that the connection stood is chance.
    assert said.split()[-1] in {"7", "52", "56"}


async def test_package_managers_install_from_their_registries(
    make: MakeProvider, gate_image: str, data_dir: Path
) -> None:
    """From the real ones, or what stands for them in this network."""
    trusted = set()
    for host in ("pypi.org", "files.pythonhosted.org", "registry.npmjs.org"):
        try:
            with socket.create_connection((host, 443), 10) as line:
                address = parse_address(line.getpeername()[0])
        except OSError:
            pytest.skip(f"{host} cannot be reached")
        assert address is not None
        if inward(address):
            trusted.add(f"{address}/{address.max_prefixlen}")
    gate = GateSettings(data_dir, gate_image, trusted=tuple(sorted(trusted)))
    owner = f"test-{secrets.token_hex(4)}"
    provider = make(owner=owner, gate=gate, limits=Limits(network="gate"))
    box = await provider.acquire(unrestricted())
    said = await output(
        box,
        "pip install --quiet six 2>&1 && "
        "python3 -c 'import six; print(six.__name__)'; "
        "cd /tmp && npm install --silent --no-audit --no-fund left-pad 2>&1 && "
        "node -e \"console.log(require('left-pad')('x', 3))\"",
    )
    assert said.split() == ["six", "x"], said
    await provider.close()
    await provider.sweep(())
