"""The files of a container that the engine can never start again.

An engine that is killed while it starts a container may leave the container's task with its
containerd, and know nothing of it afterwards: each further start says that there is one already,
and no call of the engine's can end it. What the session wrote is whole all the same. It is kept
as an image, and a container that is made from that goes on under the sandbox's name and identity.

The image has no tag: it holds on to nothing but the container that is made from it, and goes when
that does.

Everything here blocks and runs in a thread (:meth:`Engine.run`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from docker import DockerClient
from docker.errors import APIError, DockerException, NotFound

from freehold.sandbox.docker.names import LABEL_OWNER, LABEL_RESCUED, LABEL_RESCUED_BASE

log = logging.getLogger(__name__)

LONGEST = 1800
"""Seconds that keeping a container's files may take: they may be many gigabytes."""

_LEFT_OVER = ("already exists", "id exists", "file exists")


def is_left_over(error: APIError, container: str) -> bool:
    """Whether a start failed because something is left of an earlier one that the engine does not
    know of. What else may exist already, as a network's endpoint, is no such thing."""
    text = str(error.explanation or error).lower()
    if "given id already exists" in text or "id already in use" in text:
        return True
    return container.lower() in text and any(word in text for word in _LEFT_OVER)


def first_of(container: str, labels: Mapping[str, str]) -> str:
    """The id of the container in which a sandbox's files began: its own, unless it was rescued."""
    return labels.get(LABEL_RESCUED) or container


def base_of(found: Mapping[str, Any]) -> str:
    """The id of the image that a container's sandbox began with."""
    labels: Mapping[str, str] = found["Config"]["Labels"]
    return labels.get(LABEL_RESCUED_BASE) or str(found["Image"])


def keep_files(
    new_client: Callable[[int], DockerClient], found: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The image of a stopped container as it is; ``None``: there can be none.

    Args:
        new_client: makes a client whose calls may take that many seconds.
        found: what the engine knows of the container.

    Raises:
        APIError: the engine has no room for it; there is no sense in giving the files up for that.
        DockerException: the engine does not answer.
    """
    labels = {
        LABEL_RESCUED: first_of(found["Id"], found["Config"]["Labels"]),
        LABEL_RESCUED_BASE: base_of(found),
    }
    client = new_client(LONGEST)
    try:
        image = client.api.commit(found["Id"], conf={"Labels": labels})["Id"]
        kept: dict[str, Any] = client.images.get(image).attrs
    except APIError as error:
        if isinstance(error, NotFound) or "no space left" not in str(error).lower():
            log.warning("the files of %s cannot be kept: %s", found["Name"], error)
            return None
        raise
    finally:
        client.close()
    return kept


def drop_images(client: DockerClient, owner: str) -> None:
    """Delete the images of files that no container holds any more. Never raises for those that
    stay.

    Raises:
        DockerException: the engine could not list them.
    """
    label = [f"{LABEL_OWNER}={owner}", LABEL_RESCUED]
    for image in client.api.images(quiet=True, filters={"label": label}):
        drop_image(client, image)


def drop_image(client: DockerClient, image: str) -> None:
    """Delete one, unless a container is made from it or it cannot be."""
    try:
        client.api.remove_image(image)
    except DockerException as error:
        log.debug("the image %s stays: %s", image, error)
