"""The tools of ``agent_toolset_20260401`` that live in the sandbox, by name."""

from __future__ import annotations

import os
from typing import Any

from .bash import Bash
from .cancelling import Cancellation
from .files import edit, read, write
from .filesystem import FileSystem, Place
from .globbing import glob
from .grepping import grep
from .inputs import checked
from .outcomes import Block, Outcome, ToolError, failure, success

_HIDDEN_PREFIXES = ("ANTHROPIC_", "FREEHOLD_", "BASH_FUNC_")


def shell_environment(given: dict[str, str]) -> dict[str, str]:
    """The environment of what the agent runs: the sandbox's, without anything of the server's."""
    kept = {
        name: value
        for name, value in given.items()
        if not name.startswith(_HIDDEN_PREFIXES) and name not in ("ENV", "BASH_ENV")
    }
    kept.update(PS1="", PS2="", TERM="dumb")
    return kept


class Tools:
    """Runs one call at a time per thread; ``bash`` calls take turns."""

    def __init__(self, workdir: str, environment: dict[str, str]) -> None:
        home = environment.get("HOME") or workdir
        self._place = Place(FileSystem(), workdir, home)
        self._environment = environment
        self._bash = Bash(workdir, environment)

    def vary(self, variables: dict[str, str]) -> None:
        """Give what the agent runs these variables besides its own environment, from now on."""
        self._bash.vary(variables)

    @property
    def place(self) -> Place:
        """Where paths lead."""
        return self._place

    def run(self, name: str, given: Any, cancellation: Cancellation) -> Outcome:
        """The outcome of a call; whatever goes wrong is an outcome, too."""
        try:
            return success(self._run(name, given, cancellation))
        except ToolError as error:
            return failure(str(error))
        except Exception as error:
            # One tool's defect must not end the toolbox.
            return failure(f"{name}: internal error: {type(error).__name__}: {error}")

    def close(self) -> None:
        """End what is running."""
        self._bash.close()

    def _run(self, name: str, given: Any, cancellation: Cancellation) -> str | list[Block]:
        accepted = checked(name, given)
        cancellation.check(name)
        if name == "bash":
            return self._bash.run(accepted, cancellation)
        if name == "read":
            return read(self._place, accepted)
        if name == "write":
            return write(self._place, accepted)
        if name == "edit":
            return edit(self._place, accepted)
        if name == "glob":
            return glob(self._place, accepted, cancellation)
        return grep(self._place, accepted, cancellation, self._environment)


def own_environment() -> dict[str, str]:
    """What :func:`shell_environment` makes of this process's environment."""
    return shell_environment(dict(os.environ))
