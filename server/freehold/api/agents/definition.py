"""What an agent is made of, apart from who owns it: resolved and checked (spec 2.2, 12.1).

A definition is a JSON object of the fields that a session copies: ``name``, ``description``,
``model``, ``system``, ``tools``, ``mcp_servers``, ``skills``, ``multiagent`` and
``execution_identity``.
"""

from __future__ import annotations

from collections.abc import Sequence

from freehold.api.agents import tools as tool_entries
from freehold.api.agents.schemas import (
    ExecutionIdentityParams,
    ModelConfigParams,
    SkillParams,
    URLMCPServerParams,
)
from freehold.core import limits
from freehold.core.events import Json
from freehold.core.model_catalog import describe
from freehold.errors import InvalidRequest, NotSupported

SERVICE_ACCOUNT: Json = {"type": "service_account"}


def resolve_model(params: ModelConfigParams, stored: Json | None = None) -> Json:
    """A model with its defaults filled in.

    ``stored`` is the model it replaces: with the same id and no effort given, its effort stays
    (spec 2.4).
    """
    if params.effort is not None:
        effort: Json | None = {"type": params.effort.type}
    elif stored is not None and stored["id"] == params.id:
        effort = stored["effort"]
    else:
        default = describe(params.id).default_effort
        effort = None if default is None else {"type": default}
    model: Json = {"id": params.id, "effort": effort, "speed": params.speed or "standard"}
    if params.inference_geo is not None:
        model["inference_geo"] = params.inference_geo
    return model


def resolve_servers(servers: Sequence[URLMCPServerParams]) -> list[Json]:
    """MCP servers as the API echoes them."""
    return [server.model_dump() for server in servers]


def resolve_skills(skills: Sequence[SkillParams]) -> list[Json]:
    """Skills as the API echoes them; no version means the alias ``latest`` (spec 2.3)."""
    return [
        {"type": skill.type, "skill_id": skill.skill_id, "version": skill.version or "latest"}
        for skill in skills
    ]


def resolve_identity(identity: ExecutionIdentityParams | None) -> Json:
    """The principal; none means the service account."""
    return dict(SERVICE_ACCOUNT) if identity is None else identity.model_dump()


def check(definition: Json, prefix: str = "") -> None:
    """The rules that span several fields.

    Raises:
        InvalidRequest: one of them is broken; the message names the field, after ``prefix``.
    """
    _check_tools(definition["tools"], prefix)
    _check_servers(definition["tools"], definition["mcp_servers"], prefix)
    _check_url_sources(definition["tools"], prefix)
    if definition["skills"] and not _has_enabled(definition["tools"], "read"):
        raise InvalidRequest(f"{prefix}skills: need the `read` tool enabled in `tools`")


def refuse_multiagent(value: Json | None) -> None:
    """Say that this version has no subagents.

    Raises:
        NotSupported: the field is set.
    """
    if value is not None:
        raise NotSupported(
            "multiagent: this version of Freehold does not run subagents, advisors or workflows; "
            "omit the field or send null"
        )


def _check_tools(tools: Sequence[Json], prefix: str) -> None:
    names: set[str] = set()
    count = 0
    for index, entry in enumerate(tools):
        if entry["type"] == "custom":
            count += 1
            if entry["name"] in names:
                raise InvalidRequest(
                    f'{prefix}tools.{index}.custom.name: duplicate tool name "{entry["name"]}"'
                )
            names.add(entry["name"])
        elif entry["type"] == "mcp_toolset":
            count += len(entry["configs"])
        else:
            count += len(entry["configs"])
            if any(other["type"] == entry["type"] for other in tools[:index]):
                raise InvalidRequest(
                    f"{prefix}tools.{index}: at most one {entry['type']} entry is allowed"
                )
    if count > limits.TOOLS_RESOLVED:
        raise InvalidRequest(
            f"{prefix}tools: must contain at most {limits.TOOLS_RESOLVED} tools across all "
            f"toolsets, got {count}"
        )


def _check_servers(tools: Sequence[Json], servers: Sequence[Json], prefix: str) -> None:
    names: list[str] = [server["name"] for server in servers]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InvalidRequest(f'{prefix}mcp_servers.{index}.name: duplicate name "{name}"')
    used: list[str] = []
    for index, entry in enumerate(tools):
        if entry["type"] != "mcp_toolset":
            continue
        name = entry["mcp_server_name"]
        if name not in names:
            raise InvalidRequest(
                f'{prefix}tools.{index}.mcp_toolset.mcp_server_name: "{name}" is not in mcp_servers'
            )
        if name in used:
            raise InvalidRequest(
                f'{prefix}tools.{index}.mcp_toolset.mcp_server_name: "{name}" is referenced by '
                "more than one mcp_toolset"
            )
        used.append(name)
    for index, name in enumerate(names):
        if name not in used:
            raise InvalidRequest(
                f'{prefix}mcp_servers.{index}: "{name}" is not referenced by any mcp_toolset in '
                "tools"
            )


def _check_url_sources(tools: Sequence[Json], prefix: str) -> None:
    custom = {entry["name"] for entry in tools if entry["type"] == "custom"}
    known = {"client_tool_results": custom, "server_tool_results": {"web_search", "web_fetch"}}
    for index, entry in enumerate(tools):
        if entry["type"] != tool_entries.AGENT_TOOLSET:
            continue
        for config in entry["configs"]:
            sources = config.get("url_sources") or {}
            for source, names in known.items():
                for reference in (sources.get(source) or {}).get("tools", ()):
                    if reference["name"] not in names:
                        raise InvalidRequest(
                            f"{prefix}tools.{index}.url_sources.{source}: "
                            f'unknown tool "{reference["name"]}"'
                        )


def _has_enabled(tools: Sequence[Json], name: str) -> bool:
    return any(
        config["name"] == name and config["enabled"]
        for entry in tools
        if entry["type"] == tool_entries.AGENT_TOOLSET
        for config in entry["configs"]
    )
