"""What the containers of an installation are called and labelled.

A container belongs to a session by its name: names are unique, and can be changed at once and
for good. Labels cannot be changed, so a container that was made before its session was known
(:mod:`freehold.sandbox.docker.pool`) has no session's label; its name tells all.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping

LABEL_OWNER = "dev.freehold.owner"
LABEL_SESSION = "dev.freehold.session"
LABEL_CREATED = "dev.freehold.created"
LABEL_PYTHON = "dev.freehold.python"
LABEL_POOL = "dev.freehold.pool"
"""On containers that were made before there was a session for them."""
LABEL_GATE = "dev.freehold.gate"
"""On the egress gate, and on the containers that serve it for a moment."""
LABEL_GATED = "dev.freehold.gated"
"""``1`` on sandboxes whose only network is the gate."""
LABEL_RESCUED = "dev.freehold.rescued"
"""On what took the place of a container that could not be started: the first container's id."""
LABEL_RESCUED_BASE = "dev.freehold.rescued.base"
"""The id of the first container's image."""

_POOL = "pool-"
_PLAIN = re.compile(rf"(?!{_POOL})[A-Za-z0-9_.-]{{1,80}}")


def container_name(owner: str, session_id: str) -> str:
    """The name that makes a second container for one session impossible."""
    if not named_after(session_id):
        session_id = hashlib.sha256(session_id.encode()).hexdigest()[:32]
    return _prefix(owner) + session_id


def named_after(session_id: str) -> bool:
    """Whether the container's name holds the session's id as it is, and so can be read back."""
    return _PLAIN.fullmatch(session_id) is not None


def gate_name(owner: str) -> str:
    """The name of the installation's egress gate; no session's container can have it."""
    return f"freehold-gate-{owner[:12]}"


def pool_name(owner: str) -> str:
    """A new name for a container without a session; no session's container can have it."""
    return f"{_prefix(owner)}{_POOL}{secrets.token_hex(8)}"


def is_pool_name(owner: str, name: str) -> bool:
    """Whether a container of this name still waits for its session."""
    return name.startswith(_prefix(owner) + _POOL)


def session_of(owner: str, name: str, labels: Mapping[str, str]) -> str | None:
    """Whose container this is, by its label, else by its name; ``None``: nobody's."""
    if session_id := labels.get(LABEL_SESSION):
        return session_id
    prefix = _prefix(owner)
    if LABEL_POOL not in labels or not name.startswith(prefix):
        return None
    session_id = name.removeprefix(prefix)
    return session_id if named_after(session_id) else None


def is_gated(labels: Mapping[str, str]) -> bool:
    """Whether a container's only network is the gate."""
    return labels.get(LABEL_GATED) == "1"


def _prefix(owner: str) -> str:
    return f"freehold-{owner[:12]}-"
