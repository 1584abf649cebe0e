"""How a build reaches the package registries: as the host does.

Whom the host trusts, the proxies in its environment, and the mirrors that its own package managers
are configured to use. Nothing secret goes along: code of a package runs while it is installed, so
an address with a password in it is left out, and said to be.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import logging
import re
import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from freehold.sandbox.image_definition import read_certificates

log = logging.getLogger(__name__)

PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_PIP = {
    "index-url": "PIP_INDEX_URL",
    "extra-index-url": "PIP_EXTRA_INDEX_URL",
    "trusted-host": "PIP_TRUSTED_HOST",
    "default-timeout": "PIP_DEFAULT_TIMEOUT",
    "timeout": "PIP_TIMEOUT",
}
_GO = ("GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB")
_SYSTEM_TRUST = Path("/etc/ssl/certs/ca-certificates.crt")
_NPM_LINE = re.compile(r"(?:@[\w.-]+:)?registry")


@dataclass(frozen=True)
class Reach:
    """What a build is given."""

    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment of every installer."""
    trust: bytes = b""
    """PEM bundle: the host's and the extra certificates."""
    npmrc: str = ""
    """Registries of npm, by scope."""
    cargo_config: str = ""
    """Sources of Cargo, as TOML."""
    gem_sources: tuple[str, ...] = ()
    """Sources of RubyGems; none: the image's own."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all of it."""
        told = [sorted(self.variables.items()), self.npmrc, self.cargo_config, self.gem_sources]
        whole = hashlib.sha256(json.dumps(told).encode())
        whole.update(hashlib.sha256(self.trust).digest())
        return whole.hexdigest()


def host_reach(
    environ: Mapping[str, str],
    home: Path,
    extra_ca_certs: Path | None,
    *,
    etc: Path = Path("/etc"),
) -> Reach:
    """What the host's environment and the configuration of its package managers say.

    Raises:
        ConfigurationError: ``extra_ca_certs`` holds no certificates.
    """
    variables = {n: environ[n] for n in PROXIES if environ.get(n) and _clean(n, environ[n])}
    variables |= _pip(environ, home, etc)
    variables |= _go(environ, home)
    return Reach(
        variables=variables,
        trust=_trust(extra_ca_certs),
        npmrc=_npm(environ, home, etc),
        cargo_config=_cargo(environ, home),
        gem_sources=_gem(home, etc),
    )


def _trust(extra_ca_certs: Path | None) -> bytes:
    found = ssl.get_default_verify_paths().cafile
    bundles = [*([Path(found)] if found else []), _SYSTEM_TRUST]
    host = next((bundle.read_bytes() for bundle in bundles if bundle.is_file()), b"")
    extra = read_certificates(extra_ca_certs) if extra_ca_certs else {}
    return b"\n".join([host, *extra.values()])


def _pip(environ: Mapping[str, str], home: Path, etc: Path) -> dict[str, str]:
    config = configparser.RawConfigParser(strict=False)
    files = [etc / "xdg/pip/pip.conf", etc / "pip.conf", home / ".pip/pip.conf"]
    files.append(Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf")
    if environ.get("PIP_CONFIG_FILE"):
        files.append(Path(environ["PIP_CONFIG_FILE"]))
    found: dict[str, str] = {}
    try:
        config.read(files, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        log.warning("the host's pip configuration cannot be read: %s", error)
    for section in ("global", "install"):
        for option, variable in _PIP.items():
            if config.has_option(section, option):
                found[variable] = config.get(section, option)
    found |= {name: environ[name] for name in _PIP.values() if environ.get(name)}
    kept = {}
    for name, value in found.items():
        # Several are separated by white space; a folder of the host is not there in a container.
        parts = [part for part in value.split() if not part.startswith(("file:", "/", "."))]
        parts = [part for part in parts if _clean(name, part)]
        if parts:
            kept[name] = " ".join(parts)
    return kept


def _npm(environ: Mapping[str, str], home: Path, etc: Path) -> str:
    settings: dict[str, str] = {}
    user = environ.get("NPM_CONFIG_USERCONFIG") or environ.get("npm_config_userconfig")
    for path in (etc / "npmrc", Path(user) if user else home / ".npmrc"):
        for line in _lines(path):
            name, _, value = (part.strip() for part in line.partition("="))
            if _NPM_LINE.fullmatch(name):
                settings[name] = value.strip("\"'")
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if environ.get(name):
            settings["registry"] = environ[name]
    kept = {n: v for n, v in sorted(settings.items()) if _is_url(v) and _clean(f"npm {n}", v)}
    return "".join(f"{name}={value}\n" for name, value in kept.items())


def _cargo(environ: Mapping[str, str], home: Path) -> str:
    folder = Path(environ.get("CARGO_HOME") or home / ".cargo")
    config: dict[str, Any] = {}
    for name in ("config.toml", "config"):
        if (text := "\n".join(_lines(folder / name))) and not config:
            try:
                config = tomllib.loads(text)
            except tomllib.TOMLDecodeError as error:
                log.warning("the host's Cargo configuration cannot be read: %s", error)
    written = []
    for table, keys in (("source", ("registry", "replace-with")), ("registries", ("index",))):
        for name, entry in sorted((config.get(table) or {}).items()):
            values = {k: entry[k] for k in keys if isinstance(entry, dict) and k in entry}
            if values and all(isinstance(v, str) and _clean("cargo", v) for v in values.values()):
                written.append(f"[{table}.{json.dumps(name)}]")
                # A JSON string without control characters is a TOML string.
                written += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "".join(f"{line}\n" for line in written)


def _gem(home: Path, etc: Path) -> tuple[str, ...]:
    for path in (home / ".gemrc", etc / "gemrc"):
        try:
            config = yaml.safe_load("\n".join(_lines(path)))
        except yaml.YAMLError as error:
            log.warning("%s cannot be read: %s", path, error)
            continue
        sources = (
            (config.get(":sources") or config.get("sources")) if isinstance(config, dict) else None
        )
        if isinstance(sources, list):
            return tuple(s for s in map(str, sources) if _is_url(s) and _clean("gem source", s))
    return ()


def _go(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    folder = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    file = Path(environ.get("GOENV") or folder / "go/env")
    found = dict(line.split("=", 1) for line in _lines(file) if "=" in line)
    found |= {name: environ[name] for name in _GO if environ.get(name)}
    # GOPROXY is a list; a folder of the host is not there in a container.
    return {
        n: found[n] for n in _GO if found.get(n) and "file:" not in found[n] and _clean(n, found[n])
    }


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _is_url(text: str) -> bool:
    return urlsplit(text).scheme in {"http", "https"}


def _clean(name: str, value: str) -> bool:
    """Whether no password is in it; says so where one is."""
    if re.search(r"//[^/\s,|]*@", value) is None:
        return True
    log.warning(
        "%s of this machine has a password in its address and is not given to package builds, "
        "where the packages' own code runs",
        name,
    )
    return False
