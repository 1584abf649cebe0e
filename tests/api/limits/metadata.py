"""Limits of metadata, which are the same wherever there is some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.api.limits.agents import creating, updating
from tests.api.limits.deployments import changing_deployment, deploying
from tests.api.limits.environments import changing_environment
from tests.api.limits.kinds import VALUE, Call, Items, Row, Text, Value
from tests.api.limits.sessions import changing_session, session
from tests.api.limits.vaults import BEARER, changing, credential
from tests.support.constraints import Constraint

CARRIERS: dict[str, tuple[Call, Call]] = {
    "an agent": (creating(metadata=VALUE), updating(metadata=VALUE)),
    "an environment": (
        Call("POST", "/v1/environments", {"name": "limits", "metadata": VALUE}),
        changing_environment(metadata=VALUE),
    ),
    "a session": (session(metadata=VALUE), changing_session(metadata=VALUE)),
    "a vault": (
        Call("POST", "/v1/vaults", {"display_name": "limits", "metadata": VALUE}),
        Call("POST", "/v1/vaults/{vault0}", {"metadata": VALUE}),
    ),
    "a credential": (credential(BEARER, metadata=VALUE), changing("bearer", metadata=VALUE)),
    "a deployment": (deploying(metadata=VALUE), changing_deployment(metadata=VALUE)),
    "a memory store": (
        Call("POST", "/v1/memory_stores", {"name": "limits", "metadata": VALUE}),
        Call("POST", "/v1/memory_stores/{store0}", {"metadata": VALUE}),
    ),
}
"""How each kind of resource is made and changed with metadata."""


def bag_of(count: int) -> dict[str, str]:
    """Metadata with that many entries."""
    return {f"key{number}": "value" for number in range(count)}


@dataclass(frozen=True)
class Entry:
    """Metadata with one entry, a part of which has bounds."""

    text: Text
    part: str

    def _bags(self, values: Iterator[Value]) -> Iterator[Value]:
        for name, value in values:
            yield Value(name, {value: "value"} if self.part == "key" else {"key": value})

    def fitting(self) -> Iterator[Value]:
        return self._bags(self.text.fitting())

    def beyond(self) -> Iterator[Value]:
        return self._bags(self.text.beyond())

    def constraints(self, name: str) -> Iterator[Constraint]:
        return self.text.constraints(name)


def _rows(name: str, call: Call) -> Iterator[Row]:
    def row(what: str, bounds: Any, constant: str, refusal: str) -> Row:
        return Row(
            f"metadata of {name}: {what}",
            bounds,
            "1.10, D",
            call,
            constant=constant,
            declared=False,
            refusal=f"^invalid metadata: .*{refusal}",
        )

    yield row("entries", Items(0, 16, bag_of), "METADATA_ENTRIES", "maximum of 16$")
    yield row("key", Entry(Text(1, 64), "key"), "METADATA_KEY", "keys must have 1 to 64 ")
    yield row("value", Entry(Text(0, 512), "value"), "METADATA_VALUE", "maximum of 512$")


ROWS = [row for name, (made, _) in CARRIERS.items() for row in _rows(name, made)]
