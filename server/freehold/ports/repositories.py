"""Repositories on their way into sandboxes, and the tokens that open them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from freehold.core.events import Json
from freehold.ports.skills import RepositorySkill


@dataclass(frozen=True)
class WantedRepository:
    """What a session wants of a repository."""

    workspace_id: str
    """Workspaces share nothing: what one has fetched, no other is given."""
    url: str
    checkout: Json | None
    """``{type: branch, name}``, ``{type: commit, sha}``; ``None``: the default branch."""
    token: str | None = field(repr=False)


@dataclass(frozen=True)
class FetchedRepository:
    """A state of a repository that the server has on its disk."""

    commit: str | None
    """``None``: the repository is empty."""
    branch: str | None
    """``None``: the commit was asked for by its own name."""


class RepositorySource(Protocol):
    """Fetches repositories to the server's disk."""

    async def fetch(self, wanted: WantedRepository) -> FetchedRepository:
        """See to it that what is wanted is here, and that this very token may read it.

        The host is asked each time; what is here already is not fetched again.

        Raises:
            RepositoryError: it cannot be had; ``kind`` says how. The message holds no token.
            OSError: the disk failed.
        """
        ...

    def git_folder(
        self, wanted: WantedRepository, fetched: FetchedRepository
    ) -> AbstractAsyncContextManager[Mapping[str, bytes | Path]]:
        """The files of the ``.git`` of a working copy without its index, by their paths in it.

        They hold the one commit, no token, no hook. They are gone when the context ends.

        Raises:
            RepositoryError: what was fetched is not here any more.
            OSError: the disk failed.
        """
        ...

    async def skills(
        self, wanted: WantedRepository, fetched: FetchedRepository
    ) -> Mapping[str, bytes]:
        """The ``.claude/skills/<name>/SKILL.md`` of what was fetched, by their paths in it.

        Links are not among them, nor what is too large for one.

        Raises:
            RepositoryError: what was fetched is not here any more.
        """
        ...


class RepositorySkillStore(Protocol):
    """Remembers which skills a session's repositories had when it started.

    What the system prompt says of them must not change when the repository does.
    """

    async def load(self, session_id: str) -> Sequence[RepositorySkill] | None:
        """What was kept; ``None``: nothing yet."""
        ...

    async def keep(
        self, session_id: str, skills: Sequence[RepositorySkill]
    ) -> Sequence[RepositorySkill]:
        """Keep them, unless others are kept already; what is kept from now on."""
        ...


class RepositoryTokens(Protocol):
    """The tokens of sessions' repositories, for the server's own use alone."""

    async def tokens(self, session_id: str) -> Mapping[str, str]:
        """A session's tokens as they are now, by the id of the resource.

        Raises:
            SecretUnreadable: one was sealed with a key that this server does not have.
        """
        ...
