"""Addresses of the git repositories that sessions are given (spec 9.2)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

GITHUB = "github.com"

_URL = re.compile(
    r"https://(?P<host>[A-Za-z0-9.-]+(?::[0-9]{1,5})?)"
    r"/(?P<owner>[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)/(?P<name>[A-Za-z0-9._-]{1,100})"
)


@dataclass(frozen=True)
class Repository:
    """A repository of a host."""

    host: str
    owner: str
    name: str


def parse(url: str, hosts: Collection[str] = (GITHUB,)) -> Repository | None:
    """The repository that ``https://{host}/{owner}/{name}`` names, if it is on one of ``hosts``."""
    found = _URL.fullmatch(url)
    if found is None or found["host"] not in hosts:
        return None
    name = found["name"]
    if name in (".", "..") or name.lower().endswith(".git"):
        return None
    return Repository(found["host"], found["owner"], name)
