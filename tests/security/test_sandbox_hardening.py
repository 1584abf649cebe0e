"""A running sandbox is what ``docs/SECURITY.md`` says it is: seen from outside and from inside."""

from __future__ import annotations

import os
import secrets
import shlex
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from docker import DockerClient
from tests.docker_engine import container_of, output, providers, run, text_of

from freehold.errors import ConfigurationError, SandboxLost
from freehold.ports.sandbox import Sandbox, SandboxSpec
from freehold.sandbox.docker import DockerSandboxProvider, Limits
from freehold.sandbox.docker.hardening import REASONS, host_options
from freehold.toolbox.shell import OUTPUT_LIMIT, TRUNCATED

SECURITY = Path(__file__).parents[2] / "docs" / "SECURITY.md"

CANARY = f"canary{secrets.token_hex(16)}"

pytestmark = pytest.mark.asyncio(loop_scope="module")
docker = pytest.mark.docker


@pytest.fixture(scope="module")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A secret in the server process's environment and in its data directory."""
    data_dir = tmp_path_factory.mktemp("data")
    (data_dir / "freehold.db").write_text(CANARY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTHROPIC_API_KEY", CANARY)
        patch.setenv("FREEHOLD_API_KEYS", CANARY)
        yield data_dir


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(docker_image: str, canaries: Path) -> AsyncIterator[Sandbox]:
    """One sandbox with the default limits, for the tests that leave it as it was."""
    async with providers(docker_image) as make:
        yield await make().acquire(SandboxSpec(session_id="sesn_hardening"))


@pytest.fixture(scope="module")
def inspected(docker_client: DockerClient, sandbox: Sandbox) -> dict[str, Any]:
    """What the engine says about that sandbox's container."""
    attributes: dict[str, Any] = container_of(docker_client, sandbox).attrs
    return attributes


# --- the table


async def test_every_flag_has_its_reason_and_stands_in_the_document() -> None:
    flags = {*host_options(Limits(runtime="runsc")), "user"}
    assert flags == set(REASONS)
    document = SECURITY.read_text()
    for name, reason in REASONS.items():
        assert f"| `{name}` | {reason} |" in document


async def test_the_hosts_network_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="FREEHOLD_SANDBOX_NETWORK"):
        DockerSandboxProvider(owner="x", limits=Limits(network="host"))


# --- seen from outside


@docker
async def test_the_engine_confirms_each_flag(inspected: dict[str, Any]) -> None:
    host, config = inspected["HostConfig"], inspected["Config"]
    ulimits = {u["Name"]: (u["Soft"], u["Hard"]) for u in host["Ulimits"]}
    assert {
        "init": host["Init"],
        "user": config["User"],
        "privileged": host["Privileged"],
        "cap_drop": host["CapDrop"],
        "cap_add": host["CapAdd"] or [],
        "security_opt": host["SecurityOpt"],
        "pids_limit": host["PidsLimit"],
        "mem_limit": host["Memory"],
        "memswap_limit": host["MemorySwap"],
        "nano_cpus": host["NanoCpus"],
        "shm_size": host["ShmSize"],
        "ulimits": ulimits,
        "ipc_mode": host["IpcMode"],
        "cgroupns": host["CgroupnsMode"],
        "oom_score_adj": host["OomScoreAdj"],
        "network_mode": host["NetworkMode"],
        "restart_policy": host["RestartPolicy"]["Name"],
        "log_config": host["LogConfig"]["Type"],
        "binds": host["Binds"] or [],
        "port_bindings": host["PortBindings"] or {},
    } == {
        "init": True,
        "user": "1000:1000",
        "privileged": False,
        "cap_drop": ["ALL"],
        "cap_add": [],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": 512,
        "mem_limit": 2 * 1024**3,
        "memswap_limit": 2 * 1024**3,
        "nano_cpus": 1_000_000_000,
        "shm_size": 64 * 1024**2,
        "ulimits": {"nofile": (4096, 4096), "core": (0, 0)},
        "ipc_mode": "private",
        "cgroupns": "private",
        "oom_score_adj": 500,
        "network_mode": "bridge",
        "restart_policy": "no",
        "log_config": "none",
        "binds": [],
        "port_bindings": {},
    }
    assert inspected["Mounts"] == []
    assert (host["PidMode"], host["UTSMode"], host["UsernsMode"]) == ("", "", "")
    assert not host["Devices"]


@docker
async def test_the_containers_definition_holds_nothing_of_the_server(
    inspected: dict[str, Any],
) -> None:
    assert CANARY not in repr(inspected)


# --- seen from inside


@docker
async def test_processes_have_no_privileges_and_cannot_gain_any(sandbox: Sandbox) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in (await output(sandbox, "cat /proc/self/status")).splitlines()
        if ":\t" in line
    )
    none = "0000000000000000"
    assert [status[f"Cap{kind}"] for kind in ("Eff", "Prm", "Inh", "Bnd", "Amb")] == [none] * 5
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert status["Uid"].split() == ["1000"] * 4
    assert status["Gid"].split() == ["1000"] * 4
    assert int(await output(sandbox, "cat /proc/self/oom_score_adj")) >= 500
    assert await output(sandbox, "ulimit -n; ulimit -c") == "4096\n0"


@docker
async def test_no_setuid_file_is_left(sandbox: Sandbox) -> None:
    assert await output(sandbox, "find / -xdev -perm /6000 -type f 2>/dev/null; echo end") == "end"


@docker
async def test_a_setuid_program_gains_nothing(
    docker_client: DockerClient, sandbox: Sandbox
) -> None:
    container = container_of(docker_client, sandbox)
    made, said = container.exec_run(
        ["sh", "-c", "cp /usr/bin/id /opt/freehold/id && chmod 4755 /opt/freehold/id"],
        user="0:0",
    )
    assert made == 0, said
    assert await output(sandbox, "stat -c %u:%a /opt/freehold/id") == "0:4755"
    assert await output(sandbox, "/opt/freehold/id -u") == "1000"
    container.exec_run(["rm", "/opt/freehold/id"], user="0:0")


@docker
async def test_the_engines_socket_is_nowhere(sandbox: Sandbox) -> None:
    found = await output(
        sandbox, "find / -xdev \\( -name '*docker*.sock' -o -name 'containerd*.sock' \\) 2>&1"
    )
    assert ".sock" not in found.replace("toolbox.sock", "")
    assert "docker" not in await output(sandbox, "cat /proc/net/unix")


@docker
async def test_the_servers_secrets_cannot_be_read(sandbox: Sandbox, canaries: Path) -> None:
    assert os.environ["ANTHROPIC_API_KEY"] == CANARY
    assert (canaries / "freehold.db").read_text() == CANARY
    # In two pieces, or the journal of this very command would be found.
    needle = f'needle="{CANARY[:12]}""{CANARY[12:]}"; '
    # Each search also looks for what it must find, to show that it works.
    found = await output(
        sandbox,
        needle + "for f in /proc/[0-9]*/environ; do tr '\\0' '\\n' < $f; done 2>/dev/null | "
        'grep -e "$needle" -e ^VIRTUAL_ENV= | sort -u',
    )
    assert found == "VIRTUAL_ENV=/home/agent/.venv"
    found = await output(
        sandbox,
        needle + f"mkdir -p /workspace/here && printf %s {CANARY[::-1]} > /workspace/here/file; "
        f'grep -rlsF -e "$needle" -e {CANARY[::-1][:20]}""{CANARY[::-1][20:]} '
        "/workspace /etc /home /mnt /opt /root /run /srv /tmp /var",
    )
    assert found.splitlines()[0:1] == ["/workspace/here/file"]
    assert all(
        line.startswith(("/workspace/here", "/var/lib/freehold")) for line in found.splitlines()
    )
    assert "no such data" in await output(
        sandbox, f"ls {shlex.quote(str(canaries))} 2>/dev/null || echo no such data"
    )
    assert CANARY not in await output(sandbox, "env; cat /proc/1/cmdline")


@docker
async def test_what_listens_on_the_servers_loopback_is_out_of_reach(sandbox: Sandbox) -> None:
    accepted = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def accept() -> None:
            listener.settimeout(60)
            while True:
                try:
                    peer, address = listener.accept()
                except OSError:
                    return
                peer.close()
                if address[0] != "127.0.0.1" or address[1] != ours:
                    accepted.set()

        probe = socket.socket()
        probe.bind(("127.0.0.1", 0))
        ours = probe.getsockname()[1]
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        with probe:
            probe.connect(("127.0.0.1", port))  # It listens indeed.
        for host in ("127.0.0.1", "host.docker.internal", "$(ip route | head -1)", "172.17.0.1"):
            command = f"curl -s -m 2 http://{host}:{port}/ >/dev/null; echo status $?"
            assert "status 0" not in await output(sandbox, command)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert not accepted.is_set()


# --- limits


SMALL = Limits(memory="128m", pids=64)


async def still_works(
    provider: DockerSandboxProvider, session_id: str, sandbox: Sandbox
) -> Sandbox:
    """The sandbox after a blow: the same one, or the one that acquiring again gives."""
    try:
        assert await output(sandbox, "echo alive") == "alive"
    except SandboxLost:
        sandbox = await provider.acquire(SandboxSpec(session_id=session_id))
        assert await output(sandbox, "echo alive") == "alive"
    return sandbox


@docker
async def test_a_fork_bomb_is_contained(docker_image: str) -> None:
    bomb = """
import os, time
born = []
try:
    while True:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        born.append(child)
except BlockingIOError:
    print("stopped at", len(born))
for child in born:
    os.kill(child, 9)
    os.waitpid(child, 0)
"""
    async with providers(docker_image) as make:
        provider = make(limits=SMALL)
        sandbox = await provider.acquire(SandboxSpec(session_id="bomb"))
        said = await output(sandbox, f"python3 -c {shlex.quote(bomb)}")
        assert "stopped at" in said
        assert 0 < int(said.split("stopped at ", 1)[1].split()[0]) < SMALL.pids
        await still_works(provider, "bomb", sandbox)


@docker
async def test_a_memory_bomb_ends_in_its_own_container(docker_image: str) -> None:
    async with providers(docker_image) as make:
        provider = make(limits=SMALL)
        sandbox = await provider.acquire(SandboxSpec(session_id="memory"))
        await sandbox.write_file("/workspace/kept", b"kept")
        try:
            outcome = await run(sandbox, "python3 -c 'x = bytearray(1 << 30); print(len(x))'")
        except SandboxLost:
            pass  # The kernel chose the toolbox: the sandbox is lost, and said to be.
        else:
            assert str(1 << 30) not in text_of(outcome)
        sandbox = await still_works(provider, "memory", sandbox)
        assert await sandbox.read_file("/workspace/kept") == b"kept"


@docker
async def test_runaway_output_stays_inside(sandbox: Sandbox) -> None:
    outcome = await run(sandbox, "head -c 300000000 /dev/zero | tr '\\0' x")
    assert len(text_of(outcome)) <= OUTPUT_LIMIT + len(TRUNCATED)
    assert await output(sandbox, "echo alive") == "alive"


@docker
async def test_root_inside_is_a_setting(docker_image: str) -> None:
    async with providers(docker_image) as make:
        sandbox = await make(limits=Limits(root=True)).acquire(SandboxSpec(session_id="root"))
        assert await output(sandbox, "id -u") == "0"
        assert (
            await output(sandbox, "touch /usr/bin/mine && apt-get --version | head -c 3") == "apt"
        )
        assert "NoNewPrivs:\t1" in await output(sandbox, "cat /proc/self/status")


# --- installing without root


@docker
@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("command -v python3 pip", "/home/agent/.venv/bin/python3\n/home/agent/.venv/bin/pip"),
        ("npm prefix --global", "/home/agent/.npm-global"),
        (
            "echo $CARGO_HOME $GOPATH $GEM_HOME",
            "/home/agent/.cargo /home/agent/go /home/agent/.gem",
        ),
        ("bash -lc 'command -v pip'", "/home/agent/.venv/bin/pip"),
    ],
)
async def test_package_managers_write_to_the_agents_home(
    question: str, answer: str, sandbox: Sandbox
) -> None:
    assert await output(sandbox, question) == answer


@docker
async def test_each_prefix_is_writable_and_its_programs_are_found(sandbox: Sandbox) -> None:
    for folder in ("$CARGO_HOME/bin", "$GOPATH/bin", "$GEM_HOME/bin", "$HOME/.local/bin"):
        name = f"prog{secrets.token_hex(4)}"
        command = (
            f"printf '#!/bin/sh\\necho hi' > {folder}/{name}; chmod +x {folder}/{name}; {name}"
        )
        assert await output(sandbox, command) == "hi"


@docker
async def test_pip_and_npm_install_without_root(sandbox: Sandbox) -> None:
    wheel = """
import zipfile
with zipfile.ZipFile("greet-1-py3-none-any.whl", "w") as w:
    w.writestr("greet.py", "def main():\\n    print('hello from pip')\\n")
    w.writestr("greet-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: greet\\nVersion: 1\\n")
    w.writestr("greet-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n"
               "Tag: py3-none-any\\n")
    w.writestr("greet-1.dist-info/entry_points.txt", "[console_scripts]\\ngreet = greet:main\\n")
    w.writestr("greet-1.dist-info/RECORD", "")
"""
    await sandbox.write_file("/workspace/wheel/make.py", wheel.encode())
    said = await output(
        sandbox, "(cd wheel && python3 make.py && pip install -q --no-index ./*.whl && greet)"
    )
    assert said == "hello from pip"
    await sandbox.write_file(
        "/workspace/hail/package.json", b'{"name":"hail","version":"1.0.0","bin":{"hail":"x.js"}}'
    )
    await sandbox.write_file(
        "/workspace/hail/x.js", b"#!/usr/bin/env node\nconsole.log('hello from npm')\n"
    )
    said = await output(
        sandbox,
        "npm install --global --offline --silent ./hail >/dev/null && command -v hail && hail",
    )
    assert said == "/home/agent/.npm-global/bin/hail\nhello from npm"


@docker
async def test_packages_come_from_their_registries_with_the_images_certificates(
    sandbox: Sandbox,
) -> None:
    said = await output(
        sandbox,
        "pip install -q --no-deps --retries 2 --timeout 20 --target /tmp/p six 2>&1 && ls /tmp/p",
    )
    if any(sign in said for sign in ("Could not find a version", "Connection", "resolution")):
        reason = "certificate" if "CERTIFICATE_VERIFY_FAILED" in said else "route or registry"
        pytest.skip(f"containers here have no {reason} for the Python package index")
    assert "six.py" in said
