"""The sandbox image: its definition, its certificates, and whether it is up to date."""

from __future__ import annotations

import io
import ssl
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker import DockerClient
from docker.errors import APIError, ImageNotFound

from freehold.errors import ConfigurationError, SandboxUnavailable
from freehold.sandbox import debian_base, images
from freehold.sandbox.image_definition import (
    LABEL_DEFINITION,
    LABEL_TOOLBOX,
    load_definition,
    read_certificates,
)
from freehold.sandbox.toolbox_package import toolbox_archive, toolbox_version

AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


@pytest.fixture(scope="module")
def certificates() -> list[str]:
    """Three different certificates, as PEM."""
    # certifi ships with the Anthropic SDK's HTTP client.
    import certifi

    text = Path(certifi.where()).read_text()
    end = "-----END CERTIFICATE-----\n"
    found = [
        "-----BEGIN CERTIFICATE-----" + part.split("-----BEGIN CERTIFICATE-----")[1] + end
        for part in text.split(end)[:3]
    ]
    assert len(found) == 3
    return found


def test_certificates_come_one_a_file_and_once(tmp_path: Path, certificates: list[str]) -> None:
    (tmp_path / "a.pem").write_text("# words\n" + certificates[0] + certificates[1])
    (tmp_path / "b.crt").write_text(certificates[1] + certificates[2])
    (tmp_path / "c.txt").write_text("not looked at")
    found = read_certificates(tmp_path)
    assert len(found) == 3
    assert {ssl.PEM_cert_to_DER_cert(pem.decode()) for pem in found.values()} == {
        ssl.PEM_cert_to_DER_cert(pem) for pem in certificates
    }
    assert read_certificates(tmp_path / "a.pem").items() < found.items()


@pytest.mark.parametrize("content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nMII"])
def test_a_file_without_certificates_is_an_error_that_names_the_setting(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="FREEHOLD_EXTRA_CA_CERTS"):
        load_definition(path)


def test_a_missing_file_of_certificates_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="FREEHOLD_EXTRA_CA_CERTS"):
        load_definition(tmp_path / "none.pem")


def test_equal_definitions_give_equal_contexts() -> None:
    first, second = load_definition(), load_definition()
    assert first.digest == second.digest
    assert first.build_context() == second.build_context()
    with tarfile.open(fileobj=io.BytesIO(first.build_context())) as tar:
        assert {"Dockerfile", "install.sh", "setup.sh", "packages.txt", "ca"} <= {*tar.getnames()}
        toolbox = tar.extractfile("toolbox.pyz")
        assert toolbox is not None
        assert toolbox.read() == toolbox_archive()


def test_certificates_change_the_digest_and_not_the_packages(
    tmp_path: Path, certificates: list[str]
) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(certificates[0])
    plain, trusting = load_definition(), load_definition(path)
    assert plain.digest != trusting.digest
    assert plain.install_digest == trusting.install_digest


def test_the_package_list_has_what_the_tools_need() -> None:
    assert {"bash", "ripgrep", "git", "ca-certificates"} <= {*load_definition().packages}


class FakeImages:
    """The images of an engine, by tag."""

    def __init__(self, **labels: dict[str, str]) -> None:
        self._labels = labels

    def get(self, name: str) -> Any:
        if name not in self._labels:
            raise ImageNotFound(f"no such image: {name}")
        return SimpleNamespace(id=f"sha256:{name}", labels=self._labels[name])

    def pull(self, name: str) -> Any:
        raise APIError(f"no registry has {name}")


def client_with(**labels: dict[str, str]) -> DockerClient:
    """A client whose engine has these images."""
    return cast(DockerClient, SimpleNamespace(images=FakeImages(**labels)))


def test_the_state_of_an_image_is_told_by_its_labels(
    tmp_path: Path, certificates: list[str]
) -> None:
    digest = load_definition().digest
    client = client_with(
        good={LABEL_DEFINITION: digest, LABEL_TOOLBOX: toolbox_version()},
        old={LABEL_DEFINITION: "0", LABEL_TOOLBOX: toolbox_version()},
        older={LABEL_DEFINITION: digest, LABEL_TOOLBOX: "0"},
        foreign={},
    )
    assert images.image_state(client, "absent").id is None
    good = images.image_state(client, "good")
    assert (good.id, good.ours, good.outdated) == ("sha256:good", True, None)
    assert "definition" in (images.image_state(client, "old").outdated or "")
    assert "toolbox" in (images.image_state(client, "older").outdated or "")
    foreign = images.image_state(client, "foreign")
    assert (foreign.ours, foreign.outdated) == (False, None)
    path = tmp_path / "ca.pem"
    path.write_text(certificates[0])
    assert images.image_state(client, "good", extra_ca_certs=path).outdated is not None


def test_an_image_that_is_up_to_date_is_not_built_again() -> None:
    client = client_with(
        good={LABEL_DEFINITION: load_definition().digest, LABEL_TOOLBOX: toolbox_version()}
    )
    said: list[str] = []
    assert images.ensure_image(client, "good", progress=said.append) == "sha256:good"
    assert said == ["good is up to date."]


def test_without_registry_and_mmdebstrap_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(debian_base.shutil, "which", lambda name: None)
    said: list[str] = []
    with pytest.raises(SandboxUnavailable, match="apt-get install mmdebstrap"):
        images.ensure_image(client_with(), "absent", progress=said.append)
    assert any("taking Debian packages" in line for line in said)


@pytest.fixture
def no_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An mmdebstrap that fails, and writes down what it was told."""
    program = tmp_path / "mmdebstrap"
    program.write_text('#!/bin/sh\nenv > "$0.env"\necho "E: no such mirror" >&2\nexit 25\n')
    program.chmod(0o755)
    monkeypatch.setattr(debian_base.shutil, "which", lambda name: str(program))
    yield program


def test_a_failed_root_file_system_is_told_with_its_last_lines(
    no_tool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    monkeypatch.setenv("https_proxy", "http://proxy")
    with pytest.raises(SandboxUnavailable, match="E: no such mirror"):
        images.build_image(client_with(), "absent", source="debian")
    environment = no_tool.with_name("mmdebstrap.env").read_text()
    assert "https_proxy=http://proxy" in environment
    assert "secret" not in environment


@pytest.mark.docker
def test_a_base_that_cannot_be_had_points_to_the_other_road(docker_client: DockerClient) -> None:
    with pytest.raises(SandboxUnavailable, match="--from debian"):
        images.build_image(
            docker_client, "freehold-sandbox:never", base="localhost:1/no/such:image"
        )
    with pytest.raises(ImageNotFound):
        docker_client.images.get("freehold-sandbox:never")


@pytest.mark.docker
def test_the_built_image_tells_what_it_is(docker_client: DockerClient, docker_image: str) -> None:
    image = docker_client.images.get(docker_image)
    assert image.labels[LABEL_TOOLBOX] == toolbox_version()
    assert image.attrs["Config"]["User"] == "1000:1000"
    variables = dict(v.split("=", 1) for v in image.attrs["Config"]["Env"])
    bundle = str(AUTHORITIES)
    for name in ("PIP_CERT", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE",
                 "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"):  # fmt: skip
        assert variables[name] == bundle
    assert images.image_state(docker_client, docker_image).ours
