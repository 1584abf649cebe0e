"""Which tools an agent has, and what may happen when the model calls one (spec 12.1, 12.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from freehold.core.events import Json
from freehold.core.state import CallKind, Permission
from freehold.core.web_rules import WEB_TOOLS

SANDBOX_TOOLS = ("bash", "read", "write", "edit", "glob", "grep")


@dataclass(frozen=True)
class Evaluation:
    """What becomes of a call: its kind, its permission and the policy that said so."""

    kind: CallKind
    permission: Permission | None
    evaluation: Json | None


_DENIED = Evaluation("builtin", "deny", None)


def enabled_builtins(tools: Sequence[Json]) -> list[str]:
    """Names of the sandbox tools that the agent may use, in the toolset's order."""
    return [name for name in SANDBOX_TOOLS if _policy(tools, name) is not None]


def custom_tools(tools: Sequence[Json]) -> list[Json]:
    """The agent's custom tools, as configured."""
    return [entry for entry in tools if entry["type"] == "custom"]


def evaluate(tools: Sequence[Json], name: str) -> Evaluation:
    """Judge a call by the agent's resolved ``tools``; a tool it does not have is denied."""
    if any(entry["name"] == name for entry in custom_tools(tools)):
        return Evaluation("custom", None, None)
    policy = _policy(tools, name) if name in (*SANDBOX_TOOLS, *WEB_TOOLS) else None
    if policy is None:
        return _DENIED
    permission: Literal["allow", "ask"] = "allow" if policy == "always_allow" else "ask"
    return Evaluation("builtin", permission, {"type": policy})


def _policy(tools: Sequence[Json], name: str) -> str | None:
    for toolset in tools:
        if toolset["type"] != "agent_toolset_20260401":
            continue
        for config in toolset["configs"]:
            if config["name"] == name:
                policy: str = config["permission_policy"]["type"]
                return policy if config["enabled"] else None
    return None
