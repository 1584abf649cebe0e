"""A script for each resource: what is asked of it, and how we know what it answers."""

from __future__ import annotations

from collections.abc import Callable

from tests.parity.script import Script
from tests.parity.scripts import contents, definitions, operations, sessions

SCRIPTS: dict[str, Callable[[Script], None]] = {
    "agents": definitions.agents,
    "deployment_runs": operations.deployment_runs,
    "deployments": operations.deployments,
    "dreams": operations.dreams,
    "environments": definitions.environments,
    "environments.work": operations.work,
    "files": contents.files,
    "memory_stores": contents.memory_stores,
    "memory_stores.memories": contents.memories,
    "memory_stores.memory_versions": contents.memory_versions,
    "messages": operations.messages,
    "models": operations.models,
    "organization.webhooks": operations.webhooks,
    "sessions": sessions.sessions,
    "sessions.events": sessions.events,
    "sessions.resources": sessions.resources,
    "sessions.threads": sessions.threads,
    "skills": contents.skills,
    "skills.versions": contents.skill_versions,
    "transport": operations.transport,
    "tunnels": operations.tunnels,
    "tunnels.certificates": operations.certificates,
    "user_profiles": operations.user_profiles,
    "vaults": definitions.vaults,
    "vaults.credentials": definitions.credentials,
}
