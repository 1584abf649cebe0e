"""The Docker engine for tests: the sandbox image, built when needed, and what makes sandboxes.

Tests that use these fixtures are marked ``docker`` and skipped where no engine answers, or fail
with ``FREEHOLD_TEST_REQUIRE_DOCKER=1``. The image is the tests' own, so that building it takes
nothing from the user's; it trusts what ``FREEHOLD_EXTRA_CA_CERTS`` names, else what the host's
administrator added to the host's trust store.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import secrets
import tarfile
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from docker import DockerClient

    from freehold.ports.sandbox import Sandbox, ToolOutcome
    from freehold.sandbox.docker import DockerSandboxProvider

_REQUIRE = "FREEHOLD_TEST_REQUIRE_DOCKER"
# A name of one's own keeps checkouts with different images from building over each other.
_IMAGE = os.environ.get("FREEHOLD_TEST_SANDBOX_IMAGE", "freehold-sandbox:test")
_HOST_CERTIFICATES = Path("/usr/local/share/ca-certificates")

MakeProvider = Callable[..., "DockerSandboxProvider"]


@pytest.fixture(scope="session")
def docker_client() -> Iterator[DockerClient]:
    """The SDK's client of an engine that answers."""
    from freehold.errors import SandboxUnavailable
    from freehold.sandbox.docker.engine import Engine

    engine = Engine()
    try:
        client = engine.client()
    except SandboxUnavailable as error:
        if os.environ.get(_REQUIRE) == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
    yield client
    engine.drop_client()


@pytest.fixture(scope="session")
def docker_image(docker_client: DockerClient) -> str:
    """Name of the sandbox image, up to date. Kept from run to run."""
    from freehold.sandbox.images import ensure_image
    from freehold.settings import Settings

    certificates = Settings().extra_ca_certs
    if certificates is None and any(_HOST_CERTIFICATES.glob("*.crt")):
        certificates = _HOST_CERTIFICATES
    # Workers of one run, and runs beside this one, must not build it at once.
    with (Path(tempfile.gettempdir()) / "freehold-test-image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ensure_image(docker_client, _IMAGE, extra_ca_certs=certificates)
    return _IMAGE


@contextlib.asynccontextmanager
async def providers(image: str) -> AsyncIterator[MakeProvider]:
    """Makes providers that share an owner nobody else has; in the end their containers go."""
    from freehold.sandbox.docker import DockerSandboxProvider

    owner = f"test-{secrets.token_hex(6)}"
    made: list[DockerSandboxProvider] = []

    def make(**changes: Any) -> DockerSandboxProvider:
        made.append(DockerSandboxProvider(**{"owner": owner, "image": image, **changes}))
        return made[-1]

    try:
        yield make
    finally:
        # First the close: a pool would go on making containers.
        for provider in made:
            await provider.close()
        last = DockerSandboxProvider(owner=owner, image=image)
        await last.sweep(())
        await last.close()


@pytest_asyncio.fixture
async def make_docker_provider(docker_image: str) -> AsyncIterator[MakeProvider]:
    """:func:`providers` for one test."""
    async with providers(docker_image) as make:
        yield make


async def run(sandbox: Sandbox, command: str, call_id: str | None = None) -> ToolOutcome:
    """The outcome of a bash command."""
    from freehold.ports.sandbox import ToolCall

    return await sandbox.call(
        ToolCall(call_id or f"toolu_{secrets.token_hex(8)}", "bash", {"command": command})
    )


def text_of(outcome: ToolOutcome) -> str:
    """Its text blocks, joined."""
    return "".join(str(b["text"]) for b in outcome.content if b["type"] == "text")


async def output(sandbox: Sandbox, command: str) -> str:
    """The text of a bash command, which may fail."""
    return text_of(await run(sandbox, command))


_STAND_IN = """\
#!/bin/sh
# Says how it was started, as the packages' own programs do not.
{ echo "$(basename "$0") as $(id -un) in $HOME:"; printf ' <%s>' "$@"; echo; } >> ~/started
"""


@contextlib.contextmanager
def with_stand_ins(client: DockerClient, image: str) -> Iterator[str]:
    """A sandbox image with programs in the place of the package managers that it has not: cargo,
    gem and go write into ``~/started`` how they were started."""
    tag = f"freehold-test:{secrets.token_hex(6)}"
    seed = client.containers.create(image, ["true"])
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("cargo", "gem", "go"):
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o755, len(_STAND_IN)
            tar.addfile(info, io.BytesIO(_STAND_IN.encode()))
    try:
        seed.put_archive("/usr/local/bin", buffer.getvalue())
        seed.commit(*tag.split(":"))
    finally:
        seed.remove()
    try:
        yield tag
    finally:
        client.images.remove(tag, force=True)


def container_of(client: DockerClient, sandbox: Sandbox) -> Any:
    """The SDK's container behind a sandbox."""
    return client.containers.get(sandbox.identity.split("-")[0])
