"""What is said of endpoints by hand: which are not answered yet, and which can only refuse."""

from __future__ import annotations

UNBUILT = {
    "dreams": "not there yet",
    "tunnels": "not there yet",
    "tunnels.certificates": "not there yet",
    "user_profiles": "not there yet",
    "user_profiles.action_urls": "not there yet",
}
"""Resources of which every endpoint is a ``404``, with the reason. Delete the row once they are."""

REFUSED = {
    "sessions.threads.archive": (
        400,
        "The primary thread cannot be archived; archive the session instead.",
        "agents without `multiagent` have primary threads only, and those are never archived",
    ),
}
"""Endpoints that can only refuse: the status, what the message begins with, and why."""
