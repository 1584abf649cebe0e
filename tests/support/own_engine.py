"""A Docker engine of the tests' own, to be killed at will.

It has a root, a socket and a network of its own, so that the machine's engine is left alone. From
in there one address leads to this process: :attr:`OwnEngine.outside`.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_PATIENCE = 120.0
_HERE = "/run/netns"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class OwnEngine:
    """A second dockerd, with a containerd of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.host = f"unix://{folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._name = f"fh{random.randrange(1 << 32):08x}"
        part = f"10.{random.randrange(128, 255)}.{random.randrange(0, 250)}"
        self._subnet, self._line = part, f"10.254.{random.randrange(0, 250)}"
        self.listening = f"{self._line}.1"
        """Where this process listens for what connects to ``outside``."""
        self.outside = f"{self._line}.129"
        """The address, at any port, by which sandboxes and this machine reach ``listening``. It is
        no address of this machine's, which a gate keeps sandboxes from."""

    def connect(self) -> None:
        """Make the engine's network."""
        name, line = self._name, self._line
        _ip("netns", "add", name)
        _ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
        _ip("addr", "add", f"{line}.1/30", "dev", f"{name}a")
        _ip("link", "set", f"{name}a", "up")
        _ip("route", "add", f"{self.outside}/32", "via", f"{line}.2")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "addr", "add", f"{line}.2/30", "dev", f"{name}b")
        _ip("-n", name, "link", "set", f"{name}b", "up")
        for rule in (
            ("PREROUTING", "-d", self.outside, "-j", "DNAT", "--to", self.listening),
            ("POSTROUTING", "-d", self.listening, "-j", "MASQUERADE"),
        ):
            command = ["nsenter", f"--net={_HERE}/{name}", "iptables", "-w", "-t", "nat", "-A"]
            subprocess.run([*command, *rule], check=True, capture_output=True)
        forward = ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]
        subprocess.run(["nsenter", f"--net={_HERE}/{name}", *forward], check=True)

    def disconnect(self) -> None:
        """Remove the network."""
        subprocess.run(["ip", "link", "del", f"{self._name}a"], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self._name], check=False, capture_output=True)

    def start(self) -> None:
        """Start; as a supervisor does, again if it gives up while it clears up after the last."""
        deadline = time.monotonic() + _PATIENCE
        self._launch()
        while not self.answers():
            assert self._process is not None
            if self._process.poll() is not None:
                self._launch()
            said = (self._folder / "dockerd.log").read_text(errors="replace")[-3000:]
            assert time.monotonic() < deadline, said
            time.sleep(0.1)

    def _launch(self) -> None:
        folder = self._folder
        (folder / "docker.pid").unlink(missing_ok=True)
        with (folder / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("nsenter", f"--net={_HERE}/{self._name}"),
                    *("dockerd", "--host", self.host, "--data-root", str(folder / "root")),
                    *("--exec-root", str(folder / "exec"), "--pidfile", str(folder / "docker.pid")),
                    *("--bip", f"{self._subnet}.1/24", "--iptables=false", "--ip6tables=false"),
                ],
                stdout=log,
                stderr=log,
            )

    def answers(self) -> bool:
        return self.run("version", check=False).returncode == 0

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """Run its command line client."""
        command = ["docker", "--host", self.host, *arguments]
        return subprocess.run(command, capture_output=True, check=check)

    def load(self, *images: str) -> None:
        """Give it images of the machine's engine."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
            command = ["docker", "--host", self.host, "load", "-q"]
            subprocess.run(command, stdin=saved.stdout, check=True, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    def stop(self) -> None:
        """End it and all that it, or one that was killed, left."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(60)
        # What a killed engine left: they have its folder in their command lines.
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if process.name.isdigit():
                    line = (process / "cmdline").read_bytes()
                    if bytes(self._folder) in line:
                        os.kill(int(process.name), signal.SIGKILL)
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        for mount in reversed([line.split()[1] for line in mounts]):
            if mount.startswith(f"{self._folder}/"):
                subprocess.run(["umount", "-l", mount], check=False, capture_output=True)


@contextlib.contextmanager
def own_engine() -> Iterator[OwnEngine]:
    """One that runs until the block ends; skips the test where there can be none."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("a second dockerd needs root")
    # Sockets have short names.
    folder = Path(tempfile.mkdtemp(prefix="fh-engine-"))
    own = OwnEngine(folder)
    try:
        try:
            own.connect()
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"a second dockerd needs a network of its own: {error}")
        own.start()
        yield own
    finally:
        own.stop()
        own.disconnect()
        shutil.rmtree(folder, ignore_errors=True)
