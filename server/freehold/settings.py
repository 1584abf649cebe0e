"""Every setting of Freehold, in one class.

Values come, first found wins, from command-line options, ``FREEHOLD_*`` environment variables
and a TOML file with the same names in lower case without the prefix. ``docs/CONFIGURATION.md``
is generated from this class.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from freehold.core import rates
from freehold.core.addresses import LOOPBACK, Network, parse_network
from freehold.core.domains import allowed_host_problem
from freehold.core.git_repositories import git_host_problem
from freehold.core.webhook_endpoints import ConfiguredEndpoint

CONFIG_VARIABLE = "FREEHOLD_CONFIG"
DEFAULT_CONFIG_FILE = "freehold.toml"


class Settings(BaseSettings):
    """The values a running Freehold is made of."""

    model_config = SettingsConfigDict(
        env_prefix="FREEHOLD_",
        # Compose files pass on variables that are not set as empty ones.
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        validate_default=True,
    )

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. Anything but loopback needs `FREEHOLD_API_KEYS`.",
    )
    port: int = Field(default=8787, ge=0, le=65535, description="Port to listen on; 0 picks one.")
    data_dir: Path = Field(
        default=Path(".data"),
        description="Where the database, blobs and process sandboxes live.",
    )
    database_url: str | None = Field(
        default=None,
        description="SQLAlchemy URL: `sqlite+aiosqlite:///FILE` or `postgresql+psycopg://…`. "
        "Default: `freehold.db` in the data directory.",
    )
    blobs: Literal["files", "s3"] = Field(
        default="files",
        description="Where the contents of files are kept: `files` (in the data directory) or "
        "`s3` (a bucket of any S3-compatible store).",
    )
    blobs_bucket: str | None = Field(
        default=None, description="The bucket, where `blobs` is `s3`; it must exist."
    )
    blobs_prefix: str = Field(
        default="", description="What all keys in the bucket begin with, such as `freehold/`."
    )
    blobs_endpoint_url: str | None = Field(
        default=None, description="URL of the S3-compatible store. Default: Amazon's."
    )
    blobs_region: str | None = Field(
        default=None, description="Region of the bucket. Default: AWS's own settings, `us-east-1`."
    )
    blobs_access_key: SecretStr | None = Field(
        default=None,
        description="Access key id for the bucket. Default: where AWS's own tools look for keys.",
    )
    blobs_secret_key: SecretStr | None = Field(
        default=None, description="Secret access key for the bucket."
    )
    blobs_addressing: Literal["auto", "path", "virtual"] = Field(
        default="auto",
        description="Whether the bucket is part of the host name (`virtual`) or of the path.",
    )
    file_max_mb: int = Field(
        default=500, ge=1, description="Largest file that can be uploaded, in MiB."
    )
    files_total_mb: int = Field(
        default=1_048_576,
        ge=1,
        description="How much all files may take together, in MiB; more is refused.",
    )
    model: str = Field(
        default="upstream",
        description="`upstream` (a Messages API), `scripted` (the built-in offline script) or "
        "`scripted:FILE.yaml`.",
    )
    model_base_url: str | None = Field(
        default=None, description="Base URL of the Messages API. Default: Anthropic's."
    )
    model_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices(
            "FREEHOLD_MODEL_API_KEY", "model_api_key", "ANTHROPIC_API_KEY"
        ),
        description="Key for the Messages API. Falls back to `ANTHROPIC_API_KEY`.",
    )
    models: Path | None = Field(
        default=None,
        description="TOML or YAML table that sends models to other servers, or to several; see "
        "`docs/MODELS.md`. What it does not name goes where the settings above say.",
    )
    auto_model: str | None = Field(
        default=None,
        description="Model that judges calls of tools whose permission policy is `auto`. Default: "
        "the agent's own.",
    )
    prices: Path | None = Field(
        default=None,
        description="TOML or YAML file of list prices, which come before Anthropic's; see "
        "`docs/MODELS.md`.",
    )
    scripted_latency: float = Field(
        default=0.4,
        ge=0,
        description="Seconds the scripted model thinks before it answers, so that a client which "
        "opens its stream after it sent a message still sees the turn.",
    )
    retry_base: float = Field(
        default=1.0,
        gt=0,
        description="Seconds before a failed model request is tried again the first time; doubled "
        "each time, to a minute at most.",
    )
    retry_limit: int = Field(
        default=5,
        ge=0,
        description="How often a failed model request is tried again before the turn is given up.",
    )
    compact_at: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="Share of the model's context window at which a conversation is summed up.",
    )
    tool_rounds: int = Field(
        default=1_000,
        ge=1,
        description="How many rounds of tool use an agent may make after a user's message before "
        "the turn is given up.",
    )
    dream_timeout: float = Field(
        default=7_200.0,
        gt=0,
        description="Seconds after which a dream that is not done has failed.",
    )
    dream_memory_max_mb: int = Field(
        default=32,
        ge=1,
        description="Largest memory store, in MiB of what its memories hold, that a dream reads.",
    )
    sandbox: Literal["auto", "docker", "process", "scripted"] = Field(
        default="auto",
        description="Where tools run: `docker`; `process` (bubblewrap where present, else a plain "
        "child process); `scripted` (in memory, for tests). `auto` is Docker, else bubblewrap.",
    )
    sandbox_image: str = Field(
        default="freehold-sandbox:base", description="Docker image of the sandboxes."
    )
    sandbox_runtime: str | None = Field(
        default=None, description="Docker runtime, such as `runsc` (gVisor). Default: the engine's."
    )
    sandbox_root: bool = Field(
        default=False,
        description="Run the sandbox's processes as root inside the container, with the engine's "
        "default capabilities. For agents that need `apt-get`; weaker isolation.",
    )
    sandbox_memory: str = Field(default="2g", description="Memory limit of a sandbox.")
    sandbox_cpus: float = Field(default=1.0, gt=0, description="CPU limit of a sandbox, in cores.")
    sandbox_pids: int = Field(default=512, ge=16, description="Process limit of a sandbox.")
    sandbox_disk: str = Field(
        default="10g",
        description="What the agent's files in a Docker sandbox may take; 0: all there is. What "
        "goes beyond it is ended within seconds; see `docs/SECURITY.md`.",
    )
    sandbox_idle_stop: float = Field(
        default=900.0,
        ge=0,
        description="Seconds without a tool call after which a Docker sandbox is stopped, "
        "background processes included; its files stay, and the next call starts it again. 0: "
        "never.",
    )
    sandbox_keep_days: float = Field(
        default=30.0,
        gt=0,
        description="Days from its creation for which a Docker sandbox and its checkpoint are "
        "kept; a later message gets a fresh sandbox.",
    )
    checkpoint_every: float = Field(
        default=60.0,
        ge=0,
        description="Least seconds between two checkpoints of a session's workspace and outputs, "
        "which are taken when a turn has ended, and restored when the container is lost. Docker "
        "only.",
    )
    checkpoint_max_mb: int = Field(
        default=1024,
        ge=0,
        description="Largest workspace and outputs, in MiB, that checkpoints are taken of; 0: "
        "none are.",
    )
    sandbox_network: str = Field(
        default="gate",
        description="Network of the Docker sandboxes. `gate`: what leaves them goes through the "
        "egress gate, which keeps them out of private networks. The name of a Docker network, such "
        "as `bridge`: sandboxes with unrestricted networking use that and reach what it reaches, "
        "your own network included. `none`: they reach nothing.",
    )
    gate_image: str = Field(
        default="freehold-gate:latest", description="Docker image of the egress gate."
    )
    gate_network: str = Field(
        default="bridge",
        description="Docker network by which the egress gate reaches the world. Never the host's.",
    )
    package_hosts: Annotated[tuple[str, ...] | None, NoDecode] = Field(
        default=None,
        description="Hosts that `allow_package_managers` opens, separated by commas, each a host "
        "or `*.domain`. Default: those that the package managers of the sandbox image are "
        "configured to use.",
    )
    sandbox_warm: int = Field(
        default=1,
        ge=0,
        le=64,
        description="How many Docker sandboxes to keep started for sessions to come, so that a "
        "session's first tool call need not wait for one; 0 keeps none. Each takes some 20 MB of "
        "memory while it waits.",
    )
    sandbox_build_network: str = Field(
        default="bridge",
        description="Docker network in which the packages of environments (`config.packages`) are "
        "installed; it must reach their registries. Never the host's.",
    )
    sandbox_packages_keep: float = Field(
        default=14.0,
        ge=0,
        description="Days for which the image with an environment's packages is kept that no "
        "session asks for.",
    )
    web_fetch: bool = Field(
        default=True,
        description="Whether agents are offered `web_fetch`, which the server itself runs.",
    )
    web_search: Literal["none", "upstream", "searxng", "brave", "tavily", "scripted"] = Field(
        default="none",
        description="Who answers `web_search`. `none`: agents are not offered it. `upstream`: the "
        "search of the Messages API that the model is asked at. `scripted` needs no network.",
    )
    web_search_model: str | None = Field(
        default=None,
        description="Model that searches where `web_search` is `upstream`. Default: the agent's "
        "own.",
    )
    web_search_url: str | None = Field(
        default=None,
        description="Base URL of the search provider: needed for `searxng`, else the provider's "
        "own. For `scripted` a YAML file of results.",
    )
    web_search_api_key: SecretStr | None = Field(
        default=None, description="Key for the search provider; needed for `brave` and `tavily`."
    )
    trusted_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Ranges of internal addresses, as CIDR, that `web_fetch`, MCP connections, git "
        "and sandboxes may go to. None: public addresses only.",
    )
    mcp_networks: Annotated[tuple[str, ...] | None, NoDecode] = Field(
        default=None,
        description="Further ranges of internal addresses, as CIDR, for MCP servers and their "
        "token endpoints alone; `none` opens none. Default: this machine's loopback while no API "
        "key is configured, else none.",
    )
    git_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Hosts besides github.com whose repositories can be given to sessions, "
        "separated by commas, each a host or `host:port`. Such a repository's `url` is "
        "`https://HOST/{owner}/{repo}`.",
    )
    git_max_mb: int = Field(
        default=1024,
        ge=1,
        description="How much of a repository is fetched at most, in MiB: the files of one commit, "
        "packed.",
    )
    git_timeout: float = Field(
        default=600.0, gt=0, description="Seconds after which cloning a repository is given up."
    )
    git_cache_days: float = Field(
        default=14.0,
        ge=0,
        description="Days for which what was fetched of a repository is kept in the data directory "
        "when no session asks for it.",
    )
    work_lease: int = Field(
        default=300,
        ge=1,
        le=600,
        description="Seconds after which a worker of a self-hosted environment that gave no sign "
        "of life is taken for dead, and another gets its session. Workers may wish for another "
        "time, of 600 seconds at most.",
    )
    webhooks: tuple[ConfiguredEndpoint, ...] = Field(
        default=(),
        description="Endpoints of webhooks beside those that clients create: in the file "
        "`[[webhooks]]` with `name`, `url`, `secret` (`whsec_…`) and `events`, in the variable "
        "the same as a JSON list; see `docs/WEBHOOKS.md`.",
    )
    webhook_networks: Annotated[tuple[str, ...] | None, NoDecode] = Field(
        default=None,
        description="Further ranges of internal addresses, as CIDR, that webhooks are delivered "
        "to, there over plain HTTP and on other ports than 443 too; `none` opens none. Default: "
        "this machine's loopback while no API key is configured, else none.",
    )
    webhook_timeout: float = Field(
        default=15.0, gt=0, description="Seconds that an attempt to deliver a webhook may take."
    )
    webhook_patience_days: float = Field(
        default=3.0,
        gt=0,
        description="Days without a delivery that succeeds after which an endpoint to which "
        "deliveries fail is disabled.",
    )
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        description="Keys that clients must present, separated by commas; they work in the "
        "default workspace, beside those of `freehold keys create`. With neither, on loopback any "
        "non-empty key is taken.",
    )
    rate_limits: str = Field(
        default="",
        description="How many requests are taken a minute: `hosted` (the hosted service's figures) "
        "or such as `create=300,read=1200,files=500`; a kind that is left out has no limit. "
        "Counted in the database, so that all processes on it keep them together: each takes a "
        "fiftieth of a minute's requests at a time. Default: no limits.",
    )
    rate_limits_per: Literal["organization", "workspace", "key"] = Field(
        default="organization",
        description="Whose limits those are: everybody's together (`organization`), or each "
        "`workspace`'s or each `key`'s own.",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="Keys that seal the secrets of vaults: base64 of 32 random bytes "
        "(`openssl rand -base64 32`). Several are separated by commas; the first seals, all open. "
        "Default: the file `secret.key` in the data directory, made when first needed.",
    )
    extra_ca_certs: Path | None = Field(
        default=None,
        description="File or folder of CA certificates to trust as well, on the server and in "
        "sandbox images.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe level to log."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="`console`, `json`; `auto` is console on a terminal, else JSON."
    )

    @field_validator("rate_limits", mode="after")
    @classmethod
    def _are_rates(cls, value: str) -> str:
        rates.parse(value)
        return value

    @field_validator("trusted_networks", "mcp_networks", "webhook_networks", mode="after")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is None or value == ("none",):
            return value and ()
        return tuple(str(parse_network(text)) for text in value)

    @field_validator("package_hosts", mode="after")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for text in value or ():
            if (problem := allowed_host_problem(text)) is not None:
                raise ValueError(f"{text}: {problem}")
        return value

    @field_validator("webhooks", mode="after")
    @classmethod
    def _have_names_of_their_own(
        cls, value: tuple[ConfiguredEndpoint, ...]
    ) -> tuple[ConfiguredEndpoint, ...]:
        names = [endpoint.name for endpoint in value]
        if len(names) != len(set(names)):
            raise ValueError("two endpoints have the same name")
        return value

    @field_validator("git_hosts", mode="after")
    @classmethod
    def _are_git_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if (problem := git_host_problem(text)) is not None:
                raise ValueError(f"{text}: {problem}")
        return value

    @field_validator(
        *("api_keys", "trusted_networks", "mcp_networks", "webhook_networks"),
        *("package_hosts", "git_hosts"),
        mode="before",
    )
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def resolved_mcp_networks(self) -> tuple[Network, ...]:
        """The internal ranges that MCP connections may go to.

        A server without keys listens on loopback alone, so whoever calls it is on this machine
        and can reach what listens there without the server's help.
        """
        return self._opened(self.mcp_networks)

    @property
    def resolved_webhook_networks(self) -> tuple[Network, ...]:
        """The internal ranges that webhooks may be delivered to; by default as for MCP."""
        return self._opened(self.webhook_networks)

    def _opened(self, named: tuple[str, ...] | None) -> tuple[Network, ...]:
        own: Sequence[Network] = () if self.api_keys else LOOPBACK
        if named is not None:
            own = [parse_network(text) for text in named]
        return (*map(parse_network, self.trusted_networks), *own)

    @property
    def resolved_database_url(self) -> str:
        """The database URL in force, with its default filled in."""
        if self.database_url:
            return self.database_url
        return f"sqlite+aiosqlite:///{(self.data_dir / 'freehold.db').absolute()}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of the sources: arguments, environment, TOML file."""
        path = os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG_FILE)
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, toml_file=path),
        )
