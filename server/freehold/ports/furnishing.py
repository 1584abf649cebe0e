"""What a session's sandbox is given before the first tool call runs in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from freehold.core.events import Json
from freehold.ports.log import SessionSpec
from freehold.ports.sandbox import Root, Sandbox


class Furnisher(Protocol):
    """Puts one kind of thing (file resources, memories, skills …) into sandboxes."""

    async def roots(self, spec: SessionSpec) -> Sequence[Root]:
        """The folders it will use in this session's sandbox; the same for the session's life."""
        ...

    async def describe(self, spec: SessionSpec) -> str | None:
        """What the system prompt says of it (spec 22.4); ``None``: nothing.

        Asked once for a session as it is; the same, byte for byte, as long as the session is.
        """
        ...

    async def furnish(
        self, spec: SessionSpec, sandbox: Sandbox, *, fresh: bool
    ) -> Sequence[Json] | None:
        """Bring the sandbox to what the session is promised.

        Called before a tool call, for each sandbox whose furnishing is not known to have been
        completed: a new one (``fresh``), one that a server before this one furnished, one whose
        session was updated. It may have been broken off half way before, and is asked again: what
        is there already must do no harm. What the agent may change is put only into ``fresh``
        ones. No call was begun in a ``fresh`` sandbox; but where one takes the place of another
        that was lost, the agent's files of that one may have been restored into its working
        directory and its outputs folder, and what is there already is the agent's.

        What is returned is what the session goes on without: ``error`` objects of its
        ``session.error`` events (spec 6.8).

        Raises:
            FurnishingFailed: it cannot; the message is shown in the session's ``session.error``.
            SandboxError: the sandbox failed. OSError: the server's disk did.
        """
        ...
