"""Entries of ``tools[]``: what clients may send and what it resolves to (spec 12.1, 12.6)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from freehold.api.agents.tool_settings import BuiltinName, ToolDefaults, plain
from freehold.api.agents.web_tools import (
    DomainsParams,
    WebFetchConfigParams,
    WebSearchConfigParams,
)
from freehold.api.requests import Params
from freehold.core import limits
from freehold.core.events import Json

AGENT_TOOLSET = "agent_toolset_20260401"
BUILTINS: tuple[BuiltinName, ...] = (
    "bash",
    "read",
    "write",
    "edit",
    "glob",
    "grep",
    "web_fetch",
    "web_search",
)
MCP_PREFIX = "mcp__"
RESERVED_PREFIX = "ant__"


class SandboxToolConfigParams(ToolDefaults):
    """Config of a built-in tool that has no settings of its own."""

    name: Literal["bash", "read", "write", "edit", "glob", "grep"]
    type: BuiltinName | None = None


AgentToolConfigParams = Annotated[
    SandboxToolConfigParams | WebFetchConfigParams | WebSearchConfigParams,
    Field(discriminator="name"),
]


class AgentToolsetParams(Params):
    """The built-in tools."""

    type: Literal["agent_toolset_20260401"]
    default_config: ToolDefaults | None = None
    configs: list[AgentToolConfigParams] | None = None

    @model_validator(mode="after")
    def _check(self) -> AgentToolsetParams:
        names = [config.name for config in self.configs or ()]
        for index, config in enumerate(self.configs or ()):
            if config.type is not None and config.type != config.name:
                raise plain(
                    f'configs[{index}].name: must be "{config.type}" '
                    f'on a config of type "{config.type}"'
                )
            if config.name in names[:index]:
                raise plain(f'configs[{index}].name: duplicate config for "{config.name}"')
        return self


class MCPToolConfigParams(ToolDefaults):
    """Config of one tool of an MCP server."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=limits.MCP_TOOL_NAME)]


class MCPToolsetParams(Params):
    """The tools of an MCP server."""

    type: Literal["mcp_toolset"]
    mcp_server_name: Annotated[
        str, StringConstraints(min_length=1, max_length=limits.MCP_SERVER_NAME)
    ]
    default_config: ToolDefaults | None = None
    configs: list[MCPToolConfigParams] | None = None

    @model_validator(mode="after")
    def _check(self) -> MCPToolsetParams:
        names = [config.name for config in self.configs or ()]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise plain(f'configs[{index}].name: duplicate config for "{name}"')
        return self


_PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class CustomToolParams(Params):
    """A tool that the client runs."""

    type: Literal["custom"]
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
    description: Annotated[
        str, StringConstraints(min_length=1, max_length=limits.CUSTOM_TOOL_DESCRIPTION)
    ]
    input_schema: Annotated[
        dict[str, Any],
        Field(
            json_schema_extra={
                "properties": {"type": {"const": "object"}},
                "required": ["type"],
            }
        ),
    ]

    @field_validator("name", mode="after")
    @classmethod
    def _name(cls, name: str) -> str:
        if name.startswith(MCP_PREFIX):
            raise ValueError(f'custom tool name "{name}" uses reserved MCP tool prefix')
        if name.startswith(RESERVED_PREFIX):
            raise ValueError(f'custom tool name "{name}" uses reserved prefix {RESERVED_PREFIX}')
        if name in BUILTINS:
            raise ValueError(f'custom tool name "{name}" is the name of a built-in tool')
        return name

    @field_validator("input_schema", mode="after")
    @classmethod
    def _schema(cls, schema: dict[str, Any]) -> dict[str, Any]:
        if (problem := schema_problem(schema)) is not None:
            raise ValueError(problem)
        return {
            key: value
            for key, value in schema.items()
            if value is not None or key not in ("properties", "required")
        }


ToolParams = Annotated[
    AgentToolsetParams | MCPToolsetParams | CustomToolParams, Field(discriminator="type")
]


def schema_problem(schema: Json) -> str | None:
    """Why a custom tool cannot have this input schema; ``None`` if it can."""
    if "type" not in schema:
        return 'type: Field required; it must be "object"'
    if schema["type"] != "object":
        return 'type: must be "object"'
    for keyword in ("oneOf", "anyOf", "allOf"):
        if keyword in schema:
            return f"{keyword} is not supported at the top level"
    properties = schema.get("properties")
    if properties is not None and not isinstance(properties, dict):
        return "properties: must be an object"
    for name, value in (properties or {}).items():
        if _PROPERTY.fullmatch(name) is None:
            return f"properties: names must match {_PROPERTY.pattern}, got {name[:100]!r}"
        if not isinstance(value, (dict, bool)):
            return f"properties.{name}: must be a schema"
    required = schema.get("required")
    if required is not None and not (
        isinstance(required, list) and all(isinstance(name, str) for name in required)
    ):
        return "required: must be an array of strings"
    if _mentions(schema, "$ref"):
        return "$ref is not supported"
    return None


def _mentions(schema: Any, keyword: str) -> bool:
    """Whether a schema uses ``keyword``; a property of that name does not count."""
    if isinstance(schema, list):
        return any(_mentions(item, keyword) for item in schema)
    if not isinstance(schema, dict):
        return False
    if keyword in schema:
        return True
    for key, value in schema.items():
        if key in ("const", "enum", "default", "examples"):
            continue
        if key in ("properties", "patternProperties", "$defs", "definitions") and isinstance(
            value, dict
        ):
            if any(_mentions(item, keyword) for item in value.values()):
                return True
        elif _mentions(value, keyword):
            return True
    return False


def resolve(entries: Sequence[ToolParams]) -> list[Json]:
    """``tools`` as the API echoes them: every setting filled in (spec 2.3)."""
    return [_resolve_one(entry) for entry in entries]


def _resolve_one(entry: AgentToolsetParams | MCPToolsetParams | CustomToolParams) -> Json:
    if isinstance(entry, CustomToolParams):
        return {
            "type": entry.type,
            "name": entry.name,
            "description": entry.description,
            "input_schema": entry.input_schema,
        }
    if isinstance(entry, MCPToolsetParams):
        default = _defaults(entry.default_config, "always_ask")
        return {
            "type": entry.type,
            "mcp_server_name": entry.mcp_server_name,
            "default_config": default,
            "configs": [
                {"name": config.name, **_inherit(config, default)} for config in entry.configs or ()
            ],
        }
    default = _defaults(entry.default_config, "always_allow")
    given = {config.name: config for config in entry.configs or ()}
    return {
        "type": entry.type,
        "default_config": default,
        "configs": [_builtin(name, given.get(name), default) for name in BUILTINS],
    }


def _defaults(given: ToolDefaults | None, policy: str) -> Json:
    return _inherit(given, {"enabled": True, "permission_policy": {"type": policy}})


def _inherit(given: ToolDefaults | None, default: Json) -> Json:
    enabled = default["enabled"]
    policy = default["permission_policy"]
    if given is not None:
        enabled = enabled if given.enabled is None else given.enabled
        policy = policy if given.permission_policy is None else given.permission_policy.model_dump()
    return {"enabled": enabled, "permission_policy": dict(policy)}


def _builtin(
    name: BuiltinName,
    given: SandboxToolConfigParams | WebFetchConfigParams | WebSearchConfigParams | None,
    default: Json,
) -> Json:
    config: Json = {"name": name, "type": name, **_inherit(given, default)}
    if isinstance(given, DomainsParams):
        settings = given.model_dump(
            exclude={"name", "type", "enabled", "permission_policy"}, exclude_none=True
        )
        config.update(settings)
    return config
