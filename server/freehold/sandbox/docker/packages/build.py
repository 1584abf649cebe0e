"""Builds one package image in a container of its own; blocks, and runs in a thread.

The container's name is the lock: the engine lets one builder have it, whichever server it belongs
to. Its main process ends with the builder's connection, and the container with it, so a builder
that is killed leaves neither.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from freehold.errors import SandboxUnavailable
from freehold.sandbox.docker.container import remove
from freehold.sandbox.docker.engine import is_conflict, refused
from freehold.sandbox.docker.hardening import ROOT_USER, USER, Limits, host_options
from freehold.sandbox.image_definition import LABEL_DEFINITION, PYTHON_PATH
from freehold.sandbox.packages import inside
from freehold.sandbox.packages.plan import Plan, last_words, plain

log = logging.getLogger(__name__)

REPOSITORY = "freehold-packages"
LABEL_PACKAGES = "dev.freehold.packages"
"""On a package image: its packages, for people."""
LABEL_DIGEST = "dev.freehold.packages.digest"
"""The digest of its plan."""
LABEL_OWNER = "dev.freehold.packages.owner"
"""The installation that built it."""
LABEL_BASE = "dev.freehold.packages.base"
"""The engine's id of the image that it stands on."""

LONGEST = 3_600
"""Seconds that a build may take."""
_PIDS = 4_096
_PAUSE = 0.5
_UNSTARTED = 30.0
"""Seconds after which a container that was made and not started has lost its maker."""
_ENDING = 5.0
"""Seconds within which the engine knows of a container's end."""
_KEPT_LINES = 200
_KILLED = 137
_STOPPED = "The server is being stopped; the environment's packages are not built."

CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID")
"""What dpkg needs of root, and no more."""

# Reads until the builder is gone; the alarm is for one that hangs.
_MAIN = f"import signal, sys; signal.alarm({LONGEST}); sys.stdin.buffer.read()"


_CHANGES = ('CMD ["bash"]', f"USER {USER}", "WORKDIR /workspace")


class BuildStopped(SandboxUnavailable):
    """The server is being stopped, and its builds with it."""


class InstallFailed(SandboxUnavailable):
    """A step failed by itself: made again, it would fail again."""


@dataclass(frozen=True)
class Where:
    """What every build of a provider has in common."""

    owner: str
    image: str
    """Name of the image that packages are installed on."""
    limits: Limits
    network: str


@dataclass(frozen=True)
class Target:
    """What the image becomes."""

    repository: str
    tag: str
    changes: tuple[str, ...] = ()
    """Further instructions of a Dockerfile that only change the image's configuration."""

    @property
    def name(self) -> str:
        """Repository and tag."""
        return f"{self.repository}:{self.tag}"


def target_of(plan: Plan) -> Target:
    """An environment's image is named after its content."""
    return Target(REPOSITORY, plan.digest)


def container_named(digest: str) -> str:
    """Name of the container that the plan of this digest is built in."""
    return f"{REPOSITORY}-{digest}"


def ensure_built(
    client: DockerClient,
    where: Where,
    plan: Plan,
    *,
    target: Target | None = None,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[str], None] = lambda line: None,
) -> bool:
    """Build the plan's image unless it is there; wait for another builder that is at it. Tells
    whether it was built here.

    Raises:
        InstallFailed: a package cannot be installed, with the installer's last lines.
        SandboxUnavailable: the engine could not, or the build was killed.
        BuildStopped: ``stopped`` told so.
    """
    target = target or target_of(plan)
    deadline = time.monotonic() + LONGEST
    waited_for = None
    try:
        while time.monotonic() < deadline:
            if is_built(client, plan, target):
                return False
            if stopped():
                raise BuildStopped(_STOPPED)
            container = _create(client, where, plan)
            if container is not None:
                _Build(client, where, plan, target, container, stopped, progress).run()
                return True
            if waited_for is None:
                log.info("packages %s: another server builds them", plan.digest)
            waited_for = _clear_away(client, plan, waited_for)
            time.sleep(_PAUSE)
    except DockerException as error:
        if stopped():
            raise BuildStopped(_STOPPED) from error
        raise refused(where.image, "build the environment's packages", error) from error
    raise SandboxUnavailable("config.packages: another server has been building them for too long.")


def is_built(client: DockerClient, plan: Plan, target: Target) -> bool:
    """Whether the image is there; notes that it is in use."""
    try:
        image = client.images.get(target.name)
    except ImageNotFound:
        return False
    if image.labels.get(LABEL_DIGEST) != plan.digest:
        return False
    # The engine remembers when an image was last given a name: that is its last use.
    image.tag(target.repository, target.tag)
    return True


def _create(client: DockerClient, where: Where, plan: Plan) -> str | None:
    """The build's container, not started; ``None``: another builder has the name."""
    options = host_options(where.limits) | {
        "cap_drop": ["ALL"],
        "cap_add": list(CAPABILITIES),
        "pids_limit": _PIDS,
        "network_mode": where.network,
        "auto_remove": True,
    }
    labels: dict[str, str] = client.images.get(plan.base).labels
    try:
        made = client.api.create_container(
            plan.base,
            name=container_named(plan.digest),
            entrypoint=[_python(labels), "-I", "-S", "-c", _MAIN],
            command=[],
            stdin_open=True,
            user=ROOT_USER,
            working_dir="/",
            healthcheck={"test": ["NONE"]},
            labels={
                LABEL_PACKAGES: str(plan.packages),
                LABEL_DIGEST: plan.digest,
                LABEL_OWNER: where.owner,
                LABEL_BASE: plan.base,
            },
            host_config=client.api.create_host_config(**options),
        )
    except APIError as error:
        if is_conflict(error):
            return None
        raise
    return str(made["Id"])


@dataclass(frozen=True)
class _Build:
    """A build that is going on."""

    client: DockerClient
    where: Where
    plan: Plan
    target: Target
    container: str
    stopped: Callable[[], bool]
    progress: Callable[[str], None]

    def run(self) -> None:
        """Install, make the image, and remove the container.

        Raises:
            SandboxUnavailable: a step failed.
        """
        plan, began = self.plan, time.monotonic()
        labels: dict[str, str] = self.client.images.get(plan.base).labels
        python = _python(labels)
        # An image of ours has places where its user installs; in another only root can.
        user = USER if labels.get(LABEL_DEFINITION) else ROOT_USER
        log.info("packages %s: building (%s)", plan.digest, plan.packages)
        try:
            self.client.api.put_archive(self.container, "/", plan.archive())
            with _held(self.client, self.container):
                for step in [("begin",), *plan.steps, ("finish",)]:
                    as_user = user if step[0] == "install" and step[1] != "apt" else ROOT_USER
                    self._step(python, step, as_user)
                self.client.api.commit(
                    self.container,
                    repository=self.target.repository,
                    tag=self.target.tag,
                    message=f"Packages: {plan.packages}",
                    changes=[*_CHANGES, *self.target.changes],
                    # Only an empty list here keeps the build's own program out of the image.
                    conf={"Entrypoint": []},
                )
        finally:
            remove(self.client, self.container)
        seconds = time.monotonic() - began
        log.info("packages %s: built in %.0f s as %s", plan.digest, seconds, self.target.name)

    def _step(self, python: str, step: tuple[str, ...], user: str) -> None:
        """Run a step to its end.

        Raises:
            InstallFailed: it failed.
            SandboxUnavailable: the whole container was killed, which says nothing of the packages.
        """
        plan, began = self.plan, time.monotonic()
        home = "/home/agent" if user == USER else "/root"
        exec_id: str = self.client.api.exec_create(
            self.container,
            [python, "-I", "-S", f"{inside.BUILD}/inside.py", *step],
            user=user,
            environment={**plan.reach.variables, "HOME": home},
            workdir="/",
        )["Id"]
        said: deque[str] = deque(maxlen=_KEPT_LINES)
        for line in _lines(self.client.api.exec_start(exec_id, stream=True)):
            said.append(plain(line))
            log.debug("packages %s: %s", plan.digest, said[-1])
            self.progress(said[-1])
        status = self.client.api.exec_inspect(exec_id)["ExitCode"]
        if status == 0:
            seconds = time.monotonic() - began
            log.info("packages %s: %s done in %.1f s", plan.digest, " ".join(step), seconds)
            return
        if self.stopped():
            raise BuildStopped(_STOPPED)
        why = f"failed (exit status {status})"
        if status in {None, _KILLED}:
            memory = self.where.limits.memory
            why = f"was killed; it may have needed more than {memory} of memory, or an hour"
        words = last_words(list(said))
        log.warning("packages %s: %s %s: %s", plan.digest, " ".join(step), why, words)
        what = ".".join(["config.packages", *step[1:]])
        doing = "installing" if step[0] == "install" else f"the step `{step[0]}`"
        kind = SandboxUnavailable if status in {None, _KILLED} and self._ended() else InstallFailed
        raise kind(f"{what}: {doing} {why}. Its last lines:\n{words}")

    def _ended(self) -> bool:
        """Whether the container itself is no more. Its programs end before the engine says so."""
        deadline = time.monotonic() + _ENDING
        while time.monotonic() < deadline:
            try:
                state = self.client.api.inspect_container(self.container)["State"]
            except NotFound:
                return True
            if not state["Running"]:
                return True
            time.sleep(_PAUSE / 5)
        return False


def _clear_away(client: DockerClient, plan: Plan, since: float | None) -> float:
    """Remove what a builder that was killed left; tells since when it has been waited for."""
    now = time.monotonic()
    since = now if since is None else since
    try:
        status = client.api.inspect_container(container_named(plan.digest))["State"]["Status"]
    except NotFound:
        return since
    unstarted = status == "created" and now - since > _UNSTARTED
    if unstarted or status in {"exited", "dead"}:
        remove(client, container_named(plan.digest))
    return since


@contextmanager
def _held(client: DockerClient, container: str) -> Iterator[None]:
    """Start the container, and let it end with us."""
    line: Any = client.api.attach_socket(container, params={"stdin": 1, "stream": 1})
    try:
        client.api.start(container)
        yield
    finally:
        line.close()


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if rest:
        yield rest.decode(errors="replace")


def _python(labels: dict[str, str]) -> str:
    return PYTHON_PATH if labels.get(LABEL_DEFINITION) else "python3"
