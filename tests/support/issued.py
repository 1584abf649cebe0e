"""A server's keys before any was issued."""

from __future__ import annotations

from freehold.core.keys import Principal


class NoneIssued:
    """No key was ever issued (:class:`freehold.api.auth.Issued`)."""

    async def check(self, text: str) -> None:
        return None

    async def any_issued(self) -> bool:
        return False

    async def has_workspace(self, id_: str) -> bool:
        return False

    async def in_environment(self, principal: Principal, session_id: str) -> bool:
        return False

    async def has_store(self, principal: Principal, memory_store_id: str) -> bool:
        return False
