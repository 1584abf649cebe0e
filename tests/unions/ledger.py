"""What docs/DIVERGENCES.md lists as not produced, and how that compares with what is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from pathlib import Path

DIVERGENCES = Path(__file__).parents[2] / "docs/DIVERGENCES.md"
HEADING = "## Event types that are not produced"


def listed(document: str) -> dict[str, str]:
    """The kinds in the first column of the section's table, each with its reason.

    Raises:
        ValueError: there is no such table, or a kind is in it twice.
    """
    _, heading, rest = document.partition(f"{HEADING}\n")
    section = rest.split("\n## ")[0]
    found: dict[str, str] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        names = re.findall(r"`([^`]+)`", cells[0]) if line.startswith("|") else []
        for name in names:
            if name in found:
                raise ValueError(f"{name} is listed twice")
            found[name] = cells[1] if len(cells) == 2 else ""
    if not found:
        raise ValueError(f"{heading or HEADING!r}: no table of kinds")
    return found


def within(kind: str, above: str) -> bool:
    """Whether a kind is another, or below it."""
    return kind == above or kind.startswith(f"{above}/")


def complaints(known: Set[str], produced: Set[str], reasons: Mapping[str, str]) -> list[str]:
    """Where what the SDK knows, what is produced and what is listed do not fit together.

    A listed kind speaks for all that is below it.
    """
    told = [
        f"{kind} is neither produced nor listed"
        for kind in known - produced
        if not any(within(kind, above) for above in reasons)
    ]
    told += [f"{kind} is produced and the SDK does not know it" for kind in produced - known]
    for kind, reason in reasons.items():
        if kind not in known:
            told.append(f"{kind} is listed and the SDK does not know it")
        if not reason:
            told.append(f"{kind} is listed without a reason")
        told += [f"{kind} is listed and {p} is produced" for p in produced if within(p, kind)]
    return sorted(told)
