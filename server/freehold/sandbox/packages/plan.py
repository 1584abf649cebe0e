"""One build: what is installed on what, and how the registries are reached."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from freehold.core.packages import Packages
from freehold.sandbox.packages import inside
from freehold.sandbox.packages.reach import Reach

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_PASSWORD = re.compile(r"(?<=//)[^/\s@]+@")

LAST_LINES = 20
LAST_CHARACTERS = 2_000
"""What of an installer's output an error carries."""


@dataclass(frozen=True)
class Plan:
    """All that decides what is in a package image."""

    base: str
    """The engine's id of the image that it stands on."""
    packages: Packages
    reach: Reach
    script: bytes = b""
    """What root's ``sh`` runs when all is installed; ours, never a client's."""

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits; equal plans give one, and so one image."""
        whole = hashlib.sha256()
        for part in (
            self.base,
            json.dumps(self.packages.as_json()),
            self.reach.digest,
            self.script.decode(),
            _program().decode(),
        ):
            whole.update(hashlib.sha256(part.encode()).digest())
        return whole.hexdigest()[:16]

    @property
    def steps(self) -> list[tuple[str, ...]]:
        """What to do, in order: ``provide`` or ``install`` with a manager, or ``script``."""
        steps: list[tuple[str, ...]] = [
            (step, manager) for manager, _ in self.packages for step in ("provide", "install")
        ]
        return [*steps, ("script",)] if self.script else steps

    def archive(self) -> bytes:
        """The build's own files as a tar, to be unpacked at ``/``."""
        told = {
            "packages": self.packages.as_json(),
            "gem_sources": list(self.reach.gem_sources),
        }
        files = {
            "inside.py": _program(),
            "plan.json": json.dumps(told).encode(),
            "trust.crt": self.reach.trust,
        }
        if self.script:
            files["script.sh"] = self.script
        if self.reach.npmrc:
            files["npmrc"] = self.reach.npmrc.encode()
        if self.reach.cargo_config:
            files["cargo.toml"] = self.reach.cargo_config.encode()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            folder = tarfile.TarInfo(inside.BUILD.lstrip("/"))
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
            for name, data in files.items():
                info = tarfile.TarInfo(f"{inside.BUILD.lstrip('/')}/{name}")
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
        return buffer.getvalue()


@cache
def _program() -> bytes:
    # Once: an installation that is renewed under a running server must not mix with it.
    return Path(inside.__file__).read_bytes()


def plain(line: str) -> str:
    """A line of an installer's output, without colours and passwords."""
    return _PASSWORD.sub("***@", _ANSI.sub("", line)).rstrip()


def last_words(lines: list[str]) -> str:
    """The end of an installer's output, as an error tells it."""
    said = [line for line in lines if line.strip() and not line.startswith("freehold: ")]
    return "\n".join(said[-LAST_LINES:])[-LAST_CHARACTERS:]
