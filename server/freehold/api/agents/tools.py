"""Entries of ``tools[]``: what clients may send and what it resolves to (spec 12.1, 12.6)."""

from __future__ import annotations

import functools
import re
import zoneinfo
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from freehold.api.requests import Params
from freehold.core import domains, limits
from freehold.core.events import Json

AGENT_TOOLSET = "agent_toolset_20260401"
BuiltinName = Literal["bash", "read", "write", "edit", "glob", "grep", "web_fetch", "web_search"]
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

COUNTRIES = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ
    EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW
    GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY
    KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY
    QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG
    TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM
    ZW
    """.split()  # noqa: SIM905 - two hundred and fifty codes read better as a block
)


def plain(text: str) -> PydanticCustomError:
    """A finding whose text is told as it is."""
    return PydanticCustomError("plain", "{text}", {"text": text})


class PermissionPolicy(Params):
    """Whether a call runs, asks first, or is judged each time."""

    type: Literal["always_allow", "always_ask", "auto"]


class ToolDefaults(Params):
    """What the tools of a set are unless their own config says otherwise."""

    enabled: bool | None = None
    permission_policy: PermissionPolicy | None = None


class SandboxToolConfigParams(ToolDefaults):
    """Config of a built-in tool that has no settings of its own."""

    name: Literal["bash", "read", "write", "edit", "glob", "grep"]
    type: BuiltinName | None = None


class DomainsParams(ToolDefaults):
    """What both web tools can be told about domains."""

    takes_paths: ClassVar[bool] = False
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None

    @field_validator("allowed_domains", "blocked_domains", mode="after")
    @classmethod
    def _check(cls, entries: list[str] | None, info: Any) -> list[str] | None:
        if entries is None:
            return None
        name = info.field_name
        if not entries:
            raise plain(
                f"{name}: Empty list of domains is ambiguous. Provide at least one domain or null."
            )
        if len(entries) > limits.WEB_DOMAINS:
            raise plain(f"{name}: must contain at most {limits.WEB_DOMAINS} items")
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            if not 1 <= len(entry) <= limits.WEB_DOMAIN:
                raise plain(
                    f"{name}.{index}: must have between 1 and {limits.WEB_DOMAIN} characters"
                )
            problem = domains.web_domain_problem(entry, path=cls.takes_paths)
            if problem is None and entry.lower() in seen:
                problem = "duplicate domain"
            if problem is not None:
                raise plain(f"{name}.{index}: {problem}")
            seen.add(entry.lower())
        return entries

    @model_validator(mode="after")
    def _one_of_them(self) -> DomainsParams:
        if self.allowed_domains is not None and self.blocked_domains is not None:
            raise plain("Only one of allowed_domains or blocked_domains may be set.")
        return self


class ToolReferenceParams(Params):
    """A tool, by name."""

    type: Literal["tool_reference"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=128)]


class SourceAll(Params):
    """Every source of this kind."""

    type: Literal["all"]


class SourceNone(Params):
    """No source of this kind."""

    type: Literal["none"]


class SourceOnly(Params):
    """Results of these tools alone."""

    type: Literal["only"]
    tools: Annotated[list[ToolReferenceParams], Field(min_length=1, max_length=128)]


class SourceExcept(Params):
    """Results of all but these tools."""

    type: Literal["except"]
    tools: Annotated[list[ToolReferenceParams], Field(min_length=1, max_length=128)]


def _shorthand(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


_Filter = Annotated[SourceAll | SourceNone | SourceOnly | SourceExcept, Field(discriminator="type")]
_UserFilter = Annotated[SourceAll | SourceNone, Field(discriminator="type")]
Shorthand = Literal["all", "none"]


class URLSourcesParams(Params):
    """Where the addresses may come from that ``web_fetch`` fetches."""

    client_tool_results: Annotated[
        _Filter | None,
        BeforeValidator(_shorthand, json_schema_input_type=Shorthand | _Filter | None),
    ] = None
    server_tool_results: Annotated[
        _Filter | None,
        BeforeValidator(_shorthand, json_schema_input_type=Shorthand | _Filter | None),
    ] = None
    user_input: Annotated[
        _UserFilter | None,
        BeforeValidator(_shorthand, json_schema_input_type=Shorthand | _UserFilter | None),
    ] = None

    @model_validator(mode="after")
    def _some_source(self) -> URLSourcesParams:
        sources = (self.client_tool_results, self.server_tool_results, self.user_input)
        if all(source is not None and source.type == "none" for source in sources):
            raise plain("url_sources: at least one source must not be none")
        return self


class WebFetchConfigParams(DomainsParams):
    """Config of ``web_fetch``."""

    name: Literal["web_fetch"]
    type: BuiltinName | None = None
    max_content_tokens: Annotated[int, Field(ge=1)] | None = None
    url_sources: URLSourcesParams | None = None


class UserLocationParams(Params):
    """Roughly where the user is."""

    type: Literal["approximate"]
    city: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    region: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    country: str | None = None
    timezone: str | None = None

    @field_validator("country", mode="after")
    @classmethod
    def _country(cls, value: str | None) -> str | None:
        if value is not None and value not in COUNTRIES:
            raise plain(
                "user_location.country: must be a two-letter upper-case ISO 3166-1 country code"
            )
        return value

    @field_validator("timezone", mode="after")
    @classmethod
    def _timezone(cls, value: str | None) -> str | None:
        if value is not None and not is_timezone(value):
            raise plain("user_location.timezone: must be an IANA time zone such as Europe/Oslo")
        return value


class WebSearchConfigParams(DomainsParams):
    """Config of ``web_search``."""

    takes_paths = True
    name: Literal["web_search"]
    type: BuiltinName | None = None
    user_location: UserLocationParams | None = None


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


@functools.lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def is_timezone(name: str) -> bool:
    """Whether this is an IANA time zone; where the machine has no list, whether it looks so."""
    if known := _zones():
        return name in known
    return re.fullmatch(r"UTC|[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+){1,2}", name) is not None


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
