"""Tools of MCP servers: what the model is offered, and under which names (spec 12.1, 12.5).

Servers are asked once a session and what they answered is in its log, so the tools that a model
request declares stay the same, byte for byte, from turn to turn and from one runner to the next.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from freehold.core.events import Json
from freehold.core.permissions import Evaluation
from freehold.core.state import SessionState

PREFIX = "mcp__"
NOT_OFFERED = Evaluation("mcp", "deny", None)
"""What becomes of a call of a tool that the model was not given."""
_NAME_LENGTH = 64
_HASH_LENGTH = 12
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
_PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_COMBINATORS = ("oneOf", "anyOf", "allOf")


@dataclass(frozen=True)
class OfferedTool:
    """A tool of an MCP server that the model may call."""

    wire_name: str
    """What the model calls it."""
    server: str
    name: str
    """What the server and the events call it."""
    description: str
    input_schema: Json

    @property
    def definition(self) -> Json:
        """The tool as the Messages API wants it declared."""
        described: Json = {"name": self.wire_name}
        if self.description:
            described["description"] = self.description
        described["input_schema"] = self.input_schema
        return described


def wire_name(server: str, tool: str) -> str:
    """What the model calls a server's tool: ``mcp__{server}__{tool}``.

    The Messages API takes 64 letters, digits, ``_`` and ``-``. A name that does not fit is made
    to, and ends with a hash of what it was; no two tools meet in one name.
    """
    composed = f"{PREFIX}{server}__{tool}"
    # With "__" in a server's name or "_" at its end, it could not be told where the tool's begins.
    apart = "__" not in server and not server.endswith("_")
    if apart and len(composed) <= _NAME_LENGTH and _FOREIGN.search(composed) is None:
        return composed
    digest = hashlib.sha256(f"{len(server)}:{server}{tool}".encode("utf-8", "replace")).hexdigest()
    head = _FOREIGN.sub("_", composed)[: _NAME_LENGTH - _HASH_LENGTH - 1]
    return f"{head}_{digest[:_HASH_LENGTH]}"


def listing(tools: Sequence[Json]) -> list[Json]:
    """A server's tools as the log keeps them: those that a model can be offered, by name.

    A tool whose schema the Messages API would refuse is left out rather than let it end every
    session; combinators at the top level are dropped, since the server checks the input itself.
    """
    kept: dict[str, Json] = {}
    for tool in tools:
        schema = usable_schema(tool["input_schema"])
        if schema is not None and tool["name"]:
            kept.setdefault(tool["name"], {**tool, "input_schema": schema})
    return [kept[name] for name in sorted(kept)]


def usable_schema(schema: Json) -> Json | None:
    """The input schema as the Messages API takes it; ``None`` if it cannot."""
    if schema.get("type", "object") != "object":
        return None
    properties: Any = schema.get("properties", {})
    if not isinstance(properties, dict):
        return None
    if not all(_PROPERTY.fullmatch(name) for name in properties):
        return None
    plain = {key: value for key, value in schema.items() if key not in _COMBINATORS}
    return {**plain, "type": "object"}


def offered(tools: Sequence[Json], listings: Mapping[str, Sequence[Json]]) -> list[OfferedTool]:
    """The enabled tools of all servers that answered, sorted by what the model calls them."""
    found = [
        OfferedTool(
            wire_name(toolset["mcp_server_name"], tool["name"]),
            toolset["mcp_server_name"],
            tool["name"],
            tool["description"],
            tool["input_schema"],
        )
        for toolset in _toolsets(tools)
        for tool in listings.get(toolset["mcp_server_name"], ())
        if _config(toolset, tool["name"])["enabled"]
    ]
    return sorted(found, key=lambda tool: tool.wire_name)


def guessed(tools: Sequence[Json], name: str) -> tuple[str, str] | None:
    """Server and tool that the model seems to mean by a name it was not offered."""
    for toolset in _toolsets(tools):
        head = f"{PREFIX}{toolset['mcp_server_name']}__"
        if name.startswith(head) and len(name) > len(head):
            return toolset["mcp_server_name"], name[len(head) :]
    return None


def evaluate_mcp(tools: Sequence[Json], server: str, tool: str) -> Evaluation:
    """Judge a call of a server's tool by the agent's resolved ``tools``."""
    for toolset in _toolsets(tools):
        if toolset["mcp_server_name"] != server:
            continue
        config = _config(toolset, tool)
        if not config["enabled"]:
            break
        policy = config["permission_policy"]["type"]
        permission: Literal["allow", "ask"] = "allow" if policy == "always_allow" else "ask"
        return Evaluation("mcp", permission, {"type": policy})
    return NOT_OFFERED


def unlisted(state: SessionState, servers: Sequence[str]) -> tuple[str, ...]:
    """Servers to ask for their tools before the next model request (spec 12.5)."""
    return tuple(
        name for name in servers if name not in state.mcp_listed and name not in state.mcp_failed
    )


def _toolsets(tools: Sequence[Json]) -> list[Json]:
    return [entry for entry in tools if entry["type"] == "mcp_toolset"]


def _config(toolset: Json, tool: str) -> Json:
    for config in toolset["configs"]:
        if config["name"] == tool:
            found: Json = config
            return found
    default: Json = toolset["default_config"]
    return default
