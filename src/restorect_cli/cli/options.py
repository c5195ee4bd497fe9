"""Option types shared by several commands; the words they accept are those of `names`.

`RestoreOptions` and `WriteOptions` check the ranges, for the library too; here the ranges are only help text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from .. import names
from ..errors import UsageError

_FORMAT_ALIASES = {"jpg": "jpeg", "tif": "tiff"}


def path(text: str) -> Path:
    """A path as the user wrote it. Raises UsageError for an empty one, which Path takes for the current folder."""
    if not text:
        raise UsageError("a file or folder name is empty", "check the quotes and variables on the command line")
    return Path(text)


def words(kind: Any) -> str:
    """The words of a Literal, as help shows them: a|b|c."""
    return "|".join(map(str, get_args(kind)))


# how to repair and how to write: `enhance` and `batch`
AnyTask = Literal["auto", names.Task]
Task = Annotated[
    AnyTask,
    typer.Option("--task", "-t", metavar=words(AnyTask), help="What to repair; 'auto' measures light and noise."),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A size, the name of a model (see `restorect models list`), or a folder holding one (./mine).",
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        metavar="1..4",
        help="Steps of the flow: 1 stays closest to the original; more change little in most pictures "
        "[default: the model's own].",
    ),
]
Ensemble = Annotated[
    names.Ensemble,
    typer.Option(
        metavar=words(names.Ensemble),
        help="Average the results of 1, 2 or 4 mirrored copies: slightly better and smoother, that many times slower.",
    ),
]
Strength = Annotated[
    float,
    typer.Option(
        metavar="0..1",
        help="How much to repair: 0 returns the input, 1 the full repair, 0.6 stops the flow part-way.",
    ),
]
Device = Annotated[
    names.DeviceName,
    typer.Option(
        "--device",
        "-d",
        metavar=words(names.DeviceName),
        help="Where to compute. 'auto' takes the best that works; a device named here that does not work is an "
        "error, never replaced (see `restorect doctor`).",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(metavar="N", help="CPU threads [default: all]."),
]
Tile = Annotated[
    int | None,
    typer.Option(
        metavar="PIXELS",
        help="Side of the tiles that a large image is cut into; smaller ones take less memory, and the picture "
        "stays the same [default: as large as memory allows].",
    ),
]
Quality = Annotated[
    int | None,
    typer.Option(
        metavar="1..100",
        help="Quality of JPEG, WebP and AVIF [default: of a JPEG that stays one, its own, but at least 75; "
        "else 92 for JPEG, 85 for AVIF, 90 for WebP; a lossless WebP stays lossless].",
    ),
]
Depth = Annotated[
    names.Depth | None,
    typer.Option(
        metavar=words(names.Depth), help="Bits per channel [default: the input's, as far as the format holds it]."
    ),
]
Strip = Annotated[
    names.Strip,
    typer.Option(
        metavar=words(names.Strip),
        help="Metadata to leave out: the place it was taken (gps), or all but the colour profile.",
    ),
]

AcceptTruncated = Annotated[
    bool,
    typer.Option(
        "--accept-truncated",
        help="Repair a JPEG that lacks its last bytes, and say how many rows are lost, instead of refusing it.",
    ),
]
HalfSize = Annotated[
    bool,
    typer.Option("--half-size", help="Develop RAW files at half their width and height: quick previews."),
]
KeepTimes = Annotated[
    bool, typer.Option("--keep-times", help="Give each result the times of its input, of last access and last change.")
]


def format_option(by_default: str) -> Any:
    """--format, for a command that writes `by_default` without it."""
    return typer.Option(
        metavar=words(names.Format),
        case_sensitive=False,
        callback=lambda word: _FORMAT_ALIASES.get(word, word),
        help=f"Format to write [default: {by_default}].",
    )


Format = Literal[names.Format, "jpg", "tif"]
"""With the usual aliases of two formats, which `format_option` replaces."""

Json = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output, one object per line, instead of text.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


def help_if_alone(context: typer.Context) -> None:
    """Print the help of a group that was called without a command, and exit with 2: nothing was done."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(UsageError.exit_code)
