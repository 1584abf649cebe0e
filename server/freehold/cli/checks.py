"""What ``freehold doctor`` looks at. Every check answers findings and none raises."""

from __future__ import annotations

import asyncio
import platform
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from freehold import __version__
from freehold.app import build_sandboxes
from freehold.blobs import build_blobs
from freehold.cli import configuration, listening
from freehold.errors import FreeholdError
from freehold.models import build_catalog, build_model
from freehold.ports.sandbox import Finding
from freehold.settings import Settings
from freehold.store import migrate
from freehold.web.service import build_web

_LITTLE_DISK = 1 << 30
_NO_DISK = 100 << 20


async def findings() -> list[Finding]:
    """Every check's findings, in the order in which a person would mend them."""
    found = [_python()]
    try:
        settings = configuration.load()
    except FreeholdError as error:
        return [*found, Finding("settings", "error", str(error), "correct the setting named here")]
    found += _settings(settings)
    found += _data_dir(settings)
    found += await asyncio.to_thread(_database, settings)
    found += _certificates(settings)
    found += _port(settings)
    found += await _guarded("model", _model, settings)
    found += await _guarded("sandbox", _sandbox, settings)
    found += await _guarded("web", _web, settings)
    found += await _guarded("blobs", _blobs, settings)
    found.append(_mcp(settings))
    return found


async def _guarded(
    name: str, check: Callable[[Settings], Awaitable[list[Finding]]], settings: Settings
) -> list[Finding]:
    """A check of an adapter; one that cannot even be built is a finding too."""
    try:
        return await check(settings)
    except FreeholdError as error:
        return [Finding(name, "error", str(error))]
    except Exception as error:  # a doctor tells, whatever it is
        return [Finding(name, "error", f"{type(error).__name__}: {error}")]


def _python() -> Finding:
    return Finding(
        "python", "ok", f"{platform.python_version()} ({sys.executable}), Freehold {__version__}"
    )


def _settings(settings: Settings) -> list[Finding]:
    file = configuration.config_file()
    changed = [value for value in configuration.values(settings) if value.source != "default"]
    found = [
        Finding(
            "settings",
            "ok",
            f"{file if file.exists() else 'no configuration file'}; {len(changed)} values set "
            "(`freehold config show`)",
        )
    ]
    found.extend(
        Finding("settings", "warning", f"{name} is not a setting", "see docs/CONFIGURATION.md")
        for name in configuration.unknown_names()
    )
    try:
        listening.require_keys_beyond_loopback(settings)
    except FreeholdError as error:
        found.append(Finding("keys", "error", str(error)))
    return found


def _data_dir(settings: Settings) -> list[Finding]:
    folder = settings.data_dir.absolute()
    there = folder
    while not there.exists():
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return [
            Finding(
                "data dir",
                "error",
                f"{there} cannot be written to: {error.strerror}",
                f"make it writable, or name another folder in {configuration.variable('data_dir')}",
            )
        ]
    free = shutil.disk_usage(there).free
    size = f"{free / (1 << 30):.1f} GiB free"
    note = "" if folder.exists() else " (made when the server first starts)"
    if free < _NO_DISK:
        return [Finding("data dir", "error", f"{folder}: {size}", "free some disk space")]
    if free < _LITTLE_DISK:
        return [Finding("data dir", "warning", f"{folder}: {size}", "free some disk space")]
    return [Finding("data dir", "ok", f"{folder}: {size}{note}")]


def _database(settings: Settings) -> list[Finding]:
    name = "database"
    variable = configuration.variable("database_url")
    try:
        url = sa.make_url(settings.resolved_database_url)
    except sa.exc.ArgumentError:
        return [Finding(name, "error", f"{variable} is not a database URL", "see CONFIGURATION.md")]
    shown = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return [Finding(name, "ok", f"{shown} (made when the server first starts)")]
    try:
        engine = migrate.sync_engine(url)
        try:
            with engine.connect() as connection:
                current = MigrationContext.configure(connection).get_current_revision()
        finally:
            engine.dispose()
        head = ScriptDirectory.from_config(migrate.config()).get_current_head()
    except (sa.exc.SQLAlchemyError, FreeholdError, ImportError) as error:
        reason = getattr(error, "orig", None) or error
        return [
            Finding(
                name,
                "error",
                f"{shown}: {str(reason).strip()}",
                f"start the database, or correct {variable}",
            )
        ]
    if current == head:
        return [Finding(name, "ok", f"{shown}, schema {current}")]
    return [
        Finding(name, "ok", f"{shown}, schema {current or 'empty'}; `serve` migrates to {head}")
    ]


def _certificates(settings: Settings) -> list[Finding]:
    path = settings.extra_ca_certs
    if path is None:
        return [Finding("CA certs", "ok", "the system's; none added")]
    variable = configuration.variable("extra_ca_certs")
    if not path.exists():
        return [Finding("CA certs", "error", f"{path} does not exist", f"correct {variable}")]
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bad = []
    for file in files:
        try:
            context.load_verify_locations(cafile=str(file))
        except (ssl.SSLError, OSError) as error:
            bad.append(f"{file.name}: {error}")
    count = len(context.get_ca_certs())
    if bad or not count:
        detail = "; ".join(bad) or "no certificate in it"
        return [Finding("CA certs", "error", f"{path}: {detail}", "use PEM files of certificates")]
    return [Finding("CA certs", "ok", f"{path}: {count} certificates")]


def _port(settings: Settings) -> list[Finding]:
    if settings.port == 0:
        return [Finding("port", "ok", "one is picked at the start")]
    where = f"{settings.host} port {settings.port}"
    try:
        listening.listen(settings.host, settings.port).close()
    except FreeholdError as error:
        if _answers(settings):
            return [Finding("port", "ok", f"{where}: a server answers there already")]
        return [Finding("port", "error", str(error), "stop the other program or choose a port")]
    return [Finding("port", "ok", f"{where} is free")]


def _answers(settings: Settings) -> bool:
    """Whether what holds the port is a Freehold."""
    try:
        with socket.create_connection((settings.host, settings.port), timeout=2) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _unpriced(settings: Settings) -> list[Finding]:
    """Models beside the agents' own; what they are asked counts in budgets (ADR 7)."""
    searches = settings.web_search_model if settings.web_search == "upstream" else None
    named = {"auto_model": settings.auto_model, "web_search_model": searches}
    catalog = build_catalog(settings)
    return [
        Finding(
            "prices",
            "warning",
            f"{model} of {configuration.variable(name)} has no list price: sessions with a budget "
            "stop after it was asked",
            f"name its price in {configuration.variable('prices')}",
        )
        for name, model in named.items()
        if model is not None and catalog.price(model) is None
    ]


async def _model(settings: Settings) -> list[Finding]:
    model = build_model(settings)
    try:
        found = await model.check()
    finally:
        await model.close()
    return [*(_renamed("model", f) for f in found), *_unpriced(settings)]


async def _blobs(settings: Settings) -> list[Finding]:
    store = build_blobs(settings)
    try:
        return await store.check()
    finally:
        await store.close()


async def _web(settings: Settings) -> list[Finding]:
    model = build_model(settings) if settings.web_search == "upstream" else None
    web = build_web(settings, model)
    try:
        return await web.check()
    finally:
        await web.close()
        if model is not None:
            await model.close()


def _mcp(settings: Settings) -> Finding:
    opened = ", ".join(map(str, settings.resolved_mcp_networks))
    detail = f"public addresses and {opened}" if opened else "public addresses only"
    return Finding("mcp servers", "ok", f"{detail} (FREEHOLD_MCP_NETWORKS)")


async def _sandbox(settings: Settings) -> list[Finding]:
    """Both kinds, since people want to know what they could have; the chosen one's errors count."""
    found: list[Finding] = []
    try:
        chosen = build_sandboxes(settings)
    except FreeholdError as error:
        found.append(Finding("sandbox", "error", str(error)))
    else:
        found.append(Finding("sandbox", "ok", chosen.description))
        found += [_renamed(chosen.name, f) for f in await chosen.check()]
        await chosen.close()
        if chosen.name == "docker":
            return found
    found += await _docker(settings)
    found.append(_bubblewrap())
    return found


async def _docker(settings: Settings) -> list[Finding]:
    """Docker, where it is not what is used: never more than a warning."""
    try:
        provider = build_sandboxes(settings.model_copy(update={"sandbox": "docker"}))
    except FreeholdError as error:
        return [
            Finding("docker", "warning", str(error), "start a Docker engine to have containers")
        ]
    found = [_renamed("docker", f) for f in await provider.check()]
    await provider.close()
    return [
        Finding(f.name, "warning" if f.status == "error" else f.status, f.detail, f.mend)
        for f in found
    ]


def _bubblewrap() -> Finding:
    """Whether the process sandbox could isolate what it runs."""
    program = shutil.which("bwrap")
    mend = "install the package `bubblewrap`, and allow unprivileged user namespaces"
    if program is None:
        return Finding("bubblewrap", "warning", "not installed", mend)
    try:
        subprocess.run(  # noqa: S603 - a fixed program that we found ourselves
            [program, "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"],
            check=True,
            capture_output=True,
            timeout=10,
        )
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode("utf-8", "replace").strip()
        return Finding("bubblewrap", "warning", f"{program} does not work here: {reason}", mend)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("bubblewrap", "warning", f"{program}: {error}", mend)
    return Finding("bubblewrap", "ok", f"{program} works")


def _renamed(prefix: str, finding: Finding) -> Finding:
    name = finding.name if finding.name.startswith(prefix) else f"{prefix}: {finding.name}"
    return Finding(name, finding.status, finding.detail, finding.mend)
