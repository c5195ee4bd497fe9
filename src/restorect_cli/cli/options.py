"""Option types shared by several commands, and the words they accept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ..errors import UsageError
from ..models.names import DEVICES, TASKS

TASK_CHOICES = ("auto", *TASKS)
DEVICE_CHOICES = DEVICES
FORMAT_CHOICES = ("jpeg", "png", "tiff", "webp", "avif")
DEPTH_CHOICES = ("8", "16")
STRIP_CHOICES = ("none", "gps", "all")

Json = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output, one object per line, instead of text.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Repository = Annotated[
    str | None,
    typer.Option(
        "--repo",
        metavar="OWNER/NAME",
        help="Hugging Face repository to fetch from [default: RESTORECT_HUB, else the one named by the manifest].",
        show_default=False,
    ),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Address of the hub, for a mirror or a server of your own "
        "[default: HF_ENDPOINT, else https://huggingface.co].",
        show_default=False,
    ),
]


def choose(option: str, value: str, choices: Sequence[str]) -> str:
    """`value` itself if it is one of the choices; otherwise UsageError naming them."""
    if value not in choices:
        from difflib import get_close_matches

        near = get_close_matches(value.lower(), choices, n=1, cutoff=0.7)
        meant = f"did you mean {near[0]}? choose " if near else "choose "
        raise UsageError(f"unknown {option.lstrip('-')} '{value}'", f"{meant}{', '.join(choices)}")
    return value


def help_if_alone(context: typer.Context) -> None:
    """Print the help of a group that was called without a command, and exit with 2: nothing was done."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(UsageError.exit_code)
