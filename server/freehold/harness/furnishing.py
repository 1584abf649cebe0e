"""Sandboxes are given what their session promises before the first call runs in them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from freehold.core.events import Json
from freehold.core.permissions import enabled_builtins
from freehold.errors import FurnishingFailed, PlacementRefused, SandboxLost, TooManyFiles
from freehold.ports.furnishing import Furnisher
from freehold.ports.log import SessionSpec
from freehold.ports.sandbox import Root, Sandbox

_T = TypeVar("_T")
_REMEMBERED = 512


@dataclass(frozen=True)
class _Described:
    spec: SessionSpec
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class _Furnished:
    spec: SessionSpec
    sandbox_id: str


class Furnishing:
    """Asks each furnisher in turn.

    Nothing here needs to survive: a sandbox that this process has not furnished itself is
    furnished again, and whether it is fresh the session's log knows.

    Args:
        furnishers: in the order in which the system prompt tells of them (spec 22.4).
    """

    def __init__(self, furnishers: Sequence[Furnisher] = ()) -> None:
        self._furnishers = tuple(furnishers)
        self._described: OrderedDict[str, _Described] = OrderedDict()
        self._furnished: OrderedDict[str, _Furnished] = OrderedDict()
        self._troubles: dict[str, list[Json]] = {}

    async def roots(self, spec: SessionSpec) -> tuple[Root, ...]:
        """The folders that the session's sandbox has for what is put into it."""
        roots: dict[str, Root] = {}
        for furnisher in self._furnishers:
            for root in await furnisher.roots(spec):
                roots.setdefault(root.path, root)
        return tuple(sorted(roots.values(), key=lambda root: root.path))

    async def blocks(self, spec: SessionSpec) -> tuple[str, ...]:
        """What the system prompt says of the sandbox's contents; none without a sandbox."""
        if not self._furnishers or not enabled_builtins(spec.agent["tools"]):
            return ()
        known = self._described.get(spec.session_id)
        if known is None or known.spec is not spec:
            texts = [await furnisher.describe(spec) for furnisher in self._furnishers]
            known = _Described(spec, tuple(text for text in texts if text))
            _remember(self._described, spec.session_id, known)
        return known.blocks

    async def furnish(self, spec: SessionSpec, sandbox: Sandbox, *, known: str | None) -> None:
        """See to it that the sandbox has what the session is promised.

        ``known`` is the identity of the sandbox that calls were last begun in, by the log.

        Raises:
            FurnishingFailed: it cannot be given all; what it lacks is put there when it is asked
                for again.
        """
        done = self._furnished.get(spec.session_id)
        if done is not None and done.spec is spec and done.sandbox_id == sandbox.identity:
            return
        self._furnished.pop(spec.session_id, None)
        for furnisher in self._furnishers:
            try:
                lacking = await furnisher.furnish(spec, sandbox, fresh=sandbox.identity != known)
            except (PlacementRefused, TooManyFiles, OSError) as error:
                raise FurnishingFailed(f"The sandbox could not be furnished: {error}") from error
            except SandboxLost as error:
                raise FurnishingFailed(
                    f"The sandbox was lost while it was being furnished: {error}"
                ) from error
            if lacking:
                self._troubles.setdefault(spec.session_id, []).extend(lacking)
        _remember(self._furnished, spec.session_id, _Furnished(spec, sandbox.identity))

    def troubles(self, session_id: str) -> list[Json]:
        """What the session goes on without and was not told of yet; from now on it was."""
        return self._troubles.pop(session_id, [])

    def forget(self, session_id: str) -> None:
        """The session's sandbox is gone, or the session is over."""
        self._troubles.pop(session_id, None)
        self._described.pop(session_id, None)
        self._furnished.pop(session_id, None)


def _remember(memory: OrderedDict[str, _T], session_id: str, what: _T) -> None:
    memory[session_id] = what
    memory.move_to_end(session_id)
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)
