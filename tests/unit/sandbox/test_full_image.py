"""The full image's definition."""

from __future__ import annotations

from typing import cast

import pytest
from docker import DockerClient

from freehold.errors import ConfigurationError
from freehold.sandbox.docker.full_image import ensure_full_image, full_packages
from freehold.sandbox.image_definition import images_folder


def test_it_is_made_of_what_debian_npm_and_pypi_have() -> None:
    lists = dict(full_packages())
    assert list(lists) == ["apt", "npm", "pip"]
    assert {"postgresql", "chromium", "build-essential"} <= set(lists["apt"])
    assert "playwright" in lists["pip"]
    assert not any(spec.startswith("#") for specs in lists.values() for spec in specs)


def test_its_lists_are_in_order_and_name_nothing_twice() -> None:
    for manager in ("npm", "pip"):
        lines = (images_folder() / "full" / f"{manager}.txt").read_text().splitlines()
        names = [line for line in lines if line and not line.startswith("#")]
        assert names == sorted(set(names))


@pytest.mark.parametrize("name", ["full", "registry:5000/full"])
def test_a_name_without_a_tag_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="needs a tag"):
        ensure_full_image(
            cast(DockerClient, None),
            name,
            base="base",
            network="bridge",
            extra_ca_certs=None,
            progress=print,
        )
