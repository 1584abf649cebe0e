"""The table of the API's endpoints, and the SDK's type for what each of them answers."""

from __future__ import annotations

import csv
import functools
import inspect
import re
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anthropic import Anthropic

TABLES = Path(__file__).parents[1] / "parity"


@dataclass(frozen=True)
class Endpoint:
    """A row of the table: ``sdk_method`` is the call, ``beta`` the header that the SDK sends."""

    method: str
    sdk_method: str
    path: str
    beta: str

    @property
    def resource(self) -> str:
        """What it belongs to, as ``vaults.credentials``."""
        return self.sdk_method.removeprefix("beta.").rpartition(".")[0]

    @property
    def name(self) -> str:
        """As ``vaults.credentials.create``."""
        return self.sdk_method.removeprefix("beta.")

    @property
    def parameters(self) -> list[str]:
        """The names of the ids in the path."""
        return re.findall(r"{(\w+)}", self.path)


@functools.cache
def endpoints() -> tuple[Endpoint, ...]:
    """The managed-agents surface, whole."""
    return _rows("endpoints.tsv")


@functools.cache
def beyond() -> tuple[Endpoint, ...]:
    """What else of the SDK's methods we answer."""
    return _rows("beyond.tsv")


def _rows(name: str) -> tuple[Endpoint, ...]:
    with (TABLES / name).open(encoding="utf-8", newline="") as file:
        return tuple(Endpoint(**row) for row in csv.DictReader(file, delimiter="\t"))


@functools.cache
def _patterns() -> dict[str, list[tuple[re.Pattern[str], Endpoint]]]:
    found: dict[str, list[tuple[re.Pattern[str], Endpoint]]] = {}
    # Words before ids: `…/work/poll` is no work item.
    for endpoint in sorted((*endpoints(), *beyond()), key=lambda one: one.path.replace("{", "~")):
        # Names of models may have slashes in them.
        known = endpoint.path.replace("{model_id}", ".+")
        pattern = re.compile(re.sub(r"{\w+}", "[^/]+", known))
        found.setdefault(endpoint.method, []).append((pattern, endpoint))
    return found


def endpoint_of(method: str, path: str) -> Endpoint | None:
    """The row that a request falls on; the first of those that share a path."""
    for pattern, endpoint in _patterns().get(method, ()):
        if pattern.fullmatch(path):
            return endpoint
    return None


@functools.cache
def _client() -> Anthropic:
    return Anthropic(api_key="none", base_url="http://127.0.0.1:1")


def sdk_method(client: Anthropic, endpoint: Endpoint) -> Any:
    """The bound method that the row names."""
    found: Any = client
    for part in endpoint.sdk_method.split("."):
        found = getattr(found, part)
    return found


@functools.cache
def answer_type(endpoint: Endpoint) -> Any:
    """What the SDK's method returns: a type, a page of a type, or a stream of a type."""
    function = inspect.unwrap(sdk_method(_client(), endpoint))
    hints = typing.get_type_hints(getattr(function, "__func__", function))
    return hints["return"]
