"""A script for each resource: what is asked of it, in which order, and how the answers are known."""

from __future__ import annotations

from collections.abc import Callable

from tests.parity.script import Script
from tests.parity.scripts import definitions, sessions

SCRIPTS: dict[str, Callable[[Script], None]] = {
    "agents": definitions.agents,
    "environments": definitions.environments,
    "sessions": sessions.sessions,
    "sessions.events": sessions.events,
    "sessions.threads": sessions.threads,
    "sessions.resources": sessions.resources,
    "vaults": definitions.vaults,
    "vaults.credentials": definitions.credentials,
}
