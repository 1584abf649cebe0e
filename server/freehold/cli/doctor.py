"""``freehold doctor``: what is well, what is not, and how to mend it."""

from __future__ import annotations

import asyncio

import typer
from rich.markup import escape
from rich.table import Table

from freehold import telemetry
from freehold.cli import configuration
from freehold.cli.console import out
from freehold.ports.sandbox import Finding

_MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "error": "[red]error[/]"}


def doctor() -> None:
    """Check the settings and everything that the server leans on.

    Exits with 1 if something must be mended before `freehold serve` can work.
    """
    # What the adapters would log is told in the table.
    telemetry.configure("error", "auto")
    from freehold.cli.checks import findings  # noqa: PLC0415 - brings in every adapter

    found = asyncio.run(findings())
    out.print(_table(found))
    errors = sum(finding.status == "error" for finding in found)
    warnings = sum(finding.status == "warning" for finding in found)
    if errors:
        out.print(f"[red]{errors} to mend[/], {warnings} to know of.")
        raise typer.Exit(1)
    out.print(f"[green]Freehold can run[/], {warnings} to know of.")


def _table(found: list[Finding]) -> Table:
    redact = telemetry.Redactor(configuration.known_secrets()).text
    table = Table(box=None, pad_edge=False)
    table.add_column("Check", style="bold", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", overflow="fold")
    for finding in found:
        text = escape(redact(finding.detail))
        if finding.mend and finding.status != "ok":
            text += f"\n[cyan]→ {escape(redact(finding.mend))}[/]"
        table.add_row(escape(finding.name), _MARKS[finding.status], text)
    return table
