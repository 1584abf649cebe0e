"""What a sandbox container is allowed, flag by flag, and why.

The names are the Docker SDK's. ``docs/SECURITY.md`` shows this table, and
``tests/security/test_sandbox_hardening.py`` proves each line on a running container.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from docker.types import LogConfig, Ulimit

GATE_NETWORK = "gate"
"""For :attr:`Limits.network`: none of the engine's, all goes through the egress gate."""

USER = "1000:1000"
ROOT_USER = "0:0"

OPEN_FILES = 4096
ORDINARY_RUNTIMES = (None, "runc", "crun", "youki")
"""Those whose sandboxes run on the host's own kernel, as the network and the files that the engine
gives them do. What others (gVisor, Kata) do not see is refused there."""
SHARED_MEMORY = "64m"
OOM_SCORE = 500

REASONS: dict[str, str] = {
    "init": "An init reaps orphans, so a shell's background jobs leave no zombies.",
    "user": "Nothing runs as root, so no file of the image can be changed. "
    "`FREEHOLD_SANDBOX_ROOT` is the exception.",
    "privileged": "Never: a privileged container is the host.",
    "cap_drop": "No capability: no mount, no raw socket, no device, no change of owner.",
    "cap_add": "None is given back.",
    "security_opt": "No program gains privileges by being run (`no-new-privileges`). The engine's "
    "default seccomp and AppArmor profiles stay on, since nothing here turns them off.",
    "pids_limit": "A fork bomb ends at this many processes.",
    "mem_limit": "A memory bomb ends inside its own container.",
    "memswap_limit": "The same as the memory limit: no swapping the host to a halt.",
    "nano_cpus": "A busy loop leaves the host's other cores alone.",
    "shm_size": "Shared memory is memory; it is bounded too.",
    "ulimits": "Open files are bounded; core dumps, which hold secrets and fill disks, are off.",
    "ipc_mode": "No System V objects shared with other containers.",
    "cgroupns": "The host's cgroup paths cannot be seen.",
    "oom_score_adj": "When the host itself runs out of memory, sandboxes die before the server.",
    "network_mode": "None: all that leaves a sandbox goes through the egress gate. Or a network of "
    "the engine by `FREEHOLD_SANDBOX_NETWORK`; never the host's, where the server listens on "
    "loopback.",
    "restart_policy": "The server decides what runs; a container never starts by itself.",
    "log_config": "The engine keeps no log of the main process, which says nothing; an unbounded "
    "log would fill the disk.",
    "binds": "No path of the host is mounted, least of all the engine's socket.",
    "port_bindings": "Nothing listens on the host.",
    "runtime": "The engine's, or a stronger one by `FREEHOLD_SANDBOX_RUNTIME` (gVisor, Kata).",
}
"""Why each flag is as it is, by the SDK's name for it."""


@dataclass(frozen=True)
class Limits:
    """What a sandbox may use up, and where it runs."""

    memory: str = "2g"
    """With a unit, as Docker takes it."""
    cpus: float = 1.0
    """In cores."""
    pids: int = 512
    disk: str = "10g"
    """What the agent's files may take; ``0``: all there is. The toolbox watches over it."""
    network: str = "bridge"
    runtime: str | None = None
    root: bool = False
    """Root inside, with the engine's default capabilities."""

    @property
    def own_kernel(self) -> bool:
        """Whether the runtime gives a sandbox a kernel of its own."""
        return self.runtime not in ORDINARY_RUNTIMES

    @property
    def user(self) -> str:
        """User and group that everything inside runs as."""
        return ROOT_USER if self.root else USER


def host_options(limits: Limits) -> dict[str, Any]:
    """The arguments of ``create_host_config``; ``user`` is the container's own."""
    options: dict[str, Any] = {
        "init": True,
        "privileged": False,
        "cap_drop": [] if limits.root else ["ALL"],
        "cap_add": [],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": limits.pids,
        "mem_limit": limits.memory,
        "memswap_limit": limits.memory,
        "nano_cpus": int(limits.cpus * 1_000_000_000),
        "shm_size": SHARED_MEMORY,
        "ulimits": [
            Ulimit(name="nofile", soft=OPEN_FILES, hard=OPEN_FILES),
            Ulimit(name="core", soft=0, hard=0),
        ],
        "ipc_mode": "private",
        "cgroupns": "private",
        "oom_score_adj": OOM_SCORE,
        "network_mode": limits.network,
        "restart_policy": {"Name": "no"},
        "log_config": LogConfig(type=LogConfig.types.NONE),
        "binds": [],
        "port_bindings": {},
    }
    if limits.runtime is not None:
        options["runtime"] = limits.runtime
    return options
