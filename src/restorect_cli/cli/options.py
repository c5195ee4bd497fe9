"""Option types shared by several commands, and the words they accept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..names import DEVICES, TASKS

TASK_CHOICES = ("auto", *TASKS)
DEVICE_CHOICES = DEVICES
FORMAT_CHOICES = ("jpeg", "png", "tiff", "webp", "avif")
DEPTH_CHOICES = ("8", "16")
STRIP_CHOICES = ("none", "gps", "all")
ENSEMBLE_CHOICES = ("1", "2", "4")


def path(text: str) -> Path:
    """A path as the user wrote it. Raises UsageError for an empty one, which Path takes for the current folder."""
    if not text:
        raise UsageError("a file or folder name is empty", "check the quotes and variables on the command line")
    return Path(text)


# how to repair and how to write: `enhance` and `batch`
Task = Annotated[
    str,
    typer.Option(
        "--task", "-t", metavar="|".join(TASK_CHOICES), help="What to repair; 'auto' measures light and noise."
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A size, the name of a student (see `restorect models list`), or a folder holding one (./mine).",
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=4,
        metavar="1..4",
        help="Steps of the flow: 1 is truest to the original; more change little in most pictures "
        "[default: the student's own].",
        show_default=False,
    ),
]
Ensemble = Annotated[
    int,
    typer.Option(
        callback=lambda count: int(choose("--ensemble", str(count), ENSEMBLE_CHOICES)),
        metavar="|".join(ENSEMBLE_CHOICES),
        help="Average over so many mirror images: a little better and smoother, as many times slower.",
    ),
]
Strength = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=1.0,
        metavar="0..1",
        help="How far to go: the flow is stopped part-way. 0 returns the input, 1 the full repair.",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        "-d",
        metavar="|".join(DEVICE_CHOICES),
        help="Where to compute. 'auto' takes the best that works; a device named here that does not work is an "
        "error, never replaced (see `restorect doctor`).",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="CPU threads [default: all].", show_default=False),
]
Tile = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="PIXELS",
        help="Side of the tiles a large image is cut into; smaller takes less memory, and the picture "
        "stays the same [default: as large as memory allows].",
        show_default=False,
    ),
]
Quality = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=100,
        metavar="1..100",
        help="Quality of JPEG, WebP and AVIF [default: of a JPEG that stays one, its own, but at least 75; "
        "else 92 for JPEG, 85 for AVIF, 90 for WebP; a lossless WebP stays lossless].",
        show_default=False,
    ),
]
Depth = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(DEPTH_CHOICES),
        help="Bits per channel [default: the input's, as far as the format holds it].",
        show_default=False,
    ),
]
Strip = Annotated[
    str,
    typer.Option(
        metavar="|".join(STRIP_CHOICES),
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
