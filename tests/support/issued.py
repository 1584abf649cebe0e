"""A server's keys before any was issued."""

from __future__ import annotations


class NoneIssued:
    """No key was ever issued (:class:`freehold.api.auth.Issued`)."""

    async def check(self, text: str) -> None:
        return None

    async def any_issued(self) -> bool:
        return False

    async def has_workspace(self, id_: str) -> bool:
        return False
