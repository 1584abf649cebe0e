"""Ways out of a sandbox, tried from inside a live one.

Each attempt is a command that exits with 0 if it got out. The same commands run in a container
that is weak on purpose (privileged, root, the host's processes, the engine's socket), where they
must succeed: an attempt that can only fail would prove nothing. None does harm where it succeeds:
what would be written to is opened and left alone, and calls get arguments that the kernel refuses
once it has granted the right to call.

What the network must not give away is in ``test_egress.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shlex
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from docker import DockerClient
from tests.docker_engine import container_of, output, providers, run, text_of

from freehold.errors import SandboxError, SandboxLost
from freehold.ports.sandbox import Placed, Root, Sandbox, SandboxSpec
from freehold.sandbox.docker import DockerSandboxProvider

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.docker]


def _python(code: str) -> str:
    return f"python3 -c {shlex.quote('import ctypes, os, socket, sys; ' + code)}"


def _call(number: int, *arguments: str, refused: str = "(1,)") -> str:
    """A call of the kernel, on amd64; it got through unless the answer is one of ``refused``."""
    given = ", ".join((str(number), *arguments))
    return _python(
        "c = ctypes.CDLL(None, use_errno=True); "
        f"r = c.syscall({given}); sys.exit(r < 0 and ctypes.get_errno() in {refused})"
    )


_CTYPES = "c = ctypes.CDLL(None, use_errno=True); "


def _mount(source: str, kind: str, flags: int = 0, data: str = "", then: str = "True") -> str:
    """Mount something for a moment, and see whether ``then`` is true meanwhile."""
    return _python(
        _CTYPES + 'os.makedirs("/tmp/mounted", exist_ok=True); '
        f'r = c.mount(b"{source}", b"/tmp/mounted", b"{kind}", {flags}, b"{data}"); '
        f'r == 0 or sys.exit(1); done = {then}; c.umount2(b"/tmp/mounted", 2); sys.exit(not done)'
    )


_PLACED = "/mnt/session/uploads/kept"

ATTEMPTS = {
    # Mounts
    "mount a file system": _mount("tmpfs", "tmpfs"),
    "mount the root again, writable": _python(
        _CTYPES + 'sys.exit(c.mount(None, b"/", None, 32, None) < 0)'
    ),
    "bind one folder over another": _mount("/tmp", "none", 4096),
    "mount proc anew, without its masks": _mount("proc", "proc"),
    "mount the control groups": f"{_mount('c', 'cgroup', 0, 'memory')} || {_mount('c', 'cgroup2')}",
    "change the root": "chroot / true",
    "pivot the root": _call(155, 'b"/nowhere"', 'b"/nowhere"'),
    # Namespaces
    "a user namespace of its own": "unshare --user true",
    "a user namespace by the newer call": _python(
        _CTYPES + "a = (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17); "
        "r = c.syscall(435, a, 64); r == 0 and os._exit(0); sys.exit(r < 0)"
    ),
    "a mount namespace of its own": "unshare --mount true",
    "other namespaces of its own": "unshare --net true || unshare --uts true || "
    "unshare --ipc true || unshare --cgroup true",
    "enter the namespaces of process 1": "nsenter --target 1 --mount true",
    # Privileges
    "become root": _python("os.setuid(0)"),
    "join root's group": _python("os.setgroups([0])"),
    "become root by a program": "su -c true || sudo true || setpriv --reuid 0 true",
    "give a file to root": "touch /tmp/owned && chown 0:12 /tmp/owned",
    "give a file capabilities": "touch /tmp/able && "
    + _python(
        'os.setxattr("/tmp/able", "security.capability", '
        'bytes.fromhex("0100000200200000000000000000000000000000"))'
    ),
    "take back a limit": _python("import resource as r; r.setrlimit(r.RLIMIT_CORE, (1, 1))"),
    "more open files": _python("import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (9999, 9999))"),
    "be killed after the server": "echo -900 > /proc/self/oom_score_adj",
    "run before all others": 'test "$(nice -n -5 nice)" = -5',
    # Devices
    "make a device": "mknod /tmp/disk b 8 0",
    "read a disk": "for d in $(find /dev -type b); do head -c 1 $d && exit 0; done; exit 1",
    "the kernel's memory": "test -n \"$(head -c 4 /proc/kcore | tr -d '\\0')\"",
    "the machine's ports": "head -c 1 /dev/port || head -c 0 /dev/mem",
    "a network device": "head -c 0 /dev/net/tun",
    "the kernel's log": "dmesg || head -c 1 /dev/kmsg",
    # /proc and /sys
    "the pattern of core dumps": ": >> /proc/sys/kernel/core_pattern",
    "magic keys": ": >> /proc/sysrq-trigger",
    "any setting of the kernel": "find /proc/sys -type f -writable 2>/dev/null | grep -q .",
    "any file of sysfs": "find /sys -type f -writable 2>/dev/null | grep -q .",
    "addresses of the kernel": "grep -v '^00000000' /proc/kallsyms | grep -q .",
    "the release agent": _mount(
        "c", "cgroup", 0, "memory", 'open("/tmp/mounted/release_agent", "a").close() is None'
    ),
    "a control group of its own": "for d in /sys/fs/cgroup/memory /sys/fs/cgroup; do "
    "mkdir $d/freehold-x && rmdir $d/freehold-x && exit 0; done; exit 1",
    "its own limits": ": >> /sys/fs/cgroup/memory/memory.limit_in_bytes || "
    ": >> /sys/fs/cgroup/memory.max",
    # Calls of the kernel
    "the keys of the kernel": _call(250, "0", "-3", "1"),
    "bpf": _call(321, "5", "0", "0"),
    "performance events": _call(298, "0", "0", "-1", "-1", "0", refused="(1, 13)"),
    "userfaultfd": _call(323, "0"),
    "open a file by its handle": _call(304, "-100", "0", "0"),
    "load a module": _call(175, "0", "0", "0"),
    "load another kernel": _call(246, "0", "0", "0", "0"),
    "restart the machine": _call(169, "1", "2", "3", "0"),
    "swap": _call(167, "0", "0"),
    "accounting": _call(163, 'b"/nowhere/at/all"'),
    "the time": _python(
        _CTYPES + "z = (ctypes.c_int * 2)(0, 0); sys.exit(c.settimeofday(None, z) < 0)"
    ),
    "the name of the machine": "hostname sandbox",
    # Sockets
    "a raw socket": _python("socket.socket(2, socket.SOCK_RAW, 1)"),
    "a packet socket": _python("socket.socket(17, socket.SOCK_RAW, 3)"),
    "the settings of the network": _python(
        "import fcntl; s = socket.socket(); i = bytearray(b'lo'.ljust(40, bytes(1))); "
        "fcntl.ioctl(s, 0x8913, i); fcntl.ioctl(s, 0x8914, i)"
    ),
    "the engine": "for s in $(find / -xdev -type s) /var/run/docker.sock /run/docker.sock "
    "/run/containerd/containerd.sock; do curl -s -m 30 --unix-socket $s http://d/_ping | "
    "grep -q OK && exit 0; done; exit 1",
    # Other processes
    "see the server's processes": "grep -qs {process} /proc/[0-9]*/cmdline",
    "read the server's environment": "grep -qs {process} /proc/[0-9]*/environ",
    "read the server's files": "cat /proc/[0-9]*/root{file} 2>/dev/null | grep -q .",
    # The image and what the server keeps in the sandbox
    "write to /etc": ": >> /etc/freehold",
    "write to /usr": ": >> /usr/bin/freehold",
    "a user more": ": >> /etc/passwd",
    "the library that all programs load first": ": >> /etc/ld.so.preload",
    "change the toolbox": ": >> /opt/freehold/toolbox.pyz",
    "replace the toolbox": "cd /opt/freehold && mv toolbox.pyz /tmp/t && mv /tmp/t toolbox.pyz",
    "the toolbox's Python": "ln -sfn /usr/bin/python3 /opt/freehold/python3",
    "passwords": "cat /etc/shadow",
    "write to a placed file": f": >> {_PLACED}",
    "write to it through a link": f"ln -sf {_PLACED} /tmp/soft && : >> /tmp/soft",
    "write to it through a hard link": f"ln -f {_PLACED} /workspace/hard && : >> /workspace/hard",
    "open it anew through proc": _python(
        f'f = os.open("{_PLACED}", os.O_RDONLY); os.open(f"/proc/self/fd/{{f}}", os.O_WRONLY)'
    ),
    "change its rights": f"chmod 666 {_PLACED}",
    "put another in its place": f"touch /tmp/other && mv -f /tmp/other {_PLACED}",
    "rename the folder above it": "mv /mnt/session/uploads /mnt/session/other && "
    "mv /mnt/session/other /mnt/session/uploads",
    "rename the folder above that": "mv /mnt/session /mnt/other && mv /mnt/other /mnt/session",
    "delete it": f"rm -f {_PLACED} && echo again > {_PLACED}",
}

UNPROVEN = {
    *("addresses of the kernel", "the machine's ports", "a network device", "magic keys", "swap"),
    *("the kernel's memory", "read a disk", "enter the namespaces of process 1"),
    # These need CAP_SYS_RESOURCE, and SELinux or a machine without it may refuse them to anybody.
    *("take back a limit", "more open files", "be killed after the server"),
}
"""What a host may refuse even the weak container, by how its kernel and itself are set up."""


@pytest.fixture(scope="module")
def marked() -> Iterator[dict[str, str]]:
    """What there is of the server's to be found: a process, its environment, a file."""
    import subprocess

    mark = f"mark{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory(prefix="freehold-") as folder:
        file = Path(folder) / "file"
        file.write_text(mark)
        process = subprocess.Popen(
            [sys.executable, "-c", "input()", mark], env={"MARK": mark}, stdin=subprocess.PIPE
        )
        try:
            yield {"process": f"[{mark[0]}]{mark[1:]}", "file": str(file)}
        finally:
            process.communicate()


def _command(name: str, marked: dict[str, str]) -> str:
    command = ATTEMPTS[name]
    for key, value in marked.items():
        command = command.replace("{" + key + "}", value)
    return command


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(docker_image: str) -> AsyncIterator[DockerSandboxProvider]:
    async with providers(docker_image) as make:
        yield make()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(provider: DockerSandboxProvider) -> Sandbox:
    """A live sandbox in which the server keeps a file."""
    spec = SandboxSpec(session_id="sesn_escapes", roots=(Root("/mnt/session/uploads"),))
    sandbox = await provider.acquire(spec)
    await sandbox.place([Placed(_PLACED, b"kept")])
    return sandbox


# Not all that there are: a machine may itself be without some, and then nobody can be given them.
_RIGHTS = (
    *("SYS_ADMIN", "SYS_PTRACE", "SYS_CHROOT", "SYS_BOOT", "SYS_TIME", "SYS_NICE"),
    *("SYS_PACCT", "SYS_RAWIO", "SYSLOG", "NET_ADMIN", "NET_RAW", "MKNOD", "DAC_READ_SEARCH"),
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "SETFCAP", "SETPCAP"),
)


@pytest.fixture(scope="module")
def weak(docker_client: DockerClient, docker_image: str) -> Iterator[Any]:
    """A container of the same image from which there is a way out."""
    options = docker_client.api.create_host_config(
        cap_add=list(_RIGHTS),
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        pid_mode="host",
        cgroupns="host",
        network_mode="none",
        binds=["/var/run/docker.sock:/var/run/docker.sock"],
        device_cgroup_rules=["b *:* rwm", "c *:* rwm"],
    )
    options["MaskedPaths"] = options["ReadonlyPaths"] = []
    made = docker_client.api.create_container(
        docker_image,
        entrypoint=["sleep", "600"],
        user="0:0",
        hostname="sandbox",
        host_config=options,
        labels={"dev.freehold.test": "weak"},
    )
    container = docker_client.containers.get(made["Id"])
    try:
        container.start()
        remount = "c.mount(None, b'{}', None, 32, None)"
        for command in (
            f"mkdir -p {Path(_PLACED).parent} && echo kept > {_PLACED}",
            # What a privileged container has from the start.
            _python(_CTYPES + "; ".join(remount.format(p) for p in ("/sys", "/sys/fs/cgroup"))),
            _python(
                _CTYPES + "[c.mount(None, ('/sys/fs/cgroup/' + d).encode(), None, 4128, None) "
                "for d in os.listdir('/sys/fs/cgroup')]"
            ),
            "read major minor < <(cat /sys/block/[vsn]*/dev | head -1 | tr : ' '); "
            "mknod /dev/disk0 b $major $minor; mknod /dev/kmsg c 1 11; mknod /dev/port c 1 4",
        ):
            status, said = container.exec_run(["bash", "-c", command])
            assert status == 0, (command, said)
        yield container
    finally:
        container.remove(force=True)


@pytest.mark.parametrize("name", ATTEMPTS)
async def test_there_is_no_way_out(name: str, sandbox: Sandbox, marked: dict[str, str]) -> None:
    command = _command(name, marked)
    said = text_of(await run(sandbox, f"( {command} ) >/tmp/said 2>&1; echo status $?"))
    status = int(said.rsplit("status ", 1)[1])
    assert status != 0, await output(sandbox, "cat /tmp/said")
    # A program that is missing would have kept the attempt from being made.
    assert status != 127 or name == "become root by a program"


async def test_where_there_is_a_way_out_the_attempts_find_it(
    weak: Any, marked: dict[str, str]
) -> None:
    failed = {}
    for name in ATTEMPTS:
        status, said = weak.exec_run(["bash", "-c", f"( {_command(name, marked)} ) 2>&1"])
        if status != 0:
            failed[name] = said.decode(errors="replace")[-300:]
    assert {name: said for name, said in failed.items() if name not in UNPROVEN} == {}
    assert len(ATTEMPTS) - len(failed) >= 30


# --- the toolbox, which runs as the agent's own user


async def test_process_1_and_the_toolbox_have_nothing_that_the_agent_has_not(
    sandbox: Sandbox,
) -> None:
    """An agent may trace and end both: they are its own user's. So there must be nothing in it."""
    question = (
        "for p in 1 $(pgrep -f toolbox.pyz | head -2); do "
        "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)' /proc/$p/status; done | sort -u"
    )
    assert await output(sandbox, question) == await output(
        sandbox,
        "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)' /proc/self/status | sort -u",
    )
    variables = await output(
        sandbox, "cat /proc/1/environ | tr '\\0' '\\n' | sed 's/=.*//' | sort | tr '\\n' ' '"
    )
    assert "FREEHOLD" not in variables
    assert "KEY" not in variables
    assert "TOKEN" not in variables
    assert "HOME" in variables


async def test_no_descriptor_of_the_toolbox_leaks_into_a_command(sandbox: Sandbox) -> None:
    command = _python(
        "print([(f, os.readlink(f'/proc/self/fd/{f}').split(':')[0]) for f in range(3, 300) "
        "if os.path.exists(f'/proc/self/fd/{f}')])"
    )
    assert await output(sandbox, command) == "[]"
    leaking = f"exec 9</etc/passwd; {command}; exec 9<&-"
    assert await output(sandbox, leaking) == "[(9, '/etc/passwd')]"


async def test_nonsense_in_the_toolboxs_streams_harms_its_own_session_alone(
    provider: DockerSandboxProvider, sandbox: Sandbox
) -> None:
    """A command can write there, as it is the same user's: to no error of the server's own."""
    spec = SandboxSpec(session_id="sesn_streams")
    mine = await provider.acquire(spec)
    forged = '{"rid":%d,"ok":true,"result":{"content":"forged","is_error":"no"}}\\n'
    lines = "".join(forged % rid for rid in range(1, 40))
    with contextlib.suppress(SandboxLost):
        await output(
            mine, f"for p in $(pgrep -f toolbox.pyz); do printf '{lines}' > /proc/$p/fd/1; done"
        )
    assert await output(sandbox, "echo alive") == "alive"
    # Some of it may come only now, and meet the next calls: one by one on a busy machine, so that
    # each line costs a call. There is an end to them.
    answers: list[str] = []
    async with asyncio.timeout(120):
        while len(answers) < 3:
            with contextlib.suppress(SandboxLost):
                answers.append(await output(await provider.acquire(spec), "echo answered"))
    assert set(answers) == {"answered"}


async def test_who_kills_its_toolbox_harms_itself_alone(
    provider: DockerSandboxProvider, sandbox: Sandbox
) -> None:
    spec = SandboxSpec(session_id="sesn_suicide")
    other = await provider.acquire(spec)
    await other.write_file("/workspace/kept", b"kept")
    with pytest.raises(SandboxLost):
        await output(other, "kill -9 -1; kill -9 $(pgrep -f toolbox.pyz); sleep 60")
    assert await output(sandbox, "echo alive") == "alive"
    again = await provider.acquire(spec)
    assert await again.read_file("/workspace/kept") == b"kept"


async def test_a_journal_that_was_tampered_with_harms_its_own_session_alone(
    provider: DockerSandboxProvider,
) -> None:
    spec = SandboxSpec(session_id="sesn_journal")
    sandbox = await provider.acquire(spec)
    await output(sandbox, "head -c 3000 /dev/urandom >> /var/lib/freehold/journal.jsonl")
    await output(sandbox, "echo '[1,2]' >> /var/lib/freehold/journal.jsonl; echo x > identity")
    assert await output(sandbox, "echo alive") == "alive"
    with pytest.raises(SandboxLost):
        await output(sandbox, "kill -9 $(pgrep -f toolbox.pyz); sleep 60")
    assert await output(await provider.acquire(spec), "echo alive") == "alive"


async def test_nothing_the_agent_leaves_behind_runs_in_the_next_toolbox(
    provider: DockerSandboxProvider, docker_client: DockerClient
) -> None:
    """Neither LD_PRELOAD nor Python's own hooks reach a toolbox that is started anew."""
    spec = SandboxSpec(session_id="sesn_preload")
    sandbox = await provider.acquire(spec)
    hook = "open('/tmp/hooked', 'a').write(str(__import__('sys').argv))"
    traps = (
        "export LD_PRELOAD=/tmp/x.so PYTHONPATH=/tmp PYTHONSTARTUP=/tmp/sitecustomize.py; "
        f'echo "{hook}" > /tmp/sitecustomize.py; cp /tmp/sitecustomize.py /tmp/usercustomize.py; '
        "for d in /workspace /var/lib/freehold $HOME /home/agent/.venv/lib/python3*/site-packages "
        "$HOME/.local/lib/python3.11/site-packages; do mkdir -p $d; "
        "for m in sitecustomize usercustomize json socket threading encodings toolbox; do "
        "cp /tmp/sitecustomize.py $d/$m.py; done; done; "
        "echo 'import sitecustomize' > "
        "$(ls -d /home/agent/.venv/lib/python3*/site-packages)/x.pth; "
        "for f in .bashrc .profile .bash_profile .pythonrc; do "
        "echo 'touch /tmp/hooked; export LD_PRELOAD=/tmp/x.so' > $HOME/$f; done"
    )
    await output(sandbox, traps)
    # The traps work: on a Python that does not keep away from them.
    assert "hooked" in await output(sandbox, "LD_PRELOAD= python3 -c 1; ls /tmp/hooked")
    await output(sandbox, "LD_PRELOAD= rm /tmp/hooked")
    container = container_of(docker_client, sandbox)
    container.restart(timeout=1)
    sandbox = await provider.acquire(spec)
    assert "no such trap" in await output(sandbox, "ls /tmp/hooked || echo no such trap")
    assert await output(sandbox, "echo ${LD_PRELOAD:-clean}") == "clean"


async def test_a_crash_leaves_no_memory_behind(sandbox: Sandbox) -> None:
    said = await output(
        sandbox, "mkdir -p /tmp/crash && cd /tmp/crash && (kill -SEGV $BASHPID); ls -A; cd"
    )
    assert "core" not in said.replace("core dumped", "")


async def test_sandboxes_do_not_see_each_other(
    provider: DockerSandboxProvider, sandbox: Sandbox
) -> None:
    other = await provider.acquire(SandboxSpec(session_id="sesn_neighbour"))
    mark = f"neighbour{secrets.token_hex(6)}"
    await output(
        other,
        f"echo {mark} | tee /dev/shm/{mark} /tmp/{mark} /workspace/{mark}; ipcmk -M 4096; "
        f"ipcmk -Q; (exec -a {mark} sleep 300 & ); "
        + _python(
            f"s = socket.socket(1); s.bind('\\0{mark}'); s.listen(); "
            "os.fork() and os._exit(0); os.setsid(); __import__('time').sleep(300)"
        )
        + " >/dev/null 2>&1",
    )
    look = (
        f"ls /dev/shm /tmp /workspace | grep {mark}; ps -ef | grep -v grep | grep {mark}; "
        f"grep {mark} /proc/net/unix; ipcs | grep ^0x"
    )
    seen = await output(other, look)
    assert seen.count(mark) >= 5, seen
    assert "0x" in seen
    assert (await output(sandbox, look)).strip() in {"", "(no output, exit status 1)"}


async def test_a_sandbox_cannot_make_the_server_read_without_end(
    provider: DockerSandboxProvider,
) -> None:
    """What is listed and streamed are regular files of its own, never what a link leads to."""
    sandbox = await provider.acquire(SandboxSpec(session_id="sesn_traps"))
    await output(
        sandbox,
        "cd /mnt/session/outputs && ln -s /dev/zero zero && mkfifo pipe && ln -s / root && "
        "ln -s /proc/1/environ env && echo mine > mine",
    )
    assert [file.path for file in await sandbox.listing("/mnt/session/outputs")] == [
        "/mnt/session/outputs/mine"
    ]
    for name in ("zero", "pipe"):
        with pytest.raises((OSError, SandboxError)):
            async for _ in sandbox.read_stream(f"/mnt/session/outputs/{name}"):
                pass
