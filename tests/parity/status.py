# ruff: noqa: E501 - titles of a table
"""What is said of endpoints by hand: which refuse, and which differ."""

from __future__ import annotations

REFUSED = {
    "sessions.threads.archive": (
        400,
        "The primary thread cannot be archived; archive the session instead.",
        "agents without `multiagent` have primary threads only, and those are never archived",
    ),
    "user_profiles.create_enrollment_url": (
        400,
        "Enrollment is not available on this server",
        "it is Anthropic that enrolls end users in its programs",
    ),
    "user_profiles.action_urls.create": (
        400,
        "Enrollment is not available on this server",
        "it is Anthropic that enrolls end users in its programs",
    ),
}
"""Endpoints that can only refuse: the status, what the message begins with, and why."""

DIFFERS: dict[str, tuple[str, ...]] = {
    "`config.packages` outside Docker": ("sessions.create",),
    "`config.networking` `limited`": ("sessions.create",),
    "Files, skills and memories in a session": ("sessions.create", "sessions.resources.add"),
    "`initial_events` with `user.define_outcome`": ("sessions.create", "sessions.events.send"),
    "Agents with `execution_identity` `aws_role`": ("sessions.create",),
    "`multiagent` on agents": ("agents.create", "agents.update"),
    "`capabilities` in `/v1/models`": ("models.retrieve", "models.list"),
    "`environment_variable` credentials outside Docker": ("sessions.create",),
    "The organization's methods": ("organization.retrieve",),
    "API keys in lists": ("organization.api_keys.list",),
    "Workspaces": ("organization.workspaces.create", "organization.workspaces.update"),
    "`conflict_error` as the type of a 409": (
        "agents.update",
        "environments.delete",
        "environments.work.ack",
        "vaults.credentials.create",
    ),
    "`x-should-retry` on the version conflict of agents and on a second credential for one server": (
        "agents.update",
        "vaults.credentials.create",
    ),
    "`/v1/models`": ("models.retrieve", "models.list"),
    "`/v1/messages`, `/v1/messages/count_tokens`": (
        "messages.create",
        "messages.parse",
        "messages.count_tokens",
    ),
    "Betas and query parameters on these two": (
        "messages.create",
        "messages.parse",
        "messages.count_tokens",
    ),
    "Model ids": ("agents.create", "agents.update"),
    "Web domains that are public suffixes": ("agents.create", "agents.update"),
    "Time zones in `user_location`": ("agents.create", "agents.update"),
    "`actor` in work items": (
        "environments.work.retrieve",
        "environments.work.update",
        "environments.work.list",
        "environments.work.ack",
        "environments.work.poll",
        "environments.work.stop",
    ),
    "Vaults with `environment_variable` credentials": ("sessions.create",),
    "`Last-Event-ID` on streams": ("sessions.events.stream", "sessions.threads.events.stream"),
    "Git hosts": ("sessions.create",),
    "`enabled_events` of organization endpoints": (
        "organization.webhooks.create",
        "organization.webhooks.update",
    ),
    "Endpoints in the settings": ("organization.webhooks.list",),
    "URLs": ("organization.webhooks.create", "organization.webhooks.update"),
    "After `regenerate_signing_secret`": ("organization.webhooks.regenerate_signing_secret",),
    "An `allowed_domains` entry outside the environment's `allowed_hosts`": ("sessions.create",),
    "`trust_grants`, `programs`, `enforcement_actions`, `enforcement_status`": (
        "user_profiles.create",
        "user_profiles.retrieve",
        "user_profiles.update",
        "user_profiles.list",
    ),
    "`domain`": ("tunnels.create", "tunnels.retrieve", "tunnels.list", "tunnels.archive"),
    "`tunnel_token`": ("tunnels.reveal_token", "tunnels.rotate_token"),
    "Dreams where sandboxes keep nothing from the agent": ("dreams.create",),
    "500 MB a file, 1 TB in all": ("files.upload",),
    "`api_key_id` in `created_by`": (
        "memory_stores.memory_versions.retrieve",
        "memory_stores.memory_versions.list",
        "memory_stores.memory_versions.redact",
    ),
    "`xlsx`, `docx`, `pptx`, `pdf`": (
        "skills.retrieve",
        "skills.list",
        "skills.versions.retrieve",
        "skills.versions.list",
        "skills.versions.download",
    ),
}
"""Rows of docs/DIVERGENCES.md (confirmed or deliberate) that show in what endpoints answer.

What is in no row here shows in all of them alike, or in what sessions do.
"""

ALIKE = (
    "Keys",
    "`anthropic-organization-id`",
    "`anthropic-workspace-id` header in answers",
    "Compressed request bodies",
    "`Idempotency-Key`",
    "`anthropic-version`",
)
"""Rows that show in the answers of every endpoint."""

ELSEWHERE = {
    "token-revoked": "No key here is an OAuth token.",
    "roster-null": "`multiagent` is refused whole.",
    "roster-archived": "`multiagent` is refused whole.",
    "roster-invalid": "`multiagent` is refused whole.",
    "roster-twice": "`multiagent` is refused whole.",
    "roster-version": "`multiagent` is refused whole.",
    "roster-depth": "`multiagent` is refused whole.",
    "roster-selves": "`multiagent` is refused whole.",
    "roster-empty": "`multiagent` is refused whole.",
    "tool-denied-by-policy": "tests/api/test_auto_policy.py",
    "fetch-refused": "tests/unit/core/test_web.py",
    "egress-host": "tests/unit/gate/test_policy.py",
    "egress-private": "tests/security/test_egress_secrets.py",
}
"""Recorded texts that no script meets: the test that does, or why we never say them."""

NOT_HELD: dict[str, str] = {}
"""Recorded objects that nothing is held against, with the reason."""
