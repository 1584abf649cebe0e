"""Which network a sandbox is on: the egress gate's, one of the engine's, or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from freehold.core.events import Json
from freehold.errors import SandboxUnavailable
from freehold.sandbox.docker.container import Recipe, Running
from freehold.sandbox.docker.egress.gate import Gate
from freehold.sandbox.docker.engine import Engine
from freehold.sandbox.docker.hardening import GATE_NETWORK, Limits
from freehold.sandbox.docker.opening import DockerSandbox, Opener

OPEN: Json = {"networking": {"type": "unrestricted"}}
LIMITED: Json = {"networking": {"type": "limited"}}


class Wiring:
    """Decides it by an environment's ``networking`` and the operator's settings.

    Args:
        limits: what a sandbox may use; ``network`` is that of sandboxes that are not gated.
        gate: the gate, if there is one.
    """

    def __init__(self, limits: Limits, gate: Gate | None) -> None:
        self._limits = limits
        self._gate = gate

    def gated(self, environment: Json) -> bool:
        """Whether new sandboxes of such an environment have no network but the gate."""
        return self._limits.network == GATE_NETWORK or is_limited(environment)

    def unenforceable(self, environment: Json) -> str | None:
        """Why an environment's networking could not be enforced; see the port."""
        if environment.get("type") == "self_hosted" or not self.gated(environment):
            return None
        if self._gate is None:
            return "there is no egress gate"
        if self._limits.network == "none":
            return "FREEHOLD_SANDBOX_NETWORK=none leaves sandboxes without any network"
        if self._limits.own_kernel:
            reason = (
                f"under FREEHOLD_SANDBOX_RUNTIME={self._limits.runtime} the egress gate cannot "
                "take over a sandbox's network"
            )
            if not is_limited(environment):
                reason += (
                    "; FREEHOLD_SANDBOX_NETWORK=bridge lets sandboxes with unrestricted networking "
                    "use the engine's own, from where they reach your network too"
                )
            return reason
        return None

    def opener(
        self, engine: Engine, owner: Callable[[], str], image: str, *, gated: bool, limited: bool
    ) -> Opener:
        """What makes sandboxes from an image.

        Args:
            engine: where the containers are.
            owner: the installation's id.
            image: what they are made from.
            gated: whether new ones have no network but the gate.
            limited: whether one that is there and has another must not be used.

        Raises:
            SandboxUnavailable: there is no gate, or it could not serve them.
        """
        if not gated:
            return Opener(engine, lambda: Recipe(owner(), image, self._limits))
        reason = self.unenforceable(LIMITED)
        if self._gate is None or reason is not None:
            raise SandboxUnavailable(f"The sandbox's networking cannot be enforced: {reason}.")
        limits = replace(self._limits, network="none")
        return GatedOpener(
            engine, lambda: Recipe(owner(), image, limits, limited=limited), self._gate
        )


class GatedOpener(Opener):
    """Makes sandboxes that reach nothing but the gate, and attaches them to it."""

    def __init__(self, engine: Engine, recipe: Callable[[], Recipe], gate: Gate) -> None:
        super().__init__(engine, lambda: replace(recipe(), trust=self._trust))
        self._gate = gate
        self._trust: bytes | None = None

    async def prepare(self) -> None:
        """Have the certificate that they are to trust."""
        self._trust = await self._gate.certificate()

    async def join(self, running: Running) -> None:
        """Attach it, unless it was made with a network of its own."""
        if running.gated:
            await self._gate.attach(running.id)

    async def release(self, sandbox: DockerSandbox) -> None:
        """Have the gate let go of it."""
        if sandbox.gated:
            await self._gate.forget(sandbox.container)


def is_limited(environment: Json) -> bool:
    """Whether an environment's ``config`` limits its networking."""
    networking = environment.get("networking") or {}
    return bool(networking.get("type") == "limited")
