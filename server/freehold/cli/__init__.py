"""The command line: ``freehold serve | demo | doctor | image | config``."""

from __future__ import annotations


def main() -> None:
    """Run the command line; the console script's entry point."""
    # Imported late, so that importing the package costs nothing.
    from freehold.cli.program import program  # noqa: PLC0415

    program()
