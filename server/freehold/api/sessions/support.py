"""What a session may ask for that this version cannot give: said at once, never ignored."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.api.environments.service import has_packages
from freehold.api.session_resources.schemas import ResourceParams
from freehold.api.sessions.schemas import SessionCreateParams
from freehold.core.events import Json, SessionError
from freehold.core.networking import (
    credential_hosts,
    host_unreachable,
    opened_hosts,
    opens_package_hosts,
    unreachable,
)
from freehold.errors import NotSupported
from freehold.ports.sandbox import SandboxProvider
from freehold.store.credentials import CredentialRow


def refuse_environment(environment_id: str, config: Json, sandboxes: SandboxProvider) -> None:
    """Refuse an environment whose promises would not be kept.

    Raises:
        NotSupported: it has some.
    """
    if config["type"] == "self_hosted":
        return  # promises nothing
    if (reason := sandboxes.unenforceable(config)) is not None:
        raise NotSupported(
            f"environment_id: {environment_id} asks for networking (config.networking) that cannot "
            f"be enforced here: {reason}"
        )
    if has_packages(config) and not sandboxes.installs_packages:
        raise NotSupported(
            f"environment_id: {environment_id} asks for packages (config.packages), which this "
            f"version of Freehold does not install in {sandboxes.name} sandboxes; run the server "
            "with FREEHOLD_SANDBOX=docker, or let the agent install them"
        )


def refuse_fields(params: SessionCreateParams) -> None:
    """Refuse fields that would have no effect.

    Raises:
        NotSupported: one is set.
    """
    for index, event in enumerate(params.initial_events or ()):
        if event.type == "user.define_outcome":
            raise NotSupported(
                f"initial_events[{index}]: this version of Freehold does not pursue outcomes "
                "(`user.define_outcome`); send a `user.message`"
            )


def refuse_resources(
    config: Json, wanted: Sequence[ResourceParams], sandboxes: SandboxProvider
) -> None:
    """Refuse resources that the session's sandbox would not have.

    Raises:
        NotSupported: one is such.
    """
    if config["type"] == "self_hosted":
        return  # workers take what they may have from the API
    if wanted and (reason := sandboxes.unfurnishable()) is not None:
        raise NotSupported(f"resources: cannot be put into a sandbox here: {reason}")


def refuse_skills(agent: Json, sandboxes: SandboxProvider) -> None:
    """Refuse an agent's skills that the session's sandbox would not have.

    Raises:
        NotSupported: it has some.
    """
    if agent["skills"] and (reason := sandboxes.unfurnishable()) is not None:
        raise NotSupported(
            f"agent: its skills (agent.skills) cannot be put into a sandbox here: {reason}; or use "
            "an agent without skills"
        )


def refuse_credential(
    credential: CredentialRow, environment: Json, sandboxes: SandboxProvider
) -> None:
    """Refuse a credential that the session's requests could not be given (spec 14.4).

    Raises:
        NotSupported: it is one.
    """
    if credential.auth["type"] != "environment_variable":
        return
    reason = sandboxes.ungrantable(environment)
    if environment["type"] == "self_hosted":
        reason = (
            "a worker's requests do not pass through Freehold, so nothing could put the value in"
        )
    if reason is not None:
        raise NotSupported(
            f"vault_ids: vault {credential.vault_id} holds the environment variable "
            f"{credential.auth['secret_name']} (credential {credential.id}), whose value cannot be "
            f"kept out of sandboxes here: {reason}; or use a vault without such credentials"
        )


def unreachable_hosts(
    credentials: Sequence[CredentialRow], environment: Json, agent: Json
) -> list[SessionError]:
    """What the session's log says first: which hosts of its credentials the environment shuts
    out (spec 14.4). Where hosts of package managers decide, that is found out when it runs."""
    opened = opened_hosts(environment, agent)
    if opened is None or opens_package_hosts(environment):
        return []
    errors: list[SessionError] = []
    seen: set[str] = set()
    for one in credentials:
        if one.auth["type"] != "environment_variable" or one.auth["secret_name"] in seen:
            continue
        seen.add(one.auth["secret_name"])
        if shut_out := unreachable(credential_hosts(one.auth), opened):
            error = host_unreachable(one.id, one.vault_id, one.auth, shut_out)
            errors.append(SessionError(error=error))
    return errors


def refuse_agent(agent: Json) -> None:
    """Refuse an agent that could not be what it says.

    Raises:
        NotSupported: it uses what this version lacks.
    """
    if agent["execution_identity"]["type"] != "service_account":
        raise NotSupported(
            "agent.execution_identity: this version of Freehold only has the service account"
        )
