"""The ``anthropic-beta`` header (spec 1.2)."""

from __future__ import annotations

from collections.abc import Iterable

from freehold.errors import InvalidRequest, NotFound

HEADER = "anthropic-beta"
MANAGED_AGENTS = "managed-agents-2026-04-01"
FILES_API = "files-api-2025-04-14"
"""Selects the shape that the list of files had before (spec 1.2)."""
FALLBACKS = ("server-side-fallback-2026-06-01", "server-side-fallback-2026-07-01")
"""With one of them a model tells which others may stand in for it."""

FAMILIES = ("agents", "deployment_runs", "deployments", "environments", "sessions", "vaults")
"""First segments below ``/v1`` that do not exist without :data:`MANAGED_AGENTS`."""

MEMORY = "agent-memory-2026-07-22"
MEMORY_FAMILY = "memory_stores"
"""Exists with :data:`MEMORY` or with :data:`MANAGED_AGENTS`; both together are refused."""

WEBHOOKS = "webhooks-2026-10-07"
DREAMING = "dreaming-2026-04-21"
TUNNELS = "mcp-tunnels-2026-06-22"
ALONE = {
    "/v1/organizations/webhooks": WEBHOOKS,
    "/v1/dreams": DREAMING,
    "/v1/tunnels": TUNNELS,
}
"""Paths that exist, with all below them, with one beta, which needs no other beside it."""

PASSED_ON = ("messages",)
"""First segments below ``/v1`` whose betas are for the provider behind to judge (spec 21)."""

KNOWN = frozenset(
    """
    computer-use-2024-10-22 computer-use-2025-01-24 output-128k-2025-02-19
    mcp-client-2025-04-04 mcp-client-2025-11-20 dev-full-thinking-2025-05-14
    interleaved-thinking-2025-05-14 code-execution-2025-05-22 context-1m-2025-08-07
    context-management-2025-06-27 model-context-window-exceeded-2025-08-26
    fast-mode-2026-02-01 output-300k-2026-03-24 user-profiles-2026-03-24
    user-profiles-2026-08-18 user-profiles-2026-09-04 advisor-tool-2026-03-01
    managed-agents-2026-04-01 dreaming-2026-04-21 thinking-token-count-2026-05-13
    server-side-fallback-2026-06-01 server-side-fallback-2026-07-01
    fallback-credit-2026-06-01 fallback-credit-2026-07-01 agent-memory-2026-07-22
    mid-conversation-tool-changes-2026-07-01 compact-2026-01-12 computer-use-2025-11-24
    mcp-tunnels-2026-06-22 structured-outputs-2025-11-13 task-budgets-2026-03-13
    thinking-display-updates-2026-08-18 mid-conversation-output-config-2026-07-01
    thinking-binding-controls-2026-08-01 mid-conversation-system-clear-at-2026-08-21
    compact-2026-09-04 inline-tools-2026-09-15 mcp-client-2026-09-15 ce-plugins-2026-09-01
    spend-limit-reads-2026-09-26 telemetry-destinations-2026-08-11 webhooks-2026-10-07
    admin-user-sign-out-2026-10-08 message-threads-2026-08-12
    analytics-usage-cost-2026-08-24 experimental-claude-tag-2026-10-21
    message-batches-2024-09-24 prompt-caching-2024-07-31 pdfs-2024-09-25
    token-counting-2024-11-01 token-efficient-tools-2025-02-19 files-api-2025-04-14
    extended-cache-ttl-2025-04-11 skills-2025-10-02 cache-diagnosis-2026-04-07
    ce-user-management-2026-07-13 ce-claude-code-managed-settings-2026-10-06
    user-profiles-billing-2026-10-01
    """.split()  # noqa: SIM905 - the list reads better as a block
)


def parse(values: Iterable[str]) -> frozenset[str]:
    """The betas that the headers of a request name.

    Raises:
        InvalidRequest: one of them is not known.
    """
    named = [part.strip() for value in values for part in value.split(",") if part.strip()]
    unknown = [name for name in dict.fromkeys(named) if name not in KNOWN]
    if unknown:
        quoted = ", ".join(f"`{name[:200]}`" for name in unknown[:10])
        raise InvalidRequest(
            f"Unexpected value(s) {quoted} for the `anthropic-beta` header. "
            "Please consult our documentation or try again without the header."
        )
    return frozenset(named)


def check(path: str, values: Iterable[str]) -> None:
    """Let a request through if the betas it names are known and those it needs are among them.

    Raises:
        InvalidRequest: a beta is not known.
        NotFound: one is missing, without which there is no such endpoint.
    """
    if path.removeprefix("/v1/").partition("/")[0] not in PASSED_ON:
        require(path, parse(values))


def require(path: str, named: frozenset[str]) -> None:
    """Let an endpoint of a beta family exist only for those who name the beta.

    Raises:
        NotFound: as any unknown path.
        InvalidRequest: two are named of which the endpoint takes one.
    """
    family = path.removeprefix("/v1/").partition("/")[0]
    if family == MEMORY_FAMILY:
        match (MEMORY in named, MANAGED_AGENTS in named):
            case (True, True):
                raise InvalidRequest(
                    f"`{MEMORY}` and `{MANAGED_AGENTS}` cannot be sent together in the "
                    "`anthropic-beta` header on this endpoint."
                )
            case (False, False):
                raise NotFound("Not found", should_retry=False)
    for root, beta in ALONE.items():
        if f"{path}/".startswith(f"{root}/") and beta not in named:
            raise NotFound("Not found", should_retry=False)
    if family in FAMILIES and MANAGED_AGENTS not in named:
        raise NotFound("Not found", should_retry=False)
