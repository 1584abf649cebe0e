"""The gate's image, its authority, and who can enforce limited networking."""

from __future__ import annotations

import io
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cryptography import x509

from freehold.errors import ConfigurationError
from freehold.sandbox.docker import DockerSandboxProvider, Limits
from freehold.sandbox.docker.egress.authority import FILE, authority, certificate
from freehold.sandbox.docker.egress.gate import GateSettings
from freehold.sandbox.docker.egress.image import gate_archive, load_gate_definition
from freehold.sandbox.docker.packages.hosts import hosts_of
from freehold.sandbox.process import ProcessSandboxProvider
from freehold.sandbox.scripted import ScriptedSandboxProvider
from freehold.settings import Settings

LIMITED = {"type": "cloud", "networking": {"type": "limited", "allowed_hosts": []}}
OPEN = {"type": "cloud", "networking": {"type": "unrestricted"}}


def test_the_authority_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    text = authority(tmp_path / "new")
    assert authority(tmp_path / "new") == text
    path = tmp_path / "new" / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PRIVATE" not in certificate(text)
    made = x509.load_pem_x509_certificate(certificate(text).encode())
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    path.write_text("nothing")
    with pytest.raises(ConfigurationError, match="holds no key and certificate"):
        authority(tmp_path / "new")


def test_the_gate_stands_alone(tmp_path: Path) -> None:
    """`attach` and `control` need nothing but the standard library and what is in the archive."""
    assert gate_archive() == gate_archive()
    (tmp_path / "gate.pyz").write_bytes(gate_archive())
    names = zipfile.ZipFile(io.BytesIO(gate_archive())).namelist()
    assert "freehold/gate/attach.py" in names
    code = "import sys; sys.path.insert(0, 'gate.pyz'); import freehold.gate.attach as attach; "
    code += "import freehold.gate.desk; print(attach.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "gate.pyz" in done.stdout, done.stderr


def test_the_definition_follows_what_is_in_it(tmp_path: Path) -> None:
    definition = load_gate_definition()
    assert {"iptables", "iproute2"} <= set(definition.packages)
    assert b"mitmproxy==" in definition.install_files["requirements.txt"]
    assert definition.digest == load_gate_definition().digest


def test_hosts_of_package_managers() -> None:
    urls = ["https://PyPI.test/simple/", "http://mirror.test:8080/x", "/srv/wheels", "file:///x"]
    assert hosts_of([*urls, "https://[bad", "https://pypi.test/other"]) == (
        "mirror.test",
        "pypi.test",
    )


def test_who_can_enforce_limited_networking(tmp_path: Path) -> None:
    gate = GateSettings(tmp_path)
    assert DockerSandboxProvider(owner="x", gate=gate).unenforceable(LIMITED) is None
    assert ScriptedSandboxProvider().unenforceable(LIMITED) is None
    process = ProcessSandboxProvider(tmp_path, plain=True)
    for provider, reason in (
        (DockerSandboxProvider(owner="x"), "no egress gate"),
        (DockerSandboxProvider(owner="x", gate=gate, limits=Limits(runtime="runsc")), "runsc"),
        (DockerSandboxProvider(owner="x", gate=gate, limits=Limits(network="none")), "none"),
        (process, "FREEHOLD_SANDBOX=docker"),
    ):
        assert reason in str(provider.unenforceable(LIMITED))
        assert provider.unenforceable(OPEN) is None
        assert provider.unenforceable({"type": "self_hosted"}) is None


def test_who_can_have_the_gate_for_all(tmp_path: Path) -> None:
    gate = GateSettings(tmp_path)
    through = Limits(network="gate")
    assert DockerSandboxProvider(owner="x", gate=gate, limits=through).unenforceable(OPEN) is None
    nothing = DockerSandboxProvider(owner="x", limits=through)
    assert "no egress gate" in str(nothing.unenforceable(OPEN))
    other = Limits(network="gate", runtime="runsc")
    stronger = DockerSandboxProvider(owner="x", gate=gate, limits=other)
    assert "FREEHOLD_SANDBOX_NETWORK=bridge" in str(stronger.unenforceable(OPEN))
    assert "FREEHOLD_SANDBOX_NETWORK" not in str(stronger.unenforceable(LIMITED))
    assert stronger.unenforceable({"type": "self_hosted"}) is None


@pytest.mark.parametrize("network", ["host", "none", "container:other"])
def test_the_gate_has_a_network_of_its_own(tmp_path: Path, network: str) -> None:
    with pytest.raises(ConfigurationError, match="FREEHOLD_GATE_NETWORK"):
        DockerSandboxProvider(owner="x", gate=GateSettings(tmp_path, network=network))


def test_the_settings_lead_all_through_the_gate(tmp_path: Path) -> None:
    provider = DockerSandboxProvider.from_settings(Settings(data_dir=tmp_path))
    assert provider.gate is not None
    assert provider.gate.settings.network == "bridge"
    assert provider.sources.pool is provider.pool
    direct = Settings(data_dir=tmp_path, sandbox_network="bridge", gate_network="own")
    provider = DockerSandboxProvider.from_settings(direct)
    assert provider.gate is not None
    assert provider.gate.settings.network == "own"
