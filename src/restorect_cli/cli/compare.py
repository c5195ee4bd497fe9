"""`restorect compare`: two pictures under one slider."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Quiet
from .output import Output


def compare(
    left: Annotated[Path, typer.Argument(metavar="A", help="The picture on the left.")],
    right: Annotated[Path, typer.Argument(metavar="B", help="The picture on the right.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="A page (.html), or a picture of both halves (.png, .jpg, .webp) [default: B.compare.html beside B].",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
    quiet: Quiet = False,
) -> None:
    """Puts two pictures under one slider with zoom. Move it with the mouse, a finger or the arrow keys.

    The page contains the pictures and needs neither network nor server. The smaller picture is enlarged to the
    other's size.

    \b
    Examples:
      restorect compare photo.jpg photo.restored.jpg
      restorect compare a.png b.png -o both.png
    """
    from ..bench.compare import compare as write_comparison

    target = output or right.with_name(f"{right.stem}.compare.html")
    write_comparison(left, right, target, overwrite=overwrite)
    Output(quiet=quiet).result(f"{left} | {right} -> {target}", {})
