"""``python -m freehold.sandbox.conformance process|plain|scripted|docker [check …]``."""

from __future__ import annotations

import asyncio
import importlib
import sys
import tempfile
from pathlib import Path

from freehold.errors import FreeholdError
from freehold.ports.sandbox import SandboxProvider
from freehold.sandbox.conformance import CHECKS, run
from freehold.sandbox.conformance.subject import Reopen
from freehold.sandbox.process import ProcessSandboxProvider
from freehold.sandbox.scripted import ScriptedSandboxProvider
from freehold.settings import Settings

_USAGE = "usage: python -m freehold.sandbox.conformance process|plain|scripted|docker [check ...]\n"
_NAMES = ("process", "plain", "scripted", "docker")


def providers(name: str, data_dir: Path) -> tuple[SandboxProvider, Reopen]:
    """A provider of this package by name, and how to open it again.

    Raises:
        FreeholdError: its engine cannot be reached.
    """
    if name == "scripted":
        scripted = ScriptedSandboxProvider()
        return scripted, scripted.reopened
    if name == "docker":
        # By name: this module is for machines without an engine, too.
        docker = importlib.import_module("freehold.sandbox.docker")
        settings = Settings(data_dir=data_dir)

        def reopen() -> SandboxProvider:
            provider: SandboxProvider = docker.DockerSandboxProvider.from_settings(settings)
            return provider

        return reopen(), reopen

    def reopen_process() -> SandboxProvider:
        return ProcessSandboxProvider(data_dir, plain=name == "plain")

    return reopen_process(), reopen_process


async def _main(name: str, wanted: list[str]) -> int:
    checks = [CHECKS[one] for one in wanted] if wanted else list(CHECKS.values())
    with tempfile.TemporaryDirectory(prefix="freehold-") as folder:
        provider, reopen = providers(name, Path(folder))
        print(provider.description)
        results = await run(provider, reopen=reopen, checks=checks)
    for result in results:
        print(f"{result.status:8}{result.seconds:7.2f} s  {result.name}  {result.detail}".rstrip())
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for result in results:
        counts[result.status] += 1
    print(", ".join(f"{count} {status}" for status, count in counts.items()))
    return int(counts["failed"] > 0)


def main() -> None:
    """Run the checks and print how each went; exit 1 if any failed."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] not in _NAMES or any(a not in CHECKS for a in arguments[1:]):
        sys.stderr.write(_USAGE)
        sys.exit(2)
    try:
        sys.exit(asyncio.run(_main(arguments[0], arguments[1:])))
    except FreeholdError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
