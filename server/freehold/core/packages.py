"""The packages that an environment asks for (spec 3.2, 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from freehold.core.events import Json

MANAGERS = ("apt", "cargo", "gem", "go", "npm", "pip")
"""In the order in which they install (spec 3.3)."""


@dataclass(frozen=True)
class Packages:
    """What to install, by manager; two that mean the same are equal."""

    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Managers with something to do, in order; each with its packages, sorted, none twice."""

    @classmethod
    def of(cls, config: Json) -> Packages:
        """Those of an environment's ``config``; a self-hosted one has none.

        Raises:
            ValueError: one would be read as an option of its installer.
        """
        asked = config.get("packages") or {}
        lists: list[tuple[str, tuple[str, ...]]] = []
        for manager in MANAGERS:
            specs = sorted({spec.strip() for spec in asked.get(manager) or ()} - {""})
            if odd := next((spec for spec in specs if spec.startswith("-")), None):
                raise ValueError(f"config.packages.{manager}: {odd!r} is not a package")
            if specs:
                lists.append((manager, tuple(specs)))
        return cls(tuple(lists))

    def __bool__(self) -> bool:
        return bool(self.lists)

    def __iter__(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        return iter(self.lists)

    def as_json(self) -> Json:
        """The lists by manager."""
        return {manager: list(specs) for manager, specs in self.lists}

    def __str__(self) -> str:
        """One line for people, cut short where it would be long."""
        parts = []
        for manager, specs in self.lists:
            more = f" and {len(specs) - 3} more" if len(specs) > 3 else ""
            parts.append(f"{manager}: {', '.join(specs[:3])}{more}")
        return "; ".join(parts)
