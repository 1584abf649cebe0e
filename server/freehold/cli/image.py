"""``freehold image``: the image that sandboxes are made from."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape

from freehold.cli import configuration
from freehold.cli.console import err
from freehold.errors import FreeholdError

commands = typer.Typer(help="Build the image that sandboxes are made from.", no_args_is_help=True)


class Target(StrEnum):
    """Values of ``--only``."""

    SANDBOX = "sandbox"
    GATE = "gate"


class Source(StrEnum):
    """Values of ``--from``."""

    REGISTRY = "registry"
    DEBIAN = "debian"


@commands.callback()
def _group() -> None:
    """Build the image that sandboxes are made from."""


@commands.command("build")
def build(
    *,
    source: Annotated[
        Source | None,
        typer.Option(
            "--from",
            help="Where the base comes from: a registry, or Debian packages alone (needs "
            "mmdebstrap) [registry where one answers].",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        Target | None,
        typer.Option(
            help="Build one image alone: the sandboxes', or the egress gate's, which limited "
            "networking needs [both].",
            show_default=False,
        ),
    ] = None,
    tag: Annotated[
        str | None, typer.Option(help="Name of the sandbox image [FREEHOLD_SANDBOX_IMAGE].")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Base image to build on, with `--from registry`.")
    ] = None,
    mirror: Annotated[str | None, typer.Option(help="Debian mirror, with `--from debian`.")] = None,
    suite: Annotated[str, typer.Option(help="Debian suite, with `--from debian`.")] = "bookworm",
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Build the full image, with languages, databases, document tools and a browser, "
            "on the base image (which is built first if need be).",
        ),
    ] = False,
    if_needed: Annotated[
        bool, typer.Option("--if-needed", help="Do nothing if the image is there and up to date.")
    ] = False,
    if_possible: Annotated[
        bool,
        typer.Option("--if-possible", help="Where it cannot be built, say why and exit with 0."),
    ] = False,
) -> None:
    """Build the sandbox image and the egress gate's."""
    # Imported late: other commands need no engine's client.
    from freehold.cli import image_building  # noqa: PLC0415 - as above
    from freehold.sandbox.docker.full_image import FULL_TAG  # noqa: PLC0415 - as above

    settings = configuration.load()
    name = tag or settings.sandbox_image
    try:
        for target in [only] if only else list(Target):
            if target is Target.SANDBOX and (full or name == FULL_TAG):
                image_building.build_full(
                    tag,
                    settings,
                    source=source.value if source else None,
                    base=base,
                    suite=suite,
                    mirror=mirror,
                )
                continue
            gate = target is Target.GATE
            image_building.build(
                settings.gate_image if gate else name,
                source=source.value if source else None,
                base=base,
                suite=suite,
                mirror=mirror,
                extra_ca_certs=settings.extra_ca_certs,
                if_needed=if_needed,
                gate=gate,
            )
    except FreeholdError as error:
        if not if_possible:
            raise
        err.print(f"[yellow]Not every image was built:[/] {escape(str(error))}")
