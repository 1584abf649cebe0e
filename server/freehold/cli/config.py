"""``freehold config``: what is in force, and the reference of all settings."""

from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel, SecretStr
from rich.markup import escape
from rich.table import Table

from freehold.cli import configuration
from freehold.cli.console import err, out
from freehold.settings import CONFIG_VARIABLE, DEFAULT_CONFIG_FILE, Settings

commands = typer.Typer(help="Show or document the settings.", no_args_is_help=True)

_HEAD = f"""# Configuration

<!-- Made by `freehold config docs`. Change the descriptions in server/freehold/settings.py and
run `make docs`. -->

A setting comes, first found wins, from a command-line option, an environment variable, or a TOML
file with the same names in lower case without the prefix. The file is `{DEFAULT_CONFIG_FILE}` in
the working directory, or the one that `{CONFIG_VARIABLE}` names. `freehold config show` prints what
is in force and where each value came from; `freehold doctor` tells of names that are no settings.

```toml
# {DEFAULT_CONFIG_FILE}
port = 8787
sandbox = "docker"
model_base_url = "http://127.0.0.1:8080"
```

| Variable | Values | Default | Meaning |
|---|---|---|---|
"""


@commands.command("show")
def show() -> None:
    """Print every setting, secrets masked, and where its value comes from."""
    settings = configuration.load()
    table = Table(box=None, pad_edge=False)
    table.add_column("Setting", style="bold", no_wrap=True)
    table.add_column("Value", overflow="fold")
    table.add_column("From", no_wrap=True)
    for value in configuration.values(settings):
        default = value.source == "default"
        table.add_row(
            value.variable,
            escape(value.shown) if value.shown else "[dim]not set[/]",
            f"[dim]{value.source}[/]" if default else escape(value.source),
        )
    out.print(table)
    for name in configuration.unknown_names():
        err.print(f"[yellow]warning:[/] {escape(name)} is not a setting of Freehold")


@commands.command("docs")
def docs(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file, not to the screen.")
    ] = None,
) -> None:
    """Print the reference of all settings as Markdown (`docs/CONFIGURATION.md`)."""
    text = reference()
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


def reference() -> str:
    """The reference of all settings, made from the class that they are."""
    lines = [_HEAD]
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        shown = "" if default is None or default == () else f"`{_literal(default)}`"
        lines.append(
            f"| `{configuration.variable(name)}` | {_values(field.annotation)} | {shown} "
            f"| {_cell(field.description or '')} |\n"
        )
    return "".join(lines)


def _values(annotation: Any) -> str:
    """What a setting may be, in words."""
    origin = get_origin(annotation)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin in {typing.Union, types.UnionType}:
        return ", ".join(_values(a) for a in get_args(annotation) if a is not type(None))
    if origin is Annotated:
        return _values(get_args(annotation)[0])
    if origin is tuple:
        (kind, *_) = get_args(annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return "tables"
        return f"{_values(kind)}, several separated by commas"
    words = {bool: "`true`, `false`", int: "whole number", float: "number", Path: "path",
             str: "text", SecretStr: "secret"}  # fmt: skip
    return words[annotation]


def _literal(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
