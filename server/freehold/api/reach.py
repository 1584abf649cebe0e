"""What only admin keys reach. What workers reach is in :mod:`freehold.api.workers`."""

from __future__ import annotations

from freehold.core.keys import Principal
from freehold.errors import PermissionDenied

ORGANIZATION = "/v1/organizations"
WEBHOOKS = ORGANIZATION + "/webhooks"
"""Each workspace's own, wherever the SDK has them."""


def is_organization(path: str) -> bool:
    """Whether a path is the organization's, and no workspace's."""
    return _below(path, ORGANIZATION) and not _below(path, WEBHOOKS)


def needs_no_workspace(path: str) -> bool:
    """Whether an admin key may leave the workspace out."""
    return _below(path, ORGANIZATION)


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")


def check(principal: Principal, path: str) -> None:
    """Let a request through if its key reaches this far.

    Raises:
        PermissionDenied: an admin key is needed, and it is none.
    """
    if is_organization(path) and principal.kind not in {"open", "admin"}:
        raise PermissionDenied(
            "An admin key is required for the organization's methods; "
            "`freehold keys create --admin` makes one.",
            should_retry=False,
        )
