"""Settings of the web tools (spec 12.6)."""

from __future__ import annotations

import functools
import re
import zoneinfo
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from freehold.api.agents.tool_settings import BuiltinName, ToolDefaults, plain
from freehold.api.requests import Params
from freehold.core import domains, limits

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


@functools.lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def is_timezone(name: str) -> bool:
    """Whether this is an IANA time zone; where the machine has no list, whether it looks so."""
    if known := _zones():
        return name in known
    return re.fullmatch(r"UTC|[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+){1,2}", name) is not None
