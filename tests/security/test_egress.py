"""What a sandbox with limited networking reaches, and what it is told of the rest (spec 3.3).

Against a real gate and real sandboxes, with hosts of our own; what must not be reached is asked
whether it was.
"""

from __future__ import annotations

import io
import secrets
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.docker_engine import MakeProvider, output
from tests.docker_gate import INSIDE, PRIVATE, Hosts, limited, reached

from freehold.ports.sandbox import Sandbox
from freehold.sandbox.docker import DockerSandboxProvider

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box(provider: DockerSandboxProvider) -> Sandbox:
    """One sandbox that may reach one host, and an address's worth of others."""
    return await provider.acquire(
        limited(allowed_hosts=["allowed.test", "*.allowed.test", INSIDE, "tls.test"])
    )


async def test_an_allowed_host_answers(box: Sandbox) -> None:
    for scheme in ("http", "https"):
        said = await output(box, f"curl -sS {scheme}://allowed.test/path?q=1")
        assert (reached(said)["reached"], reached(said)["path"]) == ("allowed.test", "/path?q=1")


async def test_another_host_is_refused_in_the_recorded_words(box: Sandbox, hosts: Hosts) -> None:
    before = len(hosts.heard(hosts.open))
    for scheme in ("http", "https"):
        said = await output(box, f"curl -sS -w ' %{{http_code}}' {scheme}://other.test/")
        assert said == "Host not in allowlist: other.test 403"
    assert len(hosts.heard(hosts.open)) == before


async def test_a_domain_is_matched_whatever_its_case(box: Sandbox) -> None:
    assert reached(await output(box, "curl -sS https://ALLOWED.Test/"))


async def test_a_wildcard_covers_every_depth_and_not_the_domain(
    provider: DockerSandboxProvider,
) -> None:
    box = await provider.acquire(limited(allowed_hosts=["*.Allowed.test"]))
    for host in ("sub.allowed.test", "deep.sub.allowed.test"):
        assert reached(await output(box, f"curl -sS https://{host}/"))["reached"] == host
    assert await output(box, "curl -sS https://allowed.test/") == (
        "Host not in allowlist: allowed.test"
    )


async def test_an_exact_host_does_not_cover_its_subdomains_nor_addresses(
    provider: DockerSandboxProvider, hosts: Hosts
) -> None:
    box = await provider.acquire(limited(allowed_hosts=["allowed.test"]))
    address = hosts.address(hosts.open)
    for host in ("sub.allowed.test", "notallowed.test", "allowed.test.other.test", address):
        said = await output(box, f"curl -sS http://{host}/; curl -sS https://{host}/")
        assert said == f"Host not in allowlist: {host}" * 2


async def test_an_address_is_allowed_by_itself(
    provider: DockerSandboxProvider, hosts: Hosts
) -> None:
    address = hosts.address(hosts.open)
    box = await provider.acquire(limited(allowed_hosts=[address]))
    assert reached(await output(box, f"curl -sS http://{address}/"))["reached"] == address
    # TLS without a name in it; the host has no certificate for its address.
    said = await output(box, f"curl -sSk -o /dev/null -w '%{{http_code}}' https://{address}/")
    assert said == "502"
    elsewhere = hosts.address(hosts.inside)
    assert await output(box, f"curl -sSk https://{elsewhere}/") == (
        f"Host not in allowlist: {elsewhere}"
    )
    assert "not in allowlist" in await output(box, "curl -sS http://allowed.test/")


async def test_an_empty_list_blocks_all_there_is(
    provider: DockerSandboxProvider, hosts: Hosts
) -> None:
    before = len(hosts.heard(hosts.open))
    box = await provider.acquire(limited())
    said = await output(
        box,
        "curl -sS http://allowed.test/; curl -sS https://allowed.test/; "
        "python3 -c \"import urllib.request as u; u.urlopen('https://tls.test')\" 2>&1 | tail -1; "
        "git ls-remote https://tls.test/x 2>&1 | head -1",
    )
    assert said.count("Host not in allowlist: allowed.test") == 2
    assert "HTTP Error 403: Forbidden" in said
    assert "Host not in allowlist: tls.test" in said
    assert len(hosts.heard(hosts.open)) == before


@pytest.mark.parametrize(
    "host",
    [
        INSIDE,
        *("10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.0.1", "169.254.169.254"),
        *("100.64.0.1", "198.18.0.1", "0.0.0.0", "240.0.0.1"),
    ],
)
async def test_private_ranges_are_refused_even_where_they_are_listed(
    provider: DockerSandboxProvider, hosts: Hosts, host: str
) -> None:
    listed = [INSIDE, "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.0.1", "169.254.169.254"]
    listed += ["100.64.0.1", "198.18.0.1", "0.0.0.0", "240.0.0.1"]
    box = await provider.acquire(limited("sesn_private", allowed_hosts=listed))
    said = await output(box, f"curl -sS --noproxy '*' -w ' %{{http_code}}' http://{host}/")
    if host == "0.0.0.0":
        # The sandbox itself, as everywhere.
        assert "Couldn't connect" in said or "Failed to connect" in said
    else:
        assert said == f"{PRIVATE} 403"
    assert hosts.heard(hosts.inside) == []


async def test_what_a_sandbox_says_of_addresses_does_not_matter(box: Sandbox, hosts: Hosts) -> None:
    """DNS spoofing: the gate looks the name up itself."""
    inside = hosts.address(hosts.inside)
    said = await output(box, f"curl -sS --resolve allowed.test:443:{inside} https://allowed.test/")
    assert reached(said)["reached"] == "allowed.test"
    said = await output(
        box, f"curl -sS --connect-to allowed.test:80:{inside}:80 http://allowed.test/"
    )
    assert reached(said)["reached"] == "allowed.test"
    assert hosts.heard(hosts.inside) == []


@pytest.mark.parametrize(
    "command",
    [
        "curl -sS https://allowed.test/ -H 'Host: other.test'",
        "curl -sS http://allowed.test/ -H 'Host: other.test'",
        "curl -sS http://allowed.test/ -H 'Host: allowed.test, other.test'",
        "curl -sS http://allowed.test/ -H 'Host: allowed.test@other.test'",
        "printf 'GET http://allowed.test/ HTTP/1.1\\r\\nHost: other.test"
        "\\r\\nConnection: close\\r\\n\\r\\n' "
        "| timeout 3 bash -c 'exec 3<>/dev/tcp/1.2.3.4/80; cat >&3; head -c 300 <&3'",
        "printf 'GET / HTTP/1.1\\r\\nHost: allowed.test\\r\\nHost: other.test"
        "\\r\\nConnection: close\\r\\n\\r\\n' "
        "| timeout 3 bash -c 'exec 3<>/dev/tcp/1.2.3.4/80; cat >&3; head -c 300 <&3'",
    ],
)
async def test_the_host_that_is_asked_for_decides(box: Sandbox, hosts: Hosts, command: str) -> None:
    """Domain fronting, and requests that name two hosts."""
    before = len(hosts.heard(hosts.open))
    said = await output(box, command)
    assert "Host not in allowlist: " in said or "400" in said
    assert len(hosts.heard(hosts.open)) == before


@pytest.mark.parametrize(
    "command",
    [
        # Other ports, of hosts that are allowed and of those that are not.
        "timeout 5 bash -c 'exec 3<>/dev/tcp/{open}/2222; head -c 3 <&3'",
        "curl -sS -m 5 http://allowed.test:8080/",
        "curl -sS -m 5 telnet://allowed.test:2222",
        "ssh -o StrictHostKeyChecking=no -o ConnectTimeout=5 -p 2222 x@allowed.test",
        # Neither HTTP nor TLS on the ports of the web.
        "printf 'SSH-2.0-x\\r\\n' | timeout 3 bash -c "
        "'exec 3<>/dev/tcp/{open}/80; cat >&3; head -c 60 <&3' | grep 220",
        # The gate is no proxy to be asked.
        "curl -sS -m 5 -x http://allowed.test:80 https://other.test/ -o /dev/null -f",
        "curl -sS -m 5 -x http://allowed.test:80 -p http://{open}:2222/ -f",
        # UDP, ICMP, IPv6.
        "python3 -c \"import socket; s=socket.socket(2,2); s.connect(('{open}',5353)); "
        "s.send(b'x'); s.send(b'x')\"",
        'python3 -c "import socket; s=socket.socket(2,2,1); s.settimeout(2); '
        "s.connect(('{open}',0)); s.send(b'\\x08\\0\\0\\0\\0\\0\\0\\1'); s.recv(9)\"",
        'python3 -c "import socket; socket.socket(2,3,1)"',
        'python3 -c "import socket; socket.socket(17,3,3)"',
        "curl -sS -m 5 -6 'http://[2001:4860:4860::8888]/'",
        "curl -sS -m 5 'http://[::ffff:{inside}]:8080/'",
        # The machine, its engine, and this very server's usual port.
        "curl -sS -m 5 http://172.17.0.1:2375/",
        "curl -sS -m 5 http://{gateway}:8787/",
        # Undoing it.
        "ip route add default via {gateway} || iptables -F || nft flush ruleset || exit 1",
        "unshare -Urn true && nsenter -t 1 -n true",
    ],
)
async def test_all_else_gets_nowhere(box: Sandbox, hosts: Hosts, command: str) -> None:
    before = [len(hosts.heard(one)) for one in (hosts.open, hosts.inside)]
    address = hosts.address(hosts.open)
    filled = command.replace("{open}", address).replace("{inside}", hosts.address(hosts.inside))
    filled = filled.replace("{gateway}", address.rsplit(".", 1)[0] + ".1")
    said = await output(
        box, f'({filled}) >/tmp/said 2>&1 </dev/null; echo "exit $?"; cat /tmp/said'
    )
    assert not said.startswith("exit 0"), said
    assert [len(hosts.heard(one)) for one in (hosts.open, hosts.inside)] == before


async def test_names_lead_nowhere_and_are_never_looked_up(box: Sandbox, hosts: Hosts) -> None:
    """DNS tunnels: a name that exists is answered as one that does not."""
    secret = secrets.token_hex(20)
    for name in (INSIDE, "allowed.test", f"{secret}.tunnel.test"):
        assert (await output(box, f"getent ahostsv4 {name} | head -1")).startswith("198.18.0.1")
    asked = (
        "import socket,struct; s=socket.socket(2,2); s.settimeout(60); "
        f"s.connect(('{hosts.address(hosts.open)}',53)); "
        "q=b''.join(bytes([len(p)])+p for p in b'{name}'.split(b'.'))+b'\\0'; "
        "s.send(b'ab\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0'+q+struct.pack('!HH',16,1)); "
        "r=s.recv(999); print(struct.unpack('!HHHH', r[4:12]), r[3]&15)"
    ).replace("{name}", f"{secret}.tunnel.test")
    assert await output(box, f'python3 -c "{asked}"') == "(1, 0, 0, 0) 0"


async def test_there_is_no_network_but_loopback(box: Sandbox) -> None:
    said = await output(box, "ls /sys/class/net; cat /proc/net/if_inet6 | grep -v ' lo$'")
    assert said.split() == [name for name in said.split() if name in {"lo", "tunl0", "ip6tnl0"}]
    said = await output(box, "grep CapEff /proc/self/status; env | grep -i _proxy")
    assert said.split() == ["CapEff:", "0000000000000000"]


async def test_a_host_that_cannot_prove_itself_is_not_reached(
    provider: DockerSandboxProvider,
) -> None:
    box = await provider.acquire(limited(allowed_hosts=["other.test"]))
    assert (
        await output(box, "curl -sSk -o /dev/null -w '%{http_code}' https://other.test/") == "502"
    )


async def test_bodies_of_any_size_pass_and_those_of_refused_requests_do_no_harm(
    box: Sandbox,
) -> None:
    send = "head -c 60000000 /dev/zero | curl -sS -X POST -H 'Expect:' -T - "
    assert (
        reached(
            await output(
                box,
                f"{send} -H 'Transfer-Encoding:' -H 'Content-Length: 60000000' https://allowed.test/",
            )
        )["size"]
        == 60_000_000
    )
    said = await output(box, f"{send} -w '%{{http_code}}' -o /dev/null https://other.test/")
    assert "200" not in said
    assert reached(await output(box, "curl -sS https://allowed.test/"))


async def test_package_managers_python_and_node_trust_the_gate(box: Sandbox) -> None:
    said = await output(
        box,
        "python3 -c \"import urllib.request as u; print(u.urlopen('https://tls.test/py').read())\";"
        "node -e \"fetch('https://tls.test/node').then(r => r.text()).then(console.log)\"; "
        "git ls-remote https://tls.test/git 2>&1 | tail -1; "
        "pip download --no-deps -i https://tls.test/simple nothing 2>&1 | tail -1",
    )
    assert "/py" in said
    assert "/node" in said
    assert "certificate" not in said.lower()


async def test_mcp_servers_and_package_managers_are_opened_by_their_switches(
    make: MakeProvider, hosts: Hosts, data_dir: Path
) -> None:
    provider = make(gate=hosts.settings(data_dir, package_hosts=("sub.allowed.test",)))
    closed = await provider.acquire(limited(mcp=("tls.test",)))
    opened = await provider.acquire(
        limited(mcp=("tls.test",), allow_mcp_servers=True, allow_package_managers=True)
    )
    for host in ("tls.test", "sub.allowed.test"):
        assert "not in allowlist" in await output(closed, f"curl -sS https://{host}/")
        assert reached(await output(opened, f"curl -sS https://{host}/"))["reached"] == host


async def test_the_policy_is_read_for_each_request(provider: DockerSandboxProvider) -> None:
    box = await provider.acquire(limited("sesn_policy", allowed_hosts=["allowed.test"]))
    assert reached(await output(box, "curl -sS https://allowed.test/"))
    again = await provider.acquire(limited("sesn_policy", allowed_hosts=["tls.test"]))
    assert again is box
    assert "not in allowlist" in await output(box, "curl -sS https://allowed.test/")
    assert reached(await output(box, "curl -sS https://tls.test/"))


async def test_hosts_of_package_managers_are_read_from_the_image(
    docker_client: Any, docker_image: str
) -> None:
    from freehold.sandbox.docker.packages.hosts import read_package_hosts

    tag = f"freehold-sandbox:test-{secrets.token_hex(4)}"
    lines = [
        f"FROM {docker_image}",
        "USER root",
        "RUN printf '[global]\\nindex-url = https://pip.mirror.test/simple\\n' > /etc/pip.conf",
        "RUN printf '@own:registry=https://npm.mirror.test/\\n' > /home/agent/.npmrc",
        "RUN rm -f /etc/apt/sources.list /etc/apt/sources.list.d/* && "
        "echo 'deb http://apt.mirror.test/debian stable main' > /etc/apt/sources.list",
        "RUN printf '[registries.own]\\nindex = \"sparse+https://cargo.mirror.test/x/\"\\n' "
        "> /home/agent/.cargo/config.toml",
        "ENV PIP_EXTRA_INDEX_URL=https://extra.mirror.test/simple NPM_CONFIG_REGISTRY=",
        "USER 1000:1000",
    ]
    docker_client.images.build(fileobj=io.BytesIO("\n".join(lines).encode()), tag=tag, rm=True)
    try:
        found = read_package_hosts(docker_client, tag, f"test-{secrets.token_hex(4)}")
    finally:
        docker_client.images.remove(tag, force=True)
    expected = {f"{name}.mirror.test" for name in ("pip", "extra", "npm", "apt", "cargo")}
    assert expected <= set(found)
    assert not {host for host in found if "pypi" in host or "pythonhosted" in host}
