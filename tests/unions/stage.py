"""Named scenarios, each with the kinds of the SDK's unions that it is there to show."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Run = Callable[..., set[str]]


class Stage:
    """A place where scenarios are played: ``run`` gives each the same props."""

    def __init__(self) -> None:
        self.scenarios: dict[str, tuple[frozenset[str], Run]] = {}

    def shows(self, *kinds: str) -> Callable[[Run], Run]:
        """The function is a scenario that shows these; it returns all the kinds it saw."""

        def enter(run: Run) -> Run:
            if run.__name__ in self.scenarios:
                raise ValueError(f"{run.__name__} is there twice")
            self.scenarios[run.__name__] = (frozenset(kinds), run)
            return run

        return enter

    def run(self, *props: Any) -> tuple[set[str], list[str]]:
        """All that the scenarios showed, and what they were there for and did not show."""
        seen: set[str] = set()
        missed: list[str] = []
        for name, (promised, scenario) in self.scenarios.items():
            found = scenario(*props)
            missed += [f"{name} no longer shows {kind}" for kind in sorted(promised - found)]
            seen |= found
        return seen, missed


def each(path: str, *ends: str) -> Iterable[str]:
    """``path/end`` for each end."""
    return (f"{path}/{end}" for end in ends)
