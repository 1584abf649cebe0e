"""The container of one session: how it is made, started, found and removed.

Everything here blocks and runs in a thread (:meth:`Engine.run`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from docker import DockerClient
from docker.errors import APIError, DockerException, NotFound
from docker.utils import parse_bytes

from freehold.errors import SandboxUnavailable
from freehold.sandbox.docker.engine import is_conflict, refused
from freehold.sandbox.docker.fittings import BUNDLE, LAYOUT, furnish, put_toolbox
from freehold.sandbox.docker.hardening import Limits, host_options
from freehold.sandbox.docker.names import (
    LABEL_GATED,
    LABEL_OWNER,
    LABEL_PYTHON,
    is_gated,
    pool_name,
)
from freehold.sandbox.docker.rescue import drop_image, first_of, is_left_over, keep_files
from freehold.sandbox.image_definition import (
    LABEL_DEFINITION,
    LABEL_TOOLBOX,
    PYTHON_PATH,
    STATE_DIR,
    TOOLBOX_PATH,
)
from freehold.sandbox.toolbox_package import toolbox_version

SOCKET = f"{STATE_DIR}/toolbox.sock"

TRUST_VARIABLES = (
    *("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
    *("NODE_EXTRA_CA_CERTS", "CARGO_HTTP_CAINFO"),
)
"""What makes programs that keep a list of their own read the system's bundle."""
NOWHERE = "198.18.0.53"
"""The name server of a gated sandbox: any address would do, since the gate answers for all."""

_STOP_SECONDS = 2
log = logging.getLogger(__name__)

_PATIENCE = 5.0
"""Seconds to wait for somebody else who is making or removing the same container."""
_PAUSE = 0.02
_ENDING = 2.0
_GOOD_ORDER = (0, 143)
"""Exit statuses of a main process that ended by itself, or because it was asked to."""
_NOT_FOUND = 127
"""Exit status of the init when the program it should run is missing."""

GATED_OPTIONS: dict[str, Any] = {
    "dns": [NOWHERE],
    # The kernel itself would answer for every address there is.
    "sysctls": {"net.ipv4.icmp_echo_ignore_all": "1"},
}
"""Further arguments of ``create_host_config`` for a sandbox behind the gate."""


@dataclass(frozen=True)
class Recipe:
    """What every container of a provider has in common."""

    owner: str
    image: str
    limits: Limits
    trust: bytes | None = None
    """For sandboxes behind the egress gate: the certificate (PEM) of its authority. They have no
    network but what the gate gives them."""
    limited: bool = False
    """Whether a container of that name that is there and has a network of its own must not be
    used. Others keep what they were made with."""


@dataclass(frozen=True)
class Running:
    """A container that runs: its id, the Python its toolbox uses, and its image's id."""

    id: str
    python: str
    image: str
    started: bool = False
    """Whether this very call started it."""
    made: bool = False
    """Whether this very call made it: nothing is in it yet."""
    gated: bool = False
    """Whether it has no network but what the egress gate gives it."""
    ended: str | None = None
    """Why it had to be started again, unless it was stopped in good order."""
    first: str = ""
    """The id of the container that its files began in, where that is another."""

    @property
    def connect_command(self) -> list[str]:
        """The program that relays its standard streams to the toolbox."""
        return [*_toolbox(self.python), "connect", "--socket", SOCKET]


BeforeStart = Callable[[DockerClient, str], None]
"""Called with a new container's id when all is ready for its start."""
NewClient = Callable[[int], DockerClient]
"""Makes a client whose calls may take that many seconds."""


class _Stuck(Exception):
    """The container does not run and can never be started again."""


def ensure_running(
    client: DockerClient,
    recipe: Recipe,
    name: str,
    labels: Mapping[str, str],
    *,
    before_start: BeforeStart,
    new_client: NewClient,
) -> Running:
    """The container of this name, running: found, started again, or made with these labels.

    Several processes may ask at once: the engine lets one of them have the name.

    Raises:
        SandboxUnavailable: the engine could not; says why.
    """
    deadline = time.monotonic() + _PATIENCE
    try:
        patient = True
        while patient:
            patient = time.monotonic() < deadline
            found = inspect(client, name)
            if found is None:
                running = _create(client, recipe, name, labels, before_start)
            else:
                try:
                    running = _take_up(client, recipe, name, found, patient=patient)
                except _Stuck:
                    running = _rescue(
                        *(client, recipe, found),
                        name=name,
                        labels=labels,
                        before_start=before_start,
                        new_client=new_client,
                    )
            if running is not None:
                return running
            time.sleep(_PAUSE)
    except DockerException as error:
        raise refused(recipe.image, "start the sandbox", error) from error
    raise SandboxUnavailable(f"The container {name} is made and removed by others all the time.")


def _take_up(
    client: DockerClient, recipe: Recipe, name: str, found: dict[str, Any], *, patient: bool
) -> Running | None:
    """Use a container that is there; ``None``: somebody else is at work on it, or it vanished."""
    if found["Config"]["Labels"].get(LABEL_OWNER) != recipe.owner:
        raise SandboxUnavailable(
            f"A container named {name} is there that this installation does not own."
        )
    if recipe.limited and not is_gated(found["Config"]["Labels"]):
        raise SandboxUnavailable(f"The container {name} was made for another kind of network.")
    status = found["State"]["Status"]
    if status in {"dead", "removing"}:
        remove(client, name)
        return None
    # Made and not started: its maker is about to, unless it died in between.
    if status == "created" and patient:
        return None
    return _resume(client, recipe, found)


def restart(client: DockerClient, container: str, image: str) -> None:
    """End the container's processes and start it again, with today's toolbox.

    Raises:
        SandboxUnavailable: the engine could not; says why.
    """
    try:
        client.api.stop(container, timeout=_STOP_SECONDS)
        put_toolbox(client, container)
        client.api.start(container)
    except DockerException as error:
        raise refused(image, "start the sandbox again", error) from error


def remove(client: DockerClient, container: str) -> None:
    """Kill and delete the container and its anonymous volumes. None: no-op.

    Raises:
        DockerException: the engine could not.
    """
    try:
        client.api.remove_container(container, force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        # Somebody else is removing it; done is done.
        if not is_conflict(error):
            raise
        try:
            client.api.wait(container, condition="removed")
        except NotFound:
            return


def inspect(client: DockerClient, container: str) -> dict[str, Any] | None:
    """What the engine knows of a container; ``None``: there is none.

    Raises:
        DockerException: the engine could not tell.
    """
    try:
        found: dict[str, Any] = client.api.inspect_container(container)
    except NotFound:
        return None
    return found


def inspect_at_end(client: DockerClient, container: str) -> dict[str, Any] | None:
    """As :func:`inspect`, for a container that seems to be ending: waits a moment for its end.

    Raises:
        DockerException: the engine could not tell.
    """
    deadline = time.monotonic() + _ENDING
    while True:
        found = inspect(client, container)
        if found is None or not found["State"]["Running"] or time.monotonic() > deadline:
            return found
        time.sleep(_PAUSE)


def how_it_ended(found: dict[str, Any] | None, limits: Limits) -> str:
    """One sentence about a container that no longer serves."""
    if found is None:
        return "its container was removed"
    state = found["State"]
    if state.get("OOMKilled"):
        return f"it used more than its memory limit of {limits.memory}"
    if state["Running"]:
        return "its container runs, and its toolbox does not answer"
    if state.get("ExitCode") == _NOT_FOUND:
        return "its image has no python3"
    detail = f"exit status {state.get('ExitCode')}"
    if state.get("Error"):
        detail += f", {state['Error']}"
    return f"its main process ended ({detail})"


def _resume(client: DockerClient, recipe: Recipe, found: dict[str, Any]) -> Running | None:
    """A container that exists, brought to run; ``None``: it vanished meanwhile."""
    container, state = found["Id"], found["State"]
    labels = found["Config"]["Labels"]
    gated, first = is_gated(labels), first_of(container, labels)
    python = labels.get(LABEL_PYTHON, "python3")
    try:
        if state.get("Paused"):
            client.api.unpause(container)
        elif not state["Running"]:
            if state["Status"] == "created":
                image_labels = client.images.get(found["Image"]).labels
                furnish(client, container, image_labels, recipe.trust)
            elif labels.get(LABEL_TOOLBOX) != toolbox_version():
                put_toolbox(client, container)
            try:
                client.api.start(container)
            except NotFound:
                raise
            except APIError as error:
                if state["Status"] != "created":
                    if is_left_over(error, container):
                        log.warning("%s cannot be started any more: %s", found["Name"], error)
                        raise _Stuck from error
                    raise
                # An engine that was killed while it started it can never start it again. Nothing
                # has been done in it yet; should any other be no better, that is told of the next.
                log.warning("%s cannot be started and is made anew: %s", found["Name"], error)
                remove(client, container)
                return None
            fell = state["Status"] == "exited" and state.get("ExitCode") not in _GOOD_ORDER
            ended = how_it_ended(found, recipe.limits) if fell else None
            return Running(
                *(container, python, found["Image"]),
                started=True,
                gated=gated,
                ended=ended,
                first=first,
            )
    except NotFound:
        return None
    return Running(container, python, found["Image"], gated=gated, first=first)


def _rescue(
    client: DockerClient,
    recipe: Recipe,
    found: dict[str, Any],
    *,
    name: str,
    labels: Mapping[str, str],
    before_start: BeforeStart,
    new_client: NewClient,
) -> Running | None:
    """Another container with the files of this one, in its place; ``None``: they could not be
    kept and it is gone, or somebody else was quicker.

    The old one stays as it is until the new one runs.
    """
    stuck: str = found["Id"]
    kept = keep_files(new_client, found)
    if kept is None:
        remove(client, stuck)
        return None
    image: str = kept["Id"]
    try:
        # An image's volumes are no part of another one that is made from a container.
        volumes = [stuck] if found.get("Mounts") else None
        # Until it is the session's, any server may remove it.
        made = _create(
            client,
            replace(recipe, image=image),
            pool_name(recipe.owner),
            labels,
            before_start,
            volumes_from=volumes,
        )
        if made is None:
            return None
        _give_way(client, recipe, stuck)
        try:
            client.api.rename(made.id, name)
        except APIError as error:
            if not is_conflict(error):
                raise
            remove(client, made.id)
            return None
    finally:
        # No-op while a container is made from it.
        drop_image(client, image)
    try:
        remove(client, stuck)
    except DockerException as error:
        log.warning("what was left of %s stays until the next start: %s", name, error)
    log.warning("%s goes on in another container with its files", name)
    first = first_of(stuck, found["Config"]["Labels"])
    return replace(made, made=False, ended="the Docker engine lost its container", first=first)


def _give_way(client: DockerClient, recipe: Recipe, container: str) -> None:
    """Free a container's name; at best in a moment."""
    try:
        client.api.rename(container, pool_name(recipe.owner))
    except NotFound:
        return
    except APIError:
        remove(client, container)


def _create(
    client: DockerClient,
    recipe: Recipe,
    name: str,
    own_labels: Mapping[str, str],
    before_start: BeforeStart,
    *,
    volumes_from: list[str] | None = None,
) -> Running | None:
    """A new container, started; ``None``: somebody else has just made one of this name."""
    image: dict[str, Any] = client.images.get(recipe.image).attrs
    labels: dict[str, str] = image["Config"].get("Labels") or {}
    python = PYTHON_PATH if labels.get(LABEL_DEFINITION) else "python3"
    try:
        container: str = client.api.create_container(
            recipe.image,
            name=name,
            entrypoint=_toolbox(python),
            command=[
                *("serve", "--state", STATE_DIR, "--socket", SOCKET),
                *("--workdir", LAYOUT.workdir, "--outputs", LAYOUT.outputs),
                *("--stdio", "yes", "--alone", "yes"),
                *("--disk", str(parse_bytes(recipe.limits.disk))),
            ],
            stdin_open=True,
            detach=True,  # or the input would be closed with the first connection to it
            user=recipe.limits.user,
            hostname="sandbox",
            working_dir="/",
            # An image's own health check would be a process of ours every few seconds.
            healthcheck={"test": ["NONE"]},
            environment=dict.fromkeys(TRUST_VARIABLES, BUNDLE) if recipe.trust else None,
            labels={
                **own_labels,
                LABEL_GATED: "1" if recipe.trust else "0",
                LABEL_OWNER: recipe.owner,
                LABEL_TOOLBOX: toolbox_version(),
                LABEL_PYTHON: python,
            },
            host_config=client.api.create_host_config(
                **host_options(recipe.limits),
                **(GATED_OPTIONS if recipe.trust else {}),
                volumes_from=volumes_from,
            ),
        )["Id"]
    except APIError as error:
        if is_conflict(error):
            return None
        raise
    try:
        furnish(client, container, labels, recipe.trust)
        before_start(client, container)
        client.api.start(container)
    except BaseException:
        remove(client, container)
        raise
    gated = recipe.trust is not None
    return Running(container, python, image["Id"], started=True, made=True, gated=gated)


def _toolbox(python: str) -> list[str]:
    # -I -S: nothing the agent installs or sets changes what the toolbox imports.
    return [python, "-I", "-S", TOOLBOX_PATH]
