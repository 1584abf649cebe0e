"""What `doctor` says of how a Docker engine isolates."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.errors import PlacementRefused
from freehold.ports.sandbox import Placed
from freehold.sandbox.docker import DockerSandboxProvider, Limits
from freehold.sandbox.docker.check import _runtime, _users
from freehold.sandbox.docker.egress.gate import GateSettings
from freehold.sandbox.docker.engine import Engine
from freehold.sandbox.docker.storehouse import Storehouse
from freehold.sandbox.placing import Ground

_LIMITED = {"networking": {"type": "limited"}}


def _engine(*options: str, default: str = "runc") -> dict[str, Any]:
    runtimes: dict[str, Any] = {"runc": {}, "runsc": {}}
    return {"SecurityOptions": options, "DefaultRuntime": default, "Runtimes": runtimes}


@pytest.mark.parametrize(
    ("options", "root", "status", "said"),
    [
        (("name=seccomp,profile=default", "name=rootless"), True, "ok", "rootless engine"),
        (("name=seccomp,profile=default", "name=userns"), True, "ok", "userns-remap"),
        (("name=seccomp,profile=default",), True, "warning", "root on the host"),
        (("name=seccomp,profile=default",), False, "ok", "no user namespace"),
        ((), False, "ok", "no user namespace"),
    ],
)
def test_whose_root_it_is(options: tuple[str, ...], root: bool, status: str, said: str) -> None:
    finding = _users(_engine(*options), Limits(root=root))
    assert finding.status == status
    assert said in finding.detail


def test_an_ordinary_runtime() -> None:
    assert _runtime(_engine(), Limits()).detail == "runc"


def test_a_runtime_that_is_not_there() -> None:
    finding = _runtime(_engine(), Limits(runtime="kata"))
    assert finding.status == "error"
    assert "it has runc, runsc" in finding.detail


def test_what_a_runtime_with_a_kernel_of_its_own_refuses() -> None:
    finding = _runtime(_engine(), Limits(runtime="runsc"))
    assert finding.status == "ok"
    assert "`limited` networking, files, skills and memories are refused" in finding.detail


def test_such_a_runtime_as_the_engines_default_is_warned_of() -> None:
    finding = _runtime(_engine(default="runsc"), Limits())
    assert finding.status == "warning"
    assert "FREEHOLD_SANDBOX_RUNTIME=runsc" in (finding.mend or "")


@pytest.mark.parametrize("runtime", ["runsc", "kata", "io.containerd.kata.v2"])
async def test_they_are_refused_indeed(runtime: str, tmp_path: Any) -> None:
    limits = Limits(runtime=runtime, network="bridge")
    gate = GateSettings(data_dir=tmp_path, image="none", network="bridge")
    provider = DockerSandboxProvider(owner="x", limits=limits, gate=gate)
    assert f"FREEHOLD_SANDBOX_RUNTIME={runtime}" in (provider.unenforceable(_LIMITED) or "")
    assert provider.unenforceable({}) is None
    assert f"FREEHOLD_SANDBOX_RUNTIME={runtime}" in (provider.unfurnishable() or "")
    storehouse = Storehouse(Engine("unix:///nowhere"), "python3", limits)
    with pytest.raises(PlacementRefused, match=f"FREEHOLD_SANDBOX_RUNTIME={runtime}"):
        await storehouse.put("x", Ground((), ()), [Placed("/mnt/x", b"")])
    with pytest.raises(PlacementRefused, match=f"FREEHOLD_SANDBOX_RUNTIME={runtime}"):
        await storehouse.open_roots("x", ["/mnt/x"])


@pytest.mark.parametrize("runtime", [None, "runc", "crun"])
def test_ordinary_runtimes_refuse_nothing(runtime: str | None, tmp_path: Any) -> None:
    gate = GateSettings(data_dir=tmp_path, image="none", network="bridge")
    provider = DockerSandboxProvider(owner="x", limits=Limits(runtime=runtime), gate=gate)
    assert provider.unenforceable(_LIMITED) is None
    assert provider.unfurnishable() is None
