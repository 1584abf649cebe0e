"""``environment_variable`` credentials of sessions (spec 14.4)."""

from __future__ import annotations

from freehold.core.drafts import Draft
from freehold.core.events import SessionError
from freehold.core.networking import (
    credential_hosts,
    host_unreachable,
    opened_hosts,
    opens_package_hosts,
    unreachable,
)
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

        Most are told of when the session is created; here those that changed since, and those
        that only the hosts of package managers decide on.

        Raises:
            SandboxUnavailable: the hosts that the environment opens cannot be told now.
        """
        opened = opened_hosts(spec.environment, spec.agent)
        if opened is None or not spec.vault_ids:
            return []
        asked = not opens_package_hosts(spec.environment)
        drafts = []
        for one in await self._found(spec):
            hosts = credential_hosts(one.auth)
            if one.credential_id in told or not unreachable(hosts, opened):
                continue
            if not asked:
                asked = True
                opened += await self._provider.package_hosts(spec.environment)
            if shut_out := unreachable(hosts, opened):
                error = host_unreachable(one.credential_id, one.vault_id, one.auth, shut_out)
                drafts.append(Draft(SessionError(error=error)))
        return drafts

    async def _found(self, spec: SessionSpec) -> list[GrantedVariable]:
        found = await self._store.variables(spec.session_id, spec.workspace_id, spec.vault_ids)
        return list(found)


def _variable(one: GrantedVariable) -> Variable:
    location, networking = one.auth["injection_location"], one.auth["networking"]
    return Variable(
        name=one.auth["secret_name"],
        placeholder=one.placeholder,
        value=one.value,
        hosts=None if networking["type"] == "unrestricted" else credential_hosts(one.auth),
        header=location["header"],
        body=location["body"],
    )
