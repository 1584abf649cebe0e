"""The command line of a toolbox that is a plain process: no isolation but a clean environment."""

from __future__ import annotations

from pathlib import Path

from freehold.ports.sandbox import Layout
from freehold.sandbox.process.bubblewrap import interpreter, interpreter_prefix
from freehold.sandbox.process.folders import Folders

LAYOUT = Layout(workdir="~", outputs="~/outputs")
"""The paths differ from session to session; the tools and the shell both know what ``~`` means."""


def home_of(folders: Folders) -> Path:
    """The agent's home and working directory."""
    return folders.workspace.resolve()


def environment(folders: Folders) -> dict[str, str]:
    """The environment, made from nothing: the working directory is the home."""
    home = home_of(folders)
    path = f"{home}/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    prefix = interpreter_prefix()
    return {
        "PATH": f"{path}:{prefix}/bin" if prefix else path,
        "HOME": str(home),
        "USER": "agent",
        "LOGNAME": "agent",
        "SHELL": "/bin/bash",
        "LANG": "C.UTF-8",
    }


def command(folders: Folders, toolbox: Path, *, idle_exit: float) -> list[str]:
    """The command that starts a session's toolbox."""
    workdir = home_of(folders)
    return [
        str(interpreter()), "-I", "-S", str(toolbox), "serve",
        "--state", str(folders.state.resolve()), "--socket", str(folders.socket.absolute()),
        "--workdir", str(workdir), "--outputs", str(workdir / "outputs"),
        "--idle-exit", str(idle_exit),
    ]  # fmt: skip
