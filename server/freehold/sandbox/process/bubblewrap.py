"""The command line that puts a toolbox into bubblewrap, and whether it works on this machine."""

from __future__ import annotations

import functools
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from freehold.ports.sandbox import Layout, Root
from freehold.sandbox.process.folders import Folders

LAYOUT = Layout()
HOME = "/home/agent"
_RUN = "/run/freehold"
_TOOLBOX = "/opt/freehold/toolbox"
_CHECK_TIMEOUT = 10.0

_NAMESPACES = ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
_USER = ("--unshare-user", "--uid", "1000", "--gid", "1000")
_NO_MORE_USERS = ("--disable-userns",)

# From /etc only what programs need to run, resolve names and trust certificates: a server that
# runs as root could otherwise lend the agent its eyes for what only root may read there.
_ETC = (
    "alternatives", "bash.bashrc", "ca-certificates", "ca-certificates.conf", "debian_version",
    "fonts", "gai.conf", "host.conf", "hosts", "inputrc", "java-17-openjdk", "java-21-openjdk",
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "localtime", "lsb-release",
    "magic", "mailcap", "mime.types", "networks", "nsswitch.conf", "os-release", "perl", "pki",
    "profile", "protocols", "python3", "python3.11", "python3.12", "python3.13", "redhat-release",
    "resolv.conf", "rpc", "services", "ssl", "terminfo", "timezone",
)  # fmt: skip
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")

_USERS = "root:x:0:0:root:/root:/bin/bash\nagent:x:1000:1000:agent:/home/agent:/bin/bash\n"
_GROUPS = "root:x:0:\nagent:x:1000:\n"


class Command(NamedTuple):
    """A bubblewrap command. Its options go through a pipe (``--args``): a command line can be read
    from inside, and tells paths of the host."""

    bubblewrap: str
    options: list[str]
    program: list[str]

    def line(self, descriptor: int) -> list[str]:
        """The command line, with the options to be read from ``descriptor``."""
        return [self.bubblewrap, "--args", str(descriptor), "--", *self.program]

    def serialized(self) -> bytes:
        """The options as bubblewrap reads them."""
        return b"".join(os.fsencode(option) + b"\0" for option in self.options)


def interpreter() -> Path:
    """The Python under the virtual environment, if any; what the toolbox runs on."""
    base: str = getattr(sys, "_base_executable", sys.executable)
    return Path(base).resolve()


def interpreter_prefix() -> Path | None:
    """The folder that the Python needs, unless the system's folders hold it."""
    prefix = Path(sys.base_prefix).resolve()
    return None if prefix == Path("/usr") or Path("/usr") in prefix.parents else prefix


def environment() -> dict[str, str]:
    """The environment inside, made from nothing."""
    prefix = interpreter_prefix()
    path = f"{HOME}/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {
        "PATH": f"{path}:{prefix}/bin" if prefix else path,
        "HOME": HOME,
        "USER": "agent",
        "LOGNAME": "agent",
        "SHELL": "/bin/bash",
        "LANG": "C.UTF-8",
    }


def bubblewrap_works() -> bool:
    """Whether bubblewrap is here and may do what we ask of it; tried once, then remembered."""
    return _working_flags() is not None


def command(
    folders: Folders,
    toolbox: Path,
    data_dir: Path,
    roots: Sequence[tuple[Path, Root]],
    *,
    info: int,
    idle_exit: float,
) -> Command:
    """What starts a session's toolbox; ``info`` is the descriptor for bwrap's report.

    Nothing ties it to its parent: it is to outlive a server that crashes.
    """
    flags = _working_flags()
    assert flags is not None  # noqa: S101 - the provider asked before
    passwd, group = folders.root / "passwd", folders.root / "group"
    passwd.write_text(_USERS, encoding="ascii")
    group.write_text(_GROUPS, encoding="ascii")
    line = [*flags[1:], "--info-fd", str(info), "--hostname", "sandbox", *_view()]
    line += ["--ro-bind", str(passwd), "/etc/passwd", "--ro-bind", str(group), "/etc/group"]
    for hidden in (data_dir.resolve(), Path("/etc/ssl/private")):
        if _is_visible(hidden):
            line += ["--tmpfs", str(hidden)]
    for source, inside in (
        (folders.workspace, LAYOUT.workdir),
        (folders.outputs, LAYOUT.outputs),
        (folders.home, HOME),
        (folders.state, f"{_RUN}/state"),
        (folders.run, f"{_RUN}/run"),
    ):
        line += ["--bind", str(source.resolve()), inside]
    # From the top down: a root may lie in another.
    for source, root in sorted(roots, key=lambda held: held[1].path):
        line += ["--bind" if root.writable else "--ro-bind", str(source.resolve()), root.path]
    line += ["--ro-bind", str(toolbox), _TOOLBOX, "--chdir", LAYOUT.workdir]
    # Or the agent could rename the folders above what is bound, and put others in their place.
    line += ["--remount-ro", "/"]
    program = [str(interpreter()), "-I", "-S", _TOOLBOX, "serve"]
    program += ["--state", f"{_RUN}/state", "--socket", f"{_RUN}/run/{folders.socket.name}"]
    program += ["--workdir", LAYOUT.workdir, "--outputs", LAYOUT.outputs]
    return Command(flags[0], line, [*program, "--idle-exit", str(idle_exit)])


def _view() -> list[str]:
    """The file system inside, but for the session's own folders."""
    view = ["--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM:
        path = Path("/", name)
        if path.is_symlink():
            view += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            view += ["--ro-bind", str(path), str(path)]
    for name in _ETC:
        view += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    prefix = interpreter_prefix()
    if prefix is not None:
        view += ["--ro-bind", str(prefix), str(prefix)]
    view += ["--proc", "/proc", *_covered_proc(), "--dev", "/dev"]
    for private in ("/tmp", "/run", "/var/tmp"):  # noqa: S108 - inside
        view += ["--tmpfs", private]
    return view


def _covered_proc() -> list[str]:
    """Options that make the machine's own part of ``/proc`` harmless.

    Where the server is root, the agent is root to the kernel's files, without any capability and
    whatever its uid inside: it could write `/proc/sys/kernel/core_pattern`. Covered are all
    entries but processes, by a read-only view of themselves, or by nothing at all if they are not
    for everyone's eyes.
    """
    options = []
    for entry in sorted(Path("/proc").iterdir()):
        if entry.name.isdigit() or entry.is_symlink():
            continue
        mode = entry.stat().st_mode
        if stat.S_ISDIR(mode) or mode & 0o222:
            source = entry if mode & 0o004 else Path("/dev/null")
        elif mode & 0o004:
            continue
        else:
            source = Path("/dev/null")
        options += ["--ro-bind", str(source), str(entry)]
    return options


def _is_visible(path: Path) -> bool:
    roots = [Path("/usr"), Path("/etc/ssl"), interpreter_prefix()]
    return path.exists() and any(root in path.parents for root in roots if root is not None)


@functools.cache
def _working_flags() -> tuple[str, ...] | None:
    program = shutil.which("bwrap")
    if program is None:
        return None
    # A user namespace of its own takes root's identity away from the agent; where the kernel
    # does not grant one, dropping every capability has to do.
    for user in ((*_USER, *_NO_MORE_USERS), _USER, ()):
        flags = (program, *user, *_NAMESPACES, "--cap-drop", "ALL", "--new-session")
        if _runs([*flags, *_view(), "--", str(interpreter()), "-I", "-S", "-c", ""]):
            return flags
    return None


def _runs(line: Sequence[str]) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - our own command line
            line, env={}, stdin=subprocess.DEVNULL, capture_output=True, timeout=_CHECK_TIMEOUT,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
