"""What clients are told of files that they cannot have."""

from __future__ import annotations

from freehold.errors import NotFound


def missing(file_id: str) -> NotFound:
    """The file is not there, or not in this workspace."""
    return NotFound(f"File `{file_id[:200]}` not found.", should_retry=False)


def expired(file_id: str) -> NotFound:
    """The file was there, and its content is not any more."""
    return NotFound(
        f"File `{file_id}` has expired.",
        details={"error_code": "file_expired"},
        should_retry=False,
    )
