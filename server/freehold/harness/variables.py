"""``environment_variable`` credentials of sessions (spec 14.4)."""

from __future__ import annotations

from freehold.core.drafts import Draft
from freehold.core.events import Json, SessionError
from freehold.core.networking import mcp_hosts, unreachable
from freehold.ports.egress import GrantedVariable, Grants, Variable, VariableStore
from freehold.ports.log import SessionSpec
from freehold.ports.sandbox import SandboxProvider


class VaultVariables:
    """Grants what the session's vaults hold, and says which of it leads nowhere."""

    def __init__(self, store: VariableStore, provider: SandboxProvider) -> None:
        self._store = store
        self._provider = provider

    async def grants(self, spec: SessionSpec) -> Grants:
        """The variables; see :class:`freehold.ports.egress.GrantSource`."""
        return Grants(variables=tuple(_variable(one) for one in await self._found(spec)))

    async def unreachable(self, spec: SessionSpec, told: tuple[str, ...]) -> list[Draft]:
        """An error for each credential, unless it is in ``told``, that may go to a host which the
        environment shuts out (spec 6.8).

        Raises:
            SandboxUnavailable: the hosts that the environment opens cannot be told now.
        """
        networking = spec.environment.get("networking") or {}
        if networking.get("type") != "limited" or not spec.vault_ids:
            return []
        opened = [*networking.get("allowed_hosts", ())]
        if networking.get("allow_mcp_servers"):
            opened += mcp_hosts(spec.agent)
        asked = not networking.get("allow_package_managers")
        drafts = []
        for one in await self._found(spec):
            hosts = _hosts(one.auth)
            if one.credential_id in told or not hosts:
                continue
            if unreachable(hosts, opened) and not asked:
                asked = True
                opened += await self._provider.package_hosts(spec.environment)
            if shut_out := unreachable(hosts, opened):
                drafts.append(_error(one, shut_out))
        return drafts

    async def _found(self, spec: SessionSpec) -> list[GrantedVariable]:
        found = await self._store.variables(spec.session_id, spec.workspace_id, spec.vault_ids)
        return list(found)


def _hosts(auth: Json) -> tuple[str, ...] | None:
    networking = auth["networking"]
    return tuple(networking["allowed_hosts"]) if networking["type"] == "limited" else None


def _variable(one: GrantedVariable) -> Variable:
    location = one.auth["injection_location"]
    return Variable(
        name=one.auth["secret_name"],
        placeholder=one.placeholder,
        value=one.value,
        hosts=_hosts(one.auth),
        header=location["header"],
        body=location["body"],
    )


def _error(one: GrantedVariable, hosts: list[str]) -> Draft:
    message = (
        f"The credential {one.auth['secret_name']} may go to {', '.join(hosts)}, which the "
        "environment's network policy does not permit, so requests to there are refused. A session "
        "keeps the policy that it was created with: add to the environment's allowed_hosts and "
        "create a new session, or take the host from the credential's allowed_hosts."
    )
    return Draft(
        SessionError(
            error={
                "type": "credential_host_unreachable_error",
                "message": message,
                "credential_id": one.credential_id,
                "vault_id": one.vault_id,
                "retry_status": {"type": "retrying"},
            }
        )
    )
