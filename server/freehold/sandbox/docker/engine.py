"""The Docker engine: reaching it, calling it off the event loop, saying what is wrong with it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound

from freehold.errors import SandboxUnavailable
from freehold.sandbox.docker.transport import Endpoint

DEFAULT_HOST = "unix:///var/run/docker.sock"

P = ParamSpec("P")
T = TypeVar("T")

_POOL = 32
"""Connections kept to the engine; calls beyond open their own."""
_TIMEOUT = 120
"""Seconds that the engine may be silent."""


class Engine:
    """One engine. Connects when first used, so that making one cannot fail.

    ``host`` is a ``DOCKER_HOST`` value; default: the environment's, else the usual socket.
    """

    def __init__(self, host: str | None = None) -> None:
        self.host = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        self._client: docker.DockerClient | None = None
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> Endpoint:
        """Where streams connect to.

        Raises:
            SandboxUnavailable: a kind of address that carries no streams.
        """
        return Endpoint.parse(self.host, tls_folder=_tls_folder())

    def client(self) -> docker.DockerClient:
        """The SDK's client; blocks on first use, to agree on a version.

        Raises:
            SandboxUnavailable: the engine does not answer.
        """
        with self._lock:
            if self._client is None:
                _ = self.endpoint
                self._client = self.new_client(timeout=_TIMEOUT)
            return self._client

    def new_client(self, *, timeout: int) -> docker.DockerClient:
        """A client of the caller's own, for calls that may be silent for ``timeout`` seconds.

        Raises:
            SandboxUnavailable: the engine does not answer.
        """
        try:
            return docker.DockerClient(
                base_url=self.host, tls=_tls_config(), max_pool_size=_POOL, timeout=timeout
            )
        except (DockerException, requests.RequestException, OSError) as error:
            raise unreachable(self.host, error) from error

    def drop_client(self) -> None:
        """Forget the client and its connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    async def run(self, call: Callable[[docker.DockerClient], T]) -> T:
        """Make blocking SDK calls in a thread.

        Raises:
            APIError: the engine refused; left to the caller, who knows what it means.
            SandboxUnavailable: the engine does not answer.
        """

        def work() -> T:
            client = self.client()
            try:
                return call(client)
            except (requests.ConnectionError, requests.Timeout) as error:
                raise unreachable(self.host, error) from error

        return await asyncio.to_thread(work)


def unreachable(host: str, error: Exception) -> SandboxUnavailable:
    """The engine does not answer; says what may be wrong."""
    text = str(error)
    if "Permission denied" in text:
        mend = (
            "This user may not use it: add the user to the `docker` group and log in again, or "
            "point DOCKER_HOST at a rootless engine."
        )
    else:
        mend = "Start it (`systemctl start docker`), or set DOCKER_HOST to where it listens."
    return SandboxUnavailable(f"The Docker engine at {host} does not answer ({text}). {mend}")


def refused(image: str, doing: str, error: DockerException) -> SandboxUnavailable:
    """The engine answered and would not; says what may be wrong."""
    text = str(getattr(error, "explanation", None) or error)
    lower = text.lower()
    if isinstance(error, ImageNotFound) or "no such image" in lower:
        return SandboxUnavailable(
            f"There is no sandbox image {image}. Build it: `freehold image build` (without an "
            "image registry: `freehold image build --from debian`), or name another in "
            "FREEHOLD_SANDBOX_IMAGE."
        )
    if "no space left on device" in lower:
        mend = "The engine's disk is full: make room (`docker system prune`)."
    elif "unknown runtime" in lower or "unknown or invalid runtime" in lower:
        mend = "FREEHOLD_SANDBOX_RUNTIME names a runtime this engine has not."
    elif "network" in lower and "not found" in lower:
        mend = "FREEHOLD_SANDBOX_NETWORK names a network this engine has not: `docker network ls`."
    elif "executable file not found" in lower or ("no such file or directory" in lower):
        mend = f"The image {image} has no python3, which the toolbox inside needs."
    else:
        mend = "`freehold doctor` looks closer."
    return SandboxUnavailable(f"The Docker engine could not {doing}: {text.strip()}. {mend}")


def is_missing(error: APIError) -> bool:
    """Whether the engine knows no such object."""
    return bool(error.status_code == 404)


def is_conflict(error: APIError) -> bool:
    """Whether the name is taken, or the object is in a state that does not allow the call."""
    return bool(error.status_code == 409)


def _tls_folder() -> Path | None:
    if not os.environ.get("DOCKER_TLS_VERIFY"):
        return None
    return Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")


def _tls_config() -> docker.tls.TLSConfig | bool:
    folder = _tls_folder()
    if folder is None:
        return False
    return docker.tls.TLSConfig(
        client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")),
        ca_cert=str(folder / "ca.pem"),
        verify=True,
    )


def engine_answers(host: str | None = None) -> bool:
    """Whether an engine answers where ``DOCKER_HOST`` (or the usual socket) says. Blocks."""
    engine = Engine(host)
    try:
        return bool(engine.client().ping())
    except (SandboxUnavailable, DockerException, requests.RequestException, OSError):
        return False
    finally:
        engine.drop_client()
