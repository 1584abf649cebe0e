"""Secrets go out with a sandbox's requests and are nowhere inside (spec 14.4).

Against a real gate, real sandboxes and hosts of our own, which say what reached them.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.docker_engine import MakeProvider, container_of, output, providers
from tests.docker_gate import Hosts, reached

from freehold.ports.egress import Grants, Injection, Variable
from freehold.ports.sandbox import Sandbox, SandboxSpec
from freehold.sandbox.docker import DockerSandboxProvider

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]

SHOWN = "fhsecret_" + "a1B2" * 10
VALUE = "real-value+of/the=secret"
UNRESTRICTED: dict[str, Any] = {"type": "unrestricted"}
LIMITED: dict[str, Any] = {"type": "limited", "allowed_hosts": ["allowed.test", "tls.test"]}


def variable(**changes: Any) -> Variable:
    chosen = {
        "name": "TOKEN",
        "placeholder": SHOWN,
        "value": VALUE,
        "hosts": ("allowed.test",),
        "header": True,
        "body": True,
    }
    return Variable(**{**chosen, **changes})


class Granting:
    """What a session is given; changes as a credential does."""

    def __init__(self, *variables: Variable, injections: tuple[Injection, ...] = ()) -> None:
        self.now = Grants(variables, injections)

    async def __call__(self) -> Grants:
        return self.now


def spec(granting: Granting, networking: dict[str, Any] = LIMITED) -> SandboxSpec:
    config = {"type": "cloud", "networking": networking}
    return SandboxSpec(f"sesn_{secrets.token_hex(6)}", config, grants=granting)


def got(hosts: Hosts) -> list[dict[str, Any]]:
    """What the host was sent by requests that asked for that to be kept, the newest last."""
    lines = [line for line in hosts.heard(hosts.open) if line.startswith("GOT ")]
    return [json.loads(line.removeprefix("GOT ")) for line in lines]


def headers(request: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in dict(request["headers"]).items()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def make(docker_image: str) -> AsyncIterator[MakeProvider]:
    async with providers(docker_image) as made:
        yield made


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(make: MakeProvider, hosts: Hosts, data_dir: Path) -> DockerSandboxProvider:
    return make(gate=hosts.settings(data_dir))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box(provider: DockerSandboxProvider) -> Sandbox:
    """May reach two hosts, one of which the secret is for."""
    return await provider.acquire(spec(Granting(variable())))


CURL = "curl -sS -H 'X-Record: 1' "


async def test_the_sandbox_has_the_placeholder_and_nothing_else(
    box: Sandbox, docker_client: Any
) -> None:
    assert await output(
        box, "echo $TOKEN; python3 -c 'import os; print(os.environ[\"TOKEN\"])'"
    ) == (f"{SHOWN}\n{SHOWN}")
    await output(box, "bash -c 'exit 7' || true; cd /tmp && kill -9 $$ || true")
    assert await output(box, "echo $TOKEN") == SHOWN  # in another shell too
    container = container_of(docker_client, box)
    spied = await output(box, "cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'")
    for place in (json.dumps(container.attrs), spied):
        assert VALUE not in place
        assert base64.b64encode(VALUE.encode()).decode()[:-4] not in place


async def test_a_header_is_filled_in_over_tls_alone(box: Sandbox, hosts: Hosts) -> None:
    said = reached(await output(box, CURL + '-H "X-Key: Bearer $TOKEN" https://allowed.test/'))
    assert headers(got(hosts)[-1])["x-key"] == f"Bearer {VALUE}"
    assert headers(said)["x-key"] == f"Bearer {SHOWN}"  # in the echo it is hidden again
    await output(box, CURL + '-H "X-Key: Bearer $TOKEN" http://allowed.test/')
    assert headers(got(hosts)[-1])["x-key"] == f"Bearer {SHOWN}"


async def test_another_host_gets_the_placeholder(box: Sandbox, hosts: Hosts) -> None:
    said = await output(box, CURL + '-H "X-Key: $TOKEN" -d "key=$TOKEN" https://tls.test/')
    assert headers(reached(said))["x-key"] == SHOWN
    request = got(hosts)[-1]
    assert (headers(request)["x-key"], request["body"]) == (SHOWN, f"key={SHOWN}")


async def test_basic_authentication_is_filled_in(box: Sandbox, hosts: Hosts) -> None:
    said = await output(box, CURL + '-u "me:$TOKEN" https://allowed.test/')
    sent = headers(got(hosts)[-1])["authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")) == f"me:{VALUE}".encode()
    shown = headers(reached(said))["authorization"]
    assert base64.b64decode(shown.removeprefix("Basic ")) == f"me:{SHOWN}".encode()


async def test_a_body_is_filled_in_and_its_length_is_right(box: Sandbox, hosts: Hosts) -> None:
    url = "https://allowed.test/"
    await output(box, CURL + f'--json "{{\\"key\\": \\"$TOKEN\\"}}" {url}')
    request = got(hosts)[-1]
    assert json.loads(request["body"]) == {"key": VALUE}
    assert int(headers(request)["content-length"]) == request["size"] == len(request["body"])
    await output(box, CURL + f'--data-urlencode "key=$TOKEN" {url}')
    assert got(hosts)[-1]["body"] == "key=real-value%2Bof%2Fthe%3Dsecret"
    await output(box, CURL + f'-F "key=$TOKEN" {url}')
    assert f"\r\n\r\n{VALUE}\r\n" in got(hosts)[-1]["body"]


async def test_a_body_that_comes_in_pieces_is_filled_in_across_them(
    box: Sandbox, hosts: Hosts
) -> None:
    # The placeholder is cut anywhere, and each piece is sent for itself.
    program = """
import http.client, os, ssl, time
token = os.environ["TOKEN"].encode()
line = http.client.HTTPSConnection("allowed.test")
def pieces():
    for piece in (b"<", token[:3], token[3:20], token[20:] + b"|" + token[:-1], token[-1:], b">"):
        yield piece
        time.sleep(0.05)
line.request("POST", "/", pieces(), {"X-Record": "1"}, encode_chunked=True)
print(line.getresponse().read().decode())
"""
    program = program.replace("'", '"')
    said = await output(box, f"python3 - <<'EOF'\n{program}\nEOF")
    assert got(hosts)[-1]["body"] == f"<{VALUE}|{VALUE}>"
    assert reached(said)["body"] == f"<{SHOWN}|{SHOWN}>"


async def test_a_large_body_streams_and_loses_no_byte(box: Sandbox, hosts: Hosts) -> None:
    program = """
import os
token = os.environ["TOKEN"].encode()
with open("/tmp/large", "wb") as file:
    for number in range(3000):
        file.write(b"%05d" % number + b"x" * 10000 + token)
"""
    await output(box, f"python3 - <<'EOF'\n{program}\nEOF")
    said = await output(box, CURL + "-T /tmp/large https://allowed.test/")
    request = got(hosts)[-1]
    assert request["size"] == reached(said)["size"] == 3000 * (10005 + len(VALUE))
    assert request["body"].startswith("00000" + "x" * 10000 + VALUE + "00001")
    assert "content-length" not in headers(request)


@pytest.mark.parametrize("place", ["header", "body"])
async def test_only_in_the_places_that_are_enabled(
    provider: DockerSandboxProvider, hosts: Hosts, place: str
) -> None:
    wanted = spec(Granting(variable(header=place == "header", body=place == "body")))
    box = await provider.acquire(wanted)
    await output(box, CURL + '-H "X-Key: $TOKEN" -d "$TOKEN" https://allowed.test/$TOKEN')
    request = got(hosts)[-1]
    expected = (VALUE, SHOWN) if place == "header" else (SHOWN, VALUE.replace("+", "%2B"))
    expected = (expected[0], expected[1].replace("/", "%2F").replace("=", "%3D"))
    assert (headers(request)["x-key"], request["body"]) == expected
    assert hosts.heard(hosts.open)[-2].endswith(f"/{SHOWN}")  # never in a URL
    await provider.remove(wanted.session_id)


async def test_a_change_is_in_force_for_the_next_request(
    provider: DockerSandboxProvider, hosts: Hosts
) -> None:
    granting = Granting(variable())
    wanted = spec(granting)
    box = await provider.acquire(wanted)
    send = CURL + f'-H "X-Key: {SHOWN}" https://allowed.test/'
    await output(box, send)
    granting.now = Grants((variable(value="rotated-value"),))
    await provider.regrant(wanted.session_id)
    await output(box, send)
    granting.now = Grants((variable(hosts=("tls.test",)),))
    await provider.regrant(wanted.session_id)
    await output(box, send)
    granting.now = Grants()
    await provider.regrant(wanted.session_id)
    await output(box, send)
    sent = [headers(request)["x-key"] for request in got(hosts)[-4:]]
    assert sent == [VALUE, "rotated-value", SHOWN, SHOWN]
    # A shell that runs has a new variable, and one that was withdrawn no more.
    assert await output(box, "echo ${TOKEN-none}") == "none"
    granting.now = Grants((variable(name="OTHER"),))
    await provider.regrant(wanted.session_id)
    assert await output(box, "echo $OTHER; env | grep -c ^OTHER=") == f"{SHOWN}\n1"
    await provider.remove(wanted.session_id)


async def test_one_connection_sees_the_change_between_two_requests(
    provider: DockerSandboxProvider, hosts: Hosts
) -> None:
    granting = Granting(variable())
    wanted = spec(granting)
    box = await provider.acquire(wanted)
    program = """
import http.client, os, time
line = http.client.HTTPSConnection("allowed.test")
for number in range(2):
    line.request("GET", "/", headers={"X-Record": "1", "X-Key": os.environ["TOKEN"]})
    line.getresponse().read()
    open(f"/tmp/did{number}", "w").close()
    while number == 0 and not os.path.exists("/tmp/go"):
        time.sleep(0.05)
"""
    await output(box, f"cat > /tmp/two.py <<'EOF'\n{program}\nEOF\npython3 /tmp/two.py &")
    await output(box, "until [ -e /tmp/did0 ]; do sleep 0.1; done")
    granting.now = Grants((variable(value="second-value"),))
    await provider.regrant(wanted.session_id)
    await output(box, "touch /tmp/go; until [ -e /tmp/did1 ]; do sleep 0.1; done")
    assert [headers(request)["x-key"] for request in got(hosts)[-2:]] == [VALUE, "second-value"]
    await provider.remove(wanted.session_id)


async def test_fronting_gives_the_secret_to_nobody(box: Sandbox, hosts: Hosts) -> None:
    """One name in TLS, another in the request: both are allowed, one has the secret."""
    before = len(got(hosts))
    for seen, asked in (("tls.test", "allowed.test"), ("allowed.test", "tls.test")):
        said = await output(
            box, CURL + f'-H "X-Key: $TOKEN" -H "Host: {asked}" https://{seen}/ || true'
        )
        assert VALUE not in said
    assert all(headers(request)["x-key"] == SHOWN for request in got(hosts)[before:])


async def test_under_unrestricted_only_hosts_with_secrets_are_opened(
    provider: DockerSandboxProvider, hosts: Hosts
) -> None:
    wanted = spec(Granting(variable()), UNRESTRICTED)
    box = await provider.acquire(wanted)
    await output(box, CURL + '-H "X-Key: $TOKEN" https://allowed.test/')
    assert headers(got(hosts)[-1])["x-key"] == VALUE
    # Here the host itself is seen, with a certificate that the sandbox knows nothing of.
    said = await output(box, CURL + '-H "X-Key: $TOKEN" https://tls.test/')
    assert "certificate" in said
    issuer = "curl -sSkv https://{} 2>&1 | grep -i 'issuer:'"
    assert "hosts" in await output(box, issuer.format("tls.test"))
    assert "Freehold" in await output(box, issuer.format("allowed.test"))
    await output(box, CURL + '-k -H "X-Key: $TOKEN" https://tls.test/')
    assert headers(got(hosts)[-1])["x-key"] == SHOWN
    assert await output(box, "curl -sS https://10.0.0.1/") == (
        "Destination IP is in a private/reserved range"
    )
    await provider.remove(wanted.session_id)


async def test_a_header_is_injected_below_one_path(
    provider: DockerSandboxProvider, hosts: Hosts
) -> None:
    token = "ghs_" + "z" * 20
    value = "Basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()
    injection = Injection("https", "sub.allowed.test", 443, "/me/repo.git", "Authorization", value)
    wanted = spec(Granting(injections=(injection,)))
    box = await provider.acquire(wanted)
    url = "https://sub.allowed.test"
    said = await output(box, CURL + f"{url}/me/repo.git/info/refs?service=git-upload-pack")
    assert headers(got(hosts)[-1])["authorization"] == value
    assert (token in said, value[6:] in said, "[redacted]" in said) == (False, False, True)
    assert await output(box, CURL + f"{url}/me/other.git/info/refs") == (
        "Host not in allowlist: sub.allowed.test"
    )
    said = await output(box, CURL + f"--path-as-is {url}/me/repo.git/../other.git/info/refs")
    assert said == "Host not in allowlist: sub.allowed.test"
    await provider.remove(wanted.session_id)


async def test_another_server_must_grant_anew(
    make: MakeProvider, hosts: Hosts, data_dir: Path
) -> None:
    """What changed while no server ran is not in force afterwards."""
    owner = f"test-{secrets.token_hex(4)}"
    wanted = spec(Granting(variable()))
    first = make(owner=owner, gate=hosts.settings(data_dir))
    box = await first.acquire(wanted)
    (name,) = (await output(box, "echo $HOSTNAME")).split()
    loop = "while sleep 0.2; do [ -e /tmp/now ] && " + CURL
    loop += f'-H "X-Key: {SHOWN}" https://allowed.test/ && rm /tmp/now && touch /tmp/did; done'
    await output(box, f"({loop}) >/dev/null 2>&1 & echo")
    await first.close()
    second = make(owner=owner, gate=hosts.settings(data_dir))
    assert second.gate is not None
    await second.gate.reclaim()
    plain = SandboxSpec(wanted.session_id, wanted.environment)
    box = await second.acquire(plain)
    assert await output(box, "echo $HOSTNAME") == name
    await output(box, "touch /tmp/now; until [ -e /tmp/did ]; do sleep 0.1; done")
    assert headers(got(hosts)[-1])["x-key"] == SHOWN
    await second.sweep(())  # the gate, too


async def test_the_gate_keeps_no_secret_but_in_memory(
    box: Sandbox, provider: DockerSandboxProvider, docker_client: Any
) -> None:
    await output(box, 'curl -sS -H "X-Key: $TOKEN" https://allowed.test/')
    (gate,) = docker_client.containers.list(
        filters={"label": [f"dev.freehold.owner={provider.owner}", "dev.freehold.gate=gate"]}
    )
    files = b"".join(gate.get_archive("/run/freehold-gate")[0])
    spied = gate.exec_run(
        ["sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /tmp/* /tmp/*/* 2>/dev/null"]
    ).output
    for place in (json.dumps(gate.attrs).encode(), gate.logs(), files, spied):
        assert VALUE.encode() not in place
    assert b"PATH=" in spied  # it could look
