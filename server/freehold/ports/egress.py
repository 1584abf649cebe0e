"""What goes out with a sandbox's requests although the sandbox does not know it (spec 14.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from freehold.core.events import Json
from freehold.ports.log import SessionSpec


@dataclass(frozen=True)
class Variable:
    """A variable that the sandbox has with a placeholder for its value."""

    name: str
    placeholder: str
    """Letters, digits and underscores; the same for the session's life."""
    value: str | None = field(repr=False)
    """What requests are given in its place; ``None``: it cannot be had at present."""
    hosts: tuple[str, ...] | None
    """Where to: hosts and ``*.domain``; ``None``: wherever the sandbox may go."""
    header: bool
    body: bool


@dataclass(frozen=True)
class Injection:
    """A header that requests over TLS to one path and all below it are given, in the place of
    what they have under its name. They may go there whatever the networking says."""

    scheme: str
    """``https``; ``http`` only where the operator has said that it is to be."""
    host: str
    port: int
    path: str
    """Absolute, without ``..``; ``/owner/repo.git`` covers ``/owner/repo.git/info/refs``."""
    header: str
    value: str = field(repr=False)


@dataclass(frozen=True)
class Grants:
    """All that one session's requests are given."""

    variables: tuple[Variable, ...] = ()
    injections: tuple[Injection, ...] = ()
    mcp_hosts: tuple[str, ...] = ()
    """Hosts of the agent's MCP servers at this moment, which ``allow_mcp_servers`` opens."""

    def __bool__(self) -> bool:
        return bool(self.variables or self.injections)


class GrantSource(Protocol):
    """Knows what sessions' requests are given, of one kind."""

    async def grants(self, spec: SessionSpec) -> Grants:
        """What it is at this moment. Asked whenever the session's sandbox is wanted, and when
        :meth:`freehold.harness.egress.Egress.changed` says that it is something else now.

        What cannot be had is left out, with a warning in the log; nothing is raised for it.
        """
        ...


class SessionGrants(Protocol):
    """What one session's requests are given, of all kinds.

    A function and not a value: whoever enforces it asks at that very moment, so that two changes
    that overtake each other leave the newer one in force.
    """

    async def __call__(self) -> Grants:
        """What it is at this moment."""
        ...


@dataclass(frozen=True)
class GrantedVariable:
    """A credential of a session's vaults, opened."""

    credential_id: str
    vault_id: str
    auth: Json
    """As the API shows it."""
    placeholder: str
    value: str | None = field(repr=False)
    """``None``: no key opens it."""


class VariableStore(Protocol):
    """Where sessions find their ``environment_variable`` credentials."""

    async def variables(
        self, session_id: str, workspace_id: str, vault_ids: Sequence[str]
    ) -> Sequence[GrantedVariable]:
        """Those that are active, each name once: the first vault that has it wins."""
        ...
