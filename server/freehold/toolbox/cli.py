"""The command line of the toolbox. Parsed by hand: ``connect`` must start in an instant."""

from __future__ import annotations

import sys

USAGE = """\
usage: toolbox serve --state DIR --socket PATH --workdir DIR [--outputs DIR] [--idle-exit SECONDS]
                     [--stdio yes] [--alone yes] [--disk BYTES]
       toolbox connect --socket PATH
       toolbox pack|unpack --roots DIR:DIR… --limit BYTES

With --stdio the toolbox's own standard streams are one more connection; with --alone all other
processes in sight are the agent's, and --disk is what its files may take.
"""

_OPTIONS = {
    "serve": ({"state", "socket", "workdir"}, {"outputs", "idle-exit", "stdio", "alone", "disk"}),
    "connect": ({"socket"}, set()),
    "pack": ({"roots", "limit"}, set()),
    "unpack": ({"roots", "limit"}, set()),
}


class UsageError(Exception):
    """The command line makes no sense."""


def parse(arguments: list[str]) -> tuple[str, dict[str, str]]:
    """The command and its options.

    Raises:
        UsageError: an unknown command or option, or one that is missing.
    """
    command = arguments[0] if arguments else ""
    if command not in _OPTIONS:
        raise UsageError(f"unknown command {command!r}" if command else "a command is required")
    required, optional = _OPTIONS[command]
    options: dict[str, str] = {}
    rest = arguments[1:]
    while rest:
        name = rest[0][2:] if rest[0].startswith("--") else ""
        if name not in required | optional:
            raise UsageError(f"unknown option {rest[0]}")
        if len(rest) == 1:
            raise UsageError(f"option --{name} needs a value")
        options[name] = rest[1]
        rest = rest[2:]
    missing = sorted(required - options.keys())
    if missing:
        raise UsageError(f"option --{missing[0]} is required")
    return command, options


def main(arguments: list[str] | None = None) -> None:
    """Run the toolbox and exit: 0 well, 1 no connection, 2 usage, 3 the state is in use."""
    try:
        command, options = parse(sys.argv[1:] if arguments is None else arguments)
        idle_exit = float(options.get("idle-exit", "0"))
        disk = int(options.get("disk", "0"))
        limit = int(options.get("limit", "0"))
    except (UsageError, ValueError) as error:
        sys.stderr.write(f"toolbox: {error}\n{USAGE}")
        sys.exit(2)
    if command == "connect":
        from .relay import relay  # noqa: PLC0415 - each command pays only for itself

        sys.exit(relay(options["socket"]))
    if command in ("pack", "unpack"):
        from .archive import main as archive  # noqa: PLC0415 - the others start sooner

        sys.exit(archive(command, options["roots"].split(":"), limit))
    from .service import serve  # noqa: PLC0415 - as above

    sys.exit(
        serve(
            state=options["state"],
            socket_path=options["socket"],
            workdir=options["workdir"],
            outputs=options.get("outputs"),
            idle_exit=idle_exit,
            stdio=options.get("stdio") == "yes",
            alone=options.get("alone") == "yes",
            disk=disk,
        )
    )
