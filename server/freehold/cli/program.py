"""The tree of commands, and how every one of them fails: one line, how to mend it, exit code 1."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from freehold import __version__
from freehold.cli import config, demo, doctor, image, keys, serve, worker
from freehold.cli.console import err, out
from freehold.errors import FreeholdError
from freehold.telemetry import Redactor


class Program(TyperGroup):
    """Turns Freehold's own errors into a line that a person can act on."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a :class:`FreeholdError` is printed without a traceback."""
        try:
            return super().invoke(ctx)
        except FreeholdError as error:
            err.print(f"[bold red]error:[/] {escape(Redactor().text(str(error)))}")
            raise typer.Exit(1) from None


program = typer.Typer(
    cls=Program,
    name="freehold",
    help="A self-hosted server for Anthropic's Managed Agents API.",
    no_args_is_help=True,
    # A pretty traceback would print the values of local variables, keys among them.
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        out.print(f"freehold {__version__}")
        raise typer.Exit


@program.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """A self-hosted server for Anthropic's Managed Agents API."""


program.command("serve")(serve.serve)
program.command("worker")(worker.worker)
program.command("demo")(demo.demo)
program.command("doctor")(doctor.doctor)
program.add_typer(image.commands, name="image")
program.add_typer(keys.commands, name="keys")
program.add_typer(config.commands, name="config")
